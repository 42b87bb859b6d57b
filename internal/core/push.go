package core

import (
	"slices"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/wire"
	"github.com/ankurah/ankurah-go/storage"
)

// What peers hear of commits.

func (c *Core) touch(p *Peer) {
	if !p.touched {
		p.touched = true
		c.touchedPeers = append(c.touchedPeers, p)
	}
}

// gather notes a change unless another query of the peer has noted it. Of
// several commits that are told at once the last one counts: what rows refer to
// may be noted as an earlier one left it.
func (p *Peer) gather(o *outgoing) {
	if have := p.byEntity[o.entity]; have != nil {
		if o.now == nil {
			return // the state says as much, if it may be read
		}
		if have.now == nil || o.now.Rev() > have.now.Rev() { // by another of several commits
			have.now, have.whole = o.now, true
		}
		have.whole = have.whole || o.whole
		return
	}
	p.byEntity[o.entity] = o
	p.changes = append(p.changes, o)
}

// endCommit pushes what was gathered about the commit of t, or, when t is nil,
// about several whole ones (S37).
func (c *Core) endCommit(t *tx) {
	var cache pushCache
	touched := c.touchedPeers
	c.touchedPeers = nil // a peer that is cut may have something told to others
	for _, p := range touched {
		p.touched = false
		c.push(p, t, &cache)
	}
	if c.touchedPeers == nil {
		clear(touched)
		c.touchedPeers = touched[:0]
	}
}

// pushCache keeps what one commit's pushes have in common: a change is encoded
// once for all peers that get it alike, and so are the frames of those that get
// all alike.
type pushCache struct {
	changes map[pushKey]wire.Change
	pushes  []sharedPush
}

// sharedPush is the frames of some changes.
type sharedPush struct {
	keys   []pushKey
	frames [][]byte
}

// maxShared is how many different pushes of a commit are looked through.
const maxShared = 16

// pushKey says what a peer hears of an entity.
type pushKey struct {
	now   *entity.State
	whole bool
	gone  id.ID // in place of both: it is not there for the peer
}

// frames returns those of just these changes, nil when there are none yet.
func (x *pushCache) frames(keys []pushKey) [][]byte {
	for k := range x.pushes {
		if slices.Equal(x.pushes[k].keys, keys) {
			return x.pushes[k].frames
		}
	}
	return nil
}

func (x *pushCache) keep(keys []pushKey, frames [][]byte) {
	if len(x.pushes) < maxShared {
		x.pushes = append(x.pushes, sharedPush{keys, frames})
	}
}

// change returns how a change is sent, as encode makes it the first time.
func (x *pushCache) change(key pushKey, encode func() wire.Change) wire.Change {
	c, made := x.changes[key]
	if !made {
		if x.changes == nil {
			x.changes = map[pushKey]wire.Change{}
		}
		c = encode()
		x.changes[key] = c
	}
	return c
}

func (c *Core) push(p *Peer, t *tx, cache *pushCache) {
	changes, windows, results, acks := p.changes, p.windows, p.results, p.acks
	p.changes, p.windows, p.results, p.acks = nil, nil, nil, nil
	clear(p.byEntity)
	if p.ending {
		return
	}
	m := &wire.Push{Windows: windows, Results: results}
	var keys []pushKey
	for _, o := range changes {
		f, err := c.filter(p, o.collection)
		if err != nil || o.now == nil || !f.reads(o.now) {
			keys = append(keys, pushKey{gone: o.entity})
			m.Changes = append(m.Changes, wire.Change{Collection: o.collection, Entity: o.entity, Removed: true})
			continue
		}
		if o.now == o.before {
			continue // left a window, because of another row
		}
		if t != nil && t.req.from == p && t.has(o.now) && t.req.acked {
			continue // the Ack says it
		}
		w := t.wrote(o.before, o.now)
		whole := w == nil || o.whole && w.Before != nil || len(w.Events) > 1 && !f.all
		key := pushKey{now: o.now, whole: whole}
		keys = append(keys, key)
		m.Changes = append(m.Changes, cache.change(key, func() wire.Change {
			x := wire.Change{Collection: o.collection, Entity: o.entity, After: o.now.Rev()}
			if whole {
				x.State = o.now.Append(nil)
				return x
			}
			x.Before, x.Head = w.Before.Rev(), o.now.Head()
			for _, e := range w.Events {
				x.Events = append(x.Events, e.Append(nil))
			}
			return x
		}))
	}
	if n := len(acks); n > 0 {
		// In one piece: pending events leave windows and aggregates no sooner
		// than the server's word on these comes, and a row that enters a window
		// is shown at once, so its state may not come later (S37).
		last := acks[n-1]
		last.Changes, last.Windows, last.Results = append(last.Changes, m.Changes...), windows, results
		for k, a := range acks {
			a.Held = k < n-1
			p.put(len(p.slots), &slot{frames: ackFrames(a)})
		}
		c.ex.Wake(&p.Conn)
		return
	}
	if len(m.Changes)+len(m.Windows)+len(m.Results) == 0 {
		return
	}
	alike := len(windows)+len(results) == 0 // these have the numbers of the peer's queries
	if alike {
		if frames := cache.frames(keys); frames != nil {
			c.pushOn(p, frames)
			return
		}
	}
	frames := pushFrames(m)
	if alike {
		cache.keep(keys, frames)
	}
	c.pushOn(p, frames)
}

// pushOn sends a push. A peer that does not keep up is cut, and resynchronises
// when it comes again (S33).
func (c *Core) pushOn(p *Peer, frames [][]byte) {
	s := &slot{frames: frames}
	s.pushed = s.size()
	if wait := p.pushed + p.pushing; wait > 0 {
		if err := roomFor(wait+s.pushed, c.cfg.Limits.QueueBytes, "the connection is too slow for what happens: there wait", "bytes", "QueueBytes", ""); err != nil {
			c.cut(p, err)
			return
		}
	}
	p.put(len(p.slots), s)
	c.ex.Wake(&p.Conn)
	c.relieve()
}

// cut ends the connection of a peer that does not take what it is sent.
func (c *Core) cut(p *Peer, err error) {
	p.clear()
	c.dismiss(p, err)
}

// cutShown ends the connections of peers that are shown a result which is about
// to be made anew. Until it is they would see of commits what their other
// queries show, and what their own acknowledged ones did (S37); who comes again
// is told everything at once (S36).
func (c *Core) cutShown(r *result) {
	var list []*Peer
	for _, q := range r.shown {
		switch s := q.sink.(type) {
		case subscriber:
			list = append(list, s.p)
		case *aggregatedRows:
			for _, a := range s.r.shown {
				if s, is := a.sink.(aggregateSubscriber); is {
					list = append(list, s.p)
				}
			}
		}
	}
	for _, p := range list {
		if !p.ending {
			c.cut(p, &interruptedError{})
		}
	}
}

// cutAll ends the connections of all peers that are shown something.
func (c *Core) cutAll(err error) {
	for _, p := range c.peersInOrder() {
		rows := slices.ContainsFunc(p.subsInOrder(), func(s *sub) bool { return s.q.res != nil })
		if rows || slices.ContainsFunc(p.aggregatesInOrder(), func(s *aggregateSub) bool { return s.q.res != nil }) {
			c.cut(p, err)
		}
	}
}

// interruptedError ends a connection of which the node cannot go on telling
// whole commits.
type interruptedError struct{}

func (*interruptedError) Error() string {
	return "ankurah: the connection to the store was lost while rows were read: connect again"
}
func (*interruptedError) Unwrap() error { return storage.ErrInterrupted }

// relieve cuts the peers for which most waits until the node holds no more
// than it may (S33).
func (c *Core) relieve() {
	for c.queued > c.cfg.Limits.NodeQueueBytes {
		var worst *Peer
		for p := range c.peers {
			if worst == nil || p.Held() > worst.Held() || p.Held() == worst.Held() && p.n < worst.n {
				worst = p
			}
		}
		if worst == nil || worst.Held() == 0 {
			return // it is for connections that end
		}
		c.cut(worst, roomFor(c.queued, c.cfg.Limits.NodeQueueBytes, "for all connections there wait", "bytes, most for this one", "NodeQueueBytes", ""))
	}
}

// parts cuts changes into what fits into one message each, one part at least.
func parts(changes []wire.Change) (out [][]wire.Change) {
	first, size := 0, 0
	for k := range changes {
		n := sizeOf(&changes[k])
		if k > first && size+n > wire.MaxChunk {
			out = append(out, changes[first:k])
			first, size = k, 0
		}
		size += n
	}
	return append(out, changes[first:])
}

// sizeOf returns about how long the encoding of a change is.
func sizeOf(x *wire.Change) int {
	n := len(x.State) + 96 + 64*len(x.Head)
	for _, e := range x.Events {
		n += len(e) + 4
	}
	return n
}

func pushFrames(m *wire.Push) (frames [][]byte) {
	eachPart(m.Changes, m.Results, func(changes []wire.Change, results []wire.Result, more bool) {
		part := &wire.Push{Changes: changes, Results: results, More: more}
		if !more {
			part.Windows = m.Windows
		}
		frames = append(frames, wire.Append(nil, part))
	})
	return frames
}

func ackFrames(m *wire.Ack) (frames [][]byte) {
	eachPart(m.Changes, m.Results, func(changes []wire.Change, results []wire.Result, more bool) {
		part := &wire.Ack{Tx: m.Tx, Changes: changes, Results: results, More: more}
		if !more {
			part.Windows, part.Held = m.Windows, m.Held
		}
		frames = append(frames, wire.Append(nil, part))
	})
	return frames
}

// eachPart calls f with what fits into one message each, once at least: the
// first results go with the last changes.
func eachPart(changes []wire.Change, results []wire.Result, f func(changes []wire.Change, results []wire.Result, more bool)) {
	groups := resultParts(results)
	all := parts(changes)
	for _, part := range all[:len(all)-1] {
		f(part, nil, true)
	}
	last := all[len(all)-1]
	for len(groups) > 1 {
		f(last, groups[0], true)
		last, groups = nil, groups[1:]
	}
	if len(groups) == 0 {
		f(last, nil, false)
		return
	}
	f(last, groups[0], false)
}
