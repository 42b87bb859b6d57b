package agg

import (
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ankurah/ankurah-go/value"
)

// number returns integers and floats of all magnitudes, many of which cancel
// out or lie between two floats.
func number(r *rand.Rand) value.Value {
	switch r.IntN(8) {
	case 0:
		return value.Int64(pick[int64](r, 0, 1, -1, math.MaxInt64, math.MinInt64, 1<<53+1, -1<<53-1))
	case 1:
		return value.Int64(int64(r.Uint64()))
	case 2:
		return value.Int32(int32(r.Uint32()))
	case 3:
		return value.Float64(pick[float64](r, 0, 1, -1, 0.1, -0.1, math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64,
			-math.SmallestNonzeroFloat64, 0x1p-1022, -0x1p-1022, 0x1.fffffffffffffp-1023, 0x1p1023, 0x1p53, 0x1p-53))
	case 4:
		return value.Float64(r.NormFloat64())
	}
	f := math.Float64frombits(r.Uint64())
	if math.IsNaN(f) || math.IsInf(f, 0) {
		f = 1e300
	}
	return value.Float64(f)
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

func rat(v value.Value) *big.Rat {
	if v.Kind() == value.KindFloat64 {
		return new(big.Rat).SetFloat64(v.Float())
	}
	return new(big.Rat).SetInt64(v.Int())
}

// nearest rounds once; infinity is null.
func nearest(x *big.Rat) value.Value {
	f, _ := x.Float64()
	if math.IsInf(f, 0) {
		return value.Null
	}
	return value.Float64(f)
}

// S45: SUM and AVG are the exact ones rounded once, whatever was added and
// taken away before, in any order.
func TestSumIsExact(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		var have []value.Value
		var s sum
		exact := new(big.Rat)
		for range r.IntN(40) {
			if len(have) > 0 && r.IntN(3) == 0 {
				k := r.IntN(len(have))
				s.add(have[k], true)
				exact.Sub(exact, rat(have[k]))
				have = slices.Delete(have, k, k+1)
				continue
			}
			v := number(r)
			if len(have) > 0 && r.IntN(4) == 0 {
				if old := have[r.IntN(len(have))]; old.Kind() == value.KindFloat64 {
					v = value.Float64(-old.Float()) // cancels, so that small ones come out
				}
			}
			s.add(v, false)
			exact.Add(exact, rat(v))
			have = append(have, v)
		}
		check(t, &s, have, exact)
		var other sum
		r.Shuffle(len(have), func(a, b int) { have[a], have[b] = have[b], have[a] })
		half := r.IntN(len(have) + 1)
		var rest sum
		for k, v := range have {
			if k < half {
				other.add(v, false)
			} else {
				rest.add(v, false)
			}
		}
		other.merge(&rest)
		check(t, &other, have, exact)
		if a, b := s.append(nil), other.append(nil); len(have) > 0 && !slices.Equal(a, b) {
			t.Fatalf("%v: the same sum is written as % x and as % x", have, a, b)
		}
	}
}

func check(t *testing.T, s *sum, have []value.Value, exact *big.Rat) {
	t.Helper()
	ints := !slices.ContainsFunc(have, func(v value.Value) bool { return v.Kind() == value.KindFloat64 })
	total, float, mean := value.Null, value.Null, value.Null
	if len(have) > 0 {
		float = nearest(exact)
		mean = nearest(new(big.Rat).Quo(exact, new(big.Rat).SetInt64(int64(len(have)))))
		switch {
		case !ints:
			total = float
		case exact.Num().IsInt64():
			total = value.Int64(exact.Num().Int64())
		}
	}
	for _, c := range []struct {
		what      string
		got, want value.Value
	}{{"SUM", s.total(false), total}, {"SUM as a float", s.total(true), float}, {"AVG", s.mean(), mean}} {
		if !identical(c.got, c.want) {
			t.Fatalf("%s of %v: got %v, want %v", c.what, have, c.got, c.want)
		}
	}
}

// Every way in which a sum can lie between two floats: exactly in the middle
// and one unit beside, at every exponent.
func TestRoundingAtEveryExponent(t *testing.T) {
	for exp := -1074; exp <= 1023; exp++ {
		for _, bits := range []uint64{1 << 52, 1<<52 + 1, 1<<53 - 1} {
			base := math.Ldexp(float64(bits), exp-52)
			for _, add := range []float64{math.Ldexp(1, exp-53), -math.Ldexp(1, exp-53), math.Ldexp(1, exp-54)} {
				for _, tiny := range []float64{0, math.SmallestNonzeroFloat64, -math.SmallestNonzeroFloat64} {
					for _, n := range []int64{1, 3, math.MaxInt64 / 4} {
						var s sum
						exact := new(big.Rat)
						for _, f := range []float64{base, add, tiny} {
							if math.IsInf(f, 0) {
								continue
							}
							s.add(value.Float64(f), false)
							exact.Add(exact, new(big.Rat).SetFloat64(f))
						}
						s.n = n
						want := nearest(exact.Quo(exact, new(big.Rat).SetInt64(n)))
						if got := s.mean(); !identical(got, want) {
							t.Fatalf("(%g + %g + %g)/%d: got %v, want %v", base, add, tiny, n, got, want)
						}
					}
				}
			}
		}
		if testing.Short() {
			exp += 20
		}
	}
}

// NaN and infinities are counted beside, so that they go as they came.
func TestSumOfSpecials(t *testing.T) {
	nan, up, down := value.Float64(math.NaN()), value.Float64(math.Inf(1)), value.Float64(math.Inf(-1))
	one := value.Float64(1)
	for _, c := range []struct {
		in   []value.Value
		want value.Value
	}{
		{[]value.Value{one, nan}, nan},
		{[]value.Value{one, up, up}, up},
		{[]value.Value{down, one}, down},
		{[]value.Value{down, up}, nan},
		{[]value.Value{value.Float64(math.MaxFloat64), value.Float64(math.MaxFloat64)}, value.Null},
		{[]value.Value{value.Float64(math.MaxFloat64), value.Float64(math.MaxFloat64), down}, down},
		{[]value.Value{value.Int64(math.MaxInt64), value.Int64(1)}, value.Null},
		{[]value.Value{value.Float64(0), value.Int64(0)}, value.Float64(0)},
	} {
		var s sum
		s.add(one, false)
		for _, v := range c.in {
			s.add(v, false)
		}
		s.add(one, true)
		if got := s.total(false); !identical(got, c.want) {
			t.Errorf("%v: got %v, want %v", c.in, got, c.want)
		}
		s.add(value.Int32(5), false)
		for _, v := range c.in {
			s.add(v, true)
		}
		if got := s.total(false); !identical(got, value.Int64(5)) {
			t.Errorf("%v taken away: got %v", c.in, got)
		}
	}
}

// A trimmed sum is the sum.
func TestTrimmed(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 5000 {
		var x, back fixed
		for range r.IntN(4) {
			if v := number(r); v.Kind() == value.KindFloat64 {
				x.addFloat(v.Float(), r.IntN(2) == 0)
			} else {
				x.addInt(int128{int64(r.Uint64()) >> (r.IntN(64)), r.Uint64()})
			}
		}
		from, part := x.trimmed()
		for k := range back {
			back[k] = r.Uint64()
		}
		if back.set(from, part); back != x {
			t.Fatalf("%x came back as %x", x, back)
		}
	}
}

// Integers of up to 127 bits become part of a sum of floats exactly.
func TestAddInt(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 5000 {
		n := int128{int64(r.Uint64()) >> (1 + r.IntN(63)), r.Uint64()}
		f := number(r).Float()
		var x fixed
		x.addFloat(f, false)
		x.addInt(n)
		exact := new(big.Int).SetInt64(n.hi)
		exact.Add(exact.Lsh(exact, 64), new(big.Int).SetUint64(n.lo))
		want := new(big.Rat).SetInt(exact)
		want.Add(want, new(big.Rat).SetFloat64(f))
		if got := value.Float64(x.over(1)); !identical(got, nearest(want)) && !math.IsInf(got.Float(), 0) {
			t.Fatalf("%x + %g: got %v, want %v", n, f, got, nearest(want))
		}
	}
}
