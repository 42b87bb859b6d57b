package ankql

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/ankurah/ankurah-go/internal/sorting"
	"github.com/ankurah/ankurah-go/value"
)

// Normalize returns a selection with the same rows, whose predicate is in a
// canonical form: what differs only in the order of its parts, in where a NOT
// stands or in constants that decide nothing has one form. s must be bound.
func (s *Selection) Normalize() *Selection {
	out := *s
	out.Where = normalize(s.Where, false)
	if l, ok := out.Where.(*Literal); ok && l.Value.Bool() {
		out.Where = nil
	}
	return &out
}

// Behind returns, for each link of the selection, the paths that it reads
// behind it, as paths of what the link leads to.
func (s *Selection) Behind() [][]*Path {
	out := make([][]*Path, len(s.Links))
	add := func(p *Path) {
		if p.Via > 0 {
			own := *p
			own.Via = 0
			out[p.Via-1] = append(out[p.Via-1], &own)
		}
	}
	for p := range Paths(s.Where) {
		add(p)
	}
	for _, t := range s.Order {
		add(t.Path)
	}
	return out
}

// Key returns a string that two selections share only when they select the
// same rows of any data in the same order: types and defaults are part of it.
func (s *Selection) Key() string {
	text, params := s.Template()
	b := appendText(appendText(nil, s.Collection), text)
	for _, v := range params {
		b = appendText(b, string(value.Append(nil, v)))
	}
	for p := range Paths(s.Where) {
		b = appendPath(b, p)
	}
	for _, t := range s.Order {
		b = appendPath(b, t.Path)
	}
	for _, l := range s.Links {
		var params []value.Value
		p := printer{params: &params}
		if l.Where != nil {
			p.where(l.Where)
		}
		b = appendText(appendText(b, l.Collection), p.String())
		for _, v := range params {
			b = appendText(b, string(value.Append(nil, v)))
		}
	}
	return string(b)
}

// appendPath appends what a path's text does not say of it.
func appendPath(b []byte, p *Path) []byte {
	b = append(b, byte(p.Type.Kind), byte(p.Type.Elem))
	return appendText(b, string(value.Append(nil, p.Default)))
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// opposite holds the comparison that is TRUE where another is FALSE and FALSE
// where it is TRUE. Where one is UNKNOWN so is the other.
var opposite = map[Op]Op{OpEq: OpNe, OpNe: OpEq, OpLt: OpGe, OpLe: OpGt, OpGt: OpLe, OpGe: OpLt}

// mirrored holds a comparison with its operands exchanged.
var mirrored = map[Op]Op{OpEq: OpEq, OpNe: OpNe, OpLt: OpGt, OpLe: OpGe, OpGt: OpLt, OpGe: OpLe}

// normalize returns the canonical form of a bound predicate, or of its
// negation: what has no paths is a literal, NOT stands at leaves that have no
// opposite only, comparisons have their path on the left, and the parts of a
// conjunction or disjunction are none of its own kind, are sorted, and come
// once.
func normalize(e Expr, negate bool) Expr {
	if e == nil {
		e = &Literal{Value: value.Bool(true)}
	}
	if constant(e) {
		return truthLiteral(Eval(e, nil).not(negate))
	}
	switch e := e.(type) {
	case *Not:
		return normalize(e.X, !negate)
	case *Binary:
		switch {
		case e.Op == OpAnd || e.Op == OpOr:
			return normalizeChain(e, negate)
		case e.Op < OpContains:
			out := &Binary{Op: e.Op, L: e.L, R: e.R, Pos: e.Pos}
			if _, left := e.L.(*Path); !left {
				if _, right := e.R.(*Path); right {
					out.Op, out.L, out.R = mirrored[e.Op], e.R, e.L
				}
			}
			if negate {
				out.Op = opposite[out.Op]
			}
			return out
		}
	case *In:
		out := *e
		out.Not = e.Not != negate
		return &out
	case *Between:
		out := *e
		out.Not = e.Not != negate
		return &out
	case *Like:
		out := *e
		out.Not = e.Not != negate
		return &out
	case *IsNull:
		return &IsNull{X: e.X, Not: e.Not != negate, Pos: e.Pos}
	}
	if negate {
		return &Not{X: e}
	}
	return e
}

// normalizeChain normalizes a conjunction or a disjunction. By De Morgan's
// laws, which hold with three values too, the negation of one is the other of
// the negations.
func normalizeChain(e *Binary, negate bool) Expr {
	op, neutral, decisive := OpAnd, True, False
	if (e.Op == OpOr) != negate {
		op, neutral, decisive = OpOr, False, True
	}
	var parts []Expr
	terms, _ := spine(e.Op, e)
	for _, t := range terms {
		x := normalize(t, negate)
		if l, ok := x.(*Literal); ok {
			switch Eval(l, nil) {
			case neutral:
				continue
			case decisive:
				return l
			}
		}
		if b, ok := x.(*Binary); ok && b.Op == op {
			inner, _ := spine(op, b)
			parts = append(parts, inner...)
		} else {
			parts = append(parts, x)
		}
	}
	if len(parts) == 0 {
		return truthLiteral(neutral)
	}
	return join(op, sorted(parts), nil)
}

// sorted sorts predicates by what they print as, and drops repeated ones.
func sorted(parts []Expr) []Expr {
	type printed struct {
		Expr
		text string
	}
	all := make([]printed, len(parts))
	for k, x := range parts {
		all[k] = printed{x, PrintExpr(x)}
	}
	sorting.Stable(all, func(a, b printed) int { return cmp.Compare(a.text, b.text) })
	all = slices.CompactFunc(all, func(a, b printed) bool { return a.text == b.text && equalExpr(a.Expr, b.Expr) })
	out := make([]Expr, len(all))
	for k, x := range all {
		out[k] = x.Expr
	}
	return out
}

// constant reports whether e reads nothing of a row.
func constant(e Expr) bool {
	for range Paths(e) {
		return false
	}
	return true
}

func truthLiteral(t Truth) *Literal {
	switch t {
	case True:
		return &Literal{Value: value.Bool(true)}
	case False:
		return &Literal{Value: value.Bool(false)}
	}
	return &Literal{Value: value.Null}
}
