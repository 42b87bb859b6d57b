//go:build !js

package random

import "crypto/rand"

// Read fills b. It never fails: without randomness the program ends.
func Read(b []byte) { _, _ = rand.Read(b) }
