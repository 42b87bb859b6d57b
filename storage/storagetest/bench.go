package storagetest

import (
	"bytes"
	"context"
	"strconv"
	"testing"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/kv"
	"github.com/ankurah/ankurah-go/value"
)

// benchIndexes are the indexes of the collections that benchmarks use.
var benchIndexes = []schema.Index{
	{Columns: []schema.Column{{Path: []string{"code"}}}},
	{Columns: []schema.Column{{Path: []string{"group"}}, {Path: []string{"n"}, Desc: true}}},
}

// benchRow returns the write that creates row k: five properties, of which code
// is unique and group shared by 20 rows.
func benchRow(w *Writer, k int) storage.EntityWrite {
	return w.Create("row",
		Set("code", value.String("code "+strconv.Itoa(k))), Set("group", value.Int64(int64(k/20))), Set("n", value.Int64(int64(k))),
		Set("open", value.Bool(k%2 == 0)), Set("title", value.String("The title of row number "+strconv.Itoa(k))))
}

// BenchmarkCommit measures commits of one transaction that sets one register of
// one of 1,000 entities, with a record and a meta write, as a node makes them.
// With indexed, the register is a column of one of two indexes.
func BenchmarkCommit(b *testing.B, e storage.Engine, indexed bool) {
	b.Helper()
	c := newCommits(b, e, indexed)
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; {
		b.StopTimer()
		batches := c.next(min(b.N-done, 1000))
		b.StartTimer()
		for k := range batches {
			r, err := e.Commit(context.Background(), &batches[k])
			if err != nil || r.Conflicts != nil {
				b.Fatal(err, r.Conflicts)
			}
		}
		done += len(batches)
	}
}

// commits makes the batches of BenchmarkCommit.
type commits struct {
	w      *Writer
	states []*entity.State
	key    string
	n      int
}

func newCommits(b *testing.B, e storage.Engine, indexed bool) *commits {
	b.Helper()
	c := &commits{w: NewWriter(b, 1), key: "title"}
	if indexed {
		c.key = "n"
		for _, x := range benchIndexes {
			if err := e.(storage.Indexer).EnsureIndex(b.Context(), "row", x); err != nil {
				b.Fatal(err)
			}
		}
	}
	for k := range 1000 {
		ew := benchRow(c.w, k)
		if _, err := e.Commit(b.Context(), &storage.Batch{Txs: []storage.Tx{c.w.Tx(ew)}}); err != nil {
			b.Fatal(err)
		}
		c.states = append(c.states, ew.After)
	}
	return c
}

func (c *commits) next(n int) []storage.Batch {
	out := make([]storage.Batch, n)
	for k := range out {
		c.n++
		st := &c.states[c.n%len(c.states)]
		v := value.Int64(int64(c.n))
		if c.key == "title" {
			v = value.String("Another title, number " + strconv.Itoa(c.n))
		}
		tx := c.w.Tx(c.w.Edit(*st, Set(c.key, v)))
		tx.Meta = []storage.MetaWrite{{Key: []byte("clock"), Value: tx.ID[:8]}}
		*st = tx.Entities[0].After
		out[k].Txs = []storage.Tx{tx}
	}
	return out
}

// BenchmarkApply measures what remains of [BenchmarkCommit] when the engine's
// batches are ready: raw gets their writes.
func BenchmarkApply(b *testing.B, e storage.Engine, recorder *Recorder, indexed bool, raw func([]kv.Write) error) {
	b.Helper()
	c := newCommits(b, e, indexed)
	size, ops := 0, 0
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; {
		b.StopTimer()
		recorder.Batches = nil
		for _, batch := range c.next(min(b.N-done, 1000)) {
			if _, err := e.Commit(b.Context(), &batch); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
		for _, writes := range recorder.Batches {
			for k := range writes {
				size += len(writes[k].Key) + len(writes[k].Value)
				ops++
			}
			if err := raw(writes); err != nil {
				b.Fatal(err)
			}
		}
		done += len(recorder.Batches)
	}
	b.ReportMetric(float64(size)/float64(b.N), "bytes/batch")
	b.ReportMetric(float64(ops)/float64(b.N), "keys/batch")
}

// Recorder is a store that keeps a copy of the writes it is given.
type Recorder struct {
	kv.Store
	Batches [][]kv.Write
}

// Apply records and applies a batch.
func (r *Recorder) Apply(ctx context.Context, b *kv.Batch) error {
	writes := make([]kv.Write, len(b.Writes))
	for k, w := range b.Writes {
		writes[k] = kv.Write{Key: bytes.Clone(w.Key), Value: bytes.Clone(w.Value), Delete: w.Delete}
	}
	r.Batches = append(r.Batches, writes)
	return r.Store.Apply(ctx, b)
}

// Fill creates n rows, with two indexes, and returns their IDs.
func Fill(b *testing.B, e storage.Engine, n int) []id.ID {
	b.Helper()
	w := NewWriter(b, 1)
	var ids []id.ID
	for k := 0; k < n; k += 1000 {
		var writes []storage.EntityWrite
		for j := range min(1000, n-k) {
			ew := benchRow(w, k+j)
			ids = append(ids, ew.After.ID())
			writes = append(writes, ew)
		}
		if _, err := e.Commit(b.Context(), &storage.Batch{Txs: []storage.Tx{w.Tx(writes...)}}); err != nil {
			b.Fatal(err)
		}
	}
	for _, x := range benchIndexes {
		if err := e.(storage.Indexer).EnsureIndex(b.Context(), "row", x); err != nil {
			b.Fatal(err)
		}
	}
	return ids
}

// BenchmarkReads measures reads of an engine that it fills with n rows.
func BenchmarkReads(b *testing.B, e storage.Engine, n int) {
	ids := Fill(b, e, n)
	r := NewWriter(b, 2).Rand
	snap, err := e.Snapshot()
	if err != nil {
		b.Fatal(err)
	}
	defer snap.Close()
	property := func(key string, k value.Kind) schema.Property {
		return schema.Property{Key: key, Type: value.Type{Kind: k}}
	}
	m := schema.NewModel("Row", "row", []schema.Property{property("code", value.KindString), property("group", value.KindInt64),
		property("n", value.KindInt64), property("open", value.KindBool), property("title", value.KindString)})
	bind := func(text string, args ...any) *ankql.Selection {
		q, err := ankql.Parse(text)
		if err != nil {
			b.Fatal(err)
		}
		sel, err := ankql.Bind(q, m, "row", args...)
		if err != nil {
			b.Fatal(err)
		}
		return sel
	}
	b.Run("get", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if st, err := snap.State(context.Background(), "row", ids[r.IntN(n)]); st == nil || err != nil {
				b.Fatal(err)
			}
		}
	})
	scan := func(name string, rows int, sel func() *ankql.Selection) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				found := 0
				for _, err := range snap.Scan(context.Background(), sel()) {
					if err != nil {
						b.Fatal(err)
					}
					found++
				}
				if found != rows {
					b.Fatalf("%d rows", found)
				}
			}
			b.ReportMetric(float64(rows), "rows")
		})
	}
	var equals []*ankql.Selection
	for range 1000 {
		equals = append(equals, bind("code = ?", "code "+strconv.Itoa(r.IntN(n))))
	}
	k := 0
	scan("equality, 1 row", 1, func() *ankql.Selection { k++; return equals[k%len(equals)] })
	byGroup := bind("group = ?", int64(n/40))
	scan("equality, 20 rows", 20, func() *ankql.Selection { return byGroup })
	top := bind("group >= 0 ORDER BY group DESC, n LIMIT 50")
	scan("order, 50 rows", 50, func() *ankql.Selection { return top })
	page := bind("group = ? ORDER BY n DESC LIMIT 10", int64(n/40))
	scan("equality and order, 10 rows", 10, func() *ankql.Selection { return page })
	all := bind("title LIKE '%number 7'")
	scan("scan of all", 1, func() *ankql.Selection { return all })
	b.Run("count by index", func(b *testing.B) {
		sel := bind("group >= ?", int64(n/40))
		for b.Loop() {
			if _, err := snap.Count(context.Background(), sel); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(n/2), "rows")
	})
}
