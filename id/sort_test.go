package id_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ankurah/ankurah-go/id"
)

// SortBy sorts as comparing does, whatever the length, and however many IDs
// share a stamp.
func TestSortBy(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for _, n := range []int{0, 1, 2, 100, 127, 128, 129, 1000, 5000} {
		for _, spread := range []uint64{1, 3, 300, 1 << 20, 1<<64 - 1} {
			list := make([]id.ID, n)
			for k := range list {
				var hash [8]byte
				hash[r.IntN(8)] = byte(r.Uint32())
				list[k] = id.New(id.Stamp(r.Uint64N(spread)), hash)
			}
			want := slices.Clone(list)
			slices.SortFunc(want, id.ID.Compare)
			id.SortBy(list, func(i id.ID) id.ID { return i })
			if !slices.Equal(list, want) {
				t.Fatalf("%d IDs over %d stamps are not sorted", n, spread)
			}
		}
	}
}
