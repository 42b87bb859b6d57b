//go:build !js

package wsconn

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/ankurah/ankurah-go/transport"
)

// pair returns the two ends of a WebSocket.
func pair(t *testing.T, client, server Config) (c, s *Conn) {
	t.Helper()
	peer, raw := rawPair(t, server)
	return New(raw, client), peer
}

type rawKey struct{}

// rawPair returns the server's end and the client's WebSocket.
func rawPair(t *testing.T, server Config) (*Conn, *websocket.Conn) {
	t.Helper()
	ends := make(chan *Conn, 1)
	over := make(chan struct{})
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			close(ends)
			return
		}
		server.Raw = r.Context().Value(rawKey{}).(net.Conn)
		c := New(ws, server)
		ends <- c
		<-over
		_ = c.Close()
	}))
	srv.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, rawKey{}, c)
	}
	srv.Start()
	t.Cleanup(func() { close(over); srv.Close() })
	ws, _, err := websocket.Dial(t.Context(), srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ws.CloseNow() })
	return <-ends, ws
}

func TestFramesArriveWholeAndInOrder(t *testing.T) {
	c, s := pair(t, Config{}, Config{})
	const n = 2000
	frame := func(i int) []byte {
		f := bytes.Repeat([]byte{byte(i)}, 4+i*7%5000)
		binary.BigEndian.PutUint32(f, uint32(i))
		return f
	}
	for _, dir := range []struct{ from, to *Conn }{{c, s}, {s, c}} {
		go func() {
			for i := range n {
				if err := dir.from.Send(t.Context(), frame(i)); err != nil {
					t.Error(err)
					return
				}
			}
		}()
	}
	for _, to := range []*Conn{s, c} {
		for i := range n {
			got, err := to.Receive(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, frame(i)) {
				t.Fatalf("frame %d is %d bytes beginning with %x", i, len(got), got[:4])
			}
		}
	}
}

func TestEmptyAndGreatestFrame(t *testing.T) {
	c, s := pair(t, Config{}, Config{})
	big := bytes.Repeat([]byte("ankurah!"), transport.MaxFrame/8)
	go func() {
		for _, f := range [][]byte{{}, big} {
			if err := c.Send(t.Context(), f); err != nil {
				t.Error(err)
			}
		}
	}()
	for _, want := range [][]byte{{}, big} {
		got, err := s.Receive(t.Context())
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("got %d bytes, %v; want %d", len(got), err, len(want))
		}
	}
}

func TestTooLargeFrameEndsTheConnection(t *testing.T) {
	for _, over := range []int{1, 12 << 20} { // one byte, and more than the sockets hold
		c, s := pair(t, Config{MaxFrame: 64 << 20}, Config{MaxFrame: 100})
		sent := make(chan error, 1)
		go func() { sent <- c.Send(t.Context(), make([]byte, 100+over)) }()
		_, err := s.Receive(t.Context())
		if !errors.Is(err, transport.ErrFrameSize) || !errors.Is(err, transport.ErrClosed) || !strings.Contains(err.Error(), "more than 100 bytes") {
			t.Errorf("the receiver says %v", err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-sent; err != nil && !errors.Is(err, transport.ErrFrameSize) {
			t.Errorf("over by %d: the sender says %v", over, err)
		}
		_, err = c.Receive(t.Context())
		if !errors.Is(err, transport.ErrFrameSize) || !errors.Is(err, transport.ErrClosed) {
			t.Errorf("over by %d: the sender hears %v", over, err)
		}
		_ = c.Close()
	}
}

func TestTooLargeFrameIsNotSent(t *testing.T) {
	c, s := pair(t, Config{MaxFrame: 100}, Config{})
	err := c.Send(t.Context(), make([]byte, 101))
	if !errors.Is(err, transport.ErrFrameSize) || !errors.Is(err, transport.ErrClosed) || !strings.HasPrefix(err.Error(), "ankurah: a frame of 101 bytes") {
		t.Error(err)
	}
	if _, err := c.Receive(t.Context()); !errors.Is(err, transport.ErrFrameSize) {
		t.Error(err)
	}
	if err := c.Send(t.Context(), nil); !errors.Is(err, transport.ErrFrameSize) {
		t.Error(err)
	}
	_ = c.Close()
	if _, err := s.Receive(t.Context()); !errors.Is(err, transport.ErrClosed) || !strings.Contains(err.Error(), "too large to be sent") {
		t.Error(err)
	}
}

func TestReceiveGivenUpLosesNothing(t *testing.T) {
	c, s := pair(t, Config{}, Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := s.Receive(ctx); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, transport.ErrClosed) {
		t.Fatal(err)
	}
	if err := s.Send(t.Context(), []byte("too late")); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Receive(t.Context()); err != nil || string(got) != "too late" {
		t.Fatal(string(got), err)
	}
	if err := c.Send(t.Context(), []byte("sorry")); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Receive(t.Context()); err != nil || string(got) != "sorry" {
		t.Fatal(string(got), err)
	}
}

func TestFramesBeforeCloseArrive(t *testing.T) {
	c, s := pair(t, Config{}, Config{})
	go func() {
		for range 100 {
			if err := c.Send(t.Context(), make([]byte, 10000)); err != nil {
				t.Error(err)
			}
		}
		_ = c.Close()
	}()
	for i := range 100 {
		if _, err := s.Receive(t.Context()); err != nil {
			t.Fatal(i, err)
		}
	}
	if _, err := s.Receive(t.Context()); !errors.Is(err, transport.ErrClosed) || err.Error() != "ankurah: the other side closed the connection" {
		t.Error(err)
	}
	if err := s.Send(t.Context(), nil); !errors.Is(err, transport.ErrClosed) {
		t.Error(err)
	}
}

func TestCloseEndsWaitingCalls(t *testing.T) {
	c, _ := pair(t, Config{}, Config{})
	got := make(chan error, 1)
	go func() { _, err := c.Receive(t.Context()); got <- err }()
	time.Sleep(10 * time.Millisecond)
	for range 2 {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := <-got; err != errClosed {
		t.Error(err)
	}
	if err := c.Send(t.Context(), nil); err != errClosed {
		t.Error(err)
	}
	if _, err := c.Receive(t.Context()); err != errClosed {
		t.Error(err)
	}
}

func TestTextIsRefused(t *testing.T) {
	s, ws := rawPair(t, Config{})
	if err := ws.Write(t.Context(), websocket.MessageText, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Receive(t.Context()); !errors.Is(err, transport.ErrClosed) || !strings.Contains(err.Error(), "text message") {
		t.Error(err)
	}
	go func() { _ = s.Close() }()
	if _, _, err := ws.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusUnsupportedData {
		t.Error(err)
	}
}

func TestSlowReaderIsCut(t *testing.T) {
	s, _ := rawPair(t, Config{WriteTimeout: 50 * time.Millisecond})
	began := time.Now()
	var err error
	for err == nil && time.Since(began) < time.Minute {
		err = s.Send(t.Context(), make([]byte, 10000))
	}
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, transport.ErrClosed) || !strings.Contains(err.Error(), "did not take a frame of 10000 bytes") {
		t.Error(err)
	}
	if _, rerr := s.Receive(t.Context()); !errors.Is(rerr, transport.ErrClosed) {
		t.Error(rerr)
	}
	_ = s.Close()
}

func TestSendGivenUpEndsTheConnection(t *testing.T) {
	s, _ := rawPair(t, Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	var err error
	for err == nil {
		err = s.Send(ctx, make([]byte, 100000))
	}
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, transport.ErrClosed) {
		t.Error(err)
	}
	if err := s.Send(t.Context(), nil); !errors.Is(err, transport.ErrClosed) {
		t.Error(err)
	}
}

// A side that does not answer the closing handshake holds Close up for a
// bounded time.
func TestCloseDoesNotWaitForTheDead(t *testing.T) {
	for _, full := range []bool{false, true} {
		s, ws := rawPair(t, Config{})
		if full {
			go func() {
				for s.Send(t.Context(), make([]byte, 100000)) == nil {
				}
			}()
			time.Sleep(100 * time.Millisecond)
		}
		began := time.Now()
		_ = s.Close()
		if d := time.Since(began); d > closeTimeout+time.Minute {
			t.Errorf("full %v: Close took %v", full, d)
		}
		_ = ws.CloseNow()
	}
}
