//go:build !js

// Package wsconn carries frames in the binary messages of a WebSocket, for
// client and server.
//
// Each connection has one goroutine, which reads. It is one frame ahead of
// Receive, so that a Receive whose context ends takes nothing away, and so that
// the end of the connection is seen while nobody receives. It ends with Close.
package wsconn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

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

	// verdict is how long a failed Send waits for the reason that the other
	// side may have given.
	verdict = 100 * time.Millisecond
)

// Config says how a connection behaves.
type Config struct {
	MaxFrame     int           // 0 is transport.MaxFrame
	WriteTimeout time.Duration // 0 is DefaultWriteTimeout
	Raw          io.Closer     // what carries the WebSocket, closed if it does not end otherwise; may be nil
}

// Conn is a [transport.Conn] on a WebSocket.
type Conn struct {
	ws      *websocket.Conn
	cfg     Config
	frames  chan []byte
	closing chan struct{} // closed by Close
	failed  chan struct{} // closed with err, if this side ended the connection for a reason
	ended   chan struct{} // closed by the reader when nothing follows
	once    sync.Once

	mu     sync.Mutex // guards what follows
	err    error      // why the connection ended
	code   websocket.StatusCode
	reason string // of at most 123 bytes, for the other side
}

// New takes over ws, whose compression and subprotocol are agreed.
func New(ws *websocket.Conn, cfg Config) *Conn {
	if cfg.MaxFrame <= 0 {
		cfg.MaxFrame = transport.MaxFrame
	}
	if cfg.WriteTimeout <= 0 {
		cfg.WriteTimeout = DefaultWriteTimeout
	}
	ws.SetReadLimit(-1) // read has its own, with a better reason
	c := &Conn{
		ws: ws, cfg: cfg, code: websocket.StatusNormalClosure,
		frames: make(chan []byte), closing: make(chan struct{}), failed: make(chan struct{}), ended: make(chan struct{}),
	}
	go c.read()
	return c
}

// read hands frames to Receive until the connection ends.
func (c *Conn) read() {
	defer close(c.ended)
	for {
		kind, r, err := c.ws.Reader(context.Background())
		var frame []byte
		if err == nil {
			frame, err = io.ReadAll(io.LimitReader(r, int64(c.cfg.MaxFrame)+1))
		}
		switch {
		case len(frame) > c.cfg.MaxFrame:
			// Close reads what is left of it, so that the other side sees why.
			limit := strconv.Itoa(c.cfg.MaxFrame)
			c.fail(websocket.StatusMessageTooBig, "more than "+limit+" bytes",
				ended("the other side sent a frame of more than "+limit+" bytes", transport.ErrFrameSize))
			return
		case err != nil:
			c.fail(0, "", c.explain(err))
			_ = c.ws.CloseNow() // so that Send does not wait
			return
		case kind != websocket.MessageBinary:
			c.fail(websocket.StatusUnsupportedData, "frames are binary messages",
				ended("the other side sent a text message; frames are binary"))
			return
		}
		select {
		case c.frames <- frame:
		case <-c.closing:
			return
		}
	}
}

// Receive returns the next frame. The end of ctx leaves the connection as it
// is.
func (c *Conn) Receive(ctx context.Context) ([]byte, error) {
	select {
	case frame := <-c.frames:
		return frame, nil
	default:
	}
	select {
	case frame := <-c.frames:
		return frame, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-c.closing:
		return nil, errClosed
	case <-c.failed:
		return nil, c.why()
	case <-c.ended:
		return nil, c.why()
	}
}

// Send sends a frame. It returns when the operating system has it.
func (c *Conn) Send(ctx context.Context, frame []byte) error {
	select {
	case <-c.closing:
		return errClosed
	case <-c.failed:
		return c.why()
	default:
	}
	if len(frame) > c.cfg.MaxFrame {
		return c.fail(websocket.StatusInternalError, "a frame is too large to be sent",
			ended(fmt.Sprintf("a frame of %d bytes is larger than the limit of %d", len(frame), c.cfg.MaxFrame), transport.ErrFrameSize))
	}
	limit := c.cfg.WriteTimeout + time.Duration(len(frame))*time.Second/slowest
	// The reason has to be noted before the connection is cut, which ends the
	// reader too.
	slow := time.AfterFunc(limit, func() {
		_ = c.fail(0, "", ended(fmt.Sprintf("the other side did not take a frame of %d bytes in %v", len(frame), limit), os.ErrDeadlineExceeded))
		c.Abort()
	})
	stop := context.AfterFunc(ctx, func() {
		_ = c.fail(0, "", ended("sending was given up: "+ctx.Err().Error(), ctx.Err()))
		c.Abort()
	})
	err := c.ws.Write(context.Background(), websocket.MessageBinary, frame)
	slow.Stop()
	stop()
	if err == nil {
		return nil
	}
	t := time.NewTimer(verdict)
	defer t.Stop()
	select {
	case <-c.failed:
	case <-c.closing:
		return errClosed
	case <-t.C:
	}
	return c.fail(0, "", c.explain(err))
}

// Close ends the connection with a handshake, for which it waits at most three
// seconds.
func (c *Conn) Close() error {
	c.once.Do(func() {
		close(c.closing)
		c.mu.Lock()
		code, reason := c.code, c.reason
		c.mu.Unlock()
		t := time.AfterFunc(closeTimeout, c.Abort)
		defer t.Stop()
		_ = c.ws.Close(code, reason) // it is closed in any case
	})
	<-c.ended
	return nil
}

// Abort ends the connection without a handshake, a Close under way as well.
func (c *Conn) Abort() {
	if c.cfg.Raw != nil {
		_ = c.cfg.Raw.Close()
		return
	}
	_ = c.ws.CloseNow()
}

// fail notes why the connection ends, unless that is known, and returns it.
func (c *Conn) fail(code websocket.StatusCode, reason string, err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	select {
	case <-c.closing: // whatever follows from that
		code, err = 0, errClosed
	default:
	}
	c.err = err
	if code != 0 {
		c.code, c.reason = code, reason
	}
	close(c.failed)
	return err
}

func (c *Conn) why() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		return errClosed
	}
	return c.err
}

// explain turns an error of the WebSocket into one of a connection.
func (c *Conn) explain(err error) error {
	if closed, ok := errors.AsType[websocket.CloseError](err); ok {
		text := "the other side closed the connection"
		var also error
		switch closed.Code {
		case websocket.StatusNormalClosure, websocket.StatusNoStatusRcvd:
		case websocket.StatusMessageTooBig:
			text, also = "the other side refused a frame as too large", transport.ErrFrameSize
		default:
			text += ": " + strings.TrimPrefix(closed.Code.String(), "Status")
		}
		if closed.Reason != "" {
			text += ": " + strconv.Quote(closed.Reason)
		}
		return ended(text, also)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
		return ended("the connection broke", err)
	}
	for e := err; e != nil; e = errors.Unwrap(e) { // the packages around it say nothing more
		err = e
	}
	return ended("the connection broke: "+err.Error(), err)
}

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
