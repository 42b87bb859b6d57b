//go:build !js

package wsserver_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/ankurah/ankurah-go/transport"
	"github.com/ankurah/ankurah-go/transport/wsserver"
)

// acceptor sends back what it gets.
type acceptor struct {
	mu      sync.Mutex
	leave   context.CancelFunc // ends all connections in good order
	leaving context.Context
	drains  int
	ends    []error
}

func newAcceptor() *acceptor {
	a := &acceptor{}
	a.leaving, a.leave = context.WithCancel(context.Background())
	return a
}

func (a *acceptor) Accept(ctx context.Context, c transport.Conn) (err error) {
	defer func() {
		_ = c.Close()
		a.mu.Lock()
		defer a.mu.Unlock()
		a.ends = append(a.ends, err)
	}()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(a.leaving, cancel)()
	for {
		f, err := c.Receive(ctx)
		if a.leaving.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if err := c.Send(context.WithoutCancel(ctx), f); err != nil { // its end would cut the connection
			return err
		}
	}
}

// drainer is an acceptor that sends its clients away.
type drainer struct{ *acceptor }

func (d drainer) Drain(context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.drains++
	d.leave()
	return nil
}

func serve(t *testing.T, a transport.Acceptor, opts *wsserver.Options) (*wsserver.Handler, string) {
	t.Helper()
	h := wsserver.NewHandler(a, opts)
	srv := httptest.NewServer(h)
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = h.Shutdown(ctx)
		srv.Close()
	})
	return h, srv.URL
}

func dial(t *testing.T, url string, opts *websocket.DialOptions) (*websocket.Conn, error) {
	t.Helper()
	if opts == nil {
		opts = &websocket.DialOptions{}
	}
	if opts.Subprotocols == nil {
		opts.Subprotocols = []string{wsserver.Subprotocol}
	}
	ws, resp, err := websocket.Dial(t.Context(), url, opts)
	if err != nil {
		if resp != nil {
			b, _ := io.ReadAll(resp.Body)
			err = errors.New(resp.Status + " " + resp.Header.Get("Retry-After") + ": " + string(b))
		}
		return nil, err
	}
	ws.SetReadLimit(-1)
	t.Cleanup(func() { _ = ws.CloseNow() })
	return ws, nil
}

func echo(t *testing.T, ws *websocket.Conn, frame []byte) {
	t.Helper()
	if err := ws.Write(t.Context(), websocket.MessageBinary, frame); err != nil {
		t.Fatal(err)
	}
	if _, got, err := ws.Read(t.Context()); err != nil || !bytes.Equal(got, frame) {
		t.Fatalf("got %d bytes, %v; want %d", len(got), err, len(frame))
	}
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			buf := make([]byte, 1<<20)
			t.Fatalf("not in 10 s: %s\n%s", what, buf[:runtime.Stack(buf, true)])
		}
	}
}

func TestEcho(t *testing.T) {
	h, url := serve(t, newAcceptor(), nil)
	ws, err := dial(t, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, 100, 70000, transport.MaxFrame} {
		echo(t, ws, make([]byte, n))
	}
	if h.Conns() != 1 {
		t.Error(h.Conns())
	}
	if err := ws.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	until(t, "no connections", func() bool { return h.Conns() == 0 })
}

func TestCompression(t *testing.T) {
	frame := bytes.Repeat([]byte("ankurah "), 100000)
	for _, on := range []bool{false, true} {
		_, url := serve(t, newAcceptor(), &wsserver.Options{Compression: on})
		var n counter
		ws, err := dial(t, url, &websocket.DialOptions{CompressionMode: websocket.CompressionNoContextTakeover, HTTPClient: n.client()})
		if err != nil {
			t.Fatal(err)
		}
		echo(t, ws, frame)
		echo(t, ws, frame[:10])
		if small := n.read() < int64(len(frame)/10); small != on {
			t.Errorf("compression %v: %d bytes read for %d", on, n.read(), len(frame))
		}
	}
}

func TestRequestsThatAreNoConnections(t *testing.T) {
	_, url := serve(t, newAcceptor(), &wsserver.Options{Origins: []string{"*.example.com", "https://app.test"}})
	request := func(method, protocol, origin string, upgrade bool) (int, string) {
		r, _ := http.NewRequestWithContext(t.Context(), method, url+"/sync", nil)
		if upgrade {
			r.Header.Set("Connection", "keep-alive, Upgrade")
			r.Header.Set("Upgrade", "websocket")
			r.Header.Set("Sec-WebSocket-Version", "13")
			r.Header.Set("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")
		}
		if protocol != "" {
			r.Header.Set("Sec-WebSocket-Protocol", protocol)
		}
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		if resp.StatusCode == http.StatusSwitchingProtocols {
			return resp.StatusCode, resp.Header.Get("Sec-WebSocket-Protocol")
		}
		b, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(b)
	}
	host := strings.TrimPrefix(url, "http://")
	for _, c := range []struct {
		method, protocol, origin string
		upgrade                  bool
		code                     int
		text                     string
	}{
		{"GET", "", "", false, 426, `wsclient.Dial(node, "ws://` + host + `/sync", nil)`},
		{"POST", "", "", false, 405, "GET, not POST"},
		{"GET", "", "", true, 400, `"ankurah.1"; the client named none`},
		{"GET", "ankurah.2, mqtt", "", true, 400, `the client named "ankurah.2, mqtt"`},
		{"GET", "mqtt, ankurah.1", "", true, 101, "ankurah.1"},
		{"GET", "ankurah.1", "http://evil.test", true, 403, `"http://evil.test" may not connect`},
		{"GET", "ankurah.1", "null", true, 403, "Origins"},
		{"GET", "ankurah.1", "http://app.test", true, 403, "Origins"},
		{"GET", "ankurah.1", "https://APP.test", true, 101, "ankurah.1"},
		{"GET", "ankurah.1", "http://a.example.com", true, 101, "ankurah.1"},
		{"GET", "ankurah.1", "http://example.com", true, 403, "Origins"},
		{"GET", "ankurah.1", "http://" + host, true, 101, "ankurah.1"},
	} {
		code, text := request(c.method, c.protocol, c.origin, c.upgrade)
		if code != c.code || !strings.Contains(text, c.text) {
			t.Errorf("%s %q %q %v: %d %s; want %d %s", c.method, c.protocol, c.origin, c.upgrade, code, text, c.code, c.text)
		}
	}
	rec := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	r.Header.Set("Sec-WebSocket-Protocol", "ankurah.1")
	wsserver.NewHandler(newAcceptor(), nil).ServeHTTP(rec, r)
	if rec.Code != 500 || !strings.Contains(rec.Body.String(), "Hijacker") {
		t.Error(rec.Code, rec.Body)
	}
}

func TestMalformedOriginPanics(t *testing.T) {
	defer func() {
		if p, _ := recover().(string); !strings.HasPrefix(p, `ankurah: the origin pattern "[" is malformed`) {
			t.Error(p)
		}
	}()
	wsserver.NewHandler(newAcceptor(), &wsserver.Options{Origins: []string{"["}})
}

func TestMaxConns(t *testing.T) {
	h, url := serve(t, newAcceptor(), &wsserver.Options{MaxConns: 2})
	first, err := dial(t, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dial(t, url, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := dial(t, url, nil); err == nil || !strings.Contains(err.Error(), "503 Service Unavailable 5: This server has the 2 connections") {
		t.Error(err)
	}
	_ = first.Close(websocket.StatusNormalClosure, "")
	until(t, "a place", func() bool { return h.Conns() == 1 })
	if _, err := dial(t, url, nil); err != nil {
		t.Error(err)
	}
}

func TestMaxFrame(t *testing.T) {
	a := newAcceptor()
	h, url := serve(t, a, &wsserver.Options{MaxFrame: 1000})
	ws, err := dial(t, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	echo(t, ws, make([]byte, 1000))
	if err := ws.Write(t.Context(), websocket.MessageBinary, make([]byte, 1001)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ws.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusMessageTooBig {
		t.Error(err)
	}
	until(t, "no connections", func() bool { return h.Conns() == 0 })
	if len(a.ends) != 1 || !errors.Is(a.ends[0], transport.ErrFrameSize) {
		t.Error(a.ends)
	}
}

func TestClientThatDoesNotReadIsCut(t *testing.T) {
	cut := make(chan error, 1)
	h, url := serve(t, acceptFunc(func(ctx context.Context, c transport.Conn) error {
		defer func() { _ = c.Close() }()
		for {
			if err := c.Send(ctx, make([]byte, 60000)); err != nil {
				cut <- err
				return err
			}
		}
	}), &wsserver.Options{WriteTimeout: 50 * time.Millisecond})
	if _, err := dial(t, url, nil); err != nil {
		t.Fatal(err)
	}
	if err := <-cut; !errors.Is(err, transport.ErrClosed) || !strings.Contains(err.Error(), "did not take") {
		t.Error(err)
	}
	until(t, "no connections", func() bool { return h.Conns() == 0 })
}

type acceptFunc func(ctx context.Context, c transport.Conn) error

func (f acceptFunc) Accept(ctx context.Context, c transport.Conn) error { return f(ctx, c) }

// What a middleware does to the request's context does not end connections;
// its values stay.
func TestContextOfAccept(t *testing.T) {
	type key struct{}
	got := make(chan any, 1)
	h := wsserver.NewHandler(acceptFunc(func(ctx context.Context, c transport.Conn) error {
		time.Sleep(20 * time.Millisecond)
		if ctx.Err() != nil {
			got <- ctx.Err()
		} else {
			got <- ctx.Value(key{})
		}
		return c.Close()
	}), nil)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(context.WithValue(r.Context(), key{}, "value"), 10*time.Millisecond)
		defer cancel()
		h.ServeHTTP(struct{ wrapped }{wrapped{w}}, r.WithContext(ctx))
	}))
	defer srv.Close()
	ws, err := dial(t, srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if v := <-got; v != "value" {
		t.Error(v)
	}
	_, _, _ = ws.Read(t.Context())
}

// wrapped is the writer of a middleware.
type wrapped struct{ w http.ResponseWriter }

func (w wrapped) Header() http.Header         { return w.w.Header() }
func (w wrapped) Write(b []byte) (int, error) { return w.w.Write(b) }
func (w wrapped) WriteHeader(code int)        { w.w.WriteHeader(code) }
func (w wrapped) Unwrap() http.ResponseWriter { return w.w }

func TestAcceptorThatPanics(t *testing.T) {
	h := wsserver.NewHandler(acceptFunc(func(context.Context, transport.Conn) error { panic(http.ErrAbortHandler) }), nil)
	srv := httptest.NewServer(h)
	defer srv.Close()
	ws, err := dial(t, srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := ws.Read(t.Context()); err == nil {
		t.Error("it is open")
	}
	until(t, "no connections", func() bool { return h.Conns() == 0 })
}

func TestShutdownDrains(t *testing.T) {
	d := drainer{newAcceptor()}
	h, url := serve(t, d, nil)
	for range 3 {
		ws, err := dial(t, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		echo(t, ws, []byte("x"))
		go func() { // a client that leaves when it is asked to
			if _, _, err := ws.Read(context.Background()); websocket.CloseStatus(err) != websocket.StatusNormalClosure {
				t.Error(err)
			}
		}()
	}
	for range 2 {
		if err := h.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if d.drains != 1 || h.Conns() != 0 || len(d.ends) != 3 {
		t.Error(d.drains, h.Conns(), d.ends)
	}
	if _, err := dial(t, url, nil); err == nil || !strings.Contains(err.Error(), "503 Service Unavailable 5: This server is shutting down") {
		t.Error(err)
	}
}

func TestShutdownWaitsAndCloses(t *testing.T) {
	for name, a := range map[string]transport.Acceptor{
		"good": newAcceptor(),
		"deaf": acceptFunc(func(_ context.Context, c transport.Conn) error { // it does not heed its context
			for {
				if _, err := c.Receive(context.Background()); err != nil {
					return errors.Join(err, c.Close())
				}
			}
		}),
	} {
		h, url := serve(t, a, nil)
		ws, err := dial(t, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		began := time.Now()
		go func() { _, _, _ = ws.Read(context.Background()) }()
		err = h.Shutdown(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(err.Error(), "ankurah: 1 connections had to be closed") {
			t.Errorf("%s: %v", name, err)
		}
		if d := time.Since(began); d < 100*time.Millisecond || d > time.Minute {
			t.Errorf("%s: it took %v", name, d)
		}
		if h.Conns() != 0 {
			t.Errorf("%s: %d connections", name, h.Conns())
		}
	}
}

func TestShutdownWhileClientsLeave(t *testing.T) {
	h, url := serve(t, newAcceptor(), nil)
	ws, err := dial(t, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(50*time.Millisecond, func() { _ = ws.Close(websocket.StatusNormalClosure, "") })
	if err := h.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	empty := wsserver.NewHandler(newAcceptor(), nil)
	if err := errors.Join(empty.Shutdown(t.Context()), empty.Shutdown(t.Context())); err != nil {
		t.Error(err)
	}
}

func TestNothingIsLeft(t *testing.T) {
	a := newAcceptor()
	h := wsserver.NewHandler(a, nil)
	srv := httptest.NewServer(h)
	defer srv.Close()
	before := runtime.NumGoroutine()
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			ws, err := dial(t, srv.URL, nil)
			if err != nil {
				t.Error(err)
				return
			}
			echo(t, ws, []byte("x"))
			if i%2 == 0 {
				_ = ws.Close(websocket.StatusNormalClosure, "")
			} else {
				_ = ws.CloseNow()
			}
		})
	}
	wg.Wait()
	until(t, "no connections", func() bool { return h.Conns() == 0 })
	until(t, "no goroutines more", func() bool { return runtime.NumGoroutine() <= before })
	if len(a.ends) != 200 {
		t.Error(len(a.ends))
	}
}

// An idle connection has two goroutines of the server.
func TestGoroutinesPerConnection(t *testing.T) {
	_, url := serve(t, newAcceptor(), nil)
	before := runtime.NumGoroutine()
	for range 50 {
		ws, err := dial(t, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		echo(t, ws, []byte("x"))
	}
	until(t, "two goroutines per connection", func() bool { return runtime.NumGoroutine() <= before+2*50 })
}
