package reactor

import (
	"iter"
	"slices"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/keyset"
	"github.com/ankurah/ankurah-go/value"
)

// Joined is an entity with what it refers to.
type Joined struct {
	*entity.State
	To []*entity.State // what each link of the selection leads to, nil for nothing that is seen
}

// Link returns what link k leads to.
func (j *Joined) Link(k int) ankql.Row {
	if s := j.To[k]; s != nil {
		return s
	}
	return nil
}

// Lost yields what j refers to and nobody sees who reads it: the link and the
// entity behind it, which is hidden, deleted or none.
func (j *Joined) Lost(links []ankql.Link) iter.Seq2[*ankql.Link, id.ID] {
	return func(yield func(*ankql.Link, id.ID) bool) {
		for k, to := range j.To {
			from := j.State
			if at := links[k].From; at >= 0 {
				from = j.To[at]
			}
			if to != nil || from == nil {
				continue
			}
			v := from.Value(links[k].Key)
			if v.Kind() == value.KindID && !v.ID().IsZero() && !yield(&links[k], v.ID()) {
				return
			}
		}
	}
}

// Unread is what happened to the rows of a query with links, and to what they
// refer to. What it did to the result is found by reading.
type Unread struct {
	Rows   []Change // of entities of the query's collection
	Behind []Change // of entities that its links may lead to
}

// Any reports whether there is anything.
func (u *Unread) Any() bool { return len(u.Rows)+len(u.Behind) > 0 }

// Joins reports whether the query's selection has links.
func (q *Query) Joins() bool { return q.joins != nil }

// Joined returns the rows of the window with what they refer to, nil for a
// selection without links.
func (q *Query) Joined() []*Joined {
	if q.joins == nil {
		return nil
	}
	out := make([]*Joined, 0, q.Len())
	for _, s := range q.view() {
		out = append(out, q.joins.links[s.ID()])
	}
	return out
}

// Unread returns what has to be read before the rows are right, and takes it
// from the query; [Query.Relate] gives what was read.
func (q *Query) Unread() Unread {
	if q.joins == nil {
		return Unread{}
	}
	u := q.joins.unread
	q.joins.unread = Unread{}
	return u
}

// Return gives back what could not be read. It is told of by [Query.Replace].
func (q *Query) Return(u Unread) {
	if q.joins != nil {
		now := &q.joins.unread
		now.Rows, now.Behind = slices.Concat(u.Rows, now.Rows), slices.Concat(u.Behind, now.Behind)
	}
}

// Behind returns what has happened to entities that rows may refer to, and was
// not read.
func (q *Query) Behind() []Change {
	if q.joins == nil {
		return nil
	}
	return q.joins.unread.Behind
}

// follow notes what has happened, unread by an older query, to entities that
// rows of both refer to.
func (q *Query) follow(older *Query) {
	if q.joins == nil || len(older.joins.unread.Behind) == 0 {
		return
	}
	events, gone := map[id.ID][]id.ID{}, map[id.ID]bool{}
	for _, c := range older.joins.unread.Behind {
		i := c.After.ID()
		events[i] = union(events[i], c.Events)
		gone[i] = !c.After.Exists()
	}
	for _, s := range q.view() {
		was := older.link(s.ID())
		if was == nil {
			continue
		}
		var moved []id.ID
		for _, to := range q.link(s.ID()).To {
			if to != nil {
				moved = union(moved, events[to.ID()])
			}
		}
		for _, to := range was.To {
			if to != nil && gone[to.ID()] {
				moved = union(moved, events[to.ID()])
			}
		}
		if len(moved) > 0 {
			if q.joins.behind == nil {
				q.joins.behind = map[id.ID][]id.ID{}
			}
			q.joins.behind[s.ID()] = moved
		}
	}
}

// Waits reports whether something has to be read, by [Query.Unread] or by
// [Query.Short], before anything is taken from the query.
func (q *Query) Waits() bool { return q.joins != nil && q.joins.unread.Any() || q.Short() != nil }

// note keeps changes of the query's collection for a read.
func (q *Query) note(changes []Change) bool {
	q.joins.unread.Rows = append(q.joins.unread.Rows, changes...)
	return true
}

// Catch brings a query that is not registered up to a commit.
func (q *Query) Catch(commit []Change) {
	if own := In(commit, q.sel.Collection); len(own) > 0 {
		q.Apply(own)
	}
	for _, name := range behind(q.sel) {
		q.noteBehind(In(commit, name))
	}
}

// noteBehind keeps changes of what links lead to, as far as the selection reads
// anything of them that is another now.
func (q *Query) noteBehind(changes []Change) (noted bool) {
	for _, c := range changes {
		if q.reads(&c) {
			q.joins.unread.Behind = append(q.joins.unread.Behind, c)
			noted = true
		}
	}
	return noted
}

// reads reports whether a change of an entity changes what the selection reads
// behind a link.
func (q *Query) reads(c *Change) bool {
	for k := range q.sel.Links {
		l := &q.sel.Links[k]
		if l.Collection != c.After.Collection() {
			continue
		}
		before, after := Seen(l, c.Before), Seen(l, c.After)
		if before == nil && after == nil {
			continue
		}
		if before == nil || after == nil {
			return true
		}
		for j := range q.sel.Links {
			if next := &q.sel.Links[j]; next.From == k && differs(before, after, &ankql.Path{Key: next.Key}) {
				return true
			}
		}
		for _, p := range q.joins.via[k] {
			if differs(before, after, p) {
				return true
			}
		}
	}
	return false
}

func differs(a, b *entity.State, p *ankql.Path) bool {
	return !value.Equal(ankql.Operand(p, a), ankql.Operand(p, b))
}

// Seen returns s if it exists and the link shows it, else nil.
func Seen(l *ankql.Link, s *entity.State) *entity.State {
	if s == nil || !s.Exists() || ankql.Eval(l.Where, s) != ankql.True || l.Allow != nil && !l.Allow(s) {
		return nil
	}
	return s
}

// Relate brings a query with links up to what was read for [Query.Unread]: the
// entities concerned, sorted, and what they refer to now. Of entities to which
// nothing happened themselves Before is After, and Events changed what they
// refer to. It reports whether any row is concerned.
func (q *Query) Relate(changes []Change, joined []*Joined) bool {
	if q.sel.Limit >= 0 {
		for k := range changes {
			if c := &changes[k]; c.Before == c.After && len(c.Events) > 0 {
				if q.joins.behind == nil {
					q.joins.behind = map[id.ID][]id.ID{}
				}
				q.joins.behind[c.After.ID()] = union(q.joins.behind[c.After.ID()], c.Events)
			}
		}
	}
	return q.apply(changes, joined)
}

// FoldChanges merges changes of several commits into one for each entity,
// sorted by entity ID.
func FoldChanges(changes []Change) []Change {
	touches := make([]touch, len(changes))
	for k, c := range changes {
		touches[k] = touch{Change: c}
	}
	touches = fold(touches)
	out := make([]Change, len(touches))
	for k, t := range touches {
		out[k] = t.Change
	}
	return out
}

// routesBehind returns the routes to entities behind link k that can make a
// row match, or stop one: to what a predicate says of one path behind it. ok
// is false when it says nothing: then every change concerns the query.
func (c *collection) routesBehind(q *Query, k int) (best []route, ok bool) {
	cost := 0
	for _, own := range q.joins.via[k] {
		p := *own
		p.Via = k + 1
		set := keyset.Of(q.sel.Where, &p)
		if set.Contains(keyset.NullKey) { // also where there is nothing behind the link
			continue
		}
		if rs, n, found := c.routesBy(own, set); found && (!ok || n < cost) {
			best, cost, ok = rs, n, true
		}
	}
	return best, ok
}

// registerBehind registers a query for what its links lead to in a collection.
func (c *collection) registerBehind(q *Query) {
	var all []route
	for k := range q.sel.Links {
		if q.sel.Links[k].Collection != c.name {
			continue
		}
		routes, ok := c.routesBehind(q, k)
		if !ok {
			c.register(&q.subscriber, nil, false)
			return
		}
		all = append(all, routes...)
	}
	c.register(&q.subscriber, all, true)
}

// registration is that a subscriber is offered the changes of a collection.
type registration struct {
	in     *collection
	routes []route
	routed bool // else every change
}

func (r *registration) remove(q *subscriber) {
	r.in.n--
	if !r.routed {
		r.in.rest = without(r.in.rest, q)
	}
	for _, x := range r.routes {
		x.at.remove(x, q)
	}
	r.in.prune()
}

// behind returns the collections that the links of a selection lead to, each
// once.
func behind(sel *ankql.Selection) (out []string) {
	for k := range sel.Links {
		if name := sel.Links[k].Collection; !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}
