package ankurah_test

import (
	"context"
	"strconv"
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/kv"
)

// An index is used as soon as it is complete, also when nothing is committed
// after it was built.
func TestIndexIsUsedWhenComplete(t *testing.T) {
	s, ctx := memorySession(t), t.Context()
	create(t, s, ankurah.Fields{"name": "a"})
	if plan, err := albums.Explain(ctx, s, "name = 'a'"); err != nil || strings.Contains(plan, "by index") {
		t.Fatalf("before: %s, %v", plan, err)
	}
	x := schema.Index{Columns: []schema.Column{{Path: []string{"name"}}}}
	if err := s.Node().Engine().(storage.Indexer).EnsureIndex(ctx, "album", x); err != nil {
		t.Fatal(err)
	}
	if plan, err := albums.Explain(ctx, s, "name = 'a'"); err != nil || !strings.Contains(plan, "by index name") {
		t.Fatalf("after: %s, %v", plan, err)
	}
	if rows, err := albums.Fetch(ctx, s, "name = 'a'"); err != nil || len(rows) != 1 {
		t.Fatalf("%v, %v", names(rows), err)
	}
}

// S48: so do live queries and aggregates, which are read first from what is
// published.
func TestIndexIsUsedByLiveQueries(t *testing.T) {
	s, ctx := memorySession(t), t.Context()
	const rows = 1200 // more than a scan may examine without an index
	err := s.Update(ctx, func(tx *ankurah.Tx) error {
		for k := range rows {
			if _, err := albums.Create(tx, &ankurah.Fields{"name": strconv.Itoa(k)}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	engine := s.Node().Engine().(interface {
		WaitIndexes(context.Context) error
		Stats() kv.Stats
	})
	examined := func(k int) uint64 {
		before := engine.Stats().Examined
		q, err := albums.Query(ctx, s, "name = ?", strconv.Itoa(k))
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		if len(q.Rows()) != 1 {
			t.Fatalf("%d rows", len(q.Rows()))
		}
		return engine.Stats().Examined - before
	}
	if n := examined(7); n < rows {
		t.Fatalf("the first read examined %d entities: nothing is proven", n)
	}
	if err := engine.WaitIndexes(ctx); err != nil {
		t.Fatal(err)
	}
	if n := examined(8); n > 1 {
		t.Errorf("%d entities were examined for one row, with an index", n)
	}
}
