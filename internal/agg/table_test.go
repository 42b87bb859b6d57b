package agg

import (
	"flag"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/ankql/ankqltest"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/value"
)

func bind(t testing.TB, m *schema.Model, text string, args ...any) *ankql.Aggregation {
	t.Helper()
	q, err := ankql.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	a, err := ankql.BindAggregate(q, m, "album", args...)
	if err != nil {
		t.Fatalf("%s %v: %v", text, args, err)
	}
	return a
}

// naive computes an aggregate selection as its documentation says, by sorting
// and with arithmetic of any precision.
func naive(a *ankql.Aggregation, rows []*ankqltest.Row) (out []ankql.Group) {
	var keys [][]value.Value
	var of [][]*ankqltest.Row
	for _, r := range rows {
		var key []value.Value
		for _, x := range a.Group {
			key = append(key, x.Value(r))
		}
		k := slices.IndexFunc(keys, func(have []value.Value) bool { return slices.EqualFunc(have, key, value.Equal) })
		if k < 0 {
			k = len(keys)
			keys, of = append(keys, key), append(of, nil)
		}
		of[k] = append(of[k], r)
	}
	if len(a.Group) == 0 && len(keys) == 0 {
		keys, of = [][]value.Value{nil}, [][]*ankqltest.Row{nil}
	}
	for k, key := range keys {
		g := ankql.Group{Key: key}
		for j := range a.Items {
			g.Values = append(g.Values, naiveItem(&a.Items[j], of[k]))
		}
		out = append(out, g)
	}
	slices.SortFunc(out, func(x, y ankql.Group) int { return a.Compare(&x, &y) })
	if a.Limit >= 0 {
		out = out[:min(len(out), a.Limit)]
	}
	return out
}

func naiveItem(item *ankql.Aggregate, rows []*ankqltest.Row) value.Value {
	if item.Path == nil {
		return value.Int64(int64(len(rows)))
	}
	var vs []value.Value
	for _, r := range rows {
		if v := item.Path.Value(r); !v.IsNull() {
			vs = append(vs, v)
		}
	}
	if item.Func == ankql.Count {
		return value.Int64(int64(len(vs)))
	}
	if item.Func == ankql.Sum || item.Func == ankql.Avg {
		vs = slices.DeleteFunc(vs, func(v value.Value) bool { return !v.Kind().Numeric() })
	}
	if len(vs) == 0 {
		return value.Null
	}
	switch item.Func {
	case ankql.Min:
		return slices.MinFunc(vs, value.Compare)
	case ankql.Max:
		return slices.MaxFunc(vs, value.Compare)
	}
	exact, special, ints := new(big.Rat), 0.0, item.Path.Type.Kind != value.KindFloat64
	for _, v := range vs {
		f := v.Float()
		// In JSON a whole number is an integer, however it is written.
		whole := f == math.Trunc(f) && math.Abs(f) < 1<<63 && item.Path.Type.Kind != value.KindFloat64
		ints = ints && (v.Kind() != value.KindFloat64 || whole)
		if math.IsNaN(f) || math.IsInf(f, 0) {
			special += f
		} else {
			exact.Add(exact, rat(v))
		}
	}
	switch {
	case special != 0:
		return value.Float64(special)
	case item.Func == ankql.Avg:
		return nearest(exact.Quo(exact, new(big.Rat).SetInt64(int64(len(vs)))))
	case !ints:
		return nearest(exact)
	case exact.Num().IsInt64():
		return value.Int64(exact.Num().Int64())
	}
	return value.Null
}

// differ describes where results differ: numbers may be written as others that
// are equal, where a type is not declared.
func differ(got, want []ankql.Group) string {
	if len(got) != len(want) {
		return fmt.Sprintf("%d groups, want %d: %v, want %v", len(got), len(want), got, want)
	}
	for k := range got {
		if !slices.EqualFunc(got[k].Key, want[k].Key, value.Equal) || !slices.EqualFunc(got[k].Values, want[k].Values, value.Equal) {
			return fmt.Sprintf("group %d: %v, want %v", k, got[k], want[k])
		}
	}
	return ""
}

// same describes where results are not bit by bit the same.
func same(got, want []ankql.Group) string {
	if s := differ(got, want); s != "" {
		return s
	}
	for k := range got {
		if !slices.EqualFunc(got[k].Key, want[k].Key, identical) || !slices.EqualFunc(got[k].Values, want[k].Values, identical) {
			return fmt.Sprintf("group %d: %v, want %v, which is written otherwise", k, got[k], want[k])
		}
	}
	return ""
}

// replay keeps a result by what Take tells of it.
type replay map[string]ankql.Group

func (p replay) take(t *testing.T, changes []Change) {
	for k := range changes {
		c := &changes[k]
		id := string(appendKey(nil, c.Key()))
		have, there := p[id]
		switch {
		case there != (c.Before != nil):
			t.Fatalf("%v was there: %t, and is told to have been %v", c.Key(), there, c.Before)
		case there && same([]ankql.Group{*c.Before}, []ankql.Group{have}) != "":
			t.Fatalf("%v was %v, and is told to have been %v", c.Key(), have, c.Before)
		case c.After == nil:
			delete(p, id)
		default:
			p[id] = *c.After
		}
	}
}

func (p replay) sorted(a *ankql.Aggregation) []ankql.Group {
	var out []ankql.Group
	for _, g := range p {
		out = append(out, g)
	}
	slices.SortFunc(out, func(x, y ankql.Group) int { return a.Compare(&x, &y) })
	return out
}

// S52: whatever rows come, change and go, the table is what is computed anew:
// by the oracle up to equality, by another table bit by bit, and what Take
// tells leads there.
func TestTableIsFresh(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	m := ankqltest.Model()
	groups := 0
	for round := range 400 {
		text, args := ankqltest.RandomAggregate(r, m)
		model := m
		if round%4 == 0 {
			model = nil
		}
		a := bind(t, model, text, args...)
		tab, seen := New(a), replay{}
		var held []Change
		var rows []*ankqltest.Row
		for step := range 25 {
			for range r.IntN(4) {
				switch k := r.IntN(len(rows) + 1); {
				case k == len(rows) || len(rows) < 4:
					row := ankqltest.RandomRow(r, m)
					rows = append(rows, row)
					tab.Add(row)
				case r.IntN(2) == 0:
					tab.Remove(rows[k])
					rows = slices.Delete(rows, k, k+1)
				default:
					next := ankqltest.RandomRow(r, m)
					next.EntityID = rows[k].EntityID
					tab.Update(rows[k], next)
					rows[k] = next
				}
			}
			if step == 20 { // all go
				for _, row := range rows {
					tab.Remove(row)
				}
				rows = nil
			}
			got := tab.Groups()
			groups += len(got)
			if s := differ(got, naive(a, rows)); s != "" && !ambiguous(a) {
				t.Fatalf("round %d: %s: %s", round, a, s)
			}
			fresh := New(a)
			for _, k := range r.Perm(len(rows)) {
				fresh.Add(rows[k])
			}
			if s := same(got, fresh.Groups()); s != "" {
				t.Fatalf("round %d: %s: kept by deltas %s", round, a, s)
			}
			if r.IntN(3) > 0 {
				held = tab.Merge(held, tab.Take())
			}
			if r.IntN(3) > 0 && !tab.Changed() {
				seen.take(t, held)
				held = nil
				if s := same(seen.sorted(a), got); s != "" {
					t.Fatalf("round %d: %s: by what was taken %s", round, a, s)
				}
			}
		}
		for _, row := range rows {
			tab.Remove(row)
		}
		tab.Take()
		if len(a.Group) > 0 && len(tab.groups) > 0 {
			t.Fatalf("round %d: %s: %d groups are kept of no rows", round, a, len(tab.groups))
		}
	}
	if groups < 20_000 {
		t.Errorf("only %d groups compared", groups)
	}
}

// ambiguous reports whether the oracle tells lists apart less well than the
// table does: it has values without a declared type.
func ambiguous(a *ankql.Aggregation) bool {
	undeclared := func(x *ankql.Path) bool {
		return x != nil && x.Type.Kind == value.KindNull && strings.Contains("tags charts levels", x.Parts[0])
	}
	return slices.ContainsFunc(a.Group, undeclared) || slices.ContainsFunc(a.Items, func(i ankql.Aggregate) bool { return undeclared(i.Path) })
}

// A group goes over the wire and stands there for the rows; what covers rows
// and is taken back leaves no trace.
func TestTableUponAnother(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	m := ankqltest.Model()
	covered := 0
	for range 300 {
		text, args := ankqltest.RandomAggregate(r, m)
		a := bind(t, m, text, args...)
		server, client := New(a), New(a)
		client.Based()
		var rows []*ankqltest.Row
		put := func() {
			for _, c := range server.Take() {
				if err := client.Put(c.Key(), server.Encoded(&c)); err != nil {
					t.Fatal(err)
				}
			}
		}
		for range 12 {
			for range 3 {
				row := ankqltest.RandomRow(r, m)
				rows = append(rows, row)
				server.Add(row)
			}
			put()
			if s := same(client.Groups(), server.Groups()); s != "" {
				t.Fatalf("%s: over the wire %s", a, s)
			}
			var before, after ankql.Row
			if k := r.IntN(len(rows)); r.IntN(3) > 0 {
				before = rows[k]
				rows = slices.Delete(rows, k, k+1)
			}
			if before == nil || r.IntN(3) > 0 {
				x := ankqltest.RandomRow(r, m)
				after = x
				rows = append(rows, x)
			}
			client.Cover(before, after)
			if !hasExtremes(a) && a.Limit < 0 {
				covered++
				fresh := New(a)
				for _, row := range rows {
					fresh.Add(row)
				}
				if s := same(client.Groups(), fresh.Groups()); s != "" {
					t.Fatalf("%s: with a pending row %s", a, s)
				}
			}
			// The server takes it up; what it says and what is not pending any
			// more come together.
			if before != nil {
				server.Remove(before)
			}
			if after != nil {
				server.Add(after)
			}
			put()
			client.Uncover(before, after)
			if s := same(client.Groups(), server.Groups()); s != "" {
				t.Fatalf("%s: when settled %s", a, s)
			}
			client.Take()
		}
		again := New(a)
		again.Based()
		server.Each(func(key []value.Value, encoded []byte) {
			if err := again.Put(key, encoded); err != nil {
				t.Fatal(err)
			}
		})
		if s := same(again.Groups(), server.Groups()); s != "" {
			t.Fatalf("%s: anew %s", a, s)
		}
		client.Clear()
		client.Take()
		if len(client.groups) > 1 || len(a.Group) > 0 && len(client.groups) > 0 {
			t.Fatalf("%s: %d groups are kept of nothing", a, len(client.groups))
		}
	}
	if covered < 300 {
		t.Errorf("only %d pending rows compared", covered)
	}
}

func hasExtremes(a *ankql.Aggregation) bool {
	return slices.ContainsFunc(a.Items, func(i ankql.Aggregate) bool { return i.Func == ankql.Min || i.Func == ankql.Max })
}

// A table that takes another's place tells the difference.
func TestDiff(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	m := ankqltest.Model()
	for range 300 {
		text, args := ankqltest.RandomAggregate(r, m)
		a := bind(t, m, text, args...)
		tab, seen := New(a), replay{}
		for range 4 {
			for range r.IntN(8) {
				tab.Add(ankqltest.RandomRow(r, m))
			}
			seen.take(t, tab.Take())
			next := New(a)
			for range r.IntN(8) {
				next.Add(ankqltest.RandomRow(r, m))
			}
			next.Take()
			seen.take(t, next.Diff(tab))
			tab = next
			if s := same(seen.sorted(a), tab.Groups()); s != "" {
				t.Fatalf("%s: by what was taken %s", a, s)
			}
		}
	}
}

// MIN and MAX get to know pending rows; what they hide stays until the server
// says what follows.
func TestPendingExtremes(t *testing.T) {
	a := bind(t, ankqltest.Model(), "SELECT MIN(year), MAX(year)")
	year := func(n int32) *ankqltest.Row {
		return &ankqltest.Row{Values: map[string]value.Value{"year": value.Int32(n)}}
	}
	server, client := New(a), New(a)
	client.Based()
	server.Add(year(5))
	server.Add(year(7))
	server.Each(func(key []value.Value, b []byte) { _ = client.Put(key, b) })
	said := func() string {
		v := client.Groups()[0].Values
		return fmt.Sprint(v[0].Int(), " ", v[1].Int())
	}
	for _, c := range []struct {
		before, after ankql.Row
		want          string
	}{
		{nil, year(9), "5 9"}, {nil, year(6), "5 7"}, {year(7), year(8), "5 8"}, {year(7), year(6), "5 7"}, {year(5), nil, "5 7"},
	} {
		client.Cover(c.before, c.after)
		if got := said(); got != c.want {
			t.Errorf("%v in place of %v: %s, want %s", c.after, c.before, got, c.want)
		}
		client.Uncover(c.before, c.after)
		if got := said(); got != "5 7" {
			t.Errorf("taken back: %s", got)
		}
	}
}

// With LIMIT, what another node does not name may be beyond its window: pending
// rows do not bring it in, and are no result of their own.
func TestPendingBeyondTheWindow(t *testing.T) {
	a := bind(t, ankqltest.Model(), "SELECT COUNT(*) GROUP BY year ORDER BY COUNT(*) DESC LIMIT 1")
	year := func(n int32) *ankqltest.Row {
		return &ankqltest.Row{Values: map[string]value.Value{"year": value.Int32(n)}}
	}
	server, client := New(a), New(a)
	client.Based()
	for _, n := range []int32{5, 5, 5, 6, 6} {
		server.Add(year(n))
	}
	server.Each(func(key []value.Value, b []byte) { _ = client.Put(key, b) })
	for range 4 {
		client.Cover(nil, year(6))
	}
	client.Cover(year(5), year(7))
	if got := client.Groups(); len(got) != 1 || got[0].Key[0].Int() != 5 || got[0].Values[0].Int() != 2 {
		t.Errorf("%v", got)
	}
}

// FuzzPut: no bytes of another node panic, and what is taken comes out as it
// went in.
func FuzzPut(f *testing.F) {
	a := bind(f, ankqltest.Model(), "SELECT COUNT(*), SUM(rating), AVG(plays), MIN(name), MAX(extra.n)")
	tab := New(a)
	r := rand.New(rand.NewPCG(1, 1))
	for range 50 {
		tab.Add(ankqltest.RandomRow(r, ankqltest.Model()))
		tab.Each(func(_ []value.Value, b []byte) { f.Add(b) })
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		x := New(a)
		x.Based()
		if x.Put(nil, b) != nil || len(b) == 0 {
			return
		}
		x.Groups()
		x.Each(func(_ []value.Value, again []byte) {
			y := New(a)
			y.Based()
			if err := y.Put(nil, again); err != nil {
				t.Fatal(err)
			}
			if s := same(y.Groups(), x.Groups()); s != "" {
				t.Fatal(s)
			}
		})
	})
}

func BenchmarkAdd(b *testing.B) {
	m := ankqltest.Model()
	r := rand.New(rand.NewPCG(1, 1))
	rows := make([]*ankqltest.Row, 1000)
	for k := range rows {
		rows[k] = ankqltest.RandomRow(r, m)
	}
	tab := New(bind(b, m, "SELECT COUNT(*), SUM(rating), SUM(year) GROUP BY artist"))
	b.ReportAllocs()
	for k := 0; b.Loop(); k++ {
		tab.Add(rows[k%len(rows)])
	}
}

func BenchmarkUpdate(b *testing.B) {
	m := ankqltest.Model()
	r := rand.New(rand.NewPCG(1, 1))
	rows := make([]*ankqltest.Row, 1000)
	tab := New(bind(b, m, "SELECT COUNT(*), SUM(rating), MAX(year) GROUP BY artist"))
	for k := range rows {
		rows[k] = ankqltest.RandomRow(r, m)
		tab.Add(rows[k])
	}
	tab.Take()
	b.ReportAllocs()
	for k := 0; b.Loop(); k++ {
		tab.Update(rows[k%1000], rows[(k+1)%1000])
		tab.Take()
	}
}

var update = flag.Bool("update", false, "write the golden file anew")

// S39: the form of a group's state is pinned.
func TestGolden(t *testing.T) {
	a := bind(t, ankqltest.Model(), "SELECT COUNT(*), SUM(rating), AVG(plays), MIN(name), MAX(year), COUNT(label), SUM(extra.n) GROUP BY genre")
	tab := New(a)
	for k, r := range []map[string]value.Value{
		{"genre": value.String("floats"), "rating": value.Float64(0.5)},
		{"genre": value.String("floats"), "rating": value.Float64(-3)},
		{"genre": value.String("floats"), "rating": value.Float64(math.SmallestNonzeroFloat64)},
		{"genre": value.String("special"), "rating": value.Float64(math.NaN())},
		{"genre": value.String("special"), "rating": value.Float64(math.Inf(1))},
		{"genre": value.String("special"), "rating": value.Float64(math.Inf(-1))},
		{"genre": value.String("ints"), "plays": value.Int64(math.MinInt64), "year": value.Int32(1999), "name": value.String("b")},
		{"genre": value.String("ints"), "plays": value.Int64(-2), "year": value.Int32(2001), "name": value.String("a"), "label": value.String("x")},
		{"genre": value.String("none")},
	} {
		tab.Add(&ankqltest.Row{EntityID: ankqltest.RandomID(rand.New(rand.NewPCG(uint64(k), 1)), 100), Values: r})
	}
	var b strings.Builder
	tab.Each(func(key []value.Value, state []byte) { fmt.Fprintf(&b, "%s %x\n", key[0].Text(), state) })
	const name = "testdata/state.golden"
	if *update {
		if err := os.WriteFile(name, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("the form of groups has changed:\n%s", b.String())
	}
}
