package postgres

import (
	"container/heap"
	"context"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/storage"
)

// plan says how a selection is answered: what the database decides, and what is
// left to the evaluator.
type plan struct {
	sel     *ankql.Selection
	c       *collection
	where   []string // conditions of what the database finds
	parts   []string // conditions of the parts of the result, which follow each other
	args    []any
	rest    ankql.Expr // what of the predicate the evaluator decides
	order   string     // "" when rows are sorted here
	quick   string     // the order of an index that holds beginnings; see quickly
	after   bool       // the cursor is left to the evaluator
	odd     []string   // keys of columns that may not hold the value of some entities
	exactly bool       // nothing but the limit is left
}

// newPlan plans a selection over the tables of its collection.
func (s *snapshot) newPlan(sel *ankql.Selection, c *collection) *plan {
	p := &plan{sel: sel, c: c, where: []string{"NOT _deleted"}, parts: []string{""}}
	comp := &compiler{e: s.e, c: c, used: map[string]bool{}}
	for _, e := range ankql.Conjuncts(sel.Where) {
		attempt := *comp
		attempt.used = maps.Clone(comp.used)
		sql, ok := attempt.predicate(e)
		if !ok || len(attempt.args) > maxArgs || len(sql) > maxSQL {
			p.rest = ankql.And(p.rest, e)
			continue
		}
		*comp = attempt
		p.where = append(p.where, sql)
	}
	p.after = sel.After != nil
	attempt := *comp
	attempt.used = maps.Clone(comp.used)
	if terms, ok := attempt.terms(sel); ok {
		p.order, p.quick = attempt.orderBy(terms)
		*comp = attempt
		if sel.After != nil {
			if parts, ok := attempt.after(terms, sel.After); ok {
				*comp, p.parts, p.after = attempt, parts, false
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(comp.used)) {
		if !c.byKey[key].exact {
			p.odd = append(p.odd, key)
		}
	}
	p.args = comp.args
	if len(p.odd) > 0 {
		p.where = append(p.where, "(_odd IS NULL OR NOT (_odd && "+comp.arg(p.odd, "text[]")+"))")
		p.args = comp.args
	}
	p.exactly = p.rest == nil && !p.after && len(p.odd) == 0
	return p
}

// maxArgs bounds the parameters of a statement; the protocol's limit is 65535.
const maxArgs = 30_000

// maxSQL bounds the text of a condition.
const maxSQL = 1 << 20

// sql returns the statement of one part, of at most limit rows if that is not
// negative, and its parameters.
func (p *plan) sql(columns, part, order string, limit int) (string, []any) {
	where := p.where
	if part != "" {
		where = append(slices.Clone(where), "("+part+")")
	}
	sql := "SELECT " + columns + " FROM " + p.c.table + " WHERE " + strings.Join(where, " AND ")
	if order != "" {
		sql += " ORDER BY " + order
	}
	if limit >= 0 {
		sql += " LIMIT " + itoa(limit)
	}
	return number(sql, p.args)
}

// limit returns how many rows the database has to find of a part, -1 for all.
func (p *plan) limit() int {
	if p.order == "" || p.rest != nil || p.after {
		return -1
	}
	return p.sel.Limit
}

// match reports whether the evaluator takes a row that the database found.
func (p *plan) match(st *entity.State) bool {
	return (p.rest == nil || ankql.Eval(p.rest, st) == ankql.True) && (!p.after || p.sel.CompareCursor(st, p.sel.After) > 0)
}

func (s *snapshot) Scan(ctx context.Context, sel *ankql.Selection) iter.Seq2[*entity.State, error] {
	return func(yield func(*entity.State, error) bool) {
		c := s.catalog.collections[sel.Collection]
		err := s.check(ctx)
		if err == nil && (sel.Limit == 0 || c == nil) {
			return
		}
		if err == nil {
			err = s.scan(ctx, s.newPlan(sel, c), func(st *entity.State) bool { return yield(st, nil) })
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

// scan calls yield with the rows in order, up to the limit, until it returns
// false.
func (s *snapshot) scan(ctx context.Context, p *plan, yield func(*entity.State) bool) error {
	odd, err := s.oddRows(ctx, p)
	if err != nil {
		return err
	}
	if p.order == "" {
		return s.sorted(ctx, p, odd, yield)
	}
	left := p.sel.Limit
	// What is odd stands between the rows of the database.
	emit := func(st *entity.State) bool {
		left--
		return yield(st) && left != 0
	}
	ended := false
	for _, part := range p.parts {
		err := s.part(ctx, p, part, func(st *entity.State) bool {
			for !ended && len(odd) > 0 && p.sel.Compare(odd[0], st) < 0 {
				ended = !emit(odd[0])
				odd = odd[1:]
			}
			ended = ended || !emit(st)
			return !ended
		})
		if err != nil || ended {
			return err
		}
	}
	for _, st := range odd {
		if !emit(st) {
			return nil
		}
	}
	return nil
}

// first returns the order in which rows are asked for first.
func (p *plan) first() string {
	if n := p.limit(); p.quick != p.order && n >= 0 && n <= pageSize {
		return p.quick
	}
	return p.order
}

// quickly returns the rows of a part in the order of an index that holds
// beginnings of texts, and sorts what has the same beginnings: PostgreSQL would
// sort all of it, some rows at a time, though hardly any text is that long. It
// returns false when rows behind the limit could be among the first.
func (s *snapshot) quickly(ctx context.Context, p *plan, part string) (rows []*entity.State, ok bool, err error) {
	sql, args := p.sql("id, _state", part, p.quick, p.limit())
	err = s.each(ctx, sql, args, func(r pgx.Rows) error {
		st, err := p.decode(r)
		rows = append(rows, st)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	long := func(st *entity.State) bool {
		return slices.ContainsFunc(p.sel.Order, func(t ankql.OrderTerm) bool {
			v := st.Value(t.Path.Key)
			return p.c.prefixed(t.Path.Key) && !short(v)
		})
	}
	if len(rows) == p.limit() && long(rows[len(rows)-1]) {
		return nil, false, nil
	}
	for k := 0; k < len(rows); k++ {
		start := k
		for k < len(rows) && long(rows[k]) {
			k++
		}
		slices.SortFunc(rows[start:k], func(a, b *entity.State) int { return p.sel.Compare(a, b) })
	}
	return rows, true, nil
}

// part calls f with the rows of a part, until it returns false.
func (s *snapshot) part(ctx context.Context, p *plan, part string, f func(*entity.State) bool) error {
	if p.first() != p.order {
		rows, ok, err := s.quickly(ctx, p, part)
		if err != nil {
			return err
		}
		if ok {
			return hand(ctx, rows, f)
		}
	}
	sql, args := p.sql("id, _state", part, p.order, p.limit())
	r, err := s.open(ctx, sql, args)
	if err != nil {
		return err
	}
	open := true
	defer func() {
		if open {
			r.close()
		}
	}()
	for r.more {
		// Rows are handed out while no connection is held, but for long results.
		var page []*entity.State
		for ; r.more && len(page) < pageSize; r.next() {
			st, err := p.decode(r.rows)
			if err != nil {
				return err
			}
			if p.match(st) {
				page = append(page, st)
			}
		}
		if err := r.rows.Err(); err != nil {
			return s.e.ended(err)
		}
		if !r.more {
			r.close()
			open = false
		} else {
			r.keep()
		}
		ended := false
		err := hand(ctx, page, func(st *entity.State) bool {
			ended = !f(st)
			return !ended
		})
		if err != nil || ended {
			return err
		}
	}
	return nil
}

// hand calls f with rows, until it returns false or ctx ends.
func hand(ctx context.Context, rows []*entity.State, f func(*entity.State) bool) error {
	for _, st := range rows {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !f(st) {
			return nil
		}
	}
	return nil
}

func (p *plan) decode(rows pgx.Rows) (*entity.State, error) {
	raw := rows.RawValues()
	return storage.DecodeState(p.c.name, [16]byte(raw[0]), raw[1])
}

// oddRows returns, in order, the rows of which a column that the plan reads
// does not hold the value.
func (s *snapshot) oddRows(ctx context.Context, p *plan) ([]*entity.State, error) {
	if len(p.odd) == 0 {
		return nil, nil
	}
	var out []*entity.State
	err := s.each(ctx, "SELECT id, _state FROM "+p.c.table+" WHERE _odd IS NOT NULL AND NOT _deleted AND _odd && $1::text[]", []any{p.odd}, func(r pgx.Rows) error {
		st, err := p.decode(r)
		if err == nil && p.sel.Match(st) && (p.sel.After == nil || p.sel.CompareCursor(st, p.sel.After) > 0) {
			out = append(out, st)
		}
		return err
	})
	slices.SortFunc(out, func(a, b *entity.State) int { return p.sel.Compare(a, b) })
	return out, err
}

// sorted yields the rows in an order that SQL cannot say. With a limit it
// keeps no more rows than that.
func (s *snapshot) sorted(ctx context.Context, p *plan, odd []*entity.State, yield func(*entity.State) bool) error {
	top := &top{sel: p.sel}
	for _, st := range odd {
		top.add(st)
	}
	for _, part := range p.parts {
		if err := s.part(ctx, p, part, func(st *entity.State) bool { top.add(st); return true }); err != nil {
			return err
		}
	}
	slices.SortFunc(top.rows, func(a, b *entity.State) int { return p.sel.Compare(a, b) })
	for _, st := range top.rows {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !yield(st) {
			return nil
		}
	}
	return nil
}

// top holds the first rows of an order, the last of them on top of the heap.
type top struct {
	sel  *ankql.Selection
	rows []*entity.State
}

func (t *top) Len() int           { return len(t.rows) }
func (t *top) Less(i, j int) bool { return t.sel.Compare(t.rows[i], t.rows[j]) > 0 }
func (t *top) Swap(i, j int)      { t.rows[i], t.rows[j] = t.rows[j], t.rows[i] }
func (t *top) Push(x any)         { t.rows = append(t.rows, x.(*entity.State)) }
func (t *top) Pop() any {
	last := len(t.rows) - 1
	x := t.rows[last]
	t.rows = t.rows[:last]
	return x
}

func (t *top) add(st *entity.State) {
	switch {
	case t.sel.Limit < 0:
		t.rows = append(t.rows, st)
	case len(t.rows) < t.sel.Limit:
		heap.Push(t, st)
	case t.sel.Compare(st, t.rows[0]) < 0:
		t.rows[0] = st
		heap.Fix(t, 0)
	}
}

func (s *snapshot) Count(ctx context.Context, sel *ankql.Selection) (n int64, err error) {
	if err := s.check(ctx); err != nil {
		return 0, err
	}
	c := s.catalog.collections[sel.Collection]
	if sel.Limit == 0 || c == nil {
		return 0, nil
	}
	p := s.newPlan(sel, c)
	if !p.exactly {
		err = s.scan(ctx, p, func(*entity.State) bool { n++; return true })
		return n, err
	}
	for _, part := range p.parts {
		left := sel.Limit
		if left >= 0 {
			left -= int(n)
		}
		sql, args := p.sql("1", part, "", left)
		err := s.each(ctx, "SELECT count(*) FROM ("+sql+") AS found", args, func(r pgx.Rows) error {
			var found int64
			err := r.Scan(&found)
			n += found
			return err
		})
		if err != nil {
			return 0, err
		}
	}
	return n, nil
}

func (s *snapshot) Explain(ctx context.Context, sel *ankql.Selection) (string, error) {
	if err := s.check(ctx); err != nil {
		return "", err
	}
	c := s.catalog.collections[sel.Collection]
	if c == nil {
		return "nothing is stored in " + sel.Collection + "\n", nil
	}
	if sel.Limit == 0 {
		return "nothing: the limit is 0\n", nil
	}
	p := s.newPlan(sel, c)
	var b strings.Builder
	line := func(parts ...string) { b.WriteString(strings.Join(parts, "") + "\n") }
	for _, part := range p.parts {
		sql, args := p.sql("id, _state", part, p.first(), p.limit())
		line("sql: ", sql)
		err := s.each(ctx, "EXPLAIN "+sql, args, func(r pgx.Rows) error {
			var text string
			err := r.Scan(&text)
			line("  ", text)
			return err
		})
		if err != nil {
			return "", err
		}
	}
	if len(p.odd) > 0 {
		line("merged with entities whose value the column does not hold: ", strings.Join(p.odd, ", "))
	}
	if p.rest != nil {
		line("filter: ", ankql.PrintExpr(p.rest))
	}
	if p.after {
		line("after: ", sel.After.String())
	}
	if p.order == "" {
		line("order: sorted here")
	}
	if sel.Limit >= 0 && p.limit() < 0 {
		line("limit: ", itoa(sel.Limit))
	}
	return b.String(), nil
}
