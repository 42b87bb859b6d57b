// Package transport is the contract between nodes and what carries their
// frames. A frame is one message of the sync protocol: bytes that arrive whole
// and in order, or not at all.
package transport

import (
	"context"
	"errors"
	"time"
)

// MaxFrame is the greatest size of a frame in bytes. A [Conn] may refuse
// greater ones.
const MaxFrame = 8 << 20

var (
	// ErrClosed is wrapped by the errors of a connection that has ended.
	ErrClosed = errors.New("connection closed")
	// ErrPermanent is wrapped by the errors of a connection that trying again
	// does not help: another system, another principal, no common version.
	ErrPermanent = errors.New("connecting again does not help")
	// ErrFrameSize is wrapped by the errors of a connection that has ended
	// because of a frame that is larger than it carries.
	ErrFrameSize = errors.New("frame too large")
)

// Conn carries frames between two nodes. Send and Receive may each be used by
// one goroutine at a time, Close by any.
type Conn interface {
	// Send hands a frame on. It blocks while the other side is slower, until
	// ctx ends, which ends the connection too. The frame must not be changed
	// afterwards.
	Send(ctx context.Context, frame []byte) error
	// Receive returns the next frame, which is the caller's. What was sent
	// before a Close on the other side is received first. Errors wrap
	// [ErrClosed] when the connection has ended.
	Receive(ctx context.Context) ([]byte, error)
	// Close ends the connection, frames under way arrive if they can. Closing
	// again does nothing.
	Close() error
}

// Acceptor is what clients connect to: a durable node.
type Acceptor interface {
	// Accept serves a connection until it ends, closes it, and returns why it
	// ended, nil when the other side left in good order.
	Accept(ctx context.Context, c Conn) error
}

// TrySender is a [Conn] that can say whether sending would have to wait.
type TrySender interface {
	// TrySend sends a frame and returns true, or does nothing and returns false
	// because Send would wait or fail. It is called like Send.
	TrySend(frame []byte) bool
}

// Drainer is an [Acceptor] that can send its clients away.
type Drainer interface {
	// Drain asks the clients of all connections, also of those that Accept
	// gets from now on, to leave and to connect elsewhere or later. It returns
	// when they have left or ctx has ended.
	Drain(ctx context.Context) error
}

// Connector is what connects: an ephemeral node.
type Connector interface {
	// Connect runs a connection until it ends, closes it, and returns why it
	// ended: an error that wraps [ErrPermanent] where trying again does not
	// help, a [*RetryError] where the server said when to. hello.Ready is
	// called when the server has accepted the connection.
	Connect(ctx context.Context, c Conn, hello Hello) error
}

// Hello is what a client begins a connection with.
type Hello struct {
	Credential []byte // what the server's policy agent knows the principal by
	Ready      func() // may be nil
}

// RetryError ends a connection that the server asked to be made again.
type RetryError struct {
	After time.Duration
	Err   error
}

func (e *RetryError) Error() string {
	return e.Err.Error() + " (connect again in " + e.After.String() + ")"
}
func (e *RetryError) Unwrap() error { return e.Err }
