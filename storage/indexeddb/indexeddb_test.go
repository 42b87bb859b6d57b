//go:build js

package indexeddb_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/indexeddb"
	"github.com/ankurah/ankurah-go/storage/kv"
	"github.com/ankurah/ankurah-go/storage/storagetest"
)

var names int

// fresh returns the name of a database that does not exist, and that the test
// need not remove.
func fresh(t *testing.T) string {
	names++
	name := fmt.Sprint("test", names)
	t.Cleanup(func() {
		if err := indexeddb.Remove(context.Background(), name); err != nil {
			t.Error(err)
		}
	})
	return name
}

// place is a database.
type place struct {
	t    *testing.T
	name string
}

func (p place) Open() (storage.Engine, error) {
	e, err := indexeddb.Open(p.t.Context(), p.name, nil)
	if err != nil {
		return nil, err
	}
	return e, nil
}

func TestEngine(t *testing.T) {
	storagetest.Run(t, storagetest.Config{
		New:       func(t *testing.T) storagetest.Place { return place{t, fresh(t)} },
		Exclusive: true,
	})
}

func TestStore(t *testing.T) {
	storagetest.RunStore(t, func(t *testing.T) kv.Store {
		s, err := indexeddb.OpenStore(t.Context(), fresh(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}
