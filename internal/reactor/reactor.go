package reactor

import (
	"slices"
	"strings"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/id"
)

// Change is what one commit did to one entity. Before is nil for a creation.
type Change struct {
	Before, After *entity.State
	Events        []id.ID // sorted
	Arrived       bool    // there was no Before here, but the entity is older
}

// created reports whether the change is the entity's creation.
func (c *Change) created() bool { return c.Before == nil && !c.Arrived }

// In returns the changes of a commit in one collection. They are sorted by it.
func In(commit []Change, collection string) []Change {
	compare := func(c Change, name string) int { return strings.Compare(c.After.Collection(), name) }
	lo, _ := slices.BinarySearchFunc(commit, collection, compare)
	hi := lo
	for hi < len(commit) && commit[hi].After.Collection() == collection {
		hi++
	}
	return commit[lo:hi]
}

// Subscriber is what commits are routed to: a [Query] or an [Aggregate].
type Subscriber interface {
	// Selection returns which rows are concerned.
	Selection() *ankql.Selection
	// Apply takes the changes of one commit in the selection's collection, sorted
	// by entity, and reports whether they concern the rows.
	Apply(changes []Change) bool

	routing() *subscriber
}

// subscriber is what the reactor keeps of a Subscriber.
type subscriber struct {
	Owner any // the caller's

	is    Subscriber // since it is registered
	regs  []registration
	round uint64
	run   []Change // that are to be offered
	first int32    // of the changes of the commit, in run
	last  int32

	offered, touched uint64
}

func (s *subscriber) routing() *subscriber { return s }

// residual reports whether a registered subscriber is offered every commit in
// its collection, or every one of an entity that has some property.
func (s *subscriber) residual() bool {
	own := &s.regs[0]
	return !own.routed || slices.ContainsFunc(own.routes, route.present)
}

// Counts returns how many changes the subscriber evaluated, and how many
// commits concerned its rows.
func (s *subscriber) Counts() (offered, touched uint64) { return s.offered, s.touched }

// Reactor routes commits to live queries and live aggregates: a commit costs as
// much as there are subscribers that its old and new values concern, however
// many are registered (S58). Those that no value leads to are offered every
// commit in their collection.
type Reactor struct {
	byCollection map[string]*collection // what is selected from
	behind       map[string]*collection // what their links lead to
	stats        Stats

	// Of the commit that is being applied.
	round   uint64
	changes []Change      // in one collection
	at      int32         // the one that is being routed
	hits    []*subscriber // that some concern
	hit     func([]*subscriber)
}

// Stats counts what a reactor has and what it did.
type Stats struct {
	Queries  int    // registered, aggregates among them
	Residual int    // of them, offered every commit in their collection, or every one of an entity that has some property
	Commits  uint64 // applied
	Changes  uint64 // of entities in them
	Offered  uint64 // times that a query evaluated a change
	Touched  uint64 // times that a commit concerned a query's rows
}

// New returns a reactor without queries.
func New() *Reactor {
	r := &Reactor{byCollection: map[string]*collection{}, behind: map[string]*collection{}}
	r.hit = r.concern
	return r
}

// Add registers a subscriber. What an aggregate's rows refer to it does not
// follow: the rows of a selection with links are kept by a [Query].
func (r *Reactor) Add(x Subscriber) {
	s, sel := x.routing(), x.Selection()
	s.is = x
	c := in(r.byCollection, sel.Collection)
	routes, _, ok := c.routes(sel.Where)
	c.register(s, routes, ok)
	if q, ok := x.(*Query); ok {
		for _, name := range behind(sel) {
			in(r.behind, name).registerBehind(q)
		}
	}
	r.stats.Queries++
	if s.residual() {
		r.stats.Residual++
	}
}

func in(m map[string]*collection, name string) *collection {
	c := m[name]
	if c == nil {
		c = &collection{name: name}
		m[name] = c
	}
	return c
}

// Remove forgets a subscriber; it does nothing for one that is not registered.
func (r *Reactor) Remove(x Subscriber) {
	s := x.routing()
	if s.regs == nil {
		return
	}
	r.stats.Queries--
	if s.residual() {
		r.stats.Residual--
	}
	for k := range s.regs {
		reg := &s.regs[k]
		if reg.remove(s); reg.in.n > 0 {
			continue
		}
		if k == 0 {
			delete(r.byCollection, reg.in.name)
		} else {
			delete(r.behind, reg.in.name)
		}
	}
	s.regs = nil
}

// Stats returns what there is and what was done.
func (r *Reactor) Stats() Stats { return r.stats }

// Apply brings every subscriber up to a commit. It calls touched for each whose
// result may have changed, once, or twice one whose rows and what they refer to
// have; and failed for each that cannot be evaluated: that one is removed, and
// harms no other.
func (r *Reactor) Apply(commit []Change, touched func(Subscriber), failed func(Subscriber, error)) {
	r.stats.Commits++
	r.stats.Changes += uint64(len(commit))
	for first, rest := commit, commit; len(rest) > 0; first = rest {
		name := first[0].After.Collection()
		n := 1
		for n < len(rest) && rest[n].After.Collection() == name {
			n++
		}
		if c := r.byCollection[name]; c != nil {
			r.route(c, rest[:n:n])
			r.offer(Subscriber.Apply, touched, failed)
		}
		if c := r.behind[name]; c != nil {
			r.route(c, rest[:n:n])
			r.offer(noteBehind, touched, failed)
		}
		rest = rest[n:]
	}
}

// route finds the subscribers that changes in a collection concern.
func (r *Reactor) route(c *collection, changes []Change) {
	r.round++
	r.changes = changes
	for k := range changes {
		r.at = int32(k)
		if before := changes[k].Before; before != nil && before != changes[k].After {
			c.find(before, r.hit)
		}
		c.find(changes[k].After, r.hit)
	}
	for _, q := range c.rest {
		q.run = changes
	}
	r.hits = append(r.hits, c.rest...)
}

// concern notes that the change at hand concerns subscribers: it joins the run
// of changes that each is offered.
func (r *Reactor) concern(qs []*subscriber) {
	for _, q := range qs {
		switch {
		case q.round != r.round:
			q.round, q.first, q.last = r.round, r.at, r.at
			q.run = r.changes[r.at : r.at+1 : r.at+1]
			r.hits = append(r.hits, q)
		case q.last == r.at:
		case len(q.run) == int(r.at-q.first): // nothing was left out so far
			q.run, q.last = r.changes[q.first:r.at+1:r.at+1], r.at
		default:
			q.run, q.last = append(q.run, r.changes[r.at]), r.at
		}
	}
}

func (r *Reactor) offer(how func(Subscriber, []Change) bool, touched func(Subscriber), failed func(Subscriber, error)) {
	for _, s := range r.hits {
		run := s.run
		s.run = nil
		r.stats.Offered += uint64(len(run))
		s.offered += uint64(len(run))
		switch is, err := try(how, s.is, run); {
		case err != nil:
			r.Remove(s.is)
			failed(s.is, err)
		case is:
			r.stats.Touched++
			s.touched++
			touched(s.is)
		}
	}
	clear(r.hits)
	r.hits, r.changes = r.hits[:0], nil
}

// noteBehind offers changes of what links lead to, which only queries follow.
func noteBehind(x Subscriber, changes []Change) bool { return x.(*Query).noteBehind(changes) }

// try applies changes. What the subscriber was given may panic.
func try(how func(Subscriber, []Change) bool, x Subscriber, changes []Change) (touched bool, err error) {
	err = Try(func() { touched = how(x, changes) })
	return touched, err
}

// Try does something that may evaluate a query, and returns a [PanicError] when
// that panics.
func Try(do func()) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{v}
		}
	}()
	do()
	return nil
}

// PanicError says that a query could not be evaluated.
type PanicError struct{ Value any }

func (e *PanicError) Error() string {
	text := "its evaluation panicked"
	switch v := e.Value.(type) {
	case error:
		text += ": " + v.Error()
	case string:
		text += ": " + v
	}
	return "ankurah: the live query has ended: " + text
}
