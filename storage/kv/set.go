package kv

import (
	"bytes"
	"slices"
)

// set is a set of values of one column, as the bytes of their ascending keys:
// disjoint intervals in ascending order. It may hold more values than the
// predicate it stands for is TRUE of; when exact it holds just these.
type set struct {
	all       bool // holds everything; the predicate says nothing of the column
	exact     bool
	intervals []interval
}

// interval is the keys from lo (included) to hi (excluded; nil for no bound).
type interval struct {
	lo, hi []byte
	point  []byte // the one key that the interval consists of; nil of others
	// many says that the predicate may be TRUE of several values with the key
	// that is point: of none but one otherwise, though others may have it, too.
	many bool
}

var everything = set{all: true}

// pointSet is the set of one value, by its key.
func pointSet(key []byte, exact bool) set {
	return set{exact: exact, intervals: []interval{pointInterval(key)}}
}

func pointInterval(key []byte) interval {
	return interval{lo: key, hi: successor(bytes.Clone(key)), point: key}
}

// rangeSet is the set of keys from lo to hi.
func rangeSet(lo, hi []byte, exact bool) set {
	i := interval{lo: lo, hi: hi}
	if i.empty() {
		return set{exact: exact}
	}
	return set{exact: exact, intervals: []interval{i}}
}

func (i interval) empty() bool { return i.hi != nil && bytes.Compare(i.lo, i.hi) >= 0 }

// contains reports whether a key is in the set.
func (s set) contains(key []byte) bool {
	if s.all {
		return true
	}
	for _, i := range s.intervals {
		if bytes.Compare(i.lo, key) <= 0 && (i.hi == nil || bytes.Compare(key, i.hi) < 0) {
			return true
		}
	}
	return false
}

// none reports whether the set is empty.
func (s set) none() bool { return !s.all && len(s.intervals) == 0 }

// points returns the number of the set's intervals if all of them are points,
// else 0.
func (s set) points() int {
	if s.all {
		return 0
	}
	for _, i := range s.intervals {
		if i.point == nil {
			return 0
		}
	}
	return len(s.intervals)
}

// constant returns the key of the one value that the predicate is TRUE of; nil
// when it may be TRUE of others.
func (s set) constant() []byte {
	if s.points() == 1 && !s.intervals[0].many {
		return s.intervals[0].point
	}
	return nil
}

// compareHi orders upper bounds, nil being the greatest.
func compareHi(a, b []byte) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return 1
	case b == nil:
		return -1
	}
	return bytes.Compare(a, b)
}

// union returns the set of what is in any of the sets.
func union(sets ...set) set {
	out := set{exact: true}
	for _, s := range sets {
		if s.all {
			return everything
		}
		out.exact = out.exact && s.exact
		out.intervals = append(out.intervals, s.intervals...)
	}
	slices.SortFunc(out.intervals, func(a, b interval) int {
		if c := bytes.Compare(a.lo, b.lo); c != 0 {
			return c
		}
		return compareHi(a.hi, b.hi)
	})
	merged := out.intervals[:0]
	for _, i := range out.intervals {
		if n := len(merged); n > 0 && compareHi(i.lo, merged[n-1].hi) < 0 {
			merged[n-1].merge(i, out.exact)
		} else {
			merged = append(merged, i)
		}
	}
	out.intervals = merged
	return out
}

// merge makes i the union of itself and of o, which begins in it. With exact
// equal keys are those of equal values.
func (i *interval) merge(o interval, exact bool) {
	if i.point != nil && bytes.Equal(i.point, o.point) {
		i.many = i.many || o.many || !exact
		return
	}
	i.point = nil
	if compareHi(i.hi, o.hi) < 0 {
		i.hi = o.hi
	}
}

// intersect returns the set of what is in both sets.
func intersect(a, b set) set {
	switch {
	case a.all && b.all:
		return everything
	case a.all:
		b.exact = false
		return b
	case b.all:
		a.exact = false
		return a
	}
	out := set{exact: a.exact && b.exact}
	x, y := a.intervals, b.intervals
	for len(x) > 0 && len(y) > 0 {
		i := x[0]
		if bytes.Compare(i.lo, y[0].lo) < 0 {
			i.lo = y[0].lo
		}
		if compareHi(y[0].hi, i.hi) < 0 {
			i.hi = y[0].hi
		}
		switch {
		case y[0].point == nil:
		case i.point == nil:
			i.point, i.many = y[0].point, y[0].many
		default:
			i.many = i.many && y[0].many
		}
		if !i.empty() {
			out.intervals = append(out.intervals, i)
		}
		if compareHi(x[0].hi, y[0].hi) < 0 {
			x = x[1:]
		} else {
			y = y[1:]
		}
	}
	return out
}

// mirror returns the position in descending keys that corresponds to one in
// ascending keys, which are complements of each other: what is before pos in
// one is at or behind the result in the other. A nil pos is the end; a nil
// result is, too.
func mirror(pos []byte) []byte {
	if pos == nil {
		return []byte{}
	}
	return successor(complement(pos))
}

func complement(key []byte) []byte {
	out := make([]byte, len(key))
	for k, b := range key {
		out[k] = ^b
	}
	return out
}

// descending returns the interval's keys in a descending column.
func (i interval) descending() interval {
	d := interval{lo: mirror(i.hi), hi: mirror(i.lo)}
	if i.point != nil {
		d = pointInterval(complement(i.point))
		d.many = i.many
	}
	return d
}
