package agg

import (
	"math"

	"github.com/ankurah/ankurah-go/value"
)

// sum is an exact sum of numbers, from which what was added can be taken away
// again: equal numbers give the same sum in any order.
type sum struct {
	n      int64 // how many
	floats int64 // of them
	nan    int64 // of the floats
	up     int64 // +Inf of the floats
	down   int64 // -Inf of the floats
	ints   int128
	fixed  *fixed // the finite floats, nil while there was none
}

// add adds a number, or takes one away.
func (s *sum) add(v value.Value, away bool) {
	one := int64(1)
	if away {
		one = -1
	}
	s.n += one
	if v.Kind() != value.KindFloat64 {
		s.ints.add(v.Int(), away)
		return
	}
	s.floats += one
	switch f := v.Float(); {
	case math.IsNaN(f):
		s.nan += one
	case math.IsInf(f, 1):
		s.up += one
	case math.IsInf(f, -1):
		s.down += one
	default:
		if s.fixed == nil {
			s.fixed = &fixed{}
		}
		s.fixed.addFloat(f, away)
	}
}

// merge adds all of another sum.
func (s *sum) merge(o *sum) {
	s.n += o.n
	s.floats += o.floats
	s.nan += o.nan
	s.up += o.up
	s.down += o.down
	s.ints.merge(o.ints)
	if o.fixed != nil {
		if s.fixed == nil {
			s.fixed = &fixed{}
		}
		s.fixed.merge(o.fixed)
	}
}

// total returns the sum: an int64 of integers alone unless float is set. It is
// null over no numbers and when its type does not hold it.
func (s *sum) total(float bool) value.Value {
	switch {
	case s.n <= 0:
		return value.Null
	case s.floats == 0 && !float:
		if n, ok := s.ints.int64(); ok {
			return value.Int64(n)
		}
		return value.Null
	}
	return s.over(1)
}

// mean returns the float64 nearest to the sum divided by how many were added.
func (s *sum) mean() value.Value {
	if s.n <= 0 {
		return value.Null
	}
	return s.over(uint64(s.n))
}

func (s *sum) over(n uint64) value.Value {
	switch {
	case s.nan > 0 || s.up > 0 && s.down > 0:
		return value.Float64(math.NaN())
	case s.up > 0:
		return value.Float64(math.Inf(1))
	case s.down > 0:
		return value.Float64(math.Inf(-1))
	}
	var all fixed
	if s.fixed != nil {
		all = *s.fixed
	}
	all.addInt(s.ints)
	f := all.over(n)
	if math.IsInf(f, 0) {
		return value.Null
	}
	return value.Float64(f)
}
