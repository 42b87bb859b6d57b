// Package local connects nodes in one process.
package local

import (
	"context"
	"sync"

	"github.com/ankurah/ankurah-go/transport"
)

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
