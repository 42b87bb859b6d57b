package ankurah

import (
	"context"
	"errors"
	"math"
	"strconv"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/internal/core"
	"github.com/ankurah/ankurah-go/internal/reactor"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/signal"
)

// LiveQuery is a query whose rows follow every commit (S50–S56). It is a
// signal of its rows. Close it when it is no longer wanted.
type LiveQuery[V AnyView] struct {
	l    *live
	view func(View) V
	bind func(ctx context.Context, s *Session, query string, args []any) (*ankql.Selection, error)
}

// live is a live query without its model's type.
type live struct {
	feed[reactor.RowChange]
	s *Session // that asked
	q *core.Query
}

// Query returns a live query: its rows now, and from then on whatever commits
// change. Parameters are as in [Collection.Fetch].
func (c Collection[M, V, E]) Query(ctx context.Context, s *Session, query string, args ...any) (*LiveQuery[V], error) {
	sel, err := c.bindLive(ctx, s, query, args)
	if err != nil {
		return nil, err
	}
	l := &live{feed: feed[reactor.RowChange]{n: s.n}, s: s}
	l.synced = func() bool { return l.q.Synced() }
	l.merge = func(first, then []reactor.RowChange) []reactor.RowChange {
		return coalesce(first, then, l.q.Selection())
	}
	s.n.do(func() {
		if s.n.closing {
			err = errClosed
			return
		}
		if l.q, err = s.n.core.SubscribeLocal(sel, (*sink)(l)); err != nil {
			return
		}
		if !s.n.durable {
			s.n.core.Follow(l.q)
		}
		s.n.core.Start(l.q)
	})
	if err != nil {
		return nil, err
	}
	q := &LiveQuery[V]{l: l, view: c.b.view, bind: c.bindLive}
	if err = l.begun(ctx); err != nil {
		q.Close()
		return nil, err
	}
	return q, nil
}

// bindLive binds what a live query is asked for.
func (c Collection[M, V, E]) bindLive(ctx context.Context, s *Session, query string, args []any) (*ankql.Selection, error) {
	if err := s.n.principal(s.p); errors.Is(err, ErrPrincipal) {
		return nil, err
	}
	return c.bind(ctx, s.reader(), query, args)
}

// Rows returns the rows as they are now. The slice is the caller's.
func (q *LiveQuery[V]) Rows() []V {
	q.l.n.mu.Lock()
	states := q.l.q.Rows()
	q.l.n.mu.Unlock()
	return q.views(states)
}

func (q *LiveQuery[V]) views(states []*entity.State) []V {
	out := make([]V, len(states))
	for k, s := range states {
		out[k] = q.view(View{s})
	}
	return out
}

// RowsAt returns the rows at a moment, and whether they are synced.
func (q *LiveQuery[V]) RowsAt(Moment) (rows []V, synced bool) {
	return q.views(q.l.q.Rows()), q.l.q.Synced()
}

// Synced reports whether the rows are what a durable node says they are, apart
// from edits that it has not decided on. On a durable node they always are.
func (q *LiveQuery[V]) Synced() bool {
	q.l.n.mu.Lock()
	defer q.l.n.mu.Unlock()
	return q.l.q.Synced()
}

// WaitSynced waits until Synced, or returns why the query has ended.
func (q *LiveQuery[V]) WaitSynced(ctx context.Context) error { return q.l.waitSynced(ctx) }

// Get returns the rows and makes the function that t was given to depend on
// them: package signal derives values with [signal.Map], [signal.Filter],
// [signal.Combine] and [signal.Count], also of several live queries and live
// aggregates. They are told of a commit once, when all of these have it. Effects
// run on goroutines of the node, and not after Close; Done does not wait for
// them, but their own does.
func (q *LiveQuery[V]) Get(t *signal.Tracker) []V {
	q.l.source.Track(t)
	return q.Rows()
}

// OnChange calls f with the rows there are now, as Initial changes, and then
// with every change set, without gap or overlap. f runs on a goroutine of the
// node, one call at a time in commit order. A slow f delays only this query's
// callbacks. The returned function ends the calls.
func (q *LiveQuery[V]) OnChange(f func(ChangeSet[V])) (stop func()) {
	return q.l.subscribe(func() (initial []reactor.RowChange) {
		for _, s := range q.l.q.Rows() {
			initial = append(initial, reactor.RowChange{Kind: reactor.Initial, After: s})
		}
		return initial
	}, func(changes []reactor.RowChange) {
		cs := ChangeSet[V]{make([]Change[V], len(changes))}
		for k, c := range changes {
			out := Change[V]{Kind: ChangeKind(c.Kind), Created: c.Created, Events: c.Events}
			if c.Before != nil {
				out.Before = q.view(View{c.Before})
			}
			if c.After != nil {
				out.After = q.view(View{c.After})
			}
			cs.Changes[k] = out
		}
		f(cs)
	})
}

// OnStatus calls f when Synced may have changed, as OnChange calls its function,
// and once when the query has ended by itself: Err says why.
func (q *LiveQuery[V]) OnStatus(f func()) { q.l.watch(f) }

// SetSelection changes what the query selects, in place; the difference comes
// as one change set (S54). Parameters are as in [Collection.Fetch].
func (q *LiveQuery[V]) SetSelection(ctx context.Context, query string, args ...any) error {
	sel, err := q.bind(ctx, q.l.s, query, args)
	if err != nil {
		return err
	}
	return q.reselect(ctx, func() *ankql.Selection { return sel })
}

// reselect changes what the query selects to what f returns, under the core's
// lock; nothing where that is nil.
func (q *LiveQuery[V]) reselect(ctx context.Context, f func() *ankql.Selection) (err error) {
	there := make(chan struct{})
	q.l.n.do(func() {
		sel := f()
		if sel == nil {
			close(there)
			return
		}
		err = q.l.n.core.Select(q.l.q, sel, func() {
			q.l.mark() // the same rows may have another order
			close(there)
		})
	})
	if err != nil {
		return err
	}
	select {
	case <-there:
		return q.l.over()
	case <-q.l.ended():
		return q.l.over()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// LoadMore makes a window n rows longer, in place; what comes into it comes as
// one change set. It does nothing to a query without LIMIT.
func (q *LiveQuery[V]) LoadMore(ctx context.Context, n int) error {
	if n < 0 {
		return errors.New("ankurah: LoadMore of " + strconv.Itoa(n) + " rows: a window only grows")
	}
	return q.reselect(ctx, func() *ankql.Selection {
		longer := *q.l.q.Asked()
		if longer.Limit < 0 {
			return nil
		}
		longer.Limit = min(longer.Limit, math.MaxInt-n) + n
		return &longer
	})
}

// Cursor returns the position of v in the query's order, for AFTER.
func (q *LiveQuery[V]) Cursor(v V) Cursor {
	q.l.n.mu.Lock()
	defer q.l.n.mu.Unlock()
	return *q.l.q.CursorOf(v.base().s)
}

// Err returns why the query ended by itself, nil while it lives or when it was
// closed.
func (q *LiveQuery[V]) Err() error { return q.l.failure() }

// Close ends the query: no callback starts any more. One that is running ends
// by itself; Done says when.
func (q *LiveQuery[V]) Close() {
	q.l.n.do(func() {
		q.l.n.core.Unsubscribe(q.l.q)
		q.l.unmark()
	})
	q.l.close(nil)
}

// Done is closed when the query is closed and its last callback has returned.
func (q *LiveQuery[V]) Done() <-chan struct{} { return q.l.ended() }

// sink is a live query as the core sees it; its methods run under the core's
// lock.
type sink live

// Ready lets Query return.
func (s *sink) Ready() { s.begin() }

// Changed queues a change set.
func (s *sink) Changed(changes []reactor.RowChange) { s.deliver(changes) }

// Synced tells those who wait.
func (s *sink) Synced(bool) { s.tell() }

// Principal returns who asked.
func (s *sink) Principal() policy.Principal { return s.s.p }

// Narrowed has signals told.
func (s *sink) Narrowed() { s.mark() }

// Failed ends the query.
func (s *sink) Failed(err error) { s.fail(err) }
