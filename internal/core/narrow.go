package core

import (
	"cmp"
	"errors"
	"slices"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/internal/reactor"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/value"
)

// Narrow returns sel narrowed to what p may read, sel itself where that changes
// nothing, and the check that remains for each entity, nil for none. It may be
// called at any time.
func (c *Core) Narrow(sel *ankql.Selection, p policy.Principal) (_ *ankql.Selection, allow func(*entity.State) bool, err error) {
	if c.cfg.Policy == nil {
		return sel, nil, nil
	}
	defer func() {
		if c.panicked("the policy agent", recover()) {
			err = &policy.DeniedError{Subject: p.Subject, Collection: sel.Collection, Rule: "the policy agent panicked"}
		}
	}()
	filter, allow, err := c.readable(p, sel.Collection)
	if err != nil {
		return nil, nil, err
	}
	links, hides := slices.Clone(sel.Links), false
	for k := range links {
		l := &links[k]
		var see func(*entity.State) bool
		if l.Where, see, err = c.readable(p, l.Collection); err != nil {
			return nil, nil, err
		}
		if see != nil {
			l.Allow = func(r ankql.Row) bool { return see(r.(*entity.State)) }
		}
		hides = hides || l.Where != nil || see != nil
	}
	if filter != nil || hides {
		narrowed := *sel
		narrowed.Where, narrowed.Links = ankql.And(sel.Where, filter), links
		sel = &narrowed
	}
	return sel, allow, nil
}

// readable returns what p may read of a collection: what a predicate selects,
// nil for everything, and what a check allows, nil for all of that.
func (c *Core) readable(p policy.Principal, collection string) (filter ankql.Expr, allow func(*entity.State) bool, err error) {
	filter, err = c.cfg.Policy.ReadFilter(p, collection)
	switch {
	case errors.Is(err, policy.ErrDenied):
		filter, err = &ankql.Literal{Value: value.Bool(false)}, nil // absence, not an error (S60)
	case err != nil:
		return nil, nil, err
	case filter != nil:
		if filter, err = policy.BindFilter(filter, c.Model(collection), collection); err != nil {
			return nil, nil, err
		}
	}
	if r, ok := c.cfg.Policy.(policy.EntityReader); ok {
		allow = func(s *entity.State) (ok bool) {
			defer func() {
				if c.panicked("the policy agent", recover()) {
					ok = false
				}
			}()
			return r.CheckRead(p, s) == nil
		}
	}
	return filter, allow, nil
}

// Readable reports whether p may read s. It may be called at any time.
func (c *Core) Readable(s *entity.State, p policy.Principal) (bool, error) {
	sel, allow, err := c.Narrow(&ankql.Selection{Collection: s.Collection(), Limit: -1}, p)
	if err != nil {
		return false, err
	}
	return sel.Match(s) && (allow == nil || allow(s)), nil
}

// NarrowAggregate is [Core.Narrow] of an aggregate selection: who may not read
// a row does not have it counted (S38, S60).
func (c *Core) NarrowAggregate(a *ankql.Aggregation, p policy.Principal) (*ankql.Aggregation, func(*entity.State) bool, error) {
	rows, allow, err := c.Narrow(a.Rows, p)
	if err != nil {
		return nil, nil, err
	}
	if rows == a.Rows {
		return a, allow, nil
	}
	narrowed := *a
	narrowed.Rows = rows
	return &narrowed, allow, nil
}

// Local is the sink of a session of this node. The core narrows what it asks for
// to what its principal may read, and narrows it again when that changes.
type Local interface {
	// Principal returns who may read what it is told.
	Principal() policy.Principal
	// Narrowed says that the result is narrowed again: the same rows may have
	// another order.
	Narrowed()
}

// LocalSink is the sink of a session's live query.
type LocalSink interface {
	Sink
	Local
}

// LocalAggregateSink is the sink of a session's live aggregate.
type LocalAggregateSink interface {
	AggregateSink
	Local
}

// SubscribeLocal is [Core.Subscribe] for a session. What its principal may read
// is asked for here, under the core's lock, so that no [Core.Invalidate] is
// missed.
func (c *Core) SubscribeLocal(sel *ankql.Selection, sink LocalSink) (*Query, error) {
	narrowed, allow, err := c.Narrow(sel, sink.Principal())
	if err != nil {
		return nil, err
	}
	q := c.Subscribe(narrowed, allow, sink)
	c.keepAsked(q, sel, narrowed)
	return q, nil
}

// Select is [Core.SetSelection] for a session: of sel, which is not narrowed yet.
// After an error the query goes on as it was.
func (c *Core) Select(q *Query, sel *ankql.Selection, done func()) error {
	if q.closed {
		done()
		return nil
	}
	narrowed, allow, err := c.Narrow(sel, q.sink.(Local).Principal())
	if err != nil {
		return err
	}
	c.keepAsked(q, sel, narrowed)
	c.SetSelection(q, narrowed, allow, done)
	return nil
}

// keepAsked notes what a session has asked for, unless what is selected says it.
func (c *Core) keepAsked(q *Query, sel, narrowed *ankql.Selection) {
	if q.asked = nil; sel != narrowed {
		q.asked = sel.Normalize()
		c.sharePaths(q.asked)
	}
}

// Asked returns what a session has asked for last, not narrowed.
func (q *Query) Asked() *ankql.Selection {
	switch {
	case q.asked != nil:
		return q.asked
	case q.next != nil:
		return q.next.rq.Selection()
	}
	return q.res.rq.Selection()
}

// SubscribeAggregateLocal is [Core.SubscribeAggregate] for a session, as
// [Core.SubscribeLocal] is [Core.Subscribe].
func (c *Core) SubscribeAggregateLocal(a *ankql.Aggregation, sink LocalAggregateSink) (*Aggregate, error) {
	narrowed, allow, err := c.NarrowAggregate(a, sink.Principal())
	if err != nil {
		return nil, err
	}
	q := c.SubscribeAggregate(narrowed, allow, sink)
	if narrowed != a {
		q.asked = a
	}
	return q, nil
}

// Invalidate makes the policy agent's word new for a principal, or for all
// when subject is nil: what it may not read any more is withdrawn (S38), from
// peers and from sessions of this node.
func (c *Core) Invalidate(subject *string) {
	if c.cfg.Policy == nil {
		return
	}
	for _, p := range c.peersInOrder() {
		if p.known && (subject == nil || *subject == p.principal.Subject) {
			c.narrowAgain(p)
		}
	}
	concerned := func(sink any) bool {
		s, is := sink.(Local)
		return is && (subject == nil || *subject == s.Principal().Subject)
	}
	for _, q := range c.inOrder() {
		if concerned(q.sink) && !q.closed {
			c.narrowLocal(q)
		}
	}
	for _, q := range c.aggregatesInOrder() {
		if concerned(q.sink) && !q.closed {
			c.narrowLocalAggregate(q)
		}
	}
}

func (c *Core) narrowLocal(q *Query) {
	s, asked := q.sink.(Local), q.Asked()
	narrowed, allow, err := c.Narrow(asked, s.Principal())
	if err != nil {
		c.failQuery(q, err)
		return
	}
	watched := asked
	if q.next != nil && q.res != nil { // asked has the order of the next rows
		watched = q.res.rq.Selection()
	}
	c.replace(q, narrowed, allow)
	c.keepAsked(q, asked, narrowed)
	if q.res != nil && !q.res.held && q.next != q.res {
		c.hold(q, watched)
		c.reactor.Add(q.res.rq)
	}
	q.waiting = append(q.waiting, s.Narrowed)
	c.obtain(q.next)
}

// hold makes q show a copy of what it shows, which stays as it is: nothing more
// is told under the old rights. What happens to what sel selects, which is at
// least what q does, is noted once the copy is registered.
func (c *Core) hold(q *Query, sel *ankql.Selection) {
	old := q.res
	q.res = &result{rq: old.rq.Hold(sel), shown: []*Query{q}, short: true, held: true, changed: old.changed}
	q.res.rq.Owner = q.res
	if old.untold != nil {
		q.res.rq.Return(*old.untold)
	}
	c.leave(q, old)
}

// bare takes from the changes of a query that was held, for rows that are not
// readable any more, what has happened to these since.
func (c *Core) bare(q *Query, changes []rowChange) []rowChange {
	s, is := q.sink.(Local)
	for k := range changes {
		x := &changes[k]
		if !is || x.Kind != reactor.Removed || len(x.Events) == 0 {
			continue
		}
		if ok, err := c.Readable(cmp.Or(x.Now, x.Before), s.Principal()); !ok || err != nil {
			x.Events, x.Now = nil, nil
		}
	}
	return changes
}

func (c *Core) narrowLocalAggregate(q *Aggregate) {
	s, asked := q.sink.(Local), cmp.Or(q.asked, q.a)
	narrowed, allow, err := c.NarrowAggregate(asked, s.Principal())
	if err != nil {
		c.failAggregate(q, err)
		return
	}
	if q.asked = nil; narrowed != asked {
		q.asked = asked
	}
	c.await(q, c.aggregateResult(narrowed, allow))
	if q.res != nil && !q.res.held && q.next != q.res {
		c.holdAggregate(q)
	}
	q.a = narrowed
	q.waiting = append(q.waiting, s.Narrowed)
	c.StartAggregate(q)
}

// holdAggregate is hold for a live aggregate.
func (c *Core) holdAggregate(q *Aggregate) {
	old := q.res
	q.res = &aggregateResult{a: old.a, ra: old.ra.Hold(), shown: []*Aggregate{q}, held: true, touched: old.touched, changed: old.changed}
	c.leaveAggregate(q, old)
}
