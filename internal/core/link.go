package core

import (
	"context"
	"reflect"
	"slices"
	"strconv"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/sorting"
	"github.com/ankurah/ankurah-go/internal/wire"
	"github.com/ankurah/ankurah-go/storage"
)

// retryDelay is how long the outbox waits after an answer that may pass.
const retryDelay = 1000

// Link is an ephemeral node's connection to a durable one, as a state machine.
type Link struct {
	Conn
	c      *Core
	phase  phase
	since  uint64
	heard  uint64
	came   uint64 // when it last said more than that it is there, or owed nothing
	pinged bool
	ready  func()
	err    error // why it ended

	next     uint64
	requests map[uint64]*request
	wanting  map[id.ID]bool
	unmet    []*request // for entities by ID, that are not answered

	resync        *move  // gathers until everything was asked again, nil afterwards
	synchronising bool   // the SyncPoint has come
	syncID        uint64 // of the SyncPoint that ends it
	epoch         id.ID  // of a server whose store is another than that of the bases

	queue []*move
	busy  bool          // a move is on its way into the order
	parts []wire.Change // of a message that goes on
	some  []wire.Result // of a message that goes on
	acks  []step        // that come in one piece with the next
	again []func()      // requests to be made again after a while
}

// maxMoves is how many things that the server said may wait before no more is
// received.
const maxMoves = 256

// Busy reports whether the node should hear no more of the server for now.
func (l *Link) Busy() bool { return len(l.queue) > maxMoves }

// request is something asked of the server.
type request struct {
	q          *Query // a live query's; nil of one answer
	aggregate  *Aggregate
	groups     []wire.Group
	followed   bool // what a live query or aggregate begins with has come
	parts      move // what came so far
	rows       []id.ID
	n          uint64
	events     []*wire.Events
	want       []id.ID
	collection string       // of want
	syncs      []syncing    // that are what the server says when this is answered
	answer     reflect.Type // of the message that answers
	done       func(r *request, err error)
}

// syncing is a live query, and under which number it was asked: another
// selection has another.
type syncing struct {
	q  *Query
	id uint64
}

// current reports whether the live query is still that which was asked. One
// that is about to be another still shows whole commits (S37).
func (s syncing) current() bool {
	return !s.q.closed && s.q.remote != nil && s.q.remote.id == s.id
}

// Messages that answer requests.
var (
	aRows      = reflect.TypeFor[*wire.Rows]()
	aCount     = reflect.TypeFor[*wire.Counted]()
	aHistory   = reflect.TypeFor[*wire.Events]()
	aSchema    = reflect.TypeFor[*wire.Described]()
	aGroups    = reflect.TypeFor[*wire.Groups]()
	aSyncPoint = reflect.TypeFor[*wire.Sync]()
)

// NewLink takes a connection to a durable node. ready is called when the
// server has accepted it. The connection of a node that has stopped committing
// ends at once.
func (c *Core) NewLink(handle any, credential []byte, ready func()) *Link {
	l := &Link{
		Conn: Conn{Handle: handle}, c: c, since: c.ex.Elapsed(), ready: ready,
		requests: map[uint64]*request{}, wanting: map[id.ID]bool{},
	}
	l.heard, l.came = l.since, l.since
	if c.link != nil {
		c.LinkGone(c.link, &linkError{"another connection replaced this one", ErrDisconnected})
	}
	c.link = l
	if c.broken != nil {
		c.LinkGone(l, c.broken) // nothing that it says could be taken up
		return l
	}
	c.send(&l.Conn, &wire.Hello{
		Min: wire.MinVersion, Max: wire.MaxVersion, Node: c.node, Incarnation: c.incarnation, Root: c.root,
		Now: c.ex.Now(), Credential: credential, App: c.cfg.App,
	})
	return l
}

type linkError struct {
	why  string
	kind error
}

func (e *linkError) Error() string { return "ankurah: " + e.why }
func (e *linkError) Unwrap() error { return e.kind }

// Err returns why the link ended, nil while it lasts.
func (l *Link) Err() error { return l.err }

// LinkGone ends what needs a connection that has ended. The first reason
// counts.
func (c *Core) LinkGone(l *Link, err error) {
	if l.err != nil {
		return
	}
	if err == nil {
		err = &linkError{"the connection ended", ErrDisconnected}
	}
	l.err = err
	if c.link == l {
		c.link = nil
		c.retryAt = 0
		l.again = nil
		for _, o := range c.outbox {
			o.sent = false
		}
		for _, q := range c.inOrder() {
			c.setSynced(q, false)
		}
		for _, q := range c.aggregatesInOrder() {
			c.setAggregateSynced(q, false)
		}
	}
	requests, waiting := l.requests, l.queue
	if l.resync != nil {
		waiting = append(waiting, l.resync)
	}
	l.requests, l.queue, l.resync = nil, nil, nil
	for _, n := range sorting.Keys(requests) {
		if r := requests[n]; r.done != nil {
			r.done(r, &linkError{"the connection ended before the answer came", ErrDisconnected})
		}
	}
	for _, x := range waiting {
		for _, done := range x.done {
			done(errNotTakenUp())
		}
	}
	c.finishConn(&l.Conn)
	c.wake()
}

func errNotTakenUp() error {
	return &linkError{"the connection ended before the answer was taken up", ErrDisconnected}
}

// Connected reports whether a durable node has accepted this one.
func (c *Core) Connected() bool { return c.link != nil && c.link.phase == open }

// Joined reports whether the node belongs to a system, and to which principal.
func (c *Core) Joined() (subject string, ok bool) { return c.subject, c.joined }

// Tick does what is due. It is called every few seconds while there are
// connections.
func (c *Core) Tick() {
	limits := &c.cfg.Limits
	now := c.ex.Elapsed()
	if c.serving != nil {
		c.serving.tickPeers(now)
	}
	if c.retryAt != 0 && now >= c.retryAt {
		c.retryAt = 0
		c.sendAgain()
		if l := c.link; l != nil && l.phase == open {
			again := l.again
			l.again = nil
			for _, f := range again {
				f()
			}
		}
	}
	l := c.link
	if l != nil && !l.owes() {
		l.came = now
	}
	switch {
	case l == nil:
	case l.phase != open && now > l.since+millis(limits.HelloTimeout):
		c.LinkGone(l, &lateError{"the server did not answer", "HelloTimeout", limits.HelloTimeout})
	case now > l.heard+millis(limits.IdleTimeout):
		c.LinkGone(l, &lateError{"nothing was heard of the server", "IdleTimeout", limits.IdleTimeout})
	case now > l.came+2*millis(limits.RequestTimeout): // it may have read for as long as it may
		c.LinkGone(l, &lateError{"the server is there and answers nothing", "RequestTimeout, twice", 2 * limits.RequestTimeout})
	case now > l.heard+millis(limits.IdleTimeout)/3 && !l.pinged:
		l.pinged = true
		c.send(&l.Conn, &wire.Ping{N: now})
	}
}

// owes reports whether the server has something to answer.
func (l *Link) owes() bool {
	if l.phase != open || l.resync != nil {
		return l.phase == open
	}
	for _, r := range l.requests {
		if r.q == nil || !r.followed {
			return true
		}
	}
	return slices.ContainsFunc(l.c.outbox, func(o *outTx) bool { return o.sent })
}

// Refresh sends another credential of the same principal.
func (c *Core) Refresh(credential []byte) {
	if c.Connected() {
		c.send(&c.link.Conn, &wire.Credential{Credential: credential})
	}
}

// LinkFrame takes a frame from the server.
func (c *Core) LinkFrame(l *Link, frame []byte) {
	if l.err != nil {
		return
	}
	m, err := wire.Decode(frame)
	if err != nil {
		c.LinkGone(l, err)
		return
	}
	l.heard, l.pinged = c.ex.Elapsed(), false
	switch m.(type) {
	case *wire.Ping, *wire.Pong:
	default:
		l.came = l.heard
	}
	switch m := m.(type) {
	case *wire.Reject:
		c.LinkGone(l, &RejectError{Retry: m.Retry, Err: &remoteError{m.Code, m.Text}})
		return
	case *wire.Bye:
		c.LinkGone(l, &RejectError{Retry: m.Retry, Err: &remoteError{m.Code, m.Text}})
		return
	case *wire.Hello:
		if l.phase == greeting {
			c.welcome(l, m)
			return
		}
	}
	if l.phase != open {
		c.LinkGone(l, &linkError{"the server's first message is not Hello", wire.ErrMalformed})
		return
	}
	l.take(m)
}

// RejectError is a server's word that it does not go on with a connection.
type RejectError struct {
	Retry uint64 // milliseconds; 0 says nothing
	Err   error
}

func (e *RejectError) Error() string { return e.Err.Error() }
func (e *RejectError) Unwrap() error { return e.Err }

// welcome takes the server's Hello (S34).
func (c *Core) welcome(l *Link, h *wire.Hello) {
	switch {
	case h.Max < wire.MinVersion || h.Min > wire.MaxVersion:
		c.LinkGone(l, &linkError{"the server speaks versions " + versions(h.Min, h.Max) + " of the protocol, this node " + versions(wire.MinVersion, wire.MaxVersion), ErrVersion})
		return
	case c.joined && h.Root != c.root:
		c.LinkGone(l, &linkError{"this store belongs to the system " + c.root.String() + ", the server to " + h.Root.String() + ": open another store, or wipe this one", ErrSystem})
		return
	case c.joined && h.Subject != c.subject:
		c.LinkGone(l, &linkError{"this store belongs to " + who(c.subject) + ", the credential to " + who(h.Subject) + ": open another store for another principal", ErrPrincipal})
		return
	}
	var meta []storage.MetaWrite
	if !c.joined {
		c.root, c.subject, c.joined, c.server = h.Root, h.Subject, true, h.Epoch
		meta = append(meta, storage.MetaWrite{Key: metaRoot, Value: slices.Clone(c.root[:])},
			storage.MetaWrite{Key: metaSubject, Value: []byte(c.subject)},
			storage.MetaWrite{Key: metaServer, Value: slices.Clone(c.server[:])})
	}
	if offset := int64(h.Now) - int64(c.ex.Now()); offset-c.offset > 100 || c.offset-offset > 100 {
		c.setOffset(offset)
	}
	if c.ahead(c.clock.Last(), h.Now, h.High) {
		c.setBack(h.High)
	}
	if len(meta) > 0 {
		c.Commit(&Request{ID: c.newTxID(), system: true, move: &move{}, meta: meta, Done: func([]*entity.State, error) {}})
	}
	if h.Epoch != c.server {
		l.epoch = h.Epoch
	}
	l.phase = open
	if l.ready != nil {
		l.ready()
	}
	c.wake()
	l.start()
}

func who(subject string) string {
	if subject == "" {
		return "anonymous"
	}
	return strconv.Quote(subject)
}

// ahead reports whether a server with that clock does not take a stamp yet
// (S4).
func (c *Core) ahead(s id.Stamp, server uint64, high id.Stamp) bool {
	return s.Millis() > server+MaxClockSkew && s.Millis() > high.Millis()+1
}

// setBack sets a clock back that was wrong.
func (c *Core) setBack(to id.Stamp) {
	c.clock = id.Clock{}
	c.clock.Observe(to)
}

// start asks everything again that the node wants to know, behind what it has
// to tell (S27, S36).
func (l *Link) start() {
	c := l.c
	l.resync = &move{link: l}
	c.sendOutbox()
	pending := c.pendingEntities()
	for _, collection := range sorting.Keys(pending) {
		l.ask(collection, pending[collection])
	}
	for _, q := range c.inOrder() {
		if q.remote != nil && q.next == nil {
			l.follow(q)
		}
	}
	for _, q := range c.aggregatesInOrder() {
		if q.remote != nil && q.res != nil {
			l.followAggregate(q)
		}
	}
	l.syncID = l.number()
	c.send(&l.Conn, &wire.Sync{ID: l.syncID})
}

// pendingEntities returns the entities with pending events, and the revs of
// their bases.
func (c *Core) pendingEntities() map[string][]wire.Known {
	out := map[string][]wire.Known{}
	for i, p := range c.pends {
		if !p.events[0].IsGenesis() {
			name := p.events[0].Collection
			out[name] = append(out[name], wire.Known{Entity: i, Rev: p.base.Rev()})
		}
	}
	return out
}

func (l *Link) number() uint64 {
	l.next++
	return l.next
}

// synchronised ends the resynchronisation: all of it is applied in one batch.
func (l *Link) synchronised() {
	x := l.resync
	if x == nil || l.synchronising {
		return
	}
	l.synchronising = true // frames may come twice
	if l.epoch.IsZero() {
		l.resync = nil
		l.apply(x)
		return
	}
	// Bases of another store that the server did not replace are of no use.
	x.epoch = l.epoch
	snap, err := l.c.Current()
	if err != nil {
		l.c.LinkGone(l, err)
		return
	}
	var had []stateKey
	l.c.ex.Read(func(ctx context.Context) error {
		names, err := snap.Collections(ctx)
		for _, name := range names {
			for s, err := range snap.All(ctx, name) {
				if err != nil {
					return err
				}
				had = append(had, stateKey{name, s.ID()})
			}
		}
		return err
	}, func(err error) {
		snap.Release()
		if err != nil || l.err != nil {
			l.c.LinkGone(l, err)
			return
		}
		fresh := x.replaced()
		var stale []step
		var ask []stateKey
		for _, k := range had {
			if fresh[k.entity] {
				continue
			}
			stale = append(stale, step{change: &wire.Change{Collection: k.collection, Entity: k.entity, Removed: true}})
			if p := l.c.pends[k.entity]; p != nil && p.base != nil { // edited meanwhile, upon what is of no use
				ask = append(ask, k)
			}
		}
		x.steps = append(stale, x.steps...)
		l.resync = nil
		l.applyThen(x, func(error) { l.epoch = id.ID{} }) // until then what is known here is of another store
		l.want(ask)
	})
}

// apply brings what the server said into the order of this node's commits.
func (l *Link) apply(x *move) { l.applyThen(x, nil) }

func (l *Link) applyThen(x *move, done func(error)) {
	x.link = l
	if done != nil {
		x.done = append(x.done, done)
	}
	if l.resync != nil {
		l.resync.add(x) // answers may build on what it holds back
		return
	}
	l.queue = append(l.queue, x)
	l.advance()
}

// advance hands over moves one after the other: each is checked against what
// the one before it led to.
func (l *Link) advance() {
	if l.busy {
		return
	}
	l.busy = true
	for len(l.queue) > 0 && l.err == nil {
		x := l.queue[0]
		l.queue = l.queue[1:]
		waiting, returned := true, false
		l.c.Commit(&Request{
			ID: l.c.newTxID(), system: true, move: x,
			admitted: func() {
				waiting = false
				if returned {
					l.busy = false
					l.advance()
				}
			},
			Done: func(_ []*entity.State, err error) {
				if err != nil && l.err == nil {
					l.c.LinkGone(l, err)
				}
				for _, done := range x.done {
					done(err)
				}
			},
		})
		if returned = true; waiting {
			return // goes on when it was admitted
		}
	}
	l.busy = false
}

// settled tells what a published transaction made known on an ephemeral node.
func (c *Core) settled(t *tx) {
	if t.out != nil {
		t.out.stored = true
		if c.retryAt == 0 { // else the ones before it go first
			c.sendOutbox()
		}
	}
	if m := t.req.move; m != nil {
		syncs := m.synced
		for _, r := range m.answers {
			m.link.met(r)
			syncs = append(syncs, r.syncs...)
		}
		for _, s := range syncs {
			if s.current() {
				c.setSynced(s.q, m.link != nil && m.link.err == nil && !c.doubt(m, s.q) && !m.link.awaits(s))
			}
		}
		for k := range m.results {
			if x := &m.results[k]; x.all && x.current() {
				c.setAggregateSynced(x.q, m.link != nil && m.link.err == nil)
			}
		}
	}
	for _, x := range t.told {
		delete(c.untold, x.o.id)
		if x.why != nil {
			c.refused.age()
			c.refused.put(x.o.id, x.why)
		}
		if x.why != nil && c.cfg.OnRejected != nil {
			c.cfg.OnRejected(x.o.id, x.why)
		}
		for _, w := range x.o.waiters {
			w.done(x.why)
		}
	}
}

// awaits reports whether states of the live query's collection have been asked
// for, since what was said of them did not fit: without them its rows may show a
// commit in part (S22). It is synced when they are there.
func (l *Link) awaits(s syncing) bool {
	name := s.q.Selection().Collection
	k := slices.IndexFunc(l.unmet, func(r *request) bool { return r.collection == name })
	if k < 0 {
		return false
	}
	l.unmet[k].syncs = append(l.unmet[k].syncs, s)
	return true
}

// met takes a request off those that wait for their answer.
func (l *Link) met(r *request) {
	l.unmet = slices.DeleteFunc(l.unmet, func(o *request) bool { return o == r })
}

// doubt asks for the rows of a live query that the server did not name: copies
// of them came while the query was on its way, and are old. It reports whether
// there are such; the query is synced when the answer is there.
func (c *Core) doubt(m *move, q *Query) bool {
	if q.closed || q.Selection().Windowed() {
		return false
	}
	named := map[id.ID]bool{}
	asked := false
	for k := range m.windows {
		if w := &m.windows[k]; w.q == q && w.all {
			asked = true
			for _, i := range w.in {
				named[i] = true
			}
		}
	}
	if !asked { // this was the answer
		return false
	}
	rows := slices.DeleteFunc(q.Rows(), func(s *entity.State) bool { return named[s.ID()] })
	old := c.known(rows)
	if len(old) > 0 {
		m.link.ask(q.Selection().Collection, old).syncs = []syncing{{q, q.remote.id}}
	}
	return len(old) > 0
}
