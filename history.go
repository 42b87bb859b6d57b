package ankurah

import (
	"context"
	"iter"
	"time"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/internal/book"
	"github.com/ankurah/ankurah-go/internal/core"
)

// Event is one event of an entity's history, for the audit trail.
type Event struct {
	ID      ID
	Parents []ID // the events that it was made upon
	Time    time.Time
	Author  string // the node that made it
	Actor   string // the principal that asked for it, "" when anonymous
	Tx      TxID
	Kind    EventKind
	Changes []PropertyChange // sorted by key
}

// EventKind is what an event did to its entity's existence.
type EventKind string

const (
	EventCreated  EventKind = "created"
	EventEdited   EventKind = "edited"
	EventDeleted  EventKind = "deleted"
	EventRestored EventKind = "restored"
)

// PropertyChange is what an event did to one property. An event that lost to a
// concurrent one changes nothing: Before and After are equal then.
type PropertyChange struct {
	Key           string
	Before, After any // Go values; nil where there is none
}

// History yields an entity's events in causal order, also of a deleted one.
// An entity that the principal may not read is an [ErrNotFound].
func (c Collection[M, V, E]) History(ctx context.Context, s *Session, who Identified) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if err := s.n.history(ctx, s, c.Name(), who.ID(), yield); err != nil {
			yield(Event{}, err)
		}
	}
}

func (n *Node) history(ctx context.Context, s *Session, collection string, id ID, yield func(Event, error) bool) error {
	if err := n.principal(s.p); err != nil {
		return err
	}
	if !n.durable {
		return n.remoteHistory(ctx, collection, id, yield)
	}
	snap, err := n.current()
	if err != nil {
		return err
	}
	defer snap.Release()
	now, err := snap.State(ctx, collection, id)
	if err != nil {
		return err
	}
	if now == nil {
		return &NotFoundError{collection, id}
	}
	if ok, err := n.core.Readable(now, s.p); err != nil || !ok {
		return orNotFound(err, collection, id)
	}
	sel, allow, err := n.core.Narrow(&ankql.Selection{Collection: collection, Limit: -1}, s.p)
	if err != nil {
		return err
	}
	reads := func(s *entity.State) bool { return sel.Match(s) && (allow == nil || allow(s)) }
	var before *entity.State
	for e, err := range snap.Events(ctx, collection, id, 1, now.Rev()) {
		if err != nil {
			return err
		}
		after, err := before.Apply(n.kinds, e)
		if err != nil {
			return err
		}
		// S38: only between states that the principal may read.
		if (before == nil || reads(before)) && reads(after) && !yield(describe(e, before, after), nil) {
			return nil
		}
		before = after
	}
	return nil
}

func orNotFound(err error, collection string, id ID) error {
	if err != nil {
		return err
	}
	return &NotFoundError{collection, id}
}

func describe(e *event.Event, before, after *entity.State) Event {
	out := Event{ID: e.ID, Parents: e.Parents, Time: e.ID.Time(), Author: e.Author.String(), Actor: e.Actor, Tx: e.Tx, Kind: EventEdited}
	if e.IsGenesis() {
		out.Kind = EventCreated
	}
	for _, op := range e.Ops {
		if op.Property == entity.Deleted {
			if before != nil && before.Exists() != after.Exists() {
				out.Kind = EventDeleted
				if after.Exists() {
					out.Kind = EventRestored
				}
			}
			continue
		}
		c := PropertyChange{Key: op.Property, After: after.Value(op.Property).GoValue()}
		if before != nil {
			c.Before = before.Value(op.Property).GoValue()
		}
		out.Changes = append(out.Changes, c)
	}
	return out
}

// Commit is one committed transaction, as the feed tells it.
type Commit struct {
	Position Position
	Tx       TxID
	Entities []CommitEntity
}

// CommitEntity is what a transaction did to one entity.
type CommitEntity struct {
	Collection string
	ID         ID
	Events     []Event
}

// Position is a place in a node's feed of commits. The zero Position is before
// the first one. Positions of one store stay valid across restarts.
type Position string

// Changes yields every transaction that this node committed after a position,
// in commit order, and then waits for more until ctx ends. It sees everything,
// whatever the policy: it is for the program that owns the node, to feed hooks
// and other systems.
func (n *Node) Changes(ctx context.Context, after Position) iter.Seq2[Commit, error] {
	return func(yield func(Commit, error) bool) {
		for {
			n.mu.Lock()
			if n.news == nil {
				n.news = make(chan struct{})
			}
			news := n.news
			n.mu.Unlock()
			var err error
			if after, err = n.readFeed(ctx, after, yield); err != nil {
				if err != errStopped {
					yield(Commit{}, err)
				}
				return
			}
			select {
			case <-news:
			case <-ctx.Done():
				yield(Commit{}, ctx.Err())
				return
			}
		}
	}
}

// readFeed yields what the feed holds after a position and returns the last
// one.
func (n *Node) readFeed(ctx context.Context, after Position, yield func(Commit, error) bool) (Position, error) {
	err := n.reading(ctx, func(snap *core.Snap) error {
		lo, hi := core.FeedRange([]byte(after))
		for entry, err := range snap.MetaRange(ctx, lo, hi) {
			if err != nil {
				return err
			}
			c := Commit{Position: Position(core.FeedPosition(entry.Key)), Tx: TxID(entry.Value)}
			if c.Entities, err = n.committed(ctx, snap, c.Tx); err != nil {
				return err
			}
			if !yield(c, nil) {
				return errStopped
			}
			after = c.Position
		}
		return nil
	})
	return after, err
}

func (n *Node) committed(ctx context.Context, snap *core.Snap, tx TxID) ([]CommitEntity, error) {
	record, ok, err := snap.Tx(ctx, tx)
	if err != nil || !ok {
		return nil, err
	}
	touched, err := book.DecodeRecord(record)
	if err != nil {
		return nil, err
	}
	out := make([]CommitEntity, len(touched))
	for k, t := range touched {
		out[k] = CommitEntity{Collection: t.Collection, ID: t.Entity}
		var before *entity.State
		for e, err := range snap.Events(ctx, t.Collection, t.Entity, 1, t.Last) {
			if err != nil {
				return nil, err
			}
			after, err := before.Apply(n.kinds, e)
			if err != nil {
				return nil, err
			}
			if after.Rev() >= t.First {
				out[k].Events = append(out[k].Events, describe(e, before, after))
			}
			before = after
		}
	}
	return out, nil
}
