package reactor

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// The tree finds what going through all intervals finds, after any additions
// and removals.
func TestIntervals(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 58))
	text := func() string {
		b := make([]byte, r.IntN(4))
		for k := range b {
			b[k] = "abc"[r.IntN(3)]
		}
		return string(b)
	}
	type entry struct {
		interval
		q *subscriber
	}
	for range 200 {
		var tree intervals
		var all []entry
		for range 60 {
			if len(all) > 0 && r.IntN(3) == 0 {
				k := r.IntN(len(all))
				tree.remove(all[k].interval, all[k].q)
				all = slices.Delete(all, k, k+1)
			} else {
				e := entry{interval{text(), text()}, &subscriber{}}
				if e.hi != "" && e.hi <= e.lo {
					e.hi = e.lo + "a"
				}
				tree.add(e.interval, e.q)
				all = append(all, e)
			}
			key := text()
			found := map[*subscriber]int{}
			tree.holding(key, func(qs []*subscriber) {
				for _, q := range qs {
					found[q]++
				}
			})
			for _, e := range all {
				want := 0
				if e.lo <= key && (e.hi == "" || key < e.hi) {
					want = 1
				}
				if found[e.q] != want {
					t.Fatalf("%q is found %d times in %q, want %d", key, found[e.q], e.interval, want)
				}
				delete(found, e.q)
			}
			if len(found) > 0 {
				t.Fatalf("%d queries are found that were removed", len(found))
			}
		}
	}
}

// A lookup visits few of many intervals, in whatever order they came.
func TestIntervalsAreBalanced(t *testing.T) {
	var tree intervals
	key := func(n int) string { return string([]byte{byte(n >> 16), byte(n >> 8), byte(n)}) }
	const n = 100_000
	for k := range n {
		tree.add(interval{key(k), key(k + 1)}, &subscriber{})
	}
	var depth func(*node) int
	depth = func(n *node) int {
		if n == nil {
			return 0
		}
		return 1 + max(depth(n.left), depth(n.right))
	}
	if d := depth(tree.root); d > 60 {
		t.Errorf("%d intervals stand %d deep", n, d)
	}
}
