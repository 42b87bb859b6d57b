package kv_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/property"
	"github.com/ankurah/ankurah-go/property/lww"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/kv"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/storage/storagetest"
	"github.com/ankurah/ankurah-go/value"
)

func numberModel() *schema.Model {
	return schema.NewModel("Album", "album", []schema.Property{
		{Key: "n", Type: value.Type{Kind: value.KindInt64}},
		{Key: "m", Type: value.Type{Kind: value.KindInt64}},
		{Key: "text", Type: value.Type{Kind: value.KindString}},
	})
}

// numbered returns an engine with entities that hold n = 0, 1, …, m = n mod 10
// and a text, a tenth of them deleted again.
func numbered(t *testing.T, rows int, index kv.IndexOptions) *kv.Engine {
	t.Helper()
	e := open(t, memory.NewStore(), kv.Options{Index: index})
	w := storagetest.NewWriter(t, 1)
	var writes []storage.EntityWrite
	for k := range rows {
		ew := w.Create("album", storagetest.Set("n", value.Int64(int64(k))), storagetest.Set("m", value.Int64(int64(k%10))),
			storagetest.Set("text", value.String(strings.Repeat("long ", 80)+fmt.Sprint(k))))
		writes = append(writes, ew)
	}
	commit(t, e, w.Tx(writes...))
	var gone []storage.EntityWrite
	for k := 9; k < rows; k += 10 {
		gone = append(gone, w.Edit(writes[k].After, entity.SetDeleted(true)))
	}
	commit(t, e, w.Tx(gone...))
	return e
}

func commit(t *testing.T, e storage.Engine, tx storage.Tx) {
	t.Helper()
	r, err := e.Commit(t.Context(), &storage.Batch{Txs: []storage.Tx{tx}})
	if err != nil || r.Conflicts != nil {
		t.Fatal(err, r.Conflicts)
	}
}

func ensure(t *testing.T, e *kv.Engine, index string) {
	t.Helper()
	if err := e.EnsureIndex(t.Context(), "album", parseIndex(index)); err != nil {
		t.Fatal(err)
	}
}

// rows runs a query and returns the number of rows and of what it examined.
func rows(t *testing.T, e *kv.Engine, text string, args ...any) (n int, examined uint64) {
	t.Helper()
	snap := snapshot(t, e)
	defer snap.Close()
	before := e.Stats().Examined
	for _, err := range snap.Scan(t.Context(), bind(t, numberModel(), text, args...)) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n, e.Stats().Examined - before
}

// TestExamined tests that cost follows what is returned, not what there is.
func TestExamined(t *testing.T) {
	e := numbered(t, 3000, kv.IndexOptions{NoAuto: true})
	ensure(t, e, "n")
	ensure(t, e, "m,n desc")
	ensure(t, e, "text")
	snap := snapshot(t, e)
	defer snap.Close()
	var first *entity.State
	for st, err := range snap.Scan(t.Context(), bind(t, numberModel(), "n = 1500")) {
		if err != nil {
			t.Fatal(err)
		}
		first = st
	}
	cursor := func(text string) *ankql.Cursor { return bind(t, numberModel(), text).CursorOf(first) }
	cases := []struct {
		text     string
		args     []any
		rows     int
		examined uint64 // at most
	}{
		{"n = 77", nil, 1, 1},
		{"n = 79", nil, 0, 0}, // deleted
		{"n IN (1, 2, 3, 9)", nil, 3, 3},
		{"n > 100 AND n <= 120", nil, 18, 18},
		{"ORDER BY n LIMIT 5", nil, 5, 5},
		{"ORDER BY n DESC LIMIT 5", nil, 5, 6}, // one more, to see that there is no equal one
		{"n > 1000 ORDER BY n LIMIT 5", nil, 5, 5},
		{"ORDER BY n LIMIT 5 AFTER ?", []any{cursor("ORDER BY n")}, 5, 5},
		{"ORDER BY n DESC LIMIT 5 AFTER ?", []any{cursor("ORDER BY n DESC")}, 5, 7},
		{"m = 3 ORDER BY n LIMIT 5", nil, 5, 6},
		{"m = 3 ORDER BY n DESC LIMIT 5", nil, 5, 5},
		{"m IN (3, 4) ORDER BY n DESC LIMIT 5", nil, 5, 7},
		{"m = 3 ORDER BY n DESC LIMIT 5 AFTER ?", []any{cursor("ORDER BY n DESC")}, 5, 5},
		{"m = 3 AND n = 33", nil, 1, 1},
		{"n = 4 OR n = 5 OR n BETWEEN 7 AND 8", nil, 4, 4},
		{"LIMIT 7", nil, 7, 8},
		{"LIMIT 7 AFTER ?", []any{cursor("")}, 7, 9},
		{"id = ?", []any{first.ID()}, 1, 1},
		{"id IN (?, '01HF00000000000000000000AB') AND n > 3", []any{first.ID()}, 1, 2},
		{"id >= ? LIMIT 3", []any{first.ID()}, 3, 4},
		{"n = 77 OR id = ?", []any{first.ID()}, 2, 4},
		{"n > 10 AND n < 5", nil, 0, 0},
		{"m = 3 ORDER BY m, n DESC LIMIT 2", nil, 2, 2},
	}
	for _, c := range cases {
		n, examined := rows(t, e, c.text, c.args...)
		if n != c.rows || examined > c.examined {
			t.Errorf("%s: %d rows of %d examined, want %d of at most %d", c.text, n, examined, c.rows, c.examined)
		}
	}
}

// TestCountByIndex tests that entries are counted without entities being read,
// where the entries tell all.
func TestCountByIndex(t *testing.T) {
	e := numbered(t, 1000, kv.IndexOptions{NoAuto: true})
	ensure(t, e, "n")
	ensure(t, e, "m,n")
	snap, err := e.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	for text, want := range map[string]int64{
		"":                   900,
		"n >= 500":           450,
		"n >= 500 LIMIT 20":  20,
		"m = 3 AND n < 100":  10,
		"m IN (3, 9)":        100,
		"n IS NULL":          0,
		"n IS NOT NULL":      900,
		"NOT n < 500":        450,
		"n = 1 OR n > 997":   2,
		"n >= 500 AND m = 3": 50,
		"n >= 500 AND text > '': not by the index": 450,
	} {
		text, _, slow := strings.Cut(text, ":")
		sel := bind(t, numberModel(), text)
		before := e.Stats()
		got, err := snap.Count(t.Context(), sel)
		if err != nil || got != want {
			t.Errorf("%q: counted %d, want %d: %v", text, got, want, err)
		}
		if after := e.Stats(); !slow && after.Examined-before.Examined > uint64(want) {
			t.Errorf("%q: examined %d to count %d", text, after.Examined-before.Examined, want)
		}
	}
}

// TestOnDemand tests that the engine makes an index for a scan that should have
// had one, once, and up to its limit.
func TestOnDemand(t *testing.T) {
	e := numbered(t, 600, kv.IndexOptions{Threshold: 500, Max: 2})
	names := func() string {
		if err := e.WaitIndexes(t.Context()); err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, x := range e.Indexes("album") {
			out = append(out, x.Name())
		}
		return strings.Join(out, "; ")
	}
	for _, step := range []struct {
		text     string
		examined uint64 // at least
		want     string // indexes afterwards
	}{
		{"n >= 0", 540, ""},           // it returned all
		{"n + 1 = 6", 540, ""},        // no index can serve it
		{"n != 5 LIMIT 3", 3, ""},     // it read little
		{"n = 5", 540, "n"},           // one is made
		{"n = 6", 1, "n"},             // and used
		{"n = 6 AND m = 6", 1, "n"},   // it serves here as well
		{"m = 3 AND n > 500", 1, "n"}, // and here, if less so
		{"m = 7 ORDER BY n DESC LIMIT 2", 2, "n"},
		{"text LIKE 'x%'", 540, "n; text"},
		{"m = 8", 540, "n; text"}, // no more
	} {
		_, examined := rows(t, e, step.text)
		if got := names(); examined < step.examined || got != step.want {
			t.Errorf("%s: examined %d, want %d; indexes %q, want %q", step.text, examined, step.examined, got, step.want)
		}
	}
	if got := e.Stats().Built; got != 2 {
		t.Errorf("%d indexes built", got)
	}
}

// TestResume tests that an index whose building was cut short is completed
// when the store is opened again, without being asked for.
func TestResume(t *testing.T) {
	s := memory.NewStore()
	e := open(t, s, kv.Options{})
	w := storagetest.NewWriter(t, 1)
	for k := range 20 {
		commit(t, e, w.Tx(w.Create("album", storagetest.Set("n", value.Int64(int64(k))))))
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	// The registration is written and the first chunk is not.
	e = open(t, &storagetest.Faulty{Store: s, Left: 2}, kv.Options{})
	if err := e.EnsureIndex(t.Context(), "album", parseIndex("n")); !errors.Is(err, storagetest.ErrInjected) {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e = open(t, s, kv.Options{})
	if err := e.WaitIndexes(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, examined := rows(t, e, "n >= 15"); n != 5 || examined != 5 {
		t.Errorf("%d rows of %d examined; indexes %v", n, examined, e.Indexes("album"))
	}
}

// sum is a property kind whose value is the sum of its operations, so that an
// event changes it that is not its last.
type sum struct{}

func (sum) Name() string { return "sum" }

func (sum) Apply(p property.Property, op event.Operation, at id.ID) (property.Property, error) {
	p.Value = value.Int64(p.Value.Int() + int64(op.Data[0]))
	p.State = property.Raw(op.Data)
	if p.Last.Less(at) {
		p.Last = at
	}
	return p, nil
}

func (sum) Join(p, _ property.Property) (property.Property, error) { return p, nil }

// TestLateEvents tests that entries follow a value that an event changes which
// is not the property's last.
func TestLateEvents(t *testing.T) {
	e := open(t, memory.NewStore(), kv.Options{})
	ensure(t, e, "n")
	w := storagetest.NewWriter(t, 1)
	w.Kinds = property.NewRegistry(lww.Kind, sum{})
	add := func(n byte) event.Operation {
		return event.Operation{Property: "n", Kind: "sum", Data: []byte{n}}
	}
	st := w.Create("album", add(1))
	commit(t, e, w.Tx(st))
	early := w.Event(st.After, st.After.Head(), add(10))
	late := w.Event(st.After, st.After.Head(), add(100))
	for _, ev := range []*event.Event{late, early} {
		st = w.Write(st.After, ev)
		commit(t, e, w.Tx(st))
	}
	for text, want := range map[string]int{"n = 111": 1, "n = 101": 0, "n > 0": 1} {
		if n, _ := rows(t, e, text); n != want {
			t.Errorf("%s: %d rows, want %d", text, n, want)
		}
	}
}

// TestBadIndexes tests what cannot be an index.
func TestBadIndexes(t *testing.T) {
	e := open(t, memory.NewStore(), kv.Options{})
	many := schema.Index{}
	for range 17 {
		many.Columns = append(many.Columns, schema.Column{Path: []string{"n"}})
	}
	for name, x := range map[string]schema.Index{
		"no column":       {},
		"too many":        many,
		"an empty path":   {Columns: []schema.Column{{}}},
		"the ID":          {Columns: []schema.Column{{Path: []string{"id"}}}},
		"a very long key": {Columns: []schema.Column{{Path: []string{"extra", strings.Repeat("x", 5000)}}}},
		"very many keys":  {Columns: []schema.Column{{Path: strings.Split(strings.Repeat("x ", 40), " ")}}},
	} {
		if err := e.EnsureIndex(t.Context(), "album", x); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := e.EnsureIndex(t.Context(), "Not A Name", parseIndex("n")); err == nil {
		t.Error("a collection that cannot be: accepted")
	}
}
