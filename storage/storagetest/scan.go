package storagetest

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/ankql/ankqltest"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/value"
)

// Expect returns what a scan has to return (S48): the existing states that
// match, in order, behind the cursor, up to the limit.
func Expect(sel *ankql.Selection, states []*entity.State) []*entity.State {
	var out []*entity.State
	for _, s := range states {
		if s.Exists() && sel.Match(s) && (sel.After == nil || sel.CompareCursor(s, sel.After) > 0) {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b *entity.State) int { return sel.Compare(a, b) })
	if sel.Limit >= 0 && len(out) > sel.Limit {
		out = out[:sel.Limit]
	}
	return out
}

// data is a collection under test, as it should be.
type data struct {
	w      *Writer
	model  *schema.Model
	engine storage.Engine
	states map[id.ID]*entity.State
	long   bool            // texts share a beginning that is longer than index keys
	sorted []*entity.State // what states holds, nil when it has to be sorted again
}

func newData(t *testing.T, e storage.Engine, seed uint64) *data {
	d := &data{w: NewWriter(t, seed), engine: e, states: map[id.ID]*entity.State{}}
	d.model = randomModel(d.w.Rand, fmt.Sprintf("album_%d", seed))
	d.long = d.w.Rand.IntN(8) == 0
	return d
}

// random returns a value of a property.
func (d *data) random(p schema.Property) value.Value {
	v := ankqltest.RandomValue(d.w.Rand, p)
	if d.long && v.Kind() == value.KindString && d.w.Rand.IntN(2) == 0 {
		v = value.String(strings.Repeat("x", 200+50*d.w.Rand.IntN(3)) + v.Text())
	}
	return v
}

// list returns the states by ID.
func (d *data) list() []*entity.State {
	if d.sorted == nil {
		d.sorted = slices.SortedFunc(maps.Values(d.states), func(a, b *entity.State) int { return a.ID().Compare(b.ID()) })
	}
	return d.sorted
}

// randomOps returns operations that set random properties: all of them for a
// new entity, with some left out.
func (d *data) randomOps(all bool) []event.Operation {
	var ops []event.Operation
	for _, p := range d.model.Properties {
		if all && d.w.Rand.IntN(8) > 0 || !all && d.w.Rand.IntN(6) == 0 {
			ops = append(ops, Set(p.Key, d.random(p)))
		}
	}
	return ops
}

// fill adds n entities.
func (d *data) fill(t *testing.T, n int) {
	t.Helper()
	var writes []storage.EntityWrite
	for range n {
		writes = append(writes, d.w.Create(d.model.Collection, d.randomOps(true)...))
	}
	d.commit(t, writes)
}

// shake edits, deletes, restores and creates some entities.
func (d *data) shake(t *testing.T) {
	t.Helper()
	var writes []storage.EntityWrite
	for _, s := range d.list() {
		switch d.w.Rand.IntN(6) {
		case 0, 1:
			writes = append(writes, d.w.Edit(s, d.randomOps(false)...))
		case 2:
			writes = append(writes, d.w.Edit(s, entity.SetDeleted(s.Exists())))
		}
	}
	for range d.w.Rand.IntN(4) {
		writes = append(writes, d.w.Create(d.model.Collection, d.randomOps(true)...))
	}
	d.commit(t, writes)
}

func (d *data) commit(t *testing.T, writes []storage.EntityWrite) {
	t.Helper()
	mustCommit(t, d.engine, d.w.Tx(writes...))
	for _, w := range writes {
		d.states[w.After.ID()] = w.After
	}
	d.sorted = nil
}

// index adds random indexes.
func (d *data) index(t *testing.T, n int) {
	t.Helper()
	indexer, ok := d.engine.(storage.Indexer)
	if !ok {
		return
	}
	for range n {
		if err := indexer.EnsureIndex(t.Context(), d.model.Collection, randomIndex(d.w.Rand, d.model)); err != nil {
			t.Fatal(err)
		}
	}
}

var jsonPaths = [][]string{{"n"}, {"s"}, {"b"}, {"z"}, {"list"}, {"a.b"}, {"deep", "n"}, nil}

func randomIndex(r *rand.Rand, m *schema.Model) schema.Index {
	var x schema.Index
	for range 1 + r.IntN(3) {
		p := m.Properties[r.IntN(len(m.Properties))]
		c := schema.Column{Path: []string{p.Key}, Desc: r.IntN(3) == 0}
		if p.Type.Kind == value.KindJSON {
			c.Path = append(c.Path, jsonPaths[r.IntN(len(jsonPaths))]...)
		}
		x.Columns = append(x.Columns, c)
	}
	return x
}

// randomModel returns a model of a few of the properties of ankqltest's, so
// that predicates, orders and indexes meet; sometimes of all.
func randomModel(r *rand.Rand, collection string) *schema.Model {
	all := ankqltest.Model()
	if r.IntN(20) == 0 {
		return schema.NewModel(all.Name, collection, all.Properties)
	}
	var props []schema.Property
	for _, k := range r.Perm(len(all.Properties))[:2+r.IntN(4)] {
		props = append(props, all.Properties[k])
	}
	for _, key := range []string{"genre", "extra"} { // one with a default, one with paths
		if r.IntN(3) == 0 && !slices.ContainsFunc(props, func(p schema.Property) bool { return p.Key == key }) {
			props = append(props, *all.Property(key))
		}
	}
	for k := range props { // what is missing may read as something
		if p := &props[k]; r.IntN(6) == 0 {
			p.Default = ankqltest.RandomValue(r, *p)
		}
	}
	return schema.NewModel(all.Name, collection, props)
}

// query is a selection and where it comes from.
type query struct {
	sel  *ankql.Selection
	text string
	args []any
}

func (q query) String() string {
	s := fmt.Sprintf("%s %v", q.text, q.args)
	if q.sel.After != nil {
		s += " after " + q.sel.After.String()
	}
	return s
}

// randomQuery returns a query, half of them such that indexes can serve them,
// some behind the cursor of an entity that is there or was there.
func (d *data) randomQuery(t *testing.T) query {
	t.Helper()
	q := query{}
	if d.w.Rand.IntN(2) == 0 {
		q.text, q.args = ankqltest.RandomQuery(d.w.Rand, d.model)
	} else {
		q.text, q.args = d.plannable()
	}
	parsed, err := ankql.Parse(q.text)
	if err != nil {
		t.Fatalf("%s: %v", q.text, err)
	}
	if q.sel, err = ankql.Bind(parsed, d.model, d.model.Collection, q.args...); err != nil {
		t.Fatalf("%s %v: %v", q.text, q.args, err)
	}
	if states := d.list(); len(states) > 0 && d.w.Rand.IntN(4) == 0 {
		s := *q.sel
		s.After = s.CursorOf(states[d.w.Rand.IntN(len(states))])
		if d.w.Rand.IntN(4) == 0 { // of an entity that is not there
			s.After.ID = ankqltest.RandomID(d.w.Rand, 1<<20)
			if k := d.w.Rand.IntN(len(s.After.Key) + 1); k < len(s.After.Key) {
				s.After.Key[k] = value.Null
			}
		}
		q.sel = &s
	}
	return q
}

// plannable returns a query made of what plans are made of: equalities and
// ranges over few properties, their alternatives, and an order.
func (d *data) plannable() (string, []any) {
	r := d.w.Rand
	var b strings.Builder
	var args []any
	// Few properties, those of an index mostly.
	var props []schema.Property
	if indexer, ok := d.engine.(storage.Indexer); ok && r.IntN(5) > 0 {
		if xs := indexer.Indexes(d.model.Collection); len(xs) > 0 {
			for _, c := range xs[r.IntN(len(xs))].Columns {
				props = append(props, *d.model.Property(c.Path[0]))
			}
		}
	}
	if len(props) == 0 || r.IntN(3) == 0 {
		props = append(props, d.model.Properties[r.IntN(len(d.model.Properties))])
	}
	operand := func(p schema.Property) {
		b.WriteString("?")
		if states := d.list(); len(states) > 0 && r.IntN(3) > 0 { // a value that occurs
			if v := states[r.IntN(len(states))].Value(p.Key); v.Kind() != value.KindJSON && !v.IsNull() {
				args = append(args, v)
				return
			}
		}
		if p.Type.Kind == value.KindJSON {
			args = append(args, []any{int64(9), 2.5, "a", "9", true, "ab"}[r.IntN(6)])
			return
		}
		p.Optional = false
		args = append(args, d.random(p))
	}
	comparison := func() {
		if states := d.list(); len(states) > 0 && r.IntN(8) == 0 {
			b.WriteString("id " + []string{"=", "<", ">", "<=", ">=", "!="}[r.IntN(6)] + " ?")
			args = append(args, states[r.IntN(len(states))].ID())
			return
		}
		p := props[r.IntN(len(props))]
		path := ankqltest.Quote(p.Key)
		if p.Type.Kind == value.KindJSON {
			for _, key := range jsonPaths[r.IntN(len(jsonPaths)-1)] {
				path += "." + ankqltest.Quote(key)
			}
		}
		if r.IntN(10) == 0 {
			b.WriteString("NOT ")
		}
		b.WriteString(path)
		if p.Type.Kind == value.KindList {
			b.WriteString(" = ")
			operand(p)
			return
		}
		switch r.IntN(9) {
		case 0:
			b.WriteString([]string{" IS NULL", " IS NOT NULL"}[r.IntN(2)])
		case 1:
			b.WriteString([]string{" BETWEEN ", " NOT BETWEEN "}[r.IntN(2)])
			operand(p)
			b.WriteString(" AND ")
			operand(p)
		case 2, 3:
			b.WriteString(" IN (")
			for k := range 1 + r.IntN(4) {
				if k > 0 {
					b.WriteString(", ")
				}
				operand(p)
			}
			b.WriteString(")")
		case 4:
			if p.Type.Kind == value.KindString || p.Type.Kind == value.KindJSON {
				b.WriteString(" LIKE " + []string{"'a%'", "'ab'", "'%'", "'a_%'", `'\%%'`}[r.IntN(5)])
				return
			}
			fallthrough
		default:
			b.WriteString([]string{" = ", " = ", " = ", " < ", " <= ", " > ", " >= "}[r.IntN(7)])
			operand(p)
		}
	}
	group := func(op string, n int, each func()) {
		for k := range n {
			if k > 0 {
				b.WriteString(op)
			}
			each()
		}
	}
	group(" AND ", 1+r.IntN(3), func() {
		if r.IntN(5) > 0 {
			comparison()
			return
		}
		b.WriteString([]string{"(", "NOT ("}[r.IntN(5)/4])
		group([]string{" OR ", " AND "}[r.IntN(5)/4], 2+r.IntN(2), comparison)
		b.WriteString(")")
	})
	sep := " ORDER BY "
	for range r.IntN(3) {
		p := props[r.IntN(len(props))]
		if p.Type.Kind == value.KindList {
			continue
		}
		b.WriteString(sep)
		sep = ", "
		if r.IntN(10) == 0 {
			b.WriteString("id")
		} else {
			b.WriteString(ankqltest.Quote(p.Key))
			if p.Type.Kind == value.KindJSON {
				b.WriteString(".n")
			}
		}
		b.WriteString([]string{"", " DESC", " NULLS FIRST", " DESC NULLS LAST"}[r.IntN(20)%7%4])
	}
	if r.IntN(2) == 0 {
		b.WriteString(" LIMIT " + fmt.Sprint(r.IntN(8)))
	}
	return b.String(), args
}

// check compares what a snapshot answers with what it has to.
func (d *data) check(t *testing.T, snap storage.Snapshot, q query, states []*entity.State) {
	t.Helper()
	want := Expect(q.sel, states)
	got, err := collect(snap.Scan(t.Context(), q.sel))
	if err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	if !slices.EqualFunc(got, want, sameState) {
		explain, _ := snap.Explain(context.Background(), q.sel)
		t.Fatalf("%s\n%s\ngot  %s\nwant %s\nof %d entities", q, explain, ids(got), ids(want), len(states))
	}
	n, err := snap.Count(t.Context(), q.sel)
	if err != nil || n != int64(len(want)) {
		explain, _ := snap.Explain(context.Background(), q.sel)
		t.Fatalf("%s\n%s\ncounted %d, %v, want %d", q, explain, n, err, len(want))
	}
}

func ids(states []*entity.State) string {
	var b strings.Builder
	for _, s := range states {
		b.WriteString(" " + s.ID().String()[8:])
	}
	return b.String()
}

// scans compares answers to generated queries on generated data with those of
// the evaluator, pairs times.
func (s *suite) scans(t *testing.T) {
	const perData = 32
	rounds := s.Pairs / perData
	e := s.open(t)
	for seed := range rounds {
		d := newData(t, e, uint64(seed))
		size := d.w.Rand.IntN(30)
		if d.w.Rand.IntN(5) == 0 {
			size *= 2
		}
		if d.w.Rand.IntN(2) == 0 { // built over what is there, or kept up from the start
			d.fill(t, size)
			d.index(t, d.w.Rand.IntN(5))
		} else {
			d.index(t, d.w.Rand.IntN(5))
			d.fill(t, size)
		}
		for k := range perData {
			if k == perData/2 {
				d.shake(t)
			}
			snap := mustSnapshot(t, e)
			d.check(t, snap, d.randomQuery(t), d.list())
			mustClose(t, snap)
		}
	}
	t.Log(rounds*perData, "queries")
}
