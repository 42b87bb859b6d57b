package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	raw "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/kv"
	"github.com/ankurah/ankurah-go/storage/pebble"
)

var cities = ankurah.Dynamic("city")

// open returns a session on a fresh Pebble store, and what removes it.
func open(ctx context.Context, dir string, noSync bool) (*ankurah.Session, func() error, error) {
	eng, err := pebble.Open(ctx, dir, &pebble.Options{NoSync: noSync})
	if err != nil {
		return nil, nil, err
	}
	return openOn(ctx, eng)
}

// openOn returns a session on a durable node over an engine, and what closes both.
func openOn(ctx context.Context, eng storage.Engine) (*ankurah.Session, func() error, error) {
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

// recorder is a store that keeps copies of the batches it is given.
type recorder struct {
	kv.Store
	batches [][]kv.Write
}

func (r *recorder) Apply(ctx context.Context, b *kv.Batch) error {
	writes := make([]kv.Write, len(b.Writes))
	for k, w := range b.Writes {
		writes[k] = kv.Write{Key: bytes.Clone(w.Key), Value: bytes.Clone(w.Value), Delete: w.Delete}
	}
	r.batches = append(r.batches, writes)
	return r.Store.Apply(ctx, b)
}

// recorded returns what n commits of one register write, a batch a commit.
func recorded(ctx context.Context, n int) ([][]kv.Write, error) {
	store, err := pebble.OpenStore(ctx, "store", &pebble.Options{FS: vfs.NewMem(), NoSync: true})
	if err != nil {
		return nil, err
	}
	r := &recorder{Store: store}
	eng, err := kv.New(r, nil)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	s, done, err := openOn(ctx, eng)
	if err != nil {
		return nil, err
	}
	id, err := createOne(ctx, s)
	if err != nil {
		return nil, errors.Join(err, done())
	}
	r.batches = nil
	for k := range n {
		if err := setOne(ctx, s, id, k); err != nil {
			return nil, errors.Join(err, done())
		}
	}
	if err := done(); err != nil {
		return nil, err
	}
	if len(r.batches) < n {
		return nil, fmt.Errorf("%d commits wrote %d batches", n, len(r.batches))
	}
	return r.batches[:n], nil
}

func describe(batches [][]kv.Write) string {
	keys, size := 0, 0
	for _, b := range batches {
		keys += len(b)
		for _, w := range b {
			size += len(w.Key) + len(w.Value)
		}
	}
	return fmt.Sprintf("keys:%d,bytes:%d", keys/len(batches), size/len(batches))
}

// rawPebble is Pebble itself, with the options of our store that writes depend on.
type rawPebble struct {
	db   *raw.DB
	opts *raw.WriteOptions
}

type quiet struct{}

func (quiet) Infof(string, ...any)         {}
func (quiet) Errorf(f string, args ...any) { fmt.Fprintf(os.Stderr, f+"\n", args...) }
func (quiet) Fatalf(f string, args ...any) { panic(fmt.Sprintf(f, args...)) }

func openRaw(dir string, noSync bool) (*rawPebble, error) {
	opts := raw.Sync
	if noSync {
		opts = raw.NoSync
	}
	db, err := raw.Open(dir, &raw.Options{
		Logger: quiet{}, FormatMajorVersion: raw.FormatValueSeparation,
		CacheSize: 64 << 20, MemTableSize: 32 << 20, MemTableStopWritesThreshold: 4,
		L0CompactionThreshold: 4, L0StopWritesThreshold: 24, LBaseMaxBytes: 64 << 20,
	})
	return &rawPebble{db, opts}, err
}

func (p *rawPebble) commit(writes []kv.Write) error {
	b := p.db.NewBatch()
	defer b.Close()
	for _, w := range writes {
		var err error
		if w.Delete {
			err = b.Delete(w.Key, nil)
		} else {
			err = b.Set(w.Key, w.Value, nil)
		}
		if err != nil {
			return err
		}
	}
	return b.Commit(p.opts)
}

func singleWriterCommit(ctx context.Context, runs int) ([]result, error) {
	const lane = "single_writer_commit"
	const most = 5000
	batches, err := recorded(ctx, most)
	if err != nil {
		return nil, err
	}
	_, noPeer := buildReference() // before anything is timed
	var out []result
	for _, c := range []struct {
		name   string
		noSync bool
		n      int
	}{{"no_fsync", true, most}, {"fsync", false, 500}} {
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
		db, err := openRaw(filepath.Join(dir, "raw"), c.noSync)
		if err != nil {
			return out, err
		}
		var theirs []float64 // of the reference
		r := result{name: c.name, unit: "us", peer: "raw_pebble", params: "writers:1,registers:1,n:" + itoa(c.n) + "," + describe(batches)}
		r.ours, r.theirs, err = inTurn(runs,
			func() (float64, error) {
				return perOp(c.n, func(k int) error { return setOne(ctx, s, id, k) })
			},
			func() (float64, error) {
				if c.noSync && noPeer == nil {
					var values map[string]float64
					values, noPeer = reference(ctx, lane, 1)
					theirs = append(theirs, values[c.name])
				}
				return perOp(c.n, func(k int) error { return db.commit(batches[k]) })
			})
		if err != nil {
			return out, err
		}
		out = append(out, r)
		if c.noSync {
			out = append(out, result{name: "no_fsync_vs_reference", ours: r.ours, unit: "us", peer: rust, theirs: theirs[min(1, len(theirs)):],
				noPeer: noPeer, params: "writers:1,registers:1,n:" + itoa(c.n) + ",peer_engine:sled,peer_files:memory"})
		}
		if err := errors.Join(done(), db.db.Close()); err != nil {
			return out, err
		}
	}
	return out, nil
}

func groupCommit(ctx context.Context, runs int) ([]result, error) {
	var out []result
	batches, err := recorded(ctx, 3200)
	if err != nil {
		return nil, err
	}
	for _, c := range []struct{ writers, each int }{{1, 500}, {64, 50}} {
		r, err := groupCommitOf(ctx, runs, c.writers, c.each, batches)
		if err != nil {
			return out, err
		}
		out = append(out, r)
	}
	return out, nil
}

// groupCommitOf has each of some writers commit to an entity of its own.
func groupCommitOf(ctx context.Context, runs, writers, each int, batches [][]kv.Write) (r result, err error) {
	dir, remove, err := temp()
	if err != nil {
		return r, err
	}
	defer remove()
	s, done, err := open(ctx, filepath.Join(dir, "node"), false)
	if err != nil {
		return r, err
	}
	db, err := openRaw(filepath.Join(dir, "raw"), false)
	if err != nil {
		return r, err
	}
	ids := make([]ankurah.ID, writers)
	for k := range ids {
		if ids[k], err = createOne(ctx, s); err != nil {
			return r, err
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
			return float64(writers*each) / time.Since(start).Seconds(), errors.Join(errs...)
		}
	}
	r = result{name: "fsync_writers_" + itoa(writers), unit: "commits/s", rate: true, peer: "raw_pebble",
		params: fmt.Sprintf("writers:%d,registers:1,n:%d,%s", writers, writers*each, describe(batches))}
	r.ours, r.theirs, err = inTurn(runs,
		parallel(func(w, k int) error { return setOne(ctx, s, ids[w], k) }),
		parallel(func(w, k int) error { return db.commit(batches[w*each+k]) }))
	return r, errors.Join(err, done(), db.db.Close())
}
