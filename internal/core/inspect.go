package core

import (
	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/internal/reactor"
)

// Owned is a [Sink] that knows who its live query is for.
type Owned interface {
	// Owner returns the subject of a principal.
	Owner() string
}

// Owner returns the subject of the peer's principal.
func (s *sub) Owner() string { return s.p.principal.Subject }

// Description says what a live query is and what it has cost.
type Description struct {
	Selection        *ankql.Selection
	Subject          string
	Remote           bool
	Rows, Shared     int
	Route            string
	Offered, Touched uint64
	Changed          uint64 // milliseconds since the Unix epoch, 0 for never
}

// Inspect yields the live queries in the order of their making.
func (c *Core) Inspect(yield func(Description) bool) {
	for _, q := range c.inOrder() {
		rq := q.now()
		d := Description{Selection: rq.Selection(), Rows: rq.Len(), Route: rq.Route()}
		d.Offered, d.Touched = rq.Counts()
		if o, ok := q.sink.(Owned); ok {
			d.Subject = o.Owner()
		}
		_, d.Remote = q.sink.(*sub)
		if q.res != nil {
			d.Shared, d.Changed = len(q.res.shown), q.res.changed
		}
		if !yield(d) {
			return
		}
	}
}

// Routing says what the reactor has and what it did.
func (c *Core) Routing() reactor.Stats { return c.reactor.Stats() }

// Waiting returns the number of transactions in the outbox.
func (c *Core) Waiting() int { return len(c.outbox) }
