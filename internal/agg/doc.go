// Package agg computes aggregate selections: it keeps the groups of a selection
// under rows that come, change and go. Sums are exact, so what is kept by
// deltas equals, bit by bit, what is computed anew from the rows that are left,
// in any order.
//
// A table's groups may also stand upon another node's (see [Table.Put]): an
// ephemeral node holds the server's groups and adds what its own pending edits
// do to them. What crosses the wire is a group's state, from which every result
// follows; its form is in docs/FORMAT.md.
//
// It is pure: no locks, no storage. A table is for one goroutine at a time.
package agg
