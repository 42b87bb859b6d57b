package ankql

import (
	"slices"
	"strconv"
	"strings"

	"github.com/ankurah/ankurah-go/internal/sorting"
	"github.com/ankurah/ankurah-go/value"
)

// pair binds two operands that are compared with each other: a literal takes
// the type of what stands opposite.
func (b *binder) pair(l, r Expr) (Expr, Expr, *BindError) {
	x, err := b.operand(l)
	if err != nil {
		return nil, nil, err
	}
	y, err := b.operand(r)
	if err != nil {
		return nil, nil, err
	}
	return b.align(x, y)
}

// align converts the literal among two bound operands to the type of the
// other. Two literals stay as they are; two others must be of one class.
func (b *binder) align(x, y Expr) (Expr, Expr, *BindError) {
	lx, xok := x.(*Literal)
	ly, yok := y.(*Literal)
	var err *BindError
	switch {
	case xok && yok:
	case xok:
		if lx, err = b.convert(lx, y); err == nil {
			x = lx
		}
	case yok:
		if ly, err = b.convert(ly, x); err == nil {
			y = ly
		}
	default:
		err = b.comparable(x, y, typeOf(x), typeOf(y))
	}
	return x, y, err
}

// typeOf returns the declared type of a bound operand: the zero type when it
// can be anything, float64 for arithmetic.
func typeOf(e Expr) value.Type {
	switch e := e.(type) {
	case *Path:
		if e.Type.Kind != value.KindJSON {
			return e.Type
		}
	case *Neg, *Binary:
		return value.Type{Kind: value.KindFloat64}
	}
	return value.Type{}
}

// comparable refuses to compare operands whose declared types have no order.
func (b *binder) comparable(x, y Expr, tx, ty value.Type) *BindError {
	if tx == ty || tx.Kind == value.KindNull || ty.Kind == value.KindNull || tx.Kind.Numeric() && ty.Kind.Numeric() {
		return nil
	}
	if tx.Kind == value.KindList && ty.Kind == value.KindList && tx.Elem.Numeric() && ty.Elem.Numeric() {
		return nil
	}
	return b.fail(start(x), described(x)+" and "+described(y)+": they cannot be compared", nil)
}

// described names an operand with its type, as every error about types begins.
func described(e Expr) string {
	s := shorten(PrintExpr(e)) + " is "
	switch e := e.(type) {
	case *Path:
		return s + e.Type.String()
	case *Literal:
		return s + e.Value.Type().String()
	}
	return s + "a number"
}

// start returns the position of the leftmost node of an operand.
func start(e Expr) int {
	switch e := e.(type) {
	case *Literal:
		return e.Pos
	case *Path:
		return e.Pos
	case *Neg:
		return e.Pos
	case *Binary:
		return start(e.L)
	}
	return -1
}

// convert gives a literal the type of the operand it is compared with (S46).
func (b *binder) convert(l *Literal, with Expr) (*Literal, *BindError) {
	x, ok := with.(*Path)
	switch {
	case !ok:
		return b.toNumber(l, with)
	case x.Type.Kind == value.KindJSON || len(x.JSON) > 0:
		return b.toJSON(l)
	case x.Type.Kind == value.KindNull:
		return l, nil
	}
	return b.to(l, x.Type, x)
}

// to converts a literal to type t, as it is compared with the operand with.
func (b *binder) to(l *Literal, t value.Type, with Expr) (*Literal, *BindError) {
	if l.Value.IsNull() {
		return l, nil
	}
	v, err := value.Convert(l.Value, t)
	if err == nil {
		return l.with(v), nil
	}
	if t.Kind.Numeric() {
		if n, ok := asNumber(l.Value); ok {
			return l.with(n), nil
		}
	}
	if t.Kind == value.KindList && t.Elem.Numeric() && l.Value.Kind() == value.KindList && l.Value.Type().Elem.Numeric() {
		return l, nil
	}
	return nil, b.failLiteral(l, described(with)+": "+reason(err), err)
}

// toNumber converts a literal to a number of any type, as it is compared with
// arithmetic, or with nil for with, part of it.
func (b *binder) toNumber(l *Literal, with Expr) (*Literal, *BindError) {
	if l.Value.IsNull() {
		return l, nil
	}
	n, ok := asNumber(l.Value)
	if !ok {
		subject := "arithmetic takes numbers"
		if with != nil {
			subject = described(with)
		}
		return nil, b.failLiteral(l, subject+": "+shorten(PrintExpr(l))+" is not a number", nil)
	}
	return l.with(n), nil
}

// asNumber returns v, or the number in a text: an int64 if it is one.
func asNumber(v value.Value) (value.Value, bool) {
	if v.Kind().Numeric() {
		return v, true
	}
	if v.Kind() != value.KindString {
		return value.Null, false
	}
	n, err := value.Convert(v, value.Type{Kind: value.KindInt64})
	if err != nil {
		n, err = value.Convert(v, value.Type{Kind: value.KindFloat64})
	}
	return n, err == nil
}

// toJSON gives a literal the form it would have inside JSON: a time, an ID and
// bytes are texts there, a list is an array.
func (b *binder) toJSON(l *Literal) (*Literal, *BindError) {
	switch k := l.Value.Kind(); {
	case k == value.KindNull || k == value.KindBool || k == value.KindString || k.Numeric():
		return l, nil
	}
	v, err := value.Convert(l.Value, value.Type{Kind: value.KindJSON})
	if err != nil {
		return nil, b.failLiteral(l, reason(err), err)
	}
	return l.with(v.Unwrap()), nil
}

// with returns a literal of another value from the same place.
func (l *Literal) with(v value.Value) *Literal {
	return &Literal{Value: v, Pos: l.Pos, param: l.param}
}

func (b *binder) contains(e *Binary) (Expr, *BindError) {
	l, err := b.operand(e.L)
	if err != nil {
		return nil, err
	}
	r, err := b.operand(e.R)
	if err != nil {
		return nil, err
	}
	item, _ := r.(*Literal)
	var have value.Type // of what contains
	switch x := l.(type) {
	case *Literal:
		have = x.Value.Type()
		if list := typeOf(r); have.Kind == value.KindList && list.Kind.Scalar() {
			// Its elements are compared with r, so they take r's type.
			if x, err = b.to(x, value.Type{Kind: value.KindList, Elem: list.Kind}, x); err != nil {
				return nil, err
			}
			l, have = x, x.Value.Type()
		}
	case *Path:
		have = x.Type
		if len(x.JSON) > 0 {
			have.Kind = value.KindJSON
		}
	default:
		have = typeOf(x)
	}
	switch have.Kind {
	case value.KindNull: // a missing field, or no model
	case value.KindJSON:
		if item != nil {
			item, err = b.toJSON(item)
		}
	case value.KindString, value.KindList:
		want := value.Type{Kind: have.Kind}
		if have.Kind == value.KindList {
			want.Kind = have.Elem
		}
		switch {
		case item == nil:
			err = b.comparable(l, r, want, typeOf(r))
		case !isLiteral(l):
			item, err = b.to(item, want, l)
		}
	default:
		msg := described(l) + ": CONTAINS looks into lists, JSON and text"
		if x, ok := l.(*Literal); ok {
			return nil, b.failLiteral(x, msg, nil)
		}
		return nil, b.fail(start(l), msg, nil)
	}
	if err != nil {
		return nil, err
	}
	if item != nil {
		r = item
	}
	return &Binary{Op: OpContains, L: l, R: r, Pos: e.Pos}, nil
}

// manyItems is the length from which an IN list is searched by halves.
const manyItems = 8

func (b *binder) in(e *In) (Expr, *BindError) {
	x, err := b.operand(e.X)
	if err != nil {
		return nil, err
	}
	out := &In{Not: e.Not, Pos: e.Pos}
	for _, item := range e.List {
		if p, ok := item.(*Param); ok {
			list, err := b.elements(p)
			if err != nil {
				return nil, err
			}
			out.List = append(out.List, list...)
			continue
		}
		y, err := b.operand(item)
		if err != nil {
			return nil, err
		}
		out.List = append(out.List, y)
	}
	if x, err = b.alignAll(x, out.List); err != nil {
		return nil, err
	}
	out.X = x
	out.prepare()
	return out, nil
}

// NewIn returns the bound predicate that x is one of a list of operands.
func NewIn(x Expr, list []Expr) *In {
	out := &In{X: x, List: list}
	out.prepare()
	return out
}

// prepare sorts a long list of literals, to be searched.
func (e *In) prepare() {
	if len(e.List) < manyItems || slices.ContainsFunc(e.List, func(y Expr) bool { return !isLiteral(y) }) {
		return
	}
	e.sorted = []value.Value{}
	for _, y := range e.List {
		if v := y.(*Literal).Value; v.IsNull() {
			e.hasNull = true
		} else {
			e.sorted = append(e.sorted, v)
		}
	}
	sorting.Sort(e.sorted, value.Compare)
}

// alignAll aligns x with each of ys, which it changes in place. A literal x
// takes the type of the first that has one.
func (b *binder) alignAll(x Expr, ys []Expr) (Expr, *BindError) {
	var err *BindError
	for _, y := range ys {
		if isLiteral(x) && !isLiteral(y) {
			if x, _, err = b.align(x, y); err != nil {
				return nil, err
			}
			break
		}
	}
	for k, y := range ys {
		if isLiteral(x) {
			break
		}
		if _, ys[k], err = b.align(x, y); err != nil {
			return nil, err
		}
	}
	return x, nil
}

func (b *binder) between(e *Between) (Expr, *BindError) {
	x, err := b.operand(e.X)
	if err != nil {
		return nil, err
	}
	lo, err := b.operand(e.Lo)
	if err != nil {
		return nil, err
	}
	hi, err := b.operand(e.Hi)
	if err != nil {
		return nil, err
	}
	bounds := []Expr{lo, hi}
	if x, err = b.alignAll(x, bounds); err != nil {
		return nil, err
	}
	return &Between{X: x, Lo: bounds[0], Hi: bounds[1], Not: e.Not, Pos: e.Pos}, nil
}

func (b *binder) like(e *Like) (Expr, *BindError) {
	x, err := b.likeText(e.X)
	if err != nil {
		return nil, err
	}
	pattern, err := b.likeText(e.Pattern)
	if err != nil {
		return nil, err
	}
	out := &Like{X: x, Pattern: pattern, Not: e.Not, Fold: e.Fold, Pos: e.Pos}
	if l, ok := pattern.(*Literal); ok && !l.Value.IsNull() {
		if n := len(l.Value.Text()); n > MaxPattern {
			return nil, b.failLiteral(l, "the pattern has "+strconv.Itoa(n)+" bytes, at most "+strconv.Itoa(MaxPattern)+" are allowed", nil)
		}
		out.matcher = compileLike(l.Value.Text(), e.Fold)
	}
	return out, nil
}

// likeText binds an operand of LIKE.
func (b *binder) likeText(e Expr) (Expr, *BindError) {
	x, err := b.operand(e)
	if err != nil {
		return nil, err
	}
	switch x := x.(type) {
	case *Literal:
		if k := x.Value.Kind(); k != value.KindString && k != value.KindNull {
			return nil, b.failLiteral(x, "LIKE takes text, not "+shorten(PrintExpr(x)), nil)
		}
	case *Path:
		if k := x.Type.Kind; k != value.KindString && k != value.KindNull && k != value.KindJSON {
			return nil, b.fail(x.Pos, described(x)+": LIKE takes text", nil)
		}
	default:
		return nil, b.fail(start(x), described(x)+": LIKE takes text", nil)
	}
	return x, nil
}

// reason is the text of an error without the prefix that stands once, in front.
func reason(err error) string { return strings.TrimPrefix(err.Error(), "ankurah: ") }
