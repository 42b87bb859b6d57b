package id

import (
	"github.com/ankurah/ankurah-go/internal/sorting"
)

// radixFrom is the number of elements from which sorting by digits is faster
// than by comparing.
const radixFrom = 128

// SortBy sorts s by the IDs that key returns, which is causal order (S3). Long
// lists are sorted by the digits of their stamps, least significant first
// (Knuth, The Art of Computer Programming 3, 5.2.5), in linear time; few IDs
// share a stamp, and those are compared.
func SortBy[T any](s []T, key func(T) ID) {
	byID := func(a, b T) int { return key(a).Compare(key(b)) }
	if len(s) < radixFrom {
		sorting.Sort(s, byID)
		return
	}
	type item struct {
		stamp Stamp
		at    int32
	}
	items, other := make([]item, len(s)), make([]item, len(s))
	var all, any Stamp = ^Stamp(0), 0 // bits that all have, and that any has
	for k := range s {
		items[k] = item{key(s[k]).Stamp(), int32(k)}
		all &= items[k].stamp
		any |= items[k].stamp
	}
	for shift := 0; shift < 64; shift += 8 {
		if byte(all>>shift) == byte(any>>shift) {
			continue // the same digit everywhere
		}
		var from [256]int
		for k := range items {
			from[byte(items[k].stamp>>shift)]++
		}
		sum := 0
		for d, n := range from {
			from[d] = sum
			sum += n
		}
		for k := range items {
			d := byte(items[k].stamp >> shift)
			other[from[d]] = items[k]
			from[d]++
		}
		items, other = other, items
	}
	sorted := make([]T, len(s))
	for k := range items {
		sorted[k] = s[items[k].at]
	}
	copy(s, sorted)
	for first := 0; first < len(s); {
		end := first + 1
		for end < len(s) && items[end].stamp == items[first].stamp {
			end++
		}
		if end-first > 1 {
			sorting.Sort(s[first:end], byID)
		}
		first = end
	}
}
