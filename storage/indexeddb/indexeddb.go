//go:build js

package indexeddb

import (
	"context"
	"errors"
	"strings"

	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/kv"
)

func init() {
	storage.Register("indexeddb", func(ctx context.Context, url string) (storage.Engine, error) {
		_, name, _ := strings.Cut(url, ":")
		e, err := Open(ctx, name, nil)
		if err != nil {
			return nil, err
		}
		return e, nil
	})
}

// Options configures an engine; nil is the zero value.
type Options struct {
	// Wait has Open wait while the database is open elsewhere, instead of
	// failing.
	Wait bool

	Index kv.IndexOptions
}

// Engine is a [storage.Engine] and a [storage.Flusher].
type Engine struct {
	*kv.Engine
	store *Store
}

// Open opens the database of that name, which it makes if need be. A database
// that is open elsewhere is an error that wraps [storage.ErrLocked].
func Open(ctx context.Context, name string, opts *Options) (*Engine, error) {
	if opts == nil {
		opts = &Options{}
	}
	s, err := OpenStore(ctx, name, opts)
	if err != nil {
		return nil, err
	}
	e, err := kv.New(s, &kv.Options{Name: "indexeddb", Location: "indexeddb:" + name, Durability: "relaxed", Index: opts.Index})
	if err != nil {
		return nil, err
	}
	return &Engine{e, s}, nil
}

// Flush waits until everything that Commit has returned from is in the
// database. An error says why the rest will not be.
func (e *Engine) Flush(ctx context.Context) error { return e.store.Flush(ctx) }

// Remove removes the database of that name, which must not be open. Removing
// what is not there does nothing.
func Remove(ctx context.Context, name string) error {
	if name == "" {
		return errNoName
	}
	free, err := lock(ctx, name, false)
	if err != nil {
		return err
	}
	defer free()
	return remove(name)
}

var errNoName = errors.New("ankurah: the database has no name: write indexeddb:name")
