package core

import (
	"slices"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
)

// sendAgain sends what the server put off. What was too early for it, and stays
// so, is made again first; but not before everything that was sent is answered,
// lest the server accepts the one form while the other is being made.
func (c *Core) sendAgain() {
	if !c.early || !c.Connected() {
		c.sendOutbox()
		return
	}
	if c.remaking || c.link.resync != nil || slices.ContainsFunc(c.outbox, func(o *outTx) bool { return o.sent || !o.stored }) {
		c.retryAt = c.ex.Elapsed() + retryDelay
		return
	}
	c.early = false
	now := c.wall()
	if c.ahead(c.clock.Last(), now, 0) {
		c.setBack(0)
	}
	for _, o := range c.outbox {
		if slices.ContainsFunc(o.events, func(e *event.Event) bool { return c.ahead(e.Stamp, now, 0) }) {
			c.remakeOutbox()
			return
		}
	}
	c.sendOutbox()
}

// remakeOutbox has the outbox made again. Nothing of it is sent meanwhile.
func (c *Core) remakeOutbox() {
	c.remaking = true
	c.Commit(&Request{ID: c.newTxID(), system: true, move: &move{remake: true}, Done: func(_ []*entity.State, _ error) {
		c.remaking = false // an error has ended committing
		c.sendOutbox()
	}})
}

// sendOutbox sends what was not sent, in order.
func (c *Core) sendOutbox() {
	if !c.Connected() || c.remaking {
		return
	}
	for _, o := range c.outbox {
		if o.stored && !o.sent {
			o.sent = true
			if o.first == nil {
				o.first = c.link
			}
			c.send(&c.link.Conn, c.sendable(o))
		}
	}
}
