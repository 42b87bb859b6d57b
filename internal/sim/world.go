package sim

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"math/rand/v2"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/core"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/property"
	"github.com/ankurah/ankurah-go/property/lww"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/value"
)

// Options say what happens in a world.
type Options struct {
	Seed    uint64
	Clients int
	Steps   int  // that users and the world take; 0 means 400
	Skew    bool // clocks are wrong by up to a day
	Crashes bool
	Cuts    bool
}

// World is some nodes, what lies between them, and what is known of them.
type World struct {
	opts    Options
	r       *rand.Rand
	now     uint64
	server  *node
	clients []*node
	trace   hash.Hash

	committed map[event.TxID]bool // that a durable node acknowledged
	refused   map[event.TxID]bool // that it refused for good
	root      id.ID
	failure   error
}

// node is a process, or one that has crashed, and its disk.
type node struct {
	w      *World
	name   string
	engine storage.Engine
	skew   int64
	agent  policy.Agent

	core  *core.Core // nil while it is down
	life  int        // which process it is
	tasks []*task    // of this process
	links []*pipe    // connections
	up    *pipe      // of a client: the connection, nil for none

	queries []*query
	own     []own // that this process committed
}

// own is a transaction that a client committed.
type own struct {
	tx   event.TxID
	done bool
}

// task is something that may happen next.
type task struct {
	what string
	run  func()
}

// pipe is a connection: frames under way in both directions.
type pipe struct {
	client, server   *node
	link             *core.Link
	peer             *core.Peer
	toServer, toUser [][]byte
	down             bool
}

// query is a live query of a client.
type query struct {
	q      *core.Query
	text   string
	failed error
	synced bool
}

// New returns a world whose server has a system.
func New(opts Options) (*World, error) {
	if opts.Steps == 0 {
		opts.Steps = 400
	}
	w := &World{
		opts: opts, r: rand.New(rand.NewPCG(opts.Seed, 1)), now: 1_700_000_000_000, trace: sha256.New(),
		committed: map[event.TxID]bool{}, refused: map[event.TxID]bool{},
	}
	w.server = w.node("server", agent{})
	if err := w.server.start(); err != nil {
		return nil, err
	}
	w.server.core.CreateSystem(func(err error) { w.fail(err) })
	for w.step(w.server) {
	}
	w.root = w.server.core.Root()
	for k := range opts.Clients {
		w.clients = append(w.clients, w.node(fmt.Sprint("client", k), nil))
		if err := w.clients[k].start(); err != nil {
			return nil, err
		}
	}
	return w, w.failure
}

func (w *World) node(name string, a policy.Agent) *node {
	n := &node{w: w, name: name, engine: memory.New(), agent: a}
	if w.opts.Skew {
		n.skew = w.skew()
	}
	return n
}

// skew is how wrong a clock is: up to a day, either way, in milliseconds.
func (w *World) skew() int64 { return w.r.Int64N(2*86_400_000) - 86_400_000 }

// fail remembers the first thing that went wrong.
func (w *World) fail(err error) {
	if w.failure == nil && err != nil {
		w.failure = err
	}
}

func (w *World) failf(format string, args ...any) { w.fail(fmt.Errorf(format, args...)) }

// note adds to the history's digest.
func (w *World) note(what string) { w.trace.Write([]byte(what + "\n")) }

// Digest returns what the history hashes to so far.
func (w *World) Digest() string { return fmt.Sprintf("%x", w.trace.Sum(nil)) }

// start boots a process on the node's disk.
func (n *node) start() error {
	snap, err := n.engine.Snapshot()
	if err != nil {
		return err
	}
	n.life++
	n.tasks, n.queries, n.own = nil, nil, nil
	cfg := core.Config{
		Kinds: kinds, Policy: n.agent, CacheSize: 16 << 10, Durable: n.agent != nil,
		OnRejected: func(t event.TxID, _ error) { n.w.refused[t] = true },
	}
	n.core, err = core.Boot(context.Background(), &executor{n, n.life}, cfg, snap)
	if err == nil {
		err = n.core.Register(model)
	}
	return err
}

// crash ends a process at once: what was not written is lost.
func (n *node) crash() {
	n.w.note(n.name + " crashes")
	n.core, n.tasks = nil, nil
	for _, p := range n.links {
		p.cut()
	}
	n.links, n.up, n.queries = nil, nil, nil
}

var kinds = property.NewRegistry(lww.Kind)

var model = schema.NewModel("Thing", collection, []schema.Property{
	{Key: "n", Name: "N", Type: value.Type{Kind: value.KindInt64}, Kind: schema.LWW},
	{Key: "tag", Name: "Tag", Type: value.Type{Kind: value.KindString}, Kind: schema.LWW},
	{Key: "hidden", Name: "Hidden", Type: value.Type{Kind: value.KindBool}, Kind: schema.LWW},
})

// executor is what a process's core asks for things.
type executor struct {
	n    *node
	life int
}

func (x *executor) later(what string, f func()) {
	x.n.tasks = append(x.n.tasks, &task{x.n.name + " " + what, func() {
		if x.n.life == x.life && x.n.core != nil {
			f()
		}
	}})
}

// Now returns the node's idea of the time.
func (x *executor) Now() uint64 { return uint64(int64(x.n.w.now) + x.n.skew) }

// Random fills b from the seed.
func (x *executor) Random(b []byte) {
	for len(b) > 0 {
		var word [8]byte
		binary.BigEndian.PutUint64(word[:], x.n.w.r.Uint64())
		b = b[copy(b, word[:]):]
	}
}

// Write is two steps: the disk has it, and the process hears of it. A crash
// may come before, between and after.
func (x *executor) Write(b *storage.Batch, done func(storage.Result, storage.Snapshot, error)) {
	x.later("writes", func() {
		res, err := x.n.engine.Commit(context.Background(), b)
		var snap storage.Snapshot
		if err == nil {
			snap, err = x.n.engine.Snapshot()
		}
		x.later("wrote", func() { done(res, snap, err) })
	})
}

// Read happens some time later.
func (x *executor) Read(job func(context.Context) error, done func(error)) {
	x.later("reads", func() {
		err := job(context.Background())
		x.later("has read", func() { done(err) })
	})
}

// EnsureIndexes is not wanted here.
func (x *executor) EnsureIndexes(string) {}

// Wake puts frames on the way.
func (x *executor) Wake(k *core.Conn) {
	p := k.Handle.(*pipe)
	x.later("sends", func() {
		frames, end := k.Take()
		if x.n == p.client {
			p.toServer = append(p.toServer, frames...)
		} else {
			p.toUser = append(p.toUser, frames...)
		}
		if end {
			p.ended(x.n)
		}
	})
}

// ended is a connection that one side has closed: what was sent arrives first.
func (p *pipe) ended(by *node) {
	if p.client == by {
		p.toServer = append(p.toServer, nil)
	} else {
		p.toUser = append(p.toUser, nil)
	}
}

// cut loses a connection with everything under way; both sides hear of it.
func (p *pipe) cut() {
	if p.down {
		return
	}
	p.down = true
	p.toServer, p.toUser = nil, nil
	if c := p.client.core; c != nil && p.client.up == p {
		p.client.up = nil
		c.LinkGone(p.link, nil)
	}
	if c := p.server.core; c != nil {
		c.PeerGone(p.peer)
	}
}

// connect makes a client's connection.
func (w *World) connect(n *node) {
	if n.core == nil || n.up != nil || w.server.core == nil {
		return
	}
	p := &pipe{client: n, server: w.server}
	n.up = p
	n.links = append(n.links, p)
	w.server.links = append(w.server.links, p)
	p.peer = w.server.core.NewPeer(p)
	p.link = n.core.NewLink(p, []byte("user"), nil)
}

// deliver hands over the next frame of a connection in one direction.
func (p *pipe) deliver(toServer bool) {
	queue := &p.toUser
	if toServer {
		queue = &p.toServer
	}
	f := (*queue)[0]
	*queue = (*queue)[1:]
	switch {
	case f == nil:
		p.cut()
	case toServer && p.server.core != nil:
		p.server.core.PeerFrame(p.peer, f)
	case !toServer && p.client.core != nil:
		p.client.core.LinkFrame(p.link, f)
	}
}

// choices are all that can happen next, of the given nodes.
func (w *World) choices(nodes ...*node) []*task {
	var all []*task
	for _, n := range nodes {
		all = append(all, n.tasks...)
		if n == w.server {
			continue
		}
		if p := n.up; p != nil && !p.down {
			if len(p.toServer) > 0 {
				all = append(all, &task{n.name + " is heard", func() { p.deliver(true) }})
			}
			if len(p.toUser) > 0 {
				all = append(all, &task{n.name + " hears", func() { p.deliver(false) }})
			}
		}
	}
	return all
}

// step does one of the things that can happen; false when there is nothing.
func (w *World) step(nodes ...*node) bool {
	all := w.choices(nodes...)
	if len(all) == 0 || w.failure != nil {
		return false
	}
	t := all[w.r.IntN(len(all))]
	for _, n := range nodes {
		for k, have := range n.tasks {
			if have == t {
				n.tasks = append(n.tasks[:k:k], n.tasks[k+1:]...)
			}
		}
	}
	w.note(t.what)
	t.run()
	return true
}

func (w *World) everybody() []*node { return append([]*node{w.server}, w.clients...) }

// visible returns what a node shows of an entity.
func (n *node) visible(i id.ID) *entity.State {
	s, err := n.core.State(context.Background(), collection, i)
	n.w.fail(err)
	return s
}
