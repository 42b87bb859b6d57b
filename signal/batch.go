package signal

import (
	"cmp"

	"github.com/ankurah/ankurah-go/internal/sorting"
)

// batch is a call of Batch under way. Open batches form a list in the order in
// which they were opened, whoever opened them.
type batch struct {
	older, newer *batch
	held         []*EffectHandle // guarded by graph.mu
}

// Batch calls f and lets the effects of the changes made meanwhile run once, at
// the end. Reads inside f see the changes at once. Batches may be nested: the
// effects run when the outermost one ends. If f panics, the effects of what it
// had changed run and the panic continues.
//
// Go cannot tell who makes a change, so an open batch holds back the effects of
// all goroutines: f should be short and must not wait for an effect. An effect
// waits for the batches that were open when it was woken, not for later ones.
func Batch(f func()) {
	b := new(batch)
	graph.mu.Lock()
	if b.older = graph.newest; b.older != nil {
		b.older.newer = b
	}
	graph.newest = b
	graph.mu.Unlock()
	defer b.end()
	f()
}

// end closes the batch. What it holds goes to the batch opened before it or, if
// that is no longer open, runs.
func (b *batch) end() {
	graph.mu.Lock()
	if b.older != nil {
		b.older.newer = b.newer
	}
	if b.newer != nil {
		b.newer.older = b.older
	} else {
		graph.newest = b.older
	}
	outermost := b.older == nil
	if outermost {
		release(b.held)
	} else {
		b.older.held = append(b.older.held, b.held...)
	}
	graph.mu.Unlock()
	if outermost {
		flush()
	}
}

// enqueue takes effects that have become queued. It reports whether a batch
// holds them; otherwise the caller has to flush. graph.mu is held.
func enqueue(woken []*EffectHandle) (held bool) {
	if b := graph.newest; b != nil {
		b.held = append(b.held, woken...)
		return true
	}
	release(woken)
	return false
}

// release makes effects ready, in the order of their creation. graph.mu is held.
func release(woken []*EffectHandle) {
	sorting.Sort(woken, func(a, b *EffectHandle) int { return cmp.Compare(a.seq, b.seq) })
	graph.ready = append(graph.ready, woken...)
}

// flush runs ready effects until none is left, also if some panic; the first
// panic then continues. An effect that makes a change flushes in its turn, and so
// do other goroutines: each effect runs where it is taken from the queue.
func flush() {
	empty := false
	defer func() {
		if empty {
			return
		}
		// On runtime.Goexit the rest stays ready for the next flush: nobody
		// would see a panic of theirs.
		if p := recover(); p != nil {
			defer panic(p)
			flush()
		}
	}()
	for h := next(); h != nil; h = next() {
		h.run()
	}
	empty = true
}

// flushUnlessHeld flushes unless a batch is open.
func flushUnlessHeld() {
	graph.mu.Lock()
	held := graph.newest != nil
	graph.mu.Unlock()
	if !held {
		flush()
	}
}

// next takes the next effect to run, or nil, and makes it running.
func next() *EffectHandle {
	graph.mu.Lock()
	defer graph.mu.Unlock()
	for len(graph.ready) > 0 {
		h := graph.ready[0]
		graph.ready[0] = nil
		graph.ready = graph.ready[1:]
		if !h.closed {
			h.state = running
			return h
		}
	}
	graph.ready = nil
	return nil
}
