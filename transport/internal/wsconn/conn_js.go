//go:build js

package wsconn

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"syscall/js"
	"time"

	"github.com/ankurah/ankurah-go/internal/inbox"
	"github.com/ankurah/ankurah-go/transport"
)

const (
	// ahead is how many bytes the browser may hold that it has not sent.
	ahead = 1 << 20

	// behind is how many bytes may have arrived that were not received, beside
	// one frame. A browser cannot stop the other side.
	behind = 32 << 20

	// look is how often it is looked whether the browser has sent.
	look = 5 * time.Millisecond
)

var uint8Array = js.Global().Get("Uint8Array")

// Config says how a connection behaves.
type Config struct {
	MaxFrame     int           // 0 is transport.MaxFrame
	WriteTimeout time.Duration // 0 is DefaultWriteTimeout
}

// Conn is a [transport.Conn] on a WebSocket of the browser.
type Conn struct {
	ws      js.Value
	cfg     Config
	calls   []js.Func     // what the browser calls
	opened  chan struct{} // closed when the handshake is done
	closing chan struct{} // closed by Close
	ended   chan struct{} // closed when nothing follows
	inbox   *inbox.Inbox
	once    sync.Once
}

// Dial opens a WebSocket. An error of ctx is returned as it is.
func Dial(ctx context.Context, address string, cfg Config) (*Conn, error) {
	if cfg.MaxFrame <= 0 {
		cfg.MaxFrame = transport.MaxFrame
	}
	if cfg.WriteTimeout <= 0 {
		cfg.WriteTimeout = DefaultWriteTimeout
	}
	c := &Conn{
		cfg: cfg, opened: make(chan struct{}), closing: make(chan struct{}),
		ended: make(chan struct{}), inbox: inbox.New(),
	}
	if err := c.open(address); err != nil {
		return nil, err
	}
	select {
	case <-c.opened:
		return c, nil
	case <-c.ended:
		c.release()
		return nil, ErrRefused
	case <-ctx.Done():
		_ = c.Close()
		return nil, ctx.Err()
	}
}

// ErrRefused says that no WebSocket could be opened, and no more, as browsers
// do not say why.
var ErrRefused = errors.New("the console of the browser says why")

// open begins to open a WebSocket.
func (c *Conn) open(address string) (err error) {
	defer func() {
		if r := recover(); r != nil {
			thrown, ok := r.(js.Error)
			if !ok {
				panic(r)
			}
			err = errors.New(thrown.Get("message").String())
		}
	}()
	c.ws = js.Global().Get("WebSocket").New(address, Subprotocol)
	c.ws.Set("binaryType", "arraybuffer")
	c.listen("onopen", func(js.Value) { close(c.opened) })
	c.listen("onmessage", func(event js.Value) { c.message(event.Get("data")) })
	c.listen("onclose", func(event js.Value) {
		c.inbox.End(closed(event.Get("code").Int(), event.Get("reason").String()))
		close(c.ended)
	})
	return nil
}

func (c *Conn) listen(name string, f func(event js.Value)) {
	call := js.FuncOf(func(_ js.Value, args []js.Value) any {
		f(args[0])
		return nil
	})
	c.calls = append(c.calls, call)
	c.ws.Set(name, call)
}

// release gives back what the browser calls, which it does no more.
func (c *Conn) release() {
	for _, name := range []string{"onopen", "onmessage", "onclose"} {
		c.ws.Set(name, js.Null())
	}
	for _, call := range c.calls {
		call.Release()
	}
}

// closed says why the other side closed the connection.
func closed(code int, reason string) error {
	name := "code " + strconv.Itoa(code)
	switch code {
	case 1000, 1005:
		name = ""
	case 1006:
		return ended("the connection broke")
	}
	return errOther(name, reason, code == 1009 || code == pageTooBig)
}

// message takes a message. Whatever arrives is taken, so that Receive finds
// all of it without another turn of the event loop.
func (c *Conn) message(data js.Value) {
	if data.Type() != js.TypeObject {
		c.fail(pageText, "frames are binary messages", errText())
		return
	}
	size := data.Get("byteLength").Int()
	if size > c.cfg.MaxFrame {
		c.fail(pageTooBig, "more than "+strconv.Itoa(c.cfg.MaxFrame)+" bytes", errReceivedTooLarge(c.cfg.MaxFrame))
		return
	}
	frame := make([]byte, size)
	js.CopyBytesToGo(frame, uint8Array.New(data))
	if !c.inbox.Put(frame, behind) {
		c.fail(pageFault, "the page does not keep up", ended("the other side sent faster than this one received"))
	}
}

// Receive returns the next frame. The end of ctx leaves the connection as it
// is.
func (c *Conn) Receive(ctx context.Context) ([]byte, error) { return c.inbox.Receive(ctx) }

// Send sends a frame. It returns when the browser has it, and not too much
// else.
func (c *Conn) Send(ctx context.Context, frame []byte) error {
	if len(frame) > c.cfg.MaxFrame {
		return c.fail(pageFault, "a frame is too large to be sent", errSentTooLarge(len(frame), c.cfg.MaxFrame))
	}
	limit := c.cfg.WriteTimeout + time.Duration(len(frame))*time.Second/slowest
	slow := time.Now().Add(limit)
	for {
		if err := c.inbox.Err(); err != nil {
			return err
		}
		if c.TrySend(frame) {
			return nil
		}
		if time.Now().After(slow) {
			return c.fail(pageFault, "frames are not taken", errSlow(len(frame), limit, context.DeadlineExceeded))
		}
		t := time.NewTimer(look)
		select {
		case <-t.C:
		case <-c.ended:
		case <-c.closing:
		case <-ctx.Done():
			t.Stop()
			return c.fail(pageFault, "sending was given up", errGivenUp(ctx.Err()))
		}
	}
}

// TrySend sends a frame, or does nothing and returns false because Send would
// wait or fail.
func (c *Conn) TrySend(frame []byte) bool {
	if len(frame) > c.cfg.MaxFrame || c.inbox.Err() != nil {
		return false
	}
	if waiting := c.ws.Get("bufferedAmount").Int(); waiting > 0 && waiting+len(frame) > ahead {
		return false
	}
	data := uint8Array.New(len(frame))
	js.CopyBytesToJS(data, frame)
	c.ws.Call("send", data)
	return true
}

// Close ends the connection with a handshake, for which it waits at most three
// seconds.
func (c *Conn) Close() error {
	c.once.Do(func() {
		close(c.closing)
		c.inbox.Close(errClosed)
		c.ws.Call("close", 1000) // which does nothing when it is closing
		t := time.NewTimer(closeTimeout)
		defer t.Stop()
		select {
		case <-c.ended:
		case <-t.C:
		}
		c.release()
	})
	return nil
}

// fail notes why the connection ends, unless that is known, ends it, and
// returns why. The reason, of at most 123 bytes, is for the other side.
func (c *Conn) fail(code int, reason string, err error) error {
	err, first := c.inbox.End(err)
	if first {
		c.ws.Call("close", code, reason)
	}
	return err
}
