package sha256

// Sum256 returns the SHA-256 sum of b.
func Sum256(b []byte) [Size]byte { return sum(b) }
