package sha256

import (
	"crypto/sha256"
	"math/rand/v2"
	"testing"
)

// The standard library is the oracle, at every length around blocks and for
// bytes of all values.
func TestSumsLikeTheStandardLibrary(t *testing.T) {
	rnd := rand.NewChaCha8([32]byte{1})
	for n := range 300 {
		b := make([]byte, n+n%7*64)
		_, _ = rnd.Read(b)
		want := sha256.Sum256(b)
		if got := sum(b); got != want {
			t.Fatalf("sum of %x = %x, want %x", b, got, want)
		}
		if got := Sum256(b); got != want {
			t.Fatalf("Sum256 of %x = %x, want %x", b, got, want)
		}
	}
}

func FuzzSum(f *testing.F) {
	f.Add([]byte("abc"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, want := sum(b), sha256.Sum256(b); got != want {
			t.Fatalf("sum of %x = %x, want %x", b, got, want)
		}
	})
}
