package core

import (
	"context"
	"errors"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/internal/reactor"
	"github.com/ankurah/ankurah-go/storage"
)

// publication is a written group on its way to readers, or, with retry set,
// transactions that start over after the groups before it.
type publication struct {
	txs   []*tx
	snap  *Snap
	retry []*tx
	anew  bool     // more has happened than txs say, and nothing says what
	then  []func() // wait for it
}

// publish works off the publications in order. One that has to read rows for a
// window goes on when they are there; nothing else is published before.
func (c *Core) publish() {
	for len(c.pubs) > 0 && !c.refilling {
		p := c.pubs[0]
		if p.retry != nil {
			c.pubs = c.pubs[1:]
			c.retry(p.retry)
			continue
		}
		if canShare && p.anew {
			c.rehydrate(p)
			continue
		}
		if short := c.move(p); len(short) > 0 {
			c.refill(p, short)
			return
		}
		c.complete(p)
	}
}

// move makes a group the published state and brings live queries up to it. It
// returns the results whose window lacks rows.
func (c *Core) move(p *publication) (short []*result) {
	states := make([]*entity.State, 0, len(p.txs))
	for _, t := range p.txs {
		for _, w := range t.writes {
			states = append(states, w.After)
		}
	}
	c.cache.Publish(p.snap.Seq, states)
	c.swap(p.snap)
	for _, t := range p.txs {
		c.land(t)
		for r := range c.hydrating {
			r.buffer = append(r.buffer, t.changes)
		}
		c.acked(t)
		if t.req.move != nil {
			short = append(short, c.applyWindows(t.req.move)...)
		}
		c.reactor.Apply(t.changes, func(x reactor.Subscriber) {
			rq, is := x.(*reactor.Query)
			if !is {
				c.touchedAggregates = append(c.touchedAggregates, x.(*reactor.Aggregate).Owner.(*aggregateResult))
				return
			}
			switch r := rq.Owner.(*result); {
			case r.short:
			case rq.Waits():
				r.short = true
				short = append(short, r)
			default:
				c.deliver(r)
			}
		}, c.quarantine)
		if t.req.move != nil {
			c.measureWindows(t.req.move)
		}
		c.applyAggregates(t)
		if len(short) == 0 { // else all of the group is told when the windows are whole
			c.committed(t)
		}
	}
	return short
}

// swap makes a snapshot the published one.
func (c *Core) swap(snap *Snap) {
	old := c.published.Swap(snap)
	if old == nil { // closed meanwhile
		c.published.Store(nil)
		old = snap
	}
	old.Release()
}

// refill reads what results lack, then completes the publication.
func (c *Core) refill(p *publication, short []*result) {
	c.refillAll(short, func() { c.complete(p) })
}

// refillAll reads what results lack, hands over what has happened to them, and
// calls done. Nothing is published before.
func (c *Core) refillAll(short []*result, done func()) {
	c.refilling = true
	c.readLacking(short, func() {
		for _, r := range short {
			if r.remade {
				continue
			}
			r.short, r.untold = false, nil
			if !r.gone {
				c.deliver(r)
			}
		}
		c.refilled(done)
	})
}

// refilled goes on when nothing is told in part any more.
func (c *Core) refilled(done func()) {
	c.refilling = false
	c.committed(nil)
	for len(c.afterRefill) > 0 && !c.refilling { // one may have something to read, too
		f := c.afterRefill[0]
		c.afterRefill = c.afterRefill[1:]
		f()
	}
	done()
	for _, p := range c.peersInOrder() {
		c.serving.resume(p)
	}
	c.publish()
}

// lacking is what one result lacks, and what was read of it.
type lacking struct {
	r       *result
	allow   func(*entity.State) bool
	more    *ankql.Selection // of a window that is short
	unread  reactor.Unread   // what happened behind links
	changes []reactor.Change // to rows
	rows    []*entity.State
	joined  []*reactor.Joined
	err     error
}

// readLacking reads what results lack, again until they lack nothing: what
// happened behind links may leave a window short.
func (c *Core) readLacking(short []*result, done func()) {
	var reads []*lacking
	for _, r := range short {
		if r.gone || r.remade || !r.rq.Waits() {
			continue
		}
		x := &lacking{r: r, allow: r.allow, more: r.rq.Short(), unread: r.rq.Unread()}
		if len(r.shown) > 0 && r.shown[0].remote != nil {
			x.allow = c.within(r.shown[0])
		}
		if x.unread.Any() {
			if r.untold == nil {
				r.untold = &reactor.Unread{}
			}
			r.untold.Rows, r.untold.Behind = append(r.untold.Rows, x.unread.Rows...), append(r.untold.Behind, x.unread.Behind...)
		}
		reads = append(reads, x)
	}
	if len(reads) == 0 {
		done()
		return
	}
	snap, err := c.Current()
	if err != nil {
		done()
		return
	}
	c.ex.Read(func(ctx context.Context) error {
		for _, x := range reads {
			x.read(ctx, snap)
		}
		return nil
	}, func(err error) {
		snap.Release()
		for _, x := range reads {
			switch {
			case x.r.gone:
			case errors.Is(x.err, storage.ErrInterrupted):
				x.r.rq.Return(x.unread)
				c.remake(x.r)
			case err != nil: // nothing was read
				c.failResult(x.r, err)
			case x.err != nil:
				c.failResult(x.r, x.err)
			default:
				if err := reactor.Try(x.take); err != nil {
					c.reactor.Remove(x.r.rq)
					c.quarantine(x.r.rq, err)
				}
			}
		}
		c.readLacking(short, done)
	})
}

func (x *lacking) read(ctx context.Context, snap *Snap) {
	if x.unread.Any() {
		x.changes, x.joined, x.err = relate(ctx, snap, x.r.rq.Selection(), x.unread)
		return
	}
	x.rows, x.joined, x.err = Collect(ctx, snap, x.more, x.allow)
}

func (x *lacking) take() {
	if x.unread.Any() {
		x.r.rq.Relate(x.changes, x.joined)
		x.r.behind = append(x.r.behind, x.unread.Behind...)
		return
	}
	x.r.rq.Refill(x.rows, x.joined, x.more.Limit)
}

// whenWhole calls f, at once or when the rows are there that windows lack:
// until then a part of what is published is told (S22).
func (c *Core) whenWhole(f func()) {
	if c.refilling {
		c.afterRefill = append(c.afterRefill, f)
		return
	}
	f()
}

// WhenWhole calls f when no part of what is published is yet to be told.
func (c *Core) WhenWhole(f func()) { c.whenWhole(f) }

// complete tells the committers of a published group.
func (c *Core) complete(p *publication) {
	c.pubs = c.pubs[1:]
	for _, t := range p.txs {
		if !t.foreign {
			c.settled(t)
			c.finish(t, t.fence)
		}
	}
	for _, f := range p.then {
		f()
	}
	c.wake()
}
