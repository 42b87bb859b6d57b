package memory_test

import (
	"testing"

	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/kv"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/storage/storagetest"
)

// place keeps its store between engines.
type place struct{ store *memory.Store }

func (p place) Open() (storage.Engine, error) {
	return kv.New(p.store, &kv.Options{Name: "memory", Location: "memory:test", Durability: "none"})
}

func TestEngine(t *testing.T) {
	storagetest.Run(t, storagetest.Config{
		New: func(*testing.T) storagetest.Place { return place{memory.NewStore()} },
	})
}

func TestStore(t *testing.T) {
	storagetest.RunStore(t, func(*testing.T) kv.Store { return memory.NewStore() })
}
