package core

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"strconv"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/book"
	"github.com/ankurah/ankurah-go/internal/sorting"
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
	now, trim, err := readProgress(ctx, snap)
	if err != nil {
		return err
	}
	c.gone = trim.Dropped
	if c.listed = c.cfg.Shared || len(now) > 0; !c.listed {
		return nil
	}
	all, err := besideAll(ctx, snap, now)
	if err != nil {
		return err
	}
	for k, pos := range all {
		c.heard[pos.Incarnation] = pos.Seq
		c.clock.Observe(pos.Clock)
		if k >= len(now) && !slices.ContainsFunc(trim.Gone, func(p book.Place) bool { return p.Incarnation == pos.Incarnation }) {
			// It wrote while the store was not shared. Who writes still lists itself.
			c.setMeta(positionKey(pos.Incarnation), book.AppendProgress(nil, pos.Seq, pos.Clock))
		}
	}
	return nil
}

// readProgress reads how far processes have come, and what their feeds have
// lost.
func readProgress(ctx context.Context, snap storage.Snapshot) (now []book.Progress, trim *book.Trim, err error) {
	trim = &book.Trim{}
	lo, hi := book.PositionRange()
	for w, err := range snap.MetaRange(ctx, lo, hi) {
		if err != nil {
			return nil, nil, err
		}
		var p book.Progress
		if string(w.Key) == book.Trimmed {
			trim, err = book.DecodeTrim(w.Value)
		} else if p, err = book.DecodeProgress(w.Key, w.Value); err == nil {
			now = append(now, p)
		}
		if err != nil {
			return nil, nil, corruptMeta(w.Key, err)
		}
	}
	return now, trim, nil
}

func corruptMeta(key []byte, err error) error {
	return &storage.CorruptError{What: "meta record " + strconv.QuoteToASCII(string(key)), Err: err}
}

// CatchUp takes up what other processes have committed, and calls done when
// everything that is stored now is published. It does nothing unless the store
// is shared.
func (c *Core) CatchUp(done func()) {
	if !canShare || !c.cfg.Shared || c.broken != nil {
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
	if !canShare || !errors.Is(err, storage.ErrInterrupted) {
		return false
	}
	c.Renew(lost, read)
	return true
}

// look takes a snapshot of the store and publishes it with what others
// committed, unless a write is under way, which does that itself.
func (c *Core) look() {
	if !canShare || len(c.behind) == 0 || c.following || len(c.writing) > 0 || c.broken != nil {
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
		p, err := c.takeUp(news, err)
		if err != nil {
			news.drop()
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
		p.snap, p.then = NewSnap(news.snap, c.seq), then
		c.pubs = append(c.pubs, p)
		if idle {
			c.publish()
		}
		c.flush()
		c.look()
		c.writeBook()
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
			news.drop()
			news.was.Release()
			c.readBeside(res, won, nil)
			return
		}
		p, err := c.takeUp(news, err)
		c.wrote(res, news.snap, p, err)
	})
}

// news is what other processes committed between two snapshots.
type news struct {
	c           *Core
	incarnation id.ID
	was         *Snap            // what is published, or will be read anew by then
	uncached    bool             // it is not yet what the cache holds
	snap        storage.Snapshot // what is stored
	heard       map[id.ID]uint64 // what was taken up before
	gone        uint64
	states      map[id.ID]*entity.State
	entries     []entry
	records     map[event.TxID][]byte  // of some entries, read in one go; nil: read when wanted
	spans       map[id.ID]storage.Span // what they did, by entity
	fetched     map[id.ID][]*event.Event
	now         []book.Progress
	anew        *outset  // what there is in place of entries that were trimmed; nil when none were missing
	seq         uint64   // this process's last feed entry
	listed      id.Stamp // the clock that it is listed with
	begun       bool     // there is a system already
	root, epoch id.ID    // else: the one that another process began
}

// entry is one transaction of a feed.
type entry struct {
	book.Entry
	writes []storage.EntityWrite
}

// newsOf prepares the reading of what follows everything on its way to readers,
// and transactions that were written just now.
func (c *Core) newsOf(written []*tx) (*news, error) {
	was, err := c.Current()
	if err != nil {
		return nil, err
	}
	n := &news{
		c: c, incarnation: c.incarnation, was: was, heard: maps.Clone(c.heard), gone: c.gone, seq: c.feedSeq,
		states: map[id.ID]*entity.State{}, begun: !c.root.IsZero(),
	}
	for _, p := range c.pubs {
		if p.anew && p.snap.retain() {
			n.was.Release()
			n.was, n.uncached = p.snap, true
			clear(n.states) // its own transactions' may be older than what it shows
			continue
		}
		n.add(p.txs)
	}
	n.add(written)
	return n, nil
}

// drop gives up the news.
func (n *news) drop() {
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
	now, trim, err := readProgress(ctx, n.snap)
	if err != nil {
		return err
	}
	gone, all := trim.Since(n.gone)
	if n.gone = trim.Dropped; !all || n.misses(gone) || n.misses(trim.Feeds) {
		if n.anew, err = readOutset(ctx, n.snap, trim); err == nil {
			now, err = besideAll(ctx, n.snap, now)
		}
	} else {
		now, err = beside(ctx, n.snap, now, gone)
	}
	if err != nil {
		return err
	}
	for _, pos := range now {
		if pos.Incarnation == n.incarnation {
			n.listed = pos.Clock
			continue
		}
		if pos.Seq <= n.heard[pos.Incarnation] {
			continue
		}
		n.now = append(n.now, pos)
		if n.anew != nil {
			continue
		}
		if err := n.readFeed(ctx, pos); err != nil {
			return err
		}
	}
	sorting.Sort(n.entries, func(a, b entry) int { return compareEntries(&a.Entry, &b.Entry) })
	for chunk := range slices.Chunk(n.entries, feedChunk) {
		if err := n.fetch(ctx, chunk); err != nil {
			return err
		}
		for k := range chunk {
			if err := n.replay(ctx, &chunk[k]); err != nil {
				return err
			}
		}
	}
	return nil
}

// fetch reads what transactions did in one go, if the store can.
func (n *news) fetch(ctx context.Context, entries []entry) error {
	n.records, n.spans, n.fetched = nil, nil, nil
	b, ok := n.snap.(storage.Batcher)
	if !ok || len(entries) == 0 {
		return nil
	}
	txs := make([]event.TxID, len(entries))
	for k := range entries {
		txs[k] = entries[k].Tx
	}
	var err error
	if n.records, err = b.Records(ctx, txs); err != nil {
		return err
	}
	spans := map[string][]storage.Span{}
	n.spans, n.fetched = map[id.ID]storage.Span{}, map[id.ID][]*event.Event{}
	for _, tx := range txs {
		record, err := n.record(ctx, tx)
		if err != nil {
			return err
		}
		for _, t := range record {
			x, there := n.spans[t.Entity]
			if !there {
				x = storage.Span{Entity: t.Entity, First: t.First}
				spans[t.Collection] = append(spans[t.Collection], x)
			}
			x.First, x.Last = min(x.First, t.First), max(x.Last, t.Last)
			n.spans[t.Entity] = x
		}
	}
	for _, collection := range slices.Sorted(maps.Keys(spans)) {
		wanted := spans[collection]
		for k := range wanted {
			wanted[k] = n.spans[wanted[k].Entity]
		}
		events, err := b.EventsAt(ctx, collection, wanted)
		if err != nil {
			return err
		}
		maps.Copy(n.fetched, events)
	}
	return nil
}

// record returns what is kept of a transaction; there is none of one that wrote
// nothing.
func (n *news) record(ctx context.Context, tx event.TxID) ([]book.Touched, error) {
	b, fetched := n.records[tx]
	if !fetched && n.records == nil {
		var err error
		if b, _, err = n.snap.Tx(ctx, tx); err != nil {
			return nil, err
		}
	}
	record, err := book.DecodeRecord(b)
	if err == nil && slices.ContainsFunc(record, func(t book.Touched) bool { return t.First == 0 || t.Last < t.First }) {
		err = errors.New("its revs are no span")
	}
	if err != nil {
		return nil, &storage.CorruptError{What: "record of transaction " + tx.String(), Err: err}
	}
	return record, nil
}

// events yields what a transaction stored of one entity.
func (n *news) events(ctx context.Context, t book.Touched) iter.Seq2[*event.Event, error] {
	if n.fetched == nil {
		return n.snap.Events(ctx, t.Collection, t.Entity, t.First, t.Last)
	}
	first := n.spans[t.Entity].First
	return func(yield func(*event.Event, error) bool) {
		for _, ev := range n.fetched[t.Entity][t.First-first : t.Last-first+1] {
			if !yield(ev, nil) {
				return
			}
		}
	}
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
	for e, err := range entriesOf(ctx, n.snap, book.Place{Incarnation: pos.Incarnation, Seq: n.heard[pos.Incarnation]}) {
		if err != nil {
			return err
		}
		n.entries = append(n.entries, entry{Entry: e})
	}
	return nil
}

// misses reports whether this process has not heard of what feeds have lost.
func (n *news) misses(lost []book.Place) bool {
	return slices.ContainsFunc(lost, func(p book.Place) bool {
		return p.Incarnation != n.incarnation && n.heard[p.Incarnation] < p.Seq
	})
}

// replay finds out what a transaction did.
func (n *news) replay(ctx context.Context, e *entry) error {
	record, err := n.record(ctx, e.Tx)
	if err != nil {
		return err
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
	for ev, err := range n.events(ctx, t) {
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

// state returns the state of an entity before what a transaction did to it: the
// published one, if nothing that is on its way has changed it. It is made of its
// events when the snapshot that has it was lost with its connection.
func (n *news) state(ctx context.Context, t book.Touched) (s *entity.State, err error) {
	if s, ok := n.states[t.Entity]; ok {
		return s, nil
	}
	if s, ok := n.c.cache.Get(t.Entity); ok && !n.uncached {
		return s, nil
	}
	if s, err := n.was.State(ctx, t.Collection, t.Entity); !errors.Is(err, storage.ErrInterrupted) {
		return s, err
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

// takeUp makes a publication of what was read, which gets its snapshot from who
// publishes it.
func (c *Core) takeUp(n *news, err error) (*publication, error) {
	n.was.Release()
	if err != nil {
		return nil, err
	}
	if c.root.IsZero() && !n.root.IsZero() {
		c.root, c.epoch = n.root, n.epoch
	}
	c.gone = n.gone
	for _, pos := range n.now {
		c.heard[pos.Incarnation] = pos.Seq
		c.clock.Observe(pos.Clock)
	}
	p := &publication{anew: n.anew != nil}
	if p.anew {
		c.setOut(n.anew)
	}
	for k := range n.entries {
		e := &n.entries[k]
		if len(e.writes) == 0 {
			continue
		}
		t := &tx{req: &Request{ID: e.Tx}, foreign: true, writes: e.writes}
		for j := range e.writes {
			for _, ev := range e.writes[j].Events {
				c.clock.Observe(ev.Stamp)
				c.learnFrom(ev)
			}
		}
		t.sort()
		p.txs = append(p.txs, t)
	}
	if n.seq > 0 && c.cfg.FeedRetention > 0 && c.clock.Last().Millis() > n.listed.Millis()+c.cfg.FeedRetention/2 {
		// Who is silent for so long would be taken for dead.
		c.setMeta(positionKey(c.incarnation), book.AppendProgress(nil, n.seq, c.clock.Last()))
		c.bookWaits = true
	}
	return p, nil
}

// writeBook writes bookkeeping that others wait for.
func (c *Core) writeBook() {
	if c.bookWaits && c.broken == nil {
		c.bookWaits = false
		c.Commit(&Request{ID: c.newTxID(), system: true, move: &move{}, Done: func([]*entity.State, error) {}})
	}
}

// learnFrom takes up the properties that another process's event shows.
func (c *Core) learnFrom(e *event.Event) {
	if e.Collection[0] == '_' || c.cfg.ClosedSchema {
		return
	}
	if props, err := c.checkOps(e.Collection, e.Ops); err == nil && len(props) > 0 {
		c.know(c.extended(e.Collection, props)) // the other has written it down
	}
}
