// Package sim runs durable and ephemeral nodes in one goroutine, on a seeded
// schedule: the same state machines as in programs, over a network that is cut
// and healed, disks that lose what was not written when a process crashes, and
// clocks that are wrong. The same seed gives the same history.
package sim
