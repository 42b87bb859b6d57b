//go:build !js

package wsserver_test

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
)

// counter counts what a client reads.
type counter struct{ n atomic.Int64 }

func (c *counter) read() int64 { return c.n.Load() }

func (c *counter) client() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		return countedConn{conn, c}, err
	}}}
}

type countedConn struct {
	net.Conn
	c *counter
}

func (c countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.c.n.Add(int64(n))
	return n, err
}
