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
// returns those whose window lacks rows.
func (c *Core) move(p *publication) (short []*Query) {
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
		for q := range c.queries {
			if q.hydrating {
				q.buffer = append(q.buffer, t.changes)
			}
		}
		c.ack(t)
		if t.req.move != nil {
			short = append(short, c.applyWindows(t.req.move)...)
		}
		c.reactor.Apply(t.changes, func(rq *reactor.Query) {
			q := c.byReactor[rq]
			switch {
			case q.short:
			case rq.Short() != nil:
				q.short = true
				short = append(short, q)
			default:
				c.deliver(q)
			}
		}, func(rq *reactor.Query, err error) { c.failQuery(c.byReactor[rq], err) })
		if len(short) == 0 { // else all of the group is told when the windows are whole
			c.endCommit(t)
		}
	}
	return short
}

// refill reads the rows that windows lack, then completes the publication.
func (c *Core) refill(p *publication, short []*Query) {
	snap, err := c.Current()
	if err != nil {
		c.complete(p)
		return
	}
	rows := make([][]*entity.State, len(short))
	errs := make([]error, len(short))
	wanted := make([]int, len(short))
	reads := make([]func(context.Context) ([]*entity.State, error), len(short))
	rqs := make([]*reactor.Query, len(short)) // a selection may change while rows are read
	for k, q := range short {
		rqs[k] = q.rq
		sel := q.rq.Short()
		if sel == nil {
			continue
		}
		wanted[k] = sel.Limit
		allow := q.allow
		if q.remote != nil {
			allow = c.within(q)
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
		for k, q := range short {
			q.short = false
			switch {
			case q.closed, q.rq != rqs[k]:
			case errs[k] != nil:
				c.failQuery(q, errs[k])
			default:
				if reads[k] != nil {
					q.rq.Refill(rows[k], wanted[k])
				}
				c.deliver(q)
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
