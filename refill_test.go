package ankurah_test

import (
	"context"
	"fmt"
	"iter"
	"sync/atomic"
	"testing"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/memory"
)

// counted is an engine that counts scans and the rows that they yield.
type counted struct {
	storage.Engine
	scans, rows atomic.Int64
}

func (e *counted) Snapshot() (storage.Snapshot, error) {
	s, err := e.Engine.Snapshot()
	return &countedSnapshot{s, e}, err
}

type countedSnapshot struct {
	storage.Snapshot
	e *counted
}

func (s *countedSnapshot) Scan(ctx context.Context, sel *ankql.Selection) iter.Seq2[*entity.State, error] {
	s.e.scans.Add(1)
	return func(yield func(*entity.State, error) bool) {
		for row, err := range s.Snapshot.Scan(ctx, sel) {
			s.e.rows.Add(1)
			if !yield(row, err) {
				return
			}
		}
	}
}

// S53: most rows that leave a window are replaced without a read; a read is of
// the rows that are missing, whatever there is in the collection.
func TestRefillsReadRows(t *testing.T) {
	const rows, limit, leavers = 2_000, 10, 300
	e := &counted{Engine: memory.New()}
	n := openNode(t, e, nil)
	s, ctx := n.Session(policy.Principal{}), t.Context()
	ids := make([]ankurah.ID, rows)
	err := s.Update(ctx, func(tx *ankurah.Tx) error {
		for k := range rows {
			row, err := albums.Create(tx, &ankurah.Fields{"name": fmt.Sprint("n", k%7), "year": k})
			if err != nil {
				return err
			}
			ids[k] = row.ID()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	q, err := albums.Query(ctx, s, "ORDER BY year, name DESC LIMIT ?", limit)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	// The window keeps as many rows more as it shows.
	scans, read := e.scans.Load(), e.rows.Load()
	for k := range leavers {
		err := s.Update(ctx, func(tx *ankurah.Tx) error {
			e, err := albums.Edit(tx, ids[k])
			if err != nil {
				return err
			}
			if k%2 == 0 {
				return e.Delete()
			}
			return e.Set("year", rows+k)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	scans, read = e.scans.Load()-scans, e.rows.Load()-read
	if scans == 0 || scans > leavers/limit+1 || read > scans*2*limit {
		t.Errorf("%d leavers took %d scans of %d rows", leavers, scans, read)
	}
	if got := q.Rows(); len(got) != limit || got[0].ID() != ids[leavers] || got[limit-1].ID() != ids[leavers+limit-1] {
		t.Errorf("the window has %d rows from %v", len(got), got[0].Fields())
	}
	// All of the window and what is kept behind it leave at once: one read.
	scans, read = e.scans.Load(), e.rows.Load()
	err = s.Update(ctx, func(tx *ankurah.Tx) error {
		for k := leavers; k < leavers+5*limit; k++ {
			e, err := albums.Edit(tx, ids[k])
			if err != nil {
				return err
			}
			if err := e.Delete(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if scans, read = e.scans.Load()-scans, e.rows.Load()-read; scans != 1 || read > 2*limit {
		t.Errorf("a bulk took %d scans of %d rows", scans, read)
	}
	if got := q.Rows(); len(got) != limit || got[0].ID() != ids[leavers+5*limit] {
		t.Errorf("the window has %d rows", len(got))
	}
}
