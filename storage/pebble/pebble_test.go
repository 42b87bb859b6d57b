package pebble_test

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/kv"
	"github.com/ankurah/ankurah-go/storage/pebble"
	"github.com/ankurah/ankurah-go/storage/storagetest"
)

// place is a folder.
type place struct {
	t    *testing.T
	dir  string
	opts pebble.Options
}

func (p place) Open() (storage.Engine, error) {
	e, err := pebble.Open(p.t.Context(), p.dir, &p.opts)
	if err != nil {
		return nil, err
	}
	return e, nil
}

func TestEngine(t *testing.T) {
	storagetest.Run(t, storagetest.Config{
		New: func(t *testing.T) storagetest.Place {
			return place{t, t.TempDir(), pebble.Options{NoSync: true}}
		},
		Exclusive: true,
	})
}

func TestStore(t *testing.T) {
	storagetest.RunStore(t, func(t *testing.T) kv.Store {
		s, err := pebble.OpenStore(t.Context(), "store", &pebble.Options{FS: vfs.NewMem()})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}
