package kv

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/internal/keyset"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/value"
)

// wantedColumns is the greatest number of columns of an index that is made on
// demand, those of ORDER BY aside.
const wantedColumns = 3

// wanted returns the indexes that would have served the selection better than
// what the plan does: one, or one for each branch of an OR; none when those
// that exist serve as well.
func (p *plan) wanted(keys keyspace) []schema.Index {
	if p.none {
		return nil
	}
	score := p.access[0].score
	for _, a := range p.access[1:] {
		score = min(score, a.score)
	}
	if x, ok := p.planner.wanted(keys, score); ok {
		return []schema.Index{x}
	}
	if len(p.access[0].sets) > 0 {
		return nil
	}
	for k, e := range p.where {
		or, ok := e.(*ankql.Binary)
		if !ok || or.Op != ankql.OpOr {
			continue
		}
		var out []schema.Index
		for _, part := range keyset.Chain(or) {
			branch := p.branch(k, part)
			if best := branch.primary(); len(best.sets) > 0 {
				continue
			}
			x, ok := branch.wanted(keys, 0)
			if !ok {
				out = nil
				break
			}
			out = append(out, x)
		}
		if n := len(out); n > 0 && n <= maxBranches {
			return out
		}
	}
	return nil
}

// wanted returns the index that would serve best, if its score is greater.
func (p *planner) wanted(keys keyspace, score int) (schema.Index, bool) {
	var def schema.Index
	add := func(path *ankql.Path, desc bool) {
		parts := append([]string{path.Key}, path.JSON...)
		if !slices.ContainsFunc(def.Columns, func(c schema.Column) bool { return slices.Equal(c.Path, parts) }) {
			def.Columns = append(def.Columns, schema.Column{Path: parts, Desc: desc})
		}
	}
	var ranged *ankql.Path
	best := 0
	for _, e := range p.where {
		for path := range ankql.Paths(e) {
			s := p.set(path)
			if path.IsID || s.All || path.Type.Kind == value.KindList {
				continue
			}
			if s.Points() > 0 && len(def.Columns) < wantedColumns {
				add(path, false)
			} else if n := rangeScore(s); s.Points() == 0 && n > best {
				ranged, best = path, n
			}
		}
	}
	if len(p.terms) > 0 && (p.sel.Limit >= 0 || ranged == nil) {
		down := !slices.ContainsFunc(p.terms, func(k int) bool { return !p.sel.Order[k].Desc })
		for _, k := range p.terms {
			t := &p.sel.Order[k]
			add(t.Path, t.Desc && !down) // all descending: an ascending index, read backwards
		}
	} else if ranged != nil {
		add(ranged, false)
	}
	if checkIndex(def) != nil {
		return def, false
	}
	a := p.secondary(newIndex(keys, 0, p.sel.Collection, def, true))
	return def, a != nil && a.score >= score+scoreWorth
}

// Explain describes in a few lines how Scan would answer sel.
func (s *snapshot) Explain(_ context.Context, sel *ankql.Selection) (string, error) {
	if err := s.e.checkOpen(); err != nil {
		return "", err
	}
	p := newPlan(sel, s.catalog.indexes[sel.Collection])
	var b strings.Builder
	line := func(parts ...string) {
		for _, part := range parts {
			b.WriteString(part)
		}
		b.WriteByte('\n')
	}
	if p.none {
		line("nothing of ", sel.Collection, ": the predicate cannot be true")
		return b.String(), nil
	}
	if len(p.access) > 1 {
		line("any of ", strconv.Itoa(len(p.access)), ", joined by id:")
	}
	for _, a := range p.access {
		p.explainAccess(line, a)
	}
	if rest := p.residual(); rest != nil {
		line("filter: ", ankql.PrintExpr(rest))
	}
	line("order: ", p.explainOrder())
	if sel.After != nil {
		line("after: ", sel.After.String())
	}
	if sel.Limit >= 0 {
		line("limit: ", strconv.Itoa(sel.Limit))
	}
	for _, x := range p.wanted(s.e.keys) {
		line("wanted: index on ", x.Name())
	}
	return b.String(), nil
}

func (p *plan) explainAccess(line func(...string), a *access) {
	ranges := 1
	for _, s := range a.sets {
		ranges *= len(s.Intervals)
	}
	count := "1 range"
	if ranges != 1 {
		count = strconv.Itoa(ranges) + " ranges"
	}
	switch {
	case a.index == nil && len(a.sets) == 0:
		line("every entity of ", p.sel.Collection)
	case a.index == nil && a.equal > 0:
		line(p.sel.Collection, " by id: ", strconv.Itoa(ranges), " of them")
	case a.index == nil:
		line(p.sel.Collection, " by id: ", count)
	case len(a.sets) == 0:
		line(p.sel.Collection, " by index ", a.index.name, ": all of it")
	default:
		line(p.sel.Collection, " by index ", a.index.name, ": ", count, " of ", columnNames(a.index.def.Columns[:len(a.sets)]))
	}
}

func columnNames(columns []schema.Column) string {
	return schema.Index{Columns: columns}.Name()
}

// residual returns the conjuncts that ranges alone do not decide. All are
// evaluated nevertheless.
func (p *plan) residual() ankql.Expr {
	var rest ankql.Expr
	for _, e := range p.where {
		if len(p.access) == 1 && p.access[0].decides(e) {
			continue
		}
		rest = ankql.And(rest, e)
	}
	return rest
}

func (p *plan) explainOrder() string {
	switch {
	case !p.ordered && p.sel.Limit >= 0:
		return "sorted, keeping the first " + strconv.Itoa(p.sel.Limit)
	case !p.ordered:
		return "sorted"
	case len(p.access) > 1 || p.access[0].order.gather:
		return "by id, sorted"
	}
	a := p.access[0]
	text := "as read"
	if a.order.reverse {
		text = "read backwards"
	}
	if a.index == nil {
		return text
	}
	if n := len(a.streams(a.order.prefix(a))); n > 1 {
		text += ", merged from " + strconv.Itoa(n)
	}
	if !p.natural(a.order) {
		text += ", equal ones by id"
	}
	return text
}
