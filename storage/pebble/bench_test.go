package pebble_test

import (
	"context"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ankurah/ankurah-go/storage/kv"
	ours "github.com/ankurah/ankurah-go/storage/pebble"
	"github.com/ankurah/ankurah-go/storage/storagetest"
)

// BenchmarkCommit compares commits with Pebble itself writing the same keys and
// values in batches, the bytes being ready.
func BenchmarkCommit(b *testing.B) {
	for _, c := range []struct {
		name    string
		noSync  bool
		indexed bool
	}{{"nosync", true, false}, {"nosync indexed", true, true}, {"sync", false, false}} {
		b.Run(c.name+"/engine", func(b *testing.B) {
			e, err := ours.Open(b.Context(), b.TempDir(), &ours.Options{NoSync: c.noSync})
			if err != nil {
				b.Fatal(err)
			}
			defer e.Close()
			storagetest.BenchmarkCommit(b, e, c.indexed)
		})
		b.Run(c.name+"/raw", func(b *testing.B) {
			db, err := pebble.Open(b.TempDir(), &pebble.Options{Logger: quiet{}, MemTableSize: 32 << 20, FormatMajorVersion: pebble.FormatNewest})
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			store, err := ours.OpenStore(b.Context(), "store", &ours.Options{FS: vfs.NewMem(), NoSync: true})
			if err != nil {
				b.Fatal(err)
			}
			recorder := &storagetest.Recorder{Store: store}
			e, err := kv.New(recorder, nil)
			if err != nil {
				b.Fatal(err)
			}
			defer e.Close()
			opts := pebble.Sync
			if c.noSync {
				opts = pebble.NoSync
			}
			storagetest.BenchmarkApply(b, e, recorder, c.indexed, func(writes []kv.Write) error {
				batch := db.NewBatch()
				defer batch.Close()
				for k := range writes {
					w := &writes[k]
					if w.Delete {
						err = batch.Delete(w.Key, nil)
					} else {
						err = batch.Set(w.Key, w.Value, nil)
					}
					if err != nil {
						return err
					}
				}
				return batch.Commit(opts)
			})
		})
	}
}

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(string, ...any) {}

func BenchmarkReads(b *testing.B) {
	e, err := ours.Open(b.Context(), b.TempDir(), &ours.Options{NoSync: true})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	storagetest.BenchmarkReads(b, e, 200_000)
}

// BenchmarkOpen measures opening a store of 1,000,000 entities.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	e, err := ours.Open(b.Context(), dir, &ours.Options{NoSync: true})
	if err != nil {
		b.Fatal(err)
	}
	storagetest.Fill(b, e, 1_000_000)
	if err := e.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		e, err := ours.Open(context.Background(), dir, nil)
		if err != nil {
			b.Fatal(err)
		}
		if err := e.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
