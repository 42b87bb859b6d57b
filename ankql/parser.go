package ankql

import (
	"strconv"

	"github.com/ankurah/ankurah-go/internal/limit"
	"github.com/ankurah/ankurah-go/value"
)

const (
	// MaxText is the greatest length of a query's text in bytes.
	MaxText = 16 << 10
	// MaxNesting bounds how deep parentheses, NOT, negation and arithmetic
	// nest together. A chain of AND or of OR does not nest, however long; each
	// operator of a chain of arithmetic does.
	MaxNesting = 64
)

// Limits bound queries further than [MaxText] and [MaxNesting] do; what is zero
// does not.
type Limits struct {
	Text    int // bytes
	Nesting int // levels
}

// Parse reads a query:
//
//	[predicate] [ORDER BY path [ASC|DESC] [NULLS FIRST|LAST], …] [LIMIT n] [AFTER cursor]
//
// or an aggregate selection:
//
//	SELECT aggregate, … [WHERE predicate] [GROUP BY path, …] [ORDER BY path|aggregate …, …] [LIMIT n]
//
// Blank text selects everything. Its error is a [*SyntaxError].
func Parse(text string) (*Query, error) { return Limits{}.Parse(text) }

// Parse is [Parse] within l.
func (l Limits) Parse(text string) (*Query, error) {
	if err := tooLong(text, least(l.Text, MaxText)); err != nil {
		return nil, err
	}
	return l.parse(text)
}

func least(limit, most int) int {
	if limit == 0 {
		return most
	}
	return min(limit, most)
}

// tooLong returns an error when text has more bytes than most.
func tooLong(text string, most int) error {
	if len(text) <= most {
		return nil
	}
	return tooMuch(text, most, &limit.Error{What: "the query has", N: len(text), Unit: "bytes", Max: most, Name: "QueryText"})
}

func parse(text string) (*Query, error) { return Limits{}.parse(text) }

func (l Limits) parse(text string) (*Query, error) {
	p := newParser(text)
	p.nesting = least(l.Nesting, MaxNesting)
	q := &Query{text: text}
	if p.atSelect() {
		p.aggregation(q)
	} else {
		if !p.atClause() {
			q.Where = p.predicate()
		}
		p.clauses(q)
	}
	if p.err != nil {
		return nil, p.err
	}
	return q, nil
}

// ParseExpr reads a predicate alone. Blank text gives nil, which is TRUE. Its
// error is a [*SyntaxError].
func ParseExpr(text string) (Expr, error) {
	if err := tooLong(text, MaxText); err != nil {
		return nil, err
	}
	p := newParser(text)
	var e Expr
	if p.tok.kind != tEnd {
		e = p.predicate()
	}
	if p.tok.kind != tEnd {
		p.unexpected(p.operators() + " or the end")
	}
	if p.err != nil {
		return nil, p.err
	}
	return e, nil
}

// parser is a recursive descent parser. After the first error it sees the end
// of the text, so that every loop ends; what it then returns is discarded.
type parser struct {
	lex     lexer
	tok     token // the current token
	err     *SyntaxError
	depth   int  // nesting
	nesting int  // the most of it
	marks   int  // `?` seen
	bare    bool // the last predicate is a value alone, which an operator may follow
}

func newParser(text string) *parser {
	p := &parser{lex: lexer{text: text}, nesting: MaxNesting}
	p.advance()
	return p
}

func (p *parser) advance() {
	if p.err == nil {
		p.step(p.lex.next())
	}
}

func (p *parser) step(t token, err *SyntaxError) {
	if err != nil {
		p.stop(err)
		return
	}
	p.tok = t
}

// peek returns the token behind the current one; tEnd when it is malformed.
func (p *parser) peek() token {
	ahead := p.lex
	t, err := ahead.next()
	if err != nil {
		return token{}
	}
	return t
}

func (p *parser) stop(err *SyntaxError) {
	if p.err == nil {
		p.err = err
		p.tok = token{kind: tEnd, pos: len(p.lex.text), end: len(p.lex.text)}
	}
}

func (p *parser) fail(pos int, msg string) { p.stop(syntaxError(p.lex.text, pos, msg)) }

func (p *parser) unexpected(expected string) {
	p.fail(p.tok.pos, "expected "+expected+", found "+p.found())
}

// found describes the current token.
func (p *parser) found() string {
	if p.tok.kind == tEnd {
		return "the end"
	}
	return shorten(p.lex.text[p.tok.pos:p.tok.end])
}

// take moves past the current token if it is of kind k.
func (p *parser) take(k kind) bool {
	if p.tok.kind != k {
		return false
	}
	p.advance()
	return true
}

// takeWord moves past the current token if it is keyword kw.
func (p *parser) takeWord(kw keyword) bool {
	if p.tok.kind != tWord || p.tok.kw != kw {
		return false
	}
	p.advance()
	return true
}

func (p *parser) expect(k kind, what string) {
	if !p.take(k) {
		p.unexpected(what)
	}
}

func (p *parser) expectWord(kw keyword) {
	if !p.takeWord(kw) {
		p.unexpected(keywords[kw])
	}
}

// enter counts one level of nesting; every caller leaves it with depth--.
func (p *parser) enter() {
	if p.depth++; p.depth > p.nesting {
		p.stop(tooMuch(p.lex.text, p.tok.pos, &limit.Error{What: "the query has", N: p.depth, Unit: "levels of nesting", Max: p.nesting, Name: "QueryNesting"}))
	}
}

// atClause reports whether the query begins with a clause. ORDER, LIMIT and
// AFTER may also be fields there, but no field is followed by what follows
// them in a clause.
func (p *parser) atClause() bool {
	if p.tok.kind == tEnd {
		return true
	}
	if p.tok.kind != tWord {
		return false
	}
	next := p.peek()
	switch p.tok.kw {
	case kwOrder:
		return next.kind == tWord && next.kw == kwBy
	case kwLimit, kwAfter:
		switch next.kind {
		case tInt, tFloat, tText, tMark, tNamed:
			return true
		}
	}
	return false
}

func (p *parser) clauses(q *Query) {
	expected := p.operators() + ", ORDER BY, LIMIT, AFTER or the end"
	if p.orderBy(q, p.orderPath) {
		expected = "a comma, LIMIT, AFTER or the end"
	}
	if p.takeWord(kwLimit) {
		q.Limit = p.limit()
		expected = "AFTER or the end"
	}
	if p.takeWord(kwAfter) {
		q.After = p.after()
		expected = "the end"
	}
	if p.tok.kind != tEnd {
		p.unexpected(expected)
	}
}

// operators lists what can go on with the predicate before the current token.
func (p *parser) operators() string {
	if p.bare {
		return "an operator, AND, OR"
	}
	return "AND, OR"
}

// orderBy reads ORDER BY if it comes next; what reads what a term begins with.
func (p *parser) orderBy(q *Query, what func(*OrderTerm)) bool {
	if !p.takeWord(kwOrder) {
		return false
	}
	p.expectWord(kwBy)
	for first := true; first || p.take(tComma); first = false {
		q.Order = append(q.Order, p.orderTerm(what))
	}
	return true
}

func (p *parser) orderPath(t *OrderTerm) {
	if !p.atPath() {
		p.unexpected("a field to order by")
		return
	}
	t.Path = p.path()
}

func (p *parser) orderTerm(what func(*OrderTerm)) (t OrderTerm) {
	what(&t)
	if p.takeWord(kwDesc) {
		t.Desc = true
	} else {
		p.takeWord(kwAsc)
	}
	t.NullsFirst = t.Desc
	if p.takeWord(kwNulls) {
		t.NullsFirst = p.takeWord(kwFirst)
		if !t.NullsFirst && !p.takeWord(kwLast) {
			p.unexpected("FIRST or LAST")
		}
	}
	return t
}

func (p *parser) limit() Expr {
	switch p.tok.kind {
	case tInt:
		return p.number(p.tok.pos, "")
	case tMark, tNamed:
		return p.param()
	}
	p.unexpected("a whole number of rows or a parameter")
	return nil
}

func (p *parser) after() Expr {
	switch p.tok.kind {
	case tText:
		return p.text()
	case tMark, tNamed:
		return p.param()
	}
	p.unexpected("a cursor's text or a parameter")
	return nil
}

// predicate reads an expression that is true or false.
func (p *parser) predicate() Expr {
	pos := p.tok.pos
	return p.truth(p.or(), pos)
}

// truth checks that e, which begins at pos, can stand for a truth value.
func (p *parser) truth(e Expr, pos int) Expr {
	switch e := e.(type) {
	case *Literal:
		if k := e.Value.Kind(); k != value.KindBool && k != value.KindNull {
			p.notTruth(pos)
		}
	case *Neg:
		p.notTruth(pos)
	case *Binary:
		if e.Op >= OpAdd {
			p.notTruth(pos)
		}
	}
	return e
}

// notTruth reports a value where a predicate must stand: at the token behind
// it, where an operator is missing, unless something closed it there.
func (p *parser) notTruth(pos int) {
	switch p.tok.kind {
	case tRParen, tEnd:
		p.fail(pos, "expected a predicate, found a value")
	default:
		p.unexpected("an operator")
	}
}

// operand checks that e, which begins at pos, can stand for a value.
func (p *parser) operand(e Expr, pos int) Expr {
	switch e := e.(type) {
	case *Not, *In, *Between, *Like, *IsNull:
		p.fail(pos, "expected a value, found a predicate")
	case *Binary:
		if e.Op < OpAdd {
			p.fail(pos, "expected a value, found a predicate")
		}
	}
	return e
}

// or, and, not, comparison, sum, product, unary and primary each read what
// binds at least as tight as they are named for. Whether that is a predicate
// or a value is checked where it is used, since a parenthesis may hold either.
func (p *parser) or() Expr {
	pos := p.tok.pos
	e := p.and()
	for p.tok.kind == tWord && p.tok.kw == kwOr {
		op := p.tok.pos
		l := p.truth(e, pos)
		p.advance()
		pos = p.tok.pos
		e = &Binary{Op: OpOr, L: l, R: p.truth(p.and(), pos), Pos: op}
	}
	return e
}

func (p *parser) and() Expr {
	pos := p.tok.pos
	e := p.not()
	for p.tok.kind == tWord && p.tok.kw == kwAnd {
		op := p.tok.pos
		l := p.truth(e, pos)
		p.advance()
		pos = p.tok.pos
		e = &Binary{Op: OpAnd, L: l, R: p.truth(p.not(), pos), Pos: op}
	}
	return e
}

func (p *parser) not() Expr {
	pos := p.tok.pos
	if !p.takeWord(kwNot) {
		return p.comparison()
	}
	p.enter()
	defer func() { p.depth-- }()
	start := p.tok.pos
	return &Not{X: p.truth(p.not(), start), Pos: pos}
}

// comparisons holds the operators that are symbols, 0 for other tokens.
var comparisons = [tGe + 1]Op{tEq: OpEq, tNe: OpNe, tLt: OpLt, tLe: OpLe, tGt: OpGt, tGe: OpGe}

func (p *parser) comparison() Expr {
	start := p.tok.pos
	x := p.sum()
	pos := p.tok.pos
	if op := comparisons[p.tok.kind]; op != 0 {
		p.operand(x, start)
		p.advance()
		return &Binary{Op: op, L: x, R: p.value(), Pos: pos}
	}
	if p.tok.kind != tWord || !p.tok.kw.reserved() {
		return p.alone(x)
	}
	switch p.tok.kw {
	case kwNot, kwIn, kwBetween, kwLike, kwILike, kwIs, kwContains:
	default:
		return p.alone(x)
	}
	p.operand(x, start)
	if p.takeWord(kwIs) {
		not := p.takeWord(kwNot)
		if !p.takeWord(kwNull) {
			if not {
				p.unexpected("NULL")
			} else {
				p.unexpected("NULL or NOT NULL")
			}
		}
		p.bare = false
		return &IsNull{X: x, Not: not, Pos: pos}
	}
	if p.takeWord(kwContains) {
		return &Binary{Op: OpContains, L: x, R: p.value(), Pos: pos}
	}
	not := p.takeWord(kwNot)
	switch {
	case p.takeWord(kwIn):
		return &In{X: x, List: p.list(), Not: not, Pos: pos}
	case p.takeWord(kwBetween):
		lo := p.value()
		p.expectWord(kwAnd)
		return &Between{X: x, Lo: lo, Hi: p.value(), Not: not, Pos: pos}
	case p.takeWord(kwLike):
		return &Like{X: x, Pattern: p.value(), Not: not, Pos: pos}
	case p.takeWord(kwILike):
		return &Like{X: x, Pattern: p.value(), Not: not, Fold: true, Pos: pos}
	}
	p.unexpected("IN, BETWEEN, LIKE or ILIKE")
	return nil
}

// alone notes that x has no comparison behind it, for a later error's sake.
func (p *parser) alone(x Expr) Expr {
	switch x.(type) {
	case *Path, *Param, *Literal:
		p.bare = true
	default:
		p.bare = false
	}
	return x
}

// value reads the right side of a comparison.
func (p *parser) value() Expr {
	pos := p.tok.pos
	e := p.operand(p.sum(), pos)
	p.bare = false
	return e
}

// list reads what follows IN: a list in parentheses, or one parameter.
func (p *parser) list() []Expr {
	if p.tok.kind == tMark || p.tok.kind == tNamed {
		p.bare = false
		return []Expr{p.param()}
	}
	p.expect(tLParen, "a list in parentheses or a parameter")
	var list []Expr
	if p.tok.kind != tRParen {
		for first := true; first || p.take(tComma); first = false {
			list = append(list, p.value())
		}
	}
	p.expect(tRParen, "a comma or a closing parenthesis")
	p.bare = false
	return list
}

func (p *parser) sum() Expr {
	start, depth := p.tok.pos, p.depth
	e := p.product()
	for p.tok.kind == tPlus || p.tok.kind == tMinus {
		op, pos := OpAdd, p.tok.pos
		if p.tok.kind == tMinus {
			op = OpSub
		}
		p.operand(e, start)
		p.enter()
		p.advance()
		right := p.tok.pos
		e = &Binary{Op: op, L: e, R: p.operand(p.product(), right), Pos: pos}
	}
	p.depth = depth
	return e
}

func (p *parser) product() Expr {
	start, depth := p.tok.pos, p.depth
	e := p.unary()
	for p.tok.kind == tStar || p.tok.kind == tSlash {
		op, pos := OpMul, p.tok.pos
		if p.tok.kind == tSlash {
			op = OpDiv
		}
		p.operand(e, start)
		p.enter()
		p.advance()
		right := p.tok.pos
		e = &Binary{Op: op, L: e, R: p.operand(p.unary(), right), Pos: pos}
	}
	p.depth = depth
	return e
}

// unary reads a sign. A sign directly before a number belongs to it, so that
// the least int64 can be written.
func (p *parser) unary() Expr {
	if p.tok.kind != tMinus && p.tok.kind != tPlus {
		return p.primary()
	}
	sign := p.tok
	p.advance()
	if p.tok.kind == tInt || p.tok.kind == tFloat {
		if sign.kind == tMinus {
			return p.number(sign.pos, "-")
		}
		return p.number(sign.pos, "")
	}
	if sign.kind == tPlus {
		p.unexpected("a number after the sign")
		return nil
	}
	p.enter()
	defer func() { p.depth-- }()
	start := p.tok.pos
	return &Neg{X: p.operand(p.unary(), start), Pos: sign.pos}
}

func (p *parser) primary() Expr {
	pos := p.tok.pos
	switch p.tok.kind {
	case tLParen:
		p.enter()
		defer func() { p.depth-- }()
		p.advance()
		e := p.or()
		if p.tok.kind != tRParen {
			p.unexpected(p.operators() + " or a closing parenthesis")
		}
		p.advance()
		return e
	case tInt, tFloat:
		return p.number(pos, "")
	case tText:
		return p.text()
	case tMark, tNamed:
		return p.param()
	case tQuoted:
		return p.path()
	case tWord:
		switch p.tok.kw {
		case kwTrue, kwFalse:
			b := p.tok.kw == kwTrue
			p.advance()
			return &Literal{Value: value.Bool(b), Pos: pos}
		case kwNull:
			p.advance()
			return &Literal{Value: value.Null, Pos: pos}
		}
		if p.atPath() {
			return p.path()
		}
	}
	p.unexpected("a value")
	return nil
}

func (p *parser) atPath() bool {
	return p.tok.kind == tQuoted || p.tok.kind == tWord && !p.tok.kw.reserved()
}

// path reads a field and the keys behind it. Behind a dot any word is a key,
// also one of digits.
func (p *parser) path() *Path {
	x := &Path{Parts: []string{p.tok.text}, Pos: p.tok.pos}
	if p.tok.text == "" {
		p.fail(p.tok.pos, "a field's name cannot be empty")
	}
	p.advance()
	for p.tok.kind == tDot {
		p.step(p.lex.key())
		if p.tok.kind != tWord && p.tok.kind != tQuoted {
			p.unexpected("a key after the dot")
			break
		}
		x.Parts = append(x.Parts, p.tok.text)
		p.advance()
	}
	return x
}

func (p *parser) param() Expr {
	x := &Param{Pos: p.tok.pos}
	if p.tok.kind == tMark {
		p.marks++
		x.Index = p.marks
	} else {
		x.Name = p.tok.text
	}
	p.advance()
	return x
}

func (p *parser) text() Expr {
	x := &Literal{Value: value.String(p.tok.text), Pos: p.tok.pos}
	p.advance()
	return x
}

// number reads the current token; its literal begins at pos with the sign.
func (p *parser) number(pos int, sign string) Expr {
	x := &Literal{Pos: pos}
	if p.tok.kind == tInt {
		n, err := strconv.ParseInt(sign+p.tok.text, 10, 64)
		if err != nil {
			p.fail(pos, "a whole number lies between -9223372036854775808 and 9223372036854775807")
		}
		x.Value = value.Int64(n)
	} else {
		f, err := strconv.ParseFloat(sign+p.tok.text, 64)
		if err != nil {
			p.fail(pos, "this number is greater than any float64")
		}
		x.Value = value.Float64(f)
	}
	p.advance()
	return x
}
