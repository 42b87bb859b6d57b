package ankurah_test

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/ankurahtest/pgtest"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/storage/pebble"
	"github.com/ankurah/ankurah-go/storage/postgres"
)

// oracleEngines are those that live queries are held against an oracle on.
func oracleEngines() map[string]func(t *testing.T) storage.Engine {
	return map[string]func(t *testing.T) storage.Engine{
		"memory": func(*testing.T) storage.Engine { return memory.New() },
		"pebble": func(t *testing.T) storage.Engine {
			eng, err := pebble.Open(t.Context(), t.TempDir(), &pebble.Options{NoSync: true})
			if err != nil {
				t.Fatal(err)
			}
			return eng
		},
		// Here fetching is SQL, so live rows are held against PostgreSQL.
		"postgres": func(t *testing.T) storage.Engine {
			eng, err := postgres.Open(t.Context(), pgtest.New(t), nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := eng.Close(); err != nil {
					t.Error(err)
				}
			})
			return eng
		},
		"lossy": func(t *testing.T) storage.Engine {
			e := &lossy{Engine: memory.New(), r: rand.New(rand.NewPCG(1, 2)), oneIn: 50}
			t.Cleanup(func() {
				if n := e.lost.Load(); n < 5 {
					t.Errorf("only %d snapshots were lost", n)
				}
			})
			return e
		},
	}
}

// settled calls differ until it returns "", on a lossy engine: there a query is
// read anew behind the commit.
func settled(eng storage.Engine, differ func() string) string {
	diff := differ()
	if _, late := eng.(*lossy); late {
		for wait := time.Millisecond; diff != "" && wait < 5*time.Second; wait *= 2 {
			time.Sleep(wait)
			diff = differ()
		}
	}
	return diff
}

// lossy is an engine that loses snapshots while they are read, as one does that
// reads from a server.
type lossy struct {
	storage.Engine
	mu     sync.Mutex
	r      *rand.Rand
	oneIn  int // reads
	lost   atomic.Int64
	opened atomic.Bool
}

func (e *lossy) Snapshot() (storage.Snapshot, error) {
	s, err := e.Engine.Snapshot()
	snap := &lossySnapshot{Snapshot: s, e: e}
	snap.kept = !e.opened.Swap(true) // who opens a node is told
	return snap, err
}

type lossySnapshot struct {
	storage.Snapshot
	e    *lossy
	kept bool
	lost atomic.Bool
}

// loses decides whether the snapshot is lost now; once is for ever.
func (s *lossySnapshot) loses() error {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	if !s.kept && !s.lost.Load() && s.e.r.IntN(s.e.oneIn) == 0 {
		s.lost.Store(true)
		s.e.lost.Add(1)
	}
	if s.lost.Load() {
		return fmt.Errorf("lossy: %w", storage.ErrInterrupted)
	}
	return nil
}

func (s *lossySnapshot) State(ctx context.Context, collection string, i id.ID) (*entity.State, error) {
	if err := s.loses(); err != nil {
		return nil, err
	}
	return s.Snapshot.State(ctx, collection, i)
}

func (s *lossySnapshot) Find(ctx context.Context, e id.ID) (storage.Position, bool, error) {
	if err := s.loses(); err != nil {
		return storage.Position{}, false, err
	}
	return s.Snapshot.Find(ctx, e)
}

func (s *lossySnapshot) Count(ctx context.Context, sel *ankql.Selection) (int64, error) {
	if err := s.loses(); err != nil {
		return 0, err
	}
	return s.Snapshot.Count(ctx, sel)
}

func (s *lossySnapshot) Tx(ctx context.Context, tx event.TxID) ([]byte, bool, error) {
	if err := s.loses(); err != nil {
		return nil, false, err
	}
	return s.Snapshot.Tx(ctx, tx)
}

func (s *lossySnapshot) Events(ctx context.Context, collection string, i id.ID, first, last uint64) iter.Seq2[*event.Event, error] {
	return losing(s, s.Snapshot.Events(ctx, collection, i, first, last))
}

func (s *lossySnapshot) Scan(ctx context.Context, sel *ankql.Selection) iter.Seq2[*entity.State, error] {
	return losing(s, s.Snapshot.Scan(ctx, sel))
}

func (s *lossySnapshot) MetaRange(ctx context.Context, lo, hi []byte) iter.Seq2[storage.MetaWrite, error] {
	return losing(s, s.Snapshot.MetaRange(ctx, lo, hi))
}

// losing yields what seq does, until s is lost.
func losing[T any](s *lossySnapshot, seq iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		if err := s.loses(); err != nil {
			yield(zero, err)
			return
		}
		for v, err := range seq {
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}
