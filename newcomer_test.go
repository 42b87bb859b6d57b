package ankurah_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/storage/pebble"
	"github.com/ankurah/ankurah-go/value"
)

// A model that cannot read what is stored is refused when the node is opened,
// by a message that names the property, both types and the way out.
func TestIncompatibleModelIsRefused(t *testing.T) {
	eng := memory.New()
	s := openNode(t, eng, nil).Session(policy.Principal{})
	create(t, s, ankurah.Fields{"name": "x", "year": 2001})
	if err := s.Node().Close(); err != nil {
		t.Fatal(err)
	}
	album := func(kind value.Kind) []ankurah.AnyCollection {
		return []ankurah.AnyCollection{declared{schema.NewModel("Album", "album", []schema.Property{
			{Key: "year", Name: "Year", Type: value.Type{Kind: kind}, Kind: schema.LWW},
		})}}
	}
	opts := ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}, Models: album(value.KindBool)}
	_, err := ankurah.OpenNode(t.Context(), eng, &opts)
	if !errors.Is(err, ankurah.ErrIncompatible) {
		t.Fatalf("bool for int64: %v", err)
	}
	for _, word := range []string{"album", "year", "bool", "int64", "tag"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not say %q", err, word)
		}
	}
	opts.Models = album(value.KindInt64)
	n, err := ankurah.OpenNode(t.Context(), eng, &opts)
	if err != nil {
		t.Fatalf("int64 for int64: %v", err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
}

// A folder that is in use, that holds something else or that is damaged says
// so, and what to do.
func TestFoldersSayWhatIsWrong(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	eng, err := pebble.Open(ctx, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	n, err := ankurah.OpenNode(ctx, eng, &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.EnsureSystem(ctx); err != nil {
		t.Fatal(err)
	}
	expect := func(dir string, kind error, words ...string) {
		t.Helper()
		second, err := pebble.Open(ctx, dir, nil)
		if err == nil {
			second.Close()
			t.Fatalf("%s opened", dir)
		}
		if kind != nil && !errors.Is(err, kind) {
			t.Errorf("%v is not %v", err, kind)
		}
		for _, w := range words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q does not say %q", err, w)
			}
		}
	}
	expect(dir, ankurah.ErrStoreLocked, dir, "process")
	if err := errors.Join(n.Close(), eng.Close()); err != nil {
		t.Fatal(err)
	}

	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "letters.txt"), []byte("dear"), 0o600); err != nil {
		t.Fatal(err)
	}
	expect(other, nil, other, "letters.txt")

	manifests, err := filepath.Glob(filepath.Join(dir, "MANIFEST-*"))
	if err != nil || len(manifests) == 0 {
		t.Fatalf("no MANIFEST: %v", err)
	}
	for _, name := range manifests {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/3] ^= 0xFF
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	expect(dir, ankurah.ErrStoreCorrupt, "damaged", dir, "backup")
}
