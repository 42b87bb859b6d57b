// Package wasmpack makes programs that Go linked for browsers smaller on the
// wire: what they do stays the same. What counts is their size once brotli has
// compressed them, so most of it makes things alike.
//
// The linker writes the initial memory as tens of thousands of segments, to
// leave out runs of eight zeros; each has an address that no compressor can
// guess. Here they become a few segments with the zeros in them. This works on
// any module; the rest knows the tables and the code of one release of Go,
// checks all that it reads, and leaves other releases alone:
//
//   - The tables that the runtime finds functions with hold files, line numbers
//     and argument layouts, which nothing but the text of stack traces reads:
//     they are taken out, and what is left moves together. Stack traces keep the
//     names of functions. What tells functions that the compiler put into others
//     apart stays too, as programs that count frames see it (tables.go).
//   - Of these tables memory holds a short form only, of which the module's
//     start function makes them before anything else runs (restore.go, start.go).
//   - Functions are written shorter: jumps, calls, accesses to the stack and
//     values that are read once (shorten.go, calls.go, forward.go).
//   - Functions of the runtime are left out that nothing in the program asks for
//     (omit.go).
package wasmpack
