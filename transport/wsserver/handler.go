//go:build !js

// Package wsserver lets nodes connect to a durable node over WebSockets.
//
//	http.Handle("/ankurah", wsserver.NewHandler(node, nil))
//
// # Goroutines
//
// An open connection occupies two goroutines: one in which
// [transport.Acceptor.Accept] runs, and one that reads frames. Both are gone when
// Accept has returned and the connection is closed. Sending starts none. The
// goroutine of net/http is let go as soon as the connection is there, with what
// it holds of the request: ServeHTTP returns then. A client that does not take its frames is cut off after a while, see
// [Options.WriteTimeout]; one that is silent is the concern of what speaks over
// the connection.
//
// # Order and ownership
//
// Frames of a connection arrive whole and in order. The handler does not own
// the acceptor. [http.Server.Shutdown] does not wait for WebSockets, so end in
// this order: [Handler.Shutdown], the server's Shutdown, the node's Close.
package wsserver

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/ankurah/ankurah-go/transport"
	"github.com/ankurah/ankurah-go/transport/internal/wsconn"
)

// Subprotocol is the WebSocket subprotocol that clients have to name.
const Subprotocol = wsconn.Subprotocol

const (
	// retryAfter is when a client that found no place may come again.
	retryAfter = 5 * time.Second

	// readBuffer and writeBuffer are what a connection holds while it is idle.
	// What is larger passes by them.
	readBuffer  = 512
	writeBuffer = 1 << 10

	// grace is how long Accept may take to return in good order when time is
	// up, before its connection is cut.
	grace = time.Second
)

// Options configures a handler.
type Options struct {
	// Origins are the web origins, beside that of the request itself, whose
	// pages may connect: patterns as in [path.Match] for the host with its
	// port ("*.example.com", "localhost:*"), or for scheme and host
	// ("https://*.example.com"). "*" is any. Clients that are no browsers send
	// no origin and are not concerned.
	Origins []string
	// Compression offers permessage-deflate. It costs time and memory on every
	// frame over 512 bytes.
	Compression bool
	// MaxFrame is the largest frame in bytes, both ways. 0 is
	// transport.MaxFrame.
	MaxFrame int
	// MaxConns is how many connections there may be at a time; others are
	// answered with 503 and Retry-After. 0 is any number.
	MaxConns int
	// WriteTimeout is how long a client may take to take a frame, and a second
	// more for each 64 KiB, before it is cut off. 0 is 30 seconds.
	WriteTimeout time.Duration
	// Logger takes warnings and errors; nil is silent.
	Logger Logger
}

// Logger takes what a handler has to say; [log/slog.Logger] satisfies it.
type Logger interface {
	Debug(msg string, args ...any)
	Info(msg string, args ...any)
	Warn(msg string, args ...any)
	Error(msg string, args ...any)
}

// Handler connects clients to an acceptor. It is an [http.Handler].
type Handler struct {
	acceptor transport.Acceptor
	opts     Options
	ctx      context.Context // of all connections
	cancel   context.CancelFunc

	mu     sync.Mutex // guards what follows
	conns  map[*slot]struct{}
	closed bool
	empty  chan struct{} // closed when closed and the last connection has ended
}

// slot is the place of a connection.
type slot struct {
	conn *wsconn.Conn // nil until the handshake is done
}

// NewHandler returns a handler that has a serve the connections it gets. It
// panics if a pattern in opts.Origins is malformed.
func NewHandler(a transport.Acceptor, opts *Options) *Handler {
	h := &Handler{acceptor: a, conns: map[*slot]struct{}{}, empty: make(chan struct{})}
	if opts != nil {
		h.opts = *opts
	}
	h.opts.Origins = slices.Clone(h.opts.Origins)
	for _, o := range h.opts.Origins {
		if _, err := path.Match(o, ""); err != nil {
			panic("ankurah: the origin pattern " + strconv.Quote(o) + " is malformed: see path.Match")
		}
	}
	if h.opts.Logger == nil {
		h.opts.Logger = silent{}
	}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	return h
}

// Conns returns how many connections there are.
func (h *Handler) Conns() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.conns)
}

// ServeHTTP makes a connection of a request, which is served until it ends.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	log := h.opts.Logger
	if code, why := h.refuse(w, r); code != 0 {
		log.Warn("connection refused", "remote", r.RemoteAddr, "status", code, "reason", why)
		http.Error(w, why, code)
		return
	}
	s := &slot{}
	if why := h.enter(s); why != "" {
		log.Warn("connection refused", "remote", r.RemoteAddr, "status", http.StatusServiceUnavailable, "reason", why)
		w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter/time.Second)))
		http.Error(w, why, http.StatusServiceUnavailable)
		return
	}
	if conn := h.upgrade(s, w, r); conn != nil {
		// What a middleware limits is the request, which is over.
		go h.serve(context.WithoutCancel(r.Context()), s, conn, r.RemoteAddr)
		return
	}
	h.leave(s)
}

// upgrade makes a WebSocket of a request, or returns nil and has answered.
func (h *Handler) upgrade(s *slot, w http.ResponseWriter, r *http.Request) *wsconn.Conn {
	opts := &websocket.AcceptOptions{
		Subprotocols:       []string{Subprotocol},
		InsecureSkipVerify: true, // refuse has looked at the origin
	}
	if h.opts.Compression {
		opts.CompressionMode = websocket.CompressionNoContextTakeover
	}
	grab := &grabber{ResponseWriter: w}
	ws, err := websocket.Accept(grab, r, opts)
	if err != nil { // and it has answered
		h.opts.Logger.Warn("connection refused", "remote", r.RemoteAddr, "reason", err.Error())
		return nil
	}
	conn := wsconn.New(ws, wsconn.Config{MaxFrame: h.opts.MaxFrame, WriteTimeout: h.opts.WriteTimeout, Raw: grab.conn})
	h.mu.Lock()
	s.conn = conn
	h.mu.Unlock()
	return conn
}

// serve has the acceptor serve a connection.
func (h *Handler) serve(ctx context.Context, s *slot, conn *wsconn.Conn, remote string) {
	log := h.opts.Logger
	defer h.leave(s)
	defer func() { _ = conn.Close() }() // Accept has done it, unless it panics
	defer func() {
		if v := recover(); v != nil {
			log.Error("serving a connection panicked", "remote", remote, "panic", v, "stack", string(debug.Stack()))
		}
	}()
	if h.ctx.Err() != nil {
		conn.Abort()
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.ctx, cancel)()
	log.Debug("connected", "remote", remote)
	err := h.acceptor.Accept(ctx, conn)
	switch {
	case err == nil || h.ctx.Err() != nil:
		log.Debug("disconnected", "remote", remote)
	default:
		log.Warn("connection ended", "remote", remote, "error", err)
	}
}

// refuse says with which status and why a request cannot become a connection;
// 0 if it can.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request) (code int, why string) {
	switch {
	case r.Method != http.MethodGet:
		w.Header().Set("Allow", http.MethodGet)
		return http.StatusMethodNotAllowed, "This address takes WebSocket connections of Ankurah nodes, which begin with GET, not " + r.Method + "."
	case !names(r.Header, "Connection", "Upgrade") || !names(r.Header, "Upgrade", "websocket"):
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "websocket")
		scheme := "ws"
		if r.TLS != nil {
			scheme = "wss"
		}
		return http.StatusUpgradeRequired, "This address takes WebSocket connections of Ankurah nodes. " +
			"Connect a node to it: wsclient.Dial(node, " + strconv.Quote(scheme+"://"+r.Host+r.URL.EscapedPath()) + ", nil). " +
			"If that is what you did, a proxy on the way drops the Upgrade header."
	case !names(r.Header, "Sec-WebSocket-Protocol", Subprotocol):
		why = "This server speaks the WebSocket subprotocol " + strconv.Quote(Subprotocol) + "; the client named "
		if got := r.Header.Values("Sec-WebSocket-Protocol"); len(got) > 0 {
			return http.StatusBadRequest, why + strconv.Quote(strings.Join(got, ", ")) + ". One of them has to be updated."
		}
		return http.StatusBadRequest, why + "none."
	case !h.allowed(r):
		return http.StatusForbidden, "Pages of the origin " + strconv.Quote(r.Header.Get("Origin")) +
			" may not connect to " + strconv.Quote(r.Host) + ": it is not among wsserver.Options.Origins."
	case !hijackable(w):
		return http.StatusInternalServerError, "This server cannot take WebSocket connections: HTTP/1.1 is needed, and an http.ResponseWriter " +
			"that is an http.Hijacker or has Unwrap; a middleware may hide it."
	}
	return 0, ""
}

// allowed tells whether a page of the request's origin may connect.
func (h *Handler) allowed(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || slices.Contains(h.opts.Origins, "*") {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return false
	}
	if strings.EqualFold(u.Host, r.Host) {
		return true
	}
	host := strings.ToLower(u.Host)
	for _, o := range h.opts.Origins {
		o = strings.ToLower(o)
		of := host
		if strings.Contains(o, "://") {
			of = strings.ToLower(u.Scheme) + "://" + host
		}
		if ok, _ := path.Match(o, of); ok {
			return true
		}
	}
	return false
}

// enter takes a place for a connection, or says why there is none.
func (h *Handler) enter(s *slot) (why string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return "This server is shutting down."
	}
	if n := h.opts.MaxConns; n > 0 && len(h.conns) >= n {
		return fmt.Sprintf("This server has the %d connections that it takes.", n)
	}
	h.conns[s] = struct{}{}
	return ""
}

func (h *Handler) leave(s *slot) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.conns, s)
	if h.closed && len(h.conns) == 0 {
		close(h.empty)
	}
}

// Shutdown refuses new connections, has the acceptor send the clients away if
// it is a [transport.Drainer], and returns when all connections have ended.
// Those that are left when ctx ends are closed, and an error says how many they
// were. A further call waits for the same.
func (h *Handler) Shutdown(ctx context.Context) error {
	h.mu.Lock()
	first := !h.closed
	h.closed = true
	open := len(h.conns)
	if first && open == 0 {
		close(h.empty)
	}
	h.mu.Unlock()

	var drained error
	if first {
		h.opts.Logger.Info("shutting down", "connections", open)
		if d, ok := h.acceptor.(transport.Drainer); ok && open > 0 {
			if err := d.Drain(ctx); err != nil && ctx.Err() == nil {
				drained = fmt.Errorf("ankurah: the acceptor could not send its clients away: %w", err)
			}
		}
	}
	select {
	case <-h.empty:
		h.cancel()
		return drained
	default:
	}
	select {
	case <-h.empty:
		h.cancel()
		return drained
	case <-ctx.Done():
	}

	left := h.Conns()
	h.cancel()
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-h.empty:
	case <-t.C:
		h.mu.Lock()
		for s := range h.conns {
			if s.conn != nil {
				s.conn.Abort()
			}
		}
		h.mu.Unlock()
		<-h.empty
	}
	if left == 0 {
		return drained
	}
	h.opts.Logger.Warn("connections closed by the shutdown", "connections", left)
	return errors.Join(drained, fmt.Errorf("ankurah: %d connections had to be closed: %w", left, ctx.Err()))
}

// names tells whether a header lists a token.
func names(h http.Header, key, token string) bool {
	for _, v := range h.Values(key) {
		for t := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(t), token) {
				return true
			}
		}
	}
	return false
}

// hijackable tells whether w, or what it wraps, gives the connection away. It
// is asked before the answer to the handshake begins.
func hijackable(w http.ResponseWriter) bool {
	for {
		switch t := w.(type) {
		case http.Hijacker:
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			w = t.Unwrap()
		default:
			return false
		}
	}
}

// grabber keeps the TCP connection, to cut it if it does not end otherwise.
type grabber struct {
	http.ResponseWriter
	conn net.Conn
}

func (g *grabber) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(g.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, fmt.Errorf("ankurah: the connection could not be taken over: %w", err)
	}
	g.conn = conn
	if err := rw.Flush(); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("ankurah: the connection broke: %w", err), conn.Close())
	}
	early, err := rw.Peek(rw.Reader.Buffered()) // of what the client did not wait with
	if err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	r := bufio.NewReaderSize(io.MultiReader(bytes.NewReader(early), conn), max(readBuffer, len(early)))
	if _, err := r.Peek(len(early)); err != nil { // Accept looks at what is buffered
		return nil, nil, errors.Join(err, conn.Close())
	}
	return conn, bufio.NewReadWriter(r, bufio.NewWriterSize(conn, writeBuffer)), nil
}

// WriteHeaderNow is what gin needs before Hijack.
func (g *grabber) WriteHeaderNow() {
	if w, ok := g.ResponseWriter.(interface{ WriteHeaderNow() }); ok {
		w.WriteHeaderNow()
	}
}

type silent struct{}

func (silent) Debug(string, ...any) {}
func (silent) Info(string, ...any)  {}
func (silent) Warn(string, ...any)  {}
func (silent) Error(string, ...any) {}
