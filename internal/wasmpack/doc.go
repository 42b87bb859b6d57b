// Package wasmpack makes programs that Go linked for browsers smaller on the
// wire: what they do stays the same.
//
// It does two things. The linker writes the initial memory as tens of
// thousands of segments, to leave out runs of eight zeros; each has an address
// that no compressor can guess. Here they become a few segments with the
// zeros in them. And the tables that the runtime finds functions with hold
// files, line numbers and argument layouts, which nothing but the text of
// stack traces reads: they are taken out, and what is left moves together.
// Stack traces keep the names of functions. What tells functions that the
// compiler put into others apart stays too, as programs that count frames see
// it.
//
// The first works on any module. The second knows the tables of one release of
// Go, checks all that it reads, and leaves other releases alone.
package wasmpack
