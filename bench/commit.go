package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"

	raw "github.com/cockroachdb/pebble/v2"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage/pebble"
)

var cities = ankurah.Dynamic("city")

// open returns a session on a fresh Pebble store, and what removes it.
func open(ctx context.Context, dir string, noSync bool) (*ankurah.Session, func() error, error) {
	eng, err := pebble.Open(ctx, dir, &pebble.Options{NoSync: noSync})
	if err != nil {
		return nil, nil, err
	}
	n, err := ankurah.OpenNode(ctx, eng, &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}})
	if err != nil {
		return nil, nil, errors.Join(err, eng.Close())
	}
	return n.Session(policy.Principal{Subject: "bench"}), func() error { return errors.Join(n.Close(), eng.Close()) }, n.EnsureSystem(ctx)
}

func temp() (string, func(), error) {
	dir, err := os.MkdirTemp("", "ankurah-bench-")
	return dir, func() { os.RemoveAll(dir) }, err
}

func createOne(ctx context.Context, s *ankurah.Session) (id ankurah.ID, err error) {
	err = s.Update(ctx, func(tx *ankurah.Tx) error {
		e, err := cities.Create(tx, &ankurah.Fields{"name": "Reykjavik", "population": 0})
		if err == nil {
			id = e.ID()
		}
		return err
	})
	return id, err
}

func setOne(ctx context.Context, s *ankurah.Session, id ankurah.ID, k int) error {
	return s.Update(ctx, func(tx *ankurah.Tx) error {
		e, err := cities.Edit(tx, id)
		if err != nil {
			return err
		}
		return e.Set("population", k)
	})
}

// rawCommit writes to Pebble what one commit of one register writes: six keys
// of about the same sizes.
func rawCommit(db *raw.DB, opts *raw.WriteOptions, k int) error {
	b := db.NewBatch()
	defer b.Close()
	key := func(space byte, n int) []byte {
		out := make([]byte, n)
		out[0] = space
		for j := range 8 {
			out[n-1-j] = byte(k >> (8 * j))
		}
		return out
	}
	writes := [...]struct{ key, value []byte }{
		{[]byte("state/city/0123456789abcdef"), make([]byte, 190)},
		{key(2, 25), make([]byte, 330)},
		{key(3, 17), make([]byte, 30)},
		{key(4, 17), make([]byte, 32)},
		{key(6, 30), make([]byte, 16)},
		{[]byte("meta/clock"), make([]byte, 8)},
	}
	for _, w := range writes {
		if err := b.Set(w.key, w.value, nil); err != nil {
			return err
		}
	}
	return b.Commit(opts)
}

func singleWriterCommit(ctx context.Context, runs int) ([]result, error) {
	var out []result
	for _, c := range []struct {
		name   string
		noSync bool
		n      int
	}{{"no_fsync", true, 5000}, {"fsync", false, 500}} {
		dir, remove, err := temp()
		if err != nil {
			return out, err
		}
		defer remove()
		s, done, err := open(ctx, filepath.Join(dir, "node"), c.noSync)
		if err != nil {
			return out, err
		}
		id, err := createOne(ctx, s)
		if err != nil {
			return out, err
		}
		db, err := raw.Open(filepath.Join(dir, "raw"), &raw.Options{})
		if err != nil {
			return out, err
		}
		opts := raw.Sync
		if c.noSync {
			opts = raw.NoSync
		}
		r := result{name: c.name, unit: "us", peer: "raw_pebble", params: "writers:1,registers:1,n:" + itoa(c.n)}
		for range runs + 1 { // ours and theirs in turn, so that both see the same machine
			ours, err := perOp(c.n, func(k int) error { return setOne(ctx, s, id, k) })
			if err != nil {
				return out, err
			}
			theirs, err := perOp(c.n, func(k int) error { return rawCommit(db, opts, k) })
			if err != nil {
				return out, err
			}
			r.ours, r.theirs = append(r.ours, ours), append(r.theirs, theirs)
		}
		r.ours, r.theirs = r.ours[1:], r.theirs[1:]
		out = append(out, r)
		if err := errors.Join(done(), db.Close()); err != nil {
			return out, err
		}
	}
	return out, nil
}

func groupCommit(ctx context.Context, runs int) ([]result, error) {
	const writers, each = 64, 50
	dir, remove, err := temp()
	if err != nil {
		return nil, err
	}
	defer remove()
	s, done, err := open(ctx, filepath.Join(dir, "node"), false)
	if err != nil {
		return nil, err
	}
	db, err := raw.Open(filepath.Join(dir, "raw"), &raw.Options{})
	if err != nil {
		return nil, err
	}
	ids := make([]ankurah.ID, writers)
	for k := range ids {
		if ids[k], err = createOne(ctx, s); err != nil {
			return nil, err
		}
	}
	parallel := func(f func(w, k int) error) func() (float64, error) {
		return func() (float64, error) {
			var wg sync.WaitGroup
			errs := make([]error, writers)
			start := time.Now()
			for w := range writers {
				wg.Go(func() {
					for k := range each {
						if errs[w] = f(w, k); errs[w] != nil {
							return
						}
					}
				})
			}
			wg.Wait()
			return writers * each / time.Since(start).Seconds(), errors.Join(errs...)
		}
	}
	ours, err := repeat(runs, parallel(func(w, k int) error { return setOne(ctx, s, ids[w], k) }))
	if err != nil {
		return nil, err
	}
	theirs, err := repeat(runs, parallel(func(w, k int) error { return rawCommit(db, raw.Sync, w<<32|k) }))
	return []result{{name: "fsync", ours: ours, theirs: theirs, unit: "commits/s", rate: true, peer: "raw_pebble",
		params: "writers:64,registers:1"}}, errors.Join(err, done(), db.Close())
}
