// Package ankurahtest gives tests a durable node and clients in one process,
// whose connections can be cut and healed, and a way to wait without sleeping.
package ankurahtest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/transport/local"
)

// Options configures a cluster; nil is the zero value.
type Options struct {
	// Server configures the durable node; its Policy is policy.Permissive{}
	// unless one is given.
	Server ankurah.NodeOptions
	// Client configures the clients.
	Client ankurah.NodeOptions
	// Engine is the durable node's store; nil is one in memory. The cluster
	// closes it.
	Engine storage.Engine
	// Timeout bounds every wait; 0 means a minute.
	Timeout time.Duration
}

// Cluster is a durable node and its clients. It is for one goroutine.
type Cluster struct {
	t       testing.TB
	opts    Options
	engine  storage.Engine
	server  *ankurah.Node
	clients []*Client
}

// Client is an ephemeral node with a store of its own, connected unless it was
// cut.
type Client struct {
	*ankurah.Node
	// Session acts for the principal of the client's name.
	Session *ankurah.Session

	name   string
	engine storage.Engine
	link   *local.Connection
}

// New starts a durable node with a system. It ends, with its clients, when the
// test does. opts may be nil.
func New(t testing.TB, opts *Options) *Cluster {
	t.Helper()
	c := &Cluster{t: t}
	if opts != nil {
		c.opts = *opts
	}
	if c.opts.Timeout == 0 {
		c.opts.Timeout = time.Minute
	}
	c.opts.Server.Durable, c.opts.Client.Durable = true, false
	if c.opts.Server.Policy == nil {
		c.opts.Server.Policy = policy.Permissive{}
	}
	if c.engine = c.opts.Engine; c.engine == nil {
		c.engine = memory.New()
	}
	c.start()
	t.Cleanup(func() {
		for _, cl := range c.clients {
			cl.stop(t)
			check(t, cl.engine.Close())
		}
		check(t, c.server.Close())
		check(t, c.engine.Close())
	})
	return c
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (c *Cluster) context() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), c.opts.Timeout)
}

func (c *Cluster) start() {
	c.t.Helper()
	ctx, cancel := c.context()
	defer cancel()
	opts := c.opts.Server
	var err error
	c.server, err = ankurah.OpenNode(ctx, c.engine, &opts)
	check(c.t, err)
	check(c.t, c.server.EnsureSystem(ctx))
}

// Server returns the durable node.
func (c *Cluster) Server() *ankurah.Node { return c.server }

// Session returns the durable node as a principal of that name sees it.
func (c *Cluster) Session(subject string) *ankurah.Session {
	return c.server.Session(policy.Principal{Subject: subject})
}

// Client starts a client whose credential, and under policy.Permissive{} whose
// principal, is name.
func (c *Cluster) Client(name string) *Client {
	c.t.Helper()
	cl := &Client{name: name, engine: memory.New()}
	c.open(cl)
	c.clients = append(c.clients, cl)
	c.Heal(cl)
	return cl
}

func (c *Cluster) open(cl *Client) {
	c.t.Helper()
	ctx, cancel := c.context()
	defer cancel()
	opts := c.opts.Client
	var err error
	cl.Node, err = ankurah.OpenNode(ctx, cl.engine, &opts)
	check(c.t, err)
	cl.Session = cl.Node.Session(policy.Principal{Subject: cl.name})
}

func (cl *Client) stop(t testing.TB) {
	t.Helper()
	if cl.link != nil {
		cl.link.Close()
		cl.link = nil
	}
	check(t, cl.Node.Close())
}

// Cut ends a client's connection; what is under way is lost.
func (c *Cluster) Cut(cl *Client) {
	if cl.link != nil {
		cl.link.Close()
		cl.link = nil
	}
}

// Heal connects a client that was cut, or whose connection has ended by itself.
func (c *Cluster) Heal(cl *Client) {
	c.t.Helper()
	if cl.link != nil {
		if cl.Node.Connected() {
			return
		}
		cl.link.Close()
	}
	ctx, cancel := c.context()
	defer cancel()
	cl.link = local.Dial(cl.Node, c.server, []byte(cl.name))
	check(c.t, errors.Join(cl.link.WaitConnected(ctx), cl.Node.WaitReady(ctx)))
}

// Restart ends a client's process and starts another one on its store. It is
// connected if it was before.
func (c *Cluster) Restart(cl *Client) {
	c.t.Helper()
	connected := cl.link != nil
	cl.stop(c.t)
	c.open(cl)
	if connected {
		c.Heal(cl)
	}
}

// RestartServer ends the durable node's process and starts another one on its
// store. Clients that were connected connect again.
func (c *Cluster) RestartServer() {
	c.t.Helper()
	var again []*Client
	for _, cl := range c.clients {
		if cl.link != nil {
			again = append(again, cl)
			c.Cut(cl)
		}
	}
	check(c.t, c.server.Close())
	c.start()
	for _, cl := range again {
		c.Heal(cl)
	}
}

// Settle waits until the durable node has decided on every transaction of the
// connected clients, and all of them have heard of everything.
func (c *Cluster) Settle() {
	c.t.Helper()
	ctx, cancel := c.context()
	defer cancel()
	for quiet := 0; quiet < 2; quiet++ {
		for _, cl := range c.clients {
			if cl.link == nil {
				continue
			}
			if cl.Node.Pending() > 0 {
				quiet = 0 // others may hear of what it has to say
			}
			check(c.t, cl.Node.Settle(ctx))
		}
	}
}
