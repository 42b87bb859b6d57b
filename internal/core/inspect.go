package core

import (
	"github.com/ankurah/ankurah-go/internal/reactor"
)

// Owned is a [Sink] that knows who its live query is for.
type Owned interface {
	// Owner returns the subject of a principal.
	Owner() string
}

// Owner returns the subject of the peer's principal.
func (s *sub) Owner() string { return s.p.principal.Subject }

// Owner returns the subject of the peer's principal.
func (s *aggregateSub) Owner() string { return s.p.principal.Subject }

// Description says what a live query or a live aggregate is and what it has
// cost.
type Description struct {
	Collection       string
	Query, Shape     string
	Subject          string
	Remote           bool
	Rows, Shared     int // groups, of an aggregate
	Route            string
	Offered, Touched uint64
	Changed          uint64 // milliseconds since the Unix epoch, 0 for never
}

// Inspect yields the live queries in the order of their making, and then the
// live aggregates.
func (c *Core) Inspect(yield func(Description) bool) {
	for _, q := range c.inOrder() {
		if _, is := q.sink.(*aggregatedRows); is {
			continue
		}
		rq := q.now()
		d := Description{Collection: rq.Selection().Collection, Query: rq.Selection().String(), Rows: rq.Len(), Route: rq.Route()}
		d.Shape, _ = rq.Selection().Template()
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
	for _, q := range c.aggregatesInOrder() {
		d := Description{Collection: q.a.Rows.Collection, Query: q.a.String(), Rows: len(q.Groups())}
		d.Shape, _ = q.a.Template()
		if o, ok := q.sink.(Owned); ok {
			d.Subject = o.Owner()
		}
		_, d.Remote = q.sink.(*aggregateSub)
		if r := q.res; r != nil {
			d.Shared, d.Touched, d.Changed = len(r.shown), r.touched, r.changed
			d.Route = r.counted().Route()
			d.Offered, _ = r.counted().Counts()
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
