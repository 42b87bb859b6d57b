package core

import (
	"encoding/binary"
	"slices"

	"github.com/ankurah/ankurah-go/internal/book"
	"github.com/ankurah/ankurah-go/storage"
)

// Transactions in order: gathered, written, published.

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
	if canShare && t.fence != nil {
		c.addFence(t)
		return
	}
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

// wrote takes the outcome of a write, and what others committed before it ended:
// nil for nothing.
func (c *Core) wrote(res storage.Result, snap storage.Snapshot, others *publication, err error) {
	group := c.writing
	c.writing = nil
	if err == nil && c.broken != nil {
		err = c.broken
	}
	if err != nil {
		if snap != nil {
			_ = snap.Close()
		}
		// They end after the core has failed: what waits for their turn is not
		// to be written.
		c.waiting = append(group, c.waiting...)
		if c.broken == nil {
			c.fail(&lostError{err})
		} else {
			c.finishWaiting(&lostError{err})
		}
		return
	}
	idle := len(c.pubs) == 0
	won, again := group, []*tx(nil)
	if slices.ContainsFunc(res.Conflicts, func(err error) bool { return err != nil }) {
		won, again = c.resolve(group, res.Conflicts)
	}
	c.seq++
	p := &publication{txs: won, snap: NewSnap(snap, c.seq), then: c.covered}
	if others != nil {
		p.txs, p.anew = slices.Concat(won, others.txs), others.anew
	}
	c.pubs = append(c.pubs, p)
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
		case t.attempts > maxAttempts && len(t.writes) > 0 && canShare && t.req.again:
			// Not for good: another process may have it.
			c.finish(t, &linkError{"others changed what it changes each time that it was tried", ErrOverloaded})
		case t.attempts > maxAttempts && len(t.writes) > 0:
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
	c.finishWaiting(err)
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

func (c *Core) finishWaiting(err error) {
	waiting := c.waiting
	c.waiting = nil
	for _, t := range waiting {
		c.finish(t, err)
	}
}

// Broken returns why nothing can be committed any more, nil while it can.
func (c *Core) Broken() error { return c.broken }
