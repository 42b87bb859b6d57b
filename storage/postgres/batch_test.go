package postgres_test

import (
	"bytes"
	"testing"

	"github.com/ankurah/ankurah-go/ankurahtest/pgtest"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/storagetest"
	"github.com/ankurah/ankurah-go/value"
)

// What is read in one go is what is read one by one, and what is missing is
// missed.
func TestBatch(t *testing.T) {
	e := open(t, pgtest.New(t), nil)
	w := storagetest.NewWriter(t, 1)
	var txs []event.TxID
	put := func(writes ...storage.EntityWrite) {
		tx := w.Tx(writes...)
		txs = append(txs, tx.ID)
		if r, err := e.Commit(t.Context(), &storage.Batch{Txs: []storage.Tx{tx}}); err != nil || r.Conflicts != nil {
			t.Fatal(r, err)
		}
	}
	a, b := w.Create("album"), w.Create("album")
	put(a, b)
	states := []*entity.State{a.After, b.After}
	for n := range 12 {
		k := n % 5 % 2
		x := w.Edit(states[k], storagetest.Set("n", value.Int64(int64(n))))
		put(x)
		states[k] = x.After
	}
	snap, err := e.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	batch := snap.(storage.Batcher)
	records, err := batch.Records(t.Context(), append(txs, w.TxID()))
	if err != nil || len(records) != len(txs) {
		t.Fatalf("%d records of %d: %v", len(records), len(txs), err)
	}
	for _, tx := range txs {
		if want, ok, err := snap.Tx(t.Context(), tx); err != nil || !ok || !bytes.Equal(records[tx], want) {
			t.Errorf("record of %s: %x, want %x, %v", tx, records[tx], want, err)
		}
	}
	spans := []storage.Span{{Entity: states[0].ID(), First: 2, Last: 5}, {Entity: states[1].ID(), First: 1, Last: states[1].Rev()}}
	events, err := batch.EventsAt(t.Context(), "album", spans)
	if err != nil || len(events) != len(spans) {
		t.Fatalf("events of %d entities: %v", len(events), err)
	}
	for _, x := range spans {
		got := events[x.Entity]
		for want, err := range snap.Events(t.Context(), "album", x.Entity, x.First, x.Last) {
			if err != nil || len(got) == 0 || got[0].ID != want.ID || got[0].Digest != want.Digest {
				t.Fatalf("events of %+v: %v, want %s, %v", x, got, want.ID, err)
			}
			got = got[1:]
		}
		if len(got) > 0 {
			t.Errorf("%d events too many of %+v", len(got), x)
		}
	}
	for _, c := range []struct {
		collection string
		span       storage.Span
	}{
		{"album", storage.Span{Entity: states[0].ID(), First: 3, Last: states[0].Rev() + 1}},
		{"artist", storage.Span{Entity: states[0].ID(), First: 1, Last: 1}},
		{"album", storage.Span{Entity: w.Create("album").After.ID(), First: 1, Last: 1}},
	} {
		if _, err := batch.EventsAt(t.Context(), c.collection, []storage.Span{c.span}); !storage.IsCorrupt(err) {
			t.Errorf("events of %s %+v, which are not there: %v", c.collection, c.span, err)
		}
	}
}
