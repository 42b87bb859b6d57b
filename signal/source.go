package signal

import (
	"sync"
	"sync/atomic"
)

// graph is what all signals of the process share. One lock serves them all
// because its critical sections only follow and relink edges: user functions,
// equality functions included, are called with it released. Sources nobody
// observes and untracked reads of unchanged values never take it.
var graph struct {
	// epoch counts the changes of all sources. A computed value checked in this
	// epoch is current without looking at its sources. A source counts itself
	// before the epoch, so that nobody can see the new epoch and the old version.
	epoch atomic.Uint64

	mu     sync.Mutex
	ticket uint64          // orders the starts of reads and evaluations
	effect uint64          // effects created so far
	ready  []*EffectHandle // effects to run, in order
	newest *batch          // the batch opened last of those open
}

// Source makes a type of another package a signal. Embed it or hold it in a
// field; the zero value is ready, and it must not be copied after first use.
//
// The order of calls is what prevents lost changes: a reader calls Track and
// then reads the state; a writer changes the state and then calls Notify. The
// state needs a lock of its own if it is written while others read it.
type Source struct {
	version atomic.Uint64 // changes so far
	watched atomic.Bool   // first != nil, for Notify to see without the lock
	owner   *computed     // the computed value announced here; nil for state

	first, last *edge // observers in order of subscription; guarded by graph.mu
}

// Track makes the function that t was given to depend on s. It does nothing if
// t is nil or that function has returned.
func (s *Source) Track(t *Tracker) {
	if t == nil {
		return
	}
	graph.mu.Lock()
	t.observe(s)
	graph.mu.Unlock()
}

// Notify says that the state behind s has changed. Unless a [Batch] is open, the
// effects that depend on s run before Notify returns, except one that is already
// running: that one runs again afterwards. Hold no lock that an effect or a
// computed function could want. A panic of an effect passes through Notify after
// the other effects have run.
func (s *Source) Notify() {
	s.version.Add(1)
	graph.epoch.Add(1)
	if !s.watched.Load() {
		return
	}
	graph.mu.Lock()
	woken := s.invalidate(nil)
	held := enqueue(woken)
	graph.mu.Unlock()
	if !held {
		flush()
	}
}

// Mark is [Source.Notify] for changes of several sources that belong together:
// no reader sees one as changed and another one as not. It does not run the
// effects but returns how many the changes have woken; the caller calls [Run],
// where it may, or once for each on goroutines of their own, so that none waits
// for one that blocks. An open [Batch] runs them at its end. The state behind
// the sources and the mark change at once if readers need a lock that the caller
// holds meanwhile; Mark calls no function of users.
func Mark(sources ...*Source) (woken int) {
	graph.mu.Lock()
	defer graph.mu.Unlock()
	for _, s := range sources {
		s.version.Add(1)
	}
	graph.epoch.Add(1)
	var effects []*EffectHandle
	for _, s := range sources {
		effects = s.invalidate(effects)
	}
	if enqueue(effects) {
		return 0
	}
	return len(effects)
}

// Run runs the effects that [Mark] has woken and nobody has begun to run, as the
// last part of [Source.Notify] does.
func Run() { flush() }

// Forget takes back the changes of s that effects have not run for: one that was
// woken by nothing else and has not begun does not run. Call it when what s
// stands for has ended.
func (s *Source) Forget() {
	graph.mu.Lock()
	defer graph.mu.Unlock()
	for e := s.first; e != nil; e = e.next {
		e.seen = s.version.Load()
	}
}

// invalidate marks what depends on s and appends the idle effects among it to
// woken. graph.mu is held.
func (s *Source) invalidate(woken []*EffectHandle) []*EffectHandle {
	for e := s.first; e != nil; e = e.next {
		woken = e.to.invalidate(woken)
	}
	return woken
}

// edge says that one evaluation read one source.
type edge struct {
	src  *Source
	to   *Tracker
	seen uint64 // src.version of the value that was read

	linked     bool // whether it is in src's list
	prev, next *edge
}

// link makes changes of the source reach the evaluation. A computed value that
// gains its first observer is connected to its own sources. graph.mu is held.
func (e *edge) link() {
	s := e.src
	e.linked, e.prev, e.next = true, s.last, nil
	if s.last != nil {
		s.last.next = e
		s.last = e
		return
	}
	s.first, s.last = e, e
	s.watched.Store(true)
	if s.owner != nil {
		s.owner.connect()
	}
}

// unlink undoes link; a computed value that loses its last observer is
// disconnected from its sources, so that nothing retains it. graph.mu is held.
func (e *edge) unlink() {
	if !e.linked {
		return
	}
	s := e.src
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		s.first = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	} else {
		s.last = e.prev
	}
	e.linked, e.prev, e.next = false, nil, nil
	if s.first != nil {
		return
	}
	s.watched.Store(false)
	if s.owner != nil && s.owner.current != nil {
		s.owner.current.unlink()
	}
}

// outdated reports whether the source has changed since it was read, or may
// have. graph.mu is held.
func (e *edge) outdated() bool {
	return e.src.version.Load() != e.seen || e.src.owner != nil && e.src.owner.suspect()
}
