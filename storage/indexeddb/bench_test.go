//go:build js

package indexeddb_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/ankurah/ankurah-go/storage/indexeddb"
	"github.com/ankurah/ankurah-go/storage/kv"
)

// records are what b.N records of 200 bytes look like, in batches of four, as
// of commits.
func records(b *testing.B) (batches []*kv.Batch) {
	for k := range b.N {
		if k%4 == 0 {
			batches = append(batches, &kv.Batch{})
		}
		last := batches[len(batches)-1]
		last.Writes = append(last.Writes, kv.Write{Key: fmt.Appendf(nil, "key of a record, %08d", k), Value: make([]byte, 200)})
	}
	return batches
}

func filled(b *testing.B, name string) *indexeddb.Store {
	s, err := indexeddb.OpenStore(b.Context(), name, nil)
	if err != nil {
		b.Fatal(err)
	}
	for _, batch := range records(b) {
		if err := s.Apply(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	return s
}

func removed(b *testing.B, s *indexeddb.Store, name string) {
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	if err := indexeddb.Remove(context.Background(), name); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkWrite is a record, applied with others and durable.
func BenchmarkWrite(b *testing.B) {
	s := filled(b, "bench")
	b.StopTimer()
	removed(b, s, "bench")
}

// BenchmarkLoad is a record that is read when the database is opened.
func BenchmarkLoad(b *testing.B) {
	if err := filled(b, "bench").Close(); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	s, err := indexeddb.OpenStore(b.Context(), "bench", nil)
	if err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	removed(b, s, "bench")
}

// BenchmarkFlush is one commit of four records, durable before the next.
func BenchmarkFlush(b *testing.B) {
	s := filled(b, "bench")
	b.ResetTimer()
	for k := range b.N {
		batch := &kv.Batch{Writes: make([]kv.Write, 4)}
		for i := range batch.Writes {
			batch.Writes[i] = kv.Write{Key: fmt.Append(nil, k, i), Value: make([]byte, 200)}
		}
		if err := s.Apply(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
		if err := s.Flush(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	removed(b, s, "bench")
}
