package ankurah

import "time"

// Limits are what one node puts up with (S33). A field that is zero has its
// default. What is beyond a limit fails with an error that names it and wraps
// [ErrLimit]: by [ErrTooLarge] where trying again cannot help, by
// [ErrOverloaded] where there may be room another time, and with
// [context.DeadlineExceeded] where something took too long.
//
// Beside them formats and the query language have limits that are the same
// everywhere; docs/LIMITS.md lists all of them. What nodes of one system take
// of each other should fit: a transaction that an ephemeral node lets pass and
// a durable one does not is refused for good.
type Limits struct {
	// MessageBytes is how long a message of a peer may be. 0 means 8 MiB, which
	// is the most; it has to be 1 MiB more than TxBytes, StateBytes and
	// QueryBytes.
	MessageBytes int

	// TxEvents is how many entities a transaction may touch. 0 means 10,000,
	// 65,536 are possible.
	TxEvents int
	// TxBytes is how many bytes the events of a transaction may have. 0 means
	// 4 MiB, 7 MiB are possible.
	TxBytes int
	// TxRequires is of how many entities a transaction may require that they
	// have not moved. 0 means 10,000, 65,536 are possible.
	TxRequires int

	// EventBytes is how many bytes an event may have. 0 means 1 MiB, which is
	// the most.
	EventBytes int
	// Parents is how many parents an event may have; one that is made upon a
	// wider head has the greatest of its tips. 0 means 64, which is the most.
	Parents int
	// StateBytes is how many bytes the state of an entity may have. 0 means
	// 4 MiB, 7 MiB are possible.
	StateBytes int
	// Properties is how many properties an entity may have, and how many may be
	// learned of a collection. 0 means 16,384, which is the most.
	Properties int
	// HeadWidth is how many concurrent events without a successor an entity may
	// have. Whoever edits it merges up to Parents of them. 0 means 8,192,
	// 65,536 are possible.
	HeadWidth int
	// Collections is how many collections may be learned by what is written;
	// those that programs declare count and are not refused. 0 means 10,000.
	Collections int

	// QueryText is how many bytes the text of a query may have. 0 means 16 KiB,
	// which is the most.
	QueryText int
	// QueryNesting is how deep parentheses, NOT and arithmetic of a query may
	// nest. 0 means 64, which is the most.
	QueryNesting int
	// QueryBytes is how many bytes text and parameters of a peer's query may
	// have. 0 means 2 MiB, 7 MiB are possible.
	QueryBytes int
	// AnswerBytes is how many bytes one answer to a peer may have, at most
	// NodeQueueBytes. 0 means 512 MiB.
	AnswerBytes int

	// Connections is how many connections a durable node takes. 0 means 20,000.
	Connections int
	// PrincipalConnections is how many of them one principal may have; for the
	// anonymous one there is only Connections. 0 means 1,000.
	PrincipalConnections int
	// Subscriptions is how many live queries a connection may have. 0 means
	// 10,000.
	Subscriptions int
	// NodeSubscriptions is how many all connections may have. 0 means
	// 1,000,000.
	NodeSubscriptions int
	// PeerRows is how many rows one answer to a peer may have, and all live
	// queries of a connection together when one begins. 0 means 4,000,000.
	PeerRows int
	// Requests is how many requests of a connection may wait before no more is
	// received from it. 0 means 512.
	Requests int
	// RequestBytes is how many bytes they may have before no more is received.
	// 0 means 16 MiB.
	RequestBytes int
	// QueueBytes is how many bytes of pushes may wait for a connection. One that
	// is slower is cut, and resynchronises when it comes again. 0 means 16 MiB.
	QueueBytes int
	// NodeQueueBytes is how many bytes may wait for all connections together;
	// beyond it the one with most is cut. 0 means 1 GiB.
	NodeQueueBytes int

	// Pending is how many transactions may wait on an ephemeral node for a
	// durable one; a commit beyond it fails. 0 means 100,000.
	Pending int
	// PendingBytes is how many bytes their events may have. 0 means 256 MiB.
	PendingBytes int
	// Rejected is how many refused transactions an ephemeral node keeps. While
	// it has so many a commit fails: discard some. 0 means 10,000.
	Rejected int

	// HelloTimeout is how long a connection may take to begin. 0 means 10
	// seconds. Times are between a second and a day.
	HelloTimeout time.Duration
	// IdleTimeout is how long a connection may be silent; after a third of it
	// the other side is asked whether it is there. 0 means 45 seconds.
	IdleTimeout time.Duration
	// RequestTimeout is how long a durable node reads for a request of a peer,
	// and how long an ephemeral one waits for an answer where the caller's
	// context has no deadline. A durable node that answers nothing for twice as
	// long is left. 0 means 30 seconds.
	RequestTimeout time.Duration
	// SendTimeout is how long the other side of a connection may take nothing
	// of what is sent before it is cut. 0 means 30 seconds.
	SendTimeout time.Duration
}
