package kv_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/kv"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/storage/storagetest"
	"github.com/ankurah/ankurah-go/value"
)

// hooked is a store that calls functions, once each, in the middle of what it
// does.
type hooked struct {
	kv.Store
	beforeApply   func()
	afterSnapshot func()
}

func (h *hooked) Apply(ctx context.Context, b *kv.Batch) error {
	if f := h.beforeApply; f != nil {
		h.beforeApply = nil
		f()
	}
	return h.Store.Apply(ctx, b)
}

func (h *hooked) Snapshot() (kv.Snapshot, error) {
	snap, err := h.Store.Snapshot()
	if f := h.afterSnapshot; f != nil {
		h.afterSnapshot = nil
		f()
	}
	return snap, err
}

// TestSnapshotDuringBuild tests that a snapshot does not use an index that was
// completed a moment after it was taken.
func TestSnapshotDuringBuild(t *testing.T) {
	s := &hooked{Store: memory.NewStore()}
	e := open(t, s, kv.Options{})
	w := storagetest.NewWriter(t, 1)
	commit(t, e, w.Tx(w.Create("album", storagetest.Set("n", value.Int64(1)))))
	s.afterSnapshot = func() { ensure(t, e, "n") }
	snap := snapshot(t, e)
	defer snap.Close()
	if n, err := snap.Count(t.Context(), bind(t, numberModel(), "n = 1")); n != 1 || err != nil {
		t.Errorf("counted %d: %v", n, err)
	}
}

// TestSharedRaces lets one process do something at the worst moment of what
// another one does.
func TestSharedRaces(t *testing.T) {
	shared := kv.Options{Shared: true, Index: kv.IndexOptions{Chunk: 2}}
	type world struct {
		store *hooked
		a, b  *kv.Engine // a over store, b over what is below
		w     *storagetest.Writer
		st    []*entity.State
	}
	set := func(w world, k, n int) storage.Tx {
		return w.w.Tx(w.w.Edit(w.st[k], storagetest.Set("n", value.Int64(int64(n)))))
	}
	// Each case returns how many entities hold 10 in the end.
	cases := map[string]func(t *testing.T, w world) int64{
		"a commit after another's": func(t *testing.T, w world) int64 {
			commit(t, w.a, set(w, 0, 10))
			commit(t, w.b, w.w.Tx(w.w.Edit(w.st[1])))
			r, err := w.a.Commit(t.Context(), &storage.Batch{Txs: []storage.Tx{set(w, 1, 10), set(w, 2, 10)}})
			if err != nil || r.Conflicts == nil || !errors.Is(r.Conflicts[0], storage.ErrConflict) || r.Conflicts[1] != nil {
				t.Fatal(r, err)
			}
			return 2
		},
		"a commit overtaken": func(t *testing.T, w world) int64 {
			w.store.beforeApply = func() { commit(t, w.b, set(w, 0, 10)) }
			r, err := w.a.Commit(t.Context(), &storage.Batch{Txs: []storage.Tx{set(w, 0, 11), set(w, 1, 10)}})
			if err != nil || r.Conflicts == nil || !errors.Is(r.Conflicts[0], storage.ErrConflict) || r.Conflicts[1] != nil {
				t.Fatal(r, err)
			}
			return 2
		},
		"a commit overtaken by another entity's": func(t *testing.T, w world) int64 {
			w.store.beforeApply = func() { commit(t, w.b, set(w, 0, 10)) }
			commit(t, w.a, set(w, 1, 10))
			return 2
		},
		"a commit overtaken by an index": func(t *testing.T, w world) int64 {
			w.store.beforeApply = func() { ensure(t, w.b, "n") }
			commit(t, w.a, set(w, 0, 10))
			return 1
		},
		"an index overtaken by another": func(t *testing.T, w world) int64 {
			w.store.beforeApply = func() { ensure(t, w.b, "m") }
			ensure(t, w.a, "n")
			commit(t, w.b, set(w, 0, 10))
			return 1
		},
		"an index overtaken by a commit": func(t *testing.T, w world) int64 {
			w.store.beforeApply = func() { // the registration; the next is the first chunk
				w.store.beforeApply = func() { commit(t, w.b, set(w, 0, 10)) }
			}
			ensure(t, w.a, "n")
			return 1
		},
		"a commit overtaken by a record": func(t *testing.T, w world) int64 {
			tx := set(w, 0, 10)
			w.store.beforeApply = func() { commit(t, w.b, storage.Tx{ID: tx.ID, Record: []byte("refused")}) }
			r, err := w.a.Commit(t.Context(), &storage.Batch{Txs: []storage.Tx{tx, set(w, 1, 10)}})
			if err != nil || r.Conflicts == nil || !errors.Is(r.Conflicts[0], storage.ErrConflict) || r.Conflicts[1] != nil {
				t.Fatal(r, err)
			}
			return 1
		},
		"a claim overtaken": func(t *testing.T, w world) int64 {
			claim := func(k int) storage.Tx {
				tx := set(w, k, 10)
				tx.Claims = []storage.Claim{{Key: []byte("k"), Entity: w.st[k].ID()}}
				return tx
			}
			w.store.beforeApply = func() { commit(t, w.b, claim(0)) }
			r, err := w.a.Commit(t.Context(), &storage.Batch{Txs: []storage.Tx{claim(1)}})
			if err != nil || r.Conflicts == nil || !errors.Is(r.Conflicts[0], storage.ErrConflict) {
				t.Fatal(r, err)
			}
			return 1
		},
	}
	for name, run := range cases {
		t.Run(name, func(t *testing.T) {
			w := world{store: &hooked{Store: memory.NewStore()}, w: storagetest.NewWriter(t, 1)}
			w.a = open(t, w.store, shared)
			w.b = open(t, w.store.Store, shared)
			var writes []storage.EntityWrite
			for range 5 {
				writes = append(writes, w.w.Create("album", storagetest.Set("n", value.Int64(1)), storagetest.Set("m", value.Int64(10))))
			}
			tx := w.w.Tx(writes...)
			commit(t, w.a, tx)
			for _, ew := range tx.Entities {
				w.st = append(w.st, ew.After)
			}
			want := run(t, w)
			for who, e := range map[string]*kv.Engine{"a": w.a, "b": w.b, "another": open(t, w.store.Store, shared)} {
				snap := snapshot(t, e)
				defer snap.Close()
				for text, want := range map[string]int64{"n = 10": want, "n != 10": 5 - want, "n < 10": 5 - want, "m = 10": 5} {
					if n, err := snap.Count(t.Context(), bind(t, numberModel(), text)); n != want || err != nil {
						t.Errorf("%s counts %d of %s, want %d: %v", who, n, text, want, err)
					}
				}
			}
		})
	}
}

// TestShared lets the engines of several processes commit to one store at the
// same time: each transaction is applied whole or reported as a conflict, and
// indexes that any of them builds are kept up by all.
func TestShared(t *testing.T) {
	s := memory.NewStore()
	const writers, rounds = 4, 60
	w := storagetest.NewWriter(t, 1)
	first := w.Create("album", storagetest.Set("n", value.Int64(0)))
	shared := kv.Options{Shared: true, Index: kv.IndexOptions{Chunk: 2}}
	if _, err := open(t, s, shared).Commit(t.Context(), &storage.Batch{Txs: []storage.Tx{w.Tx(first)}}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	won := make([]int, writers)
	for k := range writers {
		e := open(t, s, shared)
		w := storagetest.NewWriter(t, uint64(k)+2)
		wg.Go(func() {
			for round := range rounds {
				if round == 5*k {
					if err := e.EnsureIndex(context.Background(), "album", storagetest.LedgerIndex); err != nil {
						t.Error(err)
						return
					}
				}
				n, err := raise(e, w, first)
				if err != nil {
					t.Error(err)
					return
				}
				won[k] += n
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	total := 0
	for _, n := range won {
		total += n
	}
	e := open(t, s, shared)
	snap := snapshot(t, e)
	defer snap.Close()
	st, err := snap.State(t.Context(), "album", first.After.ID())
	if err != nil || st.Value("n").Int() != int64(total) || st.Rev() != uint64(total)+1 {
		t.Fatalf("the counter is %d at rev %d after %d commits: %v", st.Value("n").Int(), st.Rev(), total, err)
	}
	model := numberModel()
	for n := range 3 {
		sel := bind(t, model, "n = ?", total-n)
		sel.Collection = "album"
		count, err := snap.Count(t.Context(), sel)
		want := int64(0)
		if n == 0 {
			want = 1
		}
		// Each commit also created an entity that holds 1000 and more.
		if err != nil || count != want {
			t.Errorf("%d entities hold %d: %v", count, total-n, err)
		}
	}
	sel := bind(t, model, "n >= 1000")
	sel.Collection = "album"
	if count, err := snap.Count(t.Context(), sel); err != nil || count != int64(total) {
		t.Errorf("%d entities were created by %d commits: %v", count, total, err)
	}
	if xs := e.Indexes("album"); len(xs) != 1 {
		t.Errorf("indexes %v", xs)
	}
}

// raise adds one to the counter and creates an entity, until no other process
// is faster. It returns how often it was successful.
func raise(e *kv.Engine, w *storagetest.Writer, counter storage.EntityWrite) (int, error) {
	for {
		snap, err := e.Snapshot()
		if err != nil {
			return 0, err
		}
		st, err := snap.State(context.Background(), "album", counter.After.ID())
		if err = errors.Join(err, snap.Close()); err != nil {
			return 0, err
		}
		n := st.Value("n").Int()
		tx := w.Tx(w.Edit(st, storagetest.Set("n", value.Int64(n+1))), w.Create("album", storagetest.Set("n", value.Int64(1000+n))))
		r, err := e.Commit(context.Background(), &storage.Batch{Txs: []storage.Tx{tx}})
		switch {
		case err != nil:
			return 0, err
		case r.Conflicts == nil:
			return 1, nil
		case !errors.Is(r.Conflicts[0], storage.ErrConflict):
			return 0, r.Conflicts[0]
		}
	}
}

// S27, S29: of two records of a transaction the first counts, whoever writes it.
func TestSharedRecords(t *testing.T) {
	s := memory.NewStore()
	storagetest.Records(t, open(t, s, kv.Options{Shared: true}), open(t, s, kv.Options{Shared: true}))
}
