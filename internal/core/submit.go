package core

import (
	"context"
	"errors"
	"slices"

	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage"
)

// lookup is what the store holds of a submission's events and their parents.
type lookup struct {
	seq    uint64 // publication that was looked at
	known  bool   // the transaction is stored
	stored map[id.ID]storage.Position
}

var errReadAgain = errors.New("ankurah: read again")

func look(ctx context.Context, snap *Snap, req *Request) (*lookup, error) {
	l := &lookup{seq: snap.Seq, stored: map[id.ID]storage.Position{}}
	var err error
	if _, l.known, err = snap.Tx(ctx, req.ID); err != nil || l.known {
		return l, err
	}
	find := func(i id.ID) error {
		if _, seen := l.stored[i]; seen {
			return nil
		}
		pos, ok, err := snap.Find(ctx, i)
		if ok {
			l.stored[i] = pos
		}
		return err
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
// order, or refuses it whole (S12). A submission that is known already is
// empty (S11, S27).
func (c *Core) admit(t *tx) ([]*event.Event, error) {
	if t.lookup.known {
		return nil, nil
	}
	events := slices.Clone(t.req.Events)
	id.SortBy(events, func(e *event.Event) id.ID { return e.ID })
	limit := max(c.ex.Now()+MaxClockSkew, c.clock.Last().Millis()+1)
	own := map[id.ID]id.ID{}
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
		if _, twice := own[e.ID]; twice || c.has(t, e.ID, e.Entity) {
			continue
		}
		for _, p := range e.Parents {
			if own[p] == e.Entity || c.has(t, p, e.Entity) {
				continue
			}
			if t.lookup.seq != c.seq {
				return nil, errReadAgain
			}
			return nil, &submitError{e, "its parent " + p.String() + " is not stored", ErrUnknownParent}
		}
		own[e.ID] = e.Entity
		fresh = append(fresh, e)
	}
	for _, e := range fresh {
		c.clock.Observe(e.Stamp)
	}
	return fresh, nil
}

// has reports whether event i of an entity is stored or in flight.
func (c *Core) has(t *tx, i, entityID id.ID) bool {
	if at, ok := c.flying[i]; ok {
		return at == entityID
	}
	if pos, ok := t.lookup.stored[i]; ok {
		return pos.Entity == entityID
	}
	s, _ := c.current(t, entityID)
	return s.Head().Contains(i)
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
