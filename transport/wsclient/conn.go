// Package wsclient connects a node to a server over a WebSocket and keeps it
// connected.
//
//	conn, err := wsclient.Dial(node, "wss://example.com/ankurah", &wsclient.Options{Credential: token})
//	defer conn.Close()
//	err = conn.WaitConnected(ctx) // or watch conn.State()
//
// # Connecting again
//
// When a connection ends or cannot be made, the next of the addresses is tried
// after a wait: from MinBackoff on, doubled when all addresses have been tried,
// up to MaxBackoff, and shortened by up to half at random, so that clients do
// not return in step. A connection that was ready for ten seconds begins anew,
// with its own address. A server that says when to come back
// ([transport.RetryError], or Retry-After with a refusal) is obeyed, with up to a
// tenth on top. An error that wraps [transport.ErrPermanent] ends it all.
//
// # Ownership
//
// Who dials closes. The node is not owned: close the connection first. While it
// lasts there is one goroutine, in which [transport.Connector.Connect] runs,
// and one that reads, except in browsers. Close returns when both are gone.
//
// # Browsers
//
// With GOOS=js the connection is on the browser's WebSocket, and options that
// are the browser's affair are not there. A path is the address of a server,
// too: the one that the page is from.
package wsclient

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ankurah/ankurah-go/internal/panics"
	"github.com/ankurah/ankurah-go/signal"
	"github.com/ankurah/ankurah-go/transport"
)

const (
	defaultMinBackoff = 100 * time.Millisecond
	defaultMaxBackoff = 15 * time.Second

	// handshakeTimeout bounds the way to an open WebSocket.
	handshakeTimeout = 20 * time.Second

	// steady is how long a connection was ready if its end is no reason to
	// wait longer.
	steady = 10 * time.Second
)

// Phase is what a connection is doing.
type Phase int

// The phases of a connection.
const (
	Connecting Phase = iota // being made, up to the answer of the server
	Connected               // accepted by the server
	Waiting                 // until Retry
	Stopped                 // for good
)

func (p Phase) String() string {
	switch p {
	case Connecting:
		return "connecting"
	case Connected:
		return "connected"
	case Waiting:
		return "waiting"
	case Stopped:
		return "stopped"
	}
	return "phase " + strconv.Itoa(int(p))
}

// State is what a connection is doing and why.
type State struct {
	Phase   Phase
	Address string    // of the server
	Err     error     // why it is not connected; nil at first and after Close
	Retry   time.Time // when it is tried again, if it is Waiting
}

// Logger takes what a connection has to say; [log/slog.Logger] satisfies it.
type Logger interface {
	Debug(msg string, args ...any)
	Info(msg string, args ...any)
	Warn(msg string, args ...any)
	Error(msg string, args ...any)
}

// config is what connecting again needs to know; the rest is in dial.
type config struct {
	addresses  []*address
	credential func(ctx context.Context) ([]byte, error) // may be nil
	dial       func(ctx context.Context, to *address) (transport.Conn, error)
	release    func() // called at the end; may be nil
	min, max   time.Duration
	log        Logger
}

// Conn keeps a node connected to a server.
type Conn struct {
	node   transport.Connector
	cfg    config
	cancel context.CancelFunc
	done   chan struct{}
	signal signal.Source

	mu      sync.Mutex // guards what follows
	state   State
	changed chan struct{} // closed when state changes
	attempt *attempt      // the one whose Ready counts
}

// attempt is one connection.
type attempt struct{ ready time.Time }

// start starts a connection.
func start(node transport.Connector, cfg config) *Conn {
	if cfg.min <= 0 {
		cfg.min = defaultMinBackoff
	}
	if cfg.max <= 0 {
		cfg.max = defaultMaxBackoff
	}
	cfg.max = max(cfg.min, cfg.max)
	if cfg.log == nil {
		cfg.log = silent{}
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &Conn{
		node: node, cfg: cfg, cancel: cancel, done: make(chan struct{}), changed: make(chan struct{}),
		state: State{Phase: Connecting, Address: cfg.addresses[0].Redacted()},
	}
	go c.run(ctx)
	return c
}

// run makes connections until ctx ends or there is no point in it.
func (c *Conn) run(ctx context.Context) {
	defer close(c.done)
	defer c.cancel()
	if c.cfg.release != nil {
		defer c.cfg.release()
	}
	at, failures := 0, 0
	var last error
	for {
		to := c.cfg.addresses[at%len(c.cfg.addresses)]
		name := to.Redacted()
		if last != nil {
			c.set(State{Phase: Connecting, Address: name, Err: last})
		}
		wasSteady, err := c.connect(ctx, to)
		if ctx.Err() != nil {
			c.set(State{Phase: Stopped, Address: name})
			return
		}
		if err == nil {
			err = errLeft
		}
		last = err
		if errors.Is(err, transport.ErrPermanent) {
			c.cfg.log.Error("connection given up", "address", name, "error", err)
			c.set(State{Phase: Stopped, Address: name, Err: err})
			return
		}
		var wait time.Duration
		retry, told := errors.AsType[*transport.RetryError](err)
		switch {
		case told:
			wait = max(retry.After, c.cfg.min)
			wait += rand.N(wait/10 + 1)
			at++
			if wasSteady {
				failures = 0
			}
		case wasSteady: // most often it comes back
			failures = 0
			wait = c.backoff(0)
		default:
			wait = c.backoff(failures / len(c.cfg.addresses))
			at++
			failures++
		}
		c.cfg.log.Warn("not connected", "address", name, "error", err, "retry", wait)
		c.set(State{Phase: Waiting, Address: name, Err: err, Retry: time.Now().Add(wait)})
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			c.set(State{Phase: Stopped, Address: name})
			return
		}
	}
}

// backoff returns how long to wait after all addresses have failed a number of
// times.
func (c *Conn) backoff(rounds int) time.Duration {
	d := 2 * c.cfg.min
	for ; rounds > 0 && d < c.cfg.max; rounds-- {
		d *= 2
	}
	d = min(d, c.cfg.max)
	least := max(d/2, c.cfg.min)
	return least + rand.N(d-least+1)
}

// connect makes a connection and runs it until it ends.
func (c *Conn) connect(ctx context.Context, to *address) (wasSteady bool, err error) {
	hello := transport.Hello{}
	if c.cfg.credential != nil {
		if hello.Credential, err = c.credential(ctx); err != nil {
			return false, &failedError{"the credential could not be had", err}
		}
	}
	conn, err := c.cfg.dial(ctx, to)
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close() }() // Connect has done it, unless it panics
	a := &attempt{}
	c.mu.Lock()
	c.attempt = a
	c.mu.Unlock()
	name := to.Redacted()
	hello.Ready = func() {
		c.mu.Lock()
		if c.attempt != a || !a.ready.IsZero() {
			c.mu.Unlock()
			return
		}
		a.ready = time.Now()
		c.setLocked(State{Phase: Connected, Address: name})
		c.mu.Unlock()
		c.cfg.log.Info("connected", "address", name)
		c.notify()
	}
	err = c.node.Connect(ctx, conn, hello)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.attempt = nil
	return !a.ready.IsZero() && time.Since(a.ready) >= steady, err
}

func (c *Conn) set(s State) {
	c.mu.Lock()
	c.setLocked(s)
	c.mu.Unlock()
	c.notify()
}

// notify runs the effects on the state. A panic in one is reported.
func (c *Conn) notify() {
	defer func() {
		if r := recover(); r != nil {
			c.panicked("an effect on a connection", r)
		}
	}()
	c.signal.Notify()
}

// credential asks for the credential. A panic is reported, and an error.
func (c *Conn) credential(ctx context.Context) (credential []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			c.panicked("the credential function", r)
			err = errors.New("the credential function panicked: " + panics.Text(r))
		}
	}()
	return c.cfg.credential(ctx)
}

// panicked reports a panic, on its stack.
func (c *Conn) panicked(in string, value any) {
	c.cfg.log.Error(in+" panicked", "panic", panics.Text(value), "stack", panics.Stack())
}

func (c *Conn) setLocked(s State) {
	c.state = s
	close(c.changed)
	c.changed = make(chan struct{})
}

// State returns the signal of what the connection is doing: State().Get(nil)
// reads it once, Get with an effect's tracker also whenever it changes. Effects on it run
// on the connection's goroutine: they must not wait for the connection, and so
// not call Close.
func (c *Conn) State() signal.Readable[State] { return (*stateSignal)(c) }

type stateSignal Conn

// Get returns the state.
func (s *stateSignal) Get(t *signal.Tracker) State {
	s.signal.Track(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// WaitConnected waits until the server has accepted the connection. An error
// says why it has not: it wraps what went wrong last and, if ctx has ended, its
// error.
func (c *Conn) WaitConnected(ctx context.Context) error {
	for {
		c.mu.Lock()
		s, changed := c.state, c.changed
		c.mu.Unlock()
		switch {
		case s.Phase == Connected:
			return nil
		case s.Phase == Stopped && s.Err == nil:
			return errClosed
		case s.Phase == Stopped:
			return &notConnectedError{s.Address, s.Err, nil}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return &notConnectedError{s.Address, s.Err, ctx.Err()}
		}
	}
}

// Done is closed when the connection has ended for good and nothing of it runs
// any more.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err returns why the connection has ended for good; nil while it lasts or is
// made again, and after Close.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.Phase != Stopped {
		return nil
	}
	return c.state.Err
}

// Close ends the connection and returns when nothing of it runs any more.
// Closing again does nothing.
func (c *Conn) Close() {
	c.cancel()
	<-c.done
}

var (
	errClosed error = &failedError{"the client has been closed", transport.ErrClosed}
	errLeft   error = &failedError{"the server ended the connection", transport.ErrClosed}
)

func errSilent(name string, cause error) error {
	return &failedError{name + " did not answer in " + handshakeTimeout.String(), cause}
}

// failedError says what failed and why.
type failedError struct {
	what  string
	cause error
}

func (e *failedError) Error() string {
	if e.cause == transport.ErrClosed {
		return "ankurah: " + e.what
	}
	return "ankurah: " + e.what + ": " + reason(e.cause)
}
func (e *failedError) Unwrap() error { return e.cause }

// notConnectedError says why there is no connection.
type notConnectedError struct {
	address string
	last    error // may be nil
	ended   error // of the wait; may be nil
}

func (e *notConnectedError) Error() string {
	text := "ankurah: not connected to " + e.address
	if e.last != nil {
		text += ": " + reason(e.last)
	}
	if e.ended != nil {
		text += " (" + e.ended.Error() + ")"
	}
	return text
}

func (e *notConnectedError) Unwrap() []error {
	var errs []error
	for _, err := range []error{e.last, e.ended} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

func reason(err error) string { return strings.TrimPrefix(err.Error(), "ankurah: ") }

// parseAddresses reads the addresses of servers, as ws or wss.
func parseAddresses(first string, further []string) ([]*address, error) {
	var all []*address
	for _, s := range append([]string{first}, further...) {
		a, err := parseAddress(s)
		if err != nil {
			return nil, &addressError{s, err.Error()}
		}
		all = append(all, a)
	}
	return all, nil
}

// socketScheme returns the scheme of WebSockets for one of an address.
func socketScheme(scheme string) (string, error) {
	switch scheme {
	case "ws", "wss":
		return scheme, nil
	case "http":
		return "ws", nil
	case "https":
		return "wss", nil
	case "":
		return "", errors.New("it has to begin with ws://, wss://, http:// or https://")
	}
	return "", errors.New("the scheme is ws, wss, http or https, not " + scheme)
}

var errNoHost = errors.New("it names no host")

// addressError says why text is not the address of a server.
type addressError struct{ text, why string }

func (e *addressError) Error() string {
	return "ankurah: " + strconv.Quote(e.text) + " is not the address of a server: " + e.why
}

type silent struct{}

func (silent) Debug(string, ...any) {}
func (silent) Info(string, ...any)  {}
func (silent) Warn(string, ...any)  {}
func (silent) Error(string, ...any) {}
