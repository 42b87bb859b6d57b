package signal

import (
	"errors"
	"runtime"
	"strconv"
	"strings"
)

// ErrLoop is what a change panics with if an effect undoes its own work: if it
// had to run a hundred times in a row because of what it wrote itself. The
// effect is closed.
var ErrLoop = errors.New("ankurah: signal: effect runs because of its own changes, without end")

// maxSelfRuns is the number of runs that an effect may cause itself in a row.
const maxSelfRuns = 100

type effectState uint8

const (
	idle effectState = iota
	queued
	running
)

// EffectHandle owns an effect. See [Effect].
type EffectHandle struct {
	fn   func(t *Tracker)
	seq  uint64 // order of creation
	done chan struct{}

	// Guarded by graph.mu.
	state   effectState
	closed  bool
	current *Tracker // the last run, whose edges say when to run again
	flight  *Tracker // the run under way

	// A run is held to be caused by the effect itself if its own goroutine was
	// the first to change what the run before had read.
	again    bool   // the last run was outdated when it ended
	runner   uint64 // goroutine of the run under way, if again
	foreign  bool   // another goroutine has outdated the run under way
	selfRuns int    // runs in a row that the effect made necessary itself
}

// Effect runs f at once and again after each change of something that f read
// with its Tracker in its last run. If the new values are equal to what it read,
// it does not run. The caller owns the effect: until Close the signals it
// depends on keep it alive.
//
// f runs on the goroutine that made the change, before the call that made it
// returns, and holds no lock. It never runs on two goroutines at once: a change
// made meanwhile, by f or by others, makes it run again when it has returned.
// Several changes may share one run; the last run sees the last change.
//
// An f that changes what it reads must come to rest. If a hundred runs in a row
// were outdated before their end, and the first to change what they had read was
// f's own goroutine each time, the effect is closed and the call that started
// them panics with [ErrLoop]. Changes that others make while f runs are no loop.
//
// A panic in f leaves the effect in place, depending on what it had read, and
// passes through the call that made the change, after the other effects have
// run. A panic that passes through Effect itself closes the effect, since nobody
// gets its handle.
func Effect(f func(t *Tracker)) *EffectHandle {
	h := &EffectHandle{fn: f, state: running, done: make(chan struct{})}
	graph.mu.Lock()
	graph.effect++
	h.seq = graph.effect
	graph.mu.Unlock()
	returned := false
	defer func() {
		if !returned {
			h.Close()
		}
	}()
	h.run()
	flushUnlessHeld()
	returned = true
	return h
}

// Close ends the effect: f does not start again and its sources forget it. A run
// that is under way, on this goroutine or another one, goes on to its end: wait
// for Done if that matters. Close is idempotent and may be called anywhere, f
// included.
func (h *EffectHandle) Close() {
	graph.mu.Lock()
	defer graph.mu.Unlock()
	h.close()
}

// Done returns a channel that is closed once the effect is closed and no run of
// it is under way.
func (h *EffectHandle) Done() <-chan struct{} { return h.done }

// close does Close's work. graph.mu is held.
func (h *EffectHandle) close() {
	if h.closed {
		return
	}
	h.closed = true
	for _, t := range []*Tracker{h.current, h.flight} {
		if t != nil {
			t.finish()
			t.unlink()
		}
	}
	h.current = nil
	if h.state != running {
		close(h.done)
	}
}

// run calls the function unless what it read is unchanged. The state is running
// on entry and something else on return. graph.mu is not held.
func (h *EffectHandle) run() {
	t := &Tracker{effect: h}
	looping := false
	func() {
		defer func() { looping = h.land(t) }()
		if h.begin(t) {
			h.fn(t)
		}
	}()
	if looping {
		panic(ErrLoop)
	}
}

// begin reports whether the function has to run, with the Tracker t.
func (h *EffectHandle) begin(t *Tracker) bool {
	graph.mu.Lock()
	if last := h.current; last != nil && !last.changed(t) {
		last.stale = false
		graph.mu.Unlock()
		return false
	}
	defer graph.mu.Unlock()
	if h.closed {
		return false
	}
	h.flight = t
	if h.again {
		h.runner = goroutineID()
	}
	return true
}

// land ends a run, or a check that found no need for one, and queues the effect
// again if it is outdated already. It reports whether the effect was closed for
// being in a loop.
func (h *EffectHandle) land(t *Tracker) (looping bool) {
	graph.mu.Lock()
	defer graph.mu.Unlock()
	h.state = idle
	if h.flight == t {
		h.flight = nil
		t.finish()
		if !h.closed {
			if h.current != nil {
				h.current.unlink()
			}
			h.current = t
		}
	}
	if h.closed {
		close(h.done)
		return false
	}
	if !h.current.stale {
		h.again = false
		return false
	}
	if h.again && !h.foreign {
		h.selfRuns++
	} else {
		h.selfRuns = 0
	}
	if h.selfRuns == maxSelfRuns {
		h.close()
		return true
	}
	h.again = true
	h.state = queued
	enqueue([]*EffectHandle{h})
	return false
}

// wake appends the effect to woken if it is idle. If it is running it will find
// out for itself that it has to run again, but not who is to blame. The calling
// goroutine has made the first change since the effect read what it read.
// graph.mu is held.
func (h *EffectHandle) wake(woken []*EffectHandle) []*EffectHandle {
	if h.state == idle {
		h.state = queued
		return append(woken, h)
	}
	h.foreign = h.again && goroutineID() != h.runner
	return woken
}

// goroutineID tells the changes made by an effect, which may be a loop, from
// those made by others while it runs, which may go on for as long as they like.
// It is called only for effects that were outdated at the end of a run. If the
// heading of stack traces ever changes, all goroutines look the same and the
// bound counts the changes of others too.
func goroutineID() uint64 {
	var buf [32]byte
	heading := string(buf[:runtime.Stack(buf[:], false)]) // "goroutine 18 [running]:"
	_, rest, _ := strings.Cut(heading, " ")
	digits, _, _ := strings.Cut(rest, " ")
	id, _ := strconv.ParseUint(digits, 10, 64)
	return id
}
