package core

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/reactor"
	"github.com/ankurah/ankurah-go/internal/sorting"
	"github.com/ankurah/ankurah-go/internal/wire"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/storage"
)

// move is what a durable node said, to be applied in one batch: to bases,
// outbox and rejected list (S25–S29).
type move struct {
	steps   []step
	epoch   id.ID // of the bases from now on, zero: the same
	remake  bool  // make the outbox's events again, from a corrected clock (S4)
	windows []windowMove
	results []resultMove
	answers []*request // for entities by ID, of which it is the answer
	synced  []syncing  // live queries to which a durable node has said all it knows
	link    *Link      // that it came over, nil for none
	done    []func(error)
}

// step is one word: an acknowledgement, a refusal or a change.
type step struct {
	ack     *wire.Ack
	refusal *refusal
	change  *wire.Change
}

// windowMove is what entered and left the window of a live query; with all set
// in is everything that is in it.
type windowMove struct {
	syncing
	in, out []id.ID
	all     bool
}

type refusal struct {
	tx  event.TxID
	why error
}

// add appends what another move says.
func (m *move) add(o *move) {
	m.steps = append(m.steps, o.steps...)
	m.answers = append(m.answers, o.answers...)
	m.synced = append(m.synced, o.synced...)
	m.windows = append(m.windows, o.windows...)
	m.results = append(m.results, o.results...)
	m.done = append(m.done, o.done...)
}

// replaced returns the entities of which m says a state, or that they are gone.
// What else it says of others is said upon bases.
func (m *move) replaced() map[id.ID]bool {
	out := map[id.ID]bool{}
	note := func(x *wire.Change) {
		if x.Removed || len(x.State) > 0 {
			out[x.Entity] = true
		}
	}
	for _, s := range m.steps {
		if s.change != nil {
			note(s.change)
		}
		if s.ack != nil {
			for k := range s.ack.Changes {
				note(&s.ack.Changes[k])
			}
		}
	}
	return out
}

// entities calls f with the entities that m may touch.
func (m *move) entities(c *Core, f func(collection string, i id.ID)) {
	for _, s := range m.steps {
		switch {
		case s.change != nil:
			f(s.change.Collection, s.change.Entity)
		case s.ack != nil:
			for k := range s.ack.Changes {
				f(s.ack.Changes[k].Collection, s.ack.Changes[k].Entity)
			}
			if o := c.outByID[s.ack.Tx]; o != nil {
				for _, e := range o.events {
					f(e.Collection, e.Entity)
				}
			}
		}
	}
	for _, w := range m.windows {
		for _, i := range w.touched() {
			f(w.q.Selection().Collection, i)
		}
	}
	if m.remake || slices.ContainsFunc(m.steps, func(s step) bool { return s.refusal != nil }) {
		for _, o := range c.outbox {
			for _, e := range o.events {
				f(e.Collection, e.Entity)
			}
		}
	}
}

// touched returns the entities that come or go, unless everything is new.
func (w *windowMove) touched() []id.ID {
	if w.all {
		return nil
	}
	return slices.Concat(w.in, w.out)
}

// mover applies a move to copies, so that nothing is changed before all of it
// is known to be right.
type mover struct {
	c       *Core
	t       *tx
	m       *move
	order   []id.ID
	touched map[id.ID]*moved
	slab    []moved  // to be used
	settled []*outTx // acknowledged or dropped
	refused map[event.TxID]error
	wants   []stateKey // whose states have to be asked for
}

type moved struct {
	collection string
	before     *entity.State // visible
	was        *pend         // nil: nothing was pending
	base       *entity.State
	events     []*event.Event
	moved      bool    // the base
	created    bool    // by events that came with the move
	causes     []id.ID // events that made a difference
}

func (c *Core) validateMove(t *tx) error {
	if l := t.req.move.link; l != nil && l.err != nil {
		// The next connection sends again what this one did not settle, and may
		// hear another verdict.
		return errNotTakenUp()
	}
	n := t.req.mentions()
	v := &mover{c: c, t: t, m: t.req.move, touched: make(map[id.ID]*moved, n), order: make([]id.ID, 0, n)}
	if v.m.remake {
		if err := v.remake(); err != nil {
			return err
		}
	}
	for k := range v.m.steps {
		s := &v.m.steps[k]
		var err error
		switch {
		case s.ack != nil:
			err = v.ack(s.ack)
		case s.refusal != nil:
			v.refuse(s.refusal)
		default:
			err = v.change(s.change, nil)
		}
		if err != nil {
			return err
		}
	}
	for _, w := range v.m.windows {
		for _, i := range w.touched() {
			v.at(w.q.Selection().Collection, i)
		}
	}
	v.finish()
	return nil
}

// at returns the entity's place in the move.
func (v *mover) at(collection string, i id.ID) *moved {
	if e := v.touched[i]; e != nil {
		return e
	}
	if len(v.slab) == 0 {
		v.slab = make([]moved, max(1, min(len(v.m.steps)-len(v.order), 64)))
	}
	e := &v.slab[0]
	v.slab = v.slab[1:]
	*e = moved{collection: collection, was: v.c.pends[i]}
	e.before, _ = v.c.current(v.t, i)
	e.base = e.before
	if e.was != nil {
		e.base, e.events = e.was.base, slices.Clone(e.was.events)
	}
	v.touched[i] = e
	v.order = append(v.order, i)
	return e
}

// change moves a base as S25 says. own are the events of an Ack, which the
// sender did not repeat.
func (v *mover) change(x *wire.Change, own []*event.Event) error {
	e := v.at(x.Collection, x.Entity)
	switch {
	case x.Removed:
		e.base, e.moved = nil, true
		return nil
	case len(x.State) > 0:
		s, err := entity.Decode(x.Collection, x.Entity, x.State)
		if err != nil {
			return &malformedChange{err}
		}
		if s.Rev() > e.base.Rev() || !v.m.epoch.IsZero() {
			e.base, e.moved = s, true
			for _, tip := range s.Head() {
				if !e.before.Head().Contains(tip.ID) {
					e.causes = append(e.causes, tip.ID)
				}
			}
			v.learn(s)
		}
		return nil
	case x.After <= e.base.Rev():
		return nil // older
	case x.Before != e.base.Rev():
		v.wants = append(v.wants, stateKey{x.Collection, x.Entity})
		return nil
	}
	for _, b := range x.Events {
		ev, err := event.Decode(b)
		if err == nil && (ev.Entity != x.Entity || ev.Collection != x.Collection) {
			err = errors.New("an event of another entity")
		}
		if err != nil {
			return &malformedChange{err}
		}
		own = append(own, ev)
	}
	next := e.base
	for _, ev := range own {
		after, err := next.Apply(v.c.cfg.Kinds, ev)
		if err != nil {
			next = nil
			break
		}
		next = after
	}
	if next == nil || next.Rev() != x.After || !next.Head().Equal(x.Head) {
		v.wants = append(v.wants, stateKey{x.Collection, x.Entity})
		return nil
	}
	e.base, e.moved = next, true
	for _, ev := range own {
		e.causes = append(e.causes, ev.ID)
		e.created = e.created || ev.IsGenesis()
	}
	v.learn(next)
	return nil
}

type malformedChange struct{ err error }

func (e *malformedChange) Error() string   { return "ankurah: malformed change: " + e.err.Error() }
func (e *malformedChange) Unwrap() []error { return []error{event.ErrMalformed, e.err} }

// ack takes a transaction's events from pending into the bases. Changes that
// say states or events are of other entities, and came with it.
func (v *mover) ack(m *wire.Ack) error {
	o := v.c.outByID[m.Tx]
	for k := range m.Changes {
		x := &m.Changes[k]
		var own []*event.Event
		if o != nil && len(x.State)+len(x.Events) == 0 {
			for _, e := range o.events {
				if e.Entity == x.Entity {
					own = append(own, e)
				}
			}
		}
		if err := v.change(x, own); err != nil {
			return err
		}
	}
	if o != nil {
		v.settle(o)
	}
	return nil
}

// settle takes a transaction's events out of pending.
func (v *mover) settle(o *outTx) {
	if slices.Contains(v.settled, o) {
		return
	}
	v.settled = append(v.settled, o)
	for _, gone := range o.events {
		e := v.at(gone.Collection, gone.Entity)
		e.events = slices.DeleteFunc(e.events, func(ev *event.Event) bool { return ev == gone })
	}
}

// refuse drops a transaction and what builds on it.
func (v *mover) refuse(r *refusal) {
	if v.c.outByID[r.tx] == nil {
		return // dropped before, with another
	}
	if v.refused == nil {
		v.refused = map[event.TxID]error{}
	}
	if v.refused[r.tx] != nil {
		return
	}
	v.refused[r.tx] = r.why
	v.c.dropped.age()
	v.c.dependents(v.refused)
	for _, o := range v.c.outbox {
		if v.refused[o.id] == nil {
			continue
		}
		v.settle(o)
		for _, gone := range o.events {
			v.c.dropped.put(gone.ID, true)
			if gone.IsGenesis() {
				v.c.dropped.put(gone.Entity, true)
			}
			e := v.at(gone.Collection, gone.Entity)
			e.causes = append(e.causes, gone.ID)
			if e.base != nil {
				// What the dropped events hid may be old.
				v.wants = append(v.wants, stateKey{gone.Collection, gone.Entity})
			}
		}
	}
}

// learn notes properties that the catalog does not know.
func (v *mover) learn(s *entity.State) {
	m := v.c.Model(s.Collection())
	var props []schema.Property
	for _, e := range s.Entries() {
		if e.Key[0] != '_' && !e.Value.IsNull() && (m == nil || m.Property(e.Key) == nil) {
			props = append(props, schema.Property{Key: e.Key, Type: e.Value.Type(), Kind: e.Kind, Optional: true})
		}
	}
	if len(props) > 0 {
		v.c.learn(s.Collection(), props)
	}
}

// remake makes the outbox's events again: in commit order, from the corrected
// clock, parents mapped, entity and transaction IDs as they were (S4).
func (v *mover) remake() error {
	c := v.c
	c.renamed.age()
	for _, o := range c.outbox {
		again := make([]*event.Event, len(o.events))
		for k, old := range o.events {
			h := old.Header
			h.Parents = slices.Clone(h.Parents)
			for j, p := range h.Parents {
				h.Parents[j] = c.present(p)
				c.clock.Observe(h.Parents[j].Stamp())
			}
			sorting.Sort(h.Parents, id.ID.Compare)
			h.Stamp = c.now()
			var salt [16]byte
			c.ex.Random(salt[:])
			e, err := event.New(h, salt, old.Ops)
			if err != nil {
				return err
			}
			again[k] = e
			c.renamed.put(old.ID, event.Tip{ID: e.ID, Digest: e.Digest})
			at := v.at(old.Collection, old.Entity)
			at.events[slices.Index(at.events, old)] = e
			at.causes = append(at.causes, e.ID)
		}
		o.events = again
		for k := range o.requires {
			o.requires[k].Head = c.presentHead(o.requires[k].Head)
		}
		v.t.meta = append(v.t.meta, storage.MetaWrite{Key: seqKey(metaOutbox, o.seq), Value: o.record()})
	}
	return nil
}

// finish makes the writes, and changes what the core keeps in memory.
func (v *mover) finish() {
	c, t := v.c, v.t
	t.writes = make([]storage.EntityWrite, 0, len(v.order))
	t.changes = make([]reactor.Change, 0, len(v.order))
	for _, i := range v.order {
		e := v.touched[i]
		for _, t := range e.base.Head() {
			c.clock.Observe(t.ID.Stamp()) // what is made from now on is later (S3)
		}
		after := c.visible(e.base, e.events)
		switch {
		case after == nil && e.before == nil:
		case after == nil:
			after = entity.Gone(e.collection, i)
			t.writes = append(t.writes, storage.EntityWrite{Before: e.before, After: after})
		case v.m.epoch.IsZero() && e.before.Head().Equal(after.Head()) && e.before.Rev() == after.Rev():
			// Nothing happened. Between epochs heads and revs say less: the base
			// may be another under the same pending event.
			after = e.before
		default:
			t.writes = append(t.writes, storage.EntityWrite{Before: e.before, After: after})
		}
		if after != nil {
			if len(e.causes) == 0 && after != e.before {
				e.causes = after.Head().Parents() // what is below its tips is not known
			}
			sorting.Sort(e.causes, id.ID.Compare)
			t.changes = append(t.changes, reactor.Change{
				Before: e.before, After: after, Events: slices.Compact(e.causes), Arrived: e.before == nil && !e.created,
			})
		}
		v.keepBase(i, e, after)
	}
	sorting.Sort(t.writes, func(a, b storage.EntityWrite) int { return a.After.ID().Compare(b.After.ID()) })
	sorting.Sort(t.changes, func(a, b reactor.Change) int {
		if c := strings.Compare(a.After.Collection(), b.After.Collection()); c != 0 {
			return c
		}
		return a.After.ID().Compare(b.After.ID())
	})
	for _, o := range v.settled {
		t.meta = append(t.meta, storage.MetaWrite{Key: seqKey(metaOutbox, o.seq)})
		c.dequeue(o)
		why := v.refused[o.id]
		if why != nil {
			c.rejSeq++
			c.rejected[c.rejSeq] = struct{}{}
			t.meta = append(t.meta, storage.MetaWrite{Key: seqKey(metaRejected, c.rejSeq), Value: appendRejected(o, why)})
		}
		t.told = append(t.told, told{o, why})
		c.untold[o.id] = o
	}
	if !v.m.epoch.IsZero() {
		c.server = v.m.epoch
		t.meta = append(t.meta, storage.MetaWrite{Key: metaServer, Value: slices.Clone(c.server[:])})
	}
	if v.m.link != nil {
		v.m.link.want(v.wants)
	}
}

// keepBase keeps the base of an entity with pending events beside its visible
// state, and forgets it when none are pending.
func (v *mover) keepBase(i id.ID, e *moved, visible *entity.State) {
	c, t := v.c, v.t
	if len(e.events) > 0 || e.was != nil {
		t.covers = append(t.covers, cover{e.collection, i, len(e.events) > 0, e.base, visible})
	}
	switch {
	case len(e.events) > 0:
		c.pends[i] = &pend{e.base, e.events}
		if e.was == nil || e.moved {
			t.meta = append(t.meta, storage.MetaWrite{Key: baseKey(i), Value: appendBase(e.collection, e.base)})
		}
	case e.was != nil:
		delete(c.pends, i)
		t.meta = append(t.meta, storage.MetaWrite{Key: baseKey(i)})
	}
}

// told is a transaction whose outcome became known.
type told struct {
	o   *outTx
	why error // nil: acknowledged
}

func (c *Core) setOffset(offset int64) {
	c.offset = offset
	c.setMeta(metaOffset, binary.BigEndian.AppendUint64(nil, uint64(offset)))
}
