package core

import (
	"context"
	"slices"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/storage"
)

// What a transaction's events make of states, and whether they may.

type learnedProps struct {
	collection string
	props      []schema.Property
}

// applyEvent moves the transaction's state of an entity over event e, after
// schema, policy and constraints agreed (S20).
func (c *Core) applyEvent(t *tx, e *event.Event, learned []learnedProps) ([]learnedProps, error) {
	if !t.req.system && e.Collection[0] == '_' {
		return nil, &reservedError{e.Collection}
	}
	w := t.write(e.Entity)
	var before *entity.State
	if w != nil {
		before = w.After
	} else if !e.IsGenesis() || len(t.req.Events) > 0 {
		before, _ = c.current(t, e.Entity)
	}
	if err := c.mayChange(t.req.from, before, e); err != nil {
		return nil, err
	}
	if before != nil && before.Collection() != e.Collection {
		return nil, &wrongCollection{e.Entity, e.Collection, before.Collection()}
	}
	after, err := before.Apply(c.cfg.Kinds, e)
	if err != nil {
		return nil, err
	}
	if !t.req.system {
		props, err := c.checkOps(e.Collection, e.Ops)
		if err != nil {
			return nil, err
		}
		if len(props) > 0 {
			learned = append(learned, learnedProps{e.Collection, props})
		}
		if err := c.allow(t.req.Principal, policy.Write{Before: before, After: after, Event: e, Model: c.extended(e.Collection, props)}); err != nil {
			return nil, err
		}
	}
	if err := c.checkEvent(e); err != nil {
		return nil, err
	}
	if err := c.checkState(before, after); err != nil {
		return nil, err
	}
	t.size += e.Size()
	if w != nil {
		w.After = after
		w.Events = append(w.Events, e)
		return learned, nil
	}
	if len(t.req.Events) > 0 {
		if t.at == nil {
			t.at = make(map[id.ID]int, len(t.req.Events))
		}
		t.at[e.Entity] = len(t.writes)
	}
	t.writes = append(t.writes, storage.EntityWrite{Before: before, After: after, Events: []*event.Event{e}})
	return learned, nil
}

// wrote returns the transaction's write that led from one state to another,
// nil when there is none. t may be nil.
func (t *tx) wrote(before, after *entity.State) *storage.EntityWrite {
	if t == nil {
		return nil
	}
	for k := range t.writes {
		if w := &t.writes[k]; w.After == after && w.Before.Head().Equal(before.Head()) {
			return w
		}
	}
	return nil
}

// has reports whether the transaction led to a state.
func (t *tx) has(after *entity.State) bool {
	return slices.ContainsFunc(t.writes, func(w storage.EntityWrite) bool { return w.After == after })
}

// mayChange answers a write to what a peer may not read as if it were absent
// (S38).
func (c *Core) mayChange(p *Peer, before *entity.State, e *event.Event) error {
	if before != nil && !e.IsGenesis() && !c.shows(p, before) {
		return unknownParent(e, e.Parents[0])
	}
	return nil
}

// shows reports whether a peer may read a state. There is none of this node's
// own transactions.
func (c *Core) shows(p *Peer, s *entity.State) bool {
	if p == nil {
		return true
	}
	f, err := c.filter(p, s.Collection())
	return err == nil && f.reads(s)
}

// write returns the transaction's write of an entity made so far. Only
// submissions can have several events of one entity.
func (t *tx) write(entityID id.ID) *storage.EntityWrite {
	if k, ok := t.at[entityID]; ok {
		return &t.writes[k]
	}
	return nil
}

func (c *Core) checkEvent(e *event.Event) error {
	if err := atMost(e.Size(), c.cfg.Limits.EventBytes, "an event has", "bytes", "EventBytes", "write less at once"); err != nil {
		return err
	}
	return atMost(len(e.Parents), c.cfg.Limits.Parents, "an event has", "parents", "Parents", "")
}

// checkState returns an error when a state grows beyond a limit. One that was
// beyond it before may stay so, or shrink.
func (c *Core) checkState(before, after *entity.State) error {
	l := &c.cfg.Limits
	grows := func(count func(*entity.State) int, most int, unit, name, hint string) error {
		n := count(after)
		if n <= most || before != nil && n <= count(before) {
			return nil
		}
		return atMost(n, most, after.Collection()+" "+after.ID().String()+" gets", unit, name, hint)
	}
	if err := grows(func(s *entity.State) int { return len(s.Entries()) }, l.Properties, "properties", "Properties", "use more entities"); err != nil {
		return err
	}
	if err := grows(func(s *entity.State) int { return len(s.Head()) }, l.HeadWidth, "concurrent events", "HeadWidth", "read it again and edit what was read"); err != nil {
		return err
	}
	return grows((*entity.State).Size, l.StateBytes, "bytes", "StateBytes", "use more entities")
}

// allow asks the policy agent and the constraints about a write. A panic in
// one is a denial.
func (c *Core) allow(p policy.Principal, w policy.Write) (err error) {
	asked := "the policy agent"
	defer func() {
		if c.panicked(asked, recover()) {
			err = &policy.DeniedError{Subject: p.Subject, Collection: w.After.Collection(), Rule: asked + " panicked"}
		}
	}()
	if c.cfg.Policy != nil {
		if err := c.cfg.Policy.CheckWrite(p, w); err != nil {
			return err
		}
	}
	asked = "a constraint"
	for _, k := range c.cfg.Constraints {
		if err := k.Check(context.Background(), w.Before, w.After); err != nil {
			return &constraintError{w.After.Collection(), w.After.ID(), err}
		}
	}
	return nil
}
