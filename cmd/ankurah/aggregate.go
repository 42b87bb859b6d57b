package main

import (
	"fmt"
	"strings"

	"github.com/ankurah/ankurah-go"
)

// row is what a query prints: an entity or a group of them.
type row struct {
	values []any // of its columns
	json   any
}

func entityRow(r record, columns []string) row {
	values := make([]any, len(columns))
	for k, key := range columns {
		values[k] = field(r, key)
	}
	return row{values, object{r}}
}

func groupRow(g ankurah.Group) row { return row{g.Values(), groupObject{g}} }

// groupObject is a group as JSON: its columns in their order. The zero group is
// null.
type groupObject struct{ g ankurah.Group }

func (o groupObject) MarshalJSON() ([]byte, error) {
	if o.g.IsZero() {
		return []byte("null"), nil
	}
	b := []byte{'{'}
	values := o.g.Values()
	for n, name := range o.g.Columns() {
		k, err := marshal(name)
		if err != nil {
			return nil, err
		}
		v, err := marshal(jsonable(values[n]))
		if err != nil {
			return nil, err
		}
		if n > 0 {
			b = append(b, ',')
		}
		b = append(append(append(b, k...), ':'), v...)
	}
	return append(b, '}'), nil
}

// kindOf says what happened to a group; first is set for those that were there.
func kindOf(c ankurah.GroupChange, first bool) string {
	switch {
	case first:
		return ankurah.Initial.String()
	case c.Before.IsZero():
		return ankurah.Added.String()
	case c.After.IsZero():
		return ankurah.Removed.String()
	}
	return ankurah.Updated.String()
}

// groupShower returns what shows the changes of a live aggregate, as shower
// does those of a live query.
func (c *watchCommand) groupShower(a *app, q *ankurah.LiveAggregate) func([]ankurah.GroupChange) error {
	first := true // what comes first is what was there
	kind := func(ch ankurah.GroupChange) string { return kindOf(ch, first) }
	switch {
	case a.JSON:
		return func(changes []ankurah.GroupChange) error {
			for _, ch := range changes {
				err := a.printJSON(struct {
					Kind   string      `json:"kind"`
					Before groupObject `json:"before"`
					After  groupObject `json:"after"`
				}{kind(ch), groupObject{ch.Before}, groupObject{ch.After}})
				if err != nil {
					return err
				}
			}
			first = false
			return nil
		}
	case a.outTTY:
		sc := &screen{a: a, title: strings.TrimSpace(c.Collection + " " + c.Query)}
		return func(changes []ankurah.GroupChange) error {
			if !first {
				sc.changes += len(changes)
			}
			first = false
			var rows []row
			for _, g := range q.Rows() {
				rows = append(rows, groupRow(g))
			}
			return sc.draw(rows, q.Columns())
		}
	}
	return func(changes []ankurah.GroupChange) error {
		for _, ch := range changes {
			if _, err := fmt.Fprintln(a.out, describeGroup(kind(ch), ch)); err != nil {
				return err
			}
		}
		first = false
		return nil
	}
}

// describeGroup tells one change in a line: what the group has in common, and
// what has become of the rest.
func describeGroup(kind string, ch ankurah.GroupChange) string {
	now, was := ch.After, ch.Before
	if now.IsZero() {
		now, was = was, now
	}
	parts := []string{fmt.Sprintf("%-7s", kind)}
	before := was.Values()
	for k, v := range now.Values() {
		name, value := now.Columns()[k], quoted(v)
		if !was.IsZero() && quoted(before[k]) != value {
			value = quoted(before[k]) + "→" + value
		}
		parts = append(parts, name+"="+value)
	}
	return plain(strings.Join(parts, " "))
}
