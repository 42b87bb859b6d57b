package ankurah

import (
	"context"
	"errors"
	"iter"
	"math"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/internal/core"
)

// remote reports whether a read asks the server (S50).
func (rd reader) remote() bool { return !rd.local && !rd.n.durable && rd.n.Connected() }

// ask starts something that the server answers, and waits for the answer; where
// ctx has no deadline, as long as Limits.RequestTimeout says.
func (n *Node) ask(ctx context.Context, start func(done func(error)) (cancel func())) error {
	if _, set := ctx.Deadline(); set {
		return n.await(ctx, start)
	}
	limited, cancel := context.WithTimeoutCause(ctx, n.limits.RequestTimeout, core.ErrDeadline)
	defer cancel()
	err := n.await(limited, start)
	if err != nil && err == limited.Err() && context.Cause(limited) == core.ErrDeadline {
		return n.core.Unanswered()
	}
	return err
}

// await is ask for as long as ctx lasts.
func (n *Node) await(ctx context.Context, start func(done func(error)) (cancel func())) error {
	answer := make(chan error, 1)
	var cancel func()
	n.do(func() { cancel = start(func(err error) { answer <- err }) })
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		n.do(cancel)
		return ctx.Err()
	}
}

// bring makes this node's copy of an entity as new as the server's. While
// there is no connection it does nothing.
func (rd reader) bring(ctx context.Context, collection string, id ID) error {
	if !rd.remote() {
		return nil
	}
	have, err := rd.n.core.State(ctx, collection, id)
	if err != nil {
		return err
	}
	err = rd.n.ask(ctx, func(done func(error)) func() {
		return rd.n.core.Want(collection, id, have.Rev(), done)
	})
	return unlessDisconnected(err)
}

// Describe asks the durable node what collections and properties it knows, as
// far as the principal may read something of them; programs that declare no
// models learn by it what there is. A durable node knows.
func (n *Node) Describe(ctx context.Context) error {
	if n.durable {
		return nil
	}
	return n.describe(ctx, "")
}

func (n *Node) describe(ctx context.Context, collection string) error {
	return unlessDisconnected(n.ask(ctx, func(done func(error)) func() { return n.core.Describe(collection, done) }))
}

// unlessDisconnected lets a read go on with what is here when the connection
// ended meanwhile.
func unlessDisconnected(err error) error {
	if errors.Is(err, ErrDisconnected) {
		return nil
	}
	return err
}

// fetch brings the rows of a selection from the server, and returns a check
// for which of this node's rows the answer consists of: those, and what
// pending edits touched. Nil when there is no connection.
func (rd reader) fetch(ctx context.Context, sel *ankql.Selection) (func(*entity.State) bool, error) {
	if !rd.remote() {
		return nil, nil
	}
	snap, err := rd.n.current()
	if err != nil {
		return nil, err
	}
	known, _, err := core.Collect(ctx, snap, sel, nil)
	snap.Release()
	if err != nil {
		return nil, err
	}
	in := map[ID]bool{}
	err = rd.n.ask(ctx, func(done func(error)) func() {
		if edited := len(rd.n.core.PendingIn(sel.Collection)) + rd.edits(); sel.Limit >= 0 && edited > 0 {
			wider := *sel // edits may take rows out of the window
			wider.Limit = min(sel.Limit, math.MaxInt-edited) + edited
			sel = &wider
		}
		return rd.n.core.Fetch(sel, known, func(rows []ID, err error) {
			for _, i := range rows {
				in[i] = true
			}
			for _, i := range rd.n.core.PendingIn(sel.Collection) {
				in[i] = true
			}
			done(err)
		})
	})
	if err != nil {
		return nil, unlessDisconnected(err)
	}
	return func(s *entity.State) bool { return in[s.ID()] }, nil
}

// edits returns how many entities the reader's transaction has edited.
func (rd reader) edits() int {
	if rd.tx == nil {
		return 0
	}
	return len(rd.tx.order)
}

// remoteCount asks the server for a count. ok is false where this node has to
// count itself: without a connection, or with edits that the server does not
// have.
func (rd reader) remoteCount(ctx context.Context, sel *ankql.Selection) (n int64, ok bool, err error) {
	if !rd.remote() || rd.edits() > 0 {
		return 0, false, nil
	}
	pending := false
	err = rd.n.ask(ctx, func(done func(error)) func() {
		if pending = rd.n.core.Edited(sel); pending {
			done(nil)
			return func() {}
		}
		return rd.n.core.CountRemote(sel, func(count uint64, err error) {
			n = int64(count)
			done(err)
		})
	})
	if errors.Is(err, ErrDisconnected) {
		return 0, false, nil
	}
	return n, err == nil && !pending, err
}

// remoteGroups asks the server for the groups of an aggregate selection. ok is
// as of remoteCount.
func (rd reader) remoteGroups(ctx context.Context, a *ankql.Aggregation) (groups []ankql.Group, ok bool, err error) {
	if !rd.remote() || rd.edits() > 0 {
		return nil, false, nil
	}
	pending := false
	err = rd.n.ask(ctx, func(done func(error)) func() {
		if pending = rd.n.core.Edited(a.Rows); pending {
			done(nil)
			return func() {}
		}
		return rd.n.core.AggregateRemote(a, func(all []ankql.Group, err error) {
			groups = all
			done(err)
		})
	})
	if errors.Is(err, ErrDisconnected) {
		return nil, false, nil
	}
	return groups, err == nil && !pending, err
}

// remoteHistory is the history that the server tells, and the pending events
// behind it.
func (n *Node) remoteHistory(ctx context.Context, collection string, id ID, yield func(Event, error) bool) error {
	var events []core.Past
	var pending []*event.Event
	err := n.ask(ctx, func(done func(error)) func() {
		pending = n.core.PendingEvents(id)
		if len(pending) > 0 && pending[0].IsGenesis() {
			done(nil)
			return func() {}
		}
		return n.core.HistoryRemote(collection, id, func(all []core.Past, err error) {
			events = all
			done(err)
		})
	})
	if errors.Is(err, core.ErrAbsent) {
		return &NotFoundError{collection, id}
	}
	if err != nil {
		return err
	}
	for _, e := range pending {
		events = append(events, core.Past{Event: e})
	}
	var before *entity.State
	for _, past := range events {
		e := past.Event
		if e.Collection != collection {
			return &NotFoundError{collection, id}
		}
		if past.Base != nil {
			before = past.Base
		}
		after, err := before.Apply(n.kinds, e)
		if err != nil {
			return err
		}
		if !yield(describe(e, before, after), nil) {
			return nil
		}
		before = after
	}
	return nil
}

// RejectedError says that a durable node refused a transaction, and why
// (S29).
type RejectedError struct {
	Tx     TxID
	Reason error
}

func (e *RejectedError) Error() string {
	return "ankurah: transaction " + e.Tx.String() + " was refused and rolled back: " + e.Reason.Error()
}
func (e *RejectedError) Unwrap() error { return e.Reason }

// Rejected is a transaction that a durable node refused. It was rolled back;
// what it would have done stays in the store until it is discarded.
type Rejected struct {
	Tx       TxID
	Reason   error
	Entities []CommitEntity

	n   *Node
	seq uint64
}

// Rejected yields the transactions that were refused and not yet discarded,
// oldest first.
func (n *Node) Rejected(ctx context.Context) iter.Seq2[*Rejected, error] {
	return func(yield func(*Rejected, error) bool) {
		if err := n.eachRejected(ctx, yield); err != nil {
			yield(nil, err)
		}
	}
}

func (n *Node) eachRejected(ctx context.Context, yield func(*Rejected, error) bool) error {
	snap, err := n.current()
	if err != nil {
		return err
	}
	defer snap.Release()
	lo, hi := core.RejectedRange()
	for w, err := range snap.MetaRange(ctx, lo, hi) {
		if err != nil {
			return err
		}
		r, err := core.DecodeRejected(w.Key, w.Value)
		if err != nil {
			return err
		}
		out := &Rejected{Tx: r.Tx, Reason: r.Reason, n: n, seq: r.Seq}
		for _, e := range r.Events {
			var base *entity.State
			if !e.IsGenesis() {
				if base, err = snap.State(ctx, e.Collection, e.Entity); err != nil {
					return err
				}
			}
			what := Event{ID: e.ID, Parents: e.Parents, Time: e.ID.Time(), Author: e.Author.String(), Actor: e.Actor, Tx: e.Tx, Kind: EventEdited}
			if after, err := base.Apply(n.kinds, e); err == nil {
				what = describe(e, base, after)
			}
			out.Entities = append(out.Entities, CommitEntity{e.Collection, e.Entity, []Event{what}})
		}
		if !yield(out, nil) {
			return nil
		}
	}
	return nil
}

// Discard forgets the transaction.
func (r *Rejected) Discard(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return r.n.wait(func(done func(error)) { r.n.core.Discard(r.seq, done) })
}
