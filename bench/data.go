package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/storage"
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
		{"range_limit", "name > 'city 5' AND name < 'city 6' LIMIT 50"}, // the 50 oldest of all in the range
		{"range_order_limit", "name > 'city 5' AND name < 'city 6' ORDER BY name LIMIT 50"},
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
