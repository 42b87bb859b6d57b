package kv

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"sync"

	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/keyset"
	"github.com/ankurah/ankurah-go/schema"
)

// builds are the index builds that are under way, one goroutine each.
type builds struct {
	ctx    context.Context // ends when the engine is closed
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex // guards what follows
	closed  bool
	running map[string]*build // by collection and index name
}

// build is one of them; err may be read when done is closed.
type build struct {
	collection, name string
	done             chan struct{}
	err              error
}

func (b *builds) init() {
	b.ctx, b.cancel = context.WithCancel(context.Background())
	b.running = map[string]*build{}
}

// close ends all builds and waits for them.
func (b *builds) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.cancel()
	b.wg.Wait()
}

// start returns the build of an index, which it starts unless it runs. With
// max > 0 it starts none, and returns nil, when that many indexes exist or
// are being built.
func (e *Engine) start(collection string, def schema.Index, max int) *build {
	b := &e.builds
	key := collection + "\x00" + def.Name()
	b.mu.Lock()
	defer b.mu.Unlock()
	if running := b.running[key]; running != nil {
		return running
	}
	if max > 0 && e.countIndexes(collection) >= max {
		return nil
	}
	n := &build{collection: collection, name: def.Name(), done: make(chan struct{})}
	if b.closed {
		n.err = &closedError{e.opts.Location}
		close(n.done)
		return n
	}
	b.running[key] = n
	b.wg.Add(1)
	go func() {
		defer b.wg.Done()
		n.err = e.build(b.ctx, collection, def)
		if n.err != nil && e.closed.Load() {
			n.err = &closedError{e.opts.Location}
		}
		b.mu.Lock()
		delete(b.running, key)
		b.mu.Unlock()
		close(n.done)
	}()
	return n
}

// countIndexes counts the indexes of a collection, those about to be
// registered too; builds.mu is held.
func (e *Engine) countIndexes(collection string) int {
	c := e.published.Load()
	n := len(c.indexes[collection])
	for _, running := range e.builds.running {
		if running.collection == collection && c.find(collection, running.name) == nil {
			n++
		}
	}
	return n
}

func (b *build) wait(ctx context.Context) error {
	select {
	case <-b.done:
		return b.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// EnsureIndex builds the index unless it exists. It returns when the index is
// complete; when ctx ends first, building goes on.
func (e *Engine) EnsureIndex(ctx context.Context, collection string, def schema.Index) error {
	if err := e.checkOpen(); err != nil {
		return err
	}
	if !event.ValidName(collection) {
		return errors.New("ankurah: " + collection + " cannot be a collection")
	}
	if err := checkIndex(def); err != nil {
		return err
	}
	if x := e.published.Load().find(collection, def.Name()); x != nil && x.complete {
		return nil
	}
	if e.opts.ReadOnly {
		return errors.New("ankurah: " + e.opts.Location + " is open for reading only: index " + def.Name() + " of " + collection + " cannot be built")
	}
	return e.start(collection, def, 0).wait(ctx)
}

// WaitIndexes waits until no index is being built, and returns the first error
// of those that were when it was called.
func (e *Engine) WaitIndexes(ctx context.Context) error {
	b := &e.builds
	var first error
	for {
		var next *build
		b.mu.Lock()
		for _, running := range b.running {
			next = running
			break
		}
		b.mu.Unlock()
		if next == nil {
			return first
		}
		err := next.wait(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if first == nil {
			first = err
		}
	}
}

// resumeBuilds goes on with the indexes that were incomplete when the store
// was closed or the process ended. Commits maintained them until then, so they
// may be built from the beginning over what there is.
func (e *Engine) resumeBuilds() {
	for _, xs := range e.published.Load().indexes {
		for _, x := range xs {
			if !x.complete {
				e.start(x.collection, x.def, 0)
			}
		}
	}
}

// build registers an index, gives every entity its entry, and completes it.
func (e *Engine) build(ctx context.Context, collection string, def schema.Index) error {
	x, err := e.register(ctx, collection, def)
	if err != nil || x.complete {
		return err
	}
	var from id.ID
	for more := true; more; {
		err := e.retry(ctx, func() error {
			next, again, err := e.buildChunk(ctx, x, from)
			if err == nil {
				from, more = next, again
			}
			return err
		})
		if err != nil {
			return err
		}
		runtime.Gosched() // commits that wait go first
	}
	done := *x
	done.complete = true
	err = e.retry(ctx, func() error { return e.putIndex(ctx, &done) })
	if err == nil {
		e.stats.built.Add(1)
	}
	return err
}

// register returns the index called def.Name(), which it registers unless it
// is.
func (e *Engine) register(ctx context.Context, collection string, def schema.Index) (*index, error) {
	var x *index
	err := e.retry(ctx, func() error {
		c := e.published.Load()
		if x = c.find(collection, def.Name()); x != nil {
			return nil
		}
		x = newIndex(e.keys, c.next, collection, def, false)
		return e.putIndex(ctx, x)
	})
	return x, err
}

// retry runs a step of building under the engine's lock, again when another
// process got in between.
func (e *Engine) retry(ctx context.Context, step func() error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for attempt := 1; ; attempt++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := step()
		if pre := (*PreconditionError)(nil); !errors.As(err, &pre) || attempt == maxAttempts {
			return err
		}
		if err := e.loadCatalog(ctx); err != nil {
			return err
		}
	}
}

// buildChunk writes the entries of the entities from an ID on, and returns
// where the next chunk begins; false when there is none. On a shared store
// each entity must still be what it was when it was read.
func (e *Engine) buildChunk(ctx context.Context, x *index, from id.ID) (next id.ID, more bool, err error) {
	snap, err := e.store.Snapshot()
	if err != nil {
		return from, false, err
	}
	defer snap.Close()
	prefix := e.keys.collection(nil, spaceState, x.collection)
	c := &cursor{ctx: ctx, keys: e.keys}
	c.it, c.err = snap.Scan(ctx, append(bytes.Clone(prefix), from[:]...), keyset.Successor(bytes.Clone(prefix)), false)
	defer c.close()
	b := &Batch{}
	for n := 0; c.next(); n++ {
		s, err := stateAt(x.collection, c.key(), len(prefix), c.value())
		if err != nil {
			return from, false, err
		}
		if n == e.opts.Index.Chunk {
			next, more = s.ID(), true
			break
		}
		if e.opts.Shared {
			b.Preconditions = append(b.Preconditions, Precondition{bytes.Clone(c.key()), bytes.Clone(c.it.Value())})
		}
		if s.Exists() {
			key := x.appendEntry(nil, s)
			b.Writes = append(b.Writes, Write{Key: key, Value: e.keys.sealed(key, nil)})
		}
	}
	if c.err != nil {
		return from, false, c.err
	}
	if len(b.Writes) > 0 {
		err = e.store.Apply(ctx, b)
	}
	return next, more, err
}
