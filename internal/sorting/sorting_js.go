package sorting

import "sort"

// slice is what package sort needs to know of one.
type slice struct {
	n    int
	less func(i, j int) bool
	swap func(i, j int)
}

func (s slice) Len() int           { return s.n }
func (s slice) Less(i, j int) bool { return s.less(i, j) }
func (s slice) Swap(i, j int)      { s.swap(i, j) }

func of[S ~[]E, E any](s S, compare func(a, b E) int) slice {
	return slice{
		n:    len(s),
		less: func(i, j int) bool { return compare(s[i], s[j]) < 0 },
		swap: func(i, j int) { s[i], s[j] = s[j], s[i] },
	}
}

// Sort sorts s, equal elements in any order.
func Sort[S ~[]E, E any](s S, compare func(a, b E) int) { sort.Sort(of(s, compare)) }

// Stable sorts s and leaves equal elements in their order.
func Stable[S ~[]E, E any](s S, compare func(a, b E) int) { sort.Stable(of(s, compare)) }
