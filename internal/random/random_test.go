package random

import "testing"

// Every byte is random, also behind what a browser gives at once: none is the
// same in 64 readings.
func TestReadFillsAll(t *testing.T) {
	const size = 2*65536 + 1
	first := make([]byte, size)
	Read(first)
	same := make([]bool, size)
	for k := range same {
		same[k] = true
	}
	b := make([]byte, size)
	for range 64 {
		Read(b)
		for k := range b {
			same[k] = same[k] && b[k] == first[k]
		}
	}
	for k, is := range same {
		if is {
			t.Fatalf("byte %d did not change", k)
		}
	}
	Read(nil)
}
