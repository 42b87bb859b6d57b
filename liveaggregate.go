package ankurah

import (
	"context"
	"errors"

	"github.com/ankurah/ankurah-go/internal/agg"
	"github.com/ankurah/ankurah-go/internal/core"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/signal"
)

// LiveAggregate is the result of an aggregate selection that follows every
// commit. It is a signal of its groups. Close it when it is no longer wanted.
//
// It keeps groups and no entities: a commit costs as much as it changes, and
// what is kept is bit by bit what [Collection.Aggregate] returns at the same
// moment. On an ephemeral node the groups are the server's, to which the edits
// are added that the server has not decided on. Of these COUNT, SUM and AVG take
// the values that the node knew of an entity away and add the new ones, so they
// are exact unless somebody else changed the same entity meanwhile, and are so
// again when the server has decided. MIN and MAX get to know new values, while a
// value that an edit has replaced stays until then. With LIMIT an edit changes
// the groups that the server names and brings in no others. Before the server
// has been heard of since the aggregate began, the groups are those of the
// entities that the node holds.
//
// One whose paths go through references holds its rows, on an ephemeral node
// too, which follows them as a live query's: its groups are those of the rows as
// they are seen there.
type LiveAggregate struct {
	l       *liveAggregate
	columns []string
}

type liveAggregate struct {
	feed[agg.Change]
	s *Session // that asked
	q *core.Aggregate
}

// GroupChange is what happened to one group: the zero [Group] before what is
// new, and after what is gone.
type GroupChange struct{ Before, After Group }

// QueryAggregate returns a live aggregate: its groups now, and from then on
// whatever commits change. Parameters are as in [Collection.Aggregate].
func (c Collection[M, V, E]) QueryAggregate(ctx context.Context, s *Session, query string, args ...any) (*LiveAggregate, error) {
	if err := s.n.principal(s.p); errors.Is(err, ErrPrincipal) {
		return nil, err
	}
	a, err := c.bindAggregate(ctx, s.reader(), query, args)
	if err != nil {
		return nil, err
	}
	l := &liveAggregate{feed: feed[agg.Change]{n: s.n}, s: s}
	l.synced = func() bool { return l.q.Synced() }
	l.merge = func(first, then []agg.Change) []agg.Change { return l.q.Table().Merge(first, then) }
	s.n.do(func() {
		if s.n.closing {
			err = errClosed
			return
		}
		if l.q, err = s.n.core.SubscribeAggregateLocal(a, (*aggregateSink)(l)); err != nil {
			return
		}
		s.n.core.StartAggregate(l.q)
	})
	if err != nil {
		return nil, err
	}
	q := &LiveAggregate{l: l, columns: a.Columns()}
	if err = l.begun(ctx); err != nil {
		q.Close()
		return nil, err
	}
	return q, nil
}

// Rows returns the groups as they are now, in their order. The slice is the
// caller's.
func (q *LiveAggregate) Rows() []Group {
	q.l.n.mu.Lock()
	groups := q.l.q.Groups()
	q.l.n.mu.Unlock()
	return groupsOf(q.columns, groups)
}

// RowsAt returns the groups at a moment, and whether they are synced.
func (q *LiveAggregate) RowsAt(Moment) (rows []Group, synced bool) {
	return groupsOf(q.columns, q.l.q.Groups()), q.l.q.Synced()
}

// Value returns the first group, which without GROUP BY is the only one; the
// zero Group where there is none.
func (q *LiveAggregate) Value() Group {
	rows := q.Rows()
	if len(rows) == 0 {
		return Group{}
	}
	return rows[0]
}

// Columns returns the names of the groups' columns. It must not be changed.
func (q *LiveAggregate) Columns() []string { return q.columns }

// Get returns the groups and makes the function that t was given to depend on
// them, as [LiveQuery.Get] does of rows.
func (q *LiveAggregate) Get(t *signal.Tracker) []Group {
	q.l.source.Track(t)
	return q.Rows()
}

// Synced reports whether the groups are what a durable node says they are, apart
// from edits that it has not decided on. On a durable node they always are.
func (q *LiveAggregate) Synced() bool {
	q.l.n.mu.Lock()
	defer q.l.n.mu.Unlock()
	return q.l.q.Synced()
}

// WaitSynced waits until Synced, or returns why the aggregate has ended.
func (q *LiveAggregate) WaitSynced(ctx context.Context) error { return q.l.waitSynced(ctx) }

// OnChange calls f with the groups there are now, and then with the groups that
// each commit changed, those that are gone first. f runs on a goroutine of the
// node, one call at a time in commit order; a slow f gets the changes of several
// commits at a time. The returned function ends the calls.
func (q *LiveAggregate) OnChange(f func([]GroupChange)) (stop func()) {
	return q.l.subscribe(func() []agg.Change { return q.l.q.Table().All() }, func(changes []agg.Change) {
		out := make([]GroupChange, len(changes))
		for k, c := range changes {
			if c.Before != nil {
				out[k].Before = Group{q.columns, *c.Before}
			}
			if c.After != nil {
				out[k].After = Group{q.columns, *c.After}
			}
		}
		f(out)
	})
}

// OnStatus calls f when Synced may have changed, as OnChange calls its function,
// and once when the aggregate has ended by itself: Err says why.
func (q *LiveAggregate) OnStatus(f func()) { q.l.watch(f) }

// Err returns why the aggregate ended by itself, nil while it lives or when it
// was closed.
func (q *LiveAggregate) Err() error { return q.l.failure() }

// Close ends the aggregate: no callback starts any more. One that is running
// ends by itself; Done says when.
func (q *LiveAggregate) Close() {
	q.l.n.do(func() {
		q.l.n.core.UnsubscribeAggregate(q.l.q)
		q.l.unmark()
	})
	q.l.close(nil)
}

// Done is closed when the aggregate is closed and its last callback has
// returned.
func (q *LiveAggregate) Done() <-chan struct{} { return q.l.ended() }

// aggregateSink is a live aggregate as the core sees it; its methods run under
// the core's lock.
type aggregateSink liveAggregate

// Ready lets QueryAggregate return.
func (s *aggregateSink) Ready() { s.begin() }

// Owner returns the subject of who asked.
func (s *aggregateSink) Owner() string { return s.s.p.Subject }

// Changed queues what is to be seen.
func (s *aggregateSink) Changed(changes []agg.Change) {
	if changes = agg.Seen(changes); len(changes) > 0 {
		s.deliver(changes)
	}
}

// Synced tells those who wait.
func (s *aggregateSink) Synced(bool) { s.tell() }

// Principal returns who asked.
func (s *aggregateSink) Principal() policy.Principal { return s.s.p }

// Narrowed has signals told.
func (s *aggregateSink) Narrowed() { s.mark() }

// Failed ends the aggregate.
func (s *aggregateSink) Failed(err error) { s.fail(err) }
