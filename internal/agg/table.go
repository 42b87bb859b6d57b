package agg

import (
	"slices"
	"strings"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/internal/sorting"
	"github.com/ankurah/ankurah-go/value"
)

// Table is the result of an aggregate selection, kept up to date. It does not
// look at the selection's predicate: what is added is what counts.
type Table struct {
	a       *ankql.Aggregation
	columns []column
	items   []int // the column of each item, -1 for COUNT(*)

	groups map[string]*group // by encoded key
	order  sorted[*group]    // those of the result, LIMIT apart, in its order
	dirty  []*group          // that order does not hold, since they have changed
	news   []*group          // that have changed since they were last taken
	shown  []*group          // with LIMIT: those last taken
	based  bool              // it stands upon another node's groups
	key    []value.Value     // of the row at hand
	keyBuf []byte
}

// column is what is kept of the values under one path.
type column struct {
	path     *ankql.Path
	sum      bool // SUM or AVG
	min, max bool
}

// group is the rows that have a key in common.
type group struct {
	id      string
	own     state            // rows that were added here
	base    *state           // what another node says of the group, nil for nothing
	sets    []sorted[member] // the values of each column with MIN or MAX
	now     ankql.Group      // valid while the group is in order or hidden
	visible bool             // it is in order

	taken   *ankql.Group // as last taken, nil: it was not there
	shown   bool         // it is in the result
	encoded []byte       // its state, nil when that was not asked for since it changed
	dirty   bool
	news    bool
}

// member is a value and how many rows have it.
type member struct {
	v value.Value
	n int64
}

// Change is what became of a group: nil is not there.
type Change struct {
	Before, After *ankql.Group
	g             *group
}

// Key returns the values that the group's rows have in common.
func (c *Change) Key() []value.Value { return c.g.now.Key }

// Seen returns the changes that show in the result.
func Seen(changes []Change) []Change {
	return slices.DeleteFunc(slices.Clone(changes), func(c Change) bool {
		return c.Before != nil && c.After != nil && slices.EqualFunc(c.Before.Values, c.After.Values, identical)
	})
}

// Merge returns what two change sets, one after the other, come to.
func (t *Table) Merge(first, then []Change) []Change {
	out := slices.Clone(first)
	at := make(map[string]int, len(out))
	for k := range out {
		at[out[k].g.id] = k
	}
	for _, c := range then {
		if k, there := at[c.g.id]; there {
			out[k].After, out[k].g = c.After, c.g
		} else {
			out = append(out, c)
		}
	}
	out = slices.DeleteFunc(out, func(c Change) bool { return c.Before == nil && c.After == nil })
	t.sort(out)
	return out
}

// sort puts what left first, then the rest, both in the order of the result.
func (t *Table) sort(changes []Change) {
	sorting.Sort(changes, func(a, b Change) int {
		switch {
		case a.After == nil && b.After == nil:
			return t.compareTo(a.g, a.Before, b.g, b.Before)
		case a.After == nil:
			return -1
		case b.After == nil:
			return 1
		}
		return t.compareTo(a.g, a.After, b.g, b.After)
	})
}

// New returns a table without rows.
func New(a *ankql.Aggregation) *Table {
	t := &Table{a: a, groups: map[string]*group{}}
	t.order.compare = func(x, y **group) int { return t.compare(*x, *y) }
	for k := range a.Items {
		t.items = append(t.items, t.column(&a.Items[k]))
	}
	if len(a.Group) == 0 {
		t.touch(t.group(nil))
		t.settle()
	}
	return t
}

// column returns the index of an item's column.
func (t *Table) column(item *ankql.Aggregate) int {
	if item.Path == nil {
		return -1
	}
	k := slices.IndexFunc(t.columns, func(c column) bool { return slices.Equal(c.path.Parts, item.Path.Parts) })
	if k < 0 {
		k = len(t.columns)
		t.columns = append(t.columns, column{path: item.Path})
	}
	c := &t.columns[k]
	switch item.Func {
	case ankql.Sum, ankql.Avg:
		c.sum = true
	case ankql.Min:
		c.min = true
	case ankql.Max:
		c.max = true
	}
	return k
}

// Selection returns what the table is the result of.
func (t *Table) Selection() *ankql.Aggregation { return t.a }

// Add adds a row.
func (t *Table) Add(r ankql.Row) { t.row(r, false, true) }

// Remove takes away a row that was added.
func (t *Table) Remove(r ankql.Row) { t.row(r, true, true) }

// Countable reports whether the number of rows is all that the result says.
func (t *Table) Countable() bool { return len(t.a.Group)+len(t.columns) == 0 }

// Count adds n rows to a result that says no more.
func (t *Table) Count(n int64) {
	g := t.group(nil)
	t.touch(g)
	g.own.rows += n
}

// Update replaces a row by what it is now.
func (t *Table) Update(before, after ankql.Row) {
	if t.same(before, after) {
		return
	}
	t.Remove(before)
	t.Add(after)
}

// Cover puts a row in place of another node's: before, if not nil, is in what
// that node says, after, if not nil, counts instead. The least and the greatest
// values of a group get to know after; before stays among them, since only the
// other node knows what would follow.
func (t *Table) Cover(before, after ankql.Row) {
	if before != nil && after != nil && t.same(before, after) {
		return
	}
	if before != nil {
		t.row(before, true, false)
	}
	if after != nil {
		t.row(after, false, true)
	}
}

// Uncover takes back what Cover did.
func (t *Table) Uncover(before, after ankql.Row) {
	if before != nil && after != nil && t.same(before, after) {
		return
	}
	if before != nil {
		t.row(before, false, false)
	}
	if after != nil {
		t.row(after, true, true)
	}
}

// same reports whether two rows are one to every aggregate.
func (t *Table) same(a, b ankql.Row) bool {
	for _, x := range t.a.Group {
		if !identical(canonical(x, a), canonical(x, b)) {
			return false
		}
	}
	for k := range t.columns {
		if x := t.columns[k].path; !identical(canonical(x, a), canonical(x, b)) {
			return false
		}
	}
	return true
}

// row adds a row or takes it away. members says whether its values may be the
// least and the greatest.
func (t *Table) row(r ankql.Row, away, members bool) {
	t.key = t.key[:0]
	for _, x := range t.a.Group {
		t.key = append(t.key, canonical(x, r))
	}
	g := t.group(t.key)
	t.touch(g)
	one := int64(1)
	if away {
		one = -1
	}
	g.own.rows += one
	for k := range t.columns {
		c := &t.columns[k]
		v := canonical(c.path, r)
		if v.IsNull() {
			continue
		}
		cell := &g.own.cells[k]
		cell.n += one
		if c.sum && v.Kind().Numeric() {
			cell.sum.add(v, away)
		}
		if members && (c.min || c.max) {
			g.member(k, v, one)
		}
	}
}

func (g *group) member(k int, v value.Value, one int64) {
	set := &g.sets[k]
	x := member{v: v}
	if have := set.at(&x); have == nil {
		x.n = one
		set.insert(x)
	} else if have.n += one; have.n == 0 {
		set.remove(&x)
	}
}

// group returns the group of a key, made if there is none.
func (t *Table) group(key []value.Value) *group {
	t.keyBuf = appendKey(t.keyBuf[:0], key)
	if g := t.groups[string(t.keyBuf)]; g != nil {
		return g
	}
	g := &group{id: string(t.keyBuf), now: ankql.Group{Key: slices.Clone(key)}}
	g.own.cells = make([]cell, len(t.columns))
	g.sets = make([]sorted[member], len(t.columns))
	for k := range g.sets {
		g.sets[k].compare = func(a, b *member) int { return compare(a.v, b.v) }
	}
	t.groups[g.id] = g
	return g
}

// compare orders groups as the result does.
func (t *Table) compare(x, y *group) int { return t.compareTo(x, &x.now, y, &y.now) }

// compareTo orders groups by what they are, or were, at some time.
func (t *Table) compareTo(x *group, of *ankql.Group, y *group, to *ankql.Group) int {
	if c := t.a.Compare(of, to); c != 0 {
		return c
	}
	return strings.Compare(x.id, y.id) // lists of no declared type
}

// touch takes a group out of the order before it changes.
func (t *Table) touch(g *group) {
	g.encoded = nil
	if !g.dirty {
		if g.visible {
			t.order.remove(&g)
			g.visible = false
		}
		g.dirty = true
		t.dirty = append(t.dirty, g)
	}
	if !g.news {
		g.news = true
		t.news = append(t.news, g)
	}
}

// settle computes the groups that have changed.
func (t *Table) settle() {
	for _, g := range t.dirty {
		g.dirty = false
		all := t.state(g)
		// What another node does not name is beyond its LIMIT, perhaps.
		unknown := t.based && t.a.Limit >= 0 && g.base == nil
		if len(t.a.Group) > 0 && (all.rows <= 0 || unknown) {
			continue
		}
		g.now.Values = t.values(all)
		t.order.insert(g)
		g.visible = true
	}
	clear(t.dirty)
	t.dirty = t.dirty[:0]
}

// state returns all that is known of a group.
func (t *Table) state(g *group) *state {
	all := &state{cells: make([]cell, len(t.columns))}
	if g.base != nil {
		all.merge(g.base)
	}
	all.merge(&g.own)
	for k := range t.columns {
		if first := g.sets[k].first(); first != nil {
			all.cells[k].extend(first.v)
			all.cells[k].extend(g.sets[k].last().v)
		}
	}
	return all
}

// values computes the aggregates.
func (t *Table) values(s *state) []value.Value {
	out := make([]value.Value, len(t.items))
	for k, at := range t.items {
		if at < 0 {
			out[k] = value.Int64(max(0, s.rows))
			continue
		}
		c := &s.cells[at]
		switch t.a.Items[k].Func {
		case ankql.Count:
			out[k] = value.Int64(max(0, c.n))
		case ankql.Sum:
			out[k] = c.sum.total(t.columns[at].path.Type.Kind == value.KindFloat64)
		case ankql.Avg:
			out[k] = c.sum.mean()
		case ankql.Min:
			out[k] = c.min
		case ankql.Max:
			out[k] = c.max
		}
		if c.n <= 0 && t.a.Items[k].Func != ankql.Count {
			out[k] = value.Null
		}
	}
	return out
}

// Groups returns the result in its order. The slice is the caller's; what is in
// it never changes.
func (t *Table) Groups() []ankql.Group {
	t.settle()
	out := make([]ankql.Group, 0, t.size())
	t.order.each(t.a.Limit, func(g **group) { out = append(out, (*g).now) })
	return out
}

// All returns the result as changes from nothing.
func (t *Table) All() []Change {
	t.settle()
	out := make([]Change, 0, t.size())
	t.order.each(t.a.Limit, func(g **group) {
		now := (*g).now
		out = append(out, Change{After: &now, g: *g})
	})
	return out
}

// size returns the number of groups in the result.
func (t *Table) size() int {
	if t.a.Limit >= 0 {
		return min(t.a.Limit, t.order.n)
	}
	return t.order.n
}

// Take returns the groups that rows or another node's word have concerned since
// the last call, in the order of the result, those that left first. A group may
// be what it was; with LIMIT groups also come and go because of others.
func (t *Table) Take() []Change {
	t.settle()
	if len(t.news) == 0 {
		return nil
	}
	var changes []Change
	for _, g := range t.concerned() {
		c := Change{Before: g.taken, g: g}
		if g.shown {
			now := g.now
			c.After = &now
		}
		if g.taken = c.After; c.Before != nil || c.After != nil {
			changes = append(changes, c)
		}
	}
	for _, g := range t.news {
		g.news = false
		if g.empty() {
			delete(t.groups, g.id)
		}
	}
	clear(t.news)
	t.news = t.news[:0]
	t.sort(changes)
	return changes
}

// concerned returns the groups that Take tells of, and notes which of them the
// result has.
func (t *Table) concerned() []*group {
	if t.a.Limit < 0 {
		for _, g := range t.news {
			g.shown = g.visible
		}
		return t.news
	}
	var out []*group
	was := t.shown
	for _, g := range was {
		g.shown = false
	}
	t.shown = make([]*group, 0, t.size())
	t.order.each(t.a.Limit, func(at **group) {
		g := *at
		g.shown = true
		t.shown = append(t.shown, g)
		if g.taken == nil || g.news {
			out = append(out, g)
		}
	})
	for _, g := range was {
		if !g.shown {
			out = append(out, g)
		}
	}
	return out
}

// empty reports whether nothing is known of a group, so that it can be
// forgotten.
func (g *group) empty() bool {
	return !g.visible && g.base == nil && g.own.empty() &&
		!slices.ContainsFunc(g.sets, func(s sorted[member]) bool { return s.n > 0 })
}

// Based makes the table stand upon another node's groups, of which there are
// none yet.
func (t *Table) Based() { t.based = true }

// Put sets what another node says of a group; nothing is that it has no such
// group. The errors say what is malformed.
func (t *Table) Put(key []value.Value, encoded []byte) error {
	if len(key) != len(t.a.Group) {
		return errKey
	}
	var base *state
	if len(encoded) > 0 {
		var err error
		if base, err = t.decode(encoded); err != nil {
			return err
		}
	}
	key = slices.Clone(key)
	for k, x := range t.a.Group {
		key[k] = as(x.Type.Kind, key[k]) // its types may be declared otherwise there
	}
	g := t.group(key)
	t.touch(g)
	g.base = base
	return nil
}

// Diff returns the difference between what was last taken of an older table,
// of a selection with the same columns, and what was last taken of t.
func (t *Table) Diff(older *Table) []Change {
	var out []Change
	for id, g := range t.groups {
		c := Change{After: g.taken, g: g}
		if was := older.groups[id]; was != nil {
			c.Before = was.taken
		}
		if c.Before != nil || c.After != nil {
			out = append(out, c)
		}
	}
	for id, was := range older.groups {
		if t.groups[id] == nil && was.taken != nil {
			out = append(out, Change{Before: was.taken, g: was})
		}
	}
	t.sort(out)
	return out
}

// Hold returns a copy with the result as it was last taken, to which nothing is
// added.
func (t *Table) Hold() *Table {
	h := &Table{a: t.a, columns: t.columns, items: t.items, groups: map[string]*group{}}
	h.order.compare = func(x, y **group) int { return h.compare(*x, *y) }
	for i, g := range t.groups {
		if g.taken != nil {
			held := &group{id: i, now: *g.taken, taken: g.taken, shown: true, visible: true}
			h.groups[i] = held
			h.order.insert(held)
		}
	}
	return h
}

// Changed reports whether there is something to take.
func (t *Table) Changed() bool { return len(t.news) > 0 }

// Clear forgets what another node said of groups.
func (t *Table) Clear() {
	for _, id := range sorting.Keys(t.groups) {
		if g := t.groups[id]; g.base != nil {
			t.touch(g)
			g.base = nil
		}
	}
}

// Each calls f with the key and the encoded state of each group of the result,
// which f may keep and must not change.
func (t *Table) Each(f func(key []value.Value, encoded []byte)) {
	t.settle()
	t.order.each(t.a.Limit, func(g **group) { f((*g).now.Key, t.encoded(*g)) })
}

// Encoded returns the state of the group that a change is about, nil when it is
// not there any more. It must not be changed.
func (t *Table) Encoded(c *Change) []byte {
	if c.After == nil {
		return nil
	}
	return t.encoded(c.g)
}

func (t *Table) encoded(g *group) []byte {
	if g.encoded == nil {
		g.encoded = t.encode(t.state(g))
	}
	return g.encoded
}
