package signal_test

import (
	"testing"

	"github.com/ankurah/ankurah-go/signal"
)

func BenchmarkSetUnobserved(b *testing.B) {
	v := signal.New(0)
	for i := range b.N {
		v.Set(i)
	}
}

func BenchmarkSetWithEffect(b *testing.B) {
	v := signal.New(0)
	h := signal.Effect(func(t *signal.Tracker) { v.Get(t) })
	defer h.Close()
	b.ReportAllocs()
	for i := range b.N {
		v.Set(i)
	}
}

func BenchmarkGetUnchangedComputed(b *testing.B) {
	v := signal.New(0)
	c := signal.Map(v, func(n int) int { return n })
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c.Get(nil)
		}
	})
}

// One change, a thousand computed values, a thousand effects.
func BenchmarkFanOut(b *testing.B) {
	v := signal.New(0)
	for range 1000 {
		c := signal.Map(v, func(n int) int { return n })
		defer signal.Effect(func(t *signal.Tracker) { c.Get(t) }).Close()
	}
	b.ReportAllocs()
	for i := range b.N {
		v.Set(i)
	}
}
