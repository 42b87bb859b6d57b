package hex

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// The standard library is the oracle.
func FuzzHex(f *testing.F) {
	for _, s := range []string{"", "00", "0", "fF", "Ag", "gA", "\x1f0", "@@", "``", "::", "//", "é"} {
		f.Add([]byte(s))
	}
	for c := range 256 {
		f.Add([]byte{byte(c), 'a'})
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, want := Encode(b), hex.EncodeToString(b); got != want {
			t.Fatalf("Encode = %q, want %q", got, want)
		}
		got, ok := Decode(string(b))
		want, err := hex.DecodeString(string(b))
		if ok != (err == nil) || ok && !bytes.Equal(got, want) {
			t.Fatalf("Decode of %q = %x, %v, want %x, %v", b, got, ok, want, err)
		}
	})
}
