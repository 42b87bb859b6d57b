package core

import (
	"context"
	"errors"
	"maps"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/book"
	"github.com/ankurah/ankurah-go/storage"
)

// A feed entry is removed when it is older than the retention by its stamp, and
// was there a good while ago by a clock that nobody sets: a clock that jumps does
// not take from others what they are about to read. Who commits removes; where
// nobody does nothing grows. Of processes on one store one at a time removes
// entries, of all feeds. A process that was silent for the retention is taken out
// of the list, which would grow with every start else. One that only has nothing
// to commit shows that it lives, when it hears of others and half of the retention
// has passed; it has as long for it as entries are kept after a jump of the clock.

// trimming is what a process knows of what may be removed.
type trimming struct {
	mark map[id.ID]uint64 // what was there a while ago, by feed; nil at first
	then uint64           // what the clock showed
	at   uint64           // when to look next
	busy bool
}

const (
	maxTrim  = 4096      // entries that are removed at once
	trimEach = 10 * 60e3 // milliseconds between two looks, and that entries are there at least
)

// errOvertaken: another process has removed something meanwhile.
var errOvertaken = errors.New("ankurah: another process trims the feeds")

// trim removes feed entries if it is time. It is called after writes.
func (c *Core) trim() {
	now := c.ex.Elapsed()
	if c.cfg.FeedRetention == 0 || !c.cfg.Durable || c.broken != nil || c.root.IsZero() || c.trimming.busy || now < c.trimming.at {
		return
	}
	if c.trimming.mark == nil {
		c.mark()
		return
	}
	snap, err := c.Current()
	if err != nil {
		return // closed
	}
	c.trimming.busy = true
	r := &trimRound{own: c.incarnation, listed: c.listed, mark: c.trimming.mark}
	if c.trimming.then > c.cfg.FeedRetention {
		r.cut = id.NewStamp(c.trimming.then-c.cfg.FeedRetention, 0)
	}
	c.ex.Read(func(ctx context.Context) error { return r.read(ctx, snap) }, func(err error) {
		snap.Release()
		if err != nil || len(r.meta) == 0 {
			c.mark() // what cannot be read now is read the next time
			return
		}
		req := &Request{ID: c.newTxID(), system: true, once: true, move: &move{}, meta: r.meta}
		if c.cfg.Shared {
			if !r.holder.IsZero() {
				req.claims = append(req.claims, storage.Claim{Key: claimFeeds, Entity: r.holder, Release: true})
			}
			req.claims = append(req.claims, storage.Claim{Key: claimFeeds, Entity: c.randomID()})
		}
		req.Done = func(_ []*entity.State, err error) {
			if c.trimming.busy = false; err != nil || !r.more {
				c.mark()
			}
		}
		c.Commit(req)
	})
}

// mark notes what is there, which may be removed some time later.
func (c *Core) mark() {
	mark := maps.Clone(c.heard)
	mark[c.incarnation] = c.feedSeq
	c.trimming = trimming{mark: mark, then: c.clock.Last().Millis(), at: c.ex.Elapsed() + min(trimEach, c.cfg.FeedRetention)}
}

// trimRound finds what can be removed.
type trimRound struct {
	own    id.ID
	listed bool
	mark   map[id.ID]uint64
	cut    id.Stamp
	holder id.ID // of the claim to remove
	meta   []storage.MetaWrite
	more   bool // there is more than is removed at once
}

func (r *trimRound) read(ctx context.Context, snap storage.Snapshot) (err error) {
	now, trim, err := readProgress(ctx, snap)
	if err != nil {
		return err
	}
	if r.holder, _, err = snap.Claimed(ctx, claimFeeds); err != nil {
		return err
	}
	begun := trim.Append(nil)
	left := map[id.ID]bool{} // feeds that have something left
	for first, err := range feeds(ctx, snap) {
		if err != nil {
			return err
		}
		if r.more {
			left[first.Incarnation] = true
			continue
		}
		if left[first.Incarnation], err = r.readFeed(ctx, snap, trim, first.Incarnation); err != nil {
			return err
		}
		if r.listed && first.Incarnation != r.own && !left[first.Incarnation] && !isListed(now, first.Incarnation) {
			trim.Drop(book.Place{Incarnation: first.Incarnation}) // again
		}
	}
	for _, pos := range now {
		if pos.Incarnation != r.own && !left[pos.Incarnation] && pos.Clock < r.cut && pos.Seq <= r.mark[pos.Incarnation] {
			r.set(positionKey(pos.Incarnation), nil)
			trim.Drop(pos.Place())
		}
	}
	if !r.listed && len(trim.Feeds) > 1 {
		trim.Feeds = trim.Feeds[len(trim.Feeds)-1:] // what comes before it is gone as well
	}
	if after := trim.Append(nil); string(after) != string(begun) {
		r.set([]byte(book.Trimmed), after)
	}
	return nil
}

// readFeed removes from one feed, and reports whether something is left.
func (r *trimRound) readFeed(ctx context.Context, snap storage.Snapshot, trim *book.Trim, incarnation id.ID) (left bool, err error) {
	for e, err := range entriesOf(ctx, snap, book.Place{Incarnation: incarnation}) {
		if err != nil {
			return false, err
		}
		before := !r.listed && incarnation != r.own // it was there when this process began
		if e.Stamp >= r.cut || !before && e.Seq > r.mark[incarnation] {
			return true, nil
		}
		if len(r.meta) >= maxTrim {
			r.more = true
			return true, nil
		}
		r.set(book.AppendFeedKey(nil, e.Place), nil)
		trim.Set(e.Place)
	}
	return false, nil
}

func (r *trimRound) set(key, val []byte) {
	r.meta = append(r.meta, storage.MetaWrite{Key: key, Value: val})
}

func positionKey(incarnation id.ID) []byte {
	return append([]byte(book.Position), incarnation[:]...)
}
