// Package entity provides the state of one entity: its head, its rev and its
// properties, and how events change it.
//
// A [State] is immutable and a pure function of the entity's set of events
// (S17): whatever order and batching delivered them, equal sets give equal
// states. Applying an event costs O(parents + properties) and never looks at
// history (S10).
package entity
