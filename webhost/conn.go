//go:build js

package webhost

import (
	"context"
	"errors"
	"strconv"
	"sync"

	"github.com/ankurah/ankurah-go/internal/inbox"
	"github.com/ankurah/ankurah-go/transport"
)

// waiting is how many bytes of a page may wait to be received, beside one
// frame. A page cannot be made to wait.
const waiting = 32 << 20

// conn is the connection of a page. Sending never waits.
type conn struct {
	page  int32
	inbox *inbox.Inbox
	once  sync.Once
}

// Send hands a frame to the page.
func (c *conn) Send(_ context.Context, frame []byte) error {
	if err := c.inbox.Err(); err != nil {
		return err
	}
	if len(frame) > transport.MaxFrame {
		c.end(sizeError(len(frame)))
		return c.inbox.Err()
	}
	send(c.page, frame)
	return nil
}

// TrySend is Send, if that would do anything.
func (c *conn) TrySend(frame []byte) bool {
	if c.inbox.Err() != nil || len(frame) > transport.MaxFrame {
		return false
	}
	send(c.page, frame)
	return true
}

// Receive returns the next frame of the page.
func (c *conn) Receive(ctx context.Context) ([]byte, error) { return c.inbox.Receive(ctx) }

// Close ends the connection.
func (c *conn) Close() error {
	c.inbox.Close(errClosed)
	c.over(nil)
	return nil
}

// end has err follow what the page has sent.
func (c *conn) end(err error) { c.inbox.End(err) }

// over tells the page that its connection has ended, and why if that is worth
// telling.
func (c *conn) over(err error) {
	c.once.Do(func() {
		pages.remove(c.page)
		reason := ""
		if err != nil && !errors.Is(err, transport.ErrClosed) {
			reason = err.Error()
		}
		over(c.page, reason)
	})
}

// errorText is why a connection has ended.
type errorText string

func (e errorText) Error() string { return "ankurah: " + string(e) }
func (errorText) Unwrap() error   { return transport.ErrClosed }

const (
	errClosed = errorText("the connection to the page is closed")
	errGone   = errorText("the page is gone")
	errFast   = errorText("the page sends faster than the node takes it")
)

type sizeErr struct{ text string }

func sizeError(size int) error {
	return &sizeErr{"ankurah: a frame of " + strconv.Itoa(size) + " bytes is larger than the limit of " + strconv.Itoa(transport.MaxFrame)}
}

func (e *sizeErr) Error() string   { return e.text }
func (e *sizeErr) Unwrap() []error { return []error{transport.ErrClosed, transport.ErrFrameSize} }

// pages holds the connections by page.
var pages = table{conns: map[int32]*conn{}}

type table struct {
	mu    sync.Mutex // guards conns
	conns map[int32]*conn
}

func (t *table) add(c *conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.conns[c.page] = c
}

func (t *table) get(page int32) *conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.conns[page]
}

func (t *table) remove(page int32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.conns, page)
}
