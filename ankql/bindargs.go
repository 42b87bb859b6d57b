package ankql

import (
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/ankurah/ankurah-go/value"
)

// Named is an argument for the parameter `:Name`.
type Named struct {
	Name  string
	Value any
}

// arguments matches what is given with the parameters of the query: each has
// to have one, and each has to be used (S43).
func (b *binder) arguments(params []*Param, args []any) *BindError {
	marks, names := 0, map[string]bool{}
	for _, p := range params {
		if p.Name == "" {
			marks = max(marks, p.Index)
		} else {
			names[p.Name] = true
		}
	}
	b.named = map[string]any{}
	if m, ok := single(args); ok && marks == 0 {
		b.named = m
		args = nil
	}
	for _, a := range args {
		n, ok := a.(Named)
		if !ok {
			b.positional = append(b.positional, a)
			continue
		}
		if _, twice := b.named[n.Name]; twice {
			return b.failParam(-1, ":"+n.Name, "two values were given for it")
		}
		b.named[n.Name] = n.Value
	}
	for _, p := range params {
		if _, ok := b.argument(p); !ok {
			return b.failParam(p.Pos, p.label(), "no value was given for it")
		}
	}
	if len(b.positional) > marks {
		return b.failParam(-1, strconv.Itoa(marks+1), "a value was given for it, but the query has "+counted(marks, "placeholder"))
	}
	if !b.surplus {
		surplus := ""
		for name := range b.named {
			if !names[name] && (surplus == "" || name < surplus) {
				surplus = name
			}
		}
		if surplus != "" {
			return b.failParam(-1, ":"+surplus, "a value was given for it, but the query has no such parameter")
		}
	}
	return nil
}

// single returns the map that is the only argument.
func single(args []any) (map[string]any, bool) {
	if len(args) != 1 {
		return nil, false
	}
	m, ok := args[0].(map[string]any)
	return m, ok
}

func counted(n int, what string) string {
	switch n {
	case 0:
		return "no " + what
	case 1:
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

func (b *binder) argument(p *Param) (any, bool) {
	if p.Name != "" {
		v, ok := b.named[p.Name]
		return v, ok
	}
	if p.Index < 1 || p.Index > len(b.positional) {
		return nil, false
	}
	return b.positional[p.Index-1], true
}

// label is how errors name a parameter.
func (p *Param) label() string {
	if p.Name != "" {
		return ":" + p.Name
	}
	return strconv.Itoa(p.Index)
}

func (b *binder) failParam(pos int, label, msg string) *BindError {
	e := b.fail(pos, msg, nil)
	e.Param = label
	return e
}

// param returns the literal that a parameter stands for.
func (b *binder) param(p *Param) (*Literal, *BindError) {
	arg, _ := b.argument(p)
	return b.given(p, arg)
}

// given returns the literal of a Go value that was given for p.
func (b *binder) given(p *Param, arg any) (*Literal, *BindError) {
	v, err := value.FromGo(arg)
	if err == nil {
		err = value.Validate(v)
	}
	if err != nil {
		e := b.failParam(p.Pos, p.label(), reason(err))
		e.Err = err
		return nil, e
	}
	return &Literal{Value: v.Unwrap(), Pos: p.Pos, param: p.label()}, nil
}

// elements returns the literals that a parameter of an IN list stands for: the
// elements of a slice or an array, else the value itself.
func (b *binder) elements(p *Param) ([]Expr, *BindError) {
	arg, _ := b.argument(p)
	var out []Expr
	// Each element of a slice is taken by itself, as a list proper could hold
	// neither nulls nor elements of several kinds. Bytes are one value.
	rv := reflect.ValueOf(arg)
	if k := rv.Kind(); (k == reflect.Slice || k == reflect.Array) && rv.Type().Elem().Kind() != reflect.Uint8 {
		for k := range rv.Len() {
			l, err := b.given(p, rv.Index(k).Interface())
			if err != nil {
				return nil, err
			}
			out = append(out, l)
		}
		return out, nil
	}
	l, err := b.given(p, arg)
	if err != nil {
		return nil, err
	}
	if v := l.Value; v.Kind() == value.KindList || v.Kind() == value.KindJSON && strings.HasPrefix(v.Text(), "[") {
		for x := range v.Elements() {
			out = append(out, l.with(x))
		}
		return out, nil
	}
	return []Expr{l}, nil
}

// limit reads the number of rows of LIMIT.
func (b *binder) limit(e Expr) (int, *BindError) {
	x, err := b.operand(e)
	if err != nil {
		return 0, err
	}
	l, ok := x.(*Literal)
	if !ok {
		return 0, b.fail(-1, "LIMIT takes a number or a parameter", nil)
	}
	n := l.Value
	if n.Kind() == value.KindFloat64 { // a whole number from JavaScript
		if c, err := value.Convert(n, value.Type{Kind: value.KindInt64}); err == nil {
			n = c
		}
	}
	rows := int(n.Int())
	if (n.Kind() != value.KindInt32 && n.Kind() != value.KindInt64) || n.Int() < 0 || int64(rows) != n.Int() {
		return 0, b.failLiteral(l, "LIMIT is a whole number of rows, 0 or more, not "+shorten(PrintExpr(l)), nil)
	}
	return rows, nil
}

// after reads the cursor of AFTER for a selection with that many terms.
func (b *binder) after(e Expr, terms int) (*Cursor, *BindError) {
	var arg any
	l := &Literal{Pos: -1}
	switch e := e.(type) {
	case *Param:
		arg, _ = b.argument(e)
		l.Pos, l.param = e.Pos, e.label()
	case *Literal:
		arg, l = e.Value, e
	}
	c, err := cursorOf(arg)
	if err != nil {
		return nil, b.failLiteral(l, reason(err), err)
	}
	if c == nil {
		return nil, nil
	}
	if len(c.Key) != terms {
		return nil, b.failLiteral(l, "the cursor's key has "+counted(len(c.Key), "value")+", but ORDER BY has "+counted(terms, "term"), nil)
	}
	return &Cursor{Key: slices.Clone(c.Key), ID: c.ID}, nil
}
