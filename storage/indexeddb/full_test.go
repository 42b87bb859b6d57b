//go:build js

package indexeddb_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/indexeddb"
	"github.com/ankurah/ankurah-go/storage/kv"
)

// A browser without room: Flush says so, nothing more is committed, and what
// was durable is there when there is room again. Chromium asks for
// the room that is left only now and then: this test has to be the first.
func TestQuota(t *testing.T) {
	name := fresh(t)
	call(t, "testQuota", 1<<20)
	defer call(t, "testQuota", 1<<30)
	s := openStore(t, name)
	apply(t, s, set("small", "kept"))
	flush(t, s)
	large := make([]byte, 256<<10)
	var err error
	for k := 0; k < 40 && err == nil; k++ {
		for i := range large {
			large[i] = byte(rand.Uint32())
		}
		if err = s.Apply(t.Context(), &kv.Batch{Writes: []kv.Write{{Key: fmt.Append(nil, "large", k), Value: large}}}); err == nil {
			err = s.Flush(t.Context())
		}
	}
	var typed *indexeddb.Error
	if !errors.Is(err, storage.ErrFull) || !errors.As(err, &typed) || typed.Op != "write" {
		t.Fatalf("Flush says %v", err)
	}
	if err := s.Apply(t.Context(), &kv.Batch{}); !errors.Is(err, storage.ErrFull) {
		t.Errorf("Apply says %v", err)
	}
	if err := s.Close(); !errors.Is(err, storage.ErrFull) {
		t.Errorf("Close says %v", err)
	}
	call(t, "testQuota", 1<<30)
	s = openStore(t, name)
	if got := content(t, s)["small"]; got != "kept" {
		t.Errorf("what was durable is %q", got)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
