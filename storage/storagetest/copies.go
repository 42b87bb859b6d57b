package storagetest

import (
	"testing"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/value"
)

// copies tests what a node does that holds copies of another one's states: it
// puts states without their events, replaces them by older ones, removes them,
// and puts them back. Index entries follow.
func (s *suite) copies(t *testing.T) {
	place := s.New(t)
	e := mustOpen(t, place)
	index := schema.Index{Columns: []schema.Column{{Path: []string{"n"}}}}
	if x, ok := e.(storage.Indexer); ok {
		if err := x.EnsureIndex(t.Context(), "album", index); err != nil {
			t.Fatal(err)
		}
	}
	w := NewWriter(t, 1)
	one := w.Create("album", Set("n", value.Int64(1))).After
	two := w.Edit(one, Set("n", value.Int64(2))).After
	gone := entity.Gone("album", one.ID())
	put := func(before, after *entity.State) {
		t.Helper()
		mustCommit(t, e, storage.Tx{Entities: []storage.EntityWrite{{Before: before, After: after}}})
		snap := mustSnapshot(t, e)
		defer mustClose(t, snap)
		got := mustState(t, snap, after)
		if after.IsGone() != (got == nil) || got != nil && got.Rev() != after.Rev() {
			t.Fatalf("state %v after writing rev %d", got, after.Rev())
		}
		for n := range int64(4) {
			sel, err := ankql.BindTemplate("n = ?", []value.Value{value.Int64(n)}, nil, "album")
			if err != nil {
				t.Fatal(err)
			}
			rows, err := snap.Count(t.Context(), sel)
			if err != nil {
				t.Fatal(err)
			}
			want := int64(0)
			if after.Exists() && after.Value("n").Int() == n {
				want = 1
			}
			if rows != want {
				t.Errorf("%d rows with n = %d after writing rev %d", rows, n, after.Rev())
			}
		}
	}
	put(nil, two)
	put(two, one)
	put(one, gone)
	put(nil, one)
	e = reopened(t, place, e)
	put(one, two)
	put(two, gone)
	e = reopened(t, place, e)
	put(nil, two)

	for name, bad := range map[string]storage.EntityWrite{
		"removing what is absent": {After: gone},
		"removing by an event":    {Before: two, After: gone, Events: w.Edit(two).Events},
	} {
		if _, err := e.Commit(t.Context(), &storage.Batch{Txs: []storage.Tx{{Entities: []storage.EntityWrite{bad}}}}); err == nil {
			t.Errorf("%s is not refused", name)
		}
	}
	r, err := e.Commit(t.Context(), &storage.Batch{Txs: []storage.Tx{{Entities: []storage.EntityWrite{{Before: one, After: gone}}}}})
	if err != nil || len(r.Conflicts) != 1 || r.Conflicts[0] == nil {
		t.Errorf("removing another version: %v, %v", r, err)
	}
}
