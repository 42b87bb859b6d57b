// Package core is the node as one state machine: commit sequencing, publishing,
// live queries, schema and system. It starts no goroutine, reads no clock, makes
// no randomness and does no I/O: all of these come in through an [Executor],
// and what has to be done goes out through it.
//
// # Ordering and ownership
//
// Calls of a [Core]'s methods, completions included, must not overlap; the
// caller owns the lock that sees to it. [Core.Current], [Core.Cache] and
// [Core.Model] are the exceptions: they may be used at any time.
//
// A transaction passes four stations: its missing states are read; it is
// validated against the newest states, in flight or published; it is written in
// a group with whatever waits beside it, one group at a time; and it is
// published: the cache, the snapshot that readers get, and the live queries
// move on, in this order and group by group, and only then is its committer
// told. Nothing derived from a group leaves before its write is complete (S23).
package core
