package ankurah_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage/pebble"
)

func pebbleSession(b *testing.B, noSync bool) *ankurah.Session {
	eng, err := pebble.Open(b.Context(), b.TempDir(), &pebble.Options{NoSync: noSync})
	if err != nil {
		b.Fatal(err)
	}
	return openNode(b, eng, nil).Session(policy.Principal{Subject: "bench"})
}

// One writer sets one register of one entity in each transaction.
func BenchmarkCommit(b *testing.B) {
	for _, noSync := range []bool{true, false} {
		b.Run(fmt.Sprintf("sync=%t/writers=1", !noSync), func(b *testing.B) {
			s := pebbleSession(b, noSync)
			id := create(b, s, ankurah.Fields{"name": "x", "year": 0})
			b.ReportAllocs()
			k := 0
			for b.Loop() {
				k++
				if err := setYear(b, s, id, k); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("sync=true/writers=64", func(b *testing.B) {
		s := pebbleSession(b, false)
		var n atomic.Int64
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			id := create(b, s, ankurah.Fields{"name": "x", "year": 0})
			for pb.Next() {
				if err := setYear(b, s, id, int(n.Add(1))); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}

func setYear(b *testing.B, s *ankurah.Session, id ankurah.ID, k int) error {
	return s.Update(b.Context(), func(tx *ankurah.Tx) error {
		e, err := albums.Edit(tx, id)
		if err != nil {
			return err
		}
		return e.Set("year", k)
	})
}

func BenchmarkGet(b *testing.B) {
	s := pebbleSession(b, true)
	id := create(b, s, ankurah.Fields{"name": "x", "year": 0})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := albums.Get(b.Context(), s, id); err != nil {
			b.Fatal(err)
		}
	}
}
