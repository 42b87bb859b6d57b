package signal

// Tracker records what one evaluation of a computed function or one run of an
// effect reads. The function passes the Tracker it was given to Get; passing nil
// reads without depending. It may be used from several goroutines, but only
// until the function returns: afterwards it records nothing, as nil.
//
// Once the function has returned, its Tracker is the list of its dependencies
// until the next evaluation has replaced it.
type Tracker struct {
	// One of the two is set.
	computed *computed
	effect   *EffectHandle

	parent *Tracker // the evaluation that reads this one, to find cycles
	start  uint64   // when it started, in tickets
	epoch  uint64   // when it started, in changes
	replay bool     // evaluated only to raise a panic again

	// Guarded by graph.mu.
	edges  []*edge          // in the order of first reads
	index  map[*Source]bool // of edges, once there are many
	stale  bool             // something it read has changed or may have
	done   bool             // the function has returned, or the effect is closed
	landed chan struct{}    // closed when the evaluation ends; made by who waits
}

// indexAbove is the number of edges up to which searching them beats a map.
const indexAbove = 16

// observe adds s to what t has read and returns the new edge, or nil if there is
// none to add. The first edge stands for all later reads of the same source: if
// it changes in between, what was read first is outdated. graph.mu is held.
func (t *Tracker) observe(s *Source) *edge {
	if t.done || t.observes(s) {
		return nil
	}
	e := &edge{src: s, to: t}
	t.edges = append(t.edges, e)
	if t.index != nil {
		t.index[s] = true
	} else if len(t.edges) > indexAbove {
		t.index = make(map[*Source]bool, 2*len(t.edges))
		for _, e := range t.edges {
			t.index[e.src] = true
		}
	}
	e.link()
	// After link, so that a change that this misses finds the edge.
	e.seen = s.version.Load()
	return e
}

func (t *Tracker) observes(s *Source) bool {
	if t.index != nil {
		return t.index[s]
	}
	for _, e := range t.edges {
		if e.src == s {
			return true
		}
	}
	return false
}

// finish ends the recording. graph.mu is held.
func (t *Tracker) finish() {
	t.done = true
	t.index = nil
}

// unlink keeps the edges but no longer hears of changes. graph.mu is held.
func (t *Tracker) unlink() {
	for _, e := range t.edges {
		e.unlink()
	}
}

// invalidate marks t and what depends on it. Whatever is marked already has
// passed the mark on: the observers of a stale evaluation are stale, or are
// about to read it and thereby to bring it up to date. graph.mu is held.
func (t *Tracker) invalidate(woken []*EffectHandle) []*EffectHandle {
	if t.stale {
		return woken
	}
	t.stale = true
	if t.computed != nil {
		return t.computed.source.invalidate(woken)
	}
	return t.effect.wake(woken)
}

// changed reports whether anything t read has another value by now. It brings
// the computed values among it up to date, in the order of the reads: as long as
// the earlier ones are unchanged, a new evaluation would read the next one too.
// reader is the evaluation on whose behalf it asks. graph.mu is held on entry
// and return and released in between.
func (t *Tracker) changed(reader *Tracker) bool {
	for _, e := range t.edges {
		if c := e.src.owner; c != nil {
			if c.evaluates(reader) {
				return true // a cycle, which the evaluation will report
			}
			c.refresh(reader, quiet)
		}
		if e.src.version.Load() != e.seen {
			return true
		}
	}
	// Sources checked early may have changed while the lock was released.
	for _, e := range t.edges {
		if e.outdated() {
			return true
		}
	}
	return false
}
