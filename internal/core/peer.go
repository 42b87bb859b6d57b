package core

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/wire"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/value"
)

// Limits on what one peer may ask for (S33), beside those of the node.
const (
	maxUnsent      = 1 << 20 // of answers that wait to be sent, before the next is made
	maxUnknown     = 16      // requests of a peer that is being authenticated
	maxUnknownSize = 64 << 10

	// A peer that sends on when nothing more should be received is cut: by
	// count, and by bytes.
	excess      = 16
	excessBytes = 2
)

// Peer is a connection that a durable node accepted, as a state machine.
type Peer struct {
	Conn
	n         uint64 // which one it is
	limits    *Limits
	phase     phase
	since     uint64 // when the connection began
	heard     uint64 // when the last frame came
	pinged    bool
	node      id.ID
	principal policy.Principal
	filters   map[string]*filter
	narrowed  int // how often what it may read was looked at again

	subs         map[uint64]*sub
	aggregates   map[uint64]*aggregateSub
	rows         int                         // of subs, when they began
	submitted    map[event.TxID]bool         // that are not answered
	refused      recent[event.TxID, verdict] // nobody refers to old ones
	turns        uint64                      // submissions so far
	unplaced     []unplaced                  // those that have no place in the order
	answering    *slot                       // of the request that is being answered, nil for none
	resuming     bool
	deferred     []deferred // wait for them, or for the credential
	deferredSize int
	known        bool // the credential was good

	changes  []*outgoing // of the commit that is being published
	byEntity map[id.ID]*outgoing
	windows  []wire.Window
	results  []wire.Result
	acks     []*wire.Ack
	touched  bool
}

type phase uint8

const (
	greeting phase = iota
	authenticating
	open
)

// filter is what a principal may read of a collection.
type filter struct {
	sel   *ankql.Selection
	allow func(*entity.State) bool
	all   bool // everything
}

func (f *filter) reads(s *entity.State) bool {
	return f.sel.Match(s) && (f.allow == nil || f.allow(s))
}

// outgoing is a row change that a peer has to hear of.
type outgoing struct {
	collection string
	entity     id.ID
	before     *entity.State
	now        *entity.State // nil: it is not there for the peer
	whole      bool          // the peer does not have it
}

// NewPeer takes a connection.
func (c *Core) NewPeer(handle any) *Peer {
	if c.serving == nil {
		c.serving = c.newServing()
	}
	c.serial++
	p := &Peer{
		Conn: Conn{Handle: handle, total: &c.queued}, n: c.serial, limits: &c.cfg.Limits, since: c.ex.Elapsed(), subs: map[uint64]*sub{},
		submitted: map[event.TxID]bool{}, aggregates: map[uint64]*aggregateSub{}, filters: map[string]*filter{}, byEntity: map[id.ID]*outgoing{},
	}
	p.heard = p.since
	p.drained = func() { c.resume(p) }
	c.peers[p] = struct{}{}
	if err := roomFor(len(c.peers), c.cfg.Limits.Connections, "the node would have", "connections", "Connections", "try again later"); err != nil {
		c.dismiss(p, err)
	}
	return p
}

// PeerGone ends what a connection needs that has ended.
func (c *Core) PeerGone(p *Peer) {
	if _, here := c.peers[p]; !here {
		return
	}
	for _, s := range p.subsInOrder() {
		s.forget()
		c.Unsubscribe(s.q)
	}
	for _, s := range p.aggregatesInOrder() {
		s.forget()
		c.UnsubscribeAggregate(s.q)
	}
	p.deferred = nil
	delete(c.peers, p)
	if p.known {
		if c.byPrincipal[p.principal.Subject]--; c.byPrincipal[p.principal.Subject] == 0 {
			delete(c.byPrincipal, p.principal.Subject)
		}
	}
	c.finishConn(&p.Conn)
}

// Peers returns the number of connections.
func (c *Core) Peers() int { return len(c.peers) }

// Drain tells all peers to move on.
func (c *Core) Drain() {
	for _, p := range c.peersInOrder() {
		c.send(&p.Conn, &wire.Bye{Code: wire.Closing, Text: "the server is shutting down"})
		c.PeerGone(p)
	}
}

// dismiss ends a connection and says why.
func (c *Core) dismiss(p *Peer, err error) { c.dismissWith(p, codeOf(err), textOf(err)) }

func (c *Core) dismissWith(p *Peer, code wire.Code, text string) {
	if p.known {
		c.send(&p.Conn, &wire.Bye{Code: code, Text: text})
	} else {
		c.send(&p.Conn, &wire.Reject{Code: code, Text: text})
	}
	c.PeerGone(p)
}

// tickPeers ends connections that say nothing.
func (c *Core) tickPeers(now uint64) {
	l := &c.cfg.Limits
	for _, p := range c.peersInOrder() {
		switch {
		case p.phase != open && now > p.since+millis(l.HelloTimeout):
			c.dismiss(p, &lateError{"no Hello, or no word on its credential,", "HelloTimeout", l.HelloTimeout})
		case now > p.heard+millis(l.IdleTimeout):
			c.dismiss(p, &lateError{"nothing was heard of the client", "IdleTimeout", l.IdleTimeout})
		case now > p.heard+millis(l.IdleTimeout)/3 && !p.pinged:
			p.pinged = true
			c.send(&p.Conn, &wire.Ping{N: now})
		}
	}
}

// PeerFrame takes a frame from a peer.
func (c *Core) PeerFrame(p *Peer, frame []byte) {
	if p.ending {
		return
	}
	if err := atMost(len(frame), c.cfg.Limits.MessageBytes, "a message has", "bytes", "MessageBytes", ""); err != nil {
		c.dismiss(p, err)
		return
	}
	m, err := wire.Decode(frame)
	if err != nil {
		c.dismiss(p, err)
		return
	}
	p.heard, p.pinged = c.ex.Elapsed(), false
	switch p.phase {
	case greeting:
		if h, ok := m.(*wire.Hello); ok {
			c.greet(p, h)
		} else {
			c.dismissWith(p, wire.Malformed, "the first message is not Hello")
		}
	case authenticating:
		c.postpone(p, m, len(frame))
	case open:
		c.request(p, m, len(frame))
	}
}

func (c *Core) greet(p *Peer, h *wire.Hello) {
	switch {
	case h.Max < wire.MinVersion || h.Min > wire.MaxVersion:
		c.dismissWith(p, wire.Version, "the client speaks versions "+versions(h.Min, h.Max)+" of the protocol, the server "+versions(wire.MinVersion, wire.MaxVersion))
		return
	case h.App < c.cfg.LeastApp:
		c.dismissWith(p, wire.Update, "the application has version "+strconv.FormatUint(h.App, 10)+", the server needs "+strconv.FormatUint(c.cfg.LeastApp, 10)+": please update")
		return
	case c.root.IsZero():
		c.dismiss(p, noSystem{})
		return
	case h.Node == c.node:
		c.dismissWith(p, wire.Malformed, "the client's node ID is the server's: a store was copied")
		return
	case !h.Root.IsZero() && h.Root != c.root:
		c.dismissWith(p, wire.System, "the client's data belongs to the system "+h.Root.String()+", the server's to "+c.root.String())
		return
	}
	p.phase, p.node = authenticating, h.Node
	c.authenticate(p, h.Credential, func(who policy.Principal) { c.caughtUp(p, func() { c.accept(p, who) }) })
}

// caughtUp calls f when everything is published that a peer may have seen of
// other processes before it came.
func (c *Core) caughtUp(p *Peer, f func()) {
	if !c.cfg.Shared {
		f()
		return
	}
	c.CatchUp(func() {
		if !p.ending {
			f()
		}
	})
}

func (c *Core) accept(p *Peer, who policy.Principal) {
	n := c.byPrincipal[who.Subject] + 1
	if err := roomFor(n, c.cfg.Limits.PrincipalConnections, "the principal would have", "connections", "PrincipalConnections", "close some"); err != nil && who.Subject != "" {
		c.dismiss(p, err)
		return
	}
	c.byPrincipal[who.Subject] = n
	p.phase, p.principal, p.known = open, who, true
	c.send(&p.Conn, &wire.Hello{
		Min: wire.MinVersion, Max: wire.MaxVersion, Node: c.node, Incarnation: c.incarnation, Root: c.root,
		Epoch: c.epoch, Now: c.ex.Now(), High: c.clock.Last(), Subject: who.Subject, App: c.cfg.LeastApp,
	})
	c.resume(p)
}

func versions(lo, hi uint64) string {
	return strconv.FormatUint(lo, 10) + " to " + strconv.FormatUint(hi, 10)
}

// authenticate asks the policy agent who a credential stands for.
func (c *Core) authenticate(p *Peer, credential []byte, done func(policy.Principal)) {
	var who policy.Principal
	c.ex.Read(func(ctx context.Context) (err error) {
		ctx, cancel := context.WithTimeout(ctx, c.cfg.Limits.HelloTimeout)
		defer cancel()
		who, err = c.Authenticate(ctx, credential)
		return err
	}, func(err error) {
		switch {
		case p.ending:
		case err != nil:
			c.dismiss(p, err)
		default:
			done(who)
		}
	})
}

// Authenticate asks the policy agent of a durable node who a credential stands
// for. Errors wrap [policy.ErrUnauthenticated].
func (c *Core) Authenticate(ctx context.Context, credential []byte) (who policy.Principal, err error) {
	defer func() {
		if c.panicked("the policy agent", recover()) {
			who, err = policy.Principal{}, &authError{errors.New("the policy agent panicked")}
		}
	}()
	who, err = c.cfg.Policy.Authenticate(ctx, credential)
	switch {
	case err != nil && !errors.Is(err, policy.ErrUnauthenticated):
		return policy.Principal{}, &authError{err}
	case err != nil:
		return policy.Principal{}, err
	case len(who.Subject) > wire.MaxSubject:
		return policy.Principal{}, &authError{errors.New("the subject has " + strconv.Itoa(len(who.Subject)) + " bytes, the limit is " + strconv.Itoa(wire.MaxSubject))}
	}
	return who, nil
}

type authError struct{ err error }

func (e *authError) Error() string   { return "ankurah: unauthenticated: " + e.err.Error() }
func (e *authError) Unwrap() []error { return []error{policy.ErrUnauthenticated, e.err} }

// deferred is a message that waits, and the size of its frame.
type deferred struct {
	m    wire.Message
	size int
}

// postpone keeps a message for later: very little of a peer that nobody knows
// yet.
func (c *Core) postpone(p *Peer, m wire.Message, size int) {
	l := &c.cfg.Limits
	most, bytes, what := excess*l.Requests, excessBytes*l.RequestBytes, "though nothing more is received at this limit there wait"
	if !p.known {
		most, bytes, what = maxUnknown, maxUnknownSize, "before the credential was looked at there wait"
	}
	err := roomFor(len(p.deferred)+1, most, what, "requests", "Requests", "")
	if err == nil {
		err = roomFor(p.deferredSize+size, bytes, what, "bytes of requests", "RequestBytes", "")
	}
	if err != nil {
		c.dismiss(p, err)
		return
	}
	p.deferred = append(p.deferred, deferred{m, size})
	p.deferredSize += size
}

// request takes a message of an open connection. What reads waits for the
// submissions before it, so that their Acks precede it (S27).
func (c *Core) request(p *Peer, m wire.Message, size int) {
	switch m := m.(type) {
	case *wire.Ping:
		c.sendEarly(&p.Conn, wire.Append(nil, &wire.Pong{N: m.N}))
	case *wire.Pong:
	case *wire.Cancel:
		c.cancel(p, m.ID)
	default:
		if len(p.deferred) > 0 || c.waits(p, m) {
			c.postpone(p, m, size)
			return
		}
		c.serve(p, m)
	}
}

// waits reports whether m has to wait: submissions for the place in the order
// of the one before, everything else for the outcome of all, for the answer to
// the request before it, and until what is published has been told. So what a
// peer is told is never older than what it was told before. A peer that does
// not read its answers gets no more of them.
func (c *Core) waits(p *Peer, m wire.Message) bool {
	if _, ok := m.(*wire.Submit); ok {
		return len(p.unplaced) > 0
	}
	return len(p.submitted) > 0 || p.answering != nil || c.refilling || p.unsent > maxUnsent
}

// answerTo keeps a place for the answer to a request.
func (p *Peer) answerTo() *slot {
	p.answering = p.reserve()
	return p.answering
}

// answered puts an answer into its place and goes on with the next request.
func (c *Core) answered(p *Peer, s *slot, frames [][]byte) {
	c.fill(&p.Conn, s, frames)
	c.relieve()
	if p.answering == s && !p.ending {
		p.answering = nil
		c.resume(p)
	}
}

// Submitting reports whether transactions of the peer are on their way.
func (p *Peer) Submitting() bool { return len(p.submitted) > 0 }

// Busy reports whether the peer has asked for so much that nothing more should
// be received from it for now.
func (p *Peer) Busy() bool {
	l := p.limits
	return len(p.submitted)+len(p.deferred) > l.Requests || len(p.slots) > l.Requests ||
		p.deferredSize > l.RequestBytes || p.unsent > 2*maxUnsent
}

// resume serves what waited.
func (c *Core) resume(p *Peer) {
	if p.resuming {
		return
	}
	p.resuming = true
	for len(p.deferred) > 0 && p.phase == open && !p.ending && !c.waits(p, p.deferred[0].m) {
		d := p.deferred[0]
		p.deferred[0] = deferred{}
		p.deferred = p.deferred[1:]
		p.deferredSize -= d.size
		c.serve(p, d.m)
	}
	p.resuming = false
}

func (c *Core) serve(p *Peer, m wire.Message) {
	switch m := m.(type) {
	case *wire.Submit:
		c.submit(p, m)
	case *wire.Query:
		c.serveQuery(p, m)
	case *wire.Want:
		c.serveWant(p, m)
	case *wire.History:
		c.serveHistory(p, m)
	case *wire.Describe:
		c.serveDescribe(p, m)
	case *wire.Sync:
		c.send(&p.Conn, m)
	case *wire.Credential:
		c.refresh(p, m.Credential)
	case *wire.Cancel:
		c.cancel(p, m.ID)
	case *wire.Pong: // of a query that was cancelled
	default:
		c.dismissWith(p, wire.Malformed, "a message that only servers send")
	}
}

// cancel ends a query, also one that waits.
func (c *Core) cancel(p *Peer, query uint64) {
	for k, d := range p.deferred {
		if q, ok := d.m.(*wire.Query); ok && q.ID == query {
			p.deferred[k].m = &wire.Pong{}
		}
	}
	if s := p.subs[query]; s != nil {
		s.forget()
		c.Unsubscribe(s.q)
		c.answered(p, s.slot, nil)
	}
	if s := p.aggregates[query]; s != nil {
		s.forget()
		c.UnsubscribeAggregate(s.q)
		c.answered(p, s.slot, nil)
	}
}

// refresh takes another credential of the same principal.
func (c *Core) refresh(p *Peer, credential []byte) {
	p.phase, p.since = authenticating, c.ex.Elapsed()
	c.authenticate(p, credential, func(who policy.Principal) {
		if who.Subject != p.principal.Subject {
			c.dismissWith(p, wire.Unauthenticated, "the new credential stands for another principal")
			return
		}
		p.phase, p.principal = open, who
		c.narrowAgain(p)
		c.resume(p)
	})
}

// narrowAgain asks again what a peer may read, and withdraws what it may not.
func (c *Core) narrowAgain(p *Peer) {
	clear(p.filters)
	p.narrowed++
	for _, s := range p.subsInOrder() {
		sel, allow, err := c.Narrow(s.sel, p.principal)
		if err != nil {
			c.failQuery(s.q, err)
			continue
		}
		c.SetSelection(s.q, sel, allow, func() { c.whenWhole(func() { c.endCommit(nil) }) })
	}
	for _, s := range p.aggregatesInOrder() {
		a, allow, err := c.NarrowAggregate(s.a, p.principal)
		if err != nil {
			c.failAggregate(s.q, err)
			continue
		}
		c.setAggregation(s.q, a, allow, func() { c.whenWhole(func() { c.endCommit(nil) }) })
	}
}

// filter returns what the peer may read of a collection.
func (c *Core) filter(p *Peer, collection string) (*filter, error) {
	if f := p.filters[collection]; f != nil {
		return f, nil
	}
	all := &ankql.Selection{Collection: collection, Limit: -1}
	sel, allow, err := c.Narrow(all, p.principal)
	if err != nil {
		return nil, err
	}
	f := &filter{sel, allow, sel == all && allow == nil}
	if c.Model(collection) != nil { // else anything may be asked for
		p.filters[collection] = f
	}
	return f, nil
}

// mayRead reports whether the peer may read anything of a collection.
func (c *Core) mayRead(p *Peer, collection string) bool {
	f, err := c.filter(p, collection)
	if err != nil {
		return false
	}
	lit, ok := f.sel.Where.(*ankql.Literal)
	return !ok || lit.Value.Kind() != value.KindBool || lit.Value.Bool()
}

// submit hands a transaction to the pipeline.
func (c *Core) submit(p *Peer, m *wire.Submit) {
	if p.submitted[m.Tx] {
		return // it came twice, and is answered once
	}
	if v, _ := p.refused.get(m.Tx); v.judged && v.code.Final() {
		// Judged again it might be accepted, and its sender has heard otherwise.
		c.send(&p.Conn, &wire.Refuse{Tx: m.Tx, Code: v.code, Text: "it was refused before", Now: c.ex.Now()})
		return
	}
	req := &Request{ID: m.Tx, Principal: p.principal, from: p, After: m.After, again: m.Again, alone: m.Alone}
	refused := func(err error) bool { // at once
		if err == nil || canShare && c.cfg.Shared && m.Again {
			if req.refused == nil {
				req.refused = err
			}
			return false
		}
		c.refuse(p, m.Tx, err)
		return true
	}
	if refused(errors.Join(c.txEvents(len(m.Events)), c.txRequires(len(m.Requires)))) {
		return
	}
	size := 0
	for _, b := range m.Events {
		size += len(b)
		if refused(c.txBytes(size)) {
			return
		}
		e, err := event.Decode(b)
		if err == nil && e.Tx != m.Tx {
			err = &submitError{e, "it is of another transaction", event.ErrMalformed}
		}
		if err != nil { // by any other server as well
			c.refuse(p, m.Tx, err)
			return
		}
		req.Events = append(req.Events, e)
	}
	for _, r := range m.Requires {
		req.Requires = append(req.Requires, storage.Require{Collection: r.Collection, Entity: r.Entity, Head: r.Head})
	}
	if len(req.Events) == 0 {
		c.refuse(p, m.Tx, &submitNothing{})
		return
	}
	if refused(p.mayFollow(m.After)) {
		return
	}
	p.refused.drop(m.Tx)
	p.submitted[m.Tx] = true
	req.Done = func(after []*entity.State, err error) {
		delete(p.submitted, m.Tx)
		if err != nil { // also where nobody hears of it: what comes after it hangs on that
			if !p.ending {
				c.refuse(p, m.Tx, err)
			}
			p.refused.put(m.Tx, verdict{codeOf(err), true})
		}
		if p.ending {
			return
		}
		if err == nil && !req.acked {
			c.ackKnown(p, req)
		}
		c.resume(p)
	}
	c.Commit(req)
}

type submitNothing struct{}

func (*submitNothing) Error() string { return "ankurah: a transaction without events" }
func (*submitNothing) Unwrap() error { return event.ErrMalformed }

// afterError puts a transaction off with the one that it refers to.
type afterError struct{ tx event.TxID }

func (e *afterError) Error() string {
	return "ankurah: transaction " + e.tx.String() + ", which it refers to, is not stored yet"
}
func (e *afterError) Unwrap() error { return ErrUnknownParent }

// verdict is why a transaction was refused, and whether it was looked at as a
// whole: what cannot be read may be sent again, as it should be.
type verdict struct {
	code   wire.Code
	judged bool
}

func (c *Core) refuse(p *Peer, t event.TxID, err error) {
	p.refused.age()
	p.refused.put(t, verdict{code: codeOf(err)})
	c.send(&p.Conn, &wire.Refuse{Tx: t, Code: codeOf(err), Text: textOf(err), Now: c.ex.Now()})
}

// ack tells the submitter of a transaction that is being published, before it
// or anybody hears of what it did (S27). It goes with what the commit did to
// windows, behind the pushes of the commits before it, and also behind an answer
// that is being made: that is of an earlier moment, or moves back (see
// [sub.Ready]).
func (c *Core) ack(t *tx) {
	if canShare && t.fence != nil {
		return
	}
	if t.foreign {
		// It may have been submitted here as well, when its sender came over
		// from the process that has committed it.
		twin := c.flyingTx[t.req.ID]
		if twin == nil {
			return
		}
		twin.taken = true // and is not to be judged again, upon itself
		t.req.from, twin.req.acked = twin.req.from, twin.req.from != nil
	}
	p := t.req.from
	if p == nil || p.ending {
		return
	}
	t.req.acked = true
	m := &wire.Ack{Tx: t.req.ID}
	for k := range t.writes {
		w := &t.writes[k]
		x := wire.Change{Collection: w.After.Collection(), Entity: w.After.ID()}
		if f, err := c.filter(p, x.Collection); err == nil && f.reads(w.After) {
			x.After = w.After.Rev()
			if madeUpon(w.Events[0], w.Before) {
				x.Before, x.Head = w.Before.Rev(), w.After.Head()
			} else {
				x.State = w.After.Append(nil)
			}
		} else {
			x.Removed = true
		}
		m.Changes = append(m.Changes, x)
	}
	p.acks = append(p.acks, m)
	c.touch(p)
}

// madeUpon reports whether an event was made upon just this state, so that its
// maker has it.
func madeUpon(e *event.Event, s *entity.State) bool {
	return slices.EqualFunc(e.Parents, s.Head(), func(p id.ID, t event.Tip) bool { return p == t.ID })
}

// ackKnown answers a transaction that was stored before with the states of its
// entities.
func (c *Core) ackKnown(p *Peer, req *Request) {
	byCollection := map[string][]wire.Known{}
	var names []string // in the order in which they come first
	for _, e := range req.Events {
		if byCollection[e.Collection] == nil {
			names = append(names, e.Collection)
		}
		byCollection[e.Collection] = append(byCollection[e.Collection], wire.Known{Entity: e.Entity})
	}
	c.answer(p, 0, func(a *answer) error {
		m := &wire.Ack{Tx: req.ID}
		for _, name := range names {
			changes, err := a.wanted(name, byCollection[name])
			if err != nil {
				return err
			}
			m.Changes = append(m.Changes, changes...)
		}
		a.frames = append(a.frames, ackFrames(m)...)
		return nil
	}, names...)
}
