package ankurah

import (
	"context"
	"errors"
	"iter"
	"slices"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/internal/core"
	"github.com/ankurah/ankurah-go/internal/sorting"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/value"
)

// Cursor is a position in an ordered result, for AFTER.
type Cursor = ankql.Cursor

// Named is a parameter that a query text names :Name.
type Named = ankql.Named

// Create makes an entity with the fields of m. Its ID is known at once and
// never changes; the entity is there for others after commit.
func (c Collection[M, V, E]) Create(tx *Tx, m *M) (E, error) {
	var zero E
	if err := tx.s.n.declare(c.b.model); err != nil {
		return zero, tx.note(err)
	}
	e, err := tx.create(c.Name())
	if err != nil {
		return zero, err
	}
	before := tx.err
	c.b.fill(Mutable{e}, m)
	if before == nil && tx.err != nil {
		return zero, tx.err
	}
	return c.b.edit(Mutable{e}), nil
}

// CreateMany makes an entity of each model.
func (c Collection[M, V, E]) CreateMany(tx *Tx, ms []*M) ([]E, error) {
	out := make([]E, len(ms))
	for k, m := range ms {
		var err error
		if out[k], err = c.Create(tx, m); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Edit returns the entity for editing, as it is now: a view only says which
// one. An entity that is deleted or that the principal may not read is an
// [ErrNotFound].
func (c Collection[M, V, E]) Edit(tx *Tx, who Identified) (E, error) {
	var zero E
	if err := tx.s.n.declare(c.b.model); err != nil {
		return zero, err
	}
	e, err := tx.edit(context.Background(), c.Name(), who.ID(), false)
	if err != nil {
		return zero, err
	}
	return c.b.edit(Mutable{e}), nil
}

// Delete deletes an entity. Its history stays.
func (c Collection[M, V, E]) Delete(tx *Tx, who Identified) error {
	e, err := tx.edit(context.Background(), c.Name(), who.ID(), false)
	if err != nil {
		return err
	}
	return tx.note(e.delete())
}

// Restore brings a deleted entity back, with what it held and what concurrent
// edits wrote to it. It does nothing to one that exists.
func (c Collection[M, V, E]) Restore(tx *Tx, who Identified) error {
	e, err := tx.edit(context.Background(), c.Name(), who.ID(), true)
	if err != nil {
		return err
	}
	s, err := e.state()
	if err != nil || s.Exists() {
		return tx.note(err)
	}
	return tx.note(e.restore())
}

// Get returns one entity. One that is not there, deleted or not readable is an
// [ErrNotFound].
func (c Collection[M, V, E]) Get(ctx context.Context, r Reader, who Identified) (V, error) {
	var zero V
	rd := r.reader()
	if err := rd.n.declare(c.b.model); err != nil {
		return zero, err
	}
	s, err := rd.get(ctx, c.Name(), who.ID())
	if err != nil {
		return zero, err
	}
	return c.b.view(View{s}), nil
}

// Resolve returns the entity that a reference refers to.
func (c Collection[M, V, E]) Resolve(ctx context.Context, r Reader, ref Ref[M]) (V, error) {
	return c.Get(ctx, r, ref)
}

// Fetch returns the entities that an AnkQL query selects; an empty query
// selects all. args stand for ? and :name in it.
func (c Collection[M, V, E]) Fetch(ctx context.Context, r Reader, query string, args ...any) ([]V, error) {
	var out []V
	err := whole(c.All(ctx, r, query, args...), func() { out = nil }, func(v V) { out = append(out, v) })
	if err != nil {
		return nil, err
	}
	return out, nil
}

// whole calls f with all that seq yields, after begin: again from the beginning
// when the store has lost the moment that seq is of.
func whole[T any](seq iter.Seq2[T, error], begin func(), f func(T)) error {
	for {
		begin()
		var failed error
		for v, err := range seq {
			if failed = err; err != nil {
				break
			}
			f(v)
		}
		if !errors.Is(failed, storage.ErrInterrupted) {
			return failed
		}
	}
}

// First returns the first entity that a query selects; [ErrNotFound] when
// there is none.
func (c Collection[M, V, E]) First(ctx context.Context, r Reader, query string, args ...any) (V, error) {
	for v, err := range c.All(ctx, r, query, args...) {
		return v, err
	}
	var zero V
	return zero, &NotFoundError{Collection: c.Name()}
}

// All streams the entities that a query selects, from one moment.
func (c Collection[M, V, E]) All(ctx context.Context, r Reader, query string, args ...any) iter.Seq2[V, error] {
	return func(yield func(V, error) bool) {
		var zero V
		rd := r.reader()
		sel, err := c.bind(ctx, rd, query, args)
		if err != nil {
			yield(zero, err)
			return
		}
		for s, err := range rd.rows(ctx, sel) {
			if err != nil {
				yield(zero, err)
				return
			}
			if !yield(c.b.view(View{s}), nil) {
				return
			}
		}
	}
}

// Count returns how many entities a query selects.
func (c Collection[M, V, E]) Count(ctx context.Context, r Reader, query string, args ...any) (int64, error) {
	rd := r.reader()
	sel, err := c.bind(ctx, rd, query, args)
	if err != nil {
		return 0, err
	}
	return rd.count(ctx, sel)
}

// Cursor returns the position of a row in the order of a query, for AFTER in
// the query of the next page.
func (c Collection[M, V, E]) Cursor(ctx context.Context, r Reader, row V, query string, args ...any) (Cursor, error) {
	sel, err := c.bind(ctx, r.reader(), query, args)
	if err != nil {
		return Cursor{}, err
	}
	if len(sel.Links) == 0 {
		return *sel.CursorOf(row.base().s), nil
	}
	rd := r.reader()
	if sel, _, err = rd.n.core.Narrow(sel, rd.p); err != nil {
		return Cursor{}, err
	}
	var at *Cursor
	err = rd.n.reading(ctx, func(snap *core.Snap) (err error) {
		at, err = core.CursorOf(ctx, rd.source(snap), sel, row.base().s)
		return err
	})
	if err != nil {
		return Cursor{}, err
	}
	return *at, nil
}

// Explain describes how a query would be answered: the index or scan, what is
// left to filter, and how rows are ordered. Of an aggregate selection it is how
// its rows are found.
func (c Collection[M, V, E]) Explain(ctx context.Context, r Reader, query string, args ...any) (string, error) {
	rd := r.reader()
	sel, err := c.bindRows(ctx, rd, query, args)
	if err != nil {
		return "", err
	}
	if sel, _, err = rd.n.core.Narrow(sel, rd.p); err != nil {
		return "", err
	}
	var plan string
	err = rd.n.reading(ctx, func(snap *core.Snap) (err error) {
		plan, err = core.Explain(ctx, snap, sel)
		return err
	})
	return plan, err
}

// bindRows is bind that also takes an aggregate selection, of which it returns
// the rows.
func (c Collection[M, V, E]) bindRows(ctx context.Context, rd reader, query string, args []any) (*ankql.Selection, error) {
	if !ankql.IsAggregate(query) {
		return c.bind(ctx, rd, query, args)
	}
	a, err := c.bindAggregate(ctx, rd, query, args)
	if err != nil {
		return nil, err
	}
	return a.Rows, nil
}

func (c Collection[M, V, E]) bind(ctx context.Context, rd reader, query string, args []any) (*ankql.Selection, error) {
	if err := c.known(ctx, rd); err != nil {
		return nil, err
	}
	return rd.n.bind(c.Name(), query, args)
}

// known sees to it that the node knows the collection's schema.
func (c Collection[M, V, E]) known(ctx context.Context, rd reader) error {
	if err := rd.n.declare(c.b.model); err != nil {
		return err
	}
	if rd.remote() && rd.n.Model(c.Name()) == nil {
		return rd.n.describe(ctx, c.Name())
	}
	return nil
}

// bind parses a query and binds it to what is known of a collection.
func (n *Node) bind(collection, query string, args []any) (*ankql.Selection, error) {
	q, args, err := n.parse(query, args)
	if err != nil {
		return nil, err
	}
	return ankql.BindAcross(q, n.core.Model, collection, args...)
}

// parse reads a query, and its arguments as package ankql takes them.
func (n *Node) parse(query string, args []any) (*ankql.Query, []any, error) {
	q, err := n.core.Parse(query)
	if err != nil {
		return nil, nil, err
	}
	for k, a := range args {
		if v, ok := a.(interface{ storedValue() value.Value }); ok {
			args = slices.Clone(args)
			args[k] = v.storedValue()
		}
	}
	return q, args, nil
}

// get returns one existing, readable entity, with the transaction's edits.
func (rd reader) get(ctx context.Context, collection string, id ID) (*entity.State, error) {
	if rd.tx != nil {
		if err := rd.tx.live(); err != nil {
			return nil, err
		}
		if e := rd.tx.find(id); e != nil && e.collection == collection {
			s, err := e.state()
			if err == nil && (e.dropped || !s.Exists()) {
				err = &NotFoundError{collection, id}
			}
			return s, err
		}
	}
	if err := rd.bring(ctx, collection, id); err != nil {
		return nil, err
	}
	s, err := rd.n.readable(ctx, rd.p, collection, id)
	if err == nil && (s == nil || !s.Exists()) {
		err = &NotFoundError{collection, id}
	}
	return s, err
}

// rows walks the readable entities that sel selects, with the transaction's
// edits among them.
func (rd reader) rows(ctx context.Context, sel *ankql.Selection) iter.Seq2[*entity.State, error] {
	return readRows(ctx, rd, sel, core.Rows)
}

// rowReader walks the allowed rows of a selection.
type rowReader[R any] func(ctx context.Context, src core.Source, sel *ankql.Selection, allow func(*entity.State) bool) iter.Seq2[R, error]

// readRows is [reader.rows] of rows as read has them.
func readRows[R any](ctx context.Context, rd reader, sel *ankql.Selection, read rowReader[R]) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		var none R
		sel, allow, err := rd.n.core.Narrow(sel, rd.p)
		if err == nil && rd.tx != nil {
			err = rd.tx.live()
		}
		if err == nil {
			err = rd.n.principal(rd.p)
		}
		if err == nil && !rd.n.durable {
			allow, err = rd.fetch(ctx, sel)
		}
		if err != nil {
			yield(none, err)
			return
		}
		if rd.tx != nil && allow != nil { // the transaction sees what it has edited
			others := allow
			allow = func(s *entity.State) bool { return rd.tx.find(s.ID()) != nil || others(s) }
		}
		begun, ended := false, false
		err = rd.n.reading(ctx, func(snap *core.Snap) error {
			for r, err := range read(ctx, rd.source(snap), sel, allow) {
				if err != nil && !begun {
					return err // which may be mended
				}
				begun = true
				if ended = !yield(r, err) || err != nil; ended {
					return nil
				}
			}
			return nil
		})
		if err != nil && !ended {
			yield(none, err)
		}
	}
}

// source returns what the reader sees: a snapshot, with the transaction's own
// entities as it has edited them.
func (rd reader) source(snap *core.Snap) core.Source {
	if rd.tx != nil && len(rd.tx.order) > 0 {
		return overlay{rd.tx, snap}
	}
	return snap
}

// overlay is a snapshot in which the transaction's own entities stand as it
// sees them.
type overlay struct {
	tx   *Tx
	snap *core.Snap
}

// State returns an entity's state; nil when absent.
func (o overlay) State(ctx context.Context, collection string, i ID) (*entity.State, error) {
	if e := o.tx.find(i); e != nil && e.collection == collection {
		if e.dropped {
			return nil, nil
		}
		return e.state()
	}
	return o.snap.State(ctx, collection, i)
}

// Scan returns the existing entities that sel selects, in its order.
func (o overlay) Scan(ctx context.Context, sel *ankql.Selection) iter.Seq2[*entity.State, error] {
	return func(yield func(*entity.State, error) bool) {
		var own []*entity.State
		for _, e := range o.tx.order {
			if e.collection != sel.Collection || e.dropped {
				continue
			}
			s, err := e.state()
			if err != nil {
				yield(nil, err)
				return
			}
			if s.Exists() && sel.Match(s) && (sel.After == nil || sel.CompareCursor(s, sel.After) > 0) {
				own = append(own, s)
			}
		}
		sorting.Sort(own, func(a, b *entity.State) int { return sel.Compare(a, b) })
		stored := *sel
		if stored.Limit >= 0 {
			stored.Limit += len(o.tx.order)
		}
		n := 0
		send := func(s *entity.State) bool {
			if sel.Limit >= 0 && n >= sel.Limit {
				return false
			}
			n++
			return yield(s, nil)
		}
		for s, err := range o.snap.Scan(ctx, &stored) {
			if err != nil {
				yield(nil, err)
				return
			}
			if o.tx.find(s.ID()) != nil {
				continue
			}
			for len(own) > 0 && sel.Compare(own[0], s) < 0 {
				if !send(own[0]) {
					return
				}
				own = own[1:]
			}
			if !send(s) {
				return
			}
		}
		for _, s := range own {
			if !send(s) {
				return
			}
		}
	}
}

func (rd reader) count(ctx context.Context, sel *ankql.Selection) (int64, error) {
	narrowed, allow, err := rd.n.core.Narrow(sel, rd.p)
	if err != nil {
		return 0, err
	}
	if err := rd.n.principal(rd.p); err != nil {
		return 0, err
	}
	if n, ok, err := rd.remoteCount(ctx, narrowed); ok || err != nil {
		return n, err
	}
	if allow == nil && len(sel.Links) == 0 && !rd.remote() && (rd.tx == nil || len(rd.tx.order) == 0) {
		var n int64
		err := rd.n.reading(ctx, func(snap *core.Snap) (err error) {
			n, err = snap.Count(ctx, narrowed)
			return err
		})
		return n, err
	}
	var n int64
	if err := whole(rd.rows(ctx, sel), func() { n = 0 }, func(*entity.State) { n++ }); err != nil {
		return 0, err
	}
	return n, nil
}
