package ankql_test

import (
	"bytes"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/ankql/ankqltest"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/value"
)

// The oracle below evaluates as a textbook defines it: truth tables, exact
// numbers, operators spelled out by simpler ones. It shares no code with the
// evaluator.

const (
	f = iota
	u
	t3
)

var (
	notTable = [3]int{t3, u, f}
	andTable = [3][3]int{{f, f, f}, {f, u, u}, {f, u, t3}}
	orTable  = [3][3]int{{f, u, t3}, {u, u, t3}, {t3, t3, t3}}
)

func toTruth(v int) ankql.Truth { return [3]ankql.Truth{ankql.False, ankql.Unknown, ankql.True}[v] }

func fromBool(b bool) int {
	if b {
		return t3
	}
	return f
}

func oracle(e ankql.Expr, r ankql.Row) int {
	negate := func(not bool, v int) int {
		if not {
			return notTable[v]
		}
		return v
	}
	switch e := e.(type) {
	case nil:
		return t3
	case *ankql.Not:
		return notTable[oracle(e.X, r)]
	case *ankql.Literal:
		if e.Value.IsNull() {
			return u
		}
		return fromBool(e.Value.Bool())
	case *ankql.Binary:
		switch e.Op {
		case ankql.OpAnd:
			return andTable[oracle(e.L, r)][oracle(e.R, r)]
		case ankql.OpOr:
			return orTable[oracle(e.L, r)][oracle(e.R, r)]
		case ankql.OpContains:
			return oracleContains(oracleValue(e.L, r), oracleValue(e.R, r))
		}
		return oracleCompare(e.Op, oracleValue(e.L, r), oracleValue(e.R, r))
	case *ankql.In:
		v := f
		for _, x := range e.List {
			v = orTable[v][oracleCompare(ankql.OpEq, oracleValue(e.X, r), oracleValue(x, r))]
		}
		return negate(e.Not, v)
	case *ankql.Between:
		x := oracleValue(e.X, r)
		lo := oracleCompare(ankql.OpGe, x, oracleValue(e.Lo, r))
		hi := oracleCompare(ankql.OpLe, x, oracleValue(e.Hi, r))
		return negate(e.Not, andTable[lo][hi])
	case *ankql.Like:
		x, p := oracleValue(e.X, r), oracleValue(e.Pattern, r)
		if x.IsNull() || p.IsNull() {
			return u
		}
		if x.Kind() != value.KindString || p.Kind() != value.KindString {
			return negate(e.Not, f)
		}
		return negate(e.Not, fromBool(oracleLike([]rune(p.Text()), []rune(x.Text()), e.Fold)))
	case *ankql.IsNull:
		return negate(e.Not, fromBool(oracleValue(e.X, r).IsNull()))
	}
	panic(fmt.Sprintf("%T", e))
}

func oracleLike(p, s []rune, fold bool) bool {
	switch {
	case len(p) == 0:
		return len(s) == 0
	case p[0] == '%':
		return oracleLike(p[1:], s, fold) || len(s) > 0 && oracleLike(p, s[1:], fold)
	case len(s) == 0:
		return false
	case p[0] == '_':
		return oracleLike(p[1:], s[1:], fold)
	case p[0] == '\\' && len(p) > 1:
		p = p[1:]
	}
	return (p[0] == s[0] || fold && strings.EqualFold(string(p[0]), string(s[0]))) && oracleLike(p[1:], s[1:], fold)
}

// oracleOrder orders two values of one class; ok is false for two classes.
func oracleOrder(a, b value.Value) (c int, ok bool) {
	switch {
	case a.Kind().Numeric() && b.Kind().Numeric():
		an, bn := math.IsNaN(a.Float()), math.IsNaN(b.Float())
		if an || bn {
			return int(boolByte(an)) - int(boolByte(bn)), true
		}
		return exact(a).Cmp(exact(b)), true
	case a.Kind() != b.Kind():
		return 0, false
	}
	switch a.Kind() {
	case value.KindString:
		return slices.Compare([]rune(a.Text()), []rune(b.Text())), true
	case value.KindBool:
		return int(boolByte(a.Bool())) - int(boolByte(b.Bool())), true
	case value.KindBytes:
		return bytes.Compare(a.Bytes(), b.Bytes()), true
	case value.KindTime:
		return a.Time().Compare(b.Time()), true
	case value.KindID:
		return strings.Compare(a.ID().String(), b.ID().String()), true
	}
	// Lists and JSON documents: their order is package value's.
	return value.Compare(a, b), true
}

func boolByte(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func exact(v value.Value) *big.Float {
	x := new(big.Float).SetPrec(200)
	if v.Kind() == value.KindFloat64 {
		return x.SetFloat64(v.Float())
	}
	return x.SetInt64(v.Int())
}

func oracleCompare(op ankql.Op, a, b value.Value) int {
	if a.IsNull() || b.IsNull() {
		return u
	}
	c, ok := oracleOrder(a, b)
	switch op {
	case ankql.OpEq:
		return fromBool(ok && c == 0)
	case ankql.OpNe:
		return fromBool(!ok || c != 0)
	}
	if !ok {
		return u
	}
	switch op {
	case ankql.OpLt:
		return fromBool(c < 0)
	case ankql.OpLe:
		return fromBool(c <= 0)
	case ankql.OpGt:
		return fromBool(c > 0)
	case ankql.OpGe:
		return fromBool(c >= 0)
	}
	panic(op)
}

func oracleContains(a, b value.Value) int {
	if a.IsNull() || b.IsNull() {
		return u
	}
	if a.Kind() == value.KindString {
		return fromBool(b.Kind() == value.KindString && strings.Contains(a.Text(), b.Text()))
	}
	for x := range a.Elements() {
		if oracleCompare(ankql.OpEq, x, b) == t3 {
			return t3
		}
	}
	return f
}

func oracleValue(e ankql.Expr, r ankql.Row) value.Value {
	switch e := e.(type) {
	case *ankql.Literal:
		return e.Value
	case *ankql.Path:
		if e.IsID {
			return value.ID(r.ID())
		}
		v := r.Value(e.Key)
		if v.IsNull() {
			v = e.Default
		}
		for _, key := range e.JSON {
			v = v.Lookup(key)
		}
		return v.Unwrap()
	case *ankql.Neg:
		return oracleArithmetic(ankql.OpMul, value.Int64(-1), oracleValue(e.X, r))
	case *ankql.Binary:
		return oracleArithmetic(e.Op, oracleValue(e.L, r), oracleValue(e.R, r))
	}
	panic(fmt.Sprintf("%T", e))
}

func oracleArithmetic(op ankql.Op, a, b value.Value) value.Value {
	if !a.Kind().Numeric() || !b.Kind().Numeric() {
		return value.Null
	}
	if a.Kind() == value.KindFloat64 || b.Kind() == value.KindFloat64 {
		x, y := a.Float(), b.Float()
		z := map[ankql.Op]func() float64{
			ankql.OpAdd: func() float64 { return x + y }, ankql.OpSub: func() float64 { return x - y },
			ankql.OpMul: func() float64 { return x * y }, ankql.OpDiv: func() float64 { return x / y },
		}[op]()
		finite := !math.IsInf(x, 0) && !math.IsInf(y, 0)
		if op == ankql.OpDiv && y == 0 || finite && math.IsInf(z, 0) {
			return value.Null
		}
		return value.Float64(z)
	}
	x, y, z := big.NewInt(a.Int()), big.NewInt(b.Int()), new(big.Int)
	switch op {
	case ankql.OpAdd:
		z.Add(x, y)
	case ankql.OpSub:
		z.Sub(x, y)
	case ankql.OpMul:
		z.Mul(x, y)
	case ankql.OpDiv:
		if y.Sign() == 0 {
			return value.Null
		}
		z.Quo(x, y) // toward zero
	}
	if !z.IsInt64() {
		return value.Null
	}
	return value.Int64(z.Int64())
}

func mustParse(t testing.TB, text string) *ankql.Query {
	t.Helper()
	q, err := ankql.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func mustBind(t testing.TB, m *schema.Model, text string, args ...any) *ankql.Selection {
	t.Helper()
	s, err := ankql.Bind(mustParse(t, text), m, "album", args...)
	if err != nil {
		t.Fatalf("%s %v\n%v", text, args, err)
	}
	return s
}

// TestEval: the evaluator agrees with the oracle on generated queries and rows
// (S45), however the predicate's chains are held.
func TestEval(t *testing.T) {
	r := rand.New(rand.NewPCG(45, 1))
	m := ankqltest.Model()
	var rows []*ankqltest.Row
	for range 25 {
		rows = append(rows, ankqltest.RandomRow(r, m))
	}
	seen := map[ankql.Truth]int{}
	selective := 0
	const queries = 4000
	for range queries {
		text, args := ankqltest.RandomQuery(r, m)
		s := mustBind(t, m, text, args...)
		bare := strip(s.Where)
		matches := 0
		for _, row := range rows {
			want := toTruth(oracle(s.Where, row))
			if got := ankql.Eval(s.Where, row); got != want {
				t.Fatalf("%s\n%v\n%s\nrow %v\ngot %v, want %v", text, args, s, row.Values, got, want)
			}
			if got := ankql.Eval(bare, row); got != want {
				t.Fatalf("%s\nwithout what binding prepared: got %v, want %v", s, got, want)
			}
			if s.Match(row) != (want == ankql.True) {
				t.Fatalf("%s: Match disagrees with Eval", s)
			}
			seen[want]++
			if want == ankql.True {
				matches++
			}
		}
		if matches > 0 && matches < len(rows) {
			selective++
		}
	}
	for _, v := range []ankql.Truth{ankql.False, ankql.Unknown, ankql.True} {
		if seen[v] < queries*len(rows)/20 {
			t.Errorf("%v came %d times only", v, seen[v])
		}
	}
	if selective < queries/3 {
		t.Errorf("only %d of %d queries match some rows and not others", selective, queries)
	}
}

// strip copies a bound predicate without what binding keeps for speed.
func strip(e ankql.Expr) ankql.Expr {
	switch e := e.(type) {
	case *ankql.Not:
		return &ankql.Not{X: strip(e.X)}
	case *ankql.Binary:
		return &ankql.Binary{Op: e.Op, L: strip(e.L), R: strip(e.R)}
	case *ankql.In:
		return &ankql.In{X: e.X, List: e.List, Not: e.Not}
	case *ankql.Like:
		return &ankql.Like{X: e.X, Pattern: e.Pattern, Not: e.Not, Fold: e.Fold}
	}
	return e
}

// TestReprint: what a bound selection prints as parses and binds to what
// matches the same rows in the same order.
func TestReprint(t *testing.T) {
	r := rand.New(rand.NewPCG(49, 3))
	m := ankqltest.Model()
	var rows []*ankqltest.Row
	for range 20 {
		rows = append(rows, ankqltest.RandomRow(r, m))
	}
	again := 0
	for range 2000 {
		text, args := ankqltest.RandomQuery(r, m)
		s := mustBind(t, m, text, args...)
		if strings.Contains(s.String(), "'NaN'") || strings.Contains(s.String(), "Infinity'") {
			continue // inside JSON that is another text
		}
		q, err := ankql.Parse(s.String())
		if err != nil {
			continue // a list has no literal form
		}
		s2, err := ankql.Bind(q, m, "album")
		if err != nil {
			continue
		}
		again++
		if s2.String() != s.String() {
			t.Fatalf("printed %s\nagain   %s", s, s2)
		}
		for _, row := range rows {
			if s.Match(row) != s2.Match(row) {
				t.Fatalf("%s\n%s\nprinted, it evaluates otherwise on %v", text, s, row.Values)
			}
		}
	}
	if again < 1500 {
		t.Errorf("only %d of 2000 came back", again)
	}
}

// TestTruth pins the rules that are decisions, on one row.
func TestTruth(t *testing.T) {
	m := ankqltest.Model()
	extra, err := value.ParseJSON(`{"n": 9, "s": "9", "t": [1, "a", null, 2.5], "o": {"k": true}, "x": null}`)
	if err != nil {
		t.Fatal(err)
	}
	row := &ankqltest.Row{EntityID: ankqltest.RandomID(rand.New(rand.NewPCG(1, 1)), 9), Values: map[string]value.Value{
		"name": value.String("Origin"), "year": value.Int32(2001), "plays": value.Int64(math.MinInt64), "rating": value.Float64(math.NaN()),
		"published": value.Bool(true), "extra": extra, "tags": value.List(value.KindString, []value.Value{value.String("live"), value.String("uk")}),
		"charts": value.List(value.KindInt64, nil),
	}}
	for text, want := range map[string]ankql.Truth{
		"":               ankql.True,
		"published":      ankql.True,
		"NOT published":  ankql.False,
		"TRUE":           ankql.True,
		"NOT FALSE":      ankql.True,
		"NULL":           ankql.Unknown,
		"NOT NULL":       ankql.Unknown,
		"NULL OR TRUE":   ankql.True,
		"NULL AND FALSE": ankql.False,
		"NULL = NULL":    ankql.Unknown,

		// Missing is null, and null decides nothing (S45).
		"label = 'x' OR year = 2001":                         ankql.True,
		"label = 'x' AND year = 2001":                        ankql.Unknown,
		"NOT label = 'x'":                                    ankql.Unknown,
		"label = label":                                      ankql.Unknown,
		"label IS NULL":                                      ankql.True,
		"label IN ('x', 'y')":                                ankql.Unknown,
		"label NOT IN ('x', 'y')":                            ankql.Unknown,
		"label IN ()":                                        ankql.False,
		"label NOT IN ()":                                    ankql.True,
		"name IN ('x', NULL)":                                ankql.Unknown,
		"name NOT IN ('x', NULL)":                            ankql.Unknown,
		"name IN ('Origin', NULL)":                           ankql.True,
		"name NOT IN ('Origin', NULL)":                       ankql.False,
		"name NOT IN ('1','2','3','4','5','6','7','8',NULL)": ankql.Unknown,
		"year BETWEEN NULL AND 2000":                         ankql.False,
		"year BETWEEN NULL AND 2001":                         ankql.Unknown,
		"year NOT BETWEEN NULL AND 2000":                     ankql.True,
		"name LIKE NULL":                                     ankql.Unknown,
		"name CONTAINS NULL":                                 ankql.Unknown,
		"genre = 'a'":                                        ankql.True, // its default
		"genre IS NULL":                                      ankql.False,

		// Classes (S46).
		"extra.n = 9":                 ankql.True,
		"extra.n = 9.0":               ankql.True,
		"extra.n = '9'":               ankql.False,
		"extra.n != '9'":              ankql.True,
		"extra.n < '9'":               ankql.Unknown,
		"extra.n BETWEEN '1' AND 'x'": ankql.Unknown,
		"extra.n IN ('9', 8)":         ankql.False,
		"extra.n NOT IN ('9', 8)":     ankql.True,
		"extra.s = '9'":               ankql.True,
		"extra.s = 9":                 ankql.False,
		"extra.n LIKE '9'":            ankql.False,
		"extra.n NOT LIKE '9'":        ankql.True,
		"extra.s LIKE '_'":            ankql.True,
		"extra.n = extra.s":           ankql.False,
		"extra.n + 1 = 10":            ankql.True,
		"extra.s + 1 = 10":            ankql.Unknown,
		"extra.n = year - 1992":       ankql.True,
		"extra.n":                     ankql.False,
		"extra.o.k":                   ankql.True,
		"NOT extra.n":                 ankql.True,
		"extra.none":                  ankql.Unknown,
		"extra.x IS NULL":             ankql.True,
		"extra.n.deeper IS NULL":      ankql.True,

		// CONTAINS.
		"tags CONTAINS 'live'":      ankql.True,
		"tags CONTAINS 'liv'":       ankql.False,
		"name CONTAINS 'rig'":       ankql.True,
		"name CONTAINS ''":          ankql.True,
		"charts CONTAINS 1":         ankql.False,
		"extra.t CONTAINS 1":        ankql.True,
		"extra.t CONTAINS 1.0":      ankql.True,
		"extra.t CONTAINS '1'":      ankql.False,
		"extra.t CONTAINS 'x'":      ankql.False,
		"extra.t CONTAINS NULL":     ankql.Unknown,
		"extra.o CONTAINS 'k'":      ankql.False,
		"extra.n CONTAINS 9":        ankql.False,
		"extra.none CONTAINS 9":     ankql.Unknown,
		"'Origin of' CONTAINS name": ankql.True,

		// Numbers.
		"year < 2001.5":                               ankql.True,
		"year = 2001.0":                               ankql.True,
		"year = 2001.5":                               ankql.False,
		"year < 99999999999":                          ankql.True,
		"year = '2001'":                               ankql.True,
		"year / 2 = 1000":                             ankql.True,
		"-year / 2 = -1000":                           ankql.True,
		"year / 2.0 = 1000.5":                         ankql.True,
		"year / 0 IS NULL":                            ankql.True,
		"year / 0.0 IS NULL":                          ankql.True,
		"-plays IS NULL":                              ankql.True,
		"plays - 1 IS NULL":                           ankql.True,
		"plays / -1 IS NULL":                          ankql.True,
		"plays * -1 IS NULL":                          ankql.True,
		"plays + year - year = -9223372036854775808":  ankql.True,
		"1e308 * 10 IS NULL":                          ankql.True,
		"rating = rating":                             ankql.True, // NaN is a number, the last (S47)
		"rating > 1e308":                              ankql.True,
		"9007199254740993 = 9007199254740992.0":       ankql.False, // exact
		"9223372036854775807 < 9223372036854775808.0": ankql.True,

		// LIKE.
		"name LIKE 'Ori%'":        ankql.True,
		"name LIKE 'ori%'":        ankql.False,
		"name ILIKE 'oRI%'":       ankql.True,
		"name LIKE '_rigin'":      ankql.True,
		"name LIKE 'Origin_'":     ankql.False,
		"name NOT LIKE 'Muse%'":   ankql.True,
		"label NOT LIKE '%'":      ankql.Unknown,
		`'50%' LIKE '50\%'`:       ankql.True,
		`'50x' LIKE '50\%'`:       ankql.False,
		`'a\' LIKE 'a\'`:          ankql.True, // at the end a backslash is itself
		`'𝄞' LIKE '_'`:            ankql.True, // one code point
		`'ſ' ILIKE 'S'`:           ankql.True, // Unicode's simple folding
		`'ß' ILIKE 'SS'`:          ankql.False,
		`'O' LIKE name`:           ankql.False,
		`'Origin' LIKE name`:      ankql.True,
		`'x' LIKE ''`:             ankql.False,
		`'' LIKE '%%'`:            ankql.True,
		`'a' LIKE NULL OR 1 = 1`:  ankql.True,
		`name LIKE name || false`: 9,
	} {
		if want == 9 {
			if _, err := ankql.Parse(text); err == nil {
				t.Errorf("%s parses", text)
			}
			continue
		}
		s := mustBind(t, m, text)
		if got := ankql.Eval(s.Where, row); got != want {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
		if got := toTruth(oracle(s.Where, row)); got != want {
			t.Errorf("%s: the oracle says %v, want %v", text, got, want)
		}
	}
}

func TestTruthString(t *testing.T) {
	if got := fmt.Sprint(ankql.False, ankql.Unknown, ankql.True); got != "FALSE UNKNOWN TRUE" {
		t.Error(got)
	}
}

// TestLongChains: a predicate as long as a text allows is evaluated by a loop.
func TestLongChains(t *testing.T) {
	row := &ankqltest.Row{Values: map[string]value.Value{"year": value.Int32(1), "published": value.Bool(true)}}
	for text, want := range map[string]ankql.Truth{
		strings.Repeat("year=1 AND ", 1400) + "year=1":                                 ankql.True,
		strings.Repeat("year=1 AND ", 1400) + "year=2":                                 ankql.False,
		strings.Repeat("year=2 OR ", 1400) + "year=1":                                  ankql.True,
		strings.Repeat("year=2 OR ", 1400) + "year=NULL":                               ankql.Unknown,
		strings.Repeat("year=1 AND NOT year=2 OR ", 600) + "FALSE":                     ankql.True,
		"year=2 OR " + strings.Repeat("published AND ", 1000) + "(NULL OR label = '')": ankql.Unknown,
	} {
		s := mustBind(t, ankqltest.Model(), text)
		for _, e := range []ankql.Expr{s.Where, strip(s.Where)} {
			if got := ankql.Eval(e, row); got != want {
				t.Errorf("%.30s…: got %v, want %v", text, got, want)
			}
		}
	}
}

// TestNoModel: with no model values are read as they are.
func TestNoModel(t *testing.T) {
	row := &ankqltest.Row{Values: map[string]value.Value{"year": value.Int32(1)}}
	for text, want := range map[string]ankql.Truth{
		"year = 1":            ankql.True,
		"year = '1'":          ankql.False,
		"anything = 1":        ankql.Unknown,
		"anything IS NULL":    ankql.True,
		"year.key IS NULL":    ankql.True,
		"year LIKE '1'":       ankql.False,
		"year":                ankql.False,
		"year CONTAINS 1":     ankql.False,
		"-year + 1.0 = 0":     ankql.True,
		"id = id AND id = ''": ankql.False,
	} {
		s, err := ankql.Bind(mustParse(t, text), nil, "album")
		if strings.Contains(text, "''") {
			if err == nil {
				t.Errorf("%s: an ID has a type without a model too", text)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := ankql.Eval(s.Where, row); got != want {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
}
