package ankqltest

import (
	"encoding/hex"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/value"
)

// RandomQuery returns a query that binds to m with the arguments returned: any
// operator on any property, `?` and named parameters, up to three ORDER BY
// terms in mixed directions, a limit in half of them. It has no AFTER, which
// needs a cursor of rows the caller has.
func RandomQuery(r *rand.Rand, m *schema.Model) (text string, args []any) {
	g := &generator{r: r, m: m}
	if r.IntN(10) > 0 {
		g.predicate(3)
	}
	for k := range r.IntN(4) {
		if k == 0 {
			g.put(" ORDER BY ")
		} else {
			g.put(", ")
		}
		g.orderTerm()
	}
	if r.IntN(2) == 0 {
		g.put(" LIMIT ")
		g.count(r.IntN(12))
	}
	return g.text.String(), g.args
}

// RandomPredicate returns a predicate that binds to m with the arguments
// returned.
func RandomPredicate(r *rand.Rand, m *schema.Model) (text string, args []any) {
	g := &generator{r: r, m: m}
	g.predicate(3)
	return g.text.String(), g.args
}

// RandomAggregate returns an aggregate selection that binds to m with the
// arguments returned: every function on every property that it takes, none to
// three fields to group by, order and limit.
func RandomAggregate(r *rand.Rand, m *schema.Model) (text string, args []any) {
	g := &generator{r: r, m: m}
	var items, groups []string
	for range 1 + r.IntN(4) {
		items = append(items, g.aggregate())
	}
	g.put("SELECT " + strings.Join(items, ", "))
	if r.IntN(2) == 0 {
		g.put(" WHERE ")
		g.predicate(2)
	}
	ordered := func(p schema.Property) bool { return p.Type.Kind != value.KindList }
	for range r.IntN(4) {
		groups = append(groups, g.path(ordered))
	}
	if len(groups) > 0 {
		g.put(" GROUP BY " + strings.Join(groups, ", "))
	}
	for k := range r.IntN(3) {
		if k == 0 {
			g.put(" ORDER BY ")
		} else {
			g.put(", ")
		}
		g.one(append(items, groups...)...)
		g.one("", " ASC", " DESC")
		g.one("", "", " NULLS FIRST", " NULLS LAST")
	}
	if r.IntN(3) == 0 {
		g.put(" LIMIT ")
		g.count(r.IntN(6))
	}
	return g.text.String(), g.args
}

// aggregate returns an aggregate.
func (g *generator) aggregate() string {
	f := pick(g.r, []string{"COUNT", "SUM", "MIN", "MAX", "AVG", "count"})
	takes := func(p schema.Property) bool { return p.Type.Kind != value.KindList }
	switch f {
	case "COUNT", "count":
		if g.chance(2) {
			return f + "(*)"
		}
		takes = func(schema.Property) bool { return true }
	case "SUM", "AVG":
		takes = func(p schema.Property) bool { return isNumber(p) || p.Type.Kind == value.KindJSON }
	}
	path := g.path(takes)
	if path == "id" && (f == "SUM" || f == "AVG") {
		return "COUNT(*)"
	}
	return f + "(" + path + ")"
}

// path returns a path to a property for which ok holds, or the ID.
func (g *generator) path(ok func(schema.Property) bool) string {
	keys := g.keys(ok)
	if len(keys) == 0 || g.chance(20) {
		return "id"
	}
	key := pick(g.r, keys)
	if g.m.Property(key).Type.Kind == value.KindJSON && !g.chance(10) {
		return Quote(key) + "." + pick(g.r, jsonTargets)
	}
	return Quote(key)
}

type generator struct {
	r     *rand.Rand
	m     *schema.Model
	text  strings.Builder
	args  []any
	names int
}

func (g *generator) put(s string) { g.text.WriteString(s) }

// one writes one of the choices.
func (g *generator) one(choices ...string) { g.put(pick(g.r, choices)) }

func (g *generator) chance(of int) bool { return g.r.IntN(of) == 0 }

func (g *generator) predicate(depth int) {
	if depth == 0 {
		g.comparison()
		return
	}
	switch g.r.IntN(6) {
	case 0, 1:
		g.put("(")
		g.predicate(depth - 1)
		for range 1 + g.r.IntN(2) {
			g.one(" AND ", " OR ", " and ")
			g.predicate(depth - 1)
		}
		g.put(")")
	case 2:
		g.put("NOT ")
		g.put("(")
		g.predicate(depth - 1)
		g.put(")")
	default:
		g.comparison()
	}
}

var (
	equalities  = []string{" = ", " != ", " <> "}
	orderings   = []string{" = ", " != ", " < ", " <= ", " > ", " >= "}
	jsonTargets = []string{"n", "s", "b", "z", "list", "not", `"in"`, `"a.b"`, "deep.n", "deep.none", "list.0", "list.1"}
)

func (g *generator) comparison() {
	if len(g.m.Properties) == 0 || g.chance(12) {
		g.put("id")
		g.idComparison()
		return
	}
	p := g.m.Properties[g.r.IntN(len(g.m.Properties))]
	if p.Type.Kind == value.KindJSON {
		g.jsonComparison(p)
		return
	}
	if g.chance(8) {
		g.put(Quote(p.Key))
		g.one(" IS NULL", " IS NOT NULL", " is not null")
		return
	}
	switch k := p.Type.Kind; {
	case k == value.KindString && g.chance(2):
		g.textComparison(p)
	case k == value.KindBool && g.chance(2):
		g.one("", "NOT ")
		g.put(Quote(p.Key))
	case k == value.KindList:
		g.put(Quote(p.Key))
		elem := schema.Property{Type: value.Type{Kind: p.Type.Elem}}
		if g.chance(4) {
			g.one(equalities...)
			g.param(RandomValue(g.r, p))
			return
		}
		g.put(" CONTAINS ")
		g.operand(elem)
	case k.Numeric() && g.chance(3):
		g.arithmetic(p)
	case k == value.KindID:
		g.put(Quote(p.Key))
		g.idComparison()
	default:
		g.plain(p)
	}
}

// plain compares a property with values of its type, or with another one of
// the same type.
func (g *generator) plain(p schema.Property) {
	if g.chance(10) {
		g.operand(p) // the literal first
		g.one(orderings...)
		g.put(Quote(p.Key))
		return
	}
	g.put(Quote(p.Key))
	switch g.r.IntN(6) {
	case 0:
		g.one(" IN ", " NOT IN ")
		g.list(p)
	case 1:
		g.one(" BETWEEN ", " NOT BETWEEN ")
		g.operand(p)
		g.put(" AND ")
		g.operand(p)
	case 2:
		g.one(orderings...)
		g.put(Quote(pick(g.r, g.keys(func(o schema.Property) bool {
			return o.Type == p.Type || isNumber(o) && isNumber(p)
		}))))
	default:
		g.one(orderings...)
		g.operand(p)
	}
}

func (g *generator) idComparison() {
	p := schema.Property{Type: value.Type{Kind: value.KindID}}
	switch g.r.IntN(4) {
	case 0:
		g.one(" IN ", " NOT IN ")
		g.list(p)
	case 1:
		g.one(orderings...)
		g.operand(p)
	case 2:
		g.one(orderings...)
		g.put(Quote(pick(g.r, append(g.keys(isID), "id"))))
	default:
		g.one(equalities...)
		g.operand(p)
	}
}

func (g *generator) textComparison(p schema.Property) {
	g.put(Quote(p.Key))
	if g.chance(4) {
		g.put(" CONTAINS ")
		g.operand(p)
		return
	}
	g.one(" LIKE ", " NOT LIKE ", " ILIKE ", " NOT ILIKE ")
	g.pattern()
}

func (g *generator) pattern() {
	if text := g.keys(isText); len(text) > 0 && g.chance(20) {
		g.put(Quote(pick(g.r, text))) // a pattern of the row's own
		return
	}
	var b strings.Builder
	for range g.r.IntN(4) {
		b.WriteString(pick(g.r, []string{"%", "_", "%", "a", "A", "b", "o", `\%`, `\_`, `\\`, "é", "K", "日", "9"}))
	}
	if g.chance(2) {
		g.put(QuoteText(b.String()))
	} else {
		g.param(value.String(b.String()))
	}
}

func (g *generator) arithmetic(p schema.Property) {
	g.one("", "-", "2 * ")
	g.put(Quote(p.Key))
	if g.chance(2) {
		g.one(" + ", " - ", " * ", " / ")
		if g.chance(2) {
			g.put(Quote(pick(g.r, g.keys(isNumber))))
		} else {
			g.one("0", "2", "1.5", "-3", "9223372036854775807")
		}
	}
	g.one(orderings...)
	if g.chance(3) {
		g.put(Quote(pick(g.r, g.keys(isNumber))))
	} else {
		g.one("0", "1", "-2.5", "1985 - 4", "1e3", "18 / 2", "'9'")
	}
}

func isText(p schema.Property) bool   { return p.Type.Kind == value.KindString }
func isID(p schema.Property) bool     { return p.Type.Kind == value.KindID }
func isNumber(p schema.Property) bool { return p.Type.Kind.Numeric() }

// keys returns the keys of the properties for which ok holds.
func (g *generator) keys(ok func(schema.Property) bool) []string {
	var keys []string
	for _, p := range g.m.Properties {
		if ok(p) {
			keys = append(keys, p.Key)
		}
	}
	return keys
}

func (g *generator) jsonComparison(p schema.Property) {
	path := Quote(p.Key)
	if !g.chance(10) {
		path += "." + pick(g.r, jsonTargets)
	}
	g.put(path)
	switch g.r.IntN(8) {
	case 0:
		g.one(" IS NULL", " IS NOT NULL")
	case 1:
		g.put(" CONTAINS ")
		g.jsonOperand()
	case 2:
		g.one(" LIKE ", " NOT ILIKE ")
		g.pattern()
	case 3:
		g.one(" IN (", " NOT IN (")
		g.jsonOperand()
		g.put(", ")
		g.jsonOperand()
		g.put(")")
	case 4:
		g.one(" BETWEEN ", " NOT BETWEEN ")
		g.jsonOperand()
		g.put(" AND ")
		g.jsonOperand()
	case 5:
		g.one(orderings...)
		g.put(Quote(p.Key))
		g.put("." + pick(g.r, jsonTargets))
	default:
		g.one(orderings...)
		g.jsonOperand()
	}
}

func (g *generator) jsonOperand() {
	kinds := []value.Kind{value.KindString, value.KindInt64, value.KindFloat64, value.KindBool}
	g.operand(schema.Property{Type: value.Type{Kind: pick(g.r, kinds)}})
}

// list writes what stands behind IN for values of p.
func (g *generator) list(p schema.Property) {
	n := g.r.IntN(4)
	if g.chance(6) {
		n = 8 + g.r.IntN(4)
	}
	if g.chance(3) {
		vs := make([]any, n)
		for k := range vs {
			vs[k] = RandomValue(g.r, p)
			if g.chance(12) {
				vs[k] = nil
			}
		}
		if g.chance(2) {
			g.placeholder(vs)
		} else {
			g.put("(")
			g.placeholder(vs)
			g.put(")")
		}
		return
	}
	g.put("(")
	for k := range n {
		if k > 0 {
			g.put(", ")
		}
		g.operand(p)
	}
	g.put(")")
}

// operand writes a value of p's type: a literal when it has one, else a
// parameter. Numbers are also of other numeric types, and rarely it is NULL.
func (g *generator) operand(p schema.Property) {
	if g.chance(20) {
		g.one("NULL", "null")
		return
	}
	p.Optional = false
	v := RandomValue(g.r, p)
	if v.Kind().Numeric() && g.chance(4) {
		v = RandomValue(g.r, schema.Property{Type: value.Type{Kind: pick(g.r, []value.Kind{value.KindInt32, value.KindInt64, value.KindFloat64})}})
	}
	if g.chance(2) {
		if text, ok := literal(v); ok {
			g.put(text)
			return
		}
	}
	g.param(v)
}

// literal returns the text of v as a literal.
func literal(v value.Value) (string, bool) {
	switch v.Kind() {
	case value.KindString:
		return QuoteText(v.Text()), true
	case value.KindBool:
		if v.Bool() {
			return "TRUE", true
		}
		return "false", true
	case value.KindInt32, value.KindInt64:
		return strconv.FormatInt(v.Int(), 10), true
	case value.KindFloat64:
		if f := v.Float(); !math.IsNaN(f) && !math.IsInf(f, 0) {
			return strconv.FormatFloat(f, 'e', -1, 64), true
		}
	case value.KindID:
		return QuoteText(v.ID().String()), true
	case value.KindBytes:
		return QuoteText(hex.EncodeToString(v.Bytes())), true
	case value.KindTime:
		return QuoteText(v.Time().Format("2006-01-02T15:04:05.999999Z07:00")), true
	}
	return "", false
}

func (g *generator) param(v value.Value) { g.placeholder(v) }

func (g *generator) placeholder(v any) {
	if g.chance(3) {
		g.names++
		name := "p" + strconv.Itoa(g.names)
		g.put(":" + name)
		g.args = append(g.args, ankql.Named{Name: name, Value: v})
		return
	}
	g.put("?")
	g.args = append(g.args, v)
}

func (g *generator) count(n int) {
	if g.chance(2) {
		g.placeholder(n)
	} else {
		g.put(strconv.Itoa(n))
	}
}

func (g *generator) orderTerm() {
	sortable := g.keys(func(p schema.Property) bool { return p.Type.Kind != value.KindList })
	if len(sortable) == 0 || g.chance(12) {
		g.put("id")
	} else {
		key := pick(g.r, sortable)
		g.put(Quote(key))
		if g.m.Property(key).Type.Kind == value.KindJSON {
			g.put("." + pick(g.r, jsonTargets))
		}
	}
	g.one("", " ASC", " DESC", " desc")
	g.one("", "", " NULLS FIRST", " NULLS LAST", " nulls last")
}

// Quote returns name as a quoted identifier.
func Quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// QuoteText returns s as a text literal.
func QuoteText(s string) string { return `'` + strings.ReplaceAll(s, `'`, `''`) + `'` }
