package ankurah_test

import (
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/storage"
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
