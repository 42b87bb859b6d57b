package core

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"iter"
	"maps"
	"slices"
	"strconv"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/book"
	"github.com/ankurah/ankurah-go/storage"
)

// On a shared store other processes commit, too. What is published moves from
// one snapshot of the store to the next, and the feeds say which transactions
// lie between (S62): an own write's, first, and then those of others in the
// order of the stamps that they were committed at. Nobody writes upon what it
// has not taken up before, and taking up moves the clock on: so that order
// keeps causes before effects, and each entity's revs in sequence.

// loadPositions reads how far processes came that write to the store, or did.
func (c *Core) loadPositions(ctx context.Context, snap storage.Snapshot) error {
	for pos, err := range positions(ctx, snap) {
		if err != nil {
			return err
		}
		c.heard[pos.Incarnation] = pos.Seq
		c.clock.Observe(pos.Clock)
	}
	return nil
}

func positions(ctx context.Context, snap storage.Snapshot) iter.Seq2[book.Progress, error] {
	return func(yield func(book.Progress, error) bool) {
		lo, hi := book.PositionRange()
		for w, err := range snap.MetaRange(ctx, lo, hi) {
			var p book.Progress
			if err == nil {
				if p, err = book.DecodeProgress(w.Key, w.Value); err != nil {
					err = &storage.CorruptError{What: "meta record " + strconv.QuoteToASCII(string(w.Key)), Err: err}
				}
			}
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}

// CatchUp takes up what other processes have committed, and calls done when
// everything that is stored now is published. It does nothing unless the store
// is shared.
func (c *Core) CatchUp(done func()) {
	if !c.cfg.Shared || c.broken != nil {
		done()
		return
	}
	c.behind = append(c.behind, done)
	c.look()
}

// Renew calls done when another snapshot is published than one that the store
// has lost, or when nothing can be published any more.
func (c *Core) Renew(lost *Snap, done func()) {
	if c.published.Load() != lost || c.broken != nil {
		done()
		return
	}
	c.behind = append(c.behind, done)
	c.look()
}

// again reports whether a read was interrupted, and then does it again with a
// newer snapshot than the lost one.
func (c *Core) again(err error, lost *Snap, read func()) bool {
	if !errors.Is(err, storage.ErrInterrupted) {
		return false
	}
	c.Renew(lost, read)
	return true
}

// look takes a snapshot of the store and publishes it with what others
// committed, unless a write is under way, which does that itself.
func (c *Core) look() {
	if len(c.behind) == 0 || c.following || len(c.writing) > 0 || c.broken != nil {
		return
	}
	news, err := c.newsOf(nil)
	if err != nil {
		return // closed
	}
	c.following = true
	then := c.behind
	c.behind = nil
	c.ex.Read(func(ctx context.Context) (err error) {
		if news.snap, err = c.ex.Snapshot(); err == nil {
			err = news.read(ctx)
		}
		return err
	}, func(err error) {
		c.following = false
		others, err := c.takeUp(news, err)
		if err != nil {
			news.close()
			c.behind = append(then, c.behind...)
			if errors.Is(err, storage.ErrInterrupted) {
				c.look()
			} else {
				c.fail(&lostError{err})
			}
			return
		}
		idle := len(c.pubs) == 0
		c.seq++
		c.pubs = append(c.pubs, &publication{txs: others, snap: NewSnap(news.snap, c.seq), then: then})
		if idle {
			c.publish()
		}
		c.flush()
		c.look()
	})
}

// writtenBesideOthers reads what others committed before a write's snapshot was
// taken, then goes on with the write.
func (c *Core) writtenBesideOthers(res storage.Result, snap storage.Snapshot) {
	won := slices.Clone(c.writing)
	for k, conflict := range res.Conflicts {
		if conflict != nil {
			won[k] = nil
		}
	}
	c.readBeside(res, slices.DeleteFunc(won, func(t *tx) bool { return t == nil }), snap)
}

func (c *Core) readBeside(res storage.Result, won []*tx, snap storage.Snapshot) {
	news, err := c.newsOf(won)
	if err != nil {
		c.wrote(res, snap, nil, err)
		return
	}
	news.snap = snap
	c.ex.Read(func(ctx context.Context) (err error) {
		if news.snap == nil { // lost; a later one has what was written, too
			if news.snap, err = c.ex.Snapshot(); err != nil {
				return err
			}
		}
		return news.read(ctx)
	}, func(err error) {
		if errors.Is(err, storage.ErrInterrupted) {
			news.close()
			c.readBeside(res, won, nil)
			return
		}
		others, err := c.takeUp(news, err)
		c.wrote(res, news.snap, others, err)
	})
}

// news is what other processes committed between two snapshots.
type news struct {
	c           *Core
	incarnation id.ID
	snap        storage.Snapshot // what is stored
	heard       map[id.ID]uint64 // what was taken up before
	states      map[id.ID]*entity.State
	entries     []entry
	now         []book.Progress
	begun       bool  // there is a system already
	root, epoch id.ID // else: the one that another process began
}

// entry is one transaction of a feed.
type entry struct {
	incarnation id.ID
	seq         uint64
	stamp       id.Stamp
	tx          event.TxID
	writes      []storage.EntityWrite
}

// newsOf prepares the reading of what follows everything on its way to readers,
// and transactions that were written just now.
func (c *Core) newsOf(written []*tx) (*news, error) {
	if c.published.Load() == nil {
		return nil, closedError{ErrClosed}
	}
	n := &news{c: c, incarnation: c.incarnation, heard: maps.Clone(c.heard), states: map[id.ID]*entity.State{}, begun: !c.root.IsZero()}
	for _, p := range c.pubs {
		n.add(p.txs)
	}
	n.add(written)
	return n, nil
}

func (n *news) close() {
	if n.snap != nil {
		_ = n.snap.Close() // nothing was written
	}
}

// add notes the states that transactions lead to.
func (n *news) add(txs []*tx) {
	for _, t := range txs {
		for _, w := range t.writes {
			n.states[w.After.ID()] = w.After
		}
	}
}

// read reads the feeds, and what their transactions did. It runs beside the
// core.
func (n *news) read(ctx context.Context) error {
	if !n.c.cfg.Shared {
		return nil
	}
	if !n.begun {
		if err := n.readSystem(ctx); err != nil {
			return err
		}
	}
	for pos, err := range positions(ctx, n.snap) {
		if err != nil {
			return err
		}
		if pos.Incarnation == n.incarnation || pos.Seq <= n.heard[pos.Incarnation] {
			continue
		}
		n.now = append(n.now, pos)
		if err := n.readFeed(ctx, pos); err != nil {
			return err
		}
	}
	slices.SortFunc(n.entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.stamp, b.stamp), a.incarnation.Compare(b.incarnation), cmp.Compare(a.seq, b.seq))
	})
	for k := range n.entries {
		if err := n.replay(ctx, &n.entries[k]); err != nil {
			return err
		}
	}
	return nil
}

// readSystem finds a system that another process began.
func (n *news) readSystem(ctx context.Context) error {
	for _, f := range []struct {
		key []byte
		id  *id.ID
	}{{metaRoot, &n.root}, {metaEpoch, &n.epoch}} {
		b, ok, err := n.snap.Meta(ctx, f.key)
		if !ok || err != nil {
			return err
		}
		if *f.id, err = id.FromBytes(b); err != nil {
			return &storage.CorruptError{What: "meta record " + string(f.key), Err: err}
		}
	}
	return nil
}

// readFeed reads the entries of a process that were not taken up.
func (n *news) readFeed(ctx context.Context, pos book.Progress) error {
	lo := appendFeedKey(nil, pos.Incarnation, n.heard[pos.Incarnation]+1)
	hi := append(appendFeedKey(nil, pos.Incarnation, pos.Seq), 0)
	for w, err := range n.snap.MetaRange(ctx, lo, hi) {
		if err != nil {
			return err
		}
		const txSize = len(event.TxID{})
		if len(w.Key) != len(hi)-1 || len(w.Value) != txSize+8 {
			return &storage.CorruptError{What: "meta record " + strconv.QuoteToASCII(string(w.Key)), Err: errors.New("it is no feed entry of a shared store")}
		}
		n.entries = append(n.entries, entry{
			incarnation: pos.Incarnation, seq: binary.BigEndian.Uint64(w.Key[len(w.Key)-8:]),
			stamp: id.Stamp(binary.BigEndian.Uint64(w.Value[txSize:])), tx: event.TxID(w.Value[:txSize]),
		})
	}
	return nil
}

// replay finds out what a transaction did.
func (n *news) replay(ctx context.Context, e *entry) error {
	b, _, err := n.snap.Tx(ctx, e.tx) // there is no record of one that wrote nothing
	if err != nil {
		return err
	}
	record, err := book.DecodeRecord(b)
	if err != nil {
		return &storage.CorruptError{What: "record of transaction " + e.tx.String(), Err: err}
	}
	for _, t := range record {
		w, err := n.write(ctx, t)
		if err != nil {
			return err
		}
		e.writes = append(e.writes, w)
		n.states[t.Entity] = w.After
	}
	return nil
}

func (n *news) write(ctx context.Context, t book.Touched) (w storage.EntityWrite, err error) {
	if w.Before, err = n.state(ctx, t); err != nil {
		return w, err
	}
	if w.Before.Rev() != t.First-1 {
		return w, &storage.CorruptError{What: "feed", Err: errors.New(t.Collection + " " + t.Entity.String() + " was at rev " + strconv.FormatUint(w.Before.Rev(), 10) + " before rev " + strconv.FormatUint(t.First, 10))}
	}
	w.After = w.Before
	for ev, err := range n.snap.Events(ctx, t.Collection, t.Entity, t.First, t.Last) {
		if err != nil {
			return w, err
		}
		if w.After, err = w.After.Apply(n.c.cfg.Kinds, ev); err != nil {
			return w, err
		}
		w.Events = append(w.Events, ev)
	}
	return w, nil
}

// state returns the state of an entity before what a transaction did to it. One
// that is not at hand is made of its events: the snapshot that had it may have
// been lost with its connection.
func (n *news) state(ctx context.Context, t book.Touched) (s *entity.State, err error) {
	if s, ok := n.states[t.Entity]; ok {
		return s, nil
	}
	if s, ok := n.c.cache.Get(t.Entity); ok {
		return s, nil
	}
	for ev, err := range n.snap.Events(ctx, t.Collection, t.Entity, 1, t.First-1) {
		if err != nil {
			return nil, err
		}
		if s, err = s.Apply(n.c.cfg.Kinds, ev); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// takeUp makes transactions of what was read, to be published.
func (c *Core) takeUp(n *news, err error) ([]*tx, error) {
	if err != nil {
		return nil, err
	}
	if c.root.IsZero() && !n.root.IsZero() {
		c.root, c.epoch = n.root, n.epoch
	}
	for _, pos := range n.now {
		c.heard[pos.Incarnation] = pos.Seq
		c.clock.Observe(pos.Clock)
	}
	var txs []*tx
	for k := range n.entries {
		e := &n.entries[k]
		if len(e.writes) == 0 {
			continue
		}
		t := &tx{req: &Request{ID: e.tx}, foreign: true, writes: e.writes}
		for j := range e.writes {
			for _, ev := range e.writes[j].Events {
				c.clock.Observe(ev.Stamp)
				c.learnFrom(ev)
			}
		}
		t.sort()
		txs = append(txs, t)
	}
	return txs, nil
}

// learnFrom takes up the properties that another process's event shows.
func (c *Core) learnFrom(e *event.Event) {
	if e.Collection[0] == '_' || c.cfg.ClosedSchema {
		return
	}
	if props, err := c.checkOps(e.Collection, e.Ops); err == nil {
		c.learn(e.Collection, props)
	}
}
