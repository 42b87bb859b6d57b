// Package memory provides a storage engine that keeps everything in memory and
// loses it when it is closed: for tests, for caches, and for pages whose data
// lives elsewhere.
//
// A snapshot costs nothing and never blocks a commit.
package memory

import (
	"bytes"
	"context"
	"strings"
	"sync"

	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/kv"
)

func init() {
	storage.Register("memory", func(_ context.Context, url string) (storage.Engine, error) {
		_, name, _ := strings.Cut(url, ":")
		e, err := Open(&Options{Name: name})
		if err != nil {
			return nil, err
		}
		return e, nil
	})
}

// Options configures an engine; nil is the zero value.
type Options struct {
	Name  string // for people, in Info
	Index kv.IndexOptions
}

// Open returns a new, empty engine.
func Open(opts *Options) (*kv.Engine, error) {
	if opts == nil {
		opts = &Options{}
	}
	return kv.New(NewStore(), &kv.Options{Name: "memory", Location: "memory:" + opts.Name, Durability: "none", Index: opts.Index})
}

// New returns a new, empty engine with default options.
func New() storage.Engine {
	e, err := Open(nil)
	if err != nil {
		panic(err) // an empty store in memory has nothing that can fail
	}
	return e
}

// Store is a [kv.Store] in memory. Its zero value is empty and ready. Closing
// it does nothing: an engine opened over it again finds everything.
type Store struct {
	mu   sync.Mutex // guards tree; versions of it need no lock
	tree tree
}

// NewStore returns an empty store.
func NewStore() *Store { return &Store{} }

// Clone returns a store with the same content, which goes its own way from
// now on. It costs nothing.
func (s *Store) Clone() *Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := NewStore()
	c.tree = tree{root: s.tree.version(), epoch: s.tree.epoch}
	return c
}

// Snapshot returns the store's current content.
func (s *Store) Snapshot() (kv.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return snapshot{s.tree.version()}, nil
}

// Apply makes the batch's writes if its preconditions hold. It copies keys and
// values.
func (s *Store) Apply(ctx context.Context, b *kv.Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for k := range b.Preconditions {
		p := &b.Preconditions[k]
		i := s.tree.root.get(p.Key)
		if (i != nil) != (p.Value != nil) || i != nil && !bytes.Equal(i.value, p.Value) {
			return &kv.PreconditionError{Index: k}
		}
	}
	for k := range b.Writes {
		w := &b.Writes[k]
		if w.Delete {
			s.tree.remove(w.Key)
			continue
		}
		data := make([]byte, len(w.Key)+len(w.Value))
		n := copy(data, w.Key)
		copy(data[n:], w.Value)
		s.tree.set(&item{data[:n:n], data[n:]})
	}
	return nil
}

// Close does nothing.
func (s *Store) Close() error { return nil }

type snapshot struct{ root *node }

func (s snapshot) Get(ctx context.Context, key []byte) ([]byte, bool, error) {
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	i := s.root.get(key)
	if i == nil {
		return nil, false, nil
	}
	return append([]byte{}, i.value...), true, nil
}

func (s snapshot) Scan(_ context.Context, lo, hi []byte, reverse bool) (kv.Iterator, error) {
	return iterator{newWalk(s.root, lo, hi, reverse)}, nil
}

func (s snapshot) Close() error { return nil }

type iterator struct{ *walk }

func (i iterator) Next() bool    { return i.next() }
func (i iterator) Key() []byte   { return i.item.key }
func (i iterator) Value() []byte { return i.item.value }
func (i iterator) Err() error    { return nil }
func (i iterator) Close() error  { return nil }
