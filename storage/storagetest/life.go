package storagetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/ankql/ankqltest"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/value"
)

// large tests values of 256 KiB.
func (s *suite) large(t *testing.T) {
	place := s.New(t)
	e := mustOpen(t, place)
	w := NewWriter(t, 6)
	if x, ok := e.(storage.Indexer); ok {
		if err := x.EnsureIndex(t.Context(), "album", schema.Index{Columns: []schema.Column{{Path: []string{"text"}}}}); err != nil {
			t.Fatal(err)
		}
	}
	var ws []storage.EntityWrite
	for k := range 4 {
		text := strings.Repeat("large ", 256<<10/6) + fmt.Sprint(k)
		ws = append(ws, w.Create("album", Set("text", value.String(text))))
	}
	mustCommit(t, e, w.Tx(ws...))
	e = reopened(t, place, e)
	snap := mustSnapshot(t, e)
	defer closeLater(t, snap)
	path := &ankql.Path{Parts: []string{"text"}, Key: "text", Type: value.Type{Kind: value.KindString}}
	for _, ew := range ws {
		if got := mustState(t, snap, ew.After); !sameState(got, ew.After) {
			t.Error("the state differs")
		}
		evs, err := collect(snap.Events(t.Context(), "album", ew.After.ID(), 1, 1))
		if err != nil || len(evs) != 1 || !sameEvent(evs[0], ew.Events[0]) {
			t.Errorf("the event differs: %v", err)
		}
		sel := &ankql.Selection{Collection: "album", Limit: -1, Where: &ankql.Binary{Op: ankql.OpEq, L: path, R: &ankql.Literal{Value: ew.After.Value("text")}}}
		if got, err := collect(snap.Scan(t.Context(), sel)); err != nil || len(got) != 1 || got[0].ID() != ew.After.ID() {
			t.Errorf("found %d: %v", len(got), err)
		}
	}
}

// breaks tests that a consumer may leave every sequence early.
func (s *suite) breaks(t *testing.T) {
	e := s.open(t)
	d := manyRows(t, e, "row", 300, "n", "n, m desc", "m desc")
	snap := mustSnapshot(t, e)
	defer closeLater(t, snap)
	for _, text := range []string{"", "ORDER BY n", "ORDER BY n DESC", "n > 2", "n IN (1, 2) ORDER BY m", "n = 1 OR m = 2", "m > 1 ORDER BY text"} {
		q := d.query(t, text)
		for st, err := range snap.Scan(t.Context(), q.sel) {
			if err != nil || st == nil {
				t.Fatal(err)
			}
			break
		}
	}
	for range snap.All(t.Context(), d.model.Collection) {
		break
	}
	for range snap.Events(t.Context(), d.model.Collection, d.list()[0].ID(), 1, 9) {
		break
	}
	for range snap.MetaRange(t.Context(), nil, nil) {
		break
	}
}

// manyRows returns a collection of n entities of two numbers, few of them
// different, and a text, with indexes.
func manyRows(t *testing.T, e storage.Engine, collection string, n int, indexes ...string) *data {
	t.Helper()
	property := func(key string, k value.Kind) schema.Property {
		return schema.Property{Key: key, Type: value.Type{Kind: k}}
	}
	d := newData(t, e, 9+uint64(len(collection))) // no ID is used twice in a store
	d.model = schema.NewModel("Row", collection, []schema.Property{property("n", value.KindInt64), property("m", value.KindInt64), property("text", value.KindString)})
	var ws []storage.EntityWrite
	for k := range n {
		ws = append(ws, d.w.Create(collection,
			Set("n", value.Int64(int64(d.w.Rand.IntN(3)))), Set("m", value.Int64(int64(d.w.Rand.IntN(3)))), Set("text", value.String(fmt.Sprint(k)))))
	}
	d.commit(t, ws)
	mustCommit(t, e, storage.Tx{ID: d.w.TxID(), Meta: []storage.MetaWrite{number(1), number(2)}})
	d.ensure(t, indexes...)
	return d
}

// ensure builds indexes, written as "n, m desc", if the engine has any.
func (d *data) ensure(t *testing.T, indexes ...string) {
	t.Helper()
	indexer, ok := d.engine.(storage.Indexer)
	for _, text := range indexes {
		var x schema.Index
		for _, column := range strings.Split(text, ", ") {
			key, desc := strings.CutSuffix(column, " desc")
			x.Columns = append(x.Columns, schema.Column{Path: []string{key}, Desc: desc})
		}
		if ok {
			if err := indexer.EnsureIndex(t.Context(), d.model.Collection, x); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// query binds a text that has no arguments.
func (d *data) query(t *testing.T, text string, args ...any) query {
	t.Helper()
	parsed, err := ankql.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	sel, err := ankql.Bind(parsed, d.model, d.model.Collection, args...)
	if err != nil {
		t.Fatal(err)
	}
	return query{sel, text, args}
}

// cancel tests that a sequence ends soon after its context does.
func (s *suite) cancel(t *testing.T) {
	e := s.open(t)
	d := manyRows(t, e, "row", 1000, "n", "n, m desc", "m desc")
	snap := mustSnapshot(t, e)
	defer closeLater(t, snap)
	for _, text := range []string{"", "ORDER BY n", "ORDER BY n DESC", "n >= 0", "n IN (0, 1, 2) ORDER BY m"} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		q := d.query(t, text)
		seen, failed := 0, 0
		for _, err := range snap.Scan(ctx, q.sel) {
			if err != nil {
				failed++
				if !errors.Is(err, context.Canceled) {
					t.Errorf("%q: %v", text, err)
				}
				continue
			}
			if seen++; seen == 10 {
				cancel()
			}
		}
		if failed != 1 || seen > 500 {
			t.Errorf("%q: %d errors, %d entities after the end of the context", text, failed, seen-10)
		}
		if _, err := snap.Count(ctx, q.sel); !errors.Is(err, context.Canceled) {
			t.Errorf("%q: counting: %v", text, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := snap.State(ctx, "row", d.list()[0].ID()); !errors.Is(err, context.Canceled) {
		t.Errorf("a state: %v", err)
	}
	if _, err := e.Commit(ctx, &storage.Batch{Meta: []storage.MetaWrite{number(3)}}); !errors.Is(err, context.Canceled) {
		t.Errorf("a commit: %v", err)
	}
}

// closing tests closed engines and stores that are opened twice.
func (s *suite) closing(t *testing.T) {
	place := s.New(t)
	e := mustOpen(t, place)
	if s.Exclusive {
		second, err := place.Open()
		if !errors.Is(err, storage.ErrLocked) {
			t.Errorf("opened twice: %v", err)
		}
		if err == nil {
			mustClose(t, second)
		}
	}
	l := NewLedger(t, 1)
	if err := l.Step(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	mustClose(t, e)
	mustClose(t, e)
	if err := l.Step(t.Context(), e); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("Commit: %v", err)
	}
	if _, err := e.Snapshot(); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("Snapshot: %v", err)
	}
	if x, ok := e.(storage.Indexer); ok {
		if err := x.EnsureIndex(t.Context(), ledger, LedgerIndex); !errors.Is(err, storage.ErrClosed) {
			t.Errorf("EnsureIndex: %v", err)
		}
	}
	e = mustOpen(t, place)
	snap := mustSnapshot(t, e)
	defer closeLater(t, snap)
	l.txs = l.txs[:1]
	l.Check(t, snap, 1)
	if info := e.Info(); info.Name == "" || info.Location == "" || info.Durability == "" {
		t.Errorf("Info: %+v", info)
	}
}

// readers tests that snapshots taken while commits run hold whole commits and
// never change.
func (s *suite) readers(t *testing.T) {
	e := s.open(t)
	if x, ok := e.(storage.Indexer); ok {
		if err := x.EnsureIndex(t.Context(), ledger, LedgerIndex); err != nil {
			t.Fatal(err)
		}
	}
	const commits, readers = 200, 3
	l := NewLedger(t, 2)
	for range commits { // so that Check knows all transactions; none is committed yet
		l.txs = append(l.txs, l.w.TxID())
	}
	writer := NewLedger(t, 2)
	writer.w = l.w
	acks := make(chan int, commits)
	var wg sync.WaitGroup
	for range readers {
		wg.Go(func() {
			for acked := range acks {
				snap, err := e.Snapshot()
				if err != nil {
					t.Error(err)
					return
				}
				first := numbers(t, snap)
				if again := numbers(t, snap); first != again {
					t.Errorf("a snapshot held %s and then %s", first, again)
				}
				if first.n < acked || first.rows != ledgerRow || first.found != ledgerRow {
					t.Errorf("after commit %d a snapshot holds %s", acked, first)
				}
				if err := snap.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for k := range commits {
		if err := writer.Step(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		acks <- k + 1
	}
	close(acks)
	wg.Wait()
	snap := mustSnapshot(t, e)
	defer closeLater(t, snap)
	writer.Check(t, snap, commits)
}

// seen is what a snapshot shows of a ledger.
type seen struct{ n, rows, found int }

func (s seen) String() string {
	return fmt.Sprintf("number %d in %d entities, of which a query finds %d", s.n, s.rows, s.found)
}

func numbers(t *testing.T, snap storage.Snapshot) seen {
	all, err := collect(snap.All(context.Background(), ledger))
	if err != nil || len(all) == 0 {
		t.Error("no entities", err)
		return seen{}
	}
	n := all[0].Value("n")
	s := seen{n: int(n.Int())}
	for _, st := range all {
		if st.Value("n").Int() == n.Int() {
			s.rows++
		}
	}
	path := &ankql.Path{Parts: []string{"n"}, Key: "n", Type: value.Type{Kind: value.KindInt64}}
	found, err := collect(snap.Scan(context.Background(), &ankql.Selection{Collection: ledger, Limit: -1, Where: &ankql.Binary{Op: ankql.OpEq, L: path, R: &ankql.Literal{Value: n}}}))
	if err != nil {
		t.Error(err)
	}
	s.found = len(found)
	return s
}

// reopen tests that everything is there after closing and opening, several
// times, with indexes made in between.
func (s *suite) reopen(t *testing.T) {
	place := s.New(t)
	e := mustOpen(t, place)
	l := NewLedger(t, 3)
	for round := range 6 {
		for range 5 {
			if err := l.Step(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		if x, ok := e.(storage.Indexer); ok && round == 2 {
			if err := x.EnsureIndex(t.Context(), ledger, LedgerIndex); err != nil {
				t.Fatal(err)
			}
		}
		e = reopened(t, place, e)
		if x, ok := e.(storage.Indexer); ok && round >= 2 {
			if xs := x.Indexes(ledger); len(xs) != 1 || xs[0].Name() != LedgerIndex.Name() {
				t.Fatalf("indexes after reopening: %v", xs)
			}
		}
		snap := mustSnapshot(t, e)
		l.Check(t, snap, l.Attempted())
		mustClose(t, snap)
	}
}

// buildDuringCommits builds indexes while commits go on, and compares queries
// with the evaluator's answers.
func (s *suite) buildDuringCommits(t *testing.T) {
	e := s.open(t)
	indexer, ok := e.(storage.Indexer)
	if !ok {
		t.Skip("no indexes")
	}
	for seed := range uint64(5) {
		d := newData(t, e, 1<<20+seed)
		for range 10 {
			d.fill(t, fewer(40))
		}
		random := NewWriter(t, seed)
		var wg sync.WaitGroup
		for range 4 {
			x := randomIndex(random.Rand, d.model)
			wg.Go(func() {
				if err := indexer.EnsureIndex(t.Context(), d.model.Collection, x); err != nil {
					t.Error(err)
				}
			})
		}
		built := make(chan struct{})
		go func() {
			wg.Wait()
			close(built)
		}()
		for more := true; more; {
			select {
			case <-built:
				more = false
			default:
				runtime.Gosched() // where nothing is preempted
			}
			d.shake(t)
			snap := mustSnapshot(t, e) // some indexes are complete, some are not
			for range 3 {
				d.check(t, snap, d.randomQuery(t), d.list())
			}
			mustClose(t, snap)
		}
		snap := mustSnapshot(t, e)
		for range fewer(50) {
			d.check(t, snap, d.randomQuery(t), d.list())
		}
		mustClose(t, snap)
	}
}

// buildInterrupted closes the engine while indexes are being built.
func (s *suite) buildInterrupted(t *testing.T) {
	place := s.New(t)
	e := mustOpen(t, place)
	if _, ok := e.(storage.Indexer); !ok {
		t.Skip("no indexes")
	}
	d := newData(t, e, 1<<21)
	for range 6 {
		d.fill(t, fewer(100))
	}
	var wanted []schema.Index
	for range 5 {
		x := randomIndex(d.w.Rand, d.model)
		wanted = append(wanted, x)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := d.engine.(storage.Indexer).EnsureIndex(ctx, d.model.Collection, x); err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		d.shake(t)
		d.engine = reopened(t, place, d.engine)
	}
	for _, x := range wanted {
		if err := d.engine.(storage.Indexer).EnsureIndex(t.Context(), d.model.Collection, x); err != nil {
			t.Fatal(err)
		}
	}
	d.shake(t)
	snap := mustSnapshot(t, d.engine)
	defer closeLater(t, snap)
	for range fewer(200) {
		d.check(t, snap, d.randomQuery(t), d.list())
	}
}

// groups tests orders in which very many entities are equal, page by page.
func (s *suite) groups(t *testing.T) {
	e := s.open(t)
	pages(t, manyRows(t, e, "row", 220+fewer(300), "n", "n, m desc", "m desc"), []int{1, 50, 130},
		"ORDER BY n", "ORDER BY n DESC", "ORDER BY n DESC, id DESC", "ORDER BY n, id DESC", "ORDER BY m", "ORDER BY m DESC",
		"ORDER BY n, m", "ORDER BY n DESC, m", "ORDER BY n, m DESC", "ORDER BY n DESC, m DESC", "n = 1 ORDER BY m", "n = 1 ORDER BY m DESC",
		"n IN (0, 2) ORDER BY m", "n IN (0, 2) ORDER BY m DESC", "n > 0 ORDER BY n DESC", "n = 1", "n > 0", "n > 0 ORDER BY id", "n > 0 ORDER BY id DESC", "ORDER BY id DESC", "id > ? ORDER BY n DESC")
	// Constants behind and between the columns of the order.
	pages(t, manyRows(t, e, "other", 200, "n, m desc, text"), []int{7, 30},
		"m = 1 ORDER BY n", "m = 1 ORDER BY n DESC", "m = 1 ORDER BY n, text", "m = 1 ORDER BY n DESC, text DESC", "m = 1 ORDER BY n, m, text DESC", "m = 1 AND text = '7' ORDER BY n",
		"n = 1 AND m = 2 ORDER BY n, id", "n = 1 AND m = 2 ORDER BY text, id DESC")
}

// pages checks queries page by page, and behind cursors that are not of an
// entity.
func pages(t *testing.T, d *data, sizes []int, queries ...string) {
	t.Helper()
	snap := mustSnapshot(t, d.engine)
	defer closeLater(t, snap)
	states := d.list()
	for _, text := range queries {
		var args []any
		if strings.Contains(text, "?") {
			args = []any{states[len(states)/2].ID()}
		}
		all := d.query(t, text, args...)
		d.check(t, snap, all, states)
		for _, size := range sizes {
			page := *all.sel
			page.Limit = size
			for range 2 + fewer(10) {
				d.check(t, snap, query{&page, text, args}, states)
				rows := Expect(&page, states)
				if len(rows) == 0 {
					break
				}
				next := page
				next.After = page.CursorOf(rows[len(rows)-1])
				page = next
			}
		}
		for _, i := range []id.ID{{}, states[3].ID(), states[len(states)-3].ID()} {
			after := *all.sel
			after.After = after.CursorOf(states[len(states)/5])
			after.After.ID = i
			d.check(t, snap, query{&after, text, args}, states)
		}
	}
}

// longTexts tests texts that index keys hold the beginning of: they are told
// apart, and put in order, by the entities.
func (s *suite) longTexts(t *testing.T) {
	e := s.open(t)
	indexes := [][]string{{}, {"text"}, {"text desc"}, {"n, text"}, {"text, n"}, {"text, n desc"}, {"text desc, n", "n"}}
	for k, xs := range indexes {
		d := newData(t, e, uint64(1<<22+k))
		d.long = true
		all := ankqltest.Model()
		d.model = schema.NewModel("Long", fmt.Sprint("long_", k), []schema.Property{
			{Key: "text", Type: value.Type{Kind: value.KindString}}, {Key: "n", Type: value.Type{Kind: value.KindInt64}, Optional: true}, *all.Property("label")})
		d.fill(t, 40)
		d.ensure(t, xs...)
		d.shake(t)
		snap := mustSnapshot(t, e)
		for range fewer(300) {
			d.check(t, snap, d.randomQuery(t), d.list())
		}
		mustClose(t, snap)
		pages(t, d, []int{3}, "ORDER BY text", "ORDER BY text DESC", "ORDER BY text, n", "ORDER BY text DESC, id DESC", "n = 1 ORDER BY text", "n IN (0, 1) ORDER BY text DESC")
	}
}
