package postgres

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/value"
)

// edges returns a number near one at which arithmetic changes.
func edges(r *rand.Rand) int64 {
	at := []int64{0, 7, -7, 1 << 31, -1 << 31, 1 << 62, -1 << 62, math.MaxInt64, math.MinInt64}
	return at[r.IntN(len(at))] + r.Int64N(9) - 4 // it may wrap around
}

// S42: what leads into a range, and where results lie, is what the evaluator
// says of each number.
func TestSpans(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	within := func(s span, n int64) bool { return s.holds(spanOf(n, n)) }
	for range 500_000 {
		op := []ankql.Op{ankql.OpAdd, ankql.OpSub, ankql.OpMul, ankql.OpDiv}[r.IntN(4)]
		x, k, left := edges(r), edges(r), r.IntN(2) == 0
		e := &ankql.Binary{Op: op, L: &ankql.Literal{Value: value.Int64(x)}, R: &ankql.Literal{Value: value.Int64(k)}}
		in, other := spanOf(min(x, edges(r)), max(x, edges(r))), spanOf(min(k, edges(r)), max(k, edges(r)))
		if left {
			e.L, e.R = e.R, e.L
			in, other = other, in
		}
		z := ankql.Operand(e, nil)
		if !z.IsNull() && !within(result(op, in, other), z.Int()) {
			t.Fatalf("%s is %d, which is not in %v of %v and %v", ankql.PrintExpr(e), z.Int(), result(op, in, other), in, other)
		}
		want := spanOf(edges(r), edges(r))
		if !z.IsNull() && r.IntN(2) == 0 { // near one of its ends
			want.lo = big.NewInt(z.Int())
			want.lo.Add(want.lo, big.NewInt(r.Int64N(5)-2))
		}
		want = want.and(int64s)
		got, ok := before(op, k, left, want)
		if ok && within(got, x) != (!z.IsNull() && within(want, z.Int())) {
			t.Fatalf("%s lies in %v: %t, by what leads there: %t, %v", ankql.PrintExpr(e), want, !ok, within(got, x), got)
		}
	}
}
