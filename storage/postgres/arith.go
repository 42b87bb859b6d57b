package postgres

import (
	"math"
	"math/big"
	"strconv"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/value"
)

// span is a range of whole numbers, both ends in it; it is empty when lo is
// greater than hi. Ends may lie beyond 64 bits.
type span struct{ lo, hi *big.Int }

func spanOf(lo, hi int64) span { return span{big.NewInt(lo), big.NewInt(hi)} }

var int64s = spanOf(math.MinInt64, math.MaxInt64)

func (s span) empty() bool { return s.lo.Cmp(s.hi) > 0 }

// holds reports whether all of o is in s.
func (s span) holds(o span) bool { return s.lo.Cmp(o.lo) <= 0 && o.hi.Cmp(s.hi) <= 0 }

// and returns what is in both.
func (s span) and(o span) span {
	if s.lo.Cmp(o.lo) < 0 {
		s.lo = o.lo
	}
	if s.hi.Cmp(o.hi) > 0 {
		s.hi = o.hi
	}
	return s
}

// result returns where x op y lies, in numbers without an end; division by zero
// is nowhere.
func result(op ankql.Op, x, y span) span {
	z := func() *big.Int { return new(big.Int) }
	switch op {
	case ankql.OpAdd:
		return span{z().Add(x.lo, y.lo), z().Add(x.hi, y.hi)}
	case ankql.OpSub:
		return span{z().Sub(x.lo, y.hi), z().Sub(x.hi, y.lo)}
	case ankql.OpMul:
		out := span{z().Mul(x.lo, y.lo), z().Mul(x.lo, y.lo)}
		for _, p := range []*big.Int{z().Mul(x.lo, y.hi), z().Mul(x.hi, y.lo), z().Mul(x.hi, y.hi)} {
			if p.Cmp(out.lo) < 0 {
				out.lo = p
			}
			if p.Cmp(out.hi) > 0 {
				out.hi = p
			}
		}
		return out
	}
	most := z().Abs(x.lo)
	if hi := z().Abs(x.hi); hi.Cmp(most) > 0 {
		most = hi
	}
	if y.lo.Cmp(y.hi) == 0 && y.lo.Sign() != 0 {
		most = z().Quo(most, z().Abs(y.lo))
	}
	return span{z().Neg(most), most}
}

// before returns the x for which x op k lies in want, or k op x if left; false
// where they are no range.
func before(op ankql.Op, k int64, left bool, want span) (span, bool) {
	z, n := func() *big.Int { return new(big.Int) }, big.NewInt(k)
	if want.empty() {
		return want, true
	}
	switch {
	case op == ankql.OpAdd:
		return span{z().Sub(want.lo, n), z().Sub(want.hi, n)}, true
	case op == ankql.OpSub && left:
		return span{z().Sub(n, want.hi), z().Sub(n, want.lo)}, true
	case op == ankql.OpSub:
		return span{z().Add(want.lo, n), z().Add(want.hi, n)}, true
	case k == 0 || op == ankql.OpDiv && left:
		return span{}, false
	case k < 0:
		n.Neg(n)
		want = span{z().Neg(want.hi), z().Neg(want.lo)}
	}
	one := big.NewInt(1)
	if op == ankql.OpMul {
		// Div rounds down, as n is positive.
		up := z().Neg(z().Div(z().Neg(want.lo), n))
		return span{up, z().Div(want.hi, n)}, true
	}
	// What is divided is rounded towards zero.
	out := span{z().Mul(want.lo, n), z().Mul(want.hi, n)}
	if want.lo.Sign() <= 0 {
		out.lo = z().Add(z().Mul(z().Sub(want.lo, one), n), one)
	}
	if want.hi.Sign() >= 0 {
		out.hi = z().Sub(z().Mul(z().Add(want.hi, one), n), one)
	}
	return out, true
}

// bounds returns where the values of a column of whole numbers lie.
func bounds(k value.Kind) span {
	if k == value.KindInt32 {
		return spanOf(math.MinInt32, math.MaxInt32)
	}
	return int64s
}

// whole is an operand of arithmetic with whole numbers.
type whole struct {
	sql   string // of type bigint, of numeric if wide
	wide  bool
	plain bool // sql is a column or a parameter, which may be said twice
	lit   bool
	in    span
}

func (n whole) numeric() string {
	if n.wide {
		return n.sql
	}
	return n.sql + "::numeric"
}

// whole compiles an operand of arithmetic.
func (c *compiler) whole(e ankql.Expr) (whole, bool) {
	o, ok := c.operand(e)
	if !ok || o.typ.Kind != value.KindInt32 && o.typ.Kind != value.KindInt64 {
		return whole{}, false
	}
	n := whole{sql: o.sql, wide: o.wide, plain: o.col != nil, in: bounds(o.typ.Kind)}
	switch {
	case o.lit != nil:
		n = whole{sql: c.arg(o.lit.Int(), "bigint"), plain: true, lit: true, in: spanOf(o.lit.Int(), o.lit.Int())}
	case o.in != nil:
		n.in = *o.in
	case o.typ.Kind == value.KindInt32:
		n.sql += "::bigint"
	}
	return n, true
}

var signs = map[ankql.Op]string{ankql.OpAdd: " + ", ankql.OpSub: " - ", ankql.OpMul: " * ", ankql.OpDiv: " / "}

// arithmetic compiles what is done with whole numbers: null where it divides by
// zero or does not fit 64 bits. It is done with bigint where that cannot
// overflow, else with numeric, which takes several times as long. Floating-point
// numbers are left to the evaluator, as a column of them may hold whole ones,
// which divide otherwise.
func (c *compiler) arithmetic(op ankql.Op, l, r ankql.Expr) (operand, bool) {
	a, ok := c.whole(l)
	if !ok {
		return operand{}, false
	}
	b, ok := c.whole(r)
	if !ok {
		return operand{}, false
	}
	in := result(op, a.in, b.in)
	fits := int64s.holds(in)
	in = in.and(int64s)
	o := operand{typ: value.Type{Kind: value.KindInt64}, in: &in}
	if !a.wide && !b.wide {
		plain := a.sql + signs[op] + b.sql
		if op == ankql.OpDiv && (!b.lit || b.in.lo.Sign() == 0) {
			plain = a.sql + " / NULLIF(" + b.sql + ", 0)"
		}
		if fits {
			o.sql = "(" + plain + ")"
			return o, true
		}
		if guard, ok := c.guard(op, a, b); ok {
			o.sql = "(CASE WHEN " + guard + " THEN " + plain + " END)"
			return o, true
		}
	}
	var sql string
	if op == ankql.OpDiv {
		sql = "div(" + a.numeric() + ", NULLIF(" + b.numeric() + ", 0))"
	} else {
		sql = a.numeric() + signs[op] + b.numeric()
	}
	sql = c.e.own("int") + "(" + sql + ")"
	if a.plain && b.plain && op != ankql.OpDiv { // two columns, which nearly always hold small numbers
		near := spanOf(-1<<62, 1<<62-1)
		if op == ankql.OpMul {
			near = spanOf(-1<<31, 1<<31)
		}
		small := c.within(a.sql, "bigint", a.in, near) + " AND " + c.within(b.sql, "bigint", b.in, near)
		o.sql = "(CASE WHEN " + small + " THEN " + a.sql + signs[op] + b.sql + " ELSE " + sql + "::bigint END)"
		return o, true
	}
	o.sql, o.wide = sql, true
	return o, true
}

// guard compiles that a op b fits 64 bits; false where that is not simple.
func (c *compiler) guard(op ankql.Op, a, b whole) (string, bool) {
	if !a.plain || !b.plain {
		return "", false
	}
	x, k := a, b
	if a.lit {
		x, k = b, a
	}
	if !k.lit {
		if op != ankql.OpDiv {
			return "", false
		}
		return "(" + a.sql + " <> " + c.arg(int64(math.MinInt64), "bigint") + " OR " + b.sql + " <> -1)", true
	}
	safe, ok := before(op, k.in.lo.Int64(), a.lit, int64s)
	if !ok {
		if op == ankql.OpDiv && a.lit { // the least number by -1
			return b.sql + " <> -1", true
		}
		return "", false
	}
	return c.within(x.sql, "bigint", x.in, safe), true
}

// within compiles that x, which lies in in, lies in want as well.
func (c *compiler) within(x, typ string, in, want span) string {
	want = want.and(in)
	end := func(n *big.Int) string { return c.arg(c.integer(n.Int64(), typ), typ) }
	switch lo, hi := want.lo.Cmp(in.lo) > 0, want.hi.Cmp(in.hi) < 0; {
	case want.empty():
		return "CASE WHEN " + x + " IS NOT NULL THEN FALSE END"
	case want.lo.Cmp(want.hi) == 0:
		return "(" + x + " = " + end(want.lo) + ")"
	case lo && hi:
		return "(" + x + " >= " + end(want.lo) + " AND " + x + " <= " + end(want.hi) + ")"
	case lo:
		return "(" + x + " >= " + end(want.lo) + ")"
	case hi:
		return "(" + x + " <= " + end(want.hi) + ")"
	}
	return "CASE WHEN " + x + " IS NOT NULL THEN TRUE END"
}

// inverted compiles the comparison of arithmetic on one path with a constant as
// a comparison of the path, which an index can serve: population / 7 = 3 is
// population BETWEEN 21 AND 27. What overflows is false in it and not null, so
// it does not stand behind NOT.
func (c *compiler) inverted(op ankql.Op, e ankql.Expr, v value.Value) (string, bool) {
	if _, path := e.(*ankql.Path); path || c.negative || v.Kind() != value.KindInt32 && v.Kind() != value.KindInt64 {
		return "", false
	}
	want := span{new(big.Int).Set(int64s.lo), new(big.Int).Set(int64s.hi)}
	k, one := big.NewInt(v.Int()), big.NewInt(1)
	switch op {
	case ankql.OpEq:
		want = span{k, k}
	case ankql.OpLt:
		want.hi = k.Sub(k, one)
	case ankql.OpLe:
		want.hi = k
	case ankql.OpGt:
		want.lo = k.Add(k, one)
	case ankql.OpGe:
		want.lo = k
	default:
		return "", false
	}
	for {
		var ok bool
		switch x := e.(type) {
		case *ankql.Path:
			o, ok := c.path(x)
			if !ok || o.typ.Kind != value.KindInt32 && o.typ.Kind != value.KindInt64 {
				return "", false
			}
			return c.within(o.sql, sqlTypes[o.typ.Kind], bounds(o.typ.Kind), want), true
		case *ankql.Neg:
			want, ok = before(ankql.OpSub, 0, true, want)
			e = x.X
		case *ankql.Binary:
			k, left := x.R, false
			e = x.L
			if !isConstant(k) {
				k, e, left = x.L, x.R, true
			}
			if x.Op < ankql.OpAdd || left && !isConstant(k) {
				return "", false
			}
			v := ankql.Operand(k, nil).Unwrap()
			if v.Kind() != value.KindInt32 && v.Kind() != value.KindInt64 {
				return "", false
			}
			want, ok = before(x.Op, v.Int(), left, want)
		}
		if !ok {
			return "", false
		}
		want = want.and(int64s)
	}
}

// integer returns a parameter of type bigint, integer or numeric.
func (c *compiler) integer(n int64, typ string) any {
	switch typ {
	case "integer":
		return int32(n)
	case "numeric":
		return strconv.FormatInt(n, 10)
	}
	return n
}
