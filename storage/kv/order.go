package kv

import (
	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/internal/keyset"
)

// order says how an access gives the order of a selection.
type order struct {
	reverse bool // ranges are read backwards
	// columns are those that the selection orders by, terms the ORDER BY term
	// of each. Columns between them hold one value in all entities that match.
	columns, terms []int
	// trailing says that more columns follow, so that entities of equal sort
	// keys do not come by ID.
	trailing bool
	// gather says that the order is by ID and the access gives another: all
	// IDs are collected and sorted before the first entity is read.
	gather bool
}

// order returns how an index access gives the selection's order, nil when it
// does not.
func (p *planner) order(a *access) *order {
	terms := p.terms
	o := &order{}
	streams := 1
	for k := range a.index.columns {
		c := &a.index.columns[k]
		s := p.set(c.path)
		if s.Constant() != nil {
			continue
		}
		if n := len(o.columns); n < len(terms) && serves(c, s, &p.sel.Order[terms[n]]) {
			reverse := p.sel.Order[terms[n]].Desc != c.desc
			if n > 0 && reverse != o.reverse {
				return nil
			}
			o.reverse = reverse
			o.columns = append(o.columns, k)
			o.terms = append(o.terms, terms[n])
			continue
		}
		if len(o.columns) == 0 && k < a.equal {
			streams *= s.Points()
			continue
		}
		o.trailing = true
		break
	}
	switch {
	case len(o.columns) < len(terms):
		return nil
	case len(terms) == 0 && (o.trailing || streams > maxStreams):
		return &order{gather: true}
	case len(terms) == 0:
		o.reverse = p.idDesc
	case streams > maxStreams:
		return nil
	}
	return o
}

// serves reports whether entries are, by column c whose values are in s, in
// the order of term t or in the opposite one.
func serves(c *indexColumn, s keyset.Set, t *ankql.OrderTerm) bool {
	if !keyset.SamePath(c.path, t.Path) {
		return false
	}
	// Nulls are at the end of an ascending column, and stand for the default.
	return !s.Contains(keyset.NullKey) || t.NullsFirst == t.Desc && t.Path.Default.IsNull()
}

// prefix returns how many leading columns hold one value in each stream of
// entries that are in order.
func (o *order) prefix(a *access) int {
	if len(o.columns) > 0 {
		return o.columns[0]
	}
	return len(a.sets)
}

// natural reports whether entries of equal sort keys come in the order of
// their IDs that is asked for.
func (p *planner) natural(o *order) bool { return !o.trailing && o.reverse == p.idDesc }
