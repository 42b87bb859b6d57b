package postgres_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/ankurahtest/pgtest"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/storagetest"
	"github.com/ankurah/ankurah-go/value"
)

// S47, S48: texts that differ behind what an index holds, or before it, are in
// order, with limits and cursors, and prefixes of about that length find what
// they say.
func TestLongTexts(t *testing.T) {
	e := open(t, pgtest.New(t), nil)
	property := func(key string, k value.Kind) schema.Property {
		return schema.Property{Key: key, Type: value.Type{Kind: k}}
	}
	m := schema.NewModel("Page", "page", []schema.Property{property("title", value.KindString), property("hash", value.KindBytes), property("n", value.KindInt64)})
	if err := e.EnsureModel(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(5, 6))
	text := func() string {
		letters := []string{"a", "b", "é", "\U0010FFFF", "%", "_"}
		s := []string{"", "p", strings.Repeat("x", 126), strings.Repeat("é", 127), strings.Repeat("é", 64), strings.Repeat("x", 200)}[r.IntN(6)]
		for range r.IntN(4) {
			s += letters[r.IntN(len(letters))]
		}
		return s
	}
	w := storagetest.NewWriter(t, 1)
	var writes []storage.EntityWrite
	var all []*entity.State
	for range 400 {
		ops := []event.Operation{storagetest.Set("n", value.Int64(r.Int64N(3)))}
		if r.IntN(10) > 0 {
			ops = append(ops, storagetest.Set("title", value.String(text())))
		}
		if r.IntN(10) > 0 {
			ops = append(ops, storagetest.Set("hash", value.Bytes([]byte(text()))))
		}
		write := w.Create("page", ops...)
		writes, all = append(writes, write), append(all, write.After)
	}
	if _, err := e.Commit(t.Context(), &storage.Batch{Txs: []storage.Tx{w.Tx(writes...)}}); err != nil {
		t.Fatal(err)
	}
	for _, columns := range [][]schema.Column{{{Path: []string{"title"}}}, {{Path: []string{"n"}}, {Path: []string{"title"}, Desc: true}}, {{Path: []string{"hash"}}}} {
		if err := e.EnsureIndex(t.Context(), "page", schema.Index{Columns: columns}); err != nil {
			t.Fatal(err)
		}
	}
	snap, err := e.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	orders := []string{"title", "title DESC", "n, title DESC", "hash", "hash DESC, title", "title NULLS FIRST, n", "title, hash DESC"}
	for range 600 {
		query, args := "", []any(nil)
		if r.IntN(2) == 0 {
			pattern := strings.NewReplacer("%", `\%`, "_", `\_`).Replace(text()) + []string{"%", "%%", "", "%a", "_%"}[r.IntN(5)]
			query, args = []string{"title LIKE ? ", "title NOT LIKE ? "}[r.IntN(2)], []any{pattern}
		}
		query += fmt.Sprintf("ORDER BY %s LIMIT %d", orders[r.IntN(len(orders))], 1+r.IntN(60))
		q, err := ankql.Parse(query)
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		sel, err := ankql.Bind(q, m, "page", args...)
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		if r.IntN(2) == 0 {
			st := all[r.IntN(len(all))]
			sel.After = &ankql.Cursor{ID: st.ID()}
			for k := range sel.Order {
				sel.After.Key = append(sel.After.Key, st.Value(sel.Order[k].Path.Key))
			}
		}
		var want, got []id.ID
		rows := slices.Clone(all)
		slices.SortFunc(rows, func(a, b *entity.State) int { return sel.Compare(a, b) })
		for _, st := range rows {
			if sel.Match(st) && (sel.After == nil || sel.CompareCursor(st, sel.After) > 0) && len(want) < sel.Limit {
				want = append(want, st.ID())
			}
		}
		for st, err := range snap.Scan(t.Context(), sel) {
			if err != nil {
				t.Fatalf("%s: %v", query, err)
			}
			got = append(got, st.ID())
		}
		if !slices.Equal(got, want) {
			plan, _ := snap.Explain(t.Context(), sel)
			t.Fatalf("%s %q after %v: %d rows, want %d, or they are in another order\n%s", query, args, sel.After, len(got), len(want), plan)
		}
	}
}
