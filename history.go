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

// Position is a place in the feed of commits of a store. The zero Position is
// before the first one. Positions of one store stay valid across restarts, and
// on every server that has the store open.
type Position string

// Changes yields every transaction that was committed to the store after a
// position, by this node or by another server, each once, and then waits for
// more until ctx ends. Causes come before effects, and the transactions of each
// entity in their order; where several servers commit, what is independent may
// come in another order to another reader. The feed is kept for
// NodeOptions.FeedRetention: who comes later gets an [ErrTrimmed], takes the
// [Node.FeedPosition], reads everything anew and goes on from there. Changes
// sees everything, whatever the policy: it is for the program that owns the
// node, to feed hooks and other systems.
func (n *Node) Changes(ctx context.Context, after Position) iter.Seq2[Commit, error] {
	return func(yield func(Commit, error) bool) {
		r := &feedReader{n: n, at: []byte(after), states: core.NewCache(feedCache), yield: yield}
		for {
			n.mu.Lock()
			if n.news == nil {
				n.news = make(chan struct{})
			}
			news := n.news
			n.mu.Unlock()
			more, err := r.read(ctx)
			if err == nil && !more {
				err = n.alive()
			}
			if err != nil {
				if err != errStopped {
					yield(Commit{}, err)
				}
				return
			}
			if more {
				continue
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

// FeedPosition returns the position behind everything that the node shows now.
func (n *Node) FeedPosition(ctx context.Context) (p Position, err error) {
	err = n.reading(ctx, func(snap *core.Snap) error {
		b, err := n.core.FeedEnd(ctx, snap)
		p = Position(b)
		return err
	})
	return p, err
}

// feedCache is how many bytes of states a reader of the feed keeps: what an
// event changed is told with what was there before.
const feedCache = 8 << 20

// feedReader reads the feed on and on.
type feedReader struct {
	n      *Node
	at     []byte
	states *core.Cache // as the transactions told so far have left them
	seq    uint64
	yield  func(Commit, error) bool
}

// read tells what a snapshot has of the feed, and reports whether it has more.
func (r *feedReader) read(ctx context.Context) (more bool, err error) {
	err = r.n.reading(ctx, func(snap *core.Snap) error {
		var failed error
		at := r.at
		_, m, err := core.ReadFeed(ctx, snap, at, func(position []byte, tx TxID) bool {
			c := Commit{Position: Position(position), Tx: tx}
			if c.Entities, failed = r.committed(ctx, snap, tx); failed != nil {
				return false
			}
			r.at = position
			if len(c.Entities) > 0 && !r.yield(c, nil) {
				failed = errStopped
			}
			return failed == nil
		})
		more = m
		if failed != nil {
			return failed
		}
		return err
	})
	return more, err
}

func (r *feedReader) committed(ctx context.Context, snap *core.Snap, tx TxID) ([]CommitEntity, error) {
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
		before, _ := r.states.Get(t.Entity)
		if before.Rev() >= t.First {
			before = nil
		}
		for e, err := range snap.Events(ctx, t.Collection, t.Entity, before.Rev()+1, t.Last) {
			if err != nil {
				return nil, err
			}
			after, err := before.Apply(r.n.kinds, e)
			if err != nil {
				return nil, err
			}
			if after.Rev() >= t.First {
				out[k].Events = append(out[k].Events, describe(e, before, after))
			}
			before = after
		}
		if before != nil {
			r.seq++
			r.states.Publish(r.seq, []*entity.State{before})
		}
	}
	return out, nil
}
