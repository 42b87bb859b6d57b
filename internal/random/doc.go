// Package random is the system's randomness, fit for secrets. Programs for
// browsers ask the browser: the standard library's generator on top of it is
// ten times the size, and takes its seed from the same place.
package random
