package sim

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"slices"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/core"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/property"
	"github.com/ankurah/ankurah-go/property/lww"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/value"
)

// Options say what happens in a world.
type Options struct {
	Seed     uint64
	Workload string    // one of [Workloads]; "": the seed chooses
	Steps    int       // that users and the world take; 0 means 400
	Trace    io.Writer // what happens, line by line; nil for nowhere
}

// World is some nodes, what lies between them, and what is known of them.
type World struct {
	opts      Options
	load      *workload
	open      bool // users may read everything
	limits    core.Limits
	r         *rand.Rand
	now       uint64
	step      int
	retention uint64  // of feeds
	reader    *reader // of the feed, in worlds with several servers
	server    *node   // the first of the servers
	servers   []*node // on one store, when there are several
	clients   []*node
	pipes     []*pipe // connections that at least one side takes for one
	digest    hash.Hash

	promises
	failure error
}

// node is a process, or one that has crashed, and its disk.
type node struct {
	w     *World
	name  string
	disk  *disk
	skew  int64
	agent policy.Agent

	core  *core.Core // nil while it is down
	life  int        // which process it is
	tasks []*task    // of this process
	up    *pipe      // of a client: the connection, nil for none
	away  uint64     // of a client: until when it has no network
	party []*node    // of a client: who left with it, and comes back with it
	late  uint64     // the latest that its clock showed in this life

	queries []*query
	totals  []*total
	own     []*own // that it committed, in all of its lives
	seen    map[id.ID]uint64

	session   *session // of a server on a shared store: its connection to that
	listening bool     // and whether it hears there of what others commit
	asleep    uint64   // until when it is stopped, 0 for not
	parted    bool     // or only what it wants of the store
}

// task is something that may happen next.
type task struct {
	what  string
	store bool // it takes the store
	run   func()
}

// pipe is a connection: frames under way in both directions, nil for its end.
// One side may hear of the end while what it sent is still under way to the
// other, so that connections of one client overlap.
type pipe struct {
	client, server     *node
	user, durable      *core.Core // the processes that it connects
	link               *core.Link
	peer               *core.Peer
	toServer, toUser   [][]byte
	userEnd, serverEnd bool // who takes it for ended
	window             int  // frames under way in one direction, before the sender waits
}

// New returns a world whose server has a system. With an error of that world
// it returns the world too, which cannot run.
func New(opts Options) (*World, error) {
	if opts.Steps == 0 {
		opts.Steps = 400
	}
	if opts.Workload == "" {
		opts.Workload = workloadOf(opts.Seed)
	}
	load := workloads[opts.Workload]
	if load == nil {
		return nil, fmt.Errorf("no workload %q: there are %q", opts.Workload, Workloads)
	}
	w := &World{
		opts: opts, load: load, r: rand.New(rand.NewPCG(opts.Seed, 1)), now: 1_700_000_000_000, digest: sha256.New(),
		promises: newPromises(),
	}
	if opts.Seed/uint64(len(alone))%4 == 3 { // who is slow is cut, and who asks for much waits
		w.limits = core.Limits{Requests: 3, QueueBytes: 8 << 10}
	}
	w.open = load.edits.hide == 0 || w.chance(25)
	if load.servers > 0 {
		w.shareStore()
	} else {
		w.server = w.node("server", agent{w.open})
		w.servers = []*node{w.server}
	}
	if err := w.found(); err != nil {
		return w, err
	}
	for k := range 1 + w.r.IntN(load.clients) {
		w.clients = append(w.clients, w.node(fmt.Sprint("client", k), nil))
		if err := w.clients[k].start(); err != nil {
			return w, err
		}
	}
	return w, w.failure
}

// Workload returns the name of what happens.
func (w *World) Workload() string { return w.opts.Workload }

// found starts the servers and gives them a system, which several begin at once.
func (w *World) found() error {
	for _, n := range w.servers {
		if err := n.start(); err != nil {
			return err
		}
	}
	for _, n := range w.servers {
		n.core.CreateSystem(func(err error) {
			if len(w.servers) == 1 || !errors.Is(err, core.ErrSystemExists) {
				w.fail(err)
			}
		})
	}
	for w.next(w.servers...) {
	}
	for _, n := range w.servers {
		if n.core.Root() != w.server.core.Root() || n.core.Root().IsZero() {
			w.failf("%s has system %s, %s has %s", n.name, n.core.Root(), w.server.name, w.server.core.Root())
		}
	}
	return w.failure
}

func (w *World) node(name string, a policy.Agent) *node {
	n := &node{w: w, name: name, disk: newDisk(), agent: a, seen: map[id.ID]uint64{}}
	if w.load.skew && w.chance(60) {
		n.skew = w.skew()
	}
	return n
}

const day = 86_400_000 // milliseconds

// skew is how wrong a clock is, either way, in milliseconds: up to a day, and
// sometimes a year.
func (w *World) skew() int64 {
	most := int64(day)
	if w.chance(10) {
		most *= 365
	}
	return w.r.Int64N(2*most) - most
}

// chance is true in so many of a hundred cases.
func (w *World) chance(percent int) bool { return w.r.IntN(100) < percent }

// fail remembers the first thing that went wrong.
func (w *World) fail(err error) {
	if w.failure == nil && err != nil {
		w.failure = err
	}
}

func (w *World) failf(format string, args ...any) { w.fail(fmt.Errorf(format, args...)) }

// note adds to the history.
func (w *World) note(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	fmt.Fprintln(w.digest, line)
	if w.opts.Trace != nil {
		_, err := fmt.Fprintf(w.opts.Trace, "%5d %13d %s\n", w.step, w.now, line)
		w.fail(err)
	}
}

// Digest returns what the history hashes to so far.
func (w *World) Digest() string { return fmt.Sprintf("%x", w.digest.Sum(nil)[:16]) }

// start boots a process on the node's disk.
func (n *node) start() error {
	if err := n.disk.open(); err != nil {
		return err
	}
	snap, err := n.snapshot()
	if err != nil {
		return err
	}
	n.life++
	n.tasks, n.queries, n.totals, n.late = nil, nil, nil, 0
	cfg := core.Config{
		Kinds: kinds, Policy: n.agent, CacheSize: 16 << 10, Durable: n.agent != nil, Limits: n.w.limits, Shared: n.disk.shared, FeedRetention: n.w.retention,
		OnRejected: func(t event.TxID, why error) { n.w.note("%s hears that %s is refused: %v", n.name, t, why) },
	}
	x := &executor{n, n.life}
	n.core, err = core.Boot(context.Background(), x, cfg, snap)
	if err == nil {
		err = n.core.Register(model)
	}
	if err == nil && n.disk.shared {
		x.listen()
	}
	return err
}

// crash ends a process at once: what was not written is lost. Some of what it
// sent may still arrive.
func (n *node) crash() {
	n.w.note("%s crashes", n.name)
	n.core, n.tasks, n.up, n.queries, n.totals, n.asleep = nil, nil, nil, nil, nil, 0
	for _, p := range slices.Clone(n.w.pipes) {
		switch {
		case p.client != n && p.server != n:
		case n.w.chance(50):
			p.cut()
		default:
			p.leave(p.client == n)
		}
	}
	n.w.fail(n.checkImage())
}

var kinds = property.NewRegistry(lww.Kind)

var model = schema.NewModel("Thing", collection, []schema.Property{
	{Key: "n", Name: "N", Type: value.Type{Kind: value.KindInt64}, Kind: schema.LWW},
	{Key: "tag", Name: "Tag", Type: value.Type{Kind: value.KindString}, Kind: schema.LWW},
	{Key: "hidden", Name: "Hidden", Type: value.Type{Kind: value.KindBool}, Kind: schema.LWW},
	{Key: "other", Name: "Other", Type: value.Type{Kind: value.KindID}, Kind: schema.LWW, Ref: collection},
})

// executor is what a process's core asks for things.
type executor struct {
	n    *node
	life int
}

func (x *executor) later(what string, f func()) { x.do(&task{what: what, run: f}) }

// atStore is later for what takes the store.
func (x *executor) atStore(what string, f func()) { x.do(&task{what: what, store: true, run: f}) }

func (x *executor) do(t *task) {
	f := t.run
	t.what = x.n.name + " " + t.what
	t.run = func() {
		if x.n.life == x.life && x.n.core != nil {
			f()
		}
	}
	x.n.tasks = append(x.n.tasks, t)
}

// Now returns the node's idea of the time.
func (x *executor) Now() uint64 {
	now := uint64(int64(x.n.w.now) + x.n.skew)
	x.n.late = max(x.n.late, now)
	return now
}

// Elapsed returns the world's time, which no clock shows.
func (x *executor) Elapsed() uint64 { return x.n.w.now }

// Random fills b from the seed.
func (x *executor) Random(b []byte) { x.n.w.random(b) }

func (w *World) random(b []byte) {
	for len(b) > 0 {
		var word [8]byte
		binary.BigEndian.PutUint64(word[:], w.r.Uint64())
		b = b[copy(b, word[:]):]
	}
}

// Write is two steps: the disk has it, and the process hears of it. A crash
// may come before, between and after.
func (x *executor) Write(b *storage.Batch, done func(storage.Result, storage.Snapshot, error)) {
	x.atStore("writes", func() {
		if x.n.isServer() {
			x.n.checkClock(b)
		}
		res, err := x.n.disk.Commit(context.Background(), b)
		if x.n.disk.shared {
			x.wroteBesideOthers(res, err, done)
			return
		}
		var snap storage.Snapshot
		if err == nil {
			snap, err = x.n.disk.Snapshot()
		}
		x.later("wrote", func() { done(res, snap, err) })
	})
}

// Read happens some time later.
func (x *executor) Read(job func(context.Context) error, done func(error)) {
	x.atStore("reads", func() {
		err := x.n.disk.read()
		if err == nil {
			err = job(context.Background())
		}
		x.later("has read", func() { done(err) })
	})
}

// Snapshot returns what is on the disk.
func (x *executor) Snapshot() (storage.Snapshot, error) { return x.n.snapshot() }

// EnsureIndexes is not wanted here.
func (x *executor) EnsureIndexes(string) {}

// Wake puts frames on the way, when there is room.
func (x *executor) Wake(k *core.Conn) {
	p := k.Handle.(*pipe)
	x.later("sends", func() { p.send(k, x.n == p.client) })
}

func (p *pipe) send(k *core.Conn, toServer bool) {
	queue, over := p.toUser, p.serverEnd
	if toServer {
		queue, over = p.toServer, p.userEnd
	}
	if over || len(queue) >= p.window || !k.Ready() {
		return // what arrives makes room
	}
	frames, end := k.Take()
	for _, f := range frames {
		if toServer {
			p.client.w.inspectClaims(f)
		} else {
			p.client.w.inspect(f)
		}
	}
	if end {
		frames = append(frames, nil) // what was sent arrives first
	}
	p.put(toServer, frames)
}

// put sends frames, unless one of the sides takes the connection for ended.
func (p *pipe) put(toServer bool, frames [][]byte) {
	switch {
	case p.userEnd || p.serverEnd:
	case toServer:
		p.toServer = append(p.toServer, frames...)
	default:
		p.toUser = append(p.toUser, frames...)
	}
}

// cut loses a connection with everything under way; both sides hear of it.
func (p *pipe) cut() {
	p.endUser()
	p.endServer()
}

// leave ends a connection for one side. The other hears of it behind some of
// what was sent to it.
func (p *pipe) leave(user bool) {
	if p.userEnd || p.serverEnd {
		p.cut()
		return
	}
	rest := func(frames [][]byte) [][]byte {
		return append(frames[:p.client.w.r.IntN(len(frames)+1)], nil)
	}
	if user {
		p.toServer = rest(p.toServer)
		p.endUser()
	} else {
		p.toUser = rest(p.toUser)
		p.endServer()
	}
}

func (p *pipe) endUser() {
	if p.userEnd {
		return
	}
	full := len(p.toUser) >= p.window
	p.userEnd, p.toUser = true, nil
	p.link.Drop()
	if n := p.server; full && !p.serverEnd && n.core == p.durable {
		(&executor{n, n.life}).Wake(&p.peer.Conn) // there is room for what nobody will hear
	}
	p.forget()
	if n := p.client; n.core == p.user {
		n.up = nil
		n.core.LinkGone(p.link, nil)
	}
}

func (p *pipe) endServer() {
	if p.serverEnd {
		return
	}
	p.serverEnd, p.toServer = true, nil
	p.peer.Drop()
	p.forget()
	if n := p.server; n.core == p.durable {
		n.core.PeerGone(p.peer)
	}
}

func (p *pipe) forget() {
	if w := p.client.w; p.userEnd && p.serverEnd {
		w.pipes = slices.DeleteFunc(w.pipes, func(o *pipe) bool { return o == p })
	}
}

// connect makes a client's connection.
func (w *World) connect(n *node) {
	if n.core == nil || n.up != nil || w.now < n.away {
		return
	}
	server := w.someServer()
	if server.core == nil || server.stopped() {
		return
	}
	if len(w.servers) > 1 {
		w.note("%s connects to %s", n.name, server.name)
	} else {
		w.note("%s connects", n.name)
	}
	p := &pipe{client: n, server: server, user: n.core, durable: server.core, window: 1 + w.r.IntN(8)}
	n.up = p
	w.pipes = append(w.pipes, p)
	p.peer = server.core.NewPeer(p)
	p.link = n.core.NewLink(p, []byte("user"), nil)
}

// deliver hands over the next frame of a connection in one direction,
// sometimes twice.
func (p *pipe) deliver(toServer bool) {
	w := p.client.w
	queue := &p.toUser
	if toServer {
		queue = &p.toServer
	}
	f := (*queue)[0]
	if f == nil || !w.chance(w.load.twice) {
		*queue = (*queue)[1:]
	} else {
		w.note("and will come again")
	}
	if f != nil {
		w.note("  %s", frame(f))
	}
	switch {
	case f == nil:
		p.cut()
	case toServer:
		p.durable.PeerFrame(p.peer, bytes.Clone(f))
		p.send(&p.link.Conn, true)
	default:
		p.user.LinkFrame(p.link, bytes.Clone(f))
		p.send(&p.peer.Conn, false)
	}
}

// choices are all that can happen next, of the given nodes. Who has enough to
// do hears nothing for now.
func (w *World) choices(nodes ...*node) []*task {
	var all []*task
	for _, n := range nodes {
		for _, t := range n.tasks {
			if !n.stopped() && (n.asleep == 0 || !t.store) {
				all = append(all, t)
			}
		}
	}
	for _, p := range w.pipes {
		if !slices.Contains(nodes, p.client) || p.server.stopped() {
			continue
		}
		if len(p.toServer) > 0 && (p.toServer[0] == nil || !p.peer.Busy()) {
			all = append(all, &task{what: p.client.name + " is heard", run: func() { p.deliver(true) }})
		}
		if len(p.toUser) > 0 && (p.toUser[0] == nil || !p.link.Busy()) {
			all = append(all, &task{what: p.client.name + " hears", run: func() { p.deliver(false) }})
		}
	}
	return all
}

// next does one of the things that can happen; false when there is nothing.
func (w *World) next(nodes ...*node) bool {
	all := w.choices(nodes...)
	if len(all) == 0 || w.failure != nil {
		return false
	}
	t := all[w.r.IntN(len(all))]
	for _, n := range nodes {
		if k := slices.Index(n.tasks, t); k >= 0 {
			n.tasks = slices.Delete(n.tasks, k, k+1)
		}
	}
	w.note("%s", t.what)
	t.run()
	for _, n := range nodes {
		if n.core != nil {
			w.fail(n.core.CheckHeld(w.held(n)))
		}
	}
	return true
}

// held returns how many bytes wait on connections to a node.
func (w *World) held(n *node) (sum int) {
	for _, p := range w.pipes {
		if p.durable == n.core && !p.serverEnd {
			sum += p.peer.Held()
		}
	}
	return sum
}

func (w *World) everybody() []*node { return slices.Concat(w.servers, w.clients) }

// isServer reports whether a node decides.
func (n *node) isServer() bool { return n.agent != nil }

// visible returns what a node shows of an entity.
func (n *node) visible(i id.ID) *entity.State {
	if n.disk.shared {
		for _, s := range n.published() {
			if s.ID() == i {
				return s
			}
		}
		return nil
	}
	s, err := n.core.State(context.Background(), collection, i)
	n.w.fail(err)
	return s
}

// known returns the entities that a disk holds, in order.
func (d *disk) known() ([]*entity.State, error) {
	snap, err := d.Snapshot()
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	var out []*entity.State
	for s, err := range snap.All(context.Background(), collection) {
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// published returns the entities that a process shows, in order.
func (n *node) published() []*entity.State {
	snap, err := n.current()
	if err != nil {
		return nil // it is going down
	}
	defer snap.Release()
	var out []*entity.State
	for s, err := range snap.All(context.Background(), collection) {
		n.w.fail(err)
		if s != nil {
			out = append(out, s)
		}
	}
	return out
}
