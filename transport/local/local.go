// Package local connects nodes in one process.
package local

import (
	"context"
	"errors"
	"sync"

	"github.com/ankurah/ankurah-go/transport"
)

// depth is how many frames are under way before Send blocks.
const depth = 64

// Pipe returns the two ends of a connection.
func Pipe() (a, b transport.Conn) {
	there, back := make(chan []byte, depth), make(chan []byte, depth)
	p := &pipe{closed: make(chan struct{})}
	return &end{p, there, back}, &end{p, back, there}
}

type pipe struct {
	once   sync.Once
	closed chan struct{}
}

type end struct {
	*pipe
	out, in chan []byte
}

// Send hands a frame to the other end.
func (e *end) Send(ctx context.Context, frame []byte) error {
	select {
	case <-e.closed:
		return errClosed
	default:
	}
	select {
	case e.out <- frame:
		return nil
	case <-e.closed:
		return errClosed
	case <-ctx.Done():
		return errors.Join(ctx.Err(), e.Close())
	}
}

// TrySend is Send where it need not wait; else it does nothing and returns
// false.
func (e *end) TrySend(frame []byte) bool {
	select {
	case <-e.closed:
		return false
	default:
	}
	select {
	case e.out <- frame:
		return true
	default:
		return false
	}
}

// Receive returns the next frame of the other end.
func (e *end) Receive(ctx context.Context) ([]byte, error) {
	select {
	case f := <-e.in:
		return f, nil
	default:
	}
	select {
	case f := <-e.in:
		return f, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-e.closed:
	}
	select {
	case f := <-e.in: // sent before the connection was closed
		return f, nil
	default:
		return nil, errClosed
	}
}

// Close ends the connection for both ends.
func (e *end) Close() error {
	e.once.Do(func() { close(e.closed) })
	return nil
}

var errClosed error = closedError{}

type closedError struct{}

func (closedError) Error() string { return "ankurah: the local connection is closed" }
func (closedError) Unwrap() error { return transport.ErrClosed }

// Connection is a client's connection to a node in the same process.
type Connection struct {
	cancel context.CancelFunc
	done   chan struct{}
	ready  chan struct{}
	mu     sync.Mutex // guards err
	err    error
}

// Dial connects client to server until one of them or the connection is
// closed. It does not connect again.
func Dial(client transport.Connector, server transport.Acceptor, credential []byte) *Connection {
	ctx, cancel := context.WithCancel(context.Background())
	c := &Connection{cancel: cancel, done: make(chan struct{}), ready: make(chan struct{})}
	a, b := Pipe()
	var served sync.WaitGroup
	served.Go(func() { _ = server.Accept(ctx, b) }) // the client hears of what matters to it
	var once sync.Once
	go func() {
		defer close(c.done)
		err := client.Connect(ctx, a, transport.Hello{Credential: credential, Ready: func() { once.Do(func() { close(c.ready) }) }})
		c.mu.Lock()
		c.err = err
		c.mu.Unlock()
		cancel()
		served.Wait()
	}()
	return c
}

// WaitConnected waits until the server has accepted the client; an error says
// why it has not.
func (c *Connection) WaitConnected(ctx context.Context) error {
	select {
	case <-c.ready:
		return nil
	case <-c.done:
		return c.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Done is closed when the connection has ended.
func (c *Connection) Done() <-chan struct{} { return c.done }

// Err returns why the connection ended, nil while it lasts.
func (c *Connection) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close ends the connection and returns when nothing of it runs any more.
func (c *Connection) Close() {
	c.cancel()
	<-c.done
}
