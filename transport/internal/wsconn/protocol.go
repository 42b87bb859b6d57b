// Package wsconn carries frames in the binary messages of a WebSocket, for
// client and server, in programs and in browsers.
//
// A connection is one frame or more ahead of Receive, so that a Receive whose
// context ends takes nothing away, and so that the end of the connection is
// seen while nobody receives. In a program one goroutine reads for that, which
// ends with Close; in a browser there is none, it calls back.
package wsconn

import (
	"errors"
	"strconv"
	"time"

	"github.com/ankurah/ankurah-go/transport"
)

const (
	// Subprotocol is what both sides name in the opening handshake.
	Subprotocol = "ankurah.1"

	// DefaultWriteTimeout is how long a small frame may take to be sent.
	DefaultWriteTimeout = 30 * time.Second

	// slowest is the rate in bytes per second that large frames get time for.
	slowest = 64 << 10

	// closeTimeout bounds the closing handshake.
	closeTimeout = 3 * time.Second

	// Pages may not close with 1009, 1003 and 1011; these say the same.
	pageTooBig = 4009
	pageText   = 4003
	pageFault  = 4011
)

var errClosed = ended("the connection is closed")

// endedError is why a connection has ended.
type endedError struct {
	text  string
	cause error // may be nil
}

func ended(text string, cause ...error) error { return &endedError{text, errors.Join(cause...)} }

func (e *endedError) Error() string { return "ankurah: " + e.text }

func (e *endedError) Unwrap() []error {
	if e.cause == nil {
		return []error{transport.ErrClosed}
	}
	return []error{transport.ErrClosed, e.cause}
}

// Errors that both sides of a connection may find.
func errReceivedTooLarge(limit int) error {
	return ended("the other side sent a frame of more than "+strconv.Itoa(limit)+" bytes", transport.ErrFrameSize)
}

func errSentTooLarge(size, limit int) error {
	return ended("a frame of "+strconv.Itoa(size)+" bytes is larger than the limit of "+strconv.Itoa(limit), transport.ErrFrameSize)
}

func errText() error { return ended("the other side sent a text message; frames are binary") }

func errSlow(size int, limit time.Duration, cause error) error {
	return ended("the other side did not take a frame of "+strconv.Itoa(size)+" bytes in "+limit.String(), cause)
}

func errGivenUp(cause error) error { return ended("sending was given up: "+cause.Error(), cause) }

// errOther says why the other side closed the connection. name is that of its
// code, empty if there was nothing wrong.
func errOther(name, reason string, tooBig bool) error {
	text := "the other side closed the connection"
	var cause error
	if tooBig {
		text, cause = "the other side refused a frame as too large", transport.ErrFrameSize
	} else if name != "" {
		text += ": " + name
	}
	if reason != "" {
		text += ": " + strconv.Quote(reason)
	}
	return ended(text, cause)
}
