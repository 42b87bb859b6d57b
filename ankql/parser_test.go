package ankql

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ankurah/ankurah-go/internal/limit"
	"github.com/ankurah/ankurah-go/value"
)

// dump writes a node with all of its structure in parentheses.
func dump(e Expr) string {
	all := func(head string, xs ...Expr) string {
		for _, x := range xs {
			head += " " + dump(x)
		}
		return "(" + head + ")"
	}
	not := func(not bool, head string) string {
		if not {
			return "not-" + head
		}
		return head
	}
	switch e := e.(type) {
	case nil:
		return "-"
	case *Literal:
		if e.Value.Kind() == value.KindString {
			return "'" + e.Value.Text() + "'"
		}
		return PrintExpr(e)
	case *Param:
		return PrintExpr(e)
	case *Path:
		return strings.Join(e.Parts, "/")
	case *Not:
		return all("not", e.X)
	case *Neg:
		return all("neg", e.X)
	case *Binary:
		return all(strings.ToLower(e.Op.String()), e.L, e.R)
	case *In:
		return all(not(e.Not, "in"), append([]Expr{e.X}, e.List...)...)
	case *Between:
		return all(not(e.Not, "between"), e.X, e.Lo, e.Hi)
	case *Like:
		if e.Fold {
			return all(not(e.Not, "ilike"), e.X, e.Pattern)
		}
		return all(not(e.Not, "like"), e.X, e.Pattern)
	case *IsNull:
		return all(not(e.Not, "null"), e.X)
	}
	return "?"
}

// TestPrecedence: what binds tighter (S41), and what every form stands for.
func TestPrecedence(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"a OR b AND c", "(or a (and b c))"},
		{"a AND b OR c", "(or (and a b) c)"},
		{"(a OR b) AND c", "(and (or a b) c)"},
		{"NOT a AND b", "(and (not a) b)"},
		{"NOT (a AND b)", "(not (and a b))"},
		{"NOT a OR b", "(or (not a) b)"},
		{"a AND NOT b OR NOT NOT c", "(or (and a (not b)) (not (not c)))"},
		{"NOT a = b", "(not (= a b))"},
		{"a = 1 AND b = 2 AND c = 3", "(and (and (= a 1) (= b 2)) (= c 3))"},
		{"a OR b OR c", "(or (or a b) c)"},
		{"a + b * c = d", "(= (+ a (* b c)) d)"},
		{"a * b + c < d - e / f", "(< (+ (* a b) c) (- d (/ e f)))"},
		{"a - b - c = 0", "(= (- (- a b) c) 0)"},
		{"a / b / c = 0", "(= (/ (/ a b) c) 0)"},
		{"a / b * c = 0", "(= (* (/ a b) c) 0)"},
		{"(a + b) * c = 0", "(= (* (+ a b) c) 0)"},
		{"-a * b = -(a + b)", "(= (* (neg a) b) (neg (+ a b)))"},
		{"a - -5 = a -5", "(= (- a -5) (- a 5))"},
		{"--a = + 5", "(= (neg (neg a)) 5)"},
		{"-5 * -(5) = - 5.5", "(= (* -5 (neg 5)) -5.5)"},
		{"a BETWEEN 1 AND 2 AND b", "(and (between a 1 2) b)"},
		{"a NOT BETWEEN b + 1 AND c OR d", "(or (not-between a (+ b 1) c) d)"},
		{"NOT a IN (1, b, 'c') AND d", "(and (not (in a 1 b 'c')) d)"},
		{"a NOT IN () OR a IN ? OR a IN :x OR a in (?)", "(or (or (or (not-in a) (in a ?)) (in a :x)) (in a ?))"},
		{"a + 1 IN (1 + 2)", "(in (+ a 1) (+ 1 2))"},
		{"a LIKE 'x' AND a NOT LIKE b AND a ILIKE ? AND a NOT ILIKE 'y'", "(and (and (and (like a 'x') (not-like a b)) (ilike a ?)) (not-ilike a 'y'))"},
		{"a IS NULL AND b IS NOT NULL", "(and (null a) (not-null b))"},
		{"NOT a + b IS NULL", "(not (null (+ a b)))"},
		{"a CONTAINS 'x' OR ? CONTAINS a", "(or (contains a 'x') (contains ? a))"},
		{"a <> b AND a != b AND a <= b AND a >= b", "(and (and (and (!= a b) (!= a b)) (<= a b)) (>= a b))"},
		{"((((a))))", "a"},
		{"TRUE and False OR null", "(or (and TRUE FALSE) NULL)"},
		{"a.b.c = extra.not.in.limit", "(= a/b/c extra/not/in/limit)"},
		{"extra.list.0 = extra.1.2.3a + 1.5 AND a.007 = a . 0 .b", "(and (= extra/list/0 (+ extra/1/2/3a 1.5)) (= a/007 a/0/b))"},
		{`"a.b"."c""d" = 'it''s'`, `(= a.b/c"d 'it's')`},
		{"été = 'é' AND 名前 = :名前", "(and (= été 'é') (= 名前 :名前))"},
		{"a\t=\r\n1\u00A0AND\u3000b", "(and (= a 1) b)"},
		{"a=1AND b", ""}, // a number does not end in a letter
		{"a='x'AND b", "(and (= a 'x') b)"},
		{"a=1.5e-3", "(= a 0.0015)"},
		{"a=9223372036854775807 or a=-9223372036854775808", "(or (= a 9223372036854775807) (= a -9223372036854775808))"},
	} {
		e, err := ParseExpr(c.text)
		if c.want == "" {
			if err == nil {
				t.Errorf("%s: no error", c.text)
			}
			continue
		}
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if got := dump(e); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.text, got, c.want)
		}
	}
}

// TestKeywords: keywords never break identifiers (S40). The clause keywords
// are fields wherever a clause cannot begin.
func TestKeywords(t *testing.T) {
	for _, c := range []struct{ text, where, rest string }{
		{"note", "note", ""},
		{"nothing = order_id AND android AND oracle AND inside AND island", "(and (and (and (and (= nothing order_id) android) oracle) inside) island)", ""},
		{"order = 5", "(= order 5)", ""},
		{"limit > 3 AND order IS NULL", "(and (> limit 3) (null order))", ""},
		{"order", "order", ""},
		{"limit", "limit", ""},
		{"limit - 1 > 0", "(> (- limit 1) 0)", ""},
		{"after LIKE 'x'", "(like after 'x')", ""},
		{"by OR asc OR desc OR nulls OR first OR last", "(or (or (or (or (or by asc) desc) nulls) first) last)", ""},
		{"order ORDER BY order", "order", "ORDER BY \"order\""},
		{"order by by", "-", "ORDER BY \"by\""},
		{"limit LIMIT 5", "limit", "LIMIT 5"},
		{"after AFTER 'x'", "after", "AFTER 'x'"},
		{"x order by desc desc, nulls nulls first, asc asc nulls last", "x", "ORDER BY \"desc\" DESC, \"nulls\" NULLS FIRST, \"asc\""},
		{"limit 5", "-", "LIMIT 5"},
		{"LIMIT :n after ?", "-", "LIMIT :n AFTER ?"},
		{"after ?", "-", "AFTER ?"},
		{`"not" = "null" AND "true" IN ("in")`, "(and (= not null) (in true in))", ""},
		{"order.limit.not = 1", "(= order/limit/not 1)", ""},
		{"oRdEr bY a LiMiT 1", "-", "ORDER BY a LIMIT 1"},
		{"ı = ſ", "(= ı ſ)", ""}, // no letter but ASCII's makes a keyword
	} {
		q, err := Parse(c.text)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if got := dump(q.Where); got != c.where {
			t.Errorf("%s\n got %s\nwant %s", c.text, got, c.where)
		}
		q.Where = nil
		if got := q.String(); got != c.rest {
			t.Errorf("%s\n got %s\nwant %s", c.text, got, c.rest)
		}
	}
}

// TestPositions: every node knows where it stands.
func TestPositions(t *testing.T) {
	const text = "NOT (été  + -3 > ? AND b NOT IN (:x)) ORDER BY c"
	q, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	Walk(q.Where, func(e Expr) bool {
		pos, want := -1, ""
		switch e := e.(type) {
		case *Not:
			pos, want = e.Pos, "NOT ("
		case *Path:
			pos, want = e.Pos, e.Parts[0]
		case *Literal:
			pos, want = e.Pos, "-3"
		case *Param:
			pos, want = e.Pos, PrintExpr(e)
		case *Binary:
			pos, want = e.Pos, e.Op.String()
		case *In:
			pos, want = e.Pos, "NOT IN"
		}
		if !strings.HasPrefix(text[pos:], want) {
			t.Errorf("%s at %d, where %q stands", want, pos, text[pos:])
		}
		return true
	})
	if !strings.HasPrefix(text[q.Order[0].Path.Pos:], "c") {
		t.Errorf("order term at %d", q.Order[0].Path.Pos)
	}
}

// TestNesting: exactly MaxNesting levels are allowed, of each kind and mixed.
func TestNesting(t *testing.T) {
	for name, f := range map[string]func(n int) string{
		"parentheses": func(n int) string { return strings.Repeat("(", n) + "a" + strings.Repeat(")", n) },
		"NOT":         func(n int) string { return strings.Repeat("NOT ", n) + "a" },
		"negation":    func(n int) string { return strings.Repeat("-", n) + "a = 1" },
		"sum":         func(n int) string { return "a" + strings.Repeat("+a", n) + " = 1" },
		"product":     func(n int) string { return "a" + strings.Repeat("*a", n) + " = 1" },
		"mixed": func(n int) string {
			return strings.Repeat("NOT (", n/4) + "1 = " + strings.Repeat("-(", n/4) + strings.Repeat("-", n%4) + "a" + strings.Repeat(")", n/4*2)
		},
		"lists": func(n int) string {
			return "a IN (" + strings.Repeat("(", n) + "a" + strings.Repeat(")", n) + ")"
		},
	} {
		if _, err := Parse(f(MaxNesting)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		_, err := Parse(f(MaxNesting + 1))
		var se *SyntaxError
		if !errors.As(err, &se) || !errors.Is(err, limit.ErrTooLarge) || !strings.Contains(se.Msg, "nesting, the limit is 64") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Siblings do not add up.
	if _, err := Parse("(" + strings.Repeat("NOT (a) AND -(1) + 2 * 3 = 5 OR ", 100) + "a)"); err != nil {
		t.Error(err)
	}
}

// TestMaxText: 16 KiB of anything neither overflow a stack nor take long, and
// what parses is printed, walked and compared in no more.
func TestMaxText(t *testing.T) {
	fill := func(s, end string) string { return strings.Repeat(s, (MaxText-len(end))/len(s)) + end }
	begin := time.Now()
	for _, text := range []string{
		fill("(", ""), fill("NOT ", ""), fill("-", ""), fill("- ", "a"), fill("a AND ", "a"), fill("a OR ", "a"),
		fill("a AND b OR ", "a"), fill("(a OR b) AND ", "a"), fill("a OR NOT ", "a"), fill("a+", "a"), fill("a.", "a"),
		"a IN (" + fill("1,", "1)      "), fill("'", ""), fill("\"", ""), fill("''", "'"), fill("?", ""), fill(":a ", ""), fill("9", ""), fill("9", ".9"),
		"a = 0." + fill("9", "        "), fill("\n", "("), "ORDER BY " + fill("a,", "a           "), fill("x ", ""), fill("🙂", ""), fill("LIMIT ", ""),
		fill("((a) OR ", "a"), fill("a BETWEEN 1 AND 2 AND ", "a"), fill("\xFF", ""), fill("\x00", ""), fill(" ", ""),
	} {
		q, err := Parse(text)
		if err != nil {
			if len(err.Error()) > 500 {
				t.Errorf("an error of %d bytes: %.200s…", len(err.Error()), err)
			}
			continue
		}
		back, err := parse(q.String())
		if err != nil || !Equal(q, back) {
			t.Errorf("%.20s…: printed otherwise: %v", text, err)
		}
		Conjuncts(q.Where)
		for range Paths(q.Where) {
		}
	}
	if d := time.Since(begin); d > time.Minute {
		t.Errorf("took %v", d)
	}
	if _, err := Parse(strings.Repeat(" ", MaxText)); err != nil {
		t.Error(err)
	}
	for _, parse := range []func(string) error{
		func(s string) error { _, err := Parse(s); return err },
		func(s string) error { _, err := ParseExpr(s); return err },
	} {
		if err := parse(strings.Repeat(" ", MaxText+1)); !errors.Is(err, ErrSyntax) {
			t.Errorf("a longer text: %v", err)
		}
	}
}
