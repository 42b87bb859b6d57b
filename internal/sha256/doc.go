// Package sha256 is SHA-256. In browsers it is an implementation of its own:
// the standard library's comes with the machinery of certified modules and
// with what tests it at the start.
package sha256

// Size is how many bytes a sum has.
const Size = 32
