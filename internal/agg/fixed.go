package agg

import (
	"math"
	"math/bits"
)

// Floating-point numbers are added up as in a Kulisch accumulator (Kulisch and
// Miranker, "The Arithmetic of the Digital Computer", 1986): one integer so wide
// that every finite float64 is a whole multiple of its unit. Nothing is rounded
// before the end, so additions can be taken back and come in any order.
const (
	limbs    = 34   // of 64 bits: 2098 for every float64, a sign, and room for 2^63 of them
	unitBits = 1074 // the unit is 2^-1074, the least float64
)

// fixed is an integer in two's complement, its lowest limb first.
type fixed [limbs]uint64

// addFloat adds a finite number, or takes it away.
func (x *fixed) addFloat(f float64, away bool) {
	b := math.Float64bits(f)
	mant, exp := b&(1<<52-1), b>>52&0x7FF
	if exp > 0 {
		mant |= 1 << 52
		exp--
	}
	k, off := int(exp/64), exp%64
	lo, hi := mant<<off, mant>>(64-off) // a shift by 64 gives 0
	if (b>>63 != 0) != away {
		x.sub(k, lo, hi)
	} else {
		x.add(k, lo, hi)
	}
}

// add adds hi·2^64 + lo at limb k.
func (x *fixed) add(k int, lo, hi uint64) {
	var c uint64
	x[k], c = bits.Add64(x[k], lo, 0)
	x[k+1], c = bits.Add64(x[k+1], hi, c)
	for k += 2; c != 0 && k < limbs; k++ {
		x[k], c = bits.Add64(x[k], 0, c)
	}
}

func (x *fixed) sub(k int, lo, hi uint64) {
	var c uint64
	x[k], c = bits.Sub64(x[k], lo, 0)
	x[k+1], c = bits.Sub64(x[k+1], hi, c)
	for k += 2; c != 0 && k < limbs; k++ {
		x[k], c = bits.Sub64(x[k], 0, c)
	}
}

// addInt adds a 128-bit integer, a whole number rather than of units.
func (x *fixed) addInt(n int128) {
	neg := n.hi < 0
	if neg {
		n = n.negated()
	}
	const k, off = unitBits / 64, unitBits % 64
	lo, mid, hi := n.lo<<off, uint64(n.hi)<<off|n.lo>>(64-off), uint64(n.hi)>>(64-off)
	if neg {
		x.sub(k, lo, mid)
		x.sub(k+2, hi, 0)
	} else {
		x.add(k, lo, mid)
		x.add(k+2, hi, 0)
	}
}

// merge adds another sum.
func (x *fixed) merge(o *fixed) {
	var c uint64
	for k := range x {
		x[k], c = bits.Add64(x[k], o[k], c)
	}
}

// over returns the float64 nearest to x/n, ties to even; infinity when it is
// beyond all. n is below 2^63.
func (x *fixed) over(n uint64) float64 {
	neg := x[limbs-1]>>63 != 0
	// The quotient has 64 bits behind those of the unit: what is not half of a
	// place differs from it by 1/(2n) at least, so it is seen there.
	var q [limbs + 1]uint64
	copy(q[1:], x[:])
	if neg {
		var c uint64
		for k := range q {
			q[k], c = bits.Sub64(0, q[k], c)
		}
	}
	var rest uint64
	for k := limbs; k >= 0; k-- {
		if rest|q[k] != 0 { // most are nothing
			q[k], rest = bits.Div64(rest, q[k], n)
		}
	}
	f := round(&q)
	if neg {
		f = -f
	}
	return f
}

// round returns the float64 nearest to q·2^-(1074+64), ties to even.
func round(q *[limbs + 1]uint64) float64 {
	top := limbs
	for top > 0 && q[top] == 0 {
		top--
	}
	high := 64*top + bits.Len64(q[top]) // above its highest bit
	last := max(high-53, 64)            // the last bit that stays
	shift := uint(last % 64)
	mant := q[last/64] >> shift
	if shift > 0 && last/64 < limbs {
		mant |= q[last/64+1] << (64 - shift)
	}
	half := last - 1
	tie := q[half/64]>>(half%64)&1 != 0
	more := q[half/64]&(1<<(half%64)-1) != 0
	for k := 0; k < half/64 && !more; k++ {
		more = q[k] != 0
	}
	if tie && (more || mant&1 != 0) {
		mant++
	}
	// The leading bit of mant counts the exponent up by one, as does a carry.
	exp := uint64(last - 64)
	if exp > 0x7FE || exp<<52+mant >= 0x7FF<<52 {
		return math.Inf(1)
	}
	return math.Float64frombits(exp<<52 + mant)
}

// trimmed returns the limbs between which x is determined: those below from are
// 0, those above the last one repeat its sign.
func (x *fixed) trimmed() (from int, part []uint64) {
	for from < limbs && x[from] == 0 {
		from++
	}
	to := limbs
	for to > from+1 && x[to-1] == sign(x[to-2]) {
		to--
	}
	return from, x[from:to]
}

// set is the inverse of trimmed.
func (x *fixed) set(from int, part []uint64) {
	clear(x[:from])
	copy(x[from:], part)
	fill := uint64(0)
	if len(part) > 0 {
		fill = sign(part[len(part)-1])
	}
	for k := from + len(part); k < limbs; k++ {
		x[k] = fill
	}
}

// sign returns the limb that goes on with the sign of the one below.
func sign(limb uint64) uint64 { return uint64(int64(limb) >> 63) }

// int128 is an integer in two's complement.
type int128 struct {
	hi int64
	lo uint64
}

func (n *int128) add(v int64, away bool) {
	var c uint64
	if away {
		n.lo, c = bits.Sub64(n.lo, uint64(v), 0)
		hi, _ := bits.Sub64(uint64(n.hi), uint64(v>>63), c)
		n.hi = int64(hi)
		return
	}
	n.lo, c = bits.Add64(n.lo, uint64(v), 0)
	hi, _ := bits.Add64(uint64(n.hi), uint64(v>>63), c)
	n.hi = int64(hi)
}

func (n *int128) merge(o int128) {
	var c uint64
	n.lo, c = bits.Add64(n.lo, o.lo, 0)
	hi, _ := bits.Add64(uint64(n.hi), uint64(o.hi), c)
	n.hi = int64(hi)
}

func (n int128) negated() int128 {
	lo, c := bits.Sub64(0, n.lo, 0)
	hi, _ := bits.Sub64(0, uint64(n.hi), c)
	return int128{int64(hi), lo}
}

// int64 returns n, and whether it is one.
func (n int128) int64() (int64, bool) { return int64(n.lo), n.hi == int64(n.lo)>>63 }
