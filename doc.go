// Package ankurah keeps application state as entities that every node holds,
// edits in transactions and watches with live queries, while each change is
// kept as an immutable event.
//
// A program opens a storage engine and a [Node] on it, takes a [Session] for
// the principal that it acts for, and reads and writes through the collections
// that ankurah-gen generates from its model structs:
//
//	eng, err := pebble.Open(ctx, "./data", nil)
//	node, err := ankurah.OpenNode(ctx, eng, &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}})
//	err = node.EnsureSystem(ctx)
//	s := node.Session(policy.Principal{Subject: "alice"})
//	err = s.Update(ctx, func(tx *ankurah.Tx) error {
//		_, err := model.Albums.Create(tx, &model.Album{Name: "Absolution", Year: 2003})
//		return err
//	})
//	q, err := model.Albums.Query(ctx, s, "year > ? ORDER BY name", 1985)
//
// # Ordering and ownership
//
// Nodes, sessions, collections and views may be used from several goroutines;
// a [Tx] and what was got from it only from one at a time. Views never change.
// Callbacks of one live query run one at a time, in commit order, on a
// goroutine of the node, and hold no lock. Close a node before its engine.
package ankurah
