package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/property/lww"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/value"
)

func itoa(n int) string { return strconv.Itoa(n) }

// fill creates n rows in transactions of 1,000.
func fill(ctx context.Context, s *ankurah.Session, n int) error {
	for from := 0; from < n; from += 1000 {
		err := s.Update(ctx, func(tx *ankurah.Tx) error {
			for k := from; k < min(n, from+1000); k++ {
				_, err := cities.Create(tx, &ankurah.Fields{
					"name": "city " + itoa(k), "country": string(rune('A'+k%26)) + string(rune('A'+k/26%26)),
					"lat": float64(k%180) + 0.5, "lng": float64(k%360) - 0.25, "population": k,
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func importRows(ctx context.Context, runs int) ([]result, error) {
	const n = 20_000
	rates, err := repeat(runs, func() (float64, error) {
		dir, remove, err := temp()
		if err != nil {
			return 0, err
		}
		defer remove()
		s, done, err := open(ctx, dir, false)
		if err != nil {
			return 0, err
		}
		start := time.Now()
		if err := fill(ctx, s, n); err != nil {
			return 0, err
		}
		rate := n / time.Since(start).Seconds()
		return rate, done()
	})
	return []result{{name: "batched", ours: rates, unit: "rows/s", rate: true, params: "rows:20000,properties:5,per_tx:1000,fsync"}}, err
}

// queries are asked of 171,075 rows, as many as the cities.
func queries(ctx context.Context, runs int) ([]result, error) {
	const n = 171_075
	dir, remove, err := temp()
	if err != nil {
		return nil, err
	}
	defer remove()
	s, done, err := open(ctx, dir, true)
	if err != nil {
		return nil, err
	}
	if err := fill(ctx, s, n); err != nil {
		return nil, err
	}
	for _, x := range []schema.Index{
		{Columns: []schema.Column{{Path: []string{"name"}}}},
		{Columns: []schema.Column{{Path: []string{"country"}}, {Path: []string{"name"}}}},
	} {
		if err := s.Node().Engine().(storage.Indexer).EnsureIndex(ctx, "city", x); err != nil {
			return nil, err
		}
	}
	var out []result
	for _, q := range []struct{ name, text string }{
		{"equality", "name = 'city 170000'"},
		{"equality_order_limit", "country = 'CA' ORDER BY name LIMIT 50"},
		{"range_limit", "name > 'city 5' AND name < 'city 6' LIMIT 50"},
	} {
		times, err := repeat(runs, func() (float64, error) {
			return perOp(200, func(int) error {
				rows, err := cities.Fetch(ctx, s, q.text)
				if err == nil && len(rows) == 0 {
					err = fmt.Errorf("%s: no rows", q.text)
				}
				return err
			})
		})
		if err != nil {
			return out, err
		}
		out = append(out, result{name: q.name, ours: times, unit: "us", params: "rows:171075,indexed"})
	}
	return out, done()
}

func pointGet(ctx context.Context, runs int) ([]result, error) {
	dir, remove, err := temp()
	if err != nil {
		return nil, err
	}
	defer remove()
	s, done, err := open(ctx, dir, true)
	if err != nil {
		return nil, err
	}
	one, err := createOne(ctx, s)
	if err != nil {
		return nil, err
	}
	ours, err := repeat(runs, func() (float64, error) {
		return perOp(100_000, func(int) error { _, err := cities.Get(ctx, s, one); return err })
	})
	if err != nil {
		return nil, err
	}
	snap, err := s.Node().Engine().Snapshot()
	if err != nil {
		return nil, err
	}
	theirs, err := repeat(runs, func() (float64, error) {
		return perOp(20_000, func(int) error { _, err := snap.State(ctx, "city", one); return err })
	})
	return []result{{name: "warm", ours: ours, unit: "us", peer: "engine_get", theirs: theirs, params: "entities:1"}},
		errors.Join(err, snap.Close(), done())
}

func openStore(ctx context.Context, runs int) ([]result, error) {
	const n = 1_000_000
	dir, remove, err := temp()
	if err != nil {
		return nil, err
	}
	defer remove()
	dir = filepath.Join(dir, "node")
	s, done, err := open(ctx, dir, true)
	if err == nil {
		err = fill(ctx, s, n)
	}
	if err == nil {
		err = done()
	}
	if err != nil {
		return nil, err
	}
	times, err := repeat(runs, func() (float64, error) {
		start := time.Now()
		_, done, err := open(ctx, dir, false)
		if err != nil {
			return 0, err
		}
		took := float64(time.Since(start).Microseconds()) / 1000
		return took, done()
	})
	return []result{{name: "million_entities", ours: times, unit: "ms", params: "entities:1000000,engine:pebble"}}, err
}

// micro are the small parts: causal order by sorting, and codecs.
func micro(_ context.Context, runs int) ([]result, error) {
	r := rand.New(rand.NewPCG(1, 2))
	events := make([]*event.Event, 1024)
	birth := event.Birth{Stamp: 1}
	author := event.NodeAuthor(id.New(1, [8]byte{}))
	root := id.New(1, [8]byte{1})
	for k := range events {
		h := event.Header{Root: root, Entity: birth.EntityID(root, "city", author), Collection: "city", Author: author,
			Tx: event.TxID{1}, Stamp: id.Stamp(k + 2)}
		if k == 0 {
			h.Birth = &birth
		} else {
			h.Parents = []id.ID{events[k-1].ID}
		}
		e, err := event.New(h, [16]byte{}, []event.Operation{lww.Set("population", value.Int64(int64(k)))})
		if err != nil {
			return nil, err
		}
		events[k] = e
	}
	shuffled := slices.Clone(events)
	sorting, err := repeat(runs, func() (float64, error) {
		return perOp(100, func(int) error {
			r.Shuffle(len(shuffled), func(a, b int) { shuffled[a], shuffled[b] = shuffled[b], shuffled[a] })
			slices.SortFunc(shuffled, func(a, b *event.Event) int { return a.ID.Compare(b.ID) })
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	bytes := events[5].Append(nil)
	decoding, err := repeat(runs, func() (float64, error) {
		return perOp(20_000, func(int) error { _, err := event.Decode(bytes); return err })
	})
	return []result{
		{name: "order_batch_1024", ours: sorting, unit: "us", params: "events:1024,shuffle_included"},
		{name: "event_decode_verify", ours: decoding, unit: "us", params: "bytes:" + itoa(len(bytes))},
	}, err
}
