package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/reactor"
	"github.com/ankurah/ankurah-go/property"
	"github.com/ankurah/ankurah-go/property/lww"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/value"
)

// shapes are live queries that differ in an argument, and an entity that few
// of them are about.
var shapes = []struct {
	name, text string
	args       func(k int) []any
	hit        func(k int) []event.Operation
	most       int // queries registered
}{
	{"equality", "n = ?", func(k int) []any { return []any{k} }, number, 1_000_000},
	{"range", "n >= ? AND n < ?", func(k int) []any { return []any{k, k + 5} }, number, 1_000_000},
	{"prefix", "name LIKE ?", func(k int) []any { return []any{fmt.Sprintf("%07d%%", k)} }, named, 1_000_000},
	{"residual", "name LIKE ?", func(k int) []any { return []any{fmt.Sprintf("%%%07d", k)} }, named, 10_000},
}

func number(k int) []event.Operation {
	return []event.Operation{lww.Set("n", value.Int64(int64(k)))}
}

func named(k int) []event.Operation {
	return []event.Operation{lww.Set("name", value.String(fmt.Sprintf("%07d it is", k)))}
}

// liveMatch times the routing of one commit of one entity among registered
// queries: CPU time, since it is pure computation on one goroutine.
func liveMatch(_ context.Context, runs int) (out []result, err error) {
	for _, shape := range shapes {
		for n := 1_000; n <= shape.most; n *= 10 {
			rx := reactor.New()
			before := heap()
			for k := range n {
				q, err := ankql.Parse(shape.text)
				if err != nil {
					return out, err
				}
				sel, err := ankql.Bind(q, nil, "city", shape.args(k)...)
				if err != nil {
					return out, err
				}
				rx.Add(reactor.NewQuery(sel, nil))
			}
			each := float64(heap()-before) / float64(n)
			changes, err := changing(shape.hit(n / 2))
			if err != nil {
				return out, err
			}
			start := rx.Stats().Offered
			applied := 0
			took, err := repeat(runs, func() (float64, error) {
				return cpuPerOp(max(20, 2_000_000/n), func(k int) error {
					rx.Apply(changes[k%2], func(q reactor.Subscriber) { q.(*reactor.Query).Take() }, func(_ reactor.Subscriber, failed error) { err = failed })
					applied++
					return err
				})
			})
			if err != nil {
				return out, err
			}
			offered := float64(rx.Stats().Offered-start) / float64(applied)
			out = append(out, result{name: fmt.Sprint(shape.name, "_", n), ours: took, unit: "us", params: fmt.Sprintf("queries:%d,evaluated:%.1f,bytes_per_query:%.0f,cpu_time", n, offered, each)})
		}
	}
	return out, nil
}

// changing returns two commits that change one entity there and back.
func changing(ops []event.Operation) (out [2][]reactor.Change, err error) {
	kinds := property.NewRegistry(lww.Kind)
	author := event.NodeAuthor(id.New(1, [8]byte{1}))
	root := id.New(1, [8]byte{2})
	birth := event.Birth{Stamp: 1}
	h := event.Header{Root: root, Collection: "city", Author: author, Tx: event.TxID{1}, Stamp: 2, Birth: &birth}
	h.Entity = birth.EntityID(root, "city", author)
	first, err := event.New(h, [16]byte{}, ops)
	if err != nil {
		return out, err
	}
	h.Birth, h.Parents, h.Stamp = nil, []id.ID{first.ID}, 3
	second, err := event.New(h, [16]byte{}, []event.Operation{lww.Set("zip", value.Int64(1))})
	if err != nil {
		return out, err
	}
	a, err := (*entity.State)(nil).Apply(kinds, first)
	if err != nil {
		return out, err
	}
	b, err := a.Apply(kinds, second)
	if err != nil {
		return out, err
	}
	out[0] = []reactor.Change{{Before: a, After: b, Events: []id.ID{second.ID}}}
	out[1] = []reactor.Change{{Before: b, After: a, Events: []id.ID{first.ID}}}
	return out, nil
}

func heap() uint64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

// cpuPerOp returns the CPU microseconds, of all threads, that one f takes.
func cpuPerOp(n int, f func(k int) error) (float64, error) {
	start := cpu()
	for k := range n {
		if err := f(k); err != nil {
			return 0, err
		}
	}
	return float64((cpu() - start).Microseconds()) / float64(n), nil
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// liveRegister times how long it takes to open live queries through the public
// API, each with one row, and what one holds.
func liveRegister(ctx context.Context, runs int) ([]result, error) {
	const n = 100_000
	var bytes float64
	took, err := repeat(min(runs, 3), func() (float64, error) {
		s, done, err := openOn(ctx, memory.New())
		if err != nil {
			return 0, err
		}
		defer done()
		if err := fill(ctx, s, 1000); err != nil {
			return 0, err
		}
		before := heap()
		start := time.Now()
		queries := make([]*ankurah.LiveQuery[ankurah.Record], n)
		for k := range queries {
			if queries[k], err = cities.Query(ctx, s, "name = ?", "city "+itoa(k)); err != nil {
				return 0, err
			}
		}
		seconds := time.Since(start).Seconds()
		bytes = float64(heap()-before) / n
		for _, q := range queries {
			q.Close()
		}
		return seconds, nil
	})
	return []result{{name: "queries_100000", ours: took, unit: "s", params: fmt.Sprintf("queries:%d,shape:equality,bytes_per_query:%.0f", n, bytes)}}, err
}

// liveWindow times commits that change rows of a window over many rows, beside
// the same commits without the window.
func liveWindow(ctx context.Context, runs int) ([]result, error) {
	const rows = 100_000
	s, done, err := openOn(ctx, memory.New())
	if err != nil {
		return nil, err
	}
	defer done()
	if err := fill(ctx, s, rows); err != nil {
		return nil, err
	}
	top, err := cities.Fetch(ctx, s, "ORDER BY population DESC LIMIT 60")
	if err != nil {
		return nil, err
	}
	n := 0
	change := func() (float64, error) {
		return cpuPerOp(2000, func(k int) error {
			n++
			return setOne(ctx, s, top[k%len(top)].ID(), 2_000_000+n%7919)
		})
	}
	if _, err := change(); err != nil { // for warmth
		return nil, err
	}
	var without []float64
	with, err := repeat(runs, func() (float64, error) { // in turn, so that both see the same machine
		bare, err := change()
		if err != nil {
			return 0, err
		}
		q, err := cities.Query(ctx, s, "ORDER BY population DESC LIMIT 50")
		if err != nil {
			return 0, err
		}
		defer q.Close()
		took, err := change()
		without = append(without, bare)
		return took - bare, err
	})
	return []result{{name: "order_limit_50", ours: with, unit: "us", params: fmt.Sprintf("rows:%d,limit:50,cpu_time,beside:%.1fus_commit", rows, median(without))}}, err
}

// liveRate commits at a rate into as many rows as there are cities, with 10,000
// live queries of several shapes open, and times each commit until the callback
// of a query that it concerns.
func liveRate(ctx context.Context, _ int) ([]result, error) {
	const rows, queries, rate, seconds = 171_075, 10_000, 1000, 10
	dir, remove, err := temp()
	if err != nil {
		return nil, err
	}
	defer remove()
	s, done, err := open(ctx, dir, true)
	if err != nil {
		return nil, err
	}
	defer done()
	if err := fill(ctx, s, rows); err != nil {
		return nil, err
	}
	var mu sync.Mutex
	sent := map[string]time.Time{}
	var took []float64
	for k := range queries {
		text, args := "name = ?", []any{"city " + itoa(k*17)}
		switch k % 4 {
		case 1:
			text, args = "population >= ? AND population < ? LIMIT 20", []any{k * 10, k*10 + 10}
		case 2:
			text, args = "country = ? AND name LIKE ? ORDER BY population DESC LIMIT 10", []any{string(rune('A'+k%26)) + "A", "city " + itoa(k) + "%"}
		case 3:
			text, args = "name IN (?, ?)", []any{"city " + itoa(k*17), "city " + itoa(k*13)}
		}
		q, err := cities.Query(ctx, s, text, args...)
		if err != nil {
			return nil, err
		}
		defer q.Close()
		if k%4 == 0 {
			q.OnChange(func(cs ankurah.ChangeSet[ankurah.Record]) {
				now := time.Now()
				mu.Lock()
				defer mu.Unlock()
				for _, c := range cs.Changes {
					key := c.ID().String()
					if at, ok := sent[key]; ok && c.Kind == ankurah.Updated {
						took = append(took, float64(now.Sub(at).Nanoseconds())/1000)
						delete(sent, key)
					}
				}
			})
		}
	}
	watched, err := cities.Fetch(ctx, s, "LIMIT 1")
	if err != nil {
		return nil, err
	}
	for k := 0; k < queries; k += 400 {
		one, err := cities.Fetch(ctx, s, "name = ?", "city "+itoa(k*17))
		if err != nil {
			return nil, err
		}
		watched = append(watched, one...)
	}
	start, cpu0 := time.Now(), cpu()
	tick := time.NewTicker(time.Second / rate)
	defer tick.Stop()
	var wait sync.WaitGroup
	var failed error
	for n := range rate * seconds {
		<-tick.C
		row := watched[n%len(watched)].ID()
		mu.Lock()
		if _, busy := sent[row.String()]; !busy {
			sent[row.String()] = time.Now()
		}
		mu.Unlock()
		wait.Go(func() {
			if err := setOne(ctx, s, row, 5_000_000+n); err != nil {
				mu.Lock()
				failed = err
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	elapsed, used := time.Since(start).Seconds(), cpu()-cpu0
	time.Sleep(100 * time.Millisecond) // the last callbacks
	mu.Lock()
	defer mu.Unlock()
	slices.Sort(took)
	if failed != nil || len(took) == 0 {
		return nil, cmp.Or(failed, errors.New("no callback came"))
	}
	at := func(p float64) []float64 { return []float64{took[int(p*float64(len(took)-1))]} }
	params := fmt.Sprintf("rows:%d,queries:%d,commits_per_s:%.0f,cpu:%.0f%%,no_fsync", rows, queries, float64(rate*seconds)/elapsed, 100*used.Seconds()/elapsed)
	return []result{
		{name: "p50", ours: at(0.50), unit: "us", params: params},
		{name: "p99", ours: at(0.99), unit: "us", params: params},
		{name: "max", ours: at(1), unit: "us", params: params},
	}, nil
}
