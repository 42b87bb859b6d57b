package core

import (
	"context"
	"errors"
	"slices"

	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/policy"
)

// lookup is what the store holds of a submission's events and their parents.
type lookup struct {
	seq    uint64 // publication that was looked at
	known  bool   // the transaction is stored
	fence  error  // why it was refused for good
	stored map[id.ID]stored
}

// stored is an event that is there: whose it is, and its full digest.
type stored struct {
	entity id.ID
	digest event.Digest
}

var errReadAgain = errors.New("ankurah: read again")

func look(ctx context.Context, snap *Snap, req *Request) (*lookup, error) {
	l := &lookup{seq: snap.Seq, stored: map[id.ID]stored{}}
	record, known, err := snap.Tx(ctx, req.ID)
	if canShare && known && err == nil {
		l.fence, err = fenceOf(req.ID, record)
	}
	if l.known = known && l.fence == nil; err != nil || known || req.refused != nil {
		return l, err // of what is refused whatever is there, only whether it is there counts
	}
	find := func(i id.ID) error {
		if _, seen := l.stored[i]; seen {
			return nil
		}
		pos, ok, err := snap.Find(ctx, i)
		if !ok || err != nil {
			return err
		}
		for e, err := range snap.Events(ctx, pos.Collection, pos.Entity, pos.Rev, pos.Rev) {
			if err != nil {
				return err
			}
			l.stored[i] = stored{pos.Entity, e.Digest}
		}
		return nil
	}
	for _, e := range req.Events {
		if err := find(e.ID); err != nil {
			return nil, err
		}
		for _, p := range e.Parents {
			if err := find(p); err != nil {
				return nil, err
			}
		}
	}
	return l, nil
}

// admit returns a submission's events that are not stored yet, in causal
// order, or refuses it whole (S12).
func (c *Core) admit(t *tx) ([]*event.Event, error) {
	events := slices.Clone(t.req.Events)
	id.SortBy(events, func(e *event.Event) id.ID { return e.ID })
	limit := max(c.ex.Now()+MaxClockSkew, c.clock.Last().Millis()+1)
	own := map[id.ID]*event.Event{}
	fresh := events[:0]
	for _, e := range events {
		if e.Root != c.root {
			return nil, &submitError{e, "it belongs to the system " + e.Root.String() + ", not to this one", event.ErrMalformed}
		}
		if p := t.req.from; p != nil && e.Author != event.NodeAuthor(p.node) {
			return nil, &submitError{e, "its author is not the node that sends it", event.ErrMalformed}
		} else if p != nil && e.Actor != p.principal.Subject {
			return nil, &submitError{e, "its actor is not the principal of the connection", policy.ErrDenied}
		}
		if e.Stamp.Millis() > limit {
			return nil, &submitError{e, "it is ahead of the clock", ErrTooEarly}
		}
		if first, twice := own[e.ID]; twice && first.Digest != e.Digest {
			return nil, &submitError{e, "another event of the transaction has its ID", event.ErrMalformed}
		} else if twice {
			continue
		}
		if have, ok := c.find(t, e.ID, e.Entity); ok && have != (stored{e.Entity, e.Digest}) {
			return nil, &submitError{e, "another event with its ID is stored", event.ErrMalformed}
		} else if ok {
			continue
		}
		for _, p := range e.Parents {
			if mine := own[p]; mine != nil && mine.Entity == e.Entity {
				continue
			}
			if have, ok := c.find(t, p, e.Entity); ok && have.entity == e.Entity {
				continue
			}
			if t.lookup.seq != c.seq {
				return nil, errReadAgain
			}
			if s, _ := c.current(t, e.Entity); s != nil && !c.shows(t.req.from, s) {
				p = e.Parents[0] // as if none were
			}
			return nil, unknownParent(e, p)
		}
		own[e.ID] = e
		fresh = append(fresh, e)
	}
	return fresh, nil
}

func unknownParent(e *event.Event, parent id.ID) error {
	return &submitError{e, "its parent " + parent.String() + " is not stored", ErrUnknownParent}
}

// find returns event i if it is stored or in flight; one that was stored since
// the store was looked at, if it is a tip of the entity.
func (c *Core) find(t *tx, i, entityID id.ID) (stored, bool) {
	if at, ok := c.flying[i]; ok {
		return at, true
	}
	if at, ok := t.lookup.stored[i]; ok {
		return at, true
	}
	s, _ := c.current(t, entityID)
	for _, tip := range s.Head() {
		if tip.ID == i {
			return stored{entityID, tip.Digest}, true
		}
	}
	return stored{}, false
}

type submitError struct {
	e    *event.Event
	why  string
	kind error
}

func (e *submitError) Error() string {
	return "ankurah: event " + e.e.ID.String() + " of " + e.e.Collection + " " + e.e.Entity.String() + " is refused: " + e.why
}
func (e *submitError) Unwrap() error { return e.kind }
