//go:build js

package indexeddb

import (
	"context"
	"errors"
	"sync"

	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/kv"
	"github.com/ankurah/ankurah-go/storage/memory"
)

// attempts is how often a transaction is tried, each time on a new connection.
const attempts = 4

// Store is a [kv.Store] in a database of the browser.
type Store struct {
	name   string
	memory *memory.Store // what is committed
	db     *database     // used by Open, then by the writer, then by Close
	unlock func()

	mu      sync.Mutex          // guards what follows
	dirty   map[string]struct{} // keys that differ from the database
	writing bool                // there is a writer
	closed  bool
	err     error         // why nothing is written any more
	applied uint64        // batches
	durable uint64        // of them
	news    chan struct{} // closed when durable or err changes
}

// OpenStore opens the bytes under an engine.
func OpenStore(ctx context.Context, name string, opts *Options) (*Store, error) {
	if name == "" {
		return nil, errNoName
	}
	unlock, err := lock(ctx, name, opts != nil && opts.Wait)
	if err != nil {
		return nil, err
	}
	s := &Store{name: name, memory: memory.NewStore(), unlock: unlock, dirty: map[string]struct{}{}, news: make(chan struct{})}
	if s.db, err = open(name, true); err == nil {
		err = s.load(ctx)
	}
	if err != nil {
		s.release()
		return nil, err
	}
	return s, nil
}

// load reads the database into memory.
func (s *Store) load(ctx context.Context) error {
	var last []byte
	for {
		b, err := s.db.page(last)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || len(b.Writes) == 0 {
			return err
		}
		if err := s.memory.Apply(ctx, b); err != nil {
			return err
		}
		last = b.Writes[len(b.Writes)-1].Key
	}
}

// Snapshot returns a view of everything that Apply has returned from.
func (s *Store) Snapshot() (kv.Snapshot, error) { return s.memory.Snapshot() }

// Apply makes the batch's writes if its preconditions hold, and has them
// written to the database.
func (s *Store) Apply(ctx context.Context, b *kv.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.err != nil:
		return s.err
	case s.closed:
		return storage.ErrClosed
	}
	if err := s.memory.Apply(ctx, b); err != nil || len(b.Writes) == 0 {
		return err
	}
	s.applied++
	for k := range b.Writes {
		s.dirty[string(b.Writes[k].Key)] = struct{}{}
	}
	if !s.writing {
		s.writing = true
		go s.write()
	}
	return nil
}

// write writes what differs until nothing does.
func (s *Store) write() {
	for {
		s.mu.Lock()
		if len(s.dirty) == 0 || s.err != nil {
			s.writing = false
			s.told()
			s.mu.Unlock()
			return
		}
		keys, upTo := s.dirty, s.applied
		s.dirty = map[string]struct{}{}
		snap, err := s.memory.Snapshot()
		s.mu.Unlock()
		if err == nil {
			err = s.persist(keys, snap)
		}
		s.mu.Lock()
		if s.err = err; err == nil {
			s.durable = upTo
		}
		s.told()
		s.mu.Unlock()
	}
}

// told wakes those that wait for news. It is called under the lock.
func (s *Store) told() {
	close(s.news)
	s.news = make(chan struct{})
}

// persist writes keys, as they are in snap, in one transaction.
func (s *Store) persist(keys map[string]struct{}, snap kv.Snapshot) error {
	defer func() { _ = snap.Close() }() // it is in memory
	writes := make([]kv.Write, 0, len(keys))
	for key := range keys {
		v, ok, err := snap.Get(context.Background(), []byte(key))
		if err != nil {
			return err
		}
		writes = append(writes, kv.Write{Key: []byte(key), Value: v, Delete: !ok})
	}
	var err error
	for range attempts {
		if s.db == nil {
			if s.db, err = open(s.name, false); err != nil {
				if errors.Is(err, ErrRemoved) {
					return err
				}
				s.db = nil
				continue
			}
		}
		if err = s.db.write(writes); err == nil || errors.Is(err, storage.ErrFull) {
			return err
		}
		s.db.close() // it may be lost
		s.db = nil
	}
	return err
}

// Flush waits until every batch applied so far is in the database.
func (s *Store) Flush(ctx context.Context) error {
	s.mu.Lock()
	upTo := s.applied
	s.mu.Unlock()
	return s.wait(ctx, func() bool { return s.durable >= upTo })
}

// wait waits until ok, which is called under the lock, or until nothing is
// written any more.
func (s *Store) wait(ctx context.Context, ok func() bool) error {
	for {
		s.mu.Lock()
		done, err, news := ok(), s.err, s.news
		s.mu.Unlock()
		switch {
		case done:
			return nil
		case err != nil:
			return err
		}
		select {
		case <-news:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Close writes what is not written and closes the database. An error says that
// something could not be written.
func (s *Store) Close() error {
	s.mu.Lock()
	again := s.closed
	s.closed = true
	s.mu.Unlock()
	if again {
		return nil
	}
	err := s.wait(context.Background(), func() bool { return !s.writing && s.err == nil })
	s.release()
	return err
}

// release closes what Open has opened.
func (s *Store) release() {
	if s.db != nil {
		s.db.close()
	}
	s.unlock()
}
