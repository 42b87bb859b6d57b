package reactor

import (
	"math"
	"slices"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/sorting"
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
	Joined  *Joined       // After with what it refers to; nil for selections without links
}

// Row returns After as the selection reads it.
func (c *RowChange) Row() ankql.Row {
	if c.Joined != nil {
		return c.Joined
	}
	return c.After
}

// Query is one live query: a selection and the rows that match it.
//
// Of a query with LIMIT it keeps more rows than the window shows, so that most
// rows that leave can be replaced without reading: it knows every matching row
// up to bound. A nil bound is no bound: it knows all of them.
type Query struct {
	subscriber

	sel   *ankql.Selection
	allow func(*entity.State) bool // nil: every entity
	rows  []*entity.State          // known matches in the selection's order
	byID  map[id.ID]*entity.State  // the same; nil while they are few
	joins *joins                   // nil for selections without links
	bound *ankql.Cursor

	// What happened since the last report. Without LIMIT it is the changes of
	// rows. With LIMIT it is the window last reported and all of the commits
	// since the first that concerned a row: rows also enter from beyond bound.
	recent  []touch
	shown   []*entity.State
	commits [][]Change

	// Every has rows reported as updated whenever what they refer to may be
	// another, also where no event is known to be the cause.
	Every  bool
	forgot bool // the rows have to be read again
}

// joins is what a query with links has besides.
type joins struct {
	links  map[id.ID]*Joined // the rows with what they refer to
	via    [][]*ankql.Path   // what the selection reads behind each link
	unread Unread            // what links have to be read for
	behind map[id.ID][]id.ID // events that changed what rows refer to, and were not reported
}

// few is how many rows are found by looking at all of them. Most results are
// small, and a map takes more than they do.
const few = 16

// touch is a change of a row, and what the row was before.
type touch struct {
	Change
	was *entity.State // nil: it was none
}

// NewQuery returns a query without rows; [Query.Reset] gives it some. allow
// decides on entities beside the selection, nil allows all.
func NewQuery(sel *ankql.Selection, allow func(*entity.State) bool) *Query {
	q := &Query{sel: sel, allow: allow}
	if len(sel.Links) > 0 {
		q.joins = &joins{links: map[id.ID]*Joined{}, via: sel.Behind()}
	}
	return q
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
// allowed, and takes them as reported. joined has the same rows with what they
// refer to when the selection has links.
func (q *Query) Reset(rows []*entity.State, joined []*Joined) {
	q.rows, q.byID, q.bound, q.recent, q.commits = nil, nil, nil, nil, nil
	if q.joins != nil {
		clear(q.joins.links)
		q.joins.behind = nil
	}
	q.append(rows, joined)
	if q.sel.Limit >= 0 && len(rows) >= q.keep() {
		q.bound = q.cursor()
	}
	q.shown = q.window()
}

// append adds rows that come behind those there are.
func (q *Query) append(rows []*entity.State, joined []*Joined) {
	for _, j := range joined {
		q.joins.links[j.ID()] = j
	}
	if q.rows == nil {
		q.rows = rows
	} else {
		q.rows = append(q.rows, rows...)
	}
	q.index(rows...)
}

// index notes rows that were added.
func (q *Query) index(added ...*entity.State) {
	if q.byID == nil {
		if len(q.rows) <= few {
			return
		}
		q.byID, added = make(map[id.ID]*entity.State, len(q.rows)), q.rows
	}
	for _, s := range added {
		q.byID[s.ID()] = s
	}
}

// known returns the row of an entity, nil when it is none.
func (q *Query) known(i id.ID) *entity.State {
	if q.byID != nil {
		return q.byID[i]
	}
	for _, s := range q.rows {
		if s.ID() == i {
			return s
		}
	}
	return nil
}

// link returns the row of an entity with what it refers to, nil for selections
// without links.
func (q *Query) link(i id.ID) *Joined {
	if q.joins == nil {
		return nil
	}
	return q.joins.links[i]
}

// cursor returns the position of the last row.
func (q *Query) cursor() *ankql.Cursor { return q.CursorOf(q.rows[len(q.rows)-1]) }

// CursorOf returns the position of a row in the selection's order.
func (q *Query) CursorOf(s *entity.State) *ankql.Cursor { return q.sel.CursorOf(q.row(s)) }

// row returns a row as the selection reads it.
func (q *Query) row(s *entity.State) ankql.Row {
	if j := q.link(s.ID()); j != nil {
		return j
	}
	return s
}

func (q *Query) compare(a, b *entity.State) int { return q.sel.Compare(q.row(a), q.row(b)) }

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

func (q *Query) matches(s *entity.State, r ankql.Row) bool {
	return q.selects(s, r) && (q.allow == nil || q.allow(s))
}

// selects reports whether the selection reads r, which is s, as a row.
func (q *Query) selects(s *entity.State, r ankql.Row) bool {
	return s.Exists() && q.sel.Match(r) && (q.sel.After == nil || q.sel.CompareCursor(r, q.sel.After) > 0)
}

// Apply brings the query up to the changes of one commit in its collection,
// which are sorted by entity and stay as they are, and reports whether any row
// is concerned. A change whose After is [entity.Gone] removes; one whose Before
// is its After offers an entity again that was not allowed before, or that is
// not allowed any more. A query with links only notes what has to be read
// ([Query.Unread]).
func (q *Query) Apply(changes []Change) bool {
	if q.joins != nil {
		return q.note(changes)
	}
	return q.apply(changes, nil)
}

func (q *Query) apply(changes []Change, joined []*Joined) bool {
	if q.forgot { // what is read again has these in it
		q.commits = append(q.commits, q.concerning(changes, joined))
		return true
	}
	touched := false
	for k, c := range changes {
		var r ankql.Row = c.After
		if joined != nil {
			r = joined[k]
		}
		old := q.known(c.After.ID())
		now := q.matches(c.After, r)
		if now && q.bound != nil && q.sel.CompareCursor(r, q.bound) > 0 {
			now = false // beyond what is known; a refill will find it
		}
		if old == nil && !now {
			continue
		}
		touched = true
		if !q.differs() {
			q.recent = append(q.recent, touch{c, old})
		}
		if old != nil {
			q.remove(old)
		}
		if now {
			if joined != nil {
				q.joins.links[c.After.ID()] = joined[k]
			}
			q.insert(c.After)
		}
	}
	if q.differs() && (touched || len(q.commits) > 0) {
		q.commits = append(q.commits, q.concerning(changes, joined))
	}
	return touched
}

// differs reports whether what happened is found by comparing the rows with
// those last reported.
func (q *Query) differs() bool { return q.sel.Limit >= 0 || len(q.commits) > 0 }

// concerning returns the changes of entities that are selected before or after,
// whether or not they are allowed now. They are what a change of a row, also of
// one from beyond bound, is caused by. What an entity referred to before is not
// known, so with links all are.
func (q *Query) concerning(changes []Change, joined []*Joined) []Change {
	if joined != nil {
		return changes
	}
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
	return q.selects(c.After, c.After) || c.Before != nil && q.selects(c.Before, c.Before)
}

func (q *Query) find(s *entity.State) (int, bool) {
	return slices.BinarySearchFunc(q.rows, s, q.compare)
}

func (q *Query) remove(s *entity.State) {
	k, _ := q.find(s)
	q.rows = slices.Delete(q.rows, k, k+1)
	q.forget(s)
}

func (q *Query) forget(s *entity.State) {
	delete(q.byID, s.ID())
	if q.joins != nil {
		delete(q.joins.links, s.ID())
	}
}

func (q *Query) insert(s *entity.State) {
	k, _ := q.find(s)
	q.rows = slices.Insert(q.rows, k, s)
	q.index(s)
	if q.sel.Limit < 0 || len(q.rows) <= 2*q.keep() {
		return
	}
	for _, far := range q.rows[q.keep():] {
		q.forget(far)
	}
	clear(q.rows[q.keep():])
	q.rows = q.rows[:q.keep()]
	q.bound = q.cursor()
}

// Forget drops the rows of a query whose check has changed. They are read again
// as rows that it lacks.
func (q *Query) Forget() {
	if !q.differs() {
		q.shown, q.commits = q.reported()
	}
	q.rows, q.byID, q.bound, q.forgot = nil, nil, nil, true // links are kept until then: for Told and Replace
	if len(q.commits) == 0 {
		q.commits = [][]Change{nil} // there is something to report
	}
}

// Told returns the rows of a query that were last reported before
// [Query.Forget], and what they referred to then.
func (q *Query) Told() (rows, behind []*entity.State) {
	for _, s := range q.shown {
		if j := q.link(s.ID()); j != nil {
			behind = append(behind, slices.DeleteFunc(slices.Clone(j.To), func(to *entity.State) bool { return to == nil })...)
		}
	}
	return slices.Clone(q.shown), behind
}

// reported returns the rows of a query without LIMIT as they were last
// reported, and what has happened since.
func (q *Query) reported() (shown []*entity.State, since [][]Change) {
	before := make(map[id.ID]*entity.State, len(q.rows))
	for _, s := range q.rows {
		before[s.ID()] = s
	}
	for _, t := range slices.Backward(q.recent) {
		since = append(since, []Change{t.Change})
		if t.was != nil {
			before[t.was.ID()] = t.was
		} else {
			delete(before, t.After.ID())
		}
	}
	slices.Reverse(since)
	q.recent = nil
	for _, s := range before {
		shown = append(shown, s)
	}
	sorting.Sort(shown, func(a, b *entity.State) int { return a.ID().Compare(b.ID()) })
	return shown, since
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
func (q *Query) Refill(rows []*entity.State, joined []*Joined, wanted int) {
	if q.forgot && q.joins != nil {
		clear(q.joins.links)
	}
	q.forgot = false
	q.append(rows, joined)
	if wanted < 0 || len(rows) < wanted {
		q.bound = nil
	} else {
		q.bound = q.cursor()
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
		recent := q.recent
		q.recent = nil
		return q.membership(fold(recent))
	}
	return nil
}

// fold merges the changes of several commits into one for each entity, sorted
// by entity ID.
func fold(changes []touch) []touch {
	sorting.Stable(changes, func(a, b touch) int { return a.After.ID().Compare(b.After.ID()) })
	n := 0
	for _, c := range changes {
		if n > 0 && changes[n-1].After.ID() == c.After.ID() {
			last := &changes[n-1]
			last.After = c.After
			last.Events = union(last.Events, c.Events)
			continue
		}
		changes[n] = c
		n++
	}
	return changes[:n]
}

// union returns the IDs in both, sorted.
func union(a, b []id.ID) []id.ID {
	if len(a) == 0 {
		return b
	}
	out := slices.Concat(a, b)
	sorting.Sort(out, id.ID.Compare)
	return slices.Compact(out)
}

// membership reports on a query without LIMIT: only what changed can have come
// or gone.
func (q *Query) membership(changes []touch) []RowChange {
	var removed []RowChange
	rest := make([]RowChange, 0, len(changes))
	for _, c := range changes {
		after := q.known(c.After.ID())
		switch {
		case c.was != nil && after != nil:
			if (len(c.Events) > 0 || q.Every) && (c.was != after || q.joins != nil) {
				rest = append(rest, q.changed(RowChange{Kind: Updated, Before: c.was, After: after, Events: c.Events}))
			}
		case after != nil:
			rest = append(rest, q.changed(RowChange{Kind: Added, Created: c.created(), After: after, Events: c.Events}))
		case c.was != nil:
			removed = append(removed, RowChange{Kind: Removed, Before: c.was, Now: c.After, Events: c.Events})
		}
	}
	q.sortRows(rest)
	return append(removed, rest...)
}

// changed completes a change with what its row refers to.
func (q *Query) changed(c RowChange) RowChange {
	c.Joined = q.link(c.After.ID())
	return c
}

func (q *Query) sortRows(rows []RowChange) {
	sorting.Sort(rows, func(a, b RowChange) int { return q.compare(a.After, b.After) })
}

// difference reports on the rows now and those shown before, which some
// commits have changed: rows of a window also come and go because of others.
func (q *Query) difference(shown []*entity.State, commits [][]Change) []RowChange {
	var behind map[id.ID][]id.ID
	if q.joins != nil {
		behind, q.joins.behind = q.joins.behind, nil
	}
	q.commits = nil
	old := make(map[id.ID]*entity.State, len(shown))
	for _, s := range shown {
		old[s.ID()] = s
	}
	var removed, rest []RowChange
	for _, s := range q.view() {
		was, there := old[s.ID()]
		delete(old, s.ID())
		moved := behind[s.ID()]
		if there && len(moved) == 0 && !q.Every && alike(was, s) {
			continue
		}
		r := RowChange{Kind: Added, After: s}
		r.Events, _, r.Created = causes(commits, s.ID())
		r.Events = union(r.Events, moved)
		if there {
			r.Kind, r.Created, r.Before = Updated, false, was
		}
		rest = append(rest, q.changed(r))
	}
	for _, s := range shown {
		if _, gone := old[s.ID()]; gone {
			r := RowChange{Kind: Removed, Before: s}
			r.Events, r.Now, _ = causes(commits, s.ID())
			r.Events = union(r.Events, behind[s.ID()])
			removed = append(removed, r)
		}
	}
	q.shown = q.window()
	return append(removed, rest...)
}

// alike reports whether two states are one. A head alone does not say so: a
// pending event on top of another base leads to the same head.
func alike(a, b *entity.State) bool {
	return a == b || a.Head().Equal(b.Head()) && a.Rev() == b.Rev() && len(entity.Changed(a, b)) == 0
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

// Hold returns a copy that shows what q does, whatever happens. While it is
// registered it notes what happens to what sel selects, which is at least what q
// does and in the same order, for [Query.Replace]. What was read for q and is not
// reported is left to [Query.Return].
func (q *Query) Hold(sel *ankql.Selection) *Query {
	h := NewQuery(sel, nil)
	h.rows, h.forgot = q.Rows(), true
	h.index(h.rows...)
	switch {
	case q.differs():
		h.shown, h.commits = q.shown, slices.Clone(q.commits)
	case len(q.recent) > 0:
		was := *q
		h.shown, h.commits = was.reported()
	default:
		h.shown = h.rows
	}
	if q.joins != nil {
		for _, j := range q.Joined() {
			h.joins.links[j.ID()] = j
		}
		h.commits = nil // unread has all
		h.Return(q.joins.unread)
	}
	return h
}

// Replace reports the difference between the rows last reported of an older
// query and those of q, as when a selection was changed in place (S54).
func (q *Query) Replace(older *Query) []RowChange {
	shown := older.shown
	if !older.forgot && !older.differs() {
		shown = older.rows
	}
	since := slices.Clip(older.commits)
	if older.joins != nil {
		for _, c := range older.joins.unread.Rows {
			since = append(since, []Change{c})
		}
		q.follow(older)
	}
	return q.difference(shown, since)
}
