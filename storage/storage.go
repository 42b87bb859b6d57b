package storage

import (
	"context"
	"iter"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/schema"
)

// Engine is a store of entities.
type Engine interface {
	// Commit applies the batch's transactions as if one after the other. A
	// transaction whose condition fails is left out whole and reported in the
	// result, and so is what was made upon it ([LeftOut]); the others, and the batch's meta writes, are applied in ONE
	// atomic write (S9). When Commit returns without error everything it
	// applied is as durable as the engine was opened to make it. On an error
	// nothing may be assumed: the node commits nothing more (S23). The batch
	// is the caller's again when Commit returns; states and events are shared.
	Commit(ctx context.Context, b *Batch) (Result, error)

	// Snapshot returns a consistent view of everything whose Commit has
	// returned. The caller closes it. Reads of one that an engine cannot keep
	// end with [ErrInterrupted].
	Snapshot() (Snapshot, error)

	// Info describes the engine.
	Info() Info

	// Close releases the store. Snapshots must be closed before. Close of a
	// closed engine does nothing.
	Close() error
}

// Info describes an engine.
type Info struct {
	Name       string // scheme, such as "pebble"
	Location   string // folder or address, for people
	Shared     bool   // other processes may commit to this store
	Durability string // when Commit returns, such as "fsync" or "none"
}

// Indexer is an engine with secondary indexes.
type Indexer interface {
	// EnsureIndex builds the index unless it exists, online: commits go on
	// meanwhile. It returns when the index is complete.
	EnsureIndex(ctx context.Context, collection string, x schema.Index) error
	// Indexes returns the complete indexes of a collection.
	Indexes(collection string) []schema.Index
	// Generation returns a comparable token that changes when an index
	// becomes complete. A snapshot uses the indexes that were complete when it
	// was taken, so a reader that sees another token wants a new snapshot.
	Generation() any
}

// Modeler is an engine that lays out what it stores by what is known of it, as
// one with a column for each property does.
type Modeler interface {
	// EnsureModel makes room for what a model declares. Entities are stored
	// without it as well.
	EnsureModel(ctx context.Context, m *schema.Model) error
}

// Pinger is an engine whose store may be out of reach.
type Pinger interface {
	// Ping returns nil when the store answers.
	Ping(ctx context.Context) error
}

// Flusher is an engine whose Commit may return before what it applied is
// durable. A durable node waits for that before it publishes a commit, another
// node before Tx.Commit returns (S23, S26).
type Flusher interface {
	// Flush waits until everything that Commit has returned from is durable.
	// An error other than that of ctx says why it will not be: the engine takes
	// no further commit then.
	Flush(ctx context.Context) error
}

// Copier is an engine that can copy its store while it is in use.
type Copier interface {
	// Copy makes folder dir, which must not exist or be empty, a store with
	// what has been committed, and with the meta writes in mark. The folder
	// gets its name when it is whole: an interrupted copy is never taken for
	// one.
	Copy(ctx context.Context, dir string, mark ...MetaWrite) error
}

// Batch is a group of transactions to commit.
type Batch struct {
	Txs  []Tx
	Meta []MetaWrite // written whatever becomes of the transactions
}

// Tx is one transaction: it is applied whole or not at all.
type Tx struct {
	ID     event.TxID
	Record []byte // kept under ID for [Snapshot.Tx]; empty: no record is kept. On a shared store there must be none yet

	// After are transactions without which this one makes no sense: it is left
	// out with them when they are in the same batch.
	After []event.TxID

	Require  []Require     // heads that must not have moved
	Entities []EntityWrite // sorted by entity ID, unique
	Claims   []Claim
	Meta     []MetaWrite // written with the transaction
}

// Require is a precondition: the entity has exactly this head.
type Require struct {
	Collection string
	Entity     id.ID
	Head       event.Head
}

// EntityWrite moves one entity from one state to another. Its condition is
// that the stored head is that of Before.
type EntityWrite struct {
	Before *entity.State  // nil: the entity must not exist
	After  *entity.State  // [entity.Gone]: the state is removed, events stay
	Events []*event.Event // sorted by ID; stored at revs Before.Rev()+1 … After.Rev()
}

// Claim binds a key to an entity. It fails the transaction if the key is bound
// to another one. Release drops the binding if it is this entity's.
type Claim struct {
	Key     []byte
	Entity  id.ID
	Release bool
}

// MetaWrite sets or, with a nil value, removes a key of the node's own
// bookkeeping, a small ordered key space beside the entities.
type MetaWrite struct {
	Key   []byte
	Value []byte
}

// Result says what became of a batch: Conflicts[k] is nil when Txs[k] was
// applied, else a [*ConflictError]. A nil slice: all were applied.
type Result struct {
	Conflicts []error
}

// Position is where an event stands.
type Position struct {
	Collection string
	Entity     id.ID
	Rev        uint64
}

// Snapshot is a consistent, immutable view of a store. Its methods may be used
// from several goroutines at once. Absent things are no errors.
type Snapshot interface {
	// State returns an entity's state, also of a deleted one; nil when absent.
	State(ctx context.Context, collection string, entity id.ID) (*entity.State, error)
	// Find returns where event e stands; false when it is not stored.
	Find(ctx context.Context, e id.ID) (Position, bool, error)
	// Events returns an entity's events at revs first to last, both included,
	// in causal order. A rev up to that of the state at which no event is
	// stored is a [*CorruptError]: of copies, which were put without events,
	// nobody asks for these.
	Events(ctx context.Context, collection string, entity id.ID, first, last uint64) iter.Seq2[*event.Event, error]
	// Scan returns the existing entities that sel selects, in its order.
	Scan(ctx context.Context, sel *ankql.Selection) iter.Seq2[*entity.State, error]
	// Count returns how many entities Scan would yield.
	Count(ctx context.Context, sel *ankql.Selection) (int64, error)
	// Explain describes how Scan would answer sel.
	Explain(ctx context.Context, sel *ankql.Selection) (string, error)
	// All returns every entity of a collection, the deleted too, by ID.
	All(ctx context.Context, collection string) iter.Seq2[*entity.State, error]
	// Collections returns the names of the collections that hold entities,
	// sorted.
	Collections(ctx context.Context) ([]string, error)
	// Tx returns the record kept of a transaction; false when there is none.
	Tx(ctx context.Context, tx event.TxID) ([]byte, bool, error)
	// Claimed returns the entity that a claim key is bound to.
	Claimed(ctx context.Context, key []byte) (id.ID, bool, error)
	// Meta returns the value of a meta key; false when there is none.
	Meta(ctx context.Context, key []byte) ([]byte, bool, error)
	// MetaRange returns the meta keys from lo (included) to hi (excluded, nil
	// for no bound) in order. Keys and values are the caller's.
	MetaRange(ctx context.Context, lo, hi []byte) iter.Seq2[MetaWrite, error]
	// Close releases the snapshot. Iterators of it must have ended.
	Close() error
}

// Lister is a snapshot that lists what a [Snapshot] finds by key. Dumping and
// verifying a store need one.
type Lister interface {
	// Entities lists what has a state, by collection and then by entity. It
	// does not read the states.
	Entities(ctx context.Context) iter.Seq2[EntityKey, error]
	// Histories lists what has events, by entity.
	Histories(ctx context.Context) iter.Seq2[id.ID, error]
	// Txs lists the records of transactions, by transaction.
	Txs(ctx context.Context) iter.Seq2[TxRecord, error]
	// Claims lists the claims that are bound, by key.
	Claims(ctx context.Context) iter.Seq2[Claim, error]
}

// EntityKey names an entity.
type EntityKey struct {
	Collection string
	Entity     id.ID
}

// TxRecord is the record kept of a transaction.
type TxRecord struct {
	Tx     event.TxID
	Record []byte
}

// Batcher is a snapshot that reads much in one go, where each read is a message
// to a server. Nodes on a shared store take up with it what others committed.
type Batcher interface {
	// Records returns the records of transactions, of those that have one.
	Records(ctx context.Context, txs []event.TxID) (map[event.TxID][]byte, error)
	// EventsAt returns the events of each span, as [Snapshot.Events] would. The
	// entities are of one collection, each there once.
	EventsAt(ctx context.Context, collection string, spans []Span) (map[id.ID][]*event.Event, error)
}

// Span is a part of an entity's history: revs First to Last.
type Span struct {
	Entity      id.ID
	First, Last uint64
}

// Watcher is a shared engine that says when to look.
type Watcher interface {
	// Watch calls news, one call at a time, when another process may have
	// committed something, until ctx ends: also after anything that kept it
	// from knowing, and for nothing.
	Watch(ctx context.Context, news func())
}

// Checker is a snapshot of an engine that can check its own records.
type Checker interface {
	// Check reads every record and compares what is kept twice: what the store
	// has under keys that no commit writes, what cannot be read, events with
	// where [Snapshot.Find] says that they are, states with indexes. It yields
	// a [*CorruptError] for each difference. Another error ends it.
	Check(ctx context.Context) iter.Seq[error]
}
