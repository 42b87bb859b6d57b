// Package dump moves what a durable store holds to another one, whatever their
// engines, by way of a stream: [Write] makes one, [Restore] fills an empty store
// from it. [Verify] holds a store against itself.
//
// A dump has everything that the system's history is: its root, the catalog,
// all events in the order in which each entity got them, the records of
// transactions, claims, and which indexes there were. States are not in it: they follow
// from the events, and the dump has their digests to prove it. The store that
// is restored is another one, with an ID and an epoch of its own (S8), so that
// clients replace what they know of the old one. docs/FORMAT.md describes the
// stream. Equal stores have equal dumps.
//
// # Memory
//
// All three read and write in one pass from one snapshot, and keep no more than
// a batch of events and one entity's state.
package dump
