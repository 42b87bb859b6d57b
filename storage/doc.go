// Package storage is the contract between a node and its store, at the level
// of entities: an [Engine] commits transactions atomically and answers reads
// from consistent snapshots.
//
// Engines register a URL scheme with [Register], as database/sql drivers do,
// and every engine passes the suite in storage/storagetest.
//
// # Ordering and ownership
//
// One call of Engine.Commit runs at a time for an engine that is not shared;
// the node's sequencer sees to it. Snapshots may be taken and read from any
// goroutine while commits run, and a snapshot never changes. Everything handed
// over in a [Batch] is immutable and stays with the caller; everything read is
// the caller's and immutable as well.
package storage
