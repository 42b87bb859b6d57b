package storagetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/ankurah/ankurah-go/storage"
)

// Records tests that of two records of one transaction a shared store takes the
// first, whatever else is in the transactions that they are of (S27, S29). a and
// b are engines of two processes on one empty store.
func Records(t *testing.T, a, b storage.Engine) {
	w := NewWriter(t, 1)
	commit := func(e storage.Engine, txs ...storage.Tx) []error {
		r, err := e.Commit(context.Background(), &storage.Batch{Txs: txs})
		if err != nil {
			t.Error(err)
		}
		if r.Conflicts == nil {
			r.Conflicts = make([]error, len(txs))
		}
		return r.Conflicts
	}
	bare := func(tx storage.Tx) storage.Tx { return storage.Tx{ID: tx.ID, Record: []byte("none")} }
	holds := func(tx storage.Tx, stored bool) {
		t.Helper()
		snap := mustSnapshot(t, a)
		defer closeLater(t, snap)
		want := "none"
		if stored {
			want = string(tx.Record)
		}
		if b, ok, err := snap.Tx(t.Context(), tx.ID); string(b) != want || !ok || err != nil {
			t.Errorf("the record is %q, %t: %v", b, ok, err)
		}
		if s := mustState(t, snap, tx.Entities[0].After); (s != nil) != stored {
			t.Errorf("%s is there: %t", tx.Entities[0].After.ID(), s != nil)
		}
	}
	create := func() storage.Tx { return w.Tx(w.Create("album")) }

	t.Run("first", func(t *testing.T) {
		tx, other := create(), create()
		if c := commit(a, bare(tx)); c[0] != nil {
			t.Error(c)
		}
		if c := commit(b, tx, other); !errors.Is(c[0], storage.ErrConflict) || c[1] != nil {
			t.Error(c)
		}
		holds(tx, false)
		holds(other, true)
	})
	t.Run("last", func(t *testing.T) {
		tx, other := create(), create()
		if c := commit(a, tx); c[0] != nil {
			t.Error(c)
		}
		if c := commit(b, bare(tx), other); !errors.Is(c[0], storage.ErrConflict) || c[1] != nil {
			t.Error(c)
		}
		holds(tx, true)
		holds(other, true)
	})
	t.Run("races", func(t *testing.T) {
		var won [2]int
		for round := range 100 {
			tx, other, third := create(), create(), create()
			var both sync.WaitGroup
			var stored, refused []error
			both.Go(func() { stored = commit(a, other, tx) })
			both.Go(func() {
				if round%2 == 0 { // mostly it is quicker
					commit(b, third)
				}
				refused = commit(b, bare(tx))
			})
			both.Wait()
			if (stored[1] == nil) == (refused[0] == nil) || stored[0] != nil {
				t.Fatal(stored, refused)
			}
			if stored[1] == nil {
				won[0]++
			} else {
				won[1]++
			}
			holds(tx, stored[1] == nil)
			holds(other, true)
		}
		t.Log(fmt.Sprint(won), "races were won")
	})
}
