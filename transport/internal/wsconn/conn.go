//go:build !js

package wsconn

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/ankurah/ankurah-go/transport"
)

// verdict is how long a failed Send waits for the reason that the other side
// may have given.
const verdict = 100 * time.Millisecond

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
			c.fail(websocket.StatusMessageTooBig, "more than "+strconv.Itoa(c.cfg.MaxFrame)+" bytes",
				errReceivedTooLarge(c.cfg.MaxFrame))
			return
		case err != nil:
			c.fail(0, "", c.explain(err))
			_ = c.ws.CloseNow() // so that Send does not wait
			return
		case kind != websocket.MessageBinary:
			c.fail(websocket.StatusUnsupportedData, "frames are binary messages",
				errText())
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
			errSentTooLarge(len(frame), c.cfg.MaxFrame))
	}
	limit := c.cfg.WriteTimeout + time.Duration(len(frame))*time.Second/slowest
	// The reason has to be noted before the connection is cut, which ends the
	// reader too.
	slow := time.AfterFunc(limit, func() {
		_ = c.fail(0, "", errSlow(len(frame), limit, context.DeadlineExceeded))
		c.Abort()
	})
	stop := context.AfterFunc(ctx, func() {
		_ = c.fail(0, "", errGivenUp(ctx.Err()))
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
		name := strings.TrimPrefix(closed.Code.String(), "Status")
		switch closed.Code {
		case websocket.StatusNormalClosure, websocket.StatusNoStatusRcvd:
			name = ""
		}
		return errOther(name, closed.Reason, closed.Code == websocket.StatusMessageTooBig || closed.Code == pageTooBig)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
		return ended("the connection broke", err)
	}
	for e := err; e != nil; e = errors.Unwrap(e) { // the packages around it say nothing more
		err = e
	}
	return ended("the connection broke: "+err.Error(), err)
}
