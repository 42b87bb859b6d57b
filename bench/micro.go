package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/property/lww"
	"github.com/ankurah/ankurah-go/value"
)

// chain returns n events of one entity, each the parent of the next.
func chain(n int) ([]*event.Event, error) {
	events := make([]*event.Event, n)
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
	return events, nil
}

// order brings a shuffled chain into causal order. The reference has no public
// function that does, so there is no peer.
func order(_ context.Context, runs int) ([]result, error) {
	const n, times = 1024, 100
	events, err := chain(n)
	if err != nil {
		return nil, err
	}
	r := rand.New(rand.NewPCG(1, 2))
	shuffled := slices.Clone(events)
	sorting, err := repeat(runs, func() (float64, error) {
		var took time.Duration
		for range times {
			r.Shuffle(n, func(a, b int) { shuffled[a], shuffled[b] = shuffled[b], shuffled[a] })
			start := time.Now()
			id.SortBy(shuffled, func(e *event.Event) id.ID { return e.ID })
			took += time.Since(start)
			if !slices.Equal(shuffled, events) {
				return 0, errors.New("sorted by ID, a chain is not in causal order")
			}
		}
		return micros(took) / times, nil
	})
	return []result{{name: "shuffled_chain", ours: sorting, unit: "us", params: "events:1024,sort_only"}}, err
}

// micro are the small parts: codecs, evaluation and ordering of a query, and
// what a commit allocates.
func micro(ctx context.Context, runs int) ([]result, error) {
	out, err := codec(runs)
	if err != nil {
		return out, err
	}
	dir, remove, err := temp()
	if err != nil {
		return out, err
	}
	defer remove()
	s, done, err := open(ctx, dir, true)
	if err != nil {
		return out, err
	}
	const n = 1024
	if err := fill(ctx, s, n); err != nil {
		return out, err
	}
	q, err := ankql.Parse("population > 100 AND name LIKE 'city 1%' ORDER BY country, name DESC")
	if err != nil {
		return out, err
	}
	sel, err := ankql.Bind(q, s.Node().Model("city"), "city")
	if err != nil {
		return out, err
	}
	snap, err := s.Node().Engine().Snapshot()
	if err != nil {
		return out, err
	}
	var rows []*entity.State
	for row, err := range snap.All(ctx, "city") {
		if err != nil {
			return out, err
		}
		rows = append(rows, row)
	}
	if err := snap.Close(); err != nil {
		return out, err
	}
	// The population is the number in the name: 101 to 199 and 1,000 to 1,023 match.
	matched := 0
	for _, row := range rows {
		if sel.Match(row) {
			matched++
		}
	}
	if len(rows) != n || matched != 99+24 {
		return out, fmt.Errorf("%d rows, %d matched", len(rows), matched)
	}
	matching, err := repeat(runs, func() (float64, error) {
		return perOp(100_000, func(k int) error { sel.Match(rows[k%n]); return nil })
	})
	if err != nil {
		return out, err
	}
	r := rand.New(rand.NewPCG(1, 2))
	sorting, err := repeat(runs, func() (float64, error) {
		var took time.Duration
		for range 20 {
			r.Shuffle(n, func(a, b int) { rows[a], rows[b] = rows[b], rows[a] })
			start := time.Now()
			slices.SortFunc(rows, func(a, b *entity.State) int { return sel.Compare(a, b) })
			took += time.Since(start)
		}
		return micros(took) / 20, nil
	})
	if err != nil {
		return out, err
	}
	one := rows[0].ID()
	allocs, err := repeat(runs, func() (float64, error) {
		var err error
		k := n // of no row
		per := testing.AllocsPerRun(1000, func() {
			k++
			err = errors.Join(err, setOne(ctx, s, one, k))
		})
		return per, err
	})
	return append(out,
		result{name: "eval", ours: matching, unit: "us", params: "terms:2,like:1"},
		result{name: "sort_rows", ours: sorting, unit: "us", params: "rows:1024,keys:2,sort_only"},
		result{name: "commit_allocs", ours: allocs, unit: "allocs", params: "writers:1,registers:1,engine:pebble,no_fsync"},
	), errors.Join(err, done())
}

func codec(runs int) ([]result, error) {
	events, err := chain(2)
	if err != nil {
		return nil, err
	}
	e := events[1]
	encoded := e.Append(nil)
	buf := make([]byte, 0, len(encoded))
	encoding, err := repeat(runs, func() (float64, error) {
		return perOp(100_000, func(int) error { buf = e.Append(buf[:0]); return nil })
	})
	if err != nil {
		return nil, err
	}
	decoding, err := repeat(runs, func() (float64, error) {
		return perOp(20_000, func(int) error { _, err := event.Decode(encoded); return err })
	})
	size := "bytes:" + itoa(len(encoded))
	return []result{
		{name: "event_encode", ours: encoding, unit: "us", params: size},
		{name: "event_decode_verify", ours: decoding, unit: "us", params: size},
	}, err
}
