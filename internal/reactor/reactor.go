package reactor

import (
	"slices"
	"strings"

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

// Reactor routes commits to queries: a commit costs as much as there are
// queries that its old and new values concern, however many are registered
// (S58). Queries that no value leads to are offered every commit in their
// collection.
type Reactor struct {
	byCollection map[string]*collection // what queries select from
	behind       map[string]*collection // what their links lead to
	stats        Stats

	// Of the commit that is being applied.
	round   uint64
	changes []Change // in one collection
	at      int      // the one that is being routed
	hits    []*Query // that some concern
	hit     func([]*Query)
}

// Stats counts what a reactor has and what it did.
type Stats struct {
	Queries  int    // registered
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

// Add registers a query.
func (r *Reactor) Add(q *Query) {
	c := in(r.byCollection, q.sel.Collection)
	routes, cost, ok := c.routes(q.sel.Where)
	c.register(q, routes, ok)
	q.residual = !ok || cost >= costNotNull
	for _, name := range behind(q.sel) {
		in(r.behind, name).registerBehind(q)
	}
	r.stats.Queries++
	if q.residual {
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

// Remove forgets a query; it does nothing for one that is not registered.
func (r *Reactor) Remove(q *Query) {
	if q.regs == nil {
		return
	}
	r.stats.Queries--
	if q.residual {
		r.stats.Residual--
	}
	for k := range q.regs {
		x := &q.regs[k]
		if x.remove(q); x.in.n > 0 {
			continue
		}
		if k == 0 {
			delete(r.byCollection, x.in.name)
		} else {
			delete(r.behind, x.in.name)
		}
	}
	q.regs = nil
}

// Stats returns what there is and what was done.
func (r *Reactor) Stats() Stats { return r.stats }

// Apply brings every registered query up to a commit. It calls touched for each
// whose window may have changed, once, or twice one whose rows and what they
// refer to have; and failed for each that cannot be
// evaluated: that one is removed, and harms no other.
func (r *Reactor) Apply(commit []Change, touched func(*Query), failed func(*Query, error)) {
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
			r.offer((*Query).Apply, touched, failed)
		}
		if c := r.behind[name]; c != nil {
			r.route(c, rest[:n:n])
			r.offer((*Query).noteBehind, touched, failed)
		}
		rest = rest[n:]
	}
}

// route finds the queries that changes in a collection concern.
func (r *Reactor) route(c *collection, changes []Change) {
	r.round++
	r.changes = changes
	for k := range changes {
		r.at = k
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

// concern notes that the change at hand concerns queries: it joins the run of
// changes that each is offered.
func (r *Reactor) concern(qs []*Query) {
	for _, q := range qs {
		switch {
		case q.round != r.round:
			q.round, q.first, q.last = r.round, r.at, r.at
			q.run = r.changes[r.at : r.at+1 : r.at+1]
			r.hits = append(r.hits, q)
		case q.last == r.at:
		case len(q.run) == r.at-q.first: // nothing was left out so far
			q.run, q.last = r.changes[q.first:r.at+1:r.at+1], r.at
		default:
			q.run, q.last = append(q.run, r.changes[r.at]), r.at
		}
	}
}

func (r *Reactor) offer(how func(*Query, []Change) bool, touched func(*Query), failed func(*Query, error)) {
	for _, q := range r.hits {
		run := q.run
		q.run = nil
		r.stats.Offered += uint64(len(run))
		q.offered += uint64(len(run))
		switch is, err := q.try(how, run); {
		case err != nil:
			r.Remove(q)
			failed(q, err)
		case is:
			r.stats.Touched++
			q.touched++
			touched(q)
		}
	}
	clear(r.hits)
	r.hits, r.changes = r.hits[:0], nil
}

// try applies changes. What the query was given may panic.
func (q *Query) try(how func(*Query, []Change) bool, changes []Change) (touched bool, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{v}
		}
	}()
	return how(q, changes), nil
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
