package reactor_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/reactor"
	"github.com/ankurah/ankurah-go/property/lww"
	"github.com/ankurah/ankurah-go/value"
)

func year(n int32) event.Operation { return lww.Set("year", value.Int32(n)) }

// years makes entities with the years from 1 to n and returns them in that
// order.
func (w *world) years(n int) []id.ID {
	var ids []id.ID
	for k := range n {
		ids = append(ids, w.change("album", id.ID{}, year(int32(k+1))).After.ID())
	}
	return ids
}

// said describes change sets: + added, * created, = updated, - removed, and
// the year after or, of what was removed, before. Rows with causes end in !.
func said(changes []reactor.RowChange) string {
	var out string
	for _, c := range changes {
		s := c.After
		mark := "="
		switch {
		case c.Kind == reactor.Removed:
			s, mark = c.Before, "-"
		case c.Created:
			mark = "*"
		case c.Kind == reactor.Added:
			mark = "+"
		}
		out += fmt.Sprint(mark, s.Value("year").Int())
		if len(c.Events) > 0 {
			out += "!"
		}
		out += " "
	}
	return out
}

func windowOf(w *world, text string) *watcher { return watch(w, bind(w.t, nil, text), nil, &stats{}) }

// apply brings the query up to a commit and reads what its window lacks.
func (x *watcher) apply(changes ...reactor.Change) (touched, refilled bool) {
	changes = commit(changes...)
	x.since = append(x.since, changes)
	touched = x.q.Apply(changes)
	return touched, x.refill()
}

// S53: a better row evicts the last, one that leaves is replaced, a changed key
// moves the row; what is behind the window changes nothing that is seen.
func TestWindowMoves(t *testing.T) {
	w := newWorld(t)
	ids := w.years(30)
	x := windowOf(w, "ORDER BY year LIMIT 3")
	for _, step := range []struct {
		what   string
		change reactor.Change
		want   string
	}{
		{"a better row comes", w.change("album", id.ID{}, year(0)), "-3 *0! "},
		{"a row behind the window comes", w.change("album", id.ID{}, year(4)), ""},
		{"a row far behind the window changes", w.change("album", ids[25], year(27)), ""},
		{"the first row goes", w.change("album", ids[0], entity.SetDeleted(true)), "-1! +3 "},
		{"a row moves within the window", w.change("album", ids[1], year(-1)), "=-1! "},
		{"a row moves behind it", w.change("album", ids[1], year(50)), "--1! +4 "},
		{"a row comes from far", w.change("album", ids[1], year(2)), "-4 +2! "},
		{"a row changes in its place", w.change("album", ids[2], lww.Set("name", value.String("x"))), "=3! "},
		{"a row is written and stays equal", w.change("album", ids[2], year(3)), "=3! "},
	} {
		x.apply(step.change)
		changes := x.q.Take()
		if got := said(changes); got != step.want {
			t.Errorf("%s: %q, want %q", step.what, got, step.want)
		}
		if again := x.q.Take(); again != nil {
			t.Errorf("%s: reported twice", step.what)
		}
		x.take(changes)
	}
	x.fresh()
}

// S53: a window of which more rows leave than are kept is short until it is
// refilled, behind the rows that it knows.
func TestWindowRefills(t *testing.T) {
	w := newWorld(t)
	ids := w.years(40)
	x := windowOf(w, "ORDER BY year LIMIT 3")
	var gone []reactor.Change
	for _, i := range ids[1:10] {
		gone = append(gone, w.change("album", i, entity.SetDeleted(true)))
	}
	if x.q.Short() != nil {
		t.Error("a full window is short")
	}
	changes := commit(gone...)
	x.since = append(x.since, changes)
	if !x.q.Apply(changes) {
		t.Error("rows leave and nothing is touched")
	}
	sel := x.q.Short()
	if sel == nil || sel.After == nil || sel.After.ID != ids[10] || sel.Limit <= 0 {
		t.Fatalf("what is to be read: %v", sel)
	}
	if x.q.Selection().After != nil {
		t.Error("the selection of the query itself has changed")
	}
	if !x.refill() || x.refill() {
		t.Error("one refill is not enough")
	}
	if got, want := said(x.q.Take()), "-2! -3! +11 +12 "; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	x.fresh()
	// The rest goes: a refill that finds less than it asked for knows all.
	var rest []reactor.Change
	for _, i := range ids[10:39] {
		rest = append(rest, w.change("album", i, entity.SetDeleted(true)))
	}
	if _, refilled := x.apply(rest...); !refilled {
		t.Error("the rest went without a refill")
	}
	x.q.Take()
	x.fresh()
	if _, refilled := x.apply(w.change("album", ids[0], entity.SetDeleted(true))); refilled {
		t.Error("a window that knows all its rows asks for more")
	}
	x.fresh()
}

// S51: a row that the refill of a window brings in says what caused it and
// whether it was created, also if it was behind the window when it came.
func TestRefilledRowsHaveCauses(t *testing.T) {
	w := newWorld(t)
	ids := w.years(12)
	x := windowOf(w, "ORDER BY year LIMIT 1")
	var changes []reactor.Change
	for _, i := range ids {
		changes = append(changes, w.change("album", i, entity.SetDeleted(true)))
	}
	changes = append(changes, w.change("album", id.ID{}, year(70)))
	if _, refilled := x.apply(changes...); !refilled {
		t.Fatal("the window is not short")
	}
	if got, want := said(x.q.Take()), "-1! *70! "; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// S51: what several commits did to a row is one change with the events of all.
func TestCommitsFoldIntoOneReport(t *testing.T) {
	for _, text := range []string{"year > 0 ORDER BY year LIMIT 5", "year > 0 ORDER BY year"} {
		w := newWorld(t)
		a := w.years(3)
		x := windowOf(w, text)
		first, second := w.change("album", a[0], year(10)), w.change("album", a[0], year(11))
		born := w.change("album", id.ID{}, year(5))
		grown := w.change("album", born.After.ID(), year(6))
		brief := w.change("album", id.ID{}, year(7))
		over := w.change("album", brief.After.ID(), entity.SetDeleted(true))
		x.apply(first, born, brief)
		x.apply(second, grown, over)
		x.apply(w.change("album", a[1], entity.SetDeleted(true)))
		changes := x.q.Take()
		if got, want := said(changes), "-2! *6! =11! "; got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
			continue
		}
		if want := []id.ID{first.Events[0], second.Events[0]}; !slices.Equal(changes[2].Events, want) {
			t.Errorf("%s: caused by %v, want %v", text, changes[2].Events, want)
		}
		x.take(changes)
		x.fresh()
	}
}

// An event of another node may have a smaller ID than one that came before it:
// causes are sorted all the same.
func TestCausesAreSorted(t *testing.T) {
	for _, text := range []string{"LIMIT 5", ""} {
		w := newWorld(t)
		a := w.years(1)[0]
		x := windowOf(w, text)
		late, early := w.change("album", a, year(2)), w.change("album", a, year(3))
		late.Events, early.Events = early.Events, late.Events
		x.apply(late)
		x.apply(early)
		if changes := x.q.Take(); len(changes) != 1 || !slices.IsSortedFunc(changes[0].Events, id.ID.Compare) || len(changes[0].Events) != 2 {
			t.Errorf("%q: %v", text, changes)
		}
	}
}

// A window does not hold on to all that ever came: what is far behind it is
// read again when it is wanted.
func TestWindowStaysSmall(t *testing.T) {
	w := newWorld(t)
	x := windowOf(w, "ORDER BY year LIMIT 1")
	ids := w.years(100)
	for _, i := range ids {
		x.apply(reactor.Change{After: w.states[i]})
	}
	x.q.Take()
	x.fresh()
	refills := 0
	for _, i := range ids[:90] {
		if _, refilled := x.apply(w.change("album", i, entity.SetDeleted(true))); refilled {
			refills++
		}
		x.fresh()
	}
	if refills < 3 {
		t.Errorf("90 rows left after %d refills: the window held them all", refills)
	}
}

// A limit that no memory holds is no limit.
func TestGreatLimits(t *testing.T) {
	for _, limit := range []int{math.MaxInt, math.MaxInt - 1, math.MaxInt / 2, 1 << 30} {
		w := newWorld(t)
		sel := bind(t, nil, "ORDER BY year LIMIT ?", limit)
		x := watch(w, sel, nil, &stats{})
		if h := x.q.Hydrate(); h.Limit < 0 || h.Limit < min(limit, 1<<30) {
			t.Errorf("LIMIT %d reads %d rows", limit, h.Limit)
		}
		for k := range 20 {
			x.apply(w.change("album", id.ID{}, year(int32(k))))
			x.take(x.q.Take())
			x.fresh()
		}
	}
}

// LIMIT 0 shows nothing and asks for nothing.
func TestLimitZero(t *testing.T) {
	w := newWorld(t)
	ids := w.years(20)
	x := windowOf(w, "ORDER BY year LIMIT 0")
	for _, i := range ids {
		if _, refilled := x.apply(w.change("album", i, entity.SetDeleted(true))); refilled {
			t.Fatal("a window without rows asks for some")
		}
		if changes := x.q.Take(); len(changes) > 0 {
			t.Fatalf("changes of nothing: %v", changes)
		}
	}
}

// S54: the difference to another selection, whichever of both has a window; a
// change that was not reported yet is part of it.
func TestReplace(t *testing.T) {
	for _, c := range []struct{ from, to, want string }{
		{"year < 4 ORDER BY year", "year > 2 AND year < 6 ORDER BY year", "-1 -2 +4 +5 "},
		{"year < 4 ORDER BY year", "year < 4 ORDER BY year DESC", ""},
		{"ORDER BY year LIMIT 2", "ORDER BY year LIMIT 4", "+3 +4 "},
		{"ORDER BY year LIMIT 4", "ORDER BY year DESC LIMIT 2", "-1 -2 -3 -4 +20 +19 "},
		{"ORDER BY year LIMIT 2", "year < 3", ""},
		{"year < 3", "ORDER BY year LIMIT 3", "+3 "},
		{"ORDER BY year LIMIT 2", "FALSE", "-1 -2 "},
	} {
		w := newWorld(t)
		w.years(20)
		old, next := windowOf(w, c.from), windowOf(w, c.to)
		if got := said(next.q.Replace(old.q)); got != c.want {
			t.Errorf("%s to %s: %q, want %q", c.from, c.to, got, c.want)
		}
		if changes := next.q.Take(); changes != nil {
			t.Errorf("%s to %s: reported again: %q", c.from, c.to, said(changes))
		}
	}
	w := newWorld(t)
	ids := w.years(20)
	old := windowOf(w, "ORDER BY year LIMIT 2")
	old.apply(w.change("album", ids[0], year(30)), w.change("album", ids[1], lww.Set("name", value.String("x"))))
	next := windowOf(w, "ORDER BY year LIMIT 2")
	if got, want := said(next.q.Replace(old.q)), "-1! =2! +3 "; got != want {
		t.Errorf("with a change that was not reported: %q, want %q", got, want)
	}
}

// A check beside the selection decides on every row, and again on each change.
func TestAllow(t *testing.T) {
	w := newWorld(t)
	ids := w.years(30)
	even := func(s *entity.State) bool { return s.Value("year").Int()%2 == 0 }
	for _, text := range []string{"ORDER BY year", "ORDER BY year LIMIT 2"} {
		x := watch(w, bind(t, nil, text), even, &stats{})
		x.apply(w.change("album", ids[1], year(31)), w.change("album", ids[2], year(-2)))
		if got, want := said(x.q.Take()), "-2! +-2! "; got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
		x.fresh()
		w.change("album", ids[1], year(2))
		w.change("album", ids[2], year(3))
	}
}

// Rows are the caller's: what is done to the slice does not reach the query.
func TestRowsAreTheCallers(t *testing.T) {
	w := newWorld(t)
	w.years(5)
	for _, text := range []string{"ORDER BY year", "ORDER BY year LIMIT 3"} {
		x := windowOf(w, text)
		rows := x.q.Rows()
		clear(rows)
		_ = append(rows[:0], rows[1:]...)
		x.fresh()
	}
}

// S57, S58: a reactor offers a commit to the queries of its collections, and
// to those alone; a query that left hears nothing.
func TestReactor(t *testing.T) {
	w := newWorld(t)
	rx := reactor.New()
	query := func(collection string) *reactor.Query {
		q := reactor.NewQuery(&ankql.Selection{Collection: collection, Limit: -1}, nil)
		rx.Add(q)
		return q
	}
	album, also, artist, none := query("album"), query("album"), query("artist"), query("label")
	var touched []reactor.Subscriber
	apply := func(changes ...reactor.Change) []reactor.Subscriber {
		touched = nil
		rx.Apply(commit(changes...), func(q reactor.Subscriber) { touched = append(touched, q) }, unfailing(t))
		return touched
	}
	one, other := w.change("album", id.ID{}, year(1)), w.change("artist", id.ID{}, year(2))
	if got := apply(one, other, w.change("zebra", id.ID{})); !slices.Equal(got, []reactor.Subscriber{album, also, artist}) {
		t.Errorf("%d queries are touched", len(got))
	}
	if album.Len() != 1 || artist.Len() != 1 || none.Len() != 0 {
		t.Errorf("rows: %d albums, %d artists, %d labels", album.Len(), artist.Len(), none.Len())
	}
	rx.Remove(also)
	rx.Remove(artist)
	rx.Remove(artist)
	rx.Remove(reactor.NewQuery(&ankql.Selection{Collection: "album", Limit: -1}, nil))
	if rx.Stats().Queries != 2 {
		t.Errorf("%d queries are left", rx.Stats().Queries)
	}
	if got := apply(w.change("album", one.After.ID(), year(3)), w.change("artist", other.After.ID(), year(3))); !slices.Equal(got, []reactor.Subscriber{album}) {
		t.Errorf("%d queries are touched after two left", len(got))
	}
	if got := apply(); len(got) > 0 {
		t.Error("an empty commit touches something")
	}
}
