package ankurah

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/ankurah/ankurah-go/internal/core"
	"github.com/ankurah/ankurah-go/internal/random"
	"github.com/ankurah/ankurah-go/signal"
	"github.com/ankurah/ankurah-go/storage"
)

// effect is work that the core asked for. It is done without the lock and ends
// with a completion under it, which may ask for more.
type effect func() []effect

// do runs f under the core's lock, then does what the core asked for.
func (n *Node) do(f func()) { n.run(n.locked(f), nil) }

// locked runs f under the core's lock and returns what the core asked for.
func (n *Node) locked(f func()) []effect {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
	n.flush()
	n.notify()
	n.countQueries()
	asked := n.effects
	n.effects = nil
	return asked
}

// notify tells who depends on live results that these have changed: of all
// that a commit changed at once, and under the lock, so that nobody sees one
// result after it and another one before it.
func (n *Node) notify() {
	if len(n.changed) == 0 || n.core.Refilling() {
		return
	}
	sources := make([]*signal.Source, 0, len(n.changed))
	for _, t := range n.changed {
		t.changed = false
		sources = append(sources, &t.source)
	}
	clear(n.changed)
	n.changed = n.changed[:0]
	for range signal.Mark(sources...) {
		n.work.Add(1)
		go func() {
			defer n.work.Done()
			n.contained("an effect on a live query", signal.Run)
		}()
	}
}

// run does effects until none are left. A caller whose own wish is fulfilled
// leaves the rest, which is other callers' work, to a goroutine.
func (n *Node) run(effects []effect, fulfilled *atomic.Bool) {
	for len(effects) > 0 {
		if fulfilled != nil && fulfilled.Load() {
			n.aside(effects)
			return
		}
		next := effects[0]
		effects = append(effects[1:], next()...)
	}
}

// aside does effects on a goroutine, if there are any.
func (n *Node) aside(effects []effect) {
	if len(effects) == 0 {
		return
	}
	n.work.Add(1)
	go func() {
		defer n.work.Done()
		n.run(effects, nil)
	}()
}

// wait starts something in the core and waits until done was called. The
// caller does the work itself that it set off: a lone committer needs no other
// goroutine.
func (n *Node) wait(start func(done func(error))) error {
	w, used := n.waiters.Get().(*waiter)
	if !used {
		w = newWaiter()
	}
	defer n.waiters.Put(w)
	var refused error
	asked := n.locked(func() {
		if n.closing {
			refused = errClosed
			return
		}
		n.commits.Add(1)
		start(w.done)
	})
	if refused != nil {
		return refused
	}
	defer n.commits.Done()
	n.run(asked, &w.fulfilled)
	err := <-w.outcome
	w.fulfilled.Store(false)
	if err == nil && !n.durable {
		err = n.flushed() // it is published already, so that pages need not wait (S23, S26)
	}
	return err
}

// flushed waits until what the engine has applied is durable.
func (n *Node) flushed() error {
	if f, ok := n.engine.(storage.Flusher); ok {
		return f.Flush(context.Background()) // which ends, one way or the other
	}
	return nil
}

// waiter is a caller that waits; it is used again.
type waiter struct {
	fulfilled atomic.Bool
	outcome   chan error
	done      func(error) // called once a use
}

func newWaiter() *waiter {
	w := &waiter{outcome: make(chan error, 1)}
	w.done = func(err error) {
		w.fulfilled.Store(true)
		w.outcome <- err
	}
	return w
}

// executor is the node as its core sees it.
type executor Node

// Now returns the wall clock.
func (x *executor) Now() uint64 { return uint64(max(0, x.clock().UnixMilli())) }

// Elapsed returns how long the node has been open.
func (x *executor) Elapsed() uint64 { return uint64(time.Since(x.opened).Milliseconds()) }

// Random fills b. It is called under the lock.
func (x *executor) Random(b []byte) { x.random.read(b) }

// Write commits a batch and takes the snapshot that contains it. The core asks
// for one write at a time, so nothing else can be in the snapshot.
func (x *executor) Write(b *storage.Batch, done func(storage.Result, storage.Snapshot, error)) {
	n := (*Node)(x)
	x.effects = append(x.effects, func() []effect {
		begun := time.Now()
		res, err := n.engine.Commit(n.ctx, b)
		if err == nil && n.durable {
			err = n.flushed()
		}
		n.metrics.Time(MetricWriteTime, time.Since(begun))
		n.metrics.Count(MetricWrites, 1)
		if err == nil {
			n.metrics.Count(MetricCommits, stored(b, res))
		}
		var snap storage.Snapshot
		if err == nil {
			snap, err = n.engine.Snapshot()
		}
		if err != nil {
			n.log.Error("commit failed", "error", err)
		}
		return n.locked(func() { done(res, snap, err) })
	})
}

// stored counts the transactions of a batch that are of users and that no
// conflict left out.
func stored(b *storage.Batch, res storage.Result) (n int) {
	for k := range b.Txs {
		writes := b.Txs[k].Entities
		if len(writes) > 0 && writes[0].After.Collection() != core.SystemCollection && (len(res.Conflicts) == 0 || res.Conflicts[k] == nil) {
			n++
		}
	}
	return n
}

// Read runs a job that reads.
func (x *executor) Read(job func(context.Context) error, done func(error)) {
	n := (*Node)(x)
	x.effects = append(x.effects, func() []effect {
		err := job(n.ctx)
		return n.locked(func() { done(err) })
	})
}

// Snapshot returns what is stored.
func (x *executor) Snapshot() (storage.Snapshot, error) { return x.engine.Snapshot() }

// EnsureIndexes builds declared indexes beside everything else.
func (x *executor) EnsureIndexes(collection string) {
	n := (*Node)(x)
	if n.ctx == nil || n.closing {
		return // OpenNode builds them itself; Close ends everything
	}
	n.work.Add(1)
	go func() {
		defer n.work.Done()
		if err := n.ensureIndexes(n.ctx, collection); err != nil && n.ctx.Err() == nil {
			n.log.Warn("index not built", "collection", collection, "error", err)
		}
	}()
}

// randomSource hands out random bytes from a buffer: asking the system for 16
// bytes at a time costs more than a commit's other work on IDs.
type randomSource struct {
	buf  [1024]byte
	left int
}

func (r *randomSource) read(b []byte) {
	for len(b) > 0 {
		if r.left == 0 {
			// random.Read never fails: it ends the program if the system has
			// no randomness.
			random.Read(r.buf[:])
			r.left = len(r.buf)
		}
		k := copy(b, r.buf[len(r.buf)-r.left:])
		b, r.left = b[k:], r.left-k
	}
}
