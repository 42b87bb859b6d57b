package keyset

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/value"
)

// SamePath reports whether two bound paths read the same value of every row
// that has one.
func SamePath(a, b *ankql.Path) bool {
	return a.Via == b.Via && a.IsID == b.IsID && a.Key == b.Key && slices.Equal(a.JSON, b.JSON)
}

// Of returns a set of values of path p, as an index holds them, outside of
// which e is not TRUE. Where the property is missing an index holds null,
// whatever its default.
func Of(e ankql.Expr, p *ankql.Path) Set { return bounds(e, p, true) }

// bounds returns the set of values under p outside of which e is not TRUE, or
// with want false, outside of which e is not FALSE. A predicate matches only
// where it is TRUE, and it is TRUE under a NOT where its operand is FALSE,
// which is more than "not TRUE" (S45); so both questions are asked.
func bounds(e ankql.Expr, p *ankql.Path, want bool) Set {
	switch e := e.(type) {
	case nil:
		return Everything
	case *ankql.Literal:
		if want && !e.Value.Bool() || !want && (e.Value.IsNull() || e.Value.Bool()) {
			return Set{Exact: true}
		}
	case *ankql.Not:
		return bounds(e.X, p, !want)
	case *ankql.Binary:
		switch {
		case e.Op == ankql.OpAnd || e.Op == ankql.OpOr:
			return boundsOfChain(e, p, want)
		case e.Op < ankql.OpContains:
			return boundsOfComparison(e.Op, e.L, e.R, p, want)
		}
	case *ankql.In:
		return boundsOfIn(e, p, want)
	case *ankql.Between:
		lower := boundsOfComparison(ankql.OpGe, e.X, e.Lo, p, want != e.Not)
		upper := boundsOfComparison(ankql.OpLe, e.X, e.Hi, p, want != e.Not)
		if want != e.Not {
			return Intersect(lower, upper)
		}
		return union(lower, upper)
	case *ankql.Like:
		if want != e.Not {
			return boundsOfLike(e, p)
		}
	case *ankql.IsNull:
		x, ok := e.X.(*ankql.Path)
		switch {
		case !ok || !SamePath(x, p):
		case want != e.Not:
			return read(x, pointSet(NullKey, true))
		default:
			return read(x, rangeSet([]byte{}, NullKey, true))
		}
	case *ankql.Path: // a bool by itself
		if SamePath(e, p) && want {
			return read(e, pointSet(value.AppendKey(nil, value.Bool(true), false), true))
		}
	}
	return Everything
}

// boundsOfChain goes through a chain of AND or of OR. By De Morgan's laws,
// which hold with three values too, an AND is FALSE where any part is.
func boundsOfChain(e *ankql.Binary, p *ankql.Path, want bool) Set {
	parts := Chain(e)
	if (e.Op == ankql.OpAnd) == want {
		out := bounds(parts[0], p, want)
		for _, part := range parts[1:] {
			out = Intersect(out, bounds(part, p, want))
		}
		return out
	}
	sets := make([]Set, 0, len(parts))
	for _, part := range parts {
		s := bounds(part, p, want)
		if s.All {
			return Everything
		}
		sets = append(sets, s)
	}
	return union(sets...)
}

// Chain returns the operands of a chain of one operator, which leans left.
func Chain(e *ankql.Binary) []ankql.Expr {
	var parts []ankql.Expr
	op := e.Op
	for {
		parts = append(parts, e.R)
		next, ok := e.L.(*ankql.Binary)
		if !ok || next.Op != op {
			parts = append(parts, e.L)
			slices.Reverse(parts)
			return parts
		}
		e = next
	}
}

// turned holds the operators of comparisons with their operands exchanged,
// denied those that are TRUE where one is FALSE. Both operands being of one
// class and not null is part of either.
var (
	turned = map[ankql.Op]ankql.Op{ankql.OpEq: ankql.OpEq, ankql.OpNe: ankql.OpNe, ankql.OpLt: ankql.OpGt, ankql.OpLe: ankql.OpGe, ankql.OpGt: ankql.OpLt, ankql.OpGe: ankql.OpLe}
	denied = map[ankql.Op]ankql.Op{ankql.OpEq: ankql.OpNe, ankql.OpNe: ankql.OpEq, ankql.OpLt: ankql.OpGe, ankql.OpLe: ankql.OpGt, ankql.OpGt: ankql.OpLe, ankql.OpGe: ankql.OpLt}
)

func boundsOfComparison(op ankql.Op, l, r ankql.Expr, p *ankql.Path, want bool) Set {
	x, ok := l.(*ankql.Path)
	if !ok {
		op, l, r = turned[op], r, l
		x, ok = l.(*ankql.Path)
	}
	lit, isLit := r.(*ankql.Literal)
	if !ok || !isLit || !SamePath(x, p) {
		return Everything
	}
	if !want {
		op = denied[op]
	}
	v := lit.Value
	if v.IsNull() {
		return Set{Exact: true} // UNKNOWN whatever the row holds
	}
	key, exact := value.AppendKey(nil, v, false), value.KeyExact(v)
	class := key[:1] // the first byte of a key is that of its class
	var s Set
	switch op {
	case ankql.OpEq:
		s = pointSet(key, exact)
	case ankql.OpLt:
		hi := key
		if !exact { // what is less may have the same key
			hi = Successor(bytes.Clone(key))
		}
		s = rangeSet(class, hi, exact)
	case ankql.OpLe:
		s = rangeSet(class, Successor(bytes.Clone(key)), exact)
	case ankql.OpGt:
		lo := key
		if exact {
			lo = Successor(bytes.Clone(key))
		}
		s = rangeSet(lo, Successor(bytes.Clone(class)), exact)
	case ankql.OpGe:
		s = rangeSet(key, Successor(bytes.Clone(class)), exact)
	default:
		return Everything
	}
	return read(x, s)
}

func boundsOfIn(e *ankql.In, p *ankql.Path, want bool) Set {
	if len(e.List) == 0 {
		if want == e.Not {
			return Everything // NOT IN () is TRUE of all rows
		}
		return Set{Exact: true}
	}
	x, ok := e.X.(*ankql.Path)
	if !ok || !SamePath(x, p) || want == e.Not {
		return Everything
	}
	out := Set{Exact: true}
	for _, item := range e.List {
		lit, ok := item.(*ankql.Literal)
		if !ok {
			return Everything
		}
		if v := lit.Value; !v.IsNull() {
			out.Exact = out.Exact && value.KeyExact(v)
			out.Intervals = append(out.Intervals, pointInterval(value.AppendKey(nil, v, false)))
		}
	}
	return read(x, union(out))
}

// boundsOfLike uses what stands before the first wildcard of a pattern.
func boundsOfLike(e *ankql.Like, p *ankql.Path) Set {
	x, ok := e.X.(*ankql.Path)
	lit, isLit := e.Pattern.(*ankql.Literal)
	if !ok || !isLit || !SamePath(x, p) || e.Fold {
		return Everything
	}
	if lit.Value.IsNull() {
		return Set{Exact: true}
	}
	if lit.Value.Kind() != value.KindString || !utf8.ValidString(lit.Value.Text()) || len(lit.Value.Text()) > ankql.MaxPattern {
		return Everything
	}
	prefix, rest := literalPrefix(lit.Value.Text())
	if rest == "" {
		v := value.String(prefix)
		return read(x, pointSet(value.AppendKey(nil, v, false), value.KeyExact(v)))
	}
	lo := value.AppendKeyPrefix(nil, prefix, false)
	exact := rest == "%" && value.KeyExact(value.String(prefix))
	return read(x, rangeSet(lo, Successor(bytes.Clone(lo)), exact))
}

// literalPrefix splits a LIKE pattern into the text that everything it matches
// begins with, and the pattern of what follows.
func literalPrefix(pattern string) (prefix, rest string) {
	var b strings.Builder
	for k := 0; k < len(pattern); k++ {
		c := pattern[k]
		if c == '%' || c == '_' {
			return b.String(), pattern[k:]
		}
		if c == '\\' && k+1 < len(pattern) {
			k++
			c = pattern[k]
		}
		b.WriteByte(c)
	}
	return b.String(), ""
}

// read turns a set of values that the evaluator sees under x into the set of
// those that an index holds: where the property is missing the evaluator sees
// its default and the index null.
func read(x *ankql.Path, s Set) Set {
	if x.Default.IsNull() || s.All {
		return s
	}
	def := x.Default
	if def.Kind() == value.KindJSON {
		def = def.Lookup(x.JSON...)
	} else if len(x.JSON) > 0 {
		def = value.Null
	}
	seen := s.Contains(value.AppendKey(nil, def, false))
	hasNull := s.Contains(NullKey)
	exact := s.Exact && value.KeyExact(def)
	out := Intersect(s, Set{Exact: true, Intervals: []Interval{{Lo: []byte{}, Hi: NullKey}}})
	// Inside JSON null is either: the document is missing, or has no such key.
	if seen || len(x.JSON) > 0 && hasNull {
		out.Intervals = append(out.Intervals, pointInterval(NullKey))
	}
	out.Exact = exact && (len(x.JSON) == 0 || seen == hasNull)
	return out
}
