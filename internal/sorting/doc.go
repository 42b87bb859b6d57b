// Package sorting sorts slices as package slices does. In browsers one copy of
// the algorithm serves all types: package slices has one of a dozen functions
// for each, which together are more than the reactor.
package sorting

import (
	"cmp"
	"iter"
	"maps"
	"slices"
)

// Sorted collects values in order, equal ones in any.
func Sorted[E any](seq iter.Seq[E], compare func(a, b E) int) []E {
	s := slices.Collect(seq)
	Sort(s, compare)
	return s
}

// Keys returns the keys of a map in order.
func Keys[K cmp.Ordered, V any](m map[K]V) []K {
	return Sorted(maps.Keys(m), cmp.Compare[K])
}
