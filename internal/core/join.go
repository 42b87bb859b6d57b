package core

import (
	"context"
	"iter"
	"slices"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/reactor"
	"github.com/ankurah/ankurah-go/internal/sorting"
	"github.com/ankurah/ankurah-go/value"
)

// Selections whose paths go through references are answered here, above the
// engines: these see the part of the predicate that speaks of the entities
// themselves.

// maxSemi is the number of entities up to which those behind a reference are
// looked for first, and then what refers to them.
const maxSemi = 512

// Source is what rows are read from: a snapshot, or a transaction's view of one.
type Source interface {
	State(ctx context.Context, collection string, entity id.ID) (*entity.State, error)
	Scan(ctx context.Context, sel *ankql.Selection) iter.Seq2[*entity.State, error]
}

// joiner follows the links of a selection.
type joiner struct {
	ctx  context.Context
	src  Source
	sel  *ankql.Selection
	seen map[stateKey]*entity.State // what was read
}

func newJoiner(ctx context.Context, src Source, sel *ankql.Selection) *joiner {
	return &joiner{ctx, src, sel, map[stateKey]*entity.State{}}
}

// row returns an entity with what it refers to.
func (j *joiner) row(s *entity.State) (*reactor.Joined, error) {
	out := &reactor.Joined{State: s, To: make([]*entity.State, len(j.sel.Links))}
	for k := range j.sel.Links {
		l := &j.sel.Links[k]
		from := s
		if l.From >= 0 {
			from = out.To[l.From]
		}
		if from == nil {
			continue
		}
		v := from.Value(l.Key)
		if v.Kind() != value.KindID {
			continue
		}
		key := stateKey{l.Collection, v.ID()}
		to, known := j.seen[key]
		if !known {
			var err error
			if to, err = j.src.State(j.ctx, key.collection, key.entity); err != nil {
				return nil, err
			}
			j.seen[key] = to
		}
		out.To[k] = reactor.Seen(l, to)
	}
	return out, nil
}

// own splits the predicate into the part that reads the entity itself and the
// part that reads behind links.
func own(sel *ankql.Selection) (plain, behind []ankql.Expr) {
	for _, e := range ankql.Conjuncts(sel.Where) {
		if through(e, func(p *ankql.Path) bool { return p.Via > 0 }) {
			behind = append(behind, e)
		} else {
			plain = append(plain, e)
		}
	}
	return plain, behind
}

func through(e ankql.Expr, is func(*ankql.Path) bool) bool {
	for p := range ankql.Paths(e) {
		if is(p) {
			return true
		}
	}
	return false
}

func conjunction(parts []ankql.Expr) (out ankql.Expr) {
	for _, e := range parts {
		out = ankql.And(out, e)
	}
	return out
}

// nothing is a row whose links lead to nothing.
type nothing struct{}

func (nothing) ID() id.ID                { return id.ID{} }
func (nothing) Value(string) value.Value { return value.Null }
func (nothing) Link(int) ankql.Row       { return nil }

// base returns the selection of the entities among which the rows are: those
// that the plain part selects, and that refer to what the rest selects where
// this is few.
func (j *joiner) base() (*ankql.Selection, error) {
	plain, behind := own(j.sel)
	out := &ankql.Selection{Collection: j.sel.Collection, Limit: -1}
	for k := range j.sel.Links {
		l := &j.sel.Links[k]
		var parts []ankql.Expr
		for _, e := range behind {
			elsewhere := func(p *ankql.Path) bool { return p.Via != k+1 }
			if l.From < 0 && !through(e, elsewhere) && ankql.Eval(e, nothing{}) != ankql.True {
				parts = append(parts, e)
			}
		}
		if len(parts) == 0 {
			continue
		}
		ids, few, err := j.targets(l, parts)
		if err != nil {
			return nil, err
		}
		if few {
			plain = append(plain, refersTo(l.Key, ids))
		}
	}
	out.Where = conjunction(plain)
	if !slices.ContainsFunc(j.sel.Order, func(t ankql.OrderTerm) bool { return t.Path.Via > 0 }) {
		out.Order, out.After = j.sel.Order, j.sel.After
		if len(behind) == 0 {
			out.Limit = j.sel.Limit
		}
	}
	return out, nil
}

// targets returns the entities behind a link that a predicate selects, if they
// are few.
func (j *joiner) targets(l *ankql.Link, parts []ankql.Expr) (ids []id.ID, few bool, err error) {
	sel := &ankql.Selection{Collection: l.Collection, Limit: maxSemi + 1}
	for _, e := range parts {
		sel.Where = ankql.And(sel.Where, ankql.MapPaths(e, func(p *ankql.Path) *ankql.Path {
			out := *p
			out.Via = 0
			return &out
		}))
	}
	for s, err := range j.src.Scan(j.ctx, sel) {
		if err != nil {
			return nil, false, err
		}
		if ids = append(ids, s.ID()); len(ids) > maxSemi {
			return nil, false, nil
		}
	}
	return ids, true, nil
}

// refersTo returns the predicate that a reference is to one of some entities.
func refersTo(key string, ids []id.ID) ankql.Expr {
	list := make([]ankql.Expr, len(ids))
	for k, i := range ids {
		list[k] = &ankql.Literal{Value: value.ID(i)}
	}
	return ankql.NewIn(&ankql.Path{Parts: []string{key}, Key: key}, list)
}

// joinedRows walks the allowed rows of a selection with links.
func joinedRows(ctx context.Context, src Source, sel *ankql.Selection, allow func(*entity.State) bool) iter.Seq2[*reactor.Joined, error] {
	return func(yield func(*reactor.Joined, error) bool) {
		if sel.Limit == 0 {
			return
		}
		j := newJoiner(ctx, src, sel)
		base, err := j.base()
		if err != nil {
			yield(nil, err)
			return
		}
		if allow != nil {
			base.Limit = -1
		}
		ordered := len(base.Order) == len(sel.Order)
		var rows []*reactor.Joined
		n := 0
		for s, err := range src.Scan(ctx, base) {
			var row *reactor.Joined
			if err == nil && (allow == nil || allow(s)) {
				row, err = j.row(s)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if row == nil || !sel.Match(row) || sel.After != nil && sel.CompareCursor(row, sel.After) <= 0 {
				continue
			}
			if !ordered {
				if rows = append(rows, row); sel.Limit >= 0 && len(rows) >= 2*max(sel.Limit, 512) {
					rows = first(rows, sel)
				}
				continue
			}
			if !yield(row, nil) {
				return
			}
			if n++; n == sel.Limit {
				return
			}
		}
		for _, row := range first(rows, sel) {
			if !yield(row, nil) {
				return
			}
		}
	}
}

// first sorts rows and cuts them to the limit.
func first(rows []*reactor.Joined, sel *ankql.Selection) []*reactor.Joined {
	sorting.Sort(rows, func(a, b *reactor.Joined) int { return sel.Compare(a, b) })
	if sel.Limit >= 0 && len(rows) > sel.Limit {
		clear(rows[sel.Limit:])
		rows = rows[:sel.Limit]
	}
	return rows
}

// CursorOf returns the position of an entity in the order of a selection.
func CursorOf(ctx context.Context, src Source, sel *ankql.Selection, s *entity.State) (*ankql.Cursor, error) {
	row, err := newJoiner(ctx, src, sel).row(s)
	if err != nil {
		return nil, err
	}
	return sel.CursorOf(row), nil
}

// Explain describes how rows are read.
func Explain(ctx context.Context, snap *Snap, sel *ankql.Selection) (string, error) {
	if len(sel.Links) == 0 {
		return snap.Explain(ctx, sel)
	}
	base, err := newJoiner(ctx, snap, sel).base()
	if err != nil {
		return "", err
	}
	out, err := snap.Explain(ctx, base)
	if err != nil {
		return "", err
	}
	for k := range sel.Links {
		l := &sel.Links[k]
		from := sel.Collection
		if l.From >= 0 {
			from = sel.Links[l.From].Collection
		}
		out += "\nfollow " + from + "." + l.Key + " to " + l.Collection
	}
	if _, behind := own(sel); len(behind) > 0 {
		out += "\nfilter " + ankql.PrintExpr(conjunction(behind))
	}
	if len(base.Order) < len(sel.Order) {
		out += "\nsort"
	}
	return out, nil
}

// relate reads what changes did to the rows of a selection with links: the
// entities that they concern and what these refer to now, as
// [reactor.Query.Relate] takes them.
func relate(ctx context.Context, src Source, sel *ankql.Selection, u reactor.Unread) ([]reactor.Change, []*reactor.Joined, error) {
	changes := slices.Clone(u.Rows)
	plain, _ := own(sel)
	for _, c := range u.Behind {
		for k := range sel.Links {
			if sel.Links[k].Collection != c.After.Collection() {
				continue
			}
			roots, err := referring(ctx, src, sel, k, []id.ID{c.After.ID()}, plain)
			if err != nil {
				return nil, nil, err
			}
			for _, s := range roots {
				changes = append(changes, reactor.Change{Before: s, After: s, Events: c.Events})
			}
		}
	}
	changes = reactor.FoldChanges(changes)
	j := newJoiner(ctx, src, sel)
	joined := make([]*reactor.Joined, len(changes))
	for k := range changes {
		var err error
		if joined[k], err = j.row(changes[k].After); err != nil {
			return nil, nil, err
		}
	}
	return changes, joined, nil
}

// referring returns the entities of the selection's collection whose link k
// leads to one of some entities, and that the plain part selects.
func referring(ctx context.Context, src Source, sel *ankql.Selection, k int, ids []id.ID, plain []ankql.Expr) ([]*entity.State, error) {
	for {
		l := &sel.Links[k]
		from := &ankql.Selection{Collection: sel.Collection, Limit: -1, Where: refersTo(l.Key, ids)}
		if l.From >= 0 {
			from.Collection = sel.Links[l.From].Collection
		} else {
			from.Where = ankql.And(from.Where, conjunction(plain))
		}
		var found []*entity.State
		for s, err := range src.Scan(ctx, from) {
			if err != nil {
				return nil, err
			}
			found = append(found, s)
		}
		if l.From < 0 || len(found) == 0 {
			return found, nil
		}
		k, ids = l.From, nil
		for _, s := range found {
			ids = append(ids, s.ID())
		}
	}
}
