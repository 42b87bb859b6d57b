package ankurah_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/storage/pebble"
)

var albums = ankurah.Dynamic("album")

// openNode returns a node with a system on a fresh store.
func openNode(t testing.TB, eng storage.Engine, opts *ankurah.NodeOptions) *ankurah.Node {
	t.Helper()
	if opts == nil {
		opts = &ankurah.NodeOptions{Policy: policy.Permissive{}}
	}
	opts.Durable = true
	n, err := ankurah.OpenNode(t.Context(), eng, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := n.EnsureSystem(t.Context()); err != nil {
		t.Fatal(err)
	}
	return n
}

func memorySession(t testing.TB) *ankurah.Session {
	return openNode(t, memory.New(), nil).Session(policy.Principal{Subject: "alice"})
}

// create commits one album and returns its ID.
func create(t testing.TB, s *ankurah.Session, f ankurah.Fields) ankurah.ID {
	t.Helper()
	var id ankurah.ID
	err := s.Update(t.Context(), func(tx *ankurah.Tx) error {
		a, err := albums.Create(tx, &f)
		if err == nil {
			id = a.ID()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func names(rs []ankurah.Record) (out []string) {
	for _, r := range rs {
		n, _ := r.Get("name")
		s, _ := n.(string)
		out = append(out, s)
	}
	return out
}

// The whole way: create, query live, edit, delete, restore, history, reopen.
func TestOneEntityFromBirthToAuditTrail(t *testing.T) {
	dir := t.TempDir()
	ctx := t.Context()
	var id ankurah.ID
	t.Run("first process", func(t *testing.T) {
		eng, err := pebble.Open(ctx, dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		s := openNode(t, eng, nil).Session(policy.Principal{Subject: "alice"})
		id = create(t, s, ankurah.Fields{"name": "Showbiz", "year": 1999})
		q, err := albums.Query(ctx, s, "year > ? ORDER BY name", 1990)
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		seen := make(chan string, 10)
		q.OnChange(func(cs ankurah.ChangeSet[ankurah.Record]) {
			for _, c := range cs.Changes {
				v := c.After
				if c.Kind == ankurah.Removed {
					v = c.Before
				}
				seen <- c.Kind.String() + " " + names([]ankurah.Record{v})[0]
			}
		})
		edit := func(f func(e *ankurah.Edit) error) {
			t.Helper()
			if err := s.Update(ctx, func(tx *ankurah.Tx) error {
				e, err := albums.Edit(tx, id)
				if err != nil {
					return err
				}
				return f(e)
			}); err != nil {
				t.Fatal(err)
			}
		}
		edit(func(e *ankurah.Edit) error { return e.Set("name", "Absolution") })
		edit(func(e *ankurah.Edit) error { return e.Set("year", 1980) })
		edit(func(e *ankurah.Edit) error { return e.Set("year", 2003) })
		edit(func(e *ankurah.Edit) error { return e.Delete() })
		for _, want := range []string{"initial Showbiz", "updated Absolution", "removed Absolution", "added Absolution", "removed Absolution"} {
			if got := <-seen; got != want {
				t.Fatalf("the live query says %q, want %q", got, want)
			}
		}
		if len(q.Rows()) != 0 {
			t.Fatalf("rows after delete: %v", names(q.Rows()))
		}
		if _, err := albums.Get(ctx, s, id); !errors.Is(err, ankurah.ErrNotFound) {
			t.Fatalf("Get of a deleted entity: %v", err)
		}
	})
	eng, err := pebble.Open(ctx, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := openNode(t, eng, nil).Session(policy.Principal{Subject: "bob"})
	if err := s.Update(ctx, func(tx *ankurah.Tx) error { return albums.Restore(tx, id) }); err != nil {
		t.Fatal(err)
	}
	v, err := albums.Get(ctx, s, id)
	if err != nil {
		t.Fatal(err)
	}
	if year, _ := v.Get("year"); year != int64(2003) {
		t.Fatalf("year = %v", year)
	}
	var trail []string
	for e, err := range albums.History(ctx, s, id) {
		if err != nil {
			t.Fatal(err)
		}
		trail = append(trail, string(e.Kind)+" by "+e.Actor)
	}
	want := []string{"created by alice", "edited by alice", "edited by alice", "edited by alice", "deleted by alice", "restored by bob"}
	if !slices.Equal(trail, want) {
		t.Fatalf("audit trail %v, want %v", trail, want)
	}
}

// S19: a transaction makes one event per entity; create and delete make none.
func TestFolding(t *testing.T) {
	s, ctx := memorySession(t), t.Context()
	var kept, dropped ankurah.ID
	err := s.Update(ctx, func(tx *ankurah.Tx) error {
		a, err := albums.Create(tx, &ankurah.Fields{"name": "a"})
		if err != nil {
			return err
		}
		kept = a.ID()
		if err := a.Set("name", "b"); err != nil {
			return err
		}
		gone, err := albums.Create(tx, &ankurah.Fields{"name": "x"})
		if err != nil {
			return err
		}
		dropped = gone.ID()
		if rows, err := albums.Fetch(ctx, tx, "ORDER BY name"); err != nil || !slices.Equal(names(rows), []string{"b", "x"}) {
			t.Errorf("inside the transaction: %v, %v", names(rows), err)
		}
		if rows, err := albums.Fetch(ctx, s, ""); err != nil || len(rows) != 0 {
			t.Errorf("S18: outside the transaction: %v, %v", names(rows), err)
		}
		return gone.Delete()
	})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range albums.History(ctx, s, kept) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 1 {
		t.Errorf("%d events for one entity in one transaction", n)
	}
	for _, err := range albums.History(ctx, s, dropped) {
		if !errors.Is(err, ankurah.ErrNotFound) {
			t.Errorf("an entity created and deleted in one transaction has a history: %v", err)
		}
	}
}

// S20: a refused event leaves no trace in any collection.
func TestRefusalLeavesNoTrace(t *testing.T) {
	noYearZero := policy.ConstraintFunc(func(_ context.Context, _, after *entity.State) error {
		if v := after.Value("year"); !v.IsNull() && v.Int() == 0 {
			return errors.New("there is no year 0")
		}
		return nil
	})
	ctx := t.Context()
	n := openNode(t, memory.New(), &ankurah.NodeOptions{Policy: policy.Permissive{}, Constraints: []policy.Constraint{noYearZero}})
	s := n.Session(policy.Principal{})
	artists, labels := ankurah.Dynamic("artist"), ankurah.Dynamic("label")
	err := s.Update(ctx, func(tx *ankurah.Tx) error {
		if _, err := artists.Create(tx, &ankurah.Fields{"name": "Muse"}); err != nil {
			return err
		}
		if _, err := labels.Create(tx, &ankurah.Fields{"name": "Warner"}); err != nil {
			return err
		}
		_, err := albums.Create(tx, &ankurah.Fields{"name": "Nothing", "year": 0})
		return err
	})
	if !errors.Is(err, ankurah.ErrConstraint) {
		t.Fatalf("commit: %v", err)
	}
	for _, c := range []ankurah.Collection[ankurah.Fields, ankurah.Record, *ankurah.Edit]{artists, labels, albums} {
		if k, err := c.Count(ctx, s, ""); err != nil || k != 0 {
			t.Errorf("%s holds %d entities after a refusal, %v", c.Name(), k, err)
		}
	}
}

// S21: racing transactions both survive; Require makes one of them fail.
func TestRaces(t *testing.T) {
	s, ctx := memorySession(t), t.Context()
	id := create(t, s, ankurah.Fields{"name": "a", "year": 1})
	v, err := albums.Get(ctx, s, id)
	if err != nil {
		t.Fatal(err)
	}
	t1, t2, t3 := s.Begin(), s.Begin(), s.Begin()
	for tx, set := range map[*ankurah.Tx][2]any{t1: {"name", "b"}, t2: {"year", 2}, t3: {"name", "c"}} {
		e, err := albums.Edit(tx, v)
		if err != nil {
			t.Fatal(err)
		}
		_ = e.Set(set[0].(string), set[1])
	}
	t3.Require(v)
	if err := errors.Join(t1.Commit(ctx), t2.Commit(ctx)); err != nil {
		t.Fatal(err)
	}
	if err := t3.Commit(ctx); !errors.Is(err, ankurah.ErrConflict) {
		t.Fatalf("a required version moved, commit says %v", err)
	}
	v, err = albums.Get(ctx, s, id)
	if err != nil {
		t.Fatal(err)
	}
	if name, _ := v.Get("name"); name != "b" {
		t.Errorf("name = %v", name)
	}
	if year, _ := v.Get("year"); year != int64(2) {
		t.Errorf("year = %v", year)
	}
	if len(v.Head()) != 2 {
		t.Errorf("two concurrent events leave %d tips", len(v.Head()))
	}
	if err := t1.Commit(ctx); !errors.Is(err, ankurah.ErrTxDone) {
		t.Errorf("second commit: %v", err)
	}
}
