package goapp

import (
	"context"
	"reflect"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/signal"
	"github.com/maxence-charriere/go-app/v10/pkg/app"
)

// Model is what is asked for rows: an [ankurah.Collection] whose views are V.
type Model[V ankurah.AnyView] interface {
	Name() string
	Query(ctx context.Context, s *ankurah.Session, query string, args ...any) (*ankurah.LiveQuery[V], error)
}

// asked is what a component was asked to show.
type asked struct {
	source any // a *Session, or a signal
	model  string
	query  string
	args   []any
}

func (a asked) equal(o asked) bool {
	return a.source == o.source && a.model == o.model && a.query == o.query && reflect.DeepEqual(a.args, o.args)
}

// Use is something live that is not shown yet: Body says how.
type Use[T any] struct{ spec spec[T] }

// Body returns a component that shows what f makes of the live value. f is
// called again when the value has changed.
func (u Use[T]) Body(f func(T) app.UI) app.UI {
	u.spec.body = f
	u.spec.same = func(o *spec[T]) bool { return u.spec.asked.equal(o.asked) }
	return &bound[T]{Spec: &u.spec}
}

// Rows are the rows of a query, or the groups of an aggregate, at one moment.
type Rows[V any] struct {
	All []V // in their order; not to be changed
	// Pending: there is no answer yet; All is empty, or of other arguments.
	Pending bool
	// Synced: the rows are what a durable node says they are, apart from edits
	// that it has not decided on.
	Synced bool
	// Err is why the query has ended, nil while it lives. All is of before.
	Err error
}

// Each shows every row.
func (r Rows[V]) Each(f func(V) app.UI) app.UI {
	return app.Range(r.All).Slice(func(k int) app.UI { return f(r.All[k]) })
}

// UseQuery shows the rows of a live query. Parameters are as in
// [ankurah.Collection.Fetch]; arguments are compared with those of before by
// what they are, so that only other ones make another query.
func UseQuery[V ankurah.AnyView](s *Session, m Model[V], query string, args ...any) Use[Rows[V]] {
	return useRows(asked{s, m.Name(), query, args}, func(ctx context.Context, changed func()) (liveRows[V], error) {
		q, err := live(ctx, s, m, changed, query, args...)
		return q, err
	})
}

// Aggregator is what is asked for groups: an [ankurah.Collection].
type Aggregator interface {
	Name() string
	QueryAggregate(ctx context.Context, s *ankurah.Session, query string, args ...any) (*ankurah.LiveAggregate, error)
}

// UseAggregate shows the groups of a live aggregate, such as
// SELECT COUNT(*) GROUP BY author, in all else as [UseQuery] does.
func UseAggregate(s *Session, m Aggregator, query string, args ...any) Use[Rows[ankurah.Group]] {
	return useRows(asked{s, m.Name(), query, args}, func(ctx context.Context, changed func()) (liveRows[ankurah.Group], error) {
		session, err := s.Wait(ctx)
		if err != nil {
			return nil, err
		}
		q, err := m.QueryAggregate(ctx, session, query, args...)
		if err != nil {
			return nil, err
		}
		q.OnChange(func([]ankurah.GroupChange) { changed() })
		q.OnStatus(changed)
		return q, nil
	})
}

// liveRows is a live query or a live aggregate.
type liveRows[R any] interface {
	Rows() []R
	Synced() bool
	Err() error
	Close()
}

func useRows[R any](a asked, open func(ctx context.Context, changed func()) (liveRows[R], error)) Use[Rows[R]] {
	return Use[Rows[R]]{spec[Rows[R]]{
		asked: a,
		open: func(ctx context.Context, changed func()) (func() Rows[R], func(), error) {
			q, err := open(ctx, changed)
			if err != nil {
				return nil, nil, err
			}
			return func() Rows[R] { return Rows[R]{All: q.Rows(), Synced: q.Synced(), Err: q.Err()} }, q.Close, nil
		},
		pending: func(was Rows[R]) Rows[R] { was.Pending, was.Err = true, nil; return was },
		failed:  func(was Rows[R], err error) Rows[R] { return Rows[R]{All: was.All, Err: err} },
	}}
}

func live[V ankurah.AnyView](ctx context.Context, s *Session, m Model[V], changed func(), query string, args ...any) (*ankurah.LiveQuery[V], error) {
	session, err := s.Wait(ctx)
	if err != nil {
		return nil, err
	}
	q, err := m.Query(ctx, session, query, args...)
	if err != nil {
		return nil, err
	}
	q.OnChange(func(ankurah.ChangeSet[V]) { changed() })
	q.OnStatus(changed)
	return q, nil
}

// Entity is an entity at one moment.
type Entity[V any] struct {
	View  V    // the zero value where it is not Found
	Found bool // it is there, and may be read
	// Pending: there is no answer yet; View is zero, or another entity.
	Pending bool
	// Synced is as in [Rows].
	Synced bool
	// Err is why it is not followed any more.
	Err error
}

// UseEntity shows one entity. The zero ID is not Found.
func UseEntity[V ankurah.AnyView](s *Session, m Model[V], id ankurah.ID) Use[Entity[V]] {
	return Use[Entity[V]]{spec[Entity[V]]{
		asked: asked{s, m.Name(), "", []any{id}},
		open: func(ctx context.Context, changed func()) (func() Entity[V], func(), error) {
			if id.IsZero() {
				return func() Entity[V] { return Entity[V]{Synced: true} }, func() {}, nil
			}
			q, err := live(ctx, s, m, changed, "id = ?", id)
			if err != nil {
				return nil, nil, err
			}
			return func() (e Entity[V]) {
				for _, v := range q.Rows() {
					e.View, e.Found = v, true
				}
				e.Synced, e.Err = q.Synced(), q.Err()
				return e
			}, q.Close, nil
		},
		pending: func(was Entity[V]) Entity[V] { was.Pending, was.Err = true, nil; return was },
		failed:  func(_ Entity[V], err error) Entity[V] { return Entity[V]{Err: err} },
	}}
}

// Status is how a node is doing.
type Status struct {
	// Opened: the session is open. What follows is zero before.
	Opened bool
	// Connected: a durable node is within reach, or this is one.
	Connected bool
	// Pending counts the transactions that no durable node has decided on.
	Pending int
	// Err is why the session could not be opened.
	Err error
}

// UseStatus shows how the session's node is doing.
func UseStatus(s *Session) Use[Status] {
	return Use[Status]{spec[Status]{
		asked: asked{source: s},
		open: func(ctx context.Context, changed func()) (func() Status, func(), error) {
			session, err := s.Wait(ctx)
			if err != nil {
				return nil, nil, err
			}
			node := session.Node()
			go func() {
				for {
					news := node.News()
					changed()
					select {
					case <-news:
					case <-ctx.Done():
						return
					}
				}
			}()
			return func() Status {
				return Status{Opened: true, Connected: node.Durable() || node.Connected(), Pending: node.Pending()}
			}, func() {}, nil
		},
		pending: func(was Status) Status { return was },
		failed:  func(_ Status, err error) Status { return Status{Err: err} },
	}}
}

// UseSignal shows the value of a signal.
func UseSignal[T any](sig signal.Readable[T]) Use[T] {
	return Use[T]{spec[T]{
		asked: asked{source: sig},
		open: func(_ context.Context, changed func()) (func() T, func(), error) {
			e := signal.Effect(func(t *signal.Tracker) {
				sig.Get(t)
				changed()
			})
			return func() T { return sig.Get(nil) }, e.Close, nil
		},
		pending: func(was T) T { return was },
		failed:  func(was T, _ error) T { return was },
	}}
}

// Update makes a transaction: it runs f and commits, in the background. Then it
// calls done, if there is one, on the goroutine of the user interface, unless
// the component of ctx is gone; without done, errors are logged.
func Update(ctx app.Context, s *Session, f func(tx *ankurah.Tx) error, done func(ctx app.Context, err error)) {
	ctx.Async(func() {
		session, err := s.Wait(context.Background())
		if err == nil {
			err = session.Update(context.Background(), f)
		}
		switch {
		case done != nil:
			ctx.Dispatch(func(ctx app.Context) { done(ctx, err) })
		case err != nil:
			app.Log(err)
		}
	})
}
