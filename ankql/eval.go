package ankql

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/ankurah/ankurah-go/value"
)

// Truth is a truth value of three-valued logic. NOT is negation, AND the
// lesser and OR the greater of two.
type Truth int8

const (
	False   Truth = -1
	Unknown Truth = 0
	True    Truth = 1
)

// String returns FALSE, UNKNOWN or TRUE.
func (t Truth) String() string {
	switch {
	case t < Unknown:
		return "FALSE"
	case t > Unknown:
		return "TRUE"
	}
	return "UNKNOWN"
}

func truth(b bool) Truth {
	if b {
		return True
	}
	return False
}

// not returns t, negated if neg.
func (t Truth) not(neg bool) Truth {
	if neg {
		return -t
	}
	return t
}

// Match reports whether the predicate is TRUE of r. Limit and cursor play no
// part.
func (s *Selection) Match(r Row) bool { return s.Where == nil || Eval(s.Where, r) == True }

// Eval returns the truth of a bound predicate of r; nil is TRUE. A node that
// is a value rather than a predicate is TRUE if it is the truth value true,
// UNKNOWN if it is null, else FALSE.
func Eval(e Expr, r Row) Truth {
	switch e := e.(type) {
	case nil:
		return True
	case *Binary:
		switch {
		case e.Op == OpAnd:
			return evalAnd(e, r)
		case e.Op == OpOr:
			return evalOr(e, r)
		case e.Op == OpContains:
			return contains(Operand(e.L, r), Operand(e.R, r))
		case e.Op < OpContains:
			return compare(e.Op, Operand(e.L, r), Operand(e.R, r))
		}
	case *Not:
		return -Eval(e.X, r)
	case *In:
		return e.eval(r).not(e.Not)
	case *Between:
		x := Operand(e.X, r)
		t := compare(OpGe, x, Operand(e.Lo, r))
		if t != False {
			t = min(t, compare(OpLe, x, Operand(e.Hi, r)))
		}
		return t.not(e.Not)
	case *Like:
		return e.eval(r).not(e.Not)
	case *IsNull:
		return truth(Operand(e.X, r).IsNull() != e.Not)
	}
	v := Operand(e, r)
	if v.IsNull() {
		return Unknown
	}
	return truth(v.Bool())
}

// evalAnd and evalOr go through a chain in the order it is written when
// binding noted its operands, else from its end: the truth is the same.
func evalAnd(e *Binary, r Row) Truth {
	t := True
	if e.chain != nil {
		for _, x := range e.chain {
			if t = min(t, Eval(x, r)); t == False {
				break
			}
		}
		return t
	}
	for {
		if t = min(t, Eval(e.R, r)); t == False {
			return t
		}
		next, ok := e.L.(*Binary)
		if !ok || next.Op != OpAnd {
			return min(t, Eval(e.L, r))
		}
		e = next
	}
}

func evalOr(e *Binary, r Row) Truth {
	t := False
	if e.chain != nil {
		for _, x := range e.chain {
			if t = max(t, Eval(x, r)); t == True {
				break
			}
		}
		return t
	}
	for {
		if t = max(t, Eval(e.R, r)); t == True {
			return t
		}
		next, ok := e.L.(*Binary)
		if !ok || next.Op != OpOr {
			return max(t, Eval(e.L, r))
		}
		e = next
	}
}

// compare evaluates = != < <= > >=. With null it is UNKNOWN. Values of
// different classes (text and a number, say) are not equal and have no order:
// = is FALSE, != is TRUE, and the others are UNKNOWN (S46).
func compare(op Op, a, b value.Value) Truth {
	if a.IsNull() || b.IsNull() {
		return Unknown
	}
	c, ok := order(&a, &b)
	switch {
	case op == OpEq:
		return truth(ok && c == 0)
	case op == OpNe:
		return truth(!ok || c != 0)
	case !ok:
		return Unknown
	case op == OpLt:
		return truth(c < 0)
	case op == OpLe:
		return truth(c <= 0)
	case op == OpGt:
		return truth(c > 0)
	}
	return truth(c >= 0)
}

// order compares two values that are not null; ok is false when they are of
// different classes. The kinds that most predicates are about do not take the
// way through package value, which costs twice as much as the rest of it.
func order(a, b *value.Value) (c int, ok bool) {
	if k := a.Kind(); k == b.Kind() {
		switch k {
		case value.KindString:
			return strings.Compare(a.Text(), b.Text()), true
		case value.KindInt32, value.KindInt64:
			return cmp.Compare(a.Int(), b.Int()), true
		}
	}
	if !value.SameClass(*a, *b) {
		return 0, false
	}
	return value.Compare(*a, *b), true
}

func equal(a, b value.Value) bool {
	c, ok := order(&a, &b)
	return ok && c == 0
}

// contains evaluates CONTAINS: with null UNKNOWN; FALSE when a has no parts. A
// null in a JSON array is no reason for UNKNOWN: it equals nothing.
func contains(a, b value.Value) Truth {
	switch {
	case a.IsNull() || b.IsNull():
		return Unknown
	case a.Kind() == value.KindString:
		return truth(b.Kind() == value.KindString && strings.Contains(a.Text(), b.Text()))
	case a.Kind() == value.KindList:
		for k := range a.Len() {
			if equal(a.At(k), b) {
				return True
			}
		}
	case a.Kind() == value.KindJSON:
		for x := range a.Elements() {
			if equal(x, b) {
				return True
			}
		}
	}
	return False
}

func (e *In) eval(r Row) Truth {
	if len(e.List) == 0 {
		return False // of none, whatever X is, as no comparison takes place
	}
	x := Operand(e.X, r)
	if x.IsNull() {
		return Unknown
	}
	if e.sorted != nil {
		if _, ok := slices.BinarySearchFunc(e.sorted, x, value.Compare); ok {
			return True
		}
		if e.hasNull {
			return Unknown
		}
		return False
	}
	t := False
	for _, item := range e.List {
		if t = max(t, compare(OpEq, x, Operand(item, r))); t == True {
			break
		}
	}
	return t
}

// eval evaluates LIKE: with null UNKNOWN, of what is no text FALSE.
func (e *Like) eval(r Row) Truth {
	x := Operand(e.X, r)
	if m := e.matcher; m != nil {
		if x.IsNull() {
			return Unknown
		}
		return truth(x.Kind() == value.KindString && m.match(x.Text()))
	}
	pattern := Operand(e.Pattern, r)
	switch {
	case x.IsNull() || pattern.IsNull() || len(pattern.Text()) > MaxPattern:
		return Unknown
	case x.Kind() != value.KindString || pattern.Kind() != value.KindString:
		return False
	}
	return truth(compileLike(pattern.Text(), e.Fold).match(x.Text()))
}

// Operand returns the value of a bound operand for r. Arithmetic on what is no
// number, overflow and division by zero give null.
func Operand(e Expr, r Row) value.Value {
	switch e := e.(type) {
	case *Literal:
		return e.Value
	case *Path:
		return e.value(r)
	case *Neg:
		x := Operand(e.X, r)
		if x.Kind() == value.KindFloat64 {
			return value.Float64(-x.Float())
		}
		return arithmetic(OpSub, value.Int64(0), x)
	case *Binary:
		if e.Op >= OpAdd {
			return arithmetic(e.Op, Operand(e.L, r), Operand(e.R, r))
		}
	}
	return value.Null
}

func (x *Path) value(r Row) value.Value {
	if x.Via > 0 {
		l, ok := r.(Linked)
		if !ok {
			return value.Null
		}
		if r = l.Link(x.Via - 1); r == nil {
			return value.Null
		}
	}
	if x.IsID {
		return value.ID(r.ID())
	}
	v := r.Value(x.Key)
	if v.IsNull() {
		v = x.Default
	}
	if v.Kind() == value.KindJSON {
		return v.Lookup(x.JSON...)
	}
	if len(x.JSON) > 0 {
		return value.Null
	}
	return v
}

func arithmetic(op Op, a, b value.Value) value.Value {
	if !a.Kind().Numeric() || !b.Kind().Numeric() {
		return value.Null
	}
	if a.Kind() == value.KindFloat64 || b.Kind() == value.KindFloat64 {
		return floatArithmetic(op, a.Float(), b.Float())
	}
	x, y := a.Int(), b.Int()
	var z int64
	ok := true
	switch op {
	case OpAdd:
		z = x + y
		ok = (z > x) == (y > 0)
	case OpSub:
		z = x - y
		ok = (z < x) == (y > 0)
	case OpMul:
		if x != 0 && y != 0 {
			z = x * y
			ok = z/y == x && !(x == -1 && y == math.MinInt64) && !(y == -1 && x == math.MinInt64)
		}
	case OpDiv:
		if ok = y != 0 && !(x == math.MinInt64 && y == -1); ok {
			z = x / y
		}
	}
	if !ok {
		return value.Null
	}
	return value.Int64(z)
}

func floatArithmetic(op Op, x, y float64) value.Value {
	var z float64
	switch op {
	case OpAdd:
		z = x + y
	case OpSub:
		z = x - y
	case OpMul:
		z = x * y
	case OpDiv:
		if y == 0 {
			return value.Null
		}
		z = x / y
	}
	if math.IsInf(z, 0) && !math.IsInf(x, 0) && !math.IsInf(y, 0) {
		return value.Null
	}
	return value.Float64(z)
}

// Compare orders two rows by the selection's ORDER BY terms, then by ID
// ascending; so it is 0 only for one entity.
func (s *Selection) Compare(a, b Row) int {
	for k := range s.Order {
		t := &s.Order[k]
		if c := t.compare(t.Path.value(a), t.Path.value(b)); c != 0 {
			return c
		}
	}
	return a.ID().Compare(b.ID())
}

// CompareCursor orders a row against a position in the selection's order. A
// row that comes after it gives 1. The cursor's key has a value for each term,
// as [Bind] ensures.
func (s *Selection) CompareCursor(r Row, c *Cursor) int {
	for k := range s.Order {
		t := &s.Order[k]
		if c := t.compare(t.Path.value(r), c.Key[k]); c != 0 {
			return c
		}
	}
	return r.ID().Compare(c.ID)
}

// CursorOf returns the position of r in the selection's order.
func (s *Selection) CursorOf(r Row) *Cursor {
	c := &Cursor{ID: r.ID()}
	for _, t := range s.Order {
		c.Key = append(c.Key, t.Path.value(r))
	}
	return c
}

func (t *OrderTerm) compare(a, b value.Value) int {
	switch {
	case a.IsNull() && b.IsNull():
		return 0
	case a.IsNull() || b.IsNull():
		if a.IsNull() == t.NullsFirst {
			return -1
		}
		return 1
	}
	c, ok := order(&a, &b)
	if !ok {
		c = value.Compare(a, b) // of different types inside JSON
	}
	if t.Desc {
		return -c
	}
	return c
}
