package ankurah_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/signal"
)

// S54: a changed selection yields one change set of the difference.
func TestSetSelection(t *testing.T) {
	s, ctx := memorySession(t), t.Context()
	for k, name := range []string{"a", "b", "c", "d"} {
		create(t, s, ankurah.Fields{"name": name, "year": k})
	}
	q, err := albums.Query(ctx, s, "year < 2 ORDER BY name")
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	sets := make(chan ankurah.ChangeSet[ankurah.Record], 10)
	q.OnChange(func(cs ankurah.ChangeSet[ankurah.Record]) { sets <- cs })
	<-sets
	if err := q.SetSelection(ctx, "year >= ? ORDER BY name DESC LIMIT 2", 1); err != nil {
		t.Fatal(err)
	}
	if got := names(q.Rows()); !slices.Equal(got, []string{"d", "c"}) {
		t.Fatalf("rows %v", got)
	}
	var removed, added []string
	cs := <-sets
	for c := range cs.Removed() {
		removed = append(removed, names([]ankurah.Record{c.Before})...)
	}
	for c := range cs.Added() {
		added = append(added, names([]ankurah.Record{c.After})...)
	}
	slices.Sort(removed)
	if !slices.Equal(removed, []string{"a", "b"}) || !slices.Equal(added, []string{"d", "c"}) {
		t.Fatalf("removed %v, added %v", removed, added)
	}
	next, err := albums.Fetch(ctx, s, "year >= ? ORDER BY name DESC LIMIT 2 AFTER ?", 1, q.Cursor(q.Rows()[1]))
	if err != nil || !slices.Equal(names(next), []string{"b"}) {
		t.Fatalf("next page %v, %v", names(next), err)
	}
	if err := q.SetSelection(ctx, "year >= "); err == nil {
		t.Fatal("a broken selection was taken")
	}
}

// S55, S22: a blocked callback delays nobody else; what it missed comes merged,
// whole commits at a time, and leads to the same rows. S56: after Close no
// callback starts and Done waits for the one that runs.
func TestSlowAndPanickingCallbacks(t *testing.T) {
	s, ctx := memorySession(t), t.Context()
	open := func() *ankurah.LiveQuery[ankurah.Record] {
		q, err := albums.Query(ctx, s, "")
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	slow, quick, wild := open(), open(), open()
	release := make(chan struct{})
	started := make(chan struct{}, 1)
	folded := map[ankurah.ID]bool{}
	calls := 0
	slow.OnChange(func(cs ankurah.ChangeSet[ankurah.Record]) {
		calls++
		select {
		case started <- struct{}{}:
		default:
		}
		<-release
		for _, c := range cs.Changes {
			folded[c.ID()] = c.Kind != ankurah.Removed
		}
	})
	wild.OnChange(func(ankurah.ChangeSet[ankurah.Record]) { panic("a user's bug") })
	seen := make(chan int, 1000)
	n := 0
	quick.OnChange(func(cs ankurah.ChangeSet[ankurah.Record]) { n += len(cs.Changes); seen <- n })
	const commits = 500
	for k := range commits {
		create(t, s, ankurah.Fields{"name": "x", "year": k})
	}
	for got := range seen {
		if got == commits {
			break
		}
	}
	<-started
	close(release)
	last := make(chan struct{})
	slow.OnChange(func(ankurah.ChangeSet[ankurah.Record]) { close(last) }) // comes after all that waits
	<-last
	if len(folded) != commits {
		t.Errorf("the slow callback saw %d of %d rows", len(folded), commits)
	}
	if calls >= commits {
		t.Errorf("the slow callback was called %d times: its queue is not bounded", calls)
	}
	for _, q := range []*ankurah.LiveQuery[ankurah.Record]{slow, quick, wild} {
		q.Close()
		<-q.Done()
	}
	before := n
	create(t, s, ankurah.Fields{"name": "after", "year": 1})
	if n != before {
		t.Error("a callback started after Close")
	}
}

// A live query is a signal of its rows.
func TestLiveQueryIsASignal(t *testing.T) {
	s, ctx := memorySession(t), t.Context()
	q, err := albums.Query(ctx, s, "year > 2000")
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	count := signal.Map(q, func(rows []ankurah.Record) int { return len(rows) })
	seen := make(chan int, 10)
	e := signal.Effect(func(t *signal.Tracker) { seen <- count.Get(t) })
	defer e.Close()
	create(t, s, ankurah.Fields{"name": "a", "year": 2001})
	for got := range seen {
		if got == 1 {
			return
		}
	}
}

// The feed tells every commit once, in order, from any position, and goes on.
func TestFeed(t *testing.T) {
	s := memorySession(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	first := create(t, s, ankurah.Fields{"name": "a"})
	var pos ankurah.Position
	var got []ankurah.ID
	for c, err := range s.Node().Changes(ctx, "") {
		if errors.Is(err, context.Canceled) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range c.Entities {
			if e.Collection != "album" {
				continue // the system's own genesis
			}
			if len(e.Events) != 1 || e.Events[0].Kind != ankurah.EventCreated || e.Events[0].Tx != c.Tx {
				t.Errorf("events of %v: %+v", e.ID, e.Events)
			}
			got = append(got, e.ID)
			switch len(got) {
			case 1:
				pos = c.Position
				create(t, s, ankurah.Fields{"name": "b"})
			case 2:
				cancel()
			}
		}
	}
	if len(got) != 2 || got[0] != first {
		t.Fatalf("feed: %v", got)
	}
	for c, err := range s.Node().Changes(t.Context(), pos) {
		if err != nil || len(c.Entities) != 1 || c.Entities[0].ID != got[1] {
			t.Fatalf("from a position: %+v, %v", c, err)
		}
		break
	}
}
