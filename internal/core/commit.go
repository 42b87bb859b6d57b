package core

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/reactor"
	"github.com/ankurah/ankurah-go/internal/sorting"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage"
)

// Request is one transaction to commit: edits made here, or events made
// elsewhere.
type Request struct {
	ID        event.TxID
	Principal policy.Principal
	Edits     []Edit
	Events    []*event.Event // submitted; no Edits then
	After     []event.TxID   // of a submission: what it refers to, of the same sender
	Requires  []storage.Require
	// Done is called once, under the core's lock, when the transaction is
	// published or refused. after holds the states it made, by entity ID.
	Done func(after []*entity.State, err error)

	move  *move // what a durable node said; nothing else then
	from  *Peer // who submitted it; nil for this node's own
	acked bool  // an Ack was sent when it was published
	// admitted is called when the transaction was checked and has its place in
	// the order, or was refused.
	admitted func()

	system bool                // made by the node itself: no policy, no schema
	meta   []storage.MetaWrite // written with it
	claims []storage.Claim
	begins bool // it begins a system
	once   bool // it is not tried again when it has lost a race

	again   bool  // another process may have been sent it, too
	alone   bool  // and its sender sends nothing before it
	refused error // what was found wrong of such a one when it came
}

// Edit is what a transaction does to one entity: it becomes one event (S19).
type Edit struct {
	Collection string
	Entity     id.ID
	Base       *entity.State // the state it started from; nil for a creation
	Birth      *event.Birth  // creations only
	Ops        []event.Operation
}

// tx is a request on its way.
type tx struct {
	req      *Request
	also     []func([]*entity.State, error) // further callers of the same submission
	attempts int
	caughtUp bool   // it was found wrong once, and what is stored was taken up since
	foreign  bool   // another process committed it
	taken    bool   // another process has committed the same, and it was taken up
	placed   bool   // it has its place in the order, or is finished
	turns    []turn // of a submission, in the order of its sender, for each connection that it came on
	blocked  bool   // it waits for its turn
	fence    error  // why it is refused: what is written is that, see turnDown

	meta []storage.MetaWrite // that validation found necessary
	out  *outTx              // its place in the outbox of an ephemeral node
	told []told              // transactions whose outcome a move makes known

	covers []cover // entities whose pending events it changes, on an ephemeral node

	loaded map[id.ID]*entity.State // states read for it; nil values are absent
	seq    uint64                  // publication that they were read from
	lookup *lookup                 // of a submission, nil before it was read

	requires []storage.Require
	writes   []storage.EntityWrite
	at       map[id.ID]int    // of a submission: where in writes an entity is
	changes  []reactor.Change // sorted by collection, then entity
	size     int
}

// maxAttempts bounds how often a lost storage race is run again. Each loss
// means that somebody else's commit went through.
const maxAttempts = 1000

// Commit takes a transaction. It checks everything before anything is stored
// (S20).
func (c *Core) Commit(req *Request) {
	if other := c.flyingTx[req.ID]; other != nil {
		other.also = append(other.also, req.Done)
		other.req.again, other.req.alone = other.req.again || req.again, other.req.alone || req.alone
		if req.from != nil {
			other.takeTurn(req.from)
		}
		return
	}
	t := &tx{req: req}
	if req.from != nil {
		t.takeTurn(req.from)
	}
	c.flyingTx[req.ID] = t
	c.start(t)
}

func (c *Core) finish(t *tx, err error) {
	delete(c.flyingTx, t.req.ID)
	var after []*entity.State
	if err == nil {
		after = make([]*entity.State, len(t.writes))
		for k := range t.writes {
			after[k] = t.writes[k].After
		}
	}
	t.req.Done(after, err)
	for _, done := range t.also {
		done(after, err)
	}
	c.place(t) // after what follows has been told of a refusal
}

// start reads what is missing, or validates and queues the transaction.
func (c *Core) start(t *tx) {
	if c.broken != nil {
		c.finish(t, c.broken)
		return
	}
	if !t.isNext() {
		t.blocked = true
		return
	}
	t.fence = nil
	if err := t.mayFollow(); err != nil {
		c.turnDown(t, err)
		return
	}
	if t.req.begins && !c.root.IsZero() {
		c.finish(t, systemExists{c.root})
		return
	}
	if c.root.IsZero() && !t.req.system {
		c.finish(t, noSystem{})
		return
	}
	if t.loaded != nil && t.seq != c.seq && !c.cfg.Durable {
		// A durable node finds out when it writes. Here nothing may be tried
		// twice, since outbox and bases are changed on the way.
		t.loaded = nil
	}
	if t.seq < c.renewed { // nothing says what has happened since
		t.loaded, t.lookup = nil, nil
	}
	if missing := c.missing(t); len(missing) > 0 || len(t.req.Events) > 0 && t.lookup == nil {
		c.read(t, missing)
		return
	}
	err := c.validate(t)
	if errors.Is(err, errReadAgain) {
		t.loaded, t.lookup = nil, nil
		c.start(t)
		return
	}
	if canShare && c.cfg.Shared && !t.caughtUp && (errors.Is(err, ErrUnknownParent) || errors.Is(err, ErrConflict)) {
		// It may build upon what another process has committed just now.
		t.caughtUp = true
		c.CatchUp(func() {
			t.loaded, t.lookup = nil, nil
			c.start(t)
		})
		return
	}
	if err != nil {
		c.turnDown(t, err)
		return
	}
	if len(t.writes) == 0 && t.req.move == nil {
		c.finish(t, nil)
		return
	}
	if len(c.dirty) == 0 && t.empty() && c.idle() {
		c.pass(t)
		return
	}
	c.waiting = append(c.waiting, t)
	tips := make([]tip, len(t.writes))
	for k, w := range t.writes {
		tp := c.tips[w.After.ID()]
		if tp == nil {
			tp = &tips[k]
			c.tips[w.After.ID()] = tp
		}
		tp.hold(w.After)
		tp.n++
		for _, e := range w.Events {
			c.flying[e.ID] = stored{e.Entity, e.Digest}
		}
	}
	c.place(t)
	c.flush()
}

// empty reports whether there is nothing to write: a durable node had nothing
// new to say.
func (t *tx) empty() bool {
	return len(t.writes)+len(t.meta)+len(t.req.meta) == 0
}

// idle reports whether nothing is on its way.
func (c *Core) idle() bool { return len(c.waiting)+len(c.writing)+len(c.pubs) == 0 }

// pass publishes a transaction that writes nothing, without the engine.
func (c *Core) pass(t *tx) {
	snap, err := c.Current()
	if err != nil {
		c.finish(t, err)
		return
	}
	c.pubs = append(c.pubs, &publication{txs: []*tx{t}, snap: snap})
	c.place(t)
	c.publish()
}

// mentions returns about how many entities a request names.
func (r *Request) mentions() int {
	n := len(r.Edits) + len(r.Events)
	if r.move != nil {
		n += len(r.move.steps)
	}
	return n
}

// stateKey names a state to read.
type stateKey struct {
	collection string
	entity     id.ID
}

func (c *Core) missing(t *tx) []stateKey {
	var keys []stateKey
	var noted map[id.ID]bool // of a transaction that may name an entity twice
	need := func(collection string, entityID id.ID) {
		if _, ok := c.current(t, entityID); ok || noted[entityID] {
			return
		}
		if noted == nil {
			n := t.req.mentions()
			noted, keys = make(map[id.ID]bool, n), make([]stateKey, 0, n)
		}
		noted[entityID] = true
		keys = append(keys, stateKey{collection, entityID})
	}
	for k := range t.req.Edits {
		if e := &t.req.Edits[k]; e.Birth == nil {
			need(e.Collection, e.Entity)
		}
	}
	for _, r := range t.req.Requires {
		need(r.Collection, r.Entity)
	}
	for _, e := range t.req.Events {
		need(e.Collection, e.Entity)
	}
	if t.req.move != nil {
		t.req.move.entities(c, need)
	}
	return keys
}

// current returns the newest state of an entity, in flight or published; false
// when it has to be read first.
func (c *Core) current(t *tx, entityID id.ID) (*entity.State, bool) {
	if tp := c.tips[entityID]; tp != nil {
		return tp.state, true
	}
	if s, ok := c.cache.Get(entityID); ok {
		return s, true
	}
	s, ok := t.loaded[entityID]
	return s, ok
}

func (c *Core) read(t *tx, keys []stateKey) {
	snap, err := c.Current()
	if err != nil {
		c.finish(t, err)
		return
	}
	states := make([]*entity.State, len(keys))
	var found *lookup
	read := func(ctx context.Context) (err error) {
		for k, key := range keys {
			if states[k], err = snap.State(ctx, key.collection, key.entity); err != nil {
				return err
			}
		}
		if len(t.req.Events) > 0 {
			found, err = look(ctx, snap, t.req)
		}
		return err
	}
	c.ex.Read(func(ctx context.Context) error {
		if t.req.from != nil {
			return c.inTime(ctx, read)
		}
		return read(ctx)
	}, func(err error) {
		snap.Release()
		if c.again(err, snap, func() { c.read(t, keys) }) {
			return
		}
		if err != nil {
			c.finish(t, err)
			return
		}
		if t.loaded == nil || t.seq != snap.Seq {
			t.loaded, t.seq = make(map[id.ID]*entity.State, len(keys)), snap.Seq
		}
		for k, key := range keys {
			t.loaded[key.entity] = states[k]
			if states[k] != nil {
				c.cache.Fill(snap.Seq, states[k])
			}
		}
		t.lookup = found
		c.start(t)
	})
}

// validate makes or checks the transaction's events and computes the states
// they lead to.
func (c *Core) validate(t *tx) error {
	t.writes, t.at, t.changes, t.size, t.meta, t.told = nil, nil, nil, 0, nil, nil
	if t.req.move != nil {
		return c.validateMove(t)
	}
	if t.lookup != nil && t.lookup.known || t.taken {
		return nil // whatever has happened since (S27)
	}
	if canShare && t.lookup != nil && t.lookup.fence != nil {
		return t.lookup.fence
	}
	var events []*event.Event
	if len(t.req.Events) > 0 {
		var err error
		if events, err = c.admit(t); err != nil {
			return err
		}
	}
	if err := c.txRequires(len(t.req.Requires)); err != nil {
		return err
	}
	if err := c.require(t); err != nil {
		return err
	}
	var learned []learnedProps
	var err error
	if len(t.req.Events) > 0 {
		for _, e := range events {
			if learned, err = c.applyEvent(t, e, learned); err != nil {
				return err
			}
		}
	} else {
		if err = c.stands(t.req); err != nil {
			return err
		}
		for k := range t.req.Edits {
			e, err := c.newEvent(t.req, &t.req.Edits[k])
			if err != nil {
				return err
			}
			if learned, err = c.applyEvent(t, e, learned); err != nil {
				return err
			}
		}
	}
	if err = c.mayLearn(learned); err != nil {
		return err
	}
	if err = c.checkSize(t); err != nil {
		return err
	}
	t.sort()
	for _, l := range learned {
		c.learn(l.collection, l.props)
	}
	for k := range t.writes {
		for _, e := range t.writes[k].Events {
			c.clock.Observe(e.Stamp)
		}
	}
	if !c.cfg.Durable && len(t.writes) > 0 {
		c.keepPending(t)
	}
	return nil
}

// require checks the transaction's preconditions. To a peer, what it may not
// read is absent (S38).
func (c *Core) require(t *tx) error {
	t.requires = t.requires[:0]
	for _, r := range t.req.Requires {
		s, _ := c.current(t, r.Entity)
		hidden := s != nil && !c.shows(t.req.from, s)
		if hidden || s != nil && s.Collection() != r.Collection {
			s = nil
		}
		r.Head = c.presentHead(r.Head)
		if !s.Head().Equal(r.Head) {
			return &conflictError{r.Collection, r.Entity}
		}
		if !hidden {
			t.requires = append(t.requires, r)
		}
	}
	return nil
}

func noEntity(id.ID) bool { return false }

// stands returns an error when edits build on what was refused meanwhile (S29).
func (c *Core) stands(req *Request) error {
	if c.dropped.empty() {
		return nil
	}
	for k := range req.Edits {
		e := &req.Edits[k]
		gone := slices.ContainsFunc(e.Base.Head(), func(t event.Tip) bool { return c.dropped.has(c.present(t.ID)) })
		if gone || builds(&outTx{events: []*event.Event{{Ops: e.Ops}}}, noEntity, c.dropped.has) {
			return dependsOnRefused{}
		}
	}
	return nil
}

// sort puts the transaction's writes into the order of their entities, and
// makes the changes that the reactor gets.
func (t *tx) sort() {
	sorting.Sort(t.writes, func(a, b storage.EntityWrite) int { return a.After.ID().Compare(b.After.ID()) })
	t.changes = make([]reactor.Change, len(t.writes))
	ids := make([]id.ID, 0, len(t.writes))
	for k := range t.writes {
		w := &t.writes[k]
		first := len(ids)
		for _, e := range w.Events {
			ids = append(ids, e.ID)
		}
		t.changes[k] = reactor.Change{Before: w.Before, After: w.After, Events: ids[first:len(ids):len(ids)]}
	}
	sorting.Stable(t.changes, func(a, b reactor.Change) int {
		return strings.Compare(a.After.Collection(), b.After.Collection())
	})
}

func (c *Core) checkSize(t *tx) error {
	n := 0
	for k := range t.writes {
		n += len(t.writes[k].Events)
	}
	if err := c.txEvents(n); err != nil {
		return err
	}
	if err := c.txBytes(t.size); err != nil {
		return err
	}
	if c.cfg.Durable || n == 0 {
		return nil
	}
	return c.outboxTakes(t.size)
}

const smaller = "commit in smaller transactions"

func (c *Core) txEvents(n int) error {
	return atMost(n, c.cfg.Limits.TxEvents, "a transaction touches", "entities", "TxEvents", smaller)
}

func (c *Core) txBytes(n int) error {
	return atMost(n, c.cfg.Limits.TxBytes, "the events of a transaction have", "bytes", "TxBytes", smaller)
}

func (c *Core) txRequires(n int) error {
	return atMost(n, c.cfg.Limits.TxRequires, "a transaction requires", "entities", "TxRequires", smaller)
}

// newEvent makes the event of an edit. Its parents are the head that the edit
// started from, also when the entity has moved on since (S19).
func (c *Core) newEvent(req *Request, e *Edit) (*event.Event, error) {
	var salt [16]byte
	c.ex.Random(salt[:])
	root := c.root
	if req.system {
		root = id.ID{}
	}
	parents := c.parents(e.Base.Head())
	for _, p := range parents {
		c.clock.Observe(p.Stamp()) // another node's clock may be ahead (S3)
	}
	return event.New(event.Header{
		Root:       root,
		Entity:     e.Entity,
		Collection: e.Collection,
		Parents:    parents,
		Author:     c.author,
		Actor:      req.Principal.Subject,
		Tx:         req.ID,
		Stamp:      c.now(),
		Birth:      e.Birth,
	}, salt, e.Ops)
}

// parents returns the parents of an event made upon a head, by their present
// names.
func (c *Core) parents(h event.Head) []id.ID {
	out := h.Parents()
	if most := c.cfg.Limits.Parents; len(out) > most {
		out = out[len(out)-most:]
	}
	if c.renamed.empty() {
		return out
	}
	for k, p := range out {
		out[k] = c.present(p)
	}
	sorting.Sort(out, id.ID.Compare)
	return out
}

// present returns the name that an event has now; it may have been made again
// more than once.
func (c *Core) present(i id.ID) id.ID {
	for {
		now, again := c.renamed.get(i)
		if !again {
			return i
		}
		i = now.ID
	}
}

// presentHead returns a head by the present names of its tips.
func (c *Core) presentHead(h event.Head) event.Head {
	if c.renamed.empty() {
		return h
	}
	out := slices.Clone(h)
	for k := range out {
		for now, again := c.renamed.get(out[k].ID); again; now, again = c.renamed.get(out[k].ID) {
			out[k] = now
		}
	}
	sorting.Sort(out, func(a, b event.Tip) int { return a.ID.Compare(b.ID) })
	return out
}

type lostError struct{ err error }

func (e *lostError) Error() string {
	return "ankurah: the store failed and the node has stopped committing: " + e.err.Error() + ": mend the cause and open the node again"
}
func (e *lostError) Unwrap() error { return e.err }

type conflictError struct {
	collection string
	entity     id.ID
}

func (e *conflictError) Error() string {
	return "ankurah: conflict: " + e.collection + " " + e.entity.String() + " changed since it was read: read it again and repeat the transaction"
}
func (e *conflictError) Unwrap() error { return ErrConflict }

type constraintError struct {
	collection string
	entity     id.ID
	err        error
}

func (e *constraintError) Error() string {
	return "ankurah: constraint violated by " + e.collection + " " + e.entity.String() + ": " + e.err.Error()
}
func (e *constraintError) Unwrap() []error { return []error{policy.ErrConstraint, e.err} }

type reservedError struct{ name string }

func (e *reservedError) Error() string {
	return "ankurah: " + e.name + " belongs to the system: names that begin with an underscore are refused"
}
func (e *reservedError) Unwrap() error { return ErrReserved }

type wrongCollection struct {
	entity     id.ID
	want, have string
}

func (e *wrongCollection) Error() string {
	return "ankurah: entity " + e.entity.String() + " is in " + e.have + ", not in " + e.want
}
func (e *wrongCollection) Unwrap() error { return event.ErrMalformed }
