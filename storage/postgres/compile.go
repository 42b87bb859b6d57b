package postgres

import (
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/value"
)

// prefixLen is how many characters of a text, and bytes of a byte string, an
// index holds.
const prefixLen = 128

// compiler turns predicates into SQL with the evaluator's meaning: TRUE, FALSE
// and UNKNOWN are true, false and null. Values are parameters; what is written
// into the text are names of columns, from the catalog, and what this file
// spells out.
type compiler struct {
	e    *Engine
	c    *collection
	args []any
	used map[string]bool // keys of the columns that were read

	// negative says that the predicate stands behind NOT, so that false and null
	// are not the same to it.
	negative bool
}

// arg adds a parameter and returns its mark, with its type. No name can hold a
// zero byte, so marks are never mistaken.
func (c *compiler) arg(v any, typ string) string {
	c.args = append(c.args, v)
	return "\x00" + itoa(len(c.args)-1) + "\x00::" + typ
}

// number replaces the marks of parameters by $1 and so on, and returns the
// parameters that there are.
func number(sql string, args []any) (string, []any) {
	var out strings.Builder
	var used []any
	at := map[string]string{}
	for {
		before, rest, found := strings.Cut(sql, "\x00")
		out.WriteString(before)
		if !found {
			return out.String(), used
		}
		mark, rest, _ := strings.Cut(rest, "\x00")
		if at[mark] == "" {
			k, err := strconv.Atoi(mark)
			if err != nil {
				panic("ankurah: a parameter's mark is " + mark)
			}
			used = append(used, args[k])
			at[mark] = "$" + itoa(len(used))
		}
		out.WriteString(at[mark])
		sql = rest
	}
}

// operand is a value in SQL: null for null. One that is a literal has its
// value, others an expression.
type operand struct {
	sql   string
	typ   value.Type   // kind JSON: any class, as jsonb; kind null: always null
	wide  bool         // the expression is numeric: whole numbers, the result of arithmetic
	in    *span        // where the result of arithmetic lies; nil of what is none
	col   *column      // that it is, with no default in between
	lit   *value.Value // a literal
	small string       // the expression by which an index has what is small of it
}

// operand compiles e; false when SQL cannot say it.
func (c *compiler) operand(e ankql.Expr) (operand, bool) {
	if isConstant(e) {
		v := ankql.Operand(e, nil).Unwrap()
		return operand{typ: v.Type(), lit: &v}, true
	}
	switch e := e.(type) {
	case *ankql.Path:
		return c.path(e)
	case *ankql.Neg:
		return c.arithmetic(ankql.OpSub, &ankql.Literal{Value: value.Int64(0)}, e.X)
	case *ankql.Binary:
		if e.Op >= ankql.OpAdd {
			return c.arithmetic(e.Op, e.L, e.R)
		}
	}
	return operand{}, false
}

// held returns what an index holds of o where there is one, else o: both are
// null together.
func (c *compiler) held(o operand) string {
	if o.col != nil && c.c.prefixed(o.col.key) {
		return prefixOf(o.col)
	}
	return o.sql
}

func isConstant(e ankql.Expr) bool {
	for range ankql.Paths(e) {
		return false
	}
	return true
}

func (c *compiler) path(p *ankql.Path) (operand, bool) {
	if p.Via > 0 {
		return operand{}, false // of another entity
	}
	if p.IsID {
		return operand{sql: "id", typ: value.Type{Kind: value.KindID}}, true
	}
	col := c.c.byKey[p.Key]
	if col == nil {
		return operand{}, false
	}
	c.used[col.key] = true
	o := operand{sql: col.name, typ: col.typ, col: col}
	if !p.Default.IsNull() {
		v, ok := encode(p.Default, col.typ)
		if !ok || p.Default.Kind() != col.typ.Kind && !p.Default.Kind().Numeric() {
			return operand{}, false
		}
		o.sql, o.col = "COALESCE("+o.sql+", "+c.arg(v, col.sql)+")", nil
	}
	if col.typ.Kind != value.KindJSON {
		return o, len(p.JSON) == 0
	}
	return c.jsonPath(o, col, p)
}

// jsonPath compiles a path into a document: SQL's null for null.
func (c *compiler) jsonPath(o operand, col *column, p *ankql.Path) (operand, bool) {
	for _, key := range p.JSON {
		if !storable(key) || countsFromEnd(key) {
			return operand{}, false
		}
	}
	if len(p.JSON) > 0 {
		if sql := c.c.pathExpr(append([]string{p.Key}, p.JSON...)); sql != "" && o.col != nil {
			o.sql, o.small = sql, shortOnly(sql)
		} else {
			o.sql = "(" + o.sql + " #> " + c.arg(p.JSON, "text[]") + ")"
		}
	}
	o.sql, o.col = "NULLIF("+o.sql+", 'null'::jsonb)", nil
	return o, true
}

// countsFromEnd reports whether PostgreSQL would take a key for an index of an
// array that the evaluator does not.
func countsFromEnd(key string) bool {
	return key != "" && strings.IndexByte("+-\t\n\v\f\r ", key[0]) >= 0
}

// predicate compiles e; false when SQL cannot say it exactly.
func (c *compiler) predicate(e ankql.Expr) (string, bool) {
	if isConstant(e) {
		return truth(ankql.Eval(e, nil)), true
	}
	switch e := e.(type) {
	case *ankql.Not:
		return c.negated(true, func() (string, bool) { return c.predicate(e.X) })
	case *ankql.IsNull:
		x, ok := c.operand(e.X)
		if e.Not {
			return c.held(x) + " IS NOT NULL", ok
		}
		return c.held(x) + " IS NULL", ok
	case *ankql.In:
		return c.negated(e.Not, func() (string, bool) { return c.in(e) })
	case *ankql.Between:
		return c.negated(e.Not, func() (string, bool) {
			return c.predicate(ankql.And(&ankql.Binary{Op: ankql.OpGe, L: e.X, R: e.Lo}, &ankql.Binary{Op: ankql.OpLe, L: e.X, R: e.Hi}))
		})
	case *ankql.Like:
		return c.negated(e.Not, func() (string, bool) { return c.like(e) })
	case *ankql.Binary:
		switch {
		case e.Op == ankql.OpAnd || e.Op == ankql.OpOr:
			return c.chain(e)
		case e.Op == ankql.OpContains:
			return c.contains(e)
		case e.Op < ankql.OpContains:
			return c.comparison(e)
		}
	case *ankql.Path:
		return c.alone(e)
	}
	return "", false
}

func truth(t ankql.Truth) string {
	switch t {
	case ankql.True:
		return "TRUE"
	case ankql.False:
		return "FALSE"
	}
	return "NULL::boolean"
}

// negated compiles a predicate, behind NOT if it has to be there.
func (c *compiler) negated(not bool, f func() (string, bool)) (string, bool) {
	if !not {
		return f()
	}
	outer := c.negative
	c.negative = true
	sql, ok := f()
	c.negative = outer
	return "NOT (" + sql + ")", ok
}

// chain compiles a chain of AND or of OR, which may be long and leans left.
func (c *compiler) chain(e *ankql.Binary) (string, bool) {
	var parts []string
	var next ankql.Expr = e
	for {
		b, ok := next.(*ankql.Binary)
		if !ok || b.Op != e.Op {
			break
		}
		sql, ok := c.predicate(b.R)
		if !ok {
			return "", false
		}
		parts = append(parts, sql)
		next = b.L
	}
	sql, ok := c.predicate(next)
	if !ok {
		return "", false
	}
	var out strings.Builder
	out.WriteString("(" + sql)
	for k := len(parts) - 1; k >= 0; k-- {
		out.WriteString(" " + e.Op.String() + " " + parts[k])
	}
	return out.String() + ")", true
}

// alone compiles a path that is a predicate by itself.
func (c *compiler) alone(p *ankql.Path) (string, bool) {
	o, ok := c.operand(p)
	switch {
	case !ok:
		return "", false
	case o.typ.Kind == value.KindBool:
		return o.sql, true
	case o.typ.Kind == value.KindJSON:
		return "CASE jsonb_typeof(" + o.sql + ") WHEN 'boolean' THEN (" + o.sql + ")::boolean ELSE " + unless(o, "FALSE") + " END", true
	}
	return unless(o, "FALSE"), true
}

// unless returns sql where o is not null, else null.
func unless(o operand, sql string) string {
	return "CASE WHEN " + o.sql + " IS NOT NULL THEN " + sql + " END"
}

var mirrored = map[ankql.Op]ankql.Op{ankql.OpEq: ankql.OpEq, ankql.OpNe: ankql.OpNe,
	ankql.OpLt: ankql.OpGt, ankql.OpLe: ankql.OpGe, ankql.OpGt: ankql.OpLt, ankql.OpGe: ankql.OpLe}

var operators = map[ankql.Op]string{ankql.OpEq: "=", ankql.OpNe: "<>", ankql.OpLt: "<", ankql.OpLe: "<=", ankql.OpGt: ">", ankql.OpGe: ">="}

func (c *compiler) comparison(e *ankql.Binary) (string, bool) {
	switch {
	case isConstant(e.R):
		if sql, ok := c.inverted(e.Op, e.L, ankql.Operand(e.R, nil).Unwrap()); ok {
			return sql, true
		}
	case isConstant(e.L):
		if sql, ok := c.inverted(mirrored[e.Op], e.R, ankql.Operand(e.L, nil).Unwrap()); ok {
			return sql, true
		}
	}
	l, ok := c.operand(e.L)
	if !ok {
		return "", false
	}
	r, ok := c.operand(e.R)
	if !ok {
		return "", false
	}
	if l.lit != nil {
		return c.compareLiteral(mirrored[e.Op], r, *l.lit)
	}
	if r.lit != nil {
		return c.compareLiteral(e.Op, l, *r.lit)
	}
	return compareTwo(e.Op, l, r)
}

// compareTwo compares what both depends on the row.
func compareTwo(op ankql.Op, l, r operand) (string, bool) {
	a, b := l.typ.Kind, r.typ.Kind
	switch {
	case a == value.KindJSON && b == value.KindJSON, a == value.KindJSON, b == value.KindJSON, a == value.KindList || b == value.KindList:
		return "", false
	case a == b, a.Numeric() && b.Numeric() && a != value.KindFloat64 && b != value.KindFloat64:
		return "(" + l.sql + " " + operators[op] + " " + r.sql + ")", true
	case a.Numeric() && b.Numeric():
		return "", false // a float64 and an integer compare exactly, in SQL they do not
	}
	return "CASE WHEN " + l.sql + " IS NOT NULL AND " + r.sql + " IS NOT NULL THEN " + apart(op) + " END", true
}

// apart is the truth of a comparison of values of different classes (S46).
func apart(op ankql.Op) string {
	switch op {
	case ankql.OpEq:
		return "FALSE"
	case ankql.OpNe:
		return "TRUE"
	}
	return "NULL::boolean"
}

// compareLiteral compares o with a constant.
func (c *compiler) compareLiteral(op ankql.Op, o operand, v value.Value) (string, bool) {
	switch {
	case v.IsNull():
		return "NULL::boolean", true
	case o.typ.Kind == value.KindJSON:
		return c.compareJSON(op, o, v)
	case o.typ.Kind.Numeric() && v.Kind().Numeric():
		return c.compareNumber(op, o, v)
	case o.typ.Kind != v.Kind():
		return unless(o, apart(op)), true
	}
	arg, ok := encode(v, o.typ)
	if !ok {
		return "", false
	}
	typ, _ := sqlType(o.typ)
	if o.col != nil && c.c.prefixed(o.col.key) && short(v) {
		// Of a text that is shorter than the beginnings that an index holds,
		// these say the same.
		return "(" + prefixOf(o.col) + " " + operators[op] + " " + c.arg(arg, typ) + ")", true
	}
	return "(" + o.sql + " " + operators[op] + " " + c.arg(arg, typ) + ")", true
}

// short reports whether v is shorter than what an index holds of a value.
func short(v value.Value) bool {
	if v.Kind() == value.KindBytes {
		return len(v.Bytes()) < prefixLen
	}
	return len(v.Text()) < prefixLen
}

// compareNumber compares numbers of any kinds exactly: a constant that o's type
// cannot hold lies between two that it can, and which one is asked for.
func (c *compiler) compareNumber(op ankql.Op, o operand, v value.Value) (string, bool) {
	if o.typ.Kind == value.KindFloat64 {
		f, n := v.Float(), v.Int()
		if v.Kind() == value.KindFloat64 || exactFloat(n) {
			return "(" + o.sql + " " + operators[op] + " " + c.arg(f, "float8") + ")", true
		}
		return c.between(op, o, c.arg(f, "float8"), value.Compare(value.Float64(f), v))
	}
	typ := "bigint"
	if o.wide {
		typ = "numeric"
	} else if o.typ.Kind == value.KindInt32 && v.Kind() != value.KindFloat64 && int64(int32(v.Int())) == v.Int() {
		typ = "integer"
	}
	if v.Kind() != value.KindFloat64 {
		return "(" + o.sql + " " + operators[op] + " " + c.arg(c.integer(v.Int(), typ), typ) + ")", true
	}
	f := v.Float()
	switch {
	case math.IsNaN(f) || f >= 1<<63: // greater than every integer
		return unless(o, truth(map[bool]ankql.Truth{true: ankql.True, false: ankql.False}[op == ankql.OpLt || op == ankql.OpLe || op == ankql.OpNe])), true
	case f < -1<<63:
		return unless(o, truth(map[bool]ankql.Truth{true: ankql.True, false: ankql.False}[op == ankql.OpGt || op == ankql.OpGe || op == ankql.OpNe])), true
	}
	floor := int64(math.Floor(f))
	if float64(floor) == f {
		return "(" + o.sql + " " + operators[op] + " " + c.arg(c.integer(floor, typ), typ) + ")", true
	}
	return c.between(op, o, c.arg(c.integer(floor, typ), typ), -1)
}

// between compares o with what its type cannot hold: something right above near
// (side -1) or right below it (side 1).
func (c *compiler) between(op ankql.Op, o operand, near string, side int) (string, bool) {
	switch {
	case op == ankql.OpEq:
		return unless(o, "FALSE"), true
	case op == ankql.OpNe:
		return unless(o, "TRUE"), true
	case (op == ankql.OpLt || op == ankql.OpLe) && side < 0:
		return "(" + o.sql + " <= " + near + ")", true
	case op == ankql.OpLt || op == ankql.OpLe:
		return "(" + o.sql + " < " + near + ")", true
	case side < 0:
		return "(" + o.sql + " > " + near + ")", true
	}
	return "(" + o.sql + " >= " + near + ")", true
}

// compareJSON compares what stands in a document with a constant.
func (c *compiler) compareJSON(op ankql.Op, o operand, v value.Value) (string, bool) {
	doc, ok := jsonScalar(v)
	switch {
	case v.Kind() == value.KindJSON:
		return "", false // of documents, the evaluator compares texts
	case v.Kind() == value.KindString && !ok:
		return "", false
	case !v.Kind().Numeric() && v.Kind() != value.KindString && v.Kind() != value.KindBool:
		return unless(o, apart(op)), true
	case v.Kind().Numeric() && !ok: // infinite, or no number: greater than all or less
		less := op == ankql.OpLt || op == ankql.OpLe
		if v.Float() < 0 {
			less = op == ankql.OpGt || op == ankql.OpGe
		}
		if op == ankql.OpEq || op == ankql.OpNe {
			return unless(o, apart(op)), true
		}
		return "CASE jsonb_typeof(" + o.sql + ") WHEN 'number' THEN " + strings.ToUpper(strconv.FormatBool(less)) + " END", true
	case op == ankql.OpEq || op == ankql.OpNe:
		sql := "(" + o.sql + " " + operators[op] + " " + c.arg(doc, "jsonb") + ")"
		if o.small != "" && op == ankql.OpEq && len(doc) <= heldLen {
			sql = "(" + o.small + " = " + c.arg(doc, "jsonb") + " AND " + sql + ")"
		}
		return sql, true
	}
	switch v.Kind() {
	case value.KindString:
		return "CASE jsonb_typeof(" + o.sql + ") WHEN 'string' THEN " + textIn(o) + " " + operators[op] + " " + c.arg(v.Text(), "text") + " END", true
	case value.KindBool:
		return "CASE jsonb_typeof(" + o.sql + ") WHEN 'boolean' THEN (" + o.sql + ")::boolean " + operators[op] + " " + c.arg(v.Bool(), "boolean") + " END", true
	}
	sql := "CASE jsonb_typeof(" + o.sql + ") WHEN 'number' THEN (" + o.sql + ")::numeric " + operators[op] + " " + c.arg(doc, "numeric") + " END"
	if o.small != "" && !c.negative {
		// Numbers order so in jsonb, too; what is no number may be false here
		// instead of null.
		sql = "(" + o.small + " " + operators[op] + " " + c.arg(doc, "jsonb") + " AND " + sql + ")"
	}
	return sql, true
}

// textIn returns the text that a jsonb string holds.
func textIn(o operand) string { return "(" + o.sql + ` #>> '{}') COLLATE "C"` }

// jsonScalar returns a scalar as a document; false when there is none, or none
// that a parameter can hold.
func jsonScalar(v value.Value) (string, bool) {
	switch v.Kind() {
	case value.KindString:
		if !storable(v.Text()) {
			return "", false
		}
		doc, err := value.JSONFrom(v)
		return doc.Text(), err == nil
	case value.KindBool:
		return strconv.FormatBool(v.Bool()), true
	case value.KindInt32, value.KindInt64:
		return strconv.FormatInt(v.Int(), 10), true
	case value.KindFloat64:
		f := v.Float()
		switch {
		case math.IsNaN(f) || math.IsInf(f, 0):
			return "", false
		case math.Abs(f) >= 1<<53:
			return big.NewFloat(f).Text('f', 0), true
		}
		return strconv.FormatFloat(f, 'f', -1, 64), true
	}
	return "", false
}

func (c *compiler) in(e *ankql.In) (string, bool) {
	if len(e.List) == 0 {
		return "FALSE", true // even of null
	}
	x, ok := c.operand(e.X)
	if !ok {
		return "", false
	}
	if sql, ok := c.inArray(e, x); ok {
		return sql, true
	}
	const most = 64
	if len(e.List) > most {
		return "", false
	}
	var parts []string
	for _, item := range e.List {
		sql, ok := c.predicate(&ankql.Binary{Op: ankql.OpEq, L: e.X, R: item})
		if !ok {
			return "", false
		}
		parts = append(parts, sql)
	}
	return "(" + strings.Join(parts, " OR ") + ")", true
}

// inArray compiles IN of constants that are all of the column's type.
func (c *compiler) inArray(e *ankql.In, x operand) (string, bool) {
	if x.lit != nil || x.wide || x.typ.Kind == value.KindJSON || x.typ.Kind == value.KindList {
		return "", false
	}
	elements, null, allShort := []value.Value{}, false, true
	for _, item := range e.List {
		if !isConstant(item) {
			return "", false
		}
		v := ankql.Operand(item, nil).Unwrap()
		if v.IsNull() {
			null = true
			continue
		}
		if _, ok := encodeScalar(v, x.typ.Kind); !ok {
			return "", false
		}
		elements = append(elements, v)
		allShort = allShort && short(v)
	}
	list, ok := encodeList(value.List(x.typ.Kind, elements), x.typ.Kind)
	if !ok {
		return "", false
	}
	sql := x.sql
	if x.col != nil && c.c.prefixed(x.col.key) && allShort {
		sql = prefixOf(x.col)
	}
	sql = "(" + sql + " = ANY(" + c.arg(list, sqlTypes[x.typ.Kind]+"[]") + ")"
	if null {
		sql += " OR NULL::boolean"
	}
	if len(elements) == 0 {
		return unless(x, "NULL::boolean"), true
	}
	return sql + ")", true
}

func (c *compiler) contains(e *ankql.Binary) (string, bool) {
	x, ok := c.operand(e.L)
	if !ok || x.lit != nil {
		return "", false
	}
	if !isConstant(e.R) {
		return "", false
	}
	v := ankql.Operand(e.R, nil).Unwrap()
	if v.IsNull() {
		return "NULL::boolean", true
	}
	switch x.typ.Kind {
	case value.KindString:
		if v.Kind() != value.KindString {
			return unless(x, "FALSE"), true
		}
		return "(strpos(" + x.sql + ", " + c.arg(v.Text(), "text") + ") > 0)", storable(v.Text())
	case value.KindList:
		return c.listContains(x, v)
	case value.KindJSON:
		return c.jsonContains(x, v)
	}
	return unless(x, "FALSE"), true
}

func (c *compiler) listContains(x operand, v value.Value) (string, bool) {
	if arg, ok := encodeScalar(v, x.typ.Elem); ok {
		return "(" + c.arg(arg, sqlTypes[x.typ.Elem]) + " = ANY(" + x.sql + "))", true
	}
	if v.Kind().Numeric() && x.typ.Elem.Numeric() {
		return "", false // equal all the same, perhaps
	}
	return unless(x, "FALSE"), v.Kind() != x.typ.Elem
}

func (c *compiler) jsonContains(x operand, v value.Value) (string, bool) {
	doc, ok := jsonScalar(v)
	if v.Kind() == value.KindJSON || v.Kind() == value.KindString && !ok {
		return "", false
	}
	text, element := "FALSE", "FALSE"
	if v.Kind() == value.KindString {
		text = "strpos(" + textIn(x) + ", " + c.arg(v.Text(), "text") + ") > 0"
	}
	if ok {
		element = x.sql + " @> " + c.arg(doc, "jsonb")
	}
	return "CASE jsonb_typeof(" + x.sql + ") WHEN 'string' THEN " + text + " WHEN 'array' THEN " + element + " ELSE " + unless(x, "FALSE") + " END", true
}
