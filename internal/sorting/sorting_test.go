package sorting

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// Both sort as package slices does, the stable one to the last element.
func TestSortsLikeSlices(t *testing.T) {
	type pair struct{ key, n int }
	byKey := func(a, b pair) int { return cmp.Compare(a.key, b.key) }
	rnd := rand.New(rand.NewPCG(1, 2))
	for n := range 200 {
		in := make([]pair, n)
		for k := range in {
			in[k] = pair{rnd.IntN(1 + n/3), k}
		}
		want, stable := slices.Clone(in), slices.Clone(in)
		slices.SortStableFunc(want, byKey)
		if Stable(stable, byKey); !slices.Equal(stable, want) {
			t.Fatalf("Stable of %v:\n got %v\nwant %v", in, stable, want)
		}
		Sort(in, byKey)
		if !slices.EqualFunc(in, want, func(a, b pair) bool { return a.key == b.key }) {
			t.Fatalf("Sort: got %v, want the keys of %v", in, want)
		}
	}
}

func TestKeys(t *testing.T) {
	m := map[string]int{"b": 1, "a": 2, "c": 3}
	if got, want := Keys(m), slices.Sorted(maps.Keys(m)); !slices.Equal(got, want) {
		t.Errorf("Keys = %v, want %v", got, want)
	}
}
