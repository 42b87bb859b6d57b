// Package indexeddb provides the storage engine of browsers: one database of
// IndexedDB with one object store, whose keys are the bytes of package kv.
//
//	engine, err := indexeddb.Open(ctx, "app", nil)
//
// It is there for GOOS=js only. Importing the package makes the scheme
// "indexeddb" known to storage.Open: "indexeddb:app".
//
// # Publish first, persist after
//
// IndexedDB has no snapshots and takes a millisecond to answer, so the store
// works on a copy in memory, which Open reads. Commit changes the copy and
// returns. What changed is written meanwhile, one transaction at a time; what
// comes while one is under way shares the next. So [Engine.Flush] is what waits
// for the browser to have it ([storage.Flusher]). A commit is in one
// transaction with all that was committed before it and was not written yet:
// what is found after a crash is whole commits, in their order.
//
// The browser is asked for relaxed durability, its default: what it has
// confirmed outlives the page and the browser, the last of it perhaps not the
// machine.
//
// # Failures
//
// A connection that the browser dropped is made again. Where that does not
// help, or the browser has no room ([storage.ErrFull]), nothing more is
// committed and Flush says why.
//
// # One at a time
//
// A Web Lock guards a database, so that one engine has it open in all pages
// and workers of the origin. Browsers have Web Locks in secure contexts only:
// https, and http on localhost.
//
// # Records
//
// The value under a key is a record: the lengths of the key and of the value,
// four bytes each, big-endian, then the key and the value. So a page of records
// crosses from JavaScript as one piece.
//
// # Goroutines
//
// One goroutine writes, while there is something to write. Close awaits it.
package indexeddb
