package storagetest

import (
	"context"
	"strconv"
	"testing"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/value"
)

// Ledger is a workload whose result shows whether transactions are atomic and
// in order: transaction k sets the same number in all its entities and in a
// meta key, and leaves a record. It is for one goroutine.
type Ledger struct {
	w      *Writer
	states []*entity.State
	txs    []event.TxID // of transaction k at k-1
}

const (
	ledger    = "ledger" // its collection
	ledgerRow = 3        // entities
)

// LedgerIndex is an index that the ledger's queries can use.
var LedgerIndex = schema.Index{Columns: []schema.Column{{Path: []string{"n"}}}}

// NewLedger returns a ledger of nothing.
func NewLedger(t testing.TB, seed uint64) *Ledger {
	return &Ledger{w: NewWriter(t, seed), states: make([]*entity.State, ledgerRow)}
}

// Attempted returns the number of transactions that were given to an engine.
func (l *Ledger) Attempted() int { return len(l.txs) }

// Step commits the next transaction.
func (l *Ledger) Step(ctx context.Context, e storage.Engine) error {
	n := len(l.txs) + 1
	var writes []storage.EntityWrite
	for _, st := range l.states {
		if st == nil {
			writes = append(writes, l.w.Create(ledger, Set("n", value.Int64(int64(n)))))
		} else {
			writes = append(writes, l.w.Edit(st, Set("n", value.Int64(int64(n)))))
		}
	}
	tx := l.w.Tx(writes...)
	tx.Meta = []storage.MetaWrite{{Key: []byte(ledger), Value: []byte(strconv.Itoa(n))}}
	l.txs = append(l.txs, tx.ID)
	r, err := e.Commit(ctx, &storage.Batch{Txs: []storage.Tx{tx}})
	if err != nil {
		return err
	}
	if r.Conflicts != nil {
		return r.Conflicts[0]
	}
	for k, ew := range tx.Entities {
		l.states[k] = ew.After
	}
	return nil
}

// Check fails the test unless snap holds a prefix of the transactions: at least
// the first acked ones, none in part, each with all that belongs to it. It
// returns how many.
func (l *Ledger) Check(t testing.TB, snap storage.Snapshot, acked int) int {
	t.Helper()
	ctx := context.Background()
	v, ok, err := snap.Meta(ctx, []byte(ledger))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	if ok {
		if n, err = strconv.Atoi(string(v)); err != nil {
			t.Fatal(err)
		}
	}
	if n < acked || n > len(l.txs) {
		t.Fatalf("the store holds %d transactions, %d were committed and %d attempted", n, acked, len(l.txs))
	}
	for k, tx := range l.txs {
		record, ok, err := snap.Tx(ctx, tx)
		if err != nil || ok != (k < n) || ok && string(record) != string(tx[:4]) {
			t.Fatalf("record %d of %d: %x %v %v", k+1, n, record, ok, err)
		}
	}
	all, err := collect(snap.All(ctx, ledger))
	if err != nil || n > 0 && len(all) != ledgerRow || n == 0 && len(all) > 0 {
		t.Fatalf("%d entities after %d transactions: %v", len(all), n, err)
	}
	for _, st := range all {
		if st.Value("n").Int() != int64(n) || st.Rev() != uint64(n) {
			t.Fatalf("an entity holds %d at rev %d after %d transactions", st.Value("n").Int(), st.Rev(), n)
		}
		l.checkHistory(t, snap, st)
	}
	l.checkQueries(t, snap, n, len(all))
	return n
}

func (l *Ledger) checkHistory(t testing.TB, snap storage.Snapshot, st *entity.State) {
	t.Helper()
	evs, err := collect(snap.Events(context.Background(), ledger, st.ID(), 1, st.Rev()+10))
	if err != nil || uint64(len(evs)) != st.Rev() {
		t.Fatalf("%d events at rev %d: %v", len(evs), st.Rev(), err)
	}
	var again *entity.State
	for k, ev := range evs {
		if again, err = again.Apply(l.w.Kinds, ev); err != nil {
			t.Fatal(err)
		}
		at, ok, err := snap.Find(context.Background(), ev.ID)
		if err != nil || !ok || at.Rev != uint64(k+1) || at.Entity != st.ID() {
			t.Fatalf("event %d is at %v %v %v", k+1, at, ok, err)
		}
	}
	if !sameState(again, st) {
		t.Fatal("the state is not what the events make")
	}
}

// checkQueries looks for what is there and for what was there before, through
// an index if there is one.
func (l *Ledger) checkQueries(t testing.TB, snap storage.Snapshot, n, rows int) {
	t.Helper()
	for k := max(0, n-2); k <= n+1; k++ {
		path := &ankql.Path{Parts: []string{"n"}, Key: "n", Type: value.Type{Kind: value.KindInt64}}
		sel := &ankql.Selection{Collection: ledger, Limit: -1, Where: &ankql.Binary{Op: ankql.OpEq, L: path, R: &ankql.Literal{Value: value.Int64(int64(k))}}}
		want := int64(0)
		if k == n {
			want = int64(rows)
		}
		got, err := collect(snap.Scan(context.Background(), sel))
		if err != nil || int64(len(got)) != want {
			t.Fatalf("%d entities hold %d after %d transactions: %v", len(got), k, n, err)
		}
		if count, err := snap.Count(context.Background(), sel); err != nil || count != want {
			t.Fatalf("counted %d entities that hold %d after %d transactions: %v", count, k, n, err)
		}
	}
}

// Txs returns the IDs of the transactions that were attempted, in order.
func (l *Ledger) Txs() []event.TxID { return l.txs }
