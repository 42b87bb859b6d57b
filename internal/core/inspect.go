package core

import (
	"slices"

	"github.com/ankurah/ankurah-go/internal/reactor"
)

// Owned is a [Sink] that knows who its live query is for.
type Owned interface {
	// Owner returns the subject of a principal.
	Owner() string
}

// Owner returns the subject of the peer's principal.
func (s subscriber) Owner() string { return s.p.principal.Subject }

// Owner returns the subject of the peer's principal.
func (s aggregateSubscriber) Owner() string { return s.p.principal.Subject }

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
		_, d.Remote = q.sink.(subscriber)
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
		_, d.Remote = q.sink.(aggregateSubscriber)
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

// keptFailures is how many of the latest failures a node remembers.
const keptFailures = 100

// Failure is a result that could not be evaluated: its live queries have ended,
// so that it harms no other.
type Failure struct {
	Collection, Query string
	Subject           string // who asked for it first
	Shared            int    // live queries that ended
	Reason            error
	At                uint64 // milliseconds since the Unix epoch
}

// quarantine ends the live queries of a result that the reactor has removed, and
// remembers why.
func (c *Core) quarantine(x reactor.Subscriber, err error) {
	f := Failure{Collection: x.Selection().Collection, Reason: err, At: c.ex.Now()}
	owner := func(sink any) {
		if o, ok := sink.(Owned); ok && f.Shared == 0 {
			f.Subject = o.Owner()
		}
		f.Shared++
	}
	switch x := x.(type) {
	case *reactor.Query:
		r := x.Owner.(*result)
		f.Query = x.Selection().String()
		for _, q := range slices.Concat(r.shown, r.joining) {
			owner(q.sink)
		}
		c.failResult(r, err)
	case *reactor.Aggregate:
		r := x.Owner.(*aggregateResult)
		f.Query = r.a.String()
		for _, q := range slices.Concat(r.shown, r.joining) {
			owner(q.sink)
		}
		c.failAggregates(r, err)
	}
	c.failed++
	if c.failures = append(c.failures, f); len(c.failures) > keptFailures {
		c.failures = slices.Delete(c.failures, 0, 1)
	}
}

// Failures returns how many results could not be evaluated, and the latest of
// them.
func (c *Core) Failures() (all uint64, latest []Failure) { return c.failed, slices.Clone(c.failures) }

// Routing says what the reactor has and what it did.
func (c *Core) Routing() reactor.Stats { return c.reactor.Stats() }

// Waiting returns the number of transactions in the outbox.
func (c *Core) Waiting() int { return len(c.outbox) }
