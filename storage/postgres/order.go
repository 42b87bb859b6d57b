package postgres

import (
	"strings"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/value"
)

// term is an ORDER BY term in SQL.
type term struct {
	operand
	*ankql.OrderTerm
}

// terms compiles the ORDER BY terms up to the ID, behind which nothing matters;
// false when SQL cannot say their order.
func (c *compiler) terms(sel *ankql.Selection) ([]term, bool) {
	var out []term
	for k := range sel.Order {
		t := &sel.Order[k]
		o, ok := c.path(t.Path)
		if !ok || o.typ.Kind == value.KindJSON {
			return nil, false
		}
		out = append(out, term{o, t})
		if t.Path.IsID {
			return out, true
		}
	}
	return append(out, term{operand{sql: "id", typ: value.Type{Kind: value.KindID}}, &ankql.OrderTerm{Path: &ankql.Path{IsID: true}}}), true
}

// orderBy returns the text behind ORDER BY, and one for a limit by which an
// index is in order where it holds the beginnings of texts: rows of which a
// beginning is as long as the index holds have to be sorted again. It is the same
// where there are none.
func (c *compiler) orderBy(terms []term) (order, quick string) {
	var parts, short []string
	for _, t := range terms {
		way := " ASC"
		if t.Desc {
			way = " DESC"
		}
		if !t.Path.IsID && t.NullsFirst != t.Desc { // else as PostgreSQL has it
			way += map[bool]string{true: " NULLS FIRST", false: " NULLS LAST"}[t.NullsFirst]
		}
		if t.col != nil && c.c.prefixed(t.col.key) {
			parts = append(parts, prefixOf(t.col)+way) // in which an index has them
			short = append(short, prefixOf(t.col)+way)
		} else {
			short = append(short, t.sql+way)
		}
		parts = append(parts, t.sql+way)
	}
	return strings.Join(parts, ", "), strings.Join(short, ", ")
}

// after compiles what comes behind a cursor. The conditions are those of parts
// of the result that follow each other: of the first term, what is null stands
// together, and one condition for both would keep indexes from being used.
func (c *compiler) after(terms []term, cursor *ankql.Cursor) ([]string, bool) {
	var keys []value.Value
	for k, t := range terms {
		v := value.ID(cursor.ID)
		if k < len(cursor.Key) {
			v = cursor.Key[k]
		}
		if t.Path.IsID && !value.Equal(v, value.ID(cursor.ID)) {
			return nil, false // the cursor is of no entity
		}
		if _, ok := encode(v, t.typ); !ok {
			return nil, false
		}
		keys = append(keys, v)
	}
	rest := "FALSE"
	for k := len(terms) - 1; k > 0; k-- {
		rest = "(" + c.beyond(terms[k], keys[k]) + " OR " + c.same(terms[k], keys[k]) + " AND " + rest + ")"
	}
	first, key := terms[0], keys[0]
	null, notNull := c.held(first.operand)+" IS NULL", c.held(first.operand)+" IS NOT NULL"
	switch {
	case key.IsNull() && first.NullsFirst:
		return []string{null + " AND " + rest, notNull}, true
	case key.IsNull():
		return []string{null + " AND " + rest}, true
	}
	from := c.compareKey(first, key, map[bool]string{false: ">=", true: "<="}[first.Desc])
	parts := []string{from + " AND (" + c.compareKey(first, key, map[bool]string{false: ">", true: "<"}[first.Desc]) + " OR " + rest + ")"}
	if !first.NullsFirst && !first.Path.IsID {
		parts = append(parts, null)
	}
	return parts, true
}

// compareKey compares a term with the value that a cursor has for it.
func (c *compiler) compareKey(t term, v value.Value, op string) string {
	arg, _ := encode(v, t.typ)
	typ, _ := sqlType(t.typ)
	sql := t.sql + " " + op + " " + c.arg(arg, typ)
	if t.col != nil && c.c.prefixed(t.col.key) && len(op) == 2 {
		return "(" + prefixOf(t.col) + " " + op + " " + prefixExpr(c.arg(arg, typ), t.typ) + " AND " + sql + ")"
	}
	return "(" + sql + ")"
}

// beyond compiles that a row comes behind the cursor by this term.
func (c *compiler) beyond(t term, v value.Value) string {
	if v.IsNull() {
		if t.NullsFirst {
			return t.sql + " IS NOT NULL"
		}
		return "FALSE"
	}
	sql := c.compareKey(t, v, map[bool]string{false: ">", true: "<"}[t.Desc])
	if !t.NullsFirst && !t.Path.IsID {
		sql = "(" + sql + " OR " + t.sql + " IS NULL)"
	}
	return sql
}

// same compiles that a row does not differ from the cursor in this term.
func (c *compiler) same(t term, v value.Value) string {
	if v.IsNull() {
		return t.sql + " IS NULL"
	}
	return c.compareKey(t, v, "=")
}
