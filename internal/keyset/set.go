package keyset

import (
	"bytes"

	"github.com/ankurah/ankurah-go/internal/sorting"
	"github.com/ankurah/ankurah-go/value"
)

// NullKey is the key of null.
var NullKey = value.AppendKey(nil, value.Null, false)

// Set is a set of values of one path, as the bytes of their ascending keys
// ([value.AppendKey]): disjoint intervals in ascending order. It may hold more
// values than the predicate it stands for is TRUE of; when exact it holds just
// these.
type Set struct {
	All       bool // holds everything; the predicate says nothing of the path
	Exact     bool
	Intervals []Interval
}

// Interval is the keys from Lo (included) to Hi (excluded; nil for no bound).
type Interval struct {
	Lo, Hi []byte
	Point  []byte // the one key that the interval consists of; nil of others
	// Many says that the predicate may be TRUE of several values with the key
	// that is Point: of none but one otherwise, though others may have it, too.
	Many bool
}

// Everything holds every value.
var Everything = Set{All: true}

// pointSet is the set of one value, by its key.
func pointSet(key []byte, exact bool) Set {
	return Set{Exact: exact, Intervals: []Interval{pointInterval(key)}}
}

func pointInterval(key []byte) Interval {
	return Interval{Lo: key, Hi: Successor(bytes.Clone(key)), Point: key}
}

// rangeSet is the set of keys from lo to hi.
func rangeSet(lo, hi []byte, exact bool) Set {
	i := Interval{Lo: lo, Hi: hi}
	if i.empty() {
		return Set{Exact: exact}
	}
	return Set{Exact: exact, Intervals: []Interval{i}}
}

func (i Interval) empty() bool { return i.Hi != nil && bytes.Compare(i.Lo, i.Hi) >= 0 }

// Contains reports whether a key is in the set.
func (s Set) Contains(key []byte) bool {
	if s.All {
		return true
	}
	for _, i := range s.Intervals {
		if bytes.Compare(i.Lo, key) <= 0 && (i.Hi == nil || bytes.Compare(key, i.Hi) < 0) {
			return true
		}
	}
	return false
}

// None reports whether the set is empty.
func (s Set) None() bool { return !s.All && len(s.Intervals) == 0 }

// Points returns the number of the set's intervals if all of them are points,
// else 0.
func (s Set) Points() int {
	if s.All {
		return 0
	}
	for _, i := range s.Intervals {
		if i.Point == nil {
			return 0
		}
	}
	return len(s.Intervals)
}

// Constant returns the key of the one value that the predicate is TRUE of; nil
// when it may be TRUE of others.
func (s Set) Constant() []byte {
	if s.Points() == 1 && !s.Intervals[0].Many {
		return s.Intervals[0].Point
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
func union(sets ...Set) Set {
	out := Set{Exact: true}
	for _, s := range sets {
		if s.All {
			return Everything
		}
		out.Exact = out.Exact && s.Exact
		out.Intervals = append(out.Intervals, s.Intervals...)
	}
	sorting.Sort(out.Intervals, func(a, b Interval) int {
		if c := bytes.Compare(a.Lo, b.Lo); c != 0 {
			return c
		}
		return compareHi(a.Hi, b.Hi)
	})
	merged := out.Intervals[:0]
	for _, i := range out.Intervals {
		if n := len(merged); n > 0 && compareHi(i.Lo, merged[n-1].Hi) < 0 {
			merged[n-1].merge(i, out.Exact)
		} else {
			merged = append(merged, i)
		}
	}
	out.Intervals = merged
	return out
}

// merge makes i the union of itself and of o, which begins in it. With exact
// equal keys are those of equal values.
func (i *Interval) merge(o Interval, exact bool) {
	if i.Point != nil && bytes.Equal(i.Point, o.Point) {
		i.Many = i.Many || o.Many || !exact
		return
	}
	i.Point = nil
	if compareHi(i.Hi, o.Hi) < 0 {
		i.Hi = o.Hi
	}
}

// Intersect returns the set of what is in both sets.
func Intersect(a, b Set) Set {
	switch {
	case a.All && b.All:
		return Everything
	case a.All:
		b.Exact = false
		return b
	case b.All:
		a.Exact = false
		return a
	}
	out := Set{Exact: a.Exact && b.Exact}
	x, y := a.Intervals, b.Intervals
	for len(x) > 0 && len(y) > 0 {
		i := x[0]
		if bytes.Compare(i.Lo, y[0].Lo) < 0 {
			i.Lo = y[0].Lo
		}
		if compareHi(y[0].Hi, i.Hi) < 0 {
			i.Hi = y[0].Hi
		}
		switch {
		case y[0].Point == nil:
		case i.Point == nil:
			i.Point, i.Many = y[0].Point, y[0].Many
		default:
			i.Many = i.Many && y[0].Many
		}
		if !i.empty() {
			out.Intervals = append(out.Intervals, i)
		}
		if compareHi(x[0].Hi, y[0].Hi) < 0 {
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
	return Successor(Complement(pos))
}

// Descending returns the interval's keys in a descending column.
func (i Interval) Descending() Interval {
	d := Interval{Lo: mirror(i.Hi), Hi: mirror(i.Lo)}
	if i.Point != nil {
		d = pointInterval(Complement(i.Point))
		d.Many = i.Many
	}
	return d
}

// Complement returns the bytes that sort where b sorts in descending order.
func Complement(b []byte) []byte {
	out := make([]byte, len(b))
	for k, c := range b {
		out[k] = ^c
	}
	return out
}

// Successor returns the least byte string that is greater than every string
// that begins with b, nil when there is none. It may change b.
func Successor(b []byte) []byte {
	for len(b) > 0 {
		if last := len(b) - 1; b[last] < 0xFF {
			b[last]++
			return b
		}
		b = b[:len(b)-1]
	}
	return nil
}
