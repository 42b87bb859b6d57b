package agg

import "slices"

// chunk is how many elements of a sorted list lie together. Chunks are split
// at twice the length.
const chunk = 64

// sorted is a list in the order of a comparison, under which its elements
// differ: a slice of short slices, so that inserting moves little.
type sorted[T any] struct {
	compare func(a, b *T) int
	chunks  [][]T // none is empty
	n       int
}

// find returns where x is, or where it belongs.
func (l *sorted[T]) find(x *T) (c, k int, found bool) {
	// The first chunk whose last element is not before x.
	c, _ = slices.BinarySearchFunc(l.chunks, x, func(have []T, x *T) int {
		if l.compare(&have[len(have)-1], x) < 0 {
			return -1
		}
		return 1
	})
	if c == len(l.chunks) {
		if c == 0 {
			return 0, 0, false
		}
		c--
		return c, len(l.chunks[c]), false
	}
	k, found = slices.BinarySearchFunc(l.chunks[c], x, func(e T, x *T) int { return l.compare(&e, x) })
	return c, k, found
}

// at returns the element that equals x, nil when there is none.
func (l *sorted[T]) at(x *T) *T {
	c, k, found := l.find(x)
	if !found {
		return nil
	}
	return &l.chunks[c][k]
}

// insert adds an element that is not there.
func (l *sorted[T]) insert(x T) {
	l.n++
	if len(l.chunks) == 0 {
		l.chunks = [][]T{{x}}
		return
	}
	c, k, _ := l.find(&x)
	have := slices.Insert(l.chunks[c], k, x)
	l.chunks[c] = have
	if len(have) >= 2*chunk {
		l.chunks[c] = slices.Clone(have[:chunk])
		l.chunks = slices.Insert(l.chunks, c+1, slices.Clone(have[chunk:]))
	}
}

// remove takes the element that equals x away, and reports whether it was
// there.
func (l *sorted[T]) remove(x *T) bool {
	c, k, found := l.find(x)
	if !found {
		return false
	}
	l.n--
	if l.chunks[c] = slices.Delete(l.chunks[c], k, k+1); len(l.chunks[c]) == 0 {
		l.chunks = slices.Delete(l.chunks, c, c+1)
	}
	return true
}

func (l *sorted[T]) first() *T {
	if l.n == 0 {
		return nil
	}
	return &l.chunks[0][0]
}

func (l *sorted[T]) last() *T {
	if l.n == 0 {
		return nil
	}
	c := l.chunks[len(l.chunks)-1]
	return &c[len(c)-1]
}

// each calls f with the first limit elements, all when limit is negative.
func (l *sorted[T]) each(limit int, f func(*T)) {
	for _, c := range l.chunks {
		for k := range c {
			if limit == 0 {
				return
			}
			limit--
			f(&c[k])
		}
	}
}
