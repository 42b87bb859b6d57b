package core

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/book"
	"github.com/ankurah/ankurah-go/internal/pb"
	"github.com/ankurah/ankurah-go/internal/sorting"
	"github.com/ankurah/ankurah-go/internal/wire"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/value"
)

// Meta keys of an ephemeral node.
var (
	metaSubject  = []byte(book.Subject)
	metaServer   = []byte("server")    // epoch of the store that the bases are copies of
	metaOffset   = []byte("offset")    // server's clock minus this one, milliseconds, 8 bytes
	metaBase     = []byte("base/")     // + entity: the base of one with pending events
	metaOutbox   = []byte("outbox/")   // + sequence: a transaction that is not acknowledged
	metaRejected = []byte("rejected/") // + sequence: a transaction that was refused
)

// pend is an entity with pending events (S25, S26).
type pend struct {
	base   *entity.State // nil: no durable node is known to have it
	events []*event.Event
}

// visible returns base with the pending events applied; nil when that cannot
// be, as when the entity is gone that they change. An event that the base has
// already, or whose kind is not known here, is passed over.
func (c *Core) visible(base *entity.State, events []*event.Event) *entity.State {
	s := base
	for _, e := range events {
		if s.Head().Contains(e.ID) {
			continue
		}
		if next, err := s.Apply(c.cfg.Kinds, e); err == nil {
			s = next
		}
	}
	return s
}

// outTx is a transaction in the outbox.
type outTx struct {
	seq      uint64
	id       event.TxID
	events   []*event.Event
	requires []storage.Require
	stored   bool  // in the store of this node
	sent     bool  // on the present connection
	first    *Link // that it was sent on first; who is at the end of another one may have it, too
	size     int   // bytes of the events
	waiters  []*confirming
}

// elsewhere stands for the connections of former lives.
var elsewhere = &Link{}

func (o *outTx) submission() *wire.Submit {
	m := &wire.Submit{Tx: o.id}
	for _, e := range o.events {
		m.Events = append(m.Events, e.Append(nil))
	}
	for _, r := range o.requires {
		m.Requires = append(m.Requires, wire.Require{Collection: r.Collection, Entity: r.Entity, Head: r.Head})
	}
	return m
}

// sendable is the submission as it is sent, with what it refers to and is upon.
func (c *Core) sendable(o *outTx) *wire.Submit {
	m := o.submission()
	m.Again = o.first != c.link
	m.Alone = m.Again && c.outbox[0] == o
	after := func(tx event.TxID) {
		if tx != o.id && !slices.Contains(m.After, tx) {
			m.After = append(m.After, tx)
		}
	}
	o.references(func(i id.ID) {
		if by := c.creators[i]; by != nil && by.seq < o.seq {
			after(by.id)
		}
	})
	for _, e := range o.events {
		p := c.pends[e.Entity]
		if p == nil {
			continue
		}
		for _, below := range p.events {
			if slices.Contains(e.Parents, below.ID) {
				after(below.Tx)
			}
		}
	}
	return m
}

// references calls f with the IDs that the transaction's operations hold.
func (o *outTx) references(f func(id.ID)) {
	for _, e := range o.events {
		for _, op := range e.Ops {
			if v, err := value.Decode(op.Data); err == nil {
				eachID(v, f)
			}
		}
	}
}

func eachID(v value.Value, f func(id.ID)) {
	if v.Kind() == value.KindID {
		f(v.ID())
	}
	for k := range v.Len() {
		eachID(v.At(k), f)
	}
}

func (o *outTx) record() []byte { return wire.Append(nil, o.submission()) }

func seqKey(prefix []byte, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(slices.Clone(prefix), seq)
}

func baseKey(i id.ID) []byte { return slices.Concat(metaBase, i[:]) }

// appendBase encodes a base: collection (1), state (2; absent: there is none).
func appendBase(collection string, s *entity.State) []byte {
	b := pb.AppendBytes(nil, 1, collection)
	if s != nil {
		b = pb.AppendBytes(b, 2, s.Append(nil))
	}
	return b
}

func decodeBase(i id.ID, b []byte) (*entity.State, error) {
	var collection string
	var s *entity.State
	r := pb.NewReader("base", b)
	for r.Next() {
		switch r.Num {
		case 1:
			collection = r.Text(event.MaxName)
		case 2:
			var err error
			if s, err = entity.Decode(collection, i, r.Bytes()); err != nil {
				r.FailWith(err)
			}
		default:
			r.Unknown()
		}
	}
	r.Require(1)
	return s, r.Err()
}

// prefixed walks the meta keys that begin with prefix.
func prefixed(ctx context.Context, snap storage.Snapshot, prefix []byte, f func(rest, val []byte) error) error {
	hi := slices.Clone(prefix)
	hi[len(hi)-1]++
	for w, err := range snap.MetaRange(ctx, prefix, hi) {
		if err == nil {
			err = f(w.Key[len(prefix):], w.Value)
		}
		if err != nil {
			return &storage.CorruptError{What: "record under " + string(prefix), Err: err}
		}
	}
	return nil
}

// loadPending reads what an ephemeral node has not been told the outcome of.
func (c *Core) loadPending(ctx context.Context, snap storage.Snapshot) error {
	subject, joined, err := snap.Meta(ctx, metaSubject)
	if err != nil {
		return err
	}
	c.subject, c.joined = string(subject), joined
	if b, ok, err := snap.Meta(ctx, metaServer); err != nil {
		return err
	} else if ok {
		if c.server, err = id.FromBytes(b); err != nil {
			return &storage.CorruptError{What: "meta record server", Err: err}
		}
	}
	if b, ok, err := snap.Meta(ctx, metaOffset); err != nil {
		return err
	} else if ok {
		if len(b) != 8 {
			return &storage.CorruptError{What: "meta record offset", Err: errors.New("it does not have 8 bytes")}
		}
		c.offset = int64(binary.BigEndian.Uint64(b))
	}
	bases := map[id.ID]*entity.State{}
	err = prefixed(ctx, snap, metaBase, func(rest, val []byte) error {
		i, err := id.FromBytes(rest)
		if err == nil {
			bases[i], err = decodeBase(i, val)
		}
		return err
	})
	if err != nil {
		return err
	}
	err = prefixed(ctx, snap, metaOutbox, func(rest, val []byte) error {
		o, err := decodeOutTx(rest, val)
		if err != nil {
			return err
		}
		o.stored, o.first = true, elsewhere
		c.enqueue(o)
		for _, e := range o.events {
			p := c.pends[e.Entity]
			if p == nil {
				p = &pend{base: bases[e.Entity]}
				c.pends[e.Entity] = p
			}
			p.events = append(p.events, e)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return prefixed(ctx, snap, metaRejected, func(rest, _ []byte) error {
		if len(rest) != 8 {
			return errors.New("bad key")
		}
		c.rejSeq = binary.BigEndian.Uint64(rest)
		c.rejected[c.rejSeq] = struct{}{}
		return nil
	})
}

func decodeOutTx(rest, val []byte) (*outTx, error) {
	if len(rest) != 8 {
		return nil, errors.New("bad key")
	}
	m, err := wire.Decode(slices.Clone(val))
	if err != nil {
		return nil, err
	}
	s, ok := m.(*wire.Submit)
	if !ok {
		return nil, errors.New("not a submission")
	}
	o := &outTx{seq: binary.BigEndian.Uint64(rest), id: s.Tx}
	for _, b := range s.Events {
		e, err := event.Decode(b)
		if err != nil {
			return nil, err
		}
		o.events = append(o.events, e)
	}
	for _, r := range s.Requires {
		o.requires = append(o.requires, storage.Require{Collection: r.Collection, Entity: r.Entity, Head: r.Head})
	}
	return o, nil
}

func (c *Core) enqueue(o *outTx) {
	c.outbox = append(c.outbox, o)
	c.outByID[o.id] = o
	c.outSeq = max(c.outSeq, o.seq)
	for _, e := range o.events {
		o.size += e.Size()
		if e.IsGenesis() {
			c.creators[e.Entity] = o
		}
	}
	c.outBytes += o.size
}

// outboxTakes returns an error when there is no room for a transaction.
func (c *Core) outboxTakes(size int) error {
	l := &c.cfg.Limits
	const hint = "wait until the durable node has taken some"
	if err := roomFor(len(c.outbox)+1, l.Pending, "there would be", "transactions that wait for a durable node", "Pending", hint); err != nil {
		return err
	}
	if err := roomFor(c.outBytes+size, l.PendingBytes, "transactions that wait for a durable node would have", "bytes", "PendingBytes", hint); err != nil {
		return err
	}
	return roomFor(len(c.rejected)+1, l.Rejected, "there could be", "rejected transactions", "Rejected", "discard some of Node.Rejected")
}

// dequeue takes a transaction out of the outbox, mostly the first.
func (c *Core) dequeue(o *outTx) {
	k := slices.Index(c.outbox, o)
	if k == 0 {
		c.outbox[0] = nil
		c.outbox = c.outbox[1:]
	} else {
		c.outbox = slices.Delete(c.outbox, k, k+1)
	}
	delete(c.outByID, o.id)
	c.outBytes -= o.size
	for _, e := range o.events {
		if e.IsGenesis() {
			delete(c.creators, e.Entity)
		}
	}
}

// keepPending puts a validated transaction of this node's own into the outbox,
// and its events on top of what the entities' bases are (S26).
func (c *Core) keepPending(t *tx) {
	o := &outTx{seq: c.outSeq + 1, id: t.req.ID, requires: slices.Clone(t.requires)}
	for k := range t.writes {
		w := &t.writes[k]
		p := c.pends[w.After.ID()]
		if p == nil {
			p = &pend{base: w.Before}
			c.pends[w.After.ID()] = p
			t.meta = append(t.meta, storage.MetaWrite{Key: baseKey(w.After.ID()), Value: appendBase(w.After.Collection(), p.base)})
		}
		t.covers = append(t.covers, cover{w.After.Collection(), w.After.ID(), true, p.base, w.After})
		p.events = append(p.events, w.Events...)
		o.events = append(o.events, w.Events...)
		w.Events = nil // what is stored is the state; the events are in the outbox
	}
	sorting.Sort(o.events, func(a, b *event.Event) int { return a.ID.Compare(b.ID) })
	c.enqueue(o)
	t.out = o
	t.meta = append(t.meta, storage.MetaWrite{Key: seqKey(metaOutbox, o.seq), Value: o.record()})
}

// Confirm calls done when a durable node has accepted or refused a
// transaction; at once when this node does not wait for it. An outcome that a
// crash would make unheard of is not told: it has to be written first. cancel
// forgets who waits.
func (c *Core) Confirm(t event.TxID, done func(error)) (cancel func()) {
	o := c.outByID[t]
	if o == nil {
		o = c.untold[t]
	}
	if o != nil {
		w := &confirming{done}
		o.waiters = append(o.waiters, w)
		return func() { o.waiters = slices.DeleteFunc(o.waiters, func(x *confirming) bool { return x == w }) }
	}
	why, _ := c.refused.get(t)
	done(why)
	return func() {}
}

// Creations returns the entities that a transaction created, if it waits for a
// durable node.
func (c *Core) Creations(t event.TxID) (created []id.ID, waits bool) {
	o := c.outByID[t]
	if o == nil {
		return nil, false
	}
	for _, e := range o.events {
		if e.IsGenesis() {
			created = append(created, e.Entity)
		}
	}
	return created, true
}

// confirming waits for the outcome of a transaction.
type confirming struct{ done func(error) }

// Pending returns the number of transactions that wait for a durable node.
func (c *Core) Pending() int { return len(c.outbox) }

// dependents returns the transactions that have to go when some are refused:
// those, and every later one with an event upon a dropped one or a reference to
// an entity that a dropped one created (S29).
func (c *Core) dependents(refused map[event.TxID]error) map[event.TxID]error {
	events, created := map[id.ID]bool{}, map[id.ID]bool{}
	for _, o := range c.outbox {
		if refused[o.id] == nil && !builds(o, func(i id.ID) bool { return events[i] }, func(i id.ID) bool { return created[i] }) {
			continue
		}
		if refused[o.id] == nil {
			refused[o.id] = dependsOnRefused{}
		}
		for _, e := range o.events {
			events[e.ID] = true
			if e.IsGenesis() {
				created[e.Entity] = true
			}
		}
	}
	return refused
}

func builds(o *outTx, events, created func(id.ID) bool) (yes bool) {
	for _, e := range o.events {
		if slices.ContainsFunc(e.Parents, events) {
			return true
		}
	}
	o.references(func(i id.ID) { yes = yes || created(i) })
	return yes
}

type dependsOnRefused struct{}

func (dependsOnRefused) Error() string {
	return "ankurah: it builds on a transaction that was refused"
}
func (dependsOnRefused) Unwrap() error { return ErrDependsOnRefused }

// Rejected is a transaction that was refused (S29).
type Rejected struct {
	Seq    uint64
	Tx     event.TxID
	Events []*event.Event
	Reason error
}

func appendRejected(o *outTx, why error) []byte {
	b := pb.AppendBytes(nil, 1, o.record())
	return pb.AppendBytes(b, 2, wire.Append(nil, &wire.Refuse{Tx: o.id, Code: codeOf(why), Text: textOf(why)}))
}

// DecodeRejected reads an entry of the rejected list.
func DecodeRejected(key, val []byte) (*Rejected, error) {
	out := &Rejected{}
	r := pb.NewReader("rejected transaction", val)
	for r.Next() {
		switch r.Num {
		case 1:
			o, err := decodeOutTx(key[len(metaRejected):], r.Bytes())
			if err != nil {
				r.FailWith(err)
				break
			}
			out.Seq, out.Tx, out.Events = o.seq, o.id, o.events
		case 2:
			m, err := wire.Decode(r.Bytes())
			refusal, ok := m.(*wire.Refuse)
			if !ok {
				r.FailWith(errors.Join(errors.New("not a refusal"), err))
				break
			}
			out.Reason = &remoteError{refusal.Code, refusal.Text}
		default:
			r.Unknown()
		}
	}
	r.Require(1, 2)
	return out, r.Err()
}

// RejectedRange returns the bounds of the rejected list's meta keys.
func RejectedRange() (lo, hi []byte) {
	hi = slices.Clone(metaRejected)
	hi[len(hi)-1]++
	return metaRejected, hi
}

// Discard forgets a rejected transaction.
func (c *Core) Discard(seq uint64, done func(error)) {
	c.Commit(&Request{
		ID: c.newTxID(), system: true, move: &move{},
		meta: []storage.MetaWrite{{Key: seqKey(metaRejected, seq)}},
		Done: func(_ []*entity.State, err error) {
			if err == nil {
				delete(c.rejected, seq)
			}
			done(err)
		},
	})
}
