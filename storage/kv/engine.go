package kv

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/ankurah/ankurah-go/internal/keyset"
	"github.com/ankurah/ankurah-go/storage"
)

// Options configures an engine; nil is the zero value.
type Options struct {
	// Name, Location, Durability and Shared are what [storage.Engine.Info]
	// says. The engine takes a store that is not shared for its own: it
	// remembers what it wrote instead of reading it again.
	Name, Location, Durability string
	Shared                     bool

	// Prefix begins every key, so that several systems can live in one store.
	// No engine's prefix may begin with another's.
	Prefix []byte

	// KeepStore leaves the store open when the engine is closed.
	KeepStore bool

	// ReadOnly refuses commits and index builds.
	ReadOnly bool

	Index IndexOptions
}

// IndexOptions says when an engine makes indexes by itself.
type IndexOptions struct {
	// NoAuto turns indexes on demand off; EnsureIndex still works.
	NoAuto bool
	// Threshold is the number of entities that a scan has to examine before
	// an index is made for it. 0 means 1000.
	Threshold int
	// Max is the number of indexes of a collection from which none is made on
	// demand. 0 means 16.
	Max int
	// Chunk is the number of entities that get their entries in one step,
	// during which commits wait. 0 means 256.
	Chunk int
}

// Engine is a [storage.Engine] and a [storage.Indexer] over a [Store].
type Engine struct {
	store Store
	opts  Options
	keys  keyspace

	// published is the catalog of complete indexes. It is replaced only after
	// what it says is in the store, so whoever loads it first and takes a
	// snapshot of the store second sees complete indexes.
	published atomic.Pointer[catalog]
	closed    atomic.Bool
	stats     counters

	builds builds

	mu          sync.Mutex // serialises writers and guards what follows
	collections map[string]*collection
	heads       headCache
	committer   committer
}

var (
	_ storage.Engine  = (*Engine)(nil)
	_ storage.Indexer = (*Engine)(nil)
)

// New returns an engine over store, of which it takes ownership, on an error
// as well, unless opts.KeepStore is set. A store that is empty is made
// one of this format. Errors about a store of another or a newer format say so;
// unreadable records wrap [storage.ErrCorrupt].
func New(store Store, opts *Options) (*Engine, error) {
	e := &Engine{store: store}
	if opts != nil {
		e.opts = *opts
	}
	if e.opts.Index.Threshold <= 0 {
		e.opts.Index.Threshold = 1000
	}
	if e.opts.Index.Max <= 0 {
		e.opts.Index.Max = 16
	}
	if e.opts.Index.Chunk <= 0 {
		e.opts.Index.Chunk = 256
	}
	e.keys.prefix = append([]byte(nil), e.opts.Prefix...)
	e.heads.reset()
	e.builds.init()
	ctx := context.Background()
	err := e.checkFormat(ctx)
	if err == nil {
		err = e.loadCatalog(ctx)
	}
	if err != nil {
		if !e.opts.KeepStore {
			err = errors.Join(err, store.Close())
		}
		return nil, err
	}
	if !e.opts.ReadOnly {
		e.resumeBuilds()
	}
	return e, nil
}

// checkFormat reads the format record, and writes it into an empty store.
func (e *Engine) checkFormat(ctx context.Context) error {
	snap, err := e.store.Snapshot()
	if err != nil {
		return err
	}
	defer snap.Close()
	key := e.keys.space(nil, spaceFormat)
	record, ok, err := snap.Get(ctx, key)
	if err != nil {
		return err
	}
	if ok {
		if version, ok := e.keys.format(key, record); ok {
			return e.checkVersion(version)
		}
	}
	used, ours, err := e.look(ctx, snap)
	ours = ours || bytes.HasPrefix(record, []byte(formatMagic))
	switch {
	case err != nil:
		return err
	case ours:
		return &storage.CorruptError{What: e.keys.name(key) + " in " + e.opts.Location, Err: errors.New("it is missing, or cannot be read, and there is data")}
	case used:
		return errors.New("ankurah: " + e.opts.Location + " is not an ankurah store: it holds something else: name another place")
	case e.opts.ReadOnly:
		return errors.New("ankurah: " + e.opts.Location + " is an empty store: it cannot be opened for reading only")
	}
	b := &Batch{Writes: []Write{{Key: key, Value: e.keys.sealed(key, appendFormat(nil))}}}
	if e.opts.Shared {
		b.Preconditions = []Precondition{{Key: key}}
	}
	err = e.store.Apply(ctx, b)
	if pre := (*PreconditionError)(nil); errors.As(err, &pre) {
		return e.checkFormat(ctx) // another process was faster
	}
	return err
}

// checkVersion returns why a store of a version cannot be used.
func (e *Engine) checkVersion(version uint64) error {
	has := "ankurah: " + e.opts.Location + " has storage format " + strconv.FormatUint(version, 10) + ", this program "
	switch {
	case version > formatVersion:
		return errors.New(has + "reads up to " + strconv.Itoa(formatVersion) + ": use a newer version of the program")
	case version < formatVersion:
		return errors.New(has + "reads " + strconv.Itoa(formatVersion) + ": dump it with the version that wrote it, and restore the dump")
	}
	return nil
}

// looked is how many records are looked at to tell a damaged store from
// something else.
const looked = 64

// look reports whether there is anything under the engine's prefix, and
// whether some of it is sealed as this package seals.
func (e *Engine) look(ctx context.Context, snap Snapshot) (used, ours bool, err error) {
	it, err := snap.Scan(ctx, e.keys.prefix, keyset.Successor(append([]byte(nil), e.keys.prefix...)), false)
	if err != nil {
		return false, false, err
	}
	for n := 0; n < looked && !ours && it.Next(); n++ {
		_, err := e.keys.unseal(it.Key(), it.Value())
		used, ours = true, err == nil
	}
	return used, ours, errors.Join(it.Err(), it.Close())
}

// Info describes the engine.
func (e *Engine) Info() storage.Info {
	return storage.Info{Name: e.opts.Name, Location: e.opts.Location, Shared: e.opts.Shared, Durability: e.opts.Durability}
}

// Close ends the building of indexes and closes the store.
func (e *Engine) Close() error {
	if e.closed.Swap(true) {
		return nil
	}
	e.builds.close()
	e.mu.Lock() // a commit that began before has ended
	defer e.mu.Unlock()
	if e.opts.KeepStore {
		return nil
	}
	return e.store.Close()
}

type closedError struct{ location string }

func (e *closedError) Error() string {
	return "ankurah: " + e.location + ": " + storage.ErrClosed.Error()
}
func (e *closedError) Unwrap() error { return storage.ErrClosed }

func (e *Engine) checkOpen() error {
	if e.closed.Load() {
		return &closedError{e.opts.Location}
	}
	return nil
}

// Snapshot returns a view of everything whose Commit has returned.
func (e *Engine) Snapshot() (storage.Snapshot, error) {
	if err := e.checkOpen(); err != nil {
		return nil, err
	}
	c := e.published.Load() // before the snapshot, see there
	snap, err := e.store.Snapshot()
	if err != nil {
		return nil, err
	}
	s := &snapshot{e: e, kv: snap, catalog: c}
	if e.opts.Shared {
		if s.catalog, err = e.catalogOf(context.Background(), snap); err != nil {
			return nil, errors.Join(err, snap.Close())
		}
	}
	return s, nil
}

// Stats counts what an engine did since it was opened.
type Stats struct {
	Scans    uint64 // scans and counts begun
	Examined uint64 // entities and index entries they read
	Returned uint64 // entities they returned or counted
	Built    uint64 // indexes completed
}

type counters struct{ scans, examined, returned, built atomic.Uint64 }

// Stats returns the counts so far.
func (e *Engine) Stats() Stats {
	return Stats{Scans: e.stats.scans.Load(), Examined: e.stats.examined.Load(), Returned: e.stats.returned.Load(), Built: e.stats.built.Load()}
}
