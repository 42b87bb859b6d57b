// Package random is the system's randomness, fit for secrets. Programs for
// browsers ask the browser: the standard library's generator on top of it
// takes its seed from the same place, and comes with AES and SHA-3.
package random
