package ankql

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go/value"
)

// astGenerator makes any query that a text can stand for.
type astGenerator struct{ r *rand.Rand }

func oneOf[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

func (g astGenerator) query() *Query {
	q := &Query{}
	if g.r.IntN(8) > 0 {
		q.Where = g.predicate(5)
	}
	aggregate := g.r.IntN(3) == 0
	if aggregate {
		for range 1 + g.r.IntN(3) {
			q.Select = append(q.Select, g.aggregate())
		}
		for range g.r.IntN(3) {
			q.Group = append(q.Group, g.path())
		}
	}
	for range g.r.IntN(4) {
		t := OrderTerm{Path: g.path(), Desc: g.r.IntN(2) == 0, NullsFirst: g.r.IntN(2) == 0}
		if aggregate && g.r.IntN(2) == 0 {
			of := g.aggregate()
			t.Path, t.Of = nil, &of
		}
		q.Order = append(q.Order, t)
	}
	switch g.r.IntN(3) {
	case 0:
		q.Limit = &Literal{Value: value.Int64(g.r.Int64())}
	case 1:
		q.Limit = g.param()
	}
	switch g.r.IntN(4) {
	case 0:
		q.After = &Literal{Value: value.String(g.text())}
	case 1:
		q.After = g.param()
	}
	if aggregate {
		q.After = nil
	}
	marks := 0
	for _, e := range []Expr{q.Where, q.Limit, q.After} {
		for p := range Params(e) {
			if p.Name == "" {
				marks++
				p.Index = marks
			}
		}
	}
	return q
}

func (g astGenerator) aggregate() Aggregate {
	a := Aggregate{Func: oneOf(g.r, Count, Sum, Min, Max, Avg)}
	if a.Func != Count || g.r.IntN(2) == 0 {
		a.Path = g.path()
	}
	return a
}

func (g astGenerator) predicate(depth int) Expr {
	if depth == 0 {
		switch g.r.IntN(4) {
		case 0:
			return g.path()
		case 1:
			return g.param()
		default:
			return &Literal{Value: oneOf(g.r, value.Null, value.Bool(true), value.Bool(false))}
		}
	}
	not := g.r.IntN(2) == 0
	switch g.r.IntN(10) {
	case 0, 1, 2:
		op := oneOf(g.r, OpAnd, OpOr)
		e := g.predicate(depth - 1)
		for range 1 + g.r.IntN(3) {
			e = &Binary{Op: op, L: e, R: g.predicate(depth - 1)}
		}
		return e
	case 3:
		return &Not{X: g.predicate(depth - 1)}
	case 4:
		list := make([]Expr, g.r.IntN(4))
		for k := range list {
			list[k] = g.operand(depth - 1)
		}
		return &In{X: g.operand(depth - 1), List: list, Not: not}
	case 5:
		return &Between{X: g.operand(depth - 1), Lo: g.operand(depth - 1), Hi: g.operand(depth - 1), Not: not}
	case 6:
		return &Like{X: g.operand(depth - 1), Pattern: g.operand(depth - 1), Not: not, Fold: g.r.IntN(2) == 0}
	case 7:
		return &IsNull{X: g.operand(depth - 1), Not: not}
	case 8:
		return g.predicate(0)
	}
	op := oneOf(g.r, OpEq, OpNe, OpLt, OpLe, OpGt, OpGe, OpContains)
	return &Binary{Op: op, L: g.operand(depth - 1), R: g.operand(depth - 1)}
}

func (g astGenerator) operand(depth int) Expr {
	if depth > 0 {
		switch g.r.IntN(6) {
		case 0:
			return &Neg{X: g.operand(depth - 1)}
		case 1, 2:
			return &Binary{Op: oneOf(g.r, OpAdd, OpSub, OpMul, OpDiv), L: g.operand(depth - 1), R: g.operand(depth - 1)}
		}
	}
	switch g.r.IntN(6) {
	case 0:
		return g.param()
	case 1, 2:
		return g.path()
	case 3:
		return &Literal{Value: value.String(g.text())}
	case 4:
		return &Literal{Value: oneOf(g.r, value.Null, value.Bool(true), value.Bool(false))}
	}
	if g.r.IntN(2) == 0 {
		return &Literal{Value: value.Int64(oneOf(g.r, 0, 1, -1, 42, math.MinInt64, math.MaxInt64, g.r.Int64(), -g.r.Int64()))}
	}
	f := math.Float64frombits(g.r.Uint64())
	if math.IsNaN(f) || math.IsInf(f, 0) {
		f = 0
	}
	return &Literal{Value: value.Float64(oneOf(g.r, f, 0, 1, -1, 0.1, 1e21, 1e-7, -2.5, math.MaxFloat64, math.SmallestNonzeroFloat64))}
}

var trickyNames = []string{
	"a", "note", "count", "sum", "select", "where", "group", "order", "ORDER", "limit", "nothing", "not", "NULL", "id", "by", "after", "in", "İn", "contains", "true",
	"a b", "ä", "日本", `"`, `a"b`, "a.b", "1a", "x1", "_", "'", "?", ":x", "--", "\n", "a\u0301", "٣", "\uFFFD",
}

func (g astGenerator) path() *Path {
	x := &Path{Parts: []string{oneOf(g.r, trickyNames...)}}
	for g.r.IntN(3) == 0 {
		x.Parts = append(x.Parts, oneOf(g.r, append(trickyNames, "")...))
	}
	return x
}

func (g astGenerator) param() Expr {
	if g.r.IntN(2) == 0 {
		return &Param{}
	}
	return &Param{Name: oneOf(g.r, "x", "subject", "not", "Ä1", "_")}
}

func (g astGenerator) text() string {
	var b strings.Builder
	for range g.r.IntN(5) {
		b.WriteString(oneOf(g.r, "a", "'", "''", `"`, `\`, "%", "_", "\n", "\t", "é", "𝄞", "--", "?", " AND ", "(", "\uFFFD", "\x01"))
	}
	return b.String()
}

// TestPrintParse: the text of a query is that query (S49), and different
// queries have different texts.
func TestPrintParse(t *testing.T) {
	g := astGenerator{rand.New(rand.NewPCG(49, 1))}
	last := &Query{}
	for range 12000 {
		q := g.query()
		text := q.String()
		got, err := parse(text)
		if err != nil {
			t.Fatalf("%s\n%v", text, err)
		}
		if !Equal(q, got) {
			t.Fatalf("printed %s\nparsed  %s", text, got)
		}
		if Equal(q, last) != (text == last.String()) {
			t.Fatalf("Equal disagrees with the texts\n%s\n%s", text, last)
		}
		last = q
	}
}

// TestPrintMinimal: without any one pair of its parentheses a printed text is
// no query or another one.
func TestPrintMinimal(t *testing.T) {
	g := astGenerator{rand.New(rand.NewPCG(49, 2))}
	removed := 0
	for range 3000 {
		q := &Query{Where: g.predicate(4)}
		for p := range Params(q.Where) {
			p.Name = "x" // so that no numbering can differ
		}
		text := q.String()
		for _, pair := range parentheses(t, text) {
			// IN's own parentheses may go if they hold one parameter.
			if strings.HasSuffix(text[:pair[0]], "IN ") {
				continue
			}
			removed++
			shorter := text[:pair[0]] + " " + text[pair[0]+1:pair[1]] + " " + text[pair[1]+1:]
			if got, err := parse(shorter); err == nil && Equal(q, got) {
				t.Fatalf("%s\nhas more parentheses than\n%s", text, shorter)
			}
		}
	}
	if removed < 1000 {
		t.Fatalf("only %d pairs tried", removed)
	}
}

// parentheses returns the offsets of matching parentheses in text.
func parentheses(t *testing.T, text string) (pairs [][2]int) {
	l := lexer{text: text}
	var open []int
	var tok token
	for {
		var err *SyntaxError
		if tok.kind == tDot {
			tok, err = l.key()
		} else {
			tok, err = l.next()
		}
		if err != nil {
			t.Fatal(err)
		}
		switch tok.kind {
		case tEnd:
			return pairs
		case tLParen:
			open = append(open, tok.pos)
		case tRParen:
			pairs = append(pairs, [2]int{open[len(open)-1], tok.pos})
			open = open[:len(open)-1]
		}
	}
}

// TestPrintForm pins the form of what is printed.
func TestPrintForm(t *testing.T) {
	for _, c := range [][2]string{
		{"", ""},
		{"  a=1 and(b<>'it''s')  ", "a = 1 AND b != 'it''s'"},
		{"((a = 1) or b = 2) and not (c = 3)", "(a = 1 OR b = 2) AND NOT c = 3"},
		{"not (not a)", "NOT NOT a"},
		{"not (a and b) or (c and d)", "NOT (a AND b) OR c AND d"},
		{"a and (b and c)", "a AND (b AND c)"},
		{"(a and b) and c", "a AND b AND c"},
		{"x - (y - z) = (x - y) - z", "x - (y - z) = x - y - z"},
		{"-(5) = - 5 and --5 < -(-x)", "-(5) = -5 AND --5 < --x"},
		{"x * (y + 1) / 2 > +1.50e1", "x * (y + 1) / 2 > 15.0"},
		{"x in ? and y in (:a) and z not in ()", "x IN (?) AND y IN (:a) AND z NOT IN ()"},
		{"\"a\".\"b\".\"c d\".not = 1e300", "a.b.\"c d\".not = 1e+300"},
		{"\"order\" is not null order by \"limit\" asc nulls last, b desc nulls first, c nulls first limit 007 after 'x'",
			"\"order\" IS NOT NULL ORDER BY \"limit\", b DESC, c NULLS FIRST LIMIT 7 AFTER 'x'"},
		{"select count ( * ),sum(\"sum\"), Max(group.by) where where>1 group by group,a.b order by count(*) desc,group limit ?",
			"SELECT COUNT(*), SUM(sum), MAX(\"group\".by) WHERE \"where\" > 1 GROUP BY \"group\", a.b ORDER BY COUNT(*) DESC, \"group\" LIMIT ?"},
		{"select = 1 and count > sum", "\"select\" = 1 AND count > sum"},
		{"select order by select", "\"select\" ORDER BY \"select\""},
		{"select limit 1", "\"select\" LIMIT 1"},
		{"select * 2 > 1", "\"select\" * 2 > 1"},
	} {
		q, err := Parse(c[0])
		if err != nil {
			t.Errorf("%s: %v", c[0], err)
		} else if got := q.String(); got != c[1] {
			t.Errorf("%s\n got %s\nwant %s", c[0], got, c[1])
		}
	}
}

// TestEqual: queries that differ in one thing are not equal.
func TestEqual(t *testing.T) {
	texts := []string{
		"", "a", "b", "a.b", "\"a.b\"", "NULL", "TRUE", "FALSE", "?", ":x", ":y", "NOT a", "NOT NOT a", "a AND b", "a OR b", "b AND a",
		"a AND b AND c", "a AND (b AND c)", "a = 1", "a = 1.0", "a = '1'", "a != 1", "a < 1", "a <= 1", "a > 1", "a >= 1", "1 = a",
		"a CONTAINS 1", "a = -1", "a = -(1)", "-a = 1", "a = 1 + 1", "a = 1 - 1", "a = 1 * 1", "a = 1 / 1",
		"a IN ()", "a NOT IN ()", "a IN (1)", "b IN (1)", "a IN (1, 2)", "a IN (2, 1)",
		"a BETWEEN 1 AND 2", "a NOT BETWEEN 1 AND 2", "a BETWEEN 2 AND 1", "a BETWEEN 1 AND 3", "b BETWEEN 1 AND 2",
		"a LIKE 'x'", "a NOT LIKE 'x'", "a ILIKE 'x'", "a LIKE 'y'", "b LIKE 'x'", "a IS NULL", "a IS NOT NULL", "b IS NULL",
		"ORDER BY a", "ORDER BY b", "ORDER BY a DESC", "ORDER BY a NULLS FIRST", "ORDER BY a, b", "LIMIT 1", "LIMIT 2", "LIMIT ?", "AFTER 'x'", "AFTER ?",
		"SELECT COUNT(*)", "SELECT COUNT(a)", "SELECT SUM(a)", "SELECT MIN(a)", "SELECT MAX(a)", "SELECT AVG(a)", "SELECT COUNT(*), COUNT(*)",
		"SELECT COUNT(*) WHERE a", "SELECT COUNT(*) GROUP BY a", "SELECT COUNT(*) GROUP BY a, b", "SELECT COUNT(*) LIMIT 1",
		"SELECT COUNT(*) ORDER BY COUNT(*)", "SELECT COUNT(*) ORDER BY COUNT(a)", "SELECT COUNT(*) ORDER BY a",
	}
	for _, a := range texts {
		for _, b := range texts {
			x, err := Parse(a)
			if err != nil {
				t.Fatal(err)
			}
			y, err := Parse(" " + b)
			if err != nil {
				t.Fatal(err)
			}
			if Equal(x, y) != (a == b) {
				t.Errorf("%q and %q: Equal is %v", a, b, a != b)
			}
		}
	}
}

// TestDistance: the edits that make one name of another.
func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"year", "year", 0}, {"Year", "yEAR", 0}, {"", "abc", 3}, {"abc", "", 3},
		{"year", "yaer", 1}, {"year", "yer", 1}, {"year", "yeear", 1}, {"year", "bear", 1},
		{"kitten", "sitting", 3}, {"ab", "ba", 1}, {"abc", "cab", 2}, {"é", "e", 1},
		{strings.Repeat("x", 100), strings.Repeat("x", 200), 0}, // the beginning decides
	} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%q to %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

// TestConjuncts: And joins what Conjuncts takes apart, and prints as one chain.
func TestConjuncts(t *testing.T) {
	expr := func(text string) Expr {
		e, err := ParseExpr(text)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	e := And(expr("a AND (b AND (c OR d))"), expr("e AND (f AND g AND h)"))
	if got, want := PrintExpr(e), "a AND b AND (c OR d) AND e AND f AND g AND h"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	var parts []string
	for _, c := range Conjuncts(e) {
		parts = append(parts, PrintExpr(c))
	}
	if want := []string{"a", "b", "c OR d", "e", "f", "g", "h"}; !slices.Equal(parts, want) {
		t.Errorf("got %q, want %q", parts, want)
	}
	if And(nil, nil) != nil || Conjuncts(nil) != nil {
		t.Error("nil is TRUE, and has no conjuncts")
	}
	if one := expr("a"); And(one, nil) != one || And(nil, one) != one {
		t.Error("TRUE adds nothing")
	}
}

// TestWalk: nodes come in the order of the text, and may be skipped.
func TestWalk(t *testing.T) {
	e, err := ParseExpr("a + ? > 1 AND NOT b IN (c, :p) AND d BETWEEN e AND -f AND g LIKE h AND i IS NULL")
	if err != nil {
		t.Fatal(err)
	}
	var paths, params []string
	for x := range Paths(e) {
		paths = append(paths, x.Parts[0])
	}
	for p := range Params(e) {
		params = append(params, p.label())
	}
	if got := strings.Join(paths, ""); got != "abcdefghi" {
		t.Errorf("paths %s", got)
	}
	if want := []string{"1", ":p"}; !slices.Equal(params, want) {
		t.Errorf("params %q", params)
	}
	for x := range Paths(e) { // stopping early
		if x.Parts[0] == "b" {
			break
		}
	}
	paths = nil
	Walk(e, func(e Expr) bool {
		if x, ok := e.(*Path); ok {
			paths = append(paths, x.Parts[0])
		}
		_, in := e.(*In)
		return !in
	})
	if got := strings.Join(paths, ""); got != "adefghi" {
		t.Errorf("paths outside of IN %s", got)
	}
}
