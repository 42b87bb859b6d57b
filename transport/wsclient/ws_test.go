//go:build !js

package wsclient_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/ankurah/ankurah-go/transport"
	"github.com/ankurah/ankurah-go/transport/wsclient"
	"github.com/ankurah/ankurah-go/transport/wsserver"
)

var errUnauthenticated = errors.New("ankurah: unauthenticated")

// server accepts the credential "let me in" with the frame "welcome", and then
// sends back what it gets.
type server struct{ name string }

func (s server) Accept(ctx context.Context, c transport.Conn) error {
	defer func() { _ = c.Close() }()
	credential, err := c.Receive(ctx)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(string(credential), "let me in") {
		_ = c.Send(ctx, []byte("unauthenticated"))
		return errUnauthenticated
	}
	if err := c.Send(ctx, []byte("welcome to "+s.name)); err != nil {
		return err
	}
	for {
		f, err := c.Receive(ctx)
		if err != nil {
			return err
		}
		if err := c.Send(ctx, f); err != nil {
			return err
		}
	}
}

// node connects and lends its connection to the test.
type node struct {
	conns       chan transport.Conn
	permanent   bool // does not come back when it was refused
	mu          sync.Mutex
	greetings   []string
	credentials []string
}

func newNode() *node { return &node{conns: make(chan transport.Conn, 1000)} }

func (n *node) Connect(ctx context.Context, c transport.Conn, h transport.Hello) error {
	defer func() { _ = c.Close() }()
	if err := c.Send(ctx, h.Credential); err != nil {
		return err
	}
	f, err := c.Receive(ctx)
	if err != nil {
		return err
	}
	n.mu.Lock()
	n.credentials = append(n.credentials, string(h.Credential))
	n.greetings = append(n.greetings, string(f))
	n.mu.Unlock()
	if string(f) == "unauthenticated" {
		if n.permanent {
			return fmt.Errorf("%w: %w", errUnauthenticated, transport.ErrPermanent)
		}
		return errUnauthenticated
	}
	ended := &watched{Conn: c, ended: make(chan error, 1)}
	n.conns <- ended
	h.Ready()
	select {
	case err := <-ended.ended:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// watched notes the error that a connection ended with.
type watched struct {
	transport.Conn
	ended chan error
}

func (w *watched) Receive(ctx context.Context) ([]byte, error) {
	f, err := w.Conn.Receive(ctx)
	if err != nil {
		select {
		case w.ended <- err:
		default:
		}
	}
	return f, err
}

func serve(t *testing.T, a transport.Acceptor, opts *wsserver.Options) (*wsserver.Handler, string) {
	t.Helper()
	h := wsserver.NewHandler(a, opts)
	srv := httptest.NewServer(h)
	t.Cleanup(func() { shutdown(h); srv.Close() })
	return h, srv.URL
}

// shutdown closes all connections of a handler.
func shutdown(h *wsserver.Handler) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = h.Shutdown(ctx)
}

func dial(t *testing.T, n *node, url string, opts *wsclient.Options) *wsclient.Conn {
	t.Helper()
	if opts == nil {
		opts = &wsclient.Options{}
	}
	if opts.Credential == nil && opts.CredentialFunc == nil {
		opts.Credential = []byte("let me in")
	}
	if opts.MinBackoff == 0 {
		opts.MinBackoff = 5 * time.Millisecond
	}
	if opts.MaxBackoff == 0 {
		opts.MaxBackoff = 50 * time.Millisecond
	}
	c, err := wsclient.Dial(n, url, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func wait(t *testing.T, c *wsclient.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := c.WaitConnected(ctx); err != nil {
		t.Fatal(err)
	}
}

// whyNot returns what keeps c from being connected.
func whyNot(t *testing.T, c *wsclient.Conn) error {
	t.Helper()
	until(t, "an attempt fails", func() bool { return c.State().Get(nil).Err != nil })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	return c.WaitConnected(ctx)
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			buf := make([]byte, 1<<20)
			t.Fatalf("not in a minute: %s\n%s", what, buf[:runtime.Stack(buf, true)])
		}
	}
}

func TestFrames(t *testing.T) {
	for _, compressed := range []bool{false, true} {
		_, url := serve(t, server{}, &wsserver.Options{Compression: compressed})
		n := newNode()
		c := dial(t, n, strings.Replace(url, "http", "ws", 1), &wsclient.Options{Compression: compressed})
		wait(t, c)
		conn := <-n.conns
		const frames = 500
		frame := func(i int) []byte { return bytes.Repeat([]byte{byte(i), byte(i >> 8)}, i*i%3000) }
		big := bytes.Repeat([]byte("ankurah!"), transport.MaxFrame/8)
		go func() {
			for i := range frames {
				if err := conn.Send(t.Context(), frame(i)); err != nil {
					t.Error(err)
					return
				}
			}
			if err := conn.Send(t.Context(), big); err != nil {
				t.Error(err)
			}
		}()
		for i := range frames {
			if got, err := conn.Receive(t.Context()); err != nil || !bytes.Equal(got, frame(i)) {
				t.Fatalf("compressed %v: frame %d is %d bytes, %v", compressed, i, len(got), err)
			}
		}
		if got, err := conn.Receive(t.Context()); err != nil || !bytes.Equal(got, big) {
			t.Fatalf("compressed %v: %d bytes, %v", compressed, len(got), err)
		}
		c.Close()
	}
}

func TestBadAddress(t *testing.T) {
	for _, o := range []*wsclient.Options{nil, {Addresses: []string{"ws://h"}}} {
		if c, err := wsclient.Dial(newNode(), "gopher://h", o); c != nil || err == nil || !strings.Contains(err.Error(), "ws, wss, http or https, not gopher") {
			t.Error(c, err)
		}
	}
}

func TestTooLargeFrame(t *testing.T) {
	_, url := serve(t, server{}, &wsserver.Options{MaxFrame: 1000})
	n := newNode()
	c := dial(t, n, url, nil)
	wait(t, c)
	conn := <-n.conns
	if err := conn.Send(t.Context(), make([]byte, 1001)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Receive(t.Context()); !errors.Is(err, transport.ErrFrameSize) || !strings.Contains(err.Error(), "more than 1000 bytes") {
		t.Error(err)
	}
	<-n.conns // it is made again
}

func TestServerRestart(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	n := newNode()
	var c *wsclient.Conn
	for i := range 3 {
		if i > 0 {
			until(t, "the address is free", func() bool { l, err = net.Listen("tcp", address); return err == nil })
		}
		h := wsserver.NewHandler(server{fmt.Sprint(i)}, nil)
		srv := &http.Server{Handler: h}
		go func() { _ = srv.Serve(l) }()
		if c == nil {
			c = dial(t, n, "ws://"+address, nil)
		}
		conn := <-n.conns
		wait(t, c)
		if err := conn.Send(t.Context(), []byte("x")); err != nil {
			t.Fatal(err)
		}
		if f, err := conn.Receive(t.Context()); err != nil || string(f) != "x" {
			t.Fatal(string(f), err)
		}
		received := make(chan error, 1)
		go func() { _, err := conn.Receive(t.Context()); received <- err }()
		shutdown(h)
		_ = srv.Close()
		if err := <-received; !errors.Is(err, transport.ErrClosed) {
			t.Error(err)
		}
		if err := whyNot(t, c); err == nil || !strings.Contains(err.Error(), "not connected to ws://"+address) {
			t.Error(err)
		}
	}
	if got := fmt.Sprint(n.greetings); got != "[welcome to 0 welcome to 1 welcome to 2]" {
		t.Error(got)
	}
}

func TestSeveralAddresses(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close() // nobody there
	full, fullURL := serve(t, server{"full"}, nil)
	shutdown(full)
	_, url := serve(t, server{"third"}, nil)
	n := newNode()
	c := dial(t, n, "ws://"+l.Addr().String(), &wsclient.Options{Addresses: []string{url + "/x", fullURL}})
	wait(t, c)
	if got := c.State().Get(nil); got.Phase != wsclient.Connected || got.Err != nil || got.Address != strings.Replace(url, "http", "ws", 1)+"/x" {
		t.Error(got)
	}
	if fmt.Sprint(n.greetings) != "[welcome to third]" {
		t.Error(n.greetings)
	}
}

func TestCredentials(t *testing.T) {
	_, url := serve(t, server{}, nil)
	n := newNode()
	calls := 0
	c := dial(t, n, url, &wsclient.Options{CredentialFunc: func(context.Context) ([]byte, error) {
		calls++
		switch calls {
		case 1:
			return nil, errors.New("the token service is down")
		case 2:
			return []byte("expired"), nil
		}
		return fmt.Append(nil, "let me in ", calls), nil
	}})
	wait(t, c)
	if got := fmt.Sprint(n.credentials); got != "[expired let me in 3]" {
		t.Error(got)
	}
}

func TestUnauthenticated(t *testing.T) {
	_, url := serve(t, server{}, nil)
	c := dial(t, newNode(), url, &wsclient.Options{Credential: []byte("wrong")})
	if err := whyNot(t, c); !errors.Is(err, errUnauthenticated) || !errors.Is(err, context.DeadlineExceeded) || c.Err() != nil {
		t.Error(err, c.Err())
	}
	n := newNode()
	n.permanent = true
	c = dial(t, n, url, &wsclient.Options{Credential: []byte("wrong")})
	<-c.Done()
	if err := c.WaitConnected(t.Context()); !errors.Is(err, errUnauthenticated) || !errors.Is(c.Err(), transport.ErrPermanent) {
		t.Error(err, c.Err())
	}
}

func TestAnswersThatAreNoWebSocket(t *testing.T) {
	answer := func(h http.HandlerFunc) string {
		srv := httptest.NewServer(h)
		t.Cleanup(srv.Close)
		return srv.URL
	}
	for url, want := range map[string]string{
		answer(func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, "not \x1b[31mhere\nor there", http.StatusNotFound)
		}): "answered 404 Not Found: not [31mhere (",
		answer(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			_, _ = w.Write([]byte("<html>"))
		}): "answered 502 Bad Gateway (",
		answer(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "7")
			http.Error(w, "busy", http.StatusServiceUnavailable)
		}): "answered 503 Service Unavailable: busy (connect again in 7s) (",
		answer(func(w http.ResponseWriter, r *http.Request) {
			ws, err := websocket.Accept(w, r, nil)
			if err == nil {
				_ = ws.CloseNow()
			}
		}): "is a WebSocket but does not speak ankurah.1",
		answer(func(w http.ResponseWriter, r *http.Request) {
			http.NewResponseController(w).Hijack()
		}): "cannot be reached: context deadline", // it hangs
		"ws://127.0.0.1:1": "127.0.0.1:1 cannot be reached: dial tcp 127.0.0.1:1",
	} {
		n := newNode()
		c := dial(t, n, url, &wsclient.Options{HTTPClient: &http.Client{Timeout: 200 * time.Millisecond}, MinBackoff: time.Minute})
		err := whyNot(t, c)
		if !strings.HasPrefix(err.Error(), "ankurah: not connected to ws://") || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v\nwant %s", err, want)
		}
		c.Close()
	}
}

func TestHeaderAndOrigin(t *testing.T) {
	_, url := serve(t, server{}, nil)
	c := dial(t, newNode(), url, &wsclient.Options{Header: http.Header{"Origin": {"http://evil.test"}}})
	if err := whyNot(t, c); err == nil || !strings.Contains(err.Error(), `answered 403 Forbidden: Pages of the origin "http://evil.test" may not connect`) {
		t.Error(err)
	}
	wait(t, dial(t, newNode(), url, &wsclient.Options{Header: http.Header{"Origin": {url}}}))
}

func TestTLS(t *testing.T) {
	h := wsserver.NewHandler(server{}, nil)
	srv := httptest.NewUnstartedServer(h)
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	defer shutdown(h)
	n := newNode()
	c := dial(t, n, strings.Replace(srv.URL, "http", "ws", 1), &wsclient.Options{HTTPClient: srv.Client()})
	wait(t, c)
	conn := <-n.conns
	if err := conn.Send(t.Context(), make([]byte, 100000)); err != nil {
		t.Fatal(err)
	}
	if f, err := conn.Receive(t.Context()); err != nil || len(f) != 100000 {
		t.Fatal(len(f), err)
	}
	c.Close()
	c = dial(t, n, srv.URL, nil)
	if err := whyNot(t, c); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Error(err)
	}
}

// mover sends its clients elsewhere when the server shuts down.
type mover struct {
	server
	leave chan struct{}
}

func (m mover) Accept(ctx context.Context, c transport.Conn) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-m.leave:
			_ = c.Close()
		case <-ctx.Done():
		}
	}()
	return m.server.Accept(ctx, c)
}

func (m mover) Drain(context.Context) error { close(m.leave); return nil }

func TestDrainedClientsMoveOn(t *testing.T) {
	first, url := serve(t, mover{server{"first"}, make(chan struct{})}, nil)
	_, second := serve(t, server{"second"}, nil)
	n := newNode()
	c := dial(t, n, url, &wsclient.Options{Addresses: []string{second}})
	conn := <-n.conns
	wait(t, c)
	go func() { _, _ = conn.Receive(context.Background()) }()
	if err := first.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	<-n.conns
	wait(t, c)
	if got := fmt.Sprint(n.greetings); got != "[welcome to first welcome to second]" {
		t.Error(got)
	}
}

func TestNothingIsLeft(t *testing.T) {
	h, url := serve(t, server{}, nil)
	before := runtime.NumGoroutine()
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			n := newNode()
			c, err := wsclient.Dial(n, url, &wsclient.Options{Credential: []byte("let me in")})
			if err != nil {
				t.Error(err)
				return
			}
			if i%10 != 0 { // the others are closed at any time
				if err := c.WaitConnected(t.Context()); err != nil {
					t.Error(err)
				}
			}
			c.Close()
			<-c.Done()
		})
	}
	wg.Wait()
	until(t, "no connections", func() bool { return h.Conns() == 0 })
	until(t, "no goroutines more", func() bool { return runtime.NumGoroutine() <= before })
}
