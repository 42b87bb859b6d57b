package reactor_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/ankql/ankqltest"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/reactor"
	"github.com/ankurah/ankurah-go/property/lww"
	"github.com/ankurah/ankurah-go/value"
)

func quiet(reactor.Subscriber) {}

// S58: a commit is offered to the queries that its values concern and to no
// other, whatever the predicate's shape.
func TestCostFollowsMatches(t *testing.T) {
	for _, c := range []struct {
		shape string // of query k
		arg   func(k int) any
		hit   func(k int) []event.Operation // makes an entity that few match
	}{
		{"year = ?", func(k int) any { return k }, year1},
		{"? = year", func(k int) any { return k }, year1},
		{"year = ? AND published", func(k int) any { return k }, year1},
		{"published AND year > 0 AND year = ?", func(k int) any { return k }, year1},
		{"NOT (year <> ?)", func(k int) any { return k }, year1},
		{"NOT (year <> ? OR name = 'x')", func(k int) any { return k }, year1},
		{"year IN (?, -1, -2)", func(k int) any { return k }, year1},
		{"year BETWEEN ? AND 0 + ?", func(k int) any { return k }, year1},
		{"year = ? OR name = 'nobody'", func(k int) any { return k }, year1},
		{"(year = ? AND published) OR (name = 'nobody' AND rating > 3)", func(k int) any { return k }, year1},
		{"name LIKE ?", func(k int) any { return fmt.Sprintf("%05d%%", k) }, named},
		{"name LIKE ? AND NOT published", func(k int) any { return fmt.Sprintf("%05d_b", k) }, named},
		{"tags CONTAINS ?", func(k int) any { return fmt.Sprint("t", k) }, tagged},
		{"extra.n = ?", func(k int) any { return k }, extra},
		{"extra.list CONTAINS ?", func(k int) any { return k }, extra},
	} {
		const n = 2000
		m := ankqltest.Model()
		rx := reactor.New()
		for k := range n {
			args := []any{c.arg(k)}
			if c.shape == "year BETWEEN ? AND 0 + ?" {
				args = append(args, k)
			}
			sel := bind(t, m, c.shape, args...)
			rx.Add(reactor.NewQuery(sel, nil))
			rx.Add(counting(sel, nil))
		}
		w := newWorld(t)
		born := w.change("album", id.ID{}, c.hit(700)...)
		touched := 0
		count := func(reactor.Subscriber) { touched++ }
		rx.Apply(commit(born), count, unfailing(t))
		if got := rx.Stats(); got.Residual > 0 || got.Offered != 2 || touched > 2 {
			t.Errorf("%s: %d of %d queries and as many aggregates touched, %d changes offered, %d residual", c.shape, touched, n, got.Offered, got.Residual)
		}
	}
}

// counting returns a live COUNT(*) of what a selection selects.
func counting(sel *ankql.Selection, allow func(*entity.State) bool) *reactor.Aggregate {
	return reactor.NewAggregate(&ankql.Aggregation{Rows: sel, Items: []ankql.Aggregate{{Func: ankql.Count}}, Limit: -1}, allow)
}

func year1(k int) []event.Operation {
	return []event.Operation{lww.Set("year", value.Int32(int32(k)))}
}
func named(k int) []event.Operation {
	return []event.Operation{lww.Set("name", value.String(fmt.Sprintf("%05dab", k)))}
}
func tagged(k int) []event.Operation {
	tags := []value.Value{value.String(fmt.Sprint("t", k)), value.String("other")}
	return []event.Operation{lww.Set("tags", value.List(value.KindString, tags))}
}
func extra(k int) []event.Operation {
	v, err := value.ParseJSON(fmt.Sprintf(`{"n": %d, "list": ["x", %d]}`, k, k))
	if err != nil {
		panic(err)
	}
	return []event.Operation{lww.Set("extra", v)}
}

// S57: inside JSON CONTAINS is about the elements of an array or the parts of a
// text, whichever is there.
func TestTextThatContains(t *testing.T) {
	rx := reactor.New()
	q := reactor.NewQuery(bind(t, ankqltest.Model(), "extra.s CONTAINS 'bc'"), nil)
	rx.Add(q)
	w := newWorld(t)
	for _, text := range []string{`"abcd"`, `["bc"]`, `"xyz"`, `["abcd"]`, `7`} {
		v, err := value.ParseJSON(`{"s": ` + text + `}`)
		if err != nil {
			t.Fatal(err)
		}
		rx.Apply(commit(w.change("album", id.ID{}, lww.Set("extra", v))), quiet, unfailing(t))
	}
	if q.Len() != 2 || rx.Stats().Residual != 0 {
		t.Errorf("%d rows, %+v", q.Len(), rx.Stats())
	}
}

// The more selective of two equalities is the one that fewer queries ask for.
func TestMostSelectiveConjunct(t *testing.T) {
	rx := reactor.New()
	for k := range 1000 {
		rx.Add(reactor.NewQuery(bind(t, nil, "kind = 'song' AND year = ?", k), nil))
	}
	w := newWorld(t)
	rx.Apply(commit(w.change("album", id.ID{}, lww.Set("kind", value.String("song")), year(5))), quiet, unfailing(t))
	if n := rx.Stats().Offered; n > 3 {
		t.Errorf("%d of 1000 queries are offered what one matches", n)
	}
}

// S57: what cannot be routed still works, and is counted.
func TestResidual(t *testing.T) {
	rx := reactor.New()
	for _, text := range []string{"", "name ILIKE 'a%'", "year % 2 = 0", "year = plays", "name = 'x' OR name LIKE '%x'", "NOT (name = 'x')"} {
		q, err := ankql.Parse(text)
		if err != nil {
			continue // not of the language
		}
		sel, err := ankql.Bind(q, nil, "album")
		if err != nil {
			t.Fatal(err)
		}
		rx.Add(reactor.NewQuery(sel, nil))
	}
	if s := rx.Stats(); s.Residual == 0 || s.Residual > s.Queries {
		t.Errorf("%+v", s)
	}
}

// A query or an aggregate that cannot be evaluated ends, and harms no other.
func TestQuarantine(t *testing.T) {
	rx := reactor.New()
	no := func(*entity.State) bool { panic("no") }
	bad, worse := reactor.NewQuery(bind(t, nil, "year > 0"), no), counting(bind(t, nil, "year > 0"), no)
	rx.Add(worse)
	good := reactor.NewQuery(bind(t, nil, "year > 0"), nil)
	rx.Add(bad)
	rx.Add(good)
	w := newWorld(t)
	var failed []reactor.Subscriber
	for range 2 {
		rx.Apply(commit(w.change("album", id.ID{}, year(1))), quiet, func(q reactor.Subscriber, err error) {
			failed = append(failed, q)
			if err.Error() != "ankurah: the live query has ended: its evaluation panicked: no" {
				t.Error(err)
			}
		})
	}
	if len(failed) != 2 || !slices.Contains(failed, reactor.Subscriber(bad)) || !slices.Contains(failed, reactor.Subscriber(worse)) || good.Len() != 2 || rx.Stats().Queries != 1 {
		t.Errorf("%d queries failed, %d are left, the other has %d rows", len(failed), rx.Stats().Queries, good.Len())
	}
}
