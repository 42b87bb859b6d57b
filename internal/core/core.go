package core

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/limit"
	"github.com/ankurah/ankurah-go/internal/reactor"
	"github.com/ankurah/ankurah-go/internal/sorting"
	"github.com/ankurah/ankurah-go/internal/wire"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/property"
	"github.com/ankurah/ankurah-go/storage"
)

// Executor does for a [Core] what it may not do itself. Its methods return at
// once; completions are called later, under the rule that calls of the core do
// not overlap.
type Executor interface {
	// Now returns the wall clock in Unix milliseconds.
	Now() uint64
	// Elapsed returns the milliseconds since some moment. It never goes back or
	// jumps: deadlines are reckoned with it.
	Elapsed() uint64
	// Random fills b with random bytes.
	Random(b []byte)
	// Write commits b to the engine, then calls done with the result and a
	// snapshot that contains the write, which the core closes.
	Write(b *storage.Batch, done func(storage.Result, storage.Snapshot, error))
	// Read runs job, which may block, then calls done with its error.
	Read(job func(ctx context.Context) error, done func(error))
	// Snapshot returns what is stored now. Jobs that read call it.
	Snapshot() (storage.Snapshot, error)
	// EnsureIndexes makes the engine have what a model declares, its indexes
	// above all, in its own time.
	EnsureIndexes(collection string)
	// Wake says that a connection has frames to take.
	Wake(k *Conn)
}

var (
	// ErrClosed is wrapped by every use of a closed node.
	ErrClosed = errors.New("node is closed")
	// ErrConflict is wrapped when a required head moved.
	ErrConflict = errors.New("conflict")
	// ErrNoSystem is wrapped by writes to a node without a system.
	ErrNoSystem = errors.New("no system yet")
	// ErrSystemExists is wrapped when a system would be created twice.
	ErrSystemExists = errors.New("system exists already")
	// ErrUnknownParent is wrapped when a submitted event has a parent that is
	// not stored.
	ErrUnknownParent = errors.New("unknown parent")
	// ErrTooEarly is wrapped when a submitted event is ahead of the clock.
	ErrTooEarly = errors.New("too early")
	// ErrReserved is wrapped by writes to what belongs to the system.
	ErrReserved = errors.New("reserved name")
	// ErrLimit is wrapped by every error about a limit (S33).
	ErrLimit = limit.Err
	// ErrDeadline is wrapped, and wraps context.DeadlineExceeded, where a limit
	// on time was reached.
	ErrDeadline = limit.ErrDeadline
	// ErrTooLarge is wrapped by what will always be above a limit.
	ErrTooLarge = limit.ErrTooLarge
)

// MaxClockSkew is how far ahead of the clock an event may be, in milliseconds
// (S4).
const MaxClockSkew = 60_000

// Limits of one write: whatever waits beyond them goes into the next.
const (
	maxGroupTxs   = 1024
	maxGroupBytes = 8 << 20
)

// Config is what a core is made of.
type Config struct {
	Kinds        *property.Registry
	Policy       policy.Agent
	Constraints  []policy.Constraint
	CacheSize    int // bytes
	ClosedSchema bool
	Durable      bool   // it decides; otherwise it asks a durable node
	Shared       bool   // other processes write to its store, as durable nodes do
	App          uint64 // an ephemeral node's: the version of its application
	// OnRejected hears of refused transactions (S29). It must only hand on.
	OnRejected func(t event.TxID, why error)
	// Panicked hears, on the stack of the panic, of one in what the node was
	// given, which has been contained. It may be called under the core's lock.
	Panicked func(in string, value any)
	LeastApp uint64 // the least version of an application that may connect
	// FeedRetention is how many milliseconds feed entries are kept at least; 0 is
	// for ever.
	FeedRetention uint64
	Limits        Limits // what is zero has its default
	// Engine is what the executor writes to, if its indexes may become complete
	// between commits.
	Engine IndexedEngine
}

// IndexedEngine is an engine with secondary indexes.
type IndexedEngine interface {
	storage.Engine
	storage.Indexer
}

// Core is the state machine of one durable node.
type Core struct {
	ex    Executor
	cfg   Config
	cache *Cache

	clock       id.Clock
	node        id.ID
	author      event.Author // of the events made here
	root        id.ID
	epoch       id.ID
	incarnation id.ID
	feedSeq     uint64
	listed      bool // with the progress of processes: the store is shared, or was
	trimming    trimming

	published atomic.Pointer[Snap]
	indexes   atomic.Value // generation of the indexes that the published snapshot has
	seq       uint64       // publications so far
	catalog   atomic.Pointer[catalog]
	records   map[string][][]byte // keys of what the catalog was made of, by collection
	dirty     []storage.MetaWrite // goes with the next write

	tips     map[id.ID]*tip     // newest states of entities in flight
	flying   map[id.ID]stored   // events in flight
	flyingTx map[event.TxID]*tx // transactions being read for, waiting or written
	waiting  []*tx              // validated, for the next write
	writing  []*tx              // the group being written
	group    group              // its batch
	pubs     []*publication     // written, not yet published; the first is at work
	broken   error              // why nothing can be committed any more

	// Of a node on a shared store.
	heard     map[id.ID]uint64 // by incarnation: the last feed entry that was taken up
	gone      uint64           // how many processes were in no feed any more by then
	renewed   uint64           // the last publication with more in it than its transactions say
	following bool             // the store is being read for news
	bookWaits bool             // what others have to see waits for a write
	behind    []func()         // wait for what is stored now to be published
	covered   []func()         // wait for the write under way, which brings that

	reactor   *reactor.Reactor
	queries   map[*Query]struct{}
	results   map[string]*result // that may be shared
	hydrating map[*result]struct{}
	watch     []func()

	aggregates        map[*Aggregate]struct{}
	sharedAggregates  map[string]*aggregateResult
	readingAggregates map[*aggregateResult]struct{}
	touchedAggregates []*aggregateResult // by the transaction that is being published
	gathered          int                // live queries that are the rows of aggregates

	serial       uint64 // of queries and peers
	peers        map[*Peer]struct{}
	queued       int            // bytes that wait for peers
	subs         int            // live queries of peers
	byPrincipal  map[string]int // connections
	touchedPeers []*Peer        // that a commit has something to tell
	refilling    bool           // windows of a published group lack rows
	afterRefill  []func()

	// Of an ephemeral node.
	joined   bool   // it belongs to a system and a principal
	subject  string // the principal
	server   id.ID  // epoch of the store that the bases are copies of
	offset   int64  // the server's clock minus this one, milliseconds
	pends    map[id.ID]*pend
	outbox   []*outTx
	outBytes int // of its events
	outByID  map[event.TxID]*outTx
	untold   map[event.TxID]*outTx // out of the outbox, by a move that is not published
	creators map[id.ID]*outTx      // entities that a transaction of the outbox creates
	outSeq   uint64
	rejSeq   uint64
	rejected map[uint64]struct{}       // the rejected list, by sequence
	refused  recent[event.TxID, error] // by this process's connections
	dropped  recent[id.ID, bool]       // events, and entities that they created
	remaking bool                      // the outbox's events are about to be made again
	renamed  recent[id.ID, event.Tip]  // events that were made again
	serving  *serving                  // nil until somebody connects to the node
	link     *Link                     // the connection to a durable node, nil while there is none
	retryAt  uint64                    // when to send the outbox again, 0: no need
	early    bool                      // the server's clock was behind what was sent

	failed   uint64    // results that could not be evaluated
	failures []Failure // the latest of them
}

// tip is the newest state of an entity that n transactions in flight wrote, nil
// when they removed it.
type tip struct {
	state *entity.State
	n     int
}

func (t *tip) hold(s *entity.State) {
	if t.state = s; s.IsGone() {
		t.state = nil
	}
}

// panicked reports a panic that was contained; nil is none.
func (c *Core) panicked(in string, value any) bool {
	if value != nil && c.cfg.Panicked != nil {
		c.cfg.Panicked(in, value)
	}
	return value != nil
}

// Boot reads a store's bookkeeping from snap, which the core takes over, and
// returns a core upon it. It reads and may block; nothing else of a core does.
func Boot(ctx context.Context, ex Executor, cfg Config, snap storage.Snapshot) (*Core, error) {
	var err error
	if cfg.Limits, err = cfg.Limits.WithDefaults(); err != nil {
		return nil, err
	}
	c := &Core{
		ex: ex, cfg: cfg, cache: NewCache(cfg.CacheSize),
		tips: map[id.ID]*tip{}, flying: map[id.ID]stored{}, flyingTx: map[event.TxID]*tx{},
		reactor: reactor.New(), queries: map[*Query]struct{}{},
		aggregates: map[*Aggregate]struct{}{}, sharedAggregates: map[string]*aggregateResult{}, readingAggregates: map[*aggregateResult]struct{}{},
		results: map[string]*result{}, hydrating: map[*result]struct{}{}, peers: map[*Peer]struct{}{}, byPrincipal: map[string]int{},
		pends: map[id.ID]*pend{}, outByID: map[event.TxID]*outTx{}, creators: map[id.ID]*outTx{},
		records: map[string][][]byte{}, heard: map[id.ID]uint64{}, untold: map[event.TxID]*outTx{}, rejected: map[uint64]struct{}{},
	}
	if err := c.load(ctx, snap); err != nil {
		return nil, err
	}
	c.published.Store(NewSnap(snap, 0))
	return c, nil
}

// Current returns the published snapshot with a reference for the caller, who
// releases it. It may be called at any time until Close.
func (c *Core) Current() (*Snap, error) {
	for {
		s := c.published.Load()
		if s == nil {
			return nil, closedError{ErrClosed}
		}
		if s.retain() {
			return s, nil
		}
	}
}

type closedError struct{ why error }

func (e closedError) Error() string { return "ankurah: " + e.why.Error() + ": open it again" }
func (e closedError) Unwrap() error { return e.why }

// Outdated reports whether indexes have become complete that the published
// snapshot does not have. It may be called at any time.
func (c *Core) Outdated() bool {
	return c.cfg.Engine != nil && c.cfg.Engine.Generation() != c.indexes.Load()
}

// Latest returns the published snapshot like [Core.Current], with every index
// that is complete: an outdated one is replaced, unless a write is on its way,
// whose publication brings a new snapshot anyway.
func (c *Core) Latest() (*Snap, error) {
	if c.Outdated() && len(c.writing)+len(c.pubs) == 0 && c.published.Load() != nil {
		g := c.cfg.Engine.Generation()
		if canShare && c.cfg.Shared { // a new snapshot may hold commits of others
			c.indexes.Store(g)
			c.CatchUp(func() {})
			return c.Current()
		}
		snap, err := c.cfg.Engine.Snapshot()
		if err != nil {
			return nil, err
		}
		c.published.Swap(NewSnap(snap, c.seq)).Release()
		c.indexes.Store(g)
	}
	return c.Current()
}

// Cache returns the cache of published states, which may be used at any time.
func (c *Core) Cache() *Cache { return c.cache }

// State returns the newest published state of an entity, nil when absent. It
// may be called at any time and may block.
func (c *Core) State(ctx context.Context, collection string, entityID id.ID) (*entity.State, error) {
	if s, ok := c.cache.Get(entityID); ok {
		if s.Collection() != collection {
			return nil, nil
		}
		return s, nil
	}
	snap, err := c.Current()
	if err != nil {
		return nil, err
	}
	defer snap.Release()
	s, err := snap.State(ctx, collection, entityID)
	if err == nil && s != nil {
		c.cache.Fill(snap.Seq, s)
	}
	return s, err
}

// Close ends the core: waiting transactions fail, live queries end, the
// published snapshot is released. The writes under way are the executor's.
func (c *Core) Close() {
	if c.published.Load() == nil {
		return
	}
	for _, p := range c.peersInOrder() {
		c.serving.dismissWith(p, wire.Closing, "the server is shutting down")
	}
	if c.link != nil {
		c.LinkGone(c.link, closedError{ErrClosed})
	}
	c.fail(closedError{ErrClosed})
	for _, q := range c.inOrder() {
		c.failQuery(q, closedError{ErrClosed})
	}
	for _, q := range c.aggregatesInOrder() {
		c.failAggregate(q, closedError{ErrClosed})
	}
	undecided := append(slices.Collect(maps.Values(c.untold)), c.outbox...)
	sorting.Sort(undecided, func(a, b *outTx) int { return cmp.Compare(a.seq, b.seq) })
	for _, o := range undecided {
		waiters := o.waiters
		o.waiters = nil
		for _, w := range waiters {
			w.done(closedError{ErrClosed})
		}
	}
	if s := c.published.Swap(nil); s != nil {
		s.Release()
	}
	c.wake()
}

// Refilling reports whether live queries are told of a part of what is
// published: windows wait for rows.
func (c *Core) Refilling() bool { return c.refilling }

// OnPublish calls f, under the core's lock, after each publication and at
// close. f must only hand on the news.
func (c *Core) OnPublish(f func()) { c.watch = append(c.watch, f) }

func (c *Core) wake() {
	for _, f := range c.watch {
		f()
	}
}

// Queries returns the number of live queries and live aggregates.
func (c *Core) Queries() int { return len(c.queries) - c.gathered + len(c.aggregates) }

// now returns the next reading of the clock.
func (c *Core) now() id.Stamp { return c.clock.Next(c.wall()) }

// wall returns the wall clock, corrected by what a server's said (S4).
func (c *Core) wall() uint64 { return uint64(max(0, int64(c.ex.Now())+c.offset)) }

// The same calls lead to the same order of everything that follows, so that a
// simulation can be repeated: maps are walked in the order of their keys' making.

func (c *Core) inOrder() []*Query {
	return sorting.Sorted(maps.Keys(c.queries), func(a, b *Query) int { return cmp.Compare(a.n, b.n) })
}

func (c *Core) peersInOrder() []*Peer {
	return sorting.Sorted(maps.Keys(c.peers), func(a, b *Peer) int { return cmp.Compare(a.n, b.n) })
}

func (p *Peer) subsInOrder() []*sub {
	return sorting.Sorted(maps.Values(p.subs), func(a, b *sub) int { return cmp.Compare(a.id, b.id) })
}

func (p *Peer) aggregatesInOrder() []*aggregateSub {
	return sorting.Sorted(maps.Values(p.aggregates), func(a, b *aggregateSub) int { return cmp.Compare(a.id, b.id) })
}
