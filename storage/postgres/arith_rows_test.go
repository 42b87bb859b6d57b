package postgres_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/ankurahtest/pgtest"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/storagetest"
	"github.com/ankurah/ankurah-go/value"
)

// S42, S48: arithmetic at the ends of 64 and of 32 bits, with zero and with
// null, means in SQL what it means to the evaluator, behind NOT too.
func TestArithmetic(t *testing.T) {
	e := open(t, pgtest.New(t), nil)
	column := func(key string, k value.Kind, def value.Value) schema.Property {
		return schema.Property{Key: key, Type: value.Type{Kind: k}, Default: def}
	}
	m := schema.NewModel("Num", "num", []schema.Property{column("a", value.KindInt64, value.Null), column("b", value.KindInt64, value.Null),
		column("c", value.KindInt32, value.Null), column("d", value.KindInt64, value.Int64(5))})
	if err := e.EnsureModel(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(3, 4))
	long := []int64{0, 1, -1, 2, -2, 3, 7, -7, 21, 27, 28, 100, 1 << 31, -1<<31 - 1, 1<<32 + 1, 1 << 62, -1 << 62, math.MaxInt64, math.MaxInt64 - 1, math.MinInt64, math.MinInt64 + 1}
	short := []int64{0, 1, -1, 2, 7, -7, 21, 27, 28, math.MaxInt32, math.MinInt32, math.MaxInt32 - 1}
	w := storagetest.NewWriter(t, 1)
	var writes []storage.EntityWrite
	for range 300 {
		var ops []event.Operation
		for _, key := range []string{"a", "b", "c", "d"} {
			v := value.Int64(long[r.IntN(len(long))])
			if key == "c" {
				v = value.Int32(int32(short[r.IntN(len(short))]))
			}
			if r.IntN(8) > 0 {
				ops = append(ops, storagetest.Set(key, v))
			}
		}
		writes = append(writes, w.Create("num", ops...))
	}
	if _, err := e.Commit(t.Context(), &storage.Batch{Txs: []storage.Tx{w.Tx(writes...)}}); err != nil {
		t.Fatal(err)
	}
	if err := e.EnsureIndex(t.Context(), "num", schema.Index{Columns: []schema.Column{{Path: []string{"a"}}}}); err != nil {
		t.Fatal(err)
	}
	snap, err := e.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	var operand func(depth int) string
	operand = func(depth int) string {
		switch n := r.IntN(10); {
		case depth > 0 && n < 6:
			return "(" + operand(depth-1) + [...]string{" + ", " - ", " * ", " / "}[r.IntN(4)] + operand(depth-1) + ")"
		case depth > 0 && n == 6:
			return "-" + operand(0)
		case n < 9:
			return [...]string{"a", "b", "c", "d"}[r.IntN(4)]
		}
		return fmt.Sprint(long[1+r.IntN(len(long)-3)])
	}
	predicate := func() string {
		x := operand(1 + r.IntN(3))
		if r.IntN(2) == 0 { // one path and constants
			x = operand(0)
			for range 1 + r.IntN(3) {
				x = "(" + x + [...]string{" + ", " - ", " * ", " / "}[r.IntN(4)] + fmt.Sprint(long[1+r.IntN(len(long)-3)]) + ")"
			}
		}
		switch r.IntN(8) {
		case 0:
			return x + " IS NULL"
		case 1:
			return x + " IN (0, 3, -1)"
		case 2:
			return x + " BETWEEN -2 AND 27"
		case 3:
			return x + " < " + operand(1)
		}
		return x + [...]string{" = ", " != ", " < ", " <= ", " > ", " >= "}[r.IntN(6)] + fmt.Sprint(long[r.IntN(len(long)-2)])
	}
	const pairs = 3000
	for k := range pairs {
		text := predicate()
		switch r.IntN(5) {
		case 0:
			text = "NOT (" + text + ")"
		case 1:
			text = "NOT (" + text + " OR " + predicate() + ")"
		}
		q, err := ankql.Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		sel, err := ankql.Bind(q, m, "num")
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if k%10 == 0 {
			if plan, err := snap.Explain(t.Context(), sel); err != nil || strings.Contains(plan, "filter:") {
				t.Fatalf("%s is not left to the database: %v\n%s", text, err, plan)
			}
		}
		got := map[id.ID]bool{}
		for st, err := range snap.Scan(t.Context(), sel) {
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			got[st.ID()] = true
		}
		for _, write := range writes {
			if st := write.After; sel.Match(st) != got[st.ID()] {
				plan, _ := snap.Explain(t.Context(), sel)
				t.Fatalf("%s: a %v, b %v, c %v, d %v: found %t\n%s", text, st.Value("a"), st.Value("b"), st.Value("c"), st.Value("d"), got[st.ID()], plan)
			}
		}
	}
}
