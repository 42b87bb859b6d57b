// Package port serves a node's data to pages: programs that hold no data of
// their own, such as the TypeScript client in web/client. A page opens queries
// and gets their rows and, from then on, what changes; it sends transactions,
// and hears whether they were committed.
//
// A [Server] is an acceptor of connections, as a node is, and serves the same
// bytes everywhere: in a browser's worker, on the worker's own ephemeral node,
// over MessagePorts; on a server, on a durable node, over WebSockets:
//
//	http.Handle("/pages", wsserver.NewHandler(port.NewServer(node, nil), nil))
//
// On a durable node a page is who the policy agent takes its credential for,
// and reads and writes what a session of that principal may. On an ephemeral
// node it is the principal that the node's store belongs to.
//
// # Order and ownership
//
// A page's transactions are committed one after the other, in the order in
// which they came. What is new is told of all queries of a page at once, as they
// were at one moment, when the page has taken what it was told before: a page
// that is slow gets fewer and larger updates, and what waits for it is bounded.
// A transaction keeps the ID that the page gave it, so one that is sent again
// is answered and not committed again.
//
// Accept runs on the caller's goroutine. Sending and committing have one of
// their own while there is something to send or to commit, and so has each query
// while it is being opened and each transaction that waits for a durable node's
// word. All of them end before Accept returns.
//
// docs/FORMAT.md describes the messages.
package port
