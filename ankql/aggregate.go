package ankql

import (
	"strconv"
	"strings"

	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/value"
)

const (
	// MaxAggregates is how many aggregates a selection can have.
	MaxAggregates = 32
	// MaxGroupBy is how many fields GROUP BY can have.
	MaxGroupBy = 16
)

var funcText = [...]string{Count: "COUNT", Sum: "SUM", Min: "MIN", Max: "MAX", Avg: "AVG"}

// String returns the function's name as it is written in a query.
func (f Func) String() string {
	if f >= Count && int(f) < len(funcText) {
		return funcText[f]
	}
	return "function " + strconv.Itoa(int(f))
}

// String returns the aggregate as it is written in a query.
func (a *Aggregate) String() string {
	var p printer
	p.aggregate(a)
	return p.String()
}

func (a *Aggregate) equal(b *Aggregate) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Func == b.Func && equalPath(a.Path, b.Path)
}

// Aggregation is a bound aggregate selection: what is counted and added up,
// over which rows, in which groups. It is immutable.
//
// Its result has a row for each group. The columns of a row are the values of
// Group, then those of Items.
type Aggregation struct {
	Rows  *Selection // of which rows; it has no order, limit or cursor
	Items []Aggregate
	Group []*Path // none: all rows are one group, which is there without rows too
	Order []ColumnTerm
	Limit int // of groups, -1 when there is none
}

// ColumnTerm is one term of ORDER BY of an aggregate selection.
type ColumnTerm struct {
	Column     int // of the result, from 0
	Desc       bool
	NullsFirst bool
}

// Group is one row of an aggregate selection's result: the values that the
// rows of a group have in common, and one for each aggregate.
type Group struct{ Key, Values []value.Value }

func (g *Group) column(k int) value.Value {
	if k < len(g.Key) {
		return g.Key[k]
	}
	return g.Values[k-len(g.Key)]
}

// Columns returns the names of the result's columns: fields and aggregates as
// they are written in a query.
func (a *Aggregation) Columns() []string { return columns(a.Group, a.Items) }

// Columns is [Aggregation.Columns] before binding; a query for rows has none.
func (q *Query) Columns() []string { return columns(q.Group, q.Select) }

func columns(group []*Path, items []Aggregate) []string {
	out := make([]string, 0, len(group)+len(items))
	for _, x := range group {
		out = append(out, PrintExpr(x))
	}
	for k := range items {
		out = append(out, items[k].String())
	}
	return out
}

// Reading returns the selection of the rows that also names what groups and
// aggregates read behind references: who is told of everything by which a row
// of it changes knows when a group does.
func (a *Aggregation) Reading() *Selection {
	out := *a.Rows
	read := func(x *Path) {
		if x != nil && x.Via > 0 {
			always := &Binary{Op: OpOr, L: &IsNull{X: x}, R: &IsNull{X: x, Not: true}}
			out.Where = And(out.Where, always)
		}
	}
	for _, x := range a.Group {
		read(x)
	}
	for k := range a.Items {
		read(a.Items[k].Path)
	}
	return &out
}

// Compare orders two groups by the terms of ORDER BY, then by their keys
// ascending with nulls last. It is 0 only for keys that are equal.
func (a *Aggregation) Compare(x, y *Group) int {
	for _, t := range a.Order {
		o := OrderTerm{Desc: t.Desc, NullsFirst: t.NullsFirst}
		if c := o.compare(x.column(t.Column), y.column(t.Column)); c != 0 {
			return c
		}
	}
	for k := range x.Key {
		if c := (&OrderTerm{}).compare(x.Key[k], y.Key[k]); c != 0 {
			return c
		}
	}
	return 0
}

// Value returns what the path refers to in a row.
func (x *Path) Value(r Row) value.Value { return x.value(r) }

// IsAggregate reports whether a text begins an aggregate selection rather than
// a query for rows.
func IsAggregate(text string) bool { return newParser(text).atSelect() }

// atSelect reports whether an aggregate selection begins. SELECT may also be a
// field there, but then an operator or a clause follows.
func (p *parser) atSelect() bool {
	if p.tok.kind != tWord || p.tok.kw != kwSelect {
		return false
	}
	next := p.peek()
	switch {
	case next.kind == tQuoted:
		return true
	case next.kind != tWord || next.kw.reserved():
		return false
	}
	return next.kw != kwOrder && next.kw != kwLimit && next.kw != kwAfter
}

func (p *parser) aggregation(q *Query) {
	p.advance()
	for first := true; first || p.take(tComma); first = false {
		if len(q.Select) == MaxAggregates {
			p.fail(p.tok.pos, "more than "+strconv.Itoa(MaxAggregates)+" aggregates")
		}
		q.Select = append(q.Select, p.aggregate())
	}
	expected := "a comma, WHERE, GROUP BY, ORDER BY, LIMIT or the end"
	if p.takeWord(kwWhere) {
		q.Where = p.predicate()
		expected = p.operators() + ", GROUP BY, ORDER BY, LIMIT or the end"
	}
	if p.takeWord(kwGroup) {
		p.expectWord(kwBy)
		for first := true; first || p.take(tComma); first = false {
			q.Group = append(q.Group, p.groupPath(len(q.Group)))
		}
		expected = "a comma, ORDER BY, LIMIT or the end"
	}
	if p.orderBy(q, p.orderColumn) {
		expected = "a comma, LIMIT or the end"
	}
	if p.takeWord(kwLimit) {
		q.Limit = p.limit()
		expected = "the end"
	}
	if p.tok.kind != tEnd {
		p.unexpected(expected)
	}
}

func (p *parser) groupPath(before int) *Path {
	switch {
	case before == MaxGroupBy:
		p.fail(p.tok.pos, "more than "+strconv.Itoa(MaxGroupBy)+" fields to group by")
	case !p.atPath():
		p.unexpected("a field to group by")
	}
	return p.path()
}

func (p *parser) orderColumn(t *OrderTerm) {
	if p.atFunc() != 0 {
		of := p.aggregate()
		t.Of = &of
		return
	}
	p.orderPath(t)
}

// atFunc returns the aggregate function whose call begins here, 0 for none. Its
// name is no keyword: it means something only before a parenthesis.
func (p *parser) atFunc() Func {
	if p.tok.kind != tWord || p.peek().kind != tLParen {
		return 0
	}
	for f := Count; f <= Avg; f++ {
		if strings.EqualFold(p.tok.text, funcText[f]) {
			return f
		}
	}
	return 0
}

func (p *parser) aggregate() Aggregate {
	a := Aggregate{Func: p.atFunc(), Pos: p.tok.pos}
	if a.Func == 0 {
		p.unexpected("COUNT(…), SUM(…), MIN(…), MAX(…) or AVG(…)")
		return a
	}
	p.advance()
	p.advance()
	if a.Func != Count || !p.take(tStar) {
		if !p.atPath() {
			if a.Func == Count {
				p.unexpected("a field or *")
			} else {
				p.unexpected("a field")
			}
			return a
		}
		a.Path = p.path()
	}
	p.expect(tRParen, "a closing parenthesis")
	return a
}

func (p *printer) aggregate(a *Aggregate) {
	p.WriteString(a.Func.String())
	p.WriteByte('(')
	if a.Path == nil {
		p.WriteByte('*')
	} else {
		p.path(a.Path)
	}
	p.WriteByte(')')
}

// items begins an aggregate selection; with none it is no aggregate selection.
func (p *printer) items(items []Aggregate, where Expr, group []*Path) {
	for k := range items {
		if k == 0 {
			p.WriteString("SELECT ")
		} else {
			p.WriteString(", ")
		}
		p.aggregate(&items[k])
	}
	if where != nil {
		if len(items) > 0 {
			p.clause("WHERE ")
		}
		p.where(where)
	}
	for k, x := range group {
		if k == 0 {
			p.clause("GROUP BY ")
		} else {
			p.WriteString(", ")
		}
		p.path(x)
	}
}

func (p *printer) aggregation(a *Aggregation) {
	p.items(a.Items, a.Rows.Where, a.Group)
	terms := make([]OrderTerm, len(a.Order))
	for k, t := range a.Order {
		terms[k] = OrderTerm{Desc: t.Desc, NullsFirst: t.NullsFirst}
		if t.Column < len(a.Group) {
			terms[k].Path = a.Group[t.Column]
		} else {
			terms[k].Of = &a.Items[t.Column-len(a.Group)]
		}
	}
	p.order(terms)
	if a.Limit >= 0 {
		p.clause("LIMIT ")
		p.WriteString(strconv.Itoa(a.Limit))
	}
}

// String returns the selection as a query's text, as [Selection.String] does.
func (a *Aggregation) String() string {
	var p printer
	p.aggregation(a)
	return p.String()
}

// Template is [Selection.Template] of an aggregate selection.
func (a *Aggregation) Template() (text string, params []value.Value) {
	p := printer{params: &params}
	p.aggregation(a)
	return p.String(), params
}

// Key returns a string that two aggregate selections share only when they have
// the same result of any data, as [Selection.Key] does.
func (a *Aggregation) Key() string {
	rows := a.Rows.Normalize()
	text, _ := (&Aggregation{Rows: &Selection{}, Items: a.Items, Group: a.Group, Order: a.Order, Limit: a.Limit}).Template()
	b := appendText(appendText(nil, rows.Key()), text)
	for _, x := range a.Group {
		b = appendPath(b, x)
	}
	for k := range a.Items {
		if x := a.Items[k].Path; x != nil {
			b = appendPath(b, x)
		}
	}
	return string(b)
}

// BindAggregate fits an aggregate selection to a model and to its arguments, as
// [Bind] does a query for rows. SUM and AVG take numbers; MIN, MAX and GROUP BY
// take whatever has an order. Every error is a [*BindError].
func BindAggregate(q *Query, m *schema.Model, collection string, args ...any) (*Aggregation, error) {
	return (&binder{model: m, collection: collection, text: q.text}).bindAggregate(q, args)
}

// BindAggregateAcross is [BindAggregate] for selections whose paths may go
// through references.
func BindAggregateAcross(q *Query, models Models, collection string, args ...any) (*Aggregation, error) {
	return (&binder{model: models(collection), models: models, collection: collection, text: q.text}).bindAggregate(q, args)
}

func (b *binder) bindAggregate(q *Query, args []any) (*Aggregation, error) {
	a, err := b.aggregation(q, args)
	if err != nil {
		return nil, err
	}
	return a, nil
}

// BindAggregateTemplate returns the aggregate selection that
// [Aggregation.Template] was called on, as [Limits.BindTemplate] does one of
// rows.
func (l Limits) BindAggregateTemplate(text string, params []value.Value, m *schema.Model, collection string) (*Aggregation, error) {
	q, args, err := l.template(text, params)
	if err != nil {
		return nil, err
	}
	return BindAggregate(q, m, collection, args...)
}

// BindAggregateTemplateAcross is [Limits.BindAggregateTemplate] for selections
// whose paths may go through references.
func (l Limits) BindAggregateTemplateAcross(text string, params []value.Value, models Models, collection string) (*Aggregation, error) {
	q, args, err := l.template(text, params)
	if err != nil {
		return nil, err
	}
	return BindAggregateAcross(q, models, collection, args...)
}

func (b *binder) aggregation(q *Query, args []any) (*Aggregation, *BindError) {
	if len(q.Select) == 0 {
		return nil, b.fail(0, "this selects rows: an aggregate selection begins with SELECT, such as SELECT COUNT(*)", nil)
	}
	rows, err := b.query(&Query{Where: q.Where, Limit: q.Limit, text: q.text}, args)
	if err != nil {
		return nil, err
	}
	a := &Aggregation{Rows: rows, Limit: rows.Limit}
	rows.Limit = -1
	for _, x := range q.Group {
		if x, err = b.path(x); err == nil {
			err = b.orderable(x, "group by")
		}
		if err != nil {
			return nil, err
		}
		a.Group = append(a.Group, x)
	}
	for _, item := range q.Select {
		if item.Path, err = b.aggregated(&item); err != nil {
			return nil, err
		}
		a.Items = append(a.Items, item)
	}
	for _, t := range q.Order {
		term := ColumnTerm{Desc: t.Desc, NullsFirst: t.NullsFirst}
		if term.Column, err = b.column(a, &t); err != nil {
			return nil, err
		}
		a.Order = append(a.Order, term)
	}
	rows.Links = b.links // those of groups and aggregates, too
	return a, nil
}

// aggregated binds what an aggregate is a function of; nil stays nil.
func (b *binder) aggregated(item *Aggregate) (*Path, *BindError) {
	if item.Path == nil {
		return nil, nil
	}
	x, err := b.path(item.Path)
	if err != nil {
		return nil, err
	}
	switch item.Func {
	case Sum, Avg:
		if k := x.Type.Kind; k != value.KindNull && k != value.KindJSON && !k.Numeric() {
			return nil, b.fail(x.Pos, described(x)+": "+item.Func.String()+" takes numbers", nil)
		}
	case Min, Max:
		return x, b.orderable(x, "compare")
	}
	return x, nil
}

func (b *binder) orderable(x *Path, to string) *BindError {
	if x.Type.Kind == value.KindList {
		return b.fail(x.Pos, described(x)+": lists have no order to "+to, nil)
	}
	return nil
}

// column finds the column that a term orders by.
func (b *binder) column(a *Aggregation, t *OrderTerm) (int, *BindError) {
	if t.Of != nil {
		for k := range a.Items {
			if a.Items[k].equal(t.Of) {
				return len(a.Group) + k, nil
			}
		}
		return 0, b.fail(t.Of.Pos, shorten(t.Of.String())+" is not among what is selected: groups are ordered by what their rows hold", nil)
	}
	for k, x := range a.Group {
		if equalPath(x, t.Path) {
			return k, nil
		}
	}
	return 0, b.fail(t.Path.Pos, shorten(PrintExpr(t.Path))+" is not in GROUP BY: groups are ordered by what their rows hold", nil)
}
