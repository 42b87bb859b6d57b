package reactor

import (
	"math"
	"slices"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/id"
)

// Kind is what happened to a row of a live query (S51).
type Kind uint8

const (
	Initial Kind = iota + 1 // was there when the query began
	Added                   // now matches
	Updated                 // still matches
	Removed                 // no longer matches, was deleted, or left the window
)

// RowChange is what happened to one row.
type RowChange struct {
	Kind    Kind
	Created bool          // Added: the entity was created in this change set
	Before  *entity.State // nil for Initial and Added
	After   *entity.State // nil for Removed
	Now     *entity.State // Removed: the entity after the commit; nil when nothing happened to it
	Events  []id.ID       // that caused it, sorted
}

// Query is one live query: a selection and the rows that match it.
//
// Of a query with LIMIT it keeps more rows than the window shows, so that most
// rows that leave can be replaced without reading: it knows every matching row
// up to bound. A nil bound is no bound: it knows all of them.
type Query struct {
	Owner any // the caller's

	sel   *ankql.Selection
	allow func(*entity.State) bool // nil: every entity
	rows  []*entity.State          // known matches in the selection's order
	byID  map[id.ID]*entity.State
	bound *ankql.Cursor

	// What happened since the last report. Without LIMIT it is the changes of
	// rows. With LIMIT it is the window last reported and all of the commits
	// since the first that concerned a row: rows also enter from beyond bound.
	recent  []Change
	shown   []*entity.State
	commits [][]Change

	forgot bool // the rows have to be read again

	// Of the reactor that it is registered with.
	home   *collection
	routes []route
	routed bool // else every change is offered
	round  uint64
	run    []Change // that are to be offered
	first  int      // of the changes of the commit, in run
	last   int

	offered, touched uint64
}

// Counts returns how many changes the query evaluated, and how many commits
// concerned its rows.
func (q *Query) Counts() (offered, touched uint64) { return q.offered, q.touched }

// NewQuery returns a query without rows; [Query.Reset] gives it some. allow
// decides on entities beside the selection, nil allows all.
func NewQuery(sel *ankql.Selection, allow func(*entity.State) bool) *Query {
	return &Query{sel: sel, allow: allow, byID: map[id.ID]*entity.State{}}
}

// Selection returns the query's selection.
func (q *Query) Selection() *ankql.Selection { return q.sel }

// Hydrate returns the selection to read for [Query.Reset]: the window with
// some slack behind it.
func (q *Query) Hydrate() *ankql.Selection {
	sel := *q.sel
	if sel.Limit >= 0 {
		sel.Limit = q.keep()
	}
	return &sel
}

// keep is how many rows of a limited query are kept. Twice as many are still a
// number, whatever the limit.
func (q *Query) keep() int {
	n := min(q.sel.Limit, math.MaxInt/4)
	return n + max(8, min(n, 64))
}

// Reset sets the rows to those that a read of [Query.Hydrate] yielded, already
// allowed, and takes them as reported.
func (q *Query) Reset(rows []*entity.State) {
	q.rows, q.bound, q.recent, q.commits = rows, nil, nil, nil
	q.byID = make(map[id.ID]*entity.State, len(rows))
	for _, r := range rows {
		q.byID[r.ID()] = r
	}
	if q.sel.Limit >= 0 && len(rows) >= q.keep() {
		q.bound = q.sel.CursorOf(rows[len(rows)-1])
	}
	q.shown = q.window()
}

// Rows returns the window. The slice is the caller's.
func (q *Query) Rows() []*entity.State { return slices.Clone(q.view()) }

// Allow replaces the check beside the selection. [Query.Forget] follows.
func (q *Query) Allow(allow func(*entity.State) bool) { q.allow = allow }

// Len returns the number of rows in the window.
func (q *Query) Len() int { return len(q.view()) }

func (q *Query) view() []*entity.State {
	if q.sel.Limit >= 0 && len(q.rows) > q.sel.Limit {
		return q.rows[:q.sel.Limit]
	}
	return q.rows
}

// window returns a copy of the view of a limited query, nil of any other.
func (q *Query) window() []*entity.State {
	if q.sel.Limit < 0 {
		return nil
	}
	return slices.Clone(q.view())
}

func (q *Query) matches(s *entity.State) bool {
	return q.selects(s) && (q.allow == nil || q.allow(s))
}

func (q *Query) selects(s *entity.State) bool {
	return s.Exists() && q.sel.Match(s) && (q.sel.After == nil || q.sel.CompareCursor(s, q.sel.After) > 0)
}

// Apply brings the query up to the changes of one commit in its collection,
// which are sorted by entity and stay as they are, and reports whether any row
// is concerned. A change whose After is [entity.Gone] removes; one whose Before
// is its After offers an entity again that was not allowed before, or that is
// not allowed any more.
func (q *Query) Apply(changes []Change) bool {
	if q.forgot { // what is read again has these in it
		q.commits = append(q.commits, q.concerning(changes))
		return true
	}
	touched := false
	for _, c := range changes {
		old := q.byID[c.After.ID()]
		now := q.matches(c.After)
		if now && q.bound != nil && q.sel.CompareCursor(c.After, q.bound) > 0 {
			now = false // beyond what is known; a refill will find it
		}
		if old == nil && !now {
			continue
		}
		touched = true
		if q.sel.Limit < 0 {
			q.recent = append(q.recent, c)
		}
		if old != nil {
			q.remove(old)
		}
		if now {
			q.insert(c.After)
		}
	}
	if q.sel.Limit >= 0 && (touched || len(q.commits) > 0) {
		q.commits = append(q.commits, q.concerning(changes))
	}
	return touched
}

// concerning returns the changes of entities that are selected before or after,
// whether or not they are allowed now. They are what a change of a row, also of
// one from beyond bound, is caused by.
func (q *Query) concerning(changes []Change) []Change {
	for k := range changes {
		if !q.concerns(&changes[k]) {
			out := slices.Clone(changes[:k])
			for _, c := range changes[k+1:] {
				if q.concerns(&c) {
					out = append(out, c)
				}
			}
			return out
		}
	}
	return changes
}

func (q *Query) concerns(c *Change) bool {
	return q.selects(c.After) || c.Before != nil && q.selects(c.Before)
}

func (q *Query) find(s *entity.State) (int, bool) {
	return slices.BinarySearchFunc(q.rows, s, func(a, b *entity.State) int { return q.sel.Compare(a, b) })
}

func (q *Query) remove(s *entity.State) {
	k, _ := q.find(s)
	q.rows = slices.Delete(q.rows, k, k+1)
	delete(q.byID, s.ID())
}

func (q *Query) insert(s *entity.State) {
	k, _ := q.find(s)
	q.rows = slices.Insert(q.rows, k, s)
	q.byID[s.ID()] = s
	if q.sel.Limit < 0 || len(q.rows) <= 2*q.keep() {
		return
	}
	for _, far := range q.rows[q.keep():] {
		delete(q.byID, far.ID())
	}
	clear(q.rows[q.keep():])
	q.rows = q.rows[:q.keep()]
	q.bound = q.sel.CursorOf(q.rows[len(q.rows)-1])
}

// Forget drops the rows of a limited query, whose check has changed. They are
// read again as rows that it lacks.
func (q *Query) Forget() {
	q.rows, q.bound, q.forgot = nil, nil, true
	clear(q.byID)
	if len(q.commits) == 0 {
		q.commits = [][]Change{nil} // there is something to report
	}
}

// Short returns the selection to read rows from that the window lacks, nil
// when it lacks none. Nothing may be taken from the query before the rows were
// given to [Query.Refill].
func (q *Query) Short() *ankql.Selection {
	if q.forgot {
		return q.Hydrate()
	}
	if q.bound == nil || len(q.rows) >= q.sel.Limit {
		return nil
	}
	sel := *q.sel
	sel.After = q.bound
	sel.Limit = q.keep() - len(q.rows)
	return &sel
}

// Refill appends the allowed rows that a read of [Query.Short] yielded.
// wanted is the limit of that read.
func (q *Query) Refill(rows []*entity.State, wanted int) {
	q.forgot = false
	for _, r := range rows {
		q.byID[r.ID()] = r
	}
	q.rows = append(q.rows, rows...)
	if len(rows) < wanted {
		q.bound = nil
	} else {
		q.bound = q.sel.CursorOf(rows[len(rows)-1])
	}
}

// Take returns what happened to the rows since the last Take or Reset: removed
// rows first, then the others in the order of the result. Nil when nothing
// did.
func (q *Query) Take() []RowChange {
	switch {
	case len(q.commits) > 0:
		return q.difference(q.shown, q.commits)
	case len(q.recent) > 0:
		changes := Fold(q.recent)
		q.recent = nil
		return q.membership(changes)
	}
	return nil
}

// Fold merges the changes of several commits into one for each entity, sorted
// by entity ID.
func Fold(changes []Change) []Change {
	out := slices.Clone(changes)
	slices.SortStableFunc(out, func(a, b Change) int { return a.After.ID().Compare(b.After.ID()) })
	n := 0
	for _, c := range out {
		if n > 0 && out[n-1].After.ID() == c.After.ID() {
			last := &out[n-1]
			last.After = c.After
			last.Events = union(last.Events, c.Events)
			continue
		}
		out[n] = c
		n++
	}
	return out[:n]
}

// union returns the IDs in both, sorted; no event is in two commits.
func union(a, b []id.ID) []id.ID {
	if len(a) == 0 {
		return b
	}
	out := slices.Concat(a, b)
	slices.SortFunc(out, id.ID.Compare)
	return out
}

// membership reports on a query without LIMIT: only what changed can have come
// or gone.
func (q *Query) membership(changes []Change) []RowChange {
	var removed []RowChange
	rest := make([]RowChange, 0, len(changes))
	for _, c := range changes {
		before := c.Before != nil && q.matches(c.Before)
		_, after := q.byID[c.After.ID()]
		switch {
		case c.Before == c.After: // offered again, and nothing happened
		case before && after:
			rest = append(rest, RowChange{Kind: Updated, Before: c.Before, After: c.After, Events: c.Events})
		case after:
			rest = append(rest, RowChange{Kind: Added, Created: c.created(), After: c.After, Events: c.Events})
		case before:
			removed = append(removed, RowChange{Kind: Removed, Before: c.Before, Now: c.After, Events: c.Events})
		}
	}
	q.sortRows(rest)
	return append(removed, rest...)
}

func (q *Query) sortRows(rows []RowChange) {
	slices.SortFunc(rows, func(a, b RowChange) int { return q.sel.Compare(a.After, b.After) })
}

// difference reports on the rows now and those shown before, which some
// commits have changed: rows of a window also come and go because of others.
func (q *Query) difference(shown []*entity.State, commits [][]Change) []RowChange {
	q.commits = nil
	old := make(map[id.ID]*entity.State, len(shown))
	for _, s := range shown {
		old[s.ID()] = s
	}
	var removed, rest []RowChange
	for _, s := range q.view() {
		was, there := old[s.ID()]
		delete(old, s.ID())
		if there && was.Head().Equal(s.Head()) {
			continue
		}
		r := RowChange{Kind: Added, After: s}
		r.Events, _, r.Created = causes(commits, s.ID())
		if there {
			r.Kind, r.Created, r.Before = Updated, false, was
		}
		rest = append(rest, r)
	}
	for _, s := range shown {
		if _, gone := old[s.ID()]; gone {
			r := RowChange{Kind: Removed, Before: s}
			r.Events, r.Now, _ = causes(commits, s.ID())
			removed = append(removed, r)
		}
	}
	q.shown = q.window()
	return append(removed, rest...)
}

// causes returns the events by which commits changed an entity, what they led
// to, and whether they created it.
func causes(commits [][]Change, i id.ID) (events []id.ID, now *entity.State, created bool) {
	for _, changes := range commits {
		k, ok := slices.BinarySearchFunc(changes, i, func(c Change, i id.ID) int { return c.After.ID().Compare(i) })
		if !ok {
			continue
		}
		if changes[k].Before == changes[k].After {
			continue // offered again
		}
		now, created = changes[k].After, created || changes[k].created()
		events = union(events, changes[k].Events)
	}
	return events, now, created
}

// Replace reports the difference between the rows last reported of an older
// query and those of q, as when a selection was changed in place (S54).
func (q *Query) Replace(older *Query) []RowChange {
	shown := older.shown
	if older.sel.Limit < 0 {
		shown = older.rows
	}
	return q.difference(shown, older.commits)
}
