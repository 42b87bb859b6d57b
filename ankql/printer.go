package ankql

import (
	"math"
	"strconv"
	"strings"

	"github.com/ankurah/ankurah-go/value"
)

// String returns the query's text with as few parentheses as keep its meaning.
// [Parse] of it is the same query again (S49). It may be longer than the text
// that was parsed, so longer than [MaxText].
func (q *Query) String() string {
	var p printer
	p.items(q.Select, q.Where, q.Group)
	p.order(q.Order)
	if q.Limit != nil {
		p.clause("LIMIT ")
		p.expr(q.Limit, levelSum)
	}
	if q.After != nil {
		p.clause("AFTER ")
		p.expr(q.After, levelSum)
	}
	return p.String()
}

// String returns the selection as a query's text, for people and logs. It
// parses and binds to the same selection again, but for what only a parameter
// can give: lists, documents, and NaN or infinity inside JSON.
func (s *Selection) String() string {
	var p printer
	p.selection(s)
	return p.String()
}

// PrintExpr returns the text of a predicate or of an operand; "" for nil.
func PrintExpr(e Expr) string {
	var p printer
	p.where(e)
	return p.String()
}

// Levels of binding, loosest first. A node is put in parentheses where a
// tighter level is asked for than its own.
const (
	levelOr = iota
	levelAnd
	levelNot
	levelComparison
	levelSum
	levelProduct
	levelUnary
	levelPrimary
)

func level(e Expr) int {
	switch e := e.(type) {
	case *Not:
		return levelNot
	case *In, *Between, *Like, *IsNull:
		return levelComparison
	case *Neg:
		return levelUnary
	case *Binary:
		return e.Op.level()
	}
	return levelPrimary
}

func (op Op) level() int {
	switch op {
	case OpOr:
		return levelOr
	case OpAnd:
		return levelAnd
	case OpAdd, OpSub:
		return levelSum
	case OpMul, OpDiv:
		return levelProduct
	}
	return levelComparison
}

var opText = [...]string{
	OpAnd: "AND", OpOr: "OR", OpEq: "=", OpNe: "!=", OpLt: "<", OpLe: "<=", OpGt: ">", OpGe: ">=",
	OpContains: "CONTAINS", OpAdd: "+", OpSub: "-", OpMul: "*", OpDiv: "/",
}

// String returns the operator as it is written in a query.
func (op Op) String() string {
	if op >= OpAnd && int(op) < len(opText) {
		return opText[op]
	}
	return "operator " + strconv.Itoa(int(op))
}

type printer struct {
	strings.Builder
	params *[]value.Value // of a template; nil: every literal is written out
}

func (p *printer) selection(s *Selection) {
	p.where(s.Where)
	p.order(s.Order)
	if s.Limit >= 0 {
		p.clause("LIMIT ")
		p.WriteString(strconv.Itoa(s.Limit))
	}
	if s.After != nil {
		p.clause("AFTER ")
		p.quote(s.After.String(), '\'')
	}
}

// clause begins a clause, with a space behind what stands before it.
func (p *printer) clause(s string) {
	if p.Len() > 0 {
		p.WriteByte(' ')
	}
	p.WriteString(s)
}

func (p *printer) where(e Expr) {
	if e != nil {
		p.expr(e, levelOr)
	}
}

func (p *printer) order(terms []OrderTerm) {
	for k, t := range terms {
		if k == 0 {
			p.clause("ORDER BY ")
		} else {
			p.WriteString(", ")
		}
		if t.Of != nil {
			p.aggregate(t.Of)
		} else {
			p.path(t.Path)
		}
		if t.Desc {
			p.WriteString(" DESC")
		}
		switch {
		case t.NullsFirst == t.Desc: // the default
		case t.NullsFirst:
			p.WriteString(" NULLS FIRST")
		default:
			p.WriteString(" NULLS LAST")
		}
	}
}

func (p *printer) expr(e Expr, least int) {
	if level(e) < least {
		p.WriteByte('(')
		defer p.WriteByte(')')
	}
	switch e := e.(type) {
	case *Literal:
		p.literal(e.Value)
	case *Param:
		if e.Name == "" {
			p.WriteByte('?')
		} else {
			p.WriteByte(':')
			p.WriteString(e.Name)
		}
	case *Path:
		p.path(e)
	case *Not:
		p.WriteString("NOT ")
		p.expr(e.X, levelNot)
	case *Neg:
		p.WriteByte('-')
		if l, ok := e.X.(*Literal); ok && p.params == nil && l.Value.Kind().Numeric() && !strings.HasPrefix(numberText(l.Value), "-") {
			// Without parentheses the sign would belong to the number.
			p.WriteByte('(')
			p.literal(l.Value)
			p.WriteByte(')')
		} else {
			p.expr(e.X, levelUnary)
		}
	case *Binary:
		p.binary(e)
	case *In:
		p.expr(e.X, levelSum)
		p.not(e.Not)
		p.WriteString(" IN (")
		for k, x := range e.List {
			if k > 0 {
				p.WriteString(", ")
			}
			p.expr(x, levelSum)
		}
		p.WriteByte(')')
	case *Between:
		p.expr(e.X, levelSum)
		p.not(e.Not)
		p.WriteString(" BETWEEN ")
		p.expr(e.Lo, levelSum)
		p.WriteString(" AND ")
		p.expr(e.Hi, levelSum)
	case *Like:
		p.expr(e.X, levelSum)
		p.not(e.Not)
		if e.Fold {
			p.WriteString(" ILIKE ")
		} else {
			p.WriteString(" LIKE ")
		}
		p.expr(e.Pattern, levelSum)
	case *IsNull:
		p.expr(e.X, levelSum)
		if e.Not {
			p.WriteString(" IS NOT NULL")
		} else {
			p.WriteString(" IS NULL")
		}
	}
}

func (p *printer) not(not bool) {
	if not {
		p.WriteString(" NOT")
	}
}

func (p *printer) binary(e *Binary) {
	own := e.Op.level()
	if own == levelComparison {
		p.expr(e.L, levelSum)
		p.infix(e.Op)
		p.expr(e.R, levelSum)
		return
	}
	// Operators of one level group to the left, so that side needs no
	// parentheses and is printed by a loop.
	chain := []*Binary{e}
	first := e.L
	for {
		b, ok := first.(*Binary)
		if !ok || b.Op.level() != own {
			break
		}
		chain = append(chain, b)
		first = b.L
	}
	p.expr(first, own)
	for k := len(chain) - 1; k >= 0; k-- {
		p.infix(chain[k].Op)
		p.expr(chain[k].R, own+1)
	}
}

func (p *printer) infix(op Op) {
	p.WriteByte(' ')
	p.WriteString(op.String())
	p.WriteByte(' ')
}

func (p *printer) path(x *Path) {
	for k, part := range x.Parts {
		if k > 0 {
			p.WriteByte('.')
		}
		if plain(part, k > 0) {
			p.WriteString(part)
		} else {
			p.quote(part, '"')
		}
	}
}

// plain reports whether s needs no quotes as a key, or as a field.
func plain(s string, key bool) bool {
	for k, r := range s {
		if !isPart(r) || k == 0 && !key && !isStart(r) {
			return false
		}
	}
	return s != "" && (key || lookup(s) == notKeyword)
}

func (p *printer) quote(s string, quote byte) {
	q := string(quote)
	p.WriteByte(quote)
	p.WriteString(strings.ReplaceAll(s, q, q+q))
	p.WriteByte(quote)
}

func (p *printer) literal(v value.Value) {
	switch {
	case v.IsNull():
		p.WriteString("NULL")
		return
	case p.params != nil && v.Kind() != value.KindBool:
		p.WriteByte('?')
		*p.params = append(*p.params, v)
		return
	}
	switch v.Kind() {
	case value.KindBool:
		if v.Bool() {
			p.WriteString("TRUE")
		} else {
			p.WriteString("FALSE")
		}
	case value.KindInt32, value.KindInt64, value.KindFloat64:
		p.WriteString(numberText(v))
	case value.KindString:
		p.quote(v.Text(), '\'')
	default:
		p.WriteString(v.String())
	}
}

// numberText returns the text of a number. That of a float always has a point or
// an exponent, so that it stays a float.
func numberText(v value.Value) string {
	if v.Kind() != value.KindFloat64 {
		return strconv.FormatInt(v.Int(), 10)
	}
	f := v.Float()
	switch {
	case math.IsNaN(f):
		return "'NaN'"
	case math.IsInf(f, 1):
		return "'Infinity'"
	case math.IsInf(f, -1):
		return "'-Infinity'"
	}
	s := strconv.FormatFloat(f, 'g', -1, 64)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return s
}
