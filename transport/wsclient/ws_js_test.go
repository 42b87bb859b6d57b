//go:build js

package wsclient_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall/js"
	"testing"
	"time"

	"github.com/ankurah/ankurah-go/transport"
	"github.com/ankurah/ankurah-go/transport/wsclient"
)

// node connects and lends its connection to the test.
type node struct{ conns chan transport.Conn }

func (n *node) Connect(ctx context.Context, c transport.Conn, h transport.Hello) error {
	defer func() { _ = c.Close() }()
	if err := c.Send(ctx, h.Credential); err != nil {
		return err
	}
	h.Ready()
	w := &watched{Conn: c, ended: make(chan error, 1)}
	n.conns <- w
	select {
	case err := <-w.ended:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// watched says when its connection has ended.
type watched struct {
	transport.Conn
	ended chan error
}

func (w *watched) Receive(ctx context.Context) ([]byte, error) {
	f, err := w.Conn.Receive(ctx)
	if errors.Is(err, transport.ErrClosed) {
		select {
		case w.ended <- err:
		default:
		}
	}
	return f, err
}

// dial connects to a path of the server that the runner has started.
func dial(t *testing.T, path string, opts *wsclient.Options) (*wsclient.Conn, *node) {
	t.Helper()
	server := os.Getenv("TEST_SERVER_URL")
	if server == "" {
		t.Skip("there is no server: see make test-browser")
	}
	if opts == nil {
		opts = &wsclient.Options{}
	}
	opts.MinBackoff = 5 * time.Millisecond
	n := &node{make(chan transport.Conn, 1000)}
	c, err := wsclient.Dial(n, server+path, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, n
}

func receive(t *testing.T, c transport.Conn, want []byte) {
	t.Helper()
	if got, err := c.Receive(t.Context()); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%d bytes, %v; want %d bytes", len(got), err, len(want))
	}
}

func TestBrowserFrames(t *testing.T) {
	_, n := dial(t, "/echo", nil)
	c := <-n.conns
	frames := [][]byte{bytes.Repeat([]byte("ankurah!"), transport.MaxFrame/8), {}}
	for i := range 500 {
		frames = append(frames, bytes.Repeat([]byte{byte(i), byte(i >> 8)}, i*i%3000))
	}
	go func() {
		for _, f := range frames {
			if err := c.Send(t.Context(), f); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for _, f := range frames {
		receive(t, c, f)
	}
}

// Frames that arrived are received without waiting for the event loop, in
// order, and all of them before the end is.
func TestBrowserBurst(t *testing.T) {
	_, n := dial(t, "/burst", nil)
	c := <-n.conns
	const frames = 5000
	if err := c.Send(t.Context(), binary.BigEndian.AppendUint32(nil, frames)); err != nil {
		t.Fatal(err)
	}
	receive(t, c, binary.BigEndian.AppendUint32(nil, 0))
	time.Sleep(500 * time.Millisecond)
	at := time.Now()
	for k := uint32(1); k < frames; k++ {
		receive(t, c, binary.BigEndian.AppendUint32(nil, k))
	}
	t.Logf("%d frames received in %v", frames, time.Since(at))
	if _, err := c.Receive(t.Context()); !errors.Is(err, transport.ErrClosed) {
		t.Error(err)
	}
}

func TestBrowserComesBack(t *testing.T) {
	c, n := dial(t, "/greet", &wsclient.Options{Credential: []byte("me")})
	for range 3 {
		conn := <-n.conns
		receive(t, conn, []byte("me"))
		if _, err := conn.Receive(t.Context()); !errors.Is(err, transport.ErrClosed) || !strings.Contains(err.Error(), "the other side closed the connection") {
			t.Error(err)
		}
	}
	if err := c.WaitConnected(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestBrowserFrameSizes(t *testing.T) {
	for _, limit := range []int{0, 900} {
		_, n := dial(t, "/small", &wsclient.Options{MaxFrame: limit})
		conn := <-n.conns
		err := conn.Send(t.Context(), make([]byte, 1001))
		if limit > 0 {
			if !errors.Is(err, transport.ErrFrameSize) || !strings.Contains(err.Error(), "of 1001 bytes is larger than the limit of 900") {
				t.Errorf("Send says %v", err)
			}
		} else if err != nil {
			t.Error(err)
		}
		if _, err := conn.Receive(t.Context()); !errors.Is(err, transport.ErrFrameSize) {
			t.Errorf("limit %d: Receive says %v", limit, err)
		}
		<-n.conns // it is made again
	}
	_, n := dial(t, "/burst", &wsclient.Options{MaxFrame: 4})
	conn := <-n.conns
	_ = conn.Send(t.Context(), []byte{0, 0, 0, 1})
	receive(t, conn, []byte{0, 0, 0, 0})
	_, n = dial(t, "/greet", &wsclient.Options{MaxFrame: 4, Credential: []byte("long")})
	receive(t, <-n.conns, []byte("long"))
}

// A server that takes nothing makes Send wait, until ctx ends, which ends the
// connection, or the time is up.
func TestBrowserBackPressure(t *testing.T) {
	_, n := dial(t, "/deaf", &wsclient.Options{WriteTimeout: 50 * time.Millisecond})
	for k := range 2 {
		conn := <-n.conns
		ctx, cancel := context.WithCancel(t.Context())
		frame := make([]byte, 16<<10)
		if k == 0 {
			ctx, cancel = context.WithTimeout(t.Context(), 300*time.Millisecond)
			frame = make([]byte, 1<<20)
		}
		defer cancel()
		var err error
		for end := time.Now().Add(time.Minute); err == nil && time.Now().Before(end); {
			err = conn.Send(ctx, frame)
		}
		slow := err != nil && strings.Contains(err.Error(), "did not take a frame")
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, transport.ErrClosed) || slow != (k == 1) {
			t.Fatalf("Send of frame %d says %v", k, err)
		}
		if _, again := conn.Receive(t.Context()); again != err {
			t.Errorf("Receive says %v", again)
		}
	}
}

func TestBrowserSaysWhyNot(t *testing.T) {
	for path, want := range map[string]string{
		"/closed": "/closed cannot be reached: the console of the browser says why",
		"/none":   "/none cannot be reached: the console",
		"/other":  "/other cannot be reached: the console",
	} {
		c, _ := dial(t, path, nil)
		for end := time.Now().Add(time.Minute); c.State().Get(nil).Err == nil && time.Now().Before(end); time.Sleep(time.Millisecond) {
		}
		if err := c.State().Get(nil).Err; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
}

// A path is one of the page's own server, which has no WebSockets here.
func TestBrowserPath(t *testing.T) {
	if js.Global().Get("origin").IsUndefined() {
		t.Skip("there is no page")
	}
	c, err := wsclient.Dial(&node{}, "/ankurah", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := c.State().Get(nil).Address; !strings.HasPrefix(got, "ws://127.0.0.1:") || !strings.HasSuffix(got, "/ankurah") {
		t.Error(got)
	}
}

func TestBrowserLeavesNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	var conns []*wsclient.Conn
	for range 50 {
		c, _ := dial(t, "/echo", nil)
		conns = append(conns, c)
	}
	for k, c := range slices.Backward(conns) {
		if k%10 != 0 { // the others are closed at any time
			if err := c.WaitConnected(t.Context()); err != nil {
				t.Error(err)
			}
		}
		c.Close()
	}
	for end := time.Now().Add(time.Minute); runtime.NumGoroutine() > before && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines more", n-before)
	}
}
