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

// Reactor routes commits to queries.
type Reactor interface {
	// Add registers a query.
	Add(q *Query)
	// Remove forgets a query; it does nothing for one that is not registered.
	Remove(q *Query)
	// Apply brings every registered query up to a commit and calls touched
	// once for each whose window may have changed.
	Apply(commit []Change, touched func(*Query))
	// Len returns the number of registered queries.
	Len() int
}

// Scanning is a [Reactor] without an index.
type Scanning struct {
	byCollection map[string][]*Query
	n            int
}

// NewScanning returns an empty reactor.
func NewScanning() *Scanning { return &Scanning{byCollection: map[string][]*Query{}} }

// Add registers a query.
func (r *Scanning) Add(q *Query) {
	c := q.sel.Collection
	r.byCollection[c] = append(r.byCollection[c], q)
	r.n++
}

// Remove forgets a query.
func (r *Scanning) Remove(q *Query) {
	c := q.sel.Collection
	qs := r.byCollection[c]
	k := slices.Index(qs, q)
	if k < 0 {
		return
	}
	r.n--
	if qs = slices.Delete(qs, k, k+1); len(qs) == 0 {
		delete(r.byCollection, c)
		return
	}
	r.byCollection[c] = qs
}

// Apply offers the commit to every query of the collections in it.
func (r *Scanning) Apply(commit []Change, touched func(*Query)) {
	for first, rest := commit, commit; len(rest) > 0; first = rest {
		c := first[0].After.Collection()
		n := 1
		for n < len(rest) && rest[n].After.Collection() == c {
			n++
		}
		for _, q := range r.byCollection[c] {
			if q.Apply(rest[:n]) {
				touched(q)
			}
		}
		rest = rest[n:]
	}
}

// Len returns the number of registered queries.
func (r *Scanning) Len() int { return r.n }
