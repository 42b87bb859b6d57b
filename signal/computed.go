package signal

import (
	"errors"
	"sync/atomic"
)

// ErrCycle is what Get panics with if a computed value depends on itself.
var ErrCycle = errors.New("ankurah: signal: computed value depends on itself")

var errExited = errors.New("ankurah: signal: computed function ended its goroutine")

// ComputedValue is a signal derived from others by a function. See [Computed].
type ComputedValue[T any] struct {
	core computed
}

// Computed returns a signal whose value is what f returns. f runs when the value
// is read and something that f read with its Tracker has changed since; otherwise
// Get returns the value of the last time. What f depends on is collected anew in
// each evaluation.
//
// f must be pure but for its reads. It may run on any goroutine that reads the
// value, and on two at once if both need it; it holds no lock of this package. A
// panic in f is an outcome like a value: Get panics with it until something that
// f read changes.
//
// The value is connected to its sources only while an effect, directly or not,
// depends on it. Dropping the last reference is enough to get rid of it.
func Computed[T any](f func(t *Tracker) T) *ComputedValue[T] {
	return ComputedEqual(f, nil)
}

// ComputedComparable is [ComputedEqual] with == as the equality.
func ComputedComparable[T comparable](f func(t *Tracker) T) *ComputedValue[T] {
	return ComputedEqual(f, func(a, b T) bool { return a == b })
}

// ComputedEqual is [Computed] with an equality: if f returns a value equal to
// the last one, that one stays and nothing that depends on it runs. A nil equal
// takes all values for different.
func ComputedEqual[T any](f func(t *Tracker) T, equal func(a, b T) bool) *ComputedValue[T] {
	v := new(ComputedValue[T])
	v.core.source.owner = &v.core
	v.core.fn = func(t *Tracker) any { return f(t) }
	if equal != nil {
		v.core.equal = func(a, b any) bool { return equal(unbox[T](a), unbox[T](b)) }
	}
	return v
}

// unbox is the inverse of any(v), also for a T that is an interface and nil.
func unbox[T any](v any) T {
	t, _ := v.(T)
	return t
}

// Get returns the value, which covers every change that was complete when Get was
// called. An untracked Get that finds the value being computed waits for that
// instead of computing it as well. All readers get the same value: treat slices,
// maps and pointers in it as read-only.
//
// It panics with what the function panics with, and with [ErrCycle] if the value
// is being computed for t. A cycle through untracked reads is not found: it
// blocks for ever, like a mutex locked twice.
func (v *ComputedValue[T]) Get(t *Tracker) T {
	return unbox[T](v.core.get(t))
}

// Close freezes the value: it leaves its sources and the function does not start
// again, although one on another goroutine may still be running. Get goes on to
// return the last outcome, or the zero value if there was none. Closing is
// optional, idempotent and may happen anywhere, the function included.
func (v *ComputedValue[T]) Close() {
	v.core.close()
}

// result is the outcome of an evaluation.
type result struct {
	value  any
	failed bool // value is what the function panicked with
	quiet  bool // and the panic has not been raised yet
}

// computed is a ComputedValue without its type.
type computed struct {
	source Source
	fn     func(t *Tracker) any
	equal  func(a, b any) bool // nil: never

	// Get reads these without the lock; they are written with it. checked is
	// the epoch in which result was last known to be current.
	result  atomic.Pointer[result]
	checked atomic.Uint64

	// Guarded by graph.mu.
	current   *Tracker // the evaluation that gave result; linked while observed
	committed uint64   // ticket of the evaluation that last gave or confirmed it
	flight    *Tracker // the evaluation begun last, while it runs
	flights   int      // evaluations running
	closed    bool
}

// How an evaluation treats a panic of the function: a reader gets it raised from
// the function, with its stack; a check only records it.
const (
	quiet = false
	loud  = true
)

func (c *computed) get(t *Tracker) any {
	if t == nil {
		now := graph.epoch.Load()
		if c.checked.Load() == now {
			if r := c.result.Load(); r != nil && !r.failed {
				return r.value
			}
		}
	}
	graph.mu.Lock()
	if t != nil && t.done {
		t = nil
	}
	var e *edge
	if t != nil {
		if c.evaluates(t) {
			graph.mu.Unlock()
			panic(ErrCycle)
		}
		// Before the refresh, so that a change during it reaches t.
		e = t.observe(&c.source)
	}
	c.refresh(t, loud)
	r := c.result.Load()
	if e != nil {
		e.seen = c.source.version.Load()
	}
	graph.mu.Unlock()
	switch {
	case r == nil:
		return nil
	case r.failed:
		panic(r.value)
	}
	return r.value
}

// evaluates reports whether t or an evaluation that waits for t is one of c.
// graph.mu is held.
func (c *computed) evaluates(t *Tracker) bool {
	if c.flights == 0 {
		return false
	}
	for ; t != nil; t = t.parent {
		if t.computed == c {
			return true
		}
	}
	return false
}

func (c *computed) observed() bool { return c.source.first != nil }

// fresh reports whether the result is current. While c is observed the marks
// say so, otherwise the epoch does. graph.mu is held.
func (c *computed) fresh() bool {
	switch {
	case c.closed:
		return true
	case c.current == nil:
		return false
	case c.observed():
		return !c.current.stale
	}
	return c.checked.Load() == graph.epoch.Load()
}

// suspect reports whether c is known to need a check. graph.mu is held.
func (c *computed) suspect() bool {
	return c.observed() && c.current != nil && c.current.stale
}

// refresh makes the result current as of its call, for the reader t or, if t is
// nil, for an untracked one. graph.mu is held on entry and return, released in
// between, and not held when a panic passes.
//
// Only an untracked reader waits for an evaluation on another goroutine. A
// tracked one is part of an evaluation itself, for which the other may be
// waiting, so it computes the value a second time.
func (c *computed) refresh(t *Tracker, raise bool) {
	graph.ticket++
	began := graph.ticket
	for {
		fresh := c.fresh()
		r := c.result.Load()
		replay := fresh && !c.closed && raise && r.quiet
		// An evaluation that started after this read began has seen all that
		// this read has to see, even if something has changed again.
		if !replay && (fresh || c.committed > began) {
			return
		}
		if t == nil && c.flight != nil {
			c.flight.wait()
			continue
		}
		c.update(t, raise, replay)
	}
}

// wait waits until the evaluation t has ended. graph.mu is held on entry and
// return and released in between.
func (t *Tracker) wait() {
	if t.landed == nil {
		t.landed = make(chan struct{})
	}
	landed := t.landed
	graph.mu.Unlock()
	<-landed
	graph.mu.Lock()
}

// update confirms the result if nothing it came from has another value, and
// evaluates the function otherwise. The lock is treated as in refresh.
func (c *computed) update(parent *Tracker, raise, replay bool) {
	graph.ticket++
	t := &Tracker{
		computed: c,
		parent:   parent,
		start:    graph.ticket,
		epoch:    graph.epoch.Load(),
		replay:   replay,
	}
	c.flight = t
	c.flights++
	returned := false
	defer func() {
		if !returned { // a panic or runtime.Goexit passes, without the lock
			graph.mu.Lock()
			c.land(t)
			graph.mu.Unlock()
		}
	}()
	last := c.current
	outdated := replay || last == nil || last.changed(t)
	switch {
	case c.closed: // during the check
	case outdated:
		graph.mu.Unlock()
		c.evaluate(t, raise)
		graph.mu.Lock()
	default:
		last.stale = false
		c.committed = max(c.committed, t.start)
		c.checked.Store(t.epoch)
	}
	c.land(t)
	returned = true
}

// land ends the evaluation t. graph.mu is held.
func (c *computed) land(t *Tracker) {
	c.flights--
	if c.flight == t {
		c.flight = nil
	}
	if t.landed != nil {
		close(t.landed)
	}
}

// evaluate calls the function and the equality and keeps the outcome, whatever
// it is. graph.mu is not held.
func (c *computed) evaluate(t *Tracker, raise bool) {
	before := c.result.Load()
	r := &result{}
	same, returned := false, false
	defer func() {
		var p any
		if !returned {
			r.failed = true
			if p = recover(); p != nil {
				r.value, r.quiet = p, !raise
			} else {
				r.value = errExited // it called runtime.Goexit
			}
		}
		graph.mu.Lock()
		c.commit(t, r, same && c.result.Load() == before)
		graph.mu.Unlock()
		if p != nil && raise {
			panic(p)
		}
	}()
	r.value = c.fn(t)
	same = c.equal != nil && before != nil && !before.failed && c.equal(before.value, r.value)
	returned = true
}

// commit makes r the result, or leaves the result if they are the same, and t
// the list of dependencies. Of evaluations that ran at once the one that started
// last wins, so that the value never goes back. graph.mu is held.
func (c *computed) commit(t *Tracker, r *result, same bool) {
	t.finish()
	if t.start < c.committed {
		t.unlink()
		return
	}
	if !same {
		c.result.Store(r)
		// Nothing is new in a panic raised again.
		if !(t.replay && r.failed) {
			c.source.version.Add(1)
		}
	}
	c.committed = t.start
	c.checked.Store(t.epoch)
	last := c.current
	if c.closed {
		t.unlink()
		return
	}
	c.current = t
	// The new edges are linked already, so that a source in both lists does not
	// lose its last observer for a moment.
	if last != nil {
		last.unlink()
	}
	if !c.observed() {
		t.unlink()
	}
}

// connect links the dependencies for the first observer and finds out whether
// they have changed while c did not listen. graph.mu is held.
func (c *computed) connect() {
	if c.current == nil {
		return
	}
	for _, e := range c.current.edges {
		e.link()
		if e.outdated() {
			c.current.stale = true
		}
	}
}

func (c *computed) close() {
	graph.mu.Lock()
	defer graph.mu.Unlock()
	c.closed = true
	if c.current != nil {
		c.current.unlink()
		c.current = nil
	}
}
