package reactor_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/ankurah/ankurah-go/ankql/ankqltest"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/reactor"
	"github.com/ankurah/ankurah-go/property/lww"
	"github.com/ankurah/ankurah-go/value"
)

// BenchmarkRoute: one commit of one entity against many registered queries.
// "offered" is how many evaluated it, "bytes/query" what each holds.
func BenchmarkRoute(b *testing.B) {
	for _, shape := range []struct {
		name, text string
		arg        func(k int) []any
		hit        func(k int) []event.Operation
	}{
		{"equality", "year = ?", func(k int) []any { return []any{k} }, year1},
		{"equality_and", "published AND year = ? AND rating > 3", func(k int) []any { return []any{k} }, year1},
		{"range", "year >= ? AND year < ?", func(k int) []any { return []any{k, k + 5} }, year1},
		{"prefix", "name LIKE ?", func(k int) []any { return []any{fmt.Sprintf("%07d%%", k)} },
			func(k int) []event.Operation {
				return []event.Operation{lww.Set("name", value.String(fmt.Sprintf("%07dab", k)))}
			}},
		{"residual", "name LIKE ?", func(k int) []any { return []any{fmt.Sprintf("%%%07d", k)} }, named},
	} {
		for _, n := range []int{1_000, 10_000, 100_000, 1_000_000} {
			if shape.name == "residual" && n > 10_000 || testing.Short() && n > 10_000 {
				continue
			}
			b.Run(fmt.Sprintf("%s/%d", shape.name, n), func(b *testing.B) {
				m := ankqltest.Model()
				rx := reactor.New()
				before := heap()
				for k := range n {
					rx.Add(reactor.NewQuery(bind(b, m, shape.text, shape.arg(k)...), nil))
				}
				each := float64(heap()-before) / float64(n)
				w := newWorld(b)
				born := w.change("album", id.ID{}, shape.hit(n/2)...)
				back := reactor.Change{Before: born.After, After: born.After, Events: born.Events}
				rx.Apply(commit(born), quiet, unfailing(b))
				start := rx.Stats().Offered
				b.ResetTimer()
				for range b.N {
					rx.Apply([]reactor.Change{back}, func(q reactor.Subscriber) { q.(*reactor.Query).Take() }, unfailing(b))
				}
				b.ReportMetric(float64(rx.Stats().Offered-start)/float64(b.N), "offered")
				b.ReportMetric(each, "bytes/query")
			})
		}
	}
}

func heap() uint64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

// BenchmarkWindow: a change of a row of a window over 100,000 rows.
func BenchmarkWindow(b *testing.B) {
	m := ankqltest.Model()
	w := newWorld(b)
	for k := range 100_000 {
		w.change("album", id.ID{}, year1(k)...)
	}
	for _, text := range []string{"ORDER BY year LIMIT 50", "ORDER BY year"} {
		b.Run(text, func(b *testing.B) {
			rx := reactor.New()
			x := watch(w, bind(b, m, text), nil, &stats{})
			rx.Add(x.q)
			k := 0
			for b.Loop() {
				c := w.change("album", w.ids[k%100], year1((k*37)%60)...)
				k++
				rx.Apply([]reactor.Change{c}, func(q reactor.Subscriber) { q.(*reactor.Query).Take() }, unfailing(b))
			}
		})
	}
}
