package core

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/book"
	"github.com/ankurah/ankurah-go/internal/reactor"
	"github.com/ankurah/ankurah-go/internal/sorting"
	"github.com/ankurah/ankurah-go/storage"
)

// A process that was stopped for longer than feeds are kept does not find there
// what others have committed (S62). It goes on from the store as it is, like one
// that starts: what it published last is followed by that in one step. What it
// holds of the past is dropped, what it shows is read anew and told as one change,
// and peers come again.

// outset is what a process begins with, beside how far the others have come.
type outset struct {
	schemas schemas
	lost    []book.Place // of the feeds
}

func readOutset(ctx context.Context, snap storage.Snapshot, trim *book.Trim) (*outset, error) {
	s, err := readSchemas(ctx, snap)
	return &outset{s, slices.Concat(trim.Gone, trim.Feeds)}, err
}

// setOut takes up what a process begins with.
func (c *Core) setOut(o *outset) {
	c.learnAll(o.schemas)
	for _, p := range o.lost {
		c.heard[p.Incarnation] = max(c.heard[p.Incarnation], p.Seq)
	}
}

// rehydrate publishes a snapshot of which nothing says what has led to it.
func (c *Core) rehydrate(p *publication) {
	if c.serving != nil {
		c.serving.cutAll(&behindError{})
	}
	c.cache.Clear(p.snap.Seq)
	c.swap(p.snap)
	c.renewed = p.snap.Seq
	for _, t := range p.txs {
		c.land(t)
		c.acked(t)
	}
	c.committed(nil)
	c.remakeAll()
	if g := c.gap(); len(g.results) > 0 && p.snap.retain() {
		c.refilling = true // until it is known by which events rows have changed
		c.readGap(g, p, p.snap)
		return
	}
	c.complete(p)
}

// remakeAll has all that is shown, or will be, read anew.
func (c *Core) remakeAll() {
	var list []*result
	seen := map[*result]bool{nil: true}
	for _, q := range c.inOrder() {
		for _, r := range []*result{q.res, q.next} {
			if !seen[r] && !r.held && !r.remade {
				list = append(list, r)
			}
			seen[r] = true
		}
	}
	for r := range c.hydrating {
		if !seen[r] { // nobody wants it any more
			c.drop(r)
		}
	}
	for _, r := range list {
		c.remake(r)
	}
	for key, r := range c.sharedAggregates {
		if r.rows == nil {
			delete(c.sharedAggregates, key)
		}
	}
	for _, q := range c.aggregatesInOrder() {
		r := cmp.Or(q.next, q.res)
		if r.rows != nil {
			continue // these are remade
		}
		c.await(q, c.aggregateResult(r.a, r.allow))
		if q.res != nil && !q.res.held {
			c.holdAggregate(q)
		}
		c.StartAggregate(q)
	}
}

// gap is what has happened to what sessions see, where no feed says it.
type gap struct {
	results []*result
	by      map[id.ID]*passed // what they have told of
}

// passed is what an entity has become since it was told.
type passed struct {
	was    *entity.State // the oldest state that any of them has told
	now    *entity.State
	events []id.ID // between, by rev
}

// gap returns what sessions are shown, which was remade.
func (c *Core) gap() *gap {
	g := &gap{by: map[id.ID]*passed{}}
	seen := map[*result]bool{nil: true}
	for _, q := range c.inOrder() {
		if _, counted := q.sink.(*aggregatedRows); counted || seen[q.res] {
			continue // what is counted needs no cause
		}
		seen[q.res] = true
		g.results = append(g.results, q.res)
		rows, behind := q.res.rq.Told()
		for _, s := range slices.Concat(rows, behind) {
			x := g.by[s.ID()]
			if x == nil {
				x = &passed{}
				g.by[s.ID()] = x
			}
			if x.was == nil || s.Rev() < x.was.Rev() {
				x.was = s
			}
		}
	}
	return g
}

// readGap reads what has happened to rows, then completes the publication.
// The snapshot may be a later one when that is lost: what it has besides is told
// again, which counts once.
func (c *Core) readGap(g *gap, p *publication, snap *Snap) {
	c.ex.Read(func(ctx context.Context) error {
		if snap == nil {
			s, err := c.ex.Snapshot()
			if err != nil {
				return err
			}
			snap = NewSnap(s, 0)
		}
		return g.read(ctx, snap)
	}, func(err error) {
		if snap != nil {
			snap.Release()
		}
		if errors.Is(err, storage.ErrInterrupted) {
			c.readGap(g, p, nil)
			return
		}
		for _, r := range g.results {
			switch {
			case r.gone:
			case err != nil:
				c.failResult(r, err)
			default:
				r.rq.Catch(g.changes(r.rq))
			}
		}
		c.refilled(func() { c.complete(p) })
	})
}

func (g *gap) read(ctx context.Context, snap storage.Snapshot) (err error) {
	for i, x := range g.by {
		if x.now, err = snap.State(ctx, x.was.Collection(), i); err != nil {
			return err
		}
		x.events = nil
		if x.now.Rev() <= x.was.Rev() {
			continue
		}
		for e, err := range snap.Events(ctx, x.was.Collection(), i, x.was.Rev()+1, x.now.Rev()) {
			if err != nil {
				return err
			}
			x.events = append(x.events, e.ID)
		}
	}
	return nil
}

// changes returns what has happened to what a query has told.
func (g *gap) changes(rq *reactor.Query) (out []reactor.Change) {
	rows, behind := rq.Told()
	seen := map[id.ID]bool{}
	for _, s := range slices.Concat(rows, behind) {
		x := g.by[s.ID()]
		if seen[s.ID()] || x.now.Rev() <= s.Rev() {
			continue
		}
		seen[s.ID()] = true
		events := slices.Clone(x.events[s.Rev()-x.was.Rev():])
		sorting.Sort(events, id.ID.Compare)
		out = append(out, reactor.Change{Before: s, After: x.now, Events: events})
	}
	sorting.Sort(out, func(a, b reactor.Change) int {
		return cmp.Or(strings.Compare(a.After.Collection(), b.After.Collection()), a.After.ID().Compare(b.After.ID()))
	})
	return out
}

// behindError ends a connection of which the node cannot say what has happened
// since it was told last.
type behindError struct{}

func (*behindError) Error() string {
	return "ankurah: the server was stopped for longer than the feed of commits is kept and reads everything anew: connect again"
}
func (*behindError) Unwrap() error { return storage.ErrInterrupted }
