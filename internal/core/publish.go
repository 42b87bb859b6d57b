package core

import (
	"context"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/internal/reactor"
)

// publication is a written group on its way to readers, or, with retry set,
// transactions that start over after the groups before it.
type publication struct {
	txs   []*tx
	snap  *Snap
	retry []*tx
}

// publish works off the publications in order. One that has to read rows for a
// window goes on when they are there.
func (c *Core) publish() {
	for len(c.pubs) > 0 {
		p := c.pubs[0]
		if p.retry != nil {
			c.pubs = c.pubs[1:]
			for _, t := range p.retry {
				if t.attempts > maxAttempts {
					c.finish(t, &conflictError{t.writes[0].After.Collection(), t.writes[0].After.ID()})
					continue
				}
				c.start(t)
			}
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
	old := c.published.Swap(p.snap)
	if old == nil { // closed meanwhile
		c.published.Store(nil)
		p.snap.Release()
	} else {
		old.Release()
	}
	for _, t := range p.txs {
		c.land(t)
		for r := range c.hydrating {
			r.buffer = append(r.buffer, t.changes)
		}
		c.ack(t)
		if t.req.move != nil {
			short = append(short, c.applyWindows(t.req.move)...)
		}
		c.reactor.Apply(t.changes, func(rq *reactor.Query) {
			switch r := rq.Owner.(*result); {
			case r.short:
			case rq.Short() != nil:
				r.short = true
				short = append(short, r)
			default:
				c.deliver(r)
			}
		}, func(rq *reactor.Query, err error) { c.failResult(rq.Owner.(*result), err) })
		if len(short) == 0 { // else all of the group is told when the windows are whole
			c.endCommit(t)
		}
	}
	return short
}

// refill reads the rows that windows lack, then completes the publication.
func (c *Core) refill(p *publication, short []*result) {
	snap, err := c.Current()
	if err != nil {
		c.complete(p)
		return
	}
	rows := make([][]*entity.State, len(short))
	errs := make([]error, len(short))
	wanted := make([]int, len(short))
	reads := make([]func(context.Context) ([]*entity.State, error), len(short))
	for k, r := range short {
		sel := r.rq.Short()
		if sel == nil {
			continue
		}
		wanted[k] = sel.Limit
		allow := r.allow
		if len(r.shown) > 0 && r.shown[0].remote != nil {
			allow = c.within(r.shown[0])
		}
		reads[k] = func(ctx context.Context) ([]*entity.State, error) { return Collect(ctx, snap, sel, allow) }
	}
	c.refilling = true
	c.ex.Read(func(ctx context.Context) error {
		for k, read := range reads {
			if read != nil {
				rows[k], errs[k] = read(ctx)
			}
		}
		return nil
	}, func(error) {
		snap.Release()
		for k, r := range short {
			r.short = false
			switch {
			case r.gone:
			case errs[k] != nil:
				c.failResult(r, errs[k])
			default:
				if reads[k] != nil {
					r.rq.Refill(rows[k], wanted[k])
				}
				c.deliver(r)
			}
		}
		c.refilling = false
		c.endCommit(nil)
		waiting := c.afterRefill
		c.afterRefill = nil
		for _, f := range waiting {
			f()
		}
		c.complete(p)
		for _, p := range c.peersInOrder() {
			c.resume(p)
		}
		c.publish()
	})
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

// complete tells the committers of a published group.
func (c *Core) complete(p *publication) {
	c.pubs = c.pubs[1:]
	for _, t := range p.txs {
		c.settled(t)
		c.finish(t, nil)
	}
	c.wake()
}
