package core

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strings"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/book"
	"github.com/ankurah/ankurah-go/internal/reactor"
	"github.com/ankurah/ankurah-go/internal/sorting"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/schema"
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
	if err := t.mayFollow(); err != nil {
		c.finish(t, err)
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
	if err != nil || len(t.writes) == 0 && t.req.move == nil {
		c.finish(t, err)
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

type learnedProps struct {
	collection string
	props      []schema.Property
}

// applyEvent moves the transaction's state of an entity over event e, after
// schema, policy and constraints agreed (S20).
func (c *Core) applyEvent(t *tx, e *event.Event, learned []learnedProps) ([]learnedProps, error) {
	if !t.req.system && e.Collection[0] == '_' {
		return nil, &reservedError{e.Collection}
	}
	w := t.write(e.Entity)
	var before *entity.State
	if w != nil {
		before = w.After
	} else if !e.IsGenesis() || len(t.req.Events) > 0 {
		before, _ = c.current(t, e.Entity)
	}
	if err := c.mayChange(t.req.from, before, e); err != nil {
		return nil, err
	}
	if before != nil && before.Collection() != e.Collection {
		return nil, &wrongCollection{e.Entity, e.Collection, before.Collection()}
	}
	after, err := before.Apply(c.cfg.Kinds, e)
	if err != nil {
		return nil, err
	}
	if !t.req.system {
		props, err := c.checkOps(e.Collection, e.Ops)
		if err != nil {
			return nil, err
		}
		if len(props) > 0 {
			learned = append(learned, learnedProps{e.Collection, props})
		}
		if err := c.allow(t.req.Principal, policy.Write{Before: before, After: after, Event: e, Model: c.extended(e.Collection, props)}); err != nil {
			return nil, err
		}
	}
	if err := c.checkEvent(e); err != nil {
		return nil, err
	}
	if err := c.checkState(before, after); err != nil {
		return nil, err
	}
	t.size += e.Size()
	if w != nil {
		w.After = after
		w.Events = append(w.Events, e)
		return learned, nil
	}
	if len(t.req.Events) > 0 {
		if t.at == nil {
			t.at = make(map[id.ID]int, len(t.req.Events))
		}
		t.at[e.Entity] = len(t.writes)
	}
	t.writes = append(t.writes, storage.EntityWrite{Before: before, After: after, Events: []*event.Event{e}})
	return learned, nil
}

// wrote returns the transaction's write that led from one state to another,
// nil when there is none. t may be nil.
func (t *tx) wrote(before, after *entity.State) *storage.EntityWrite {
	if t == nil {
		return nil
	}
	for k := range t.writes {
		if w := &t.writes[k]; w.After == after && w.Before.Head().Equal(before.Head()) {
			return w
		}
	}
	return nil
}

// has reports whether the transaction led to a state.
func (t *tx) has(after *entity.State) bool {
	return slices.ContainsFunc(t.writes, func(w storage.EntityWrite) bool { return w.After == after })
}

// mayChange answers a write to what a peer may not read as if it were absent
// (S38).
func (c *Core) mayChange(p *Peer, before *entity.State, e *event.Event) error {
	if before != nil && !e.IsGenesis() && !c.shows(p, before) {
		return unknownParent(e, e.Parents[0])
	}
	return nil
}

// shows reports whether a peer may read a state. There is none of this node's
// own transactions.
func (c *Core) shows(p *Peer, s *entity.State) bool {
	if p == nil {
		return true
	}
	f, err := c.filter(p, s.Collection())
	return err == nil && f.reads(s)
}

// write returns the transaction's write of an entity made so far. Only
// submissions can have several events of one entity.
func (t *tx) write(entityID id.ID) *storage.EntityWrite {
	if k, ok := t.at[entityID]; ok {
		return &t.writes[k]
	}
	return nil
}

func (c *Core) checkEvent(e *event.Event) error {
	if err := atMost(e.Size(), c.cfg.Limits.EventBytes, "an event has", "bytes", "EventBytes", "write less at once"); err != nil {
		return err
	}
	return atMost(len(e.Parents), c.cfg.Limits.Parents, "an event has", "parents", "Parents", "")
}

// checkState returns an error when a state grows beyond a limit. One that was
// beyond it before may stay so, or shrink.
func (c *Core) checkState(before, after *entity.State) error {
	l := &c.cfg.Limits
	grows := func(count func(*entity.State) int, most int, unit, name, hint string) error {
		n := count(after)
		if n <= most || before != nil && n <= count(before) {
			return nil
		}
		return atMost(n, most, after.Collection()+" "+after.ID().String()+" gets", unit, name, hint)
	}
	if err := grows(func(s *entity.State) int { return len(s.Entries()) }, l.Properties, "properties", "Properties", "use more entities"); err != nil {
		return err
	}
	if err := grows(func(s *entity.State) int { return len(s.Head()) }, l.HeadWidth, "concurrent events", "HeadWidth", "read it again and edit what was read"); err != nil {
		return err
	}
	return grows((*entity.State).Size, l.StateBytes, "bytes", "StateBytes", "use more entities")
}

// allow asks the policy agent and the constraints about a write. A panic in
// one is a denial.
func (c *Core) allow(p policy.Principal, w policy.Write) (err error) {
	asked := "the policy agent"
	defer func() {
		if c.panicked(asked, recover()) {
			err = &policy.DeniedError{Subject: p.Subject, Collection: w.After.Collection(), Rule: asked + " panicked"}
		}
	}()
	if c.cfg.Policy != nil {
		if err := c.cfg.Policy.CheckWrite(p, w); err != nil {
			return err
		}
	}
	asked = "a constraint"
	for _, k := range c.cfg.Constraints {
		if err := k.Check(context.Background(), w.Before, w.After); err != nil {
			return &constraintError{w.After.Collection(), w.After.ID(), err}
		}
	}
	return nil
}

// group is the batch under way; what it is made of is used again by the next.
type group struct {
	batch storage.Batch
	meta  []storage.MetaWrite
	buf   []byte
}

// maxKeptGroup is the greatest buffer that is kept for the next group.
const maxKeptGroup = 1 << 20

// cut returns what was appended to the buffer since it had n bytes. It stays
// valid when the buffer grows, since it keeps the array that it was made in.
func (g *group) cut(n int) []byte { return g.buf[n:len(g.buf):len(g.buf)] }

// begin forgets the last batch.
func (g *group) begin() {
	clear(g.batch.Txs)
	clear(g.meta)
	if cap(g.buf) > maxKeptGroup {
		g.buf = nil
	}
	g.batch.Txs, g.batch.Meta, g.meta, g.buf = g.batch.Txs[:0], g.batch.Meta[:0], g.meta[:0], g.buf[:0]
}

// flush writes the next group unless one is under way.
func (c *Core) flush() {
	if len(c.writing) > 0 || len(c.waiting) == 0 || c.broken != nil || c.following {
		return
	}
	n, size := 0, 0
	for n < len(c.waiting) && n < maxGroupTxs && (n == 0 || size+c.waiting[n].size <= maxGroupBytes) {
		size += c.waiting[n].size
		n++
	}
	c.writing = slices.Clone(c.waiting[:n])
	c.waiting = slices.Delete(c.waiting, 0, n)
	g := &c.group
	g.begin()
	for _, t := range c.writing {
		c.add(t)
	}
	// Requires were checked against states in flight; what the store sees in
	// between is the same sequence of transactions.
	g.batch.Meta = append(append(g.batch.Meta, c.dirty...), c.progress())
	c.dirty = nil
	c.covered, c.behind = append(c.covered, c.behind...), nil
	c.ex.Write(&g.batch, c.written)
}

// progress returns the record of how far the clock has come (S3). On a shared
// store, and on one that was shared, each process has its own, which also says how far its feed goes: nobody
// waits for another one's row.
func (c *Core) progress() storage.MetaWrite {
	g := &c.group
	key := metaClock
	from := len(g.buf)
	if c.listed {
		g.buf = append(append(g.buf, metaPosition...), c.incarnation[:]...)
		key = g.cut(from)
		from = len(g.buf)
		g.buf = book.AppendProgress(g.buf, c.feedSeq, c.clock.Last())
		return storage.MetaWrite{Key: key, Value: g.cut(from)}
	}
	g.buf = binary.BigEndian.AppendUint64(g.buf, uint64(c.clock.Last()))
	return storage.MetaWrite{Key: key, Value: g.cut(from)}
}

// add puts a transaction, its record and its feed entry into the batch.
func (c *Core) add(t *tx) {
	g := &c.group
	first := len(g.meta)
	var record []byte
	if c.cfg.Durable && len(t.writes) > 0 {
		c.feedSeq++
		from := len(g.buf)
		g.buf = appendRecord(g.buf, t)
		record = g.cut(from)
		from = len(g.buf)
		g.buf = book.AppendFeedKey(g.buf, book.Place{Incarnation: c.incarnation, Seq: c.feedSeq})
		key := g.cut(from)
		from = len(g.buf)
		stamp := c.clock.Last()
		if c.listed {
			stamp = c.now() // later than all that others have committed and this one has taken up
		}
		g.buf = book.AppendEntry(g.buf, t.req.ID, stamp)
		g.meta = append(g.meta, storage.MetaWrite{Key: key, Value: g.cut(from)})
	}
	g.meta = append(append(g.meta, t.meta...), t.req.meta...)
	g.batch.Txs = append(g.batch.Txs, storage.Tx{
		ID: t.req.ID, Record: record, After: t.req.After, Require: t.requires, Entities: t.writes, Claims: t.req.claims,
		Meta: g.meta[first:len(g.meta):len(g.meta)],
	})
}

// written takes the outcome of a write.
func (c *Core) written(res storage.Result, snap storage.Snapshot, err error) {
	if err == nil && c.broken == nil && canShare && c.cfg.Shared {
		c.writtenBesideOthers(res, snap)
		return
	}
	c.wrote(res, snap, nil, err)
}

// wrote takes the outcome of a write and what others committed before it ended.
func (c *Core) wrote(res storage.Result, snap storage.Snapshot, others []*tx, err error) {
	group := c.writing
	c.writing = nil
	if err == nil && c.broken != nil {
		err = c.broken
	}
	if err != nil {
		if snap != nil {
			_ = snap.Close()
		}
		for _, t := range group {
			c.finish(t, &lostError{err})
		}
		c.fail(&lostError{err})
		return
	}
	idle := len(c.pubs) == 0
	won, again := group, []*tx(nil)
	if slices.ContainsFunc(res.Conflicts, func(err error) bool { return err != nil }) {
		won, again = c.resolve(group, res.Conflicts)
	}
	c.seq++
	c.pubs = append(c.pubs, &publication{txs: slices.Concat(won, others), snap: NewSnap(snap, c.seq), then: c.covered})
	c.covered = nil
	if len(again) > 0 {
		c.pubs = append(c.pubs, &publication{retry: again})
	}
	if idle {
		c.publish()
	}
	c.flush()
	c.look()
	c.writeBook()
	c.trim()
}

// resolve sorts out a group in which transactions lost a storage race (S21):
// they start over, once the winners are published, together with those that
// were validated upon them.
func (c *Core) resolve(group []*tx, conflicts []error) (won, again []*tx) {
	for k, t := range group {
		if conflicts[k] == nil {
			won = append(won, t)
			continue
		}
		for _, w := range t.writes {
			c.cache.Drop(w.After.ID(), c.seq+1)
		}
		for _, r := range t.req.Requires {
			c.cache.Drop(r.Entity, c.seq+1)
		}
		again = append(again, t)
	}
	again = append(again, c.waiting...)
	c.waiting = nil
	for _, t := range again {
		c.land(t)
		t.loaded, t.lookup = nil, nil
		t.attempts++
		t.displace()
	}
	for _, p := range c.pubs {
		c.settle(p.txs)
	}
	c.settle(won)
	return won, again
}

// retry starts transactions over.
func (c *Core) retry(again []*tx) {
	for _, t := range again {
		switch {
		case t.req.once:
			c.finish(t, errOvertaken)
		case t.attempts > maxAttempts:
			c.finish(t, &conflictError{t.writes[0].After.Collection(), t.writes[0].After.ID()})
		default:
			c.start(t)
		}
	}
}

// settle makes the states of written transactions the newest ones in flight.
func (c *Core) settle(txs []*tx) {
	for _, t := range txs {
		for _, w := range t.writes {
			if tp := c.tips[w.After.ID()]; tp != nil {
				tp.hold(w.After)
			}
		}
	}
}

// land takes a transaction's states and events out of flight.
func (c *Core) land(t *tx) {
	if t.foreign {
		return // it was in nobody's flight here
	}
	for _, w := range t.writes {
		if tp := c.tips[w.After.ID()]; tp != nil {
			if tp.n--; tp.n == 0 {
				delete(c.tips, w.After.ID())
			}
		}
		for _, e := range w.Events {
			delete(c.flying, e.ID)
		}
	}
}

// fail ends committing: a failed write discards what was built on it (S23).
// What a server says can be taken up no more either.
func (c *Core) fail(err error) {
	if c.broken != nil {
		return
	}
	c.broken = err
	for _, t := range c.waiting {
		c.finish(t, err)
	}
	c.waiting = nil
	clear(c.tips)
	clear(c.flying)
	if c.link != nil {
		c.LinkGone(c.link, err)
	}
	waiting := append(c.covered, c.behind...)
	c.covered, c.behind = nil, nil
	for _, f := range waiting {
		f()
	}
	c.wake()
}

// Broken returns why nothing can be committed any more, nil while it can.
func (c *Core) Broken() error { return c.broken }

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
