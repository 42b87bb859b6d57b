package ankurah

import (
	"iter"
	"slices"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/internal/reactor"
	"github.com/ankurah/ankurah-go/internal/sorting"
)

// ChangeKind is what happened to a row of a live query.
type ChangeKind uint8

const (
	Initial ChangeKind = iota + 1 // was there when the query began
	Added                         // now matches
	Updated                       // still matches
	Removed                       // no longer matches, was deleted, or left the window
)

// String returns the kind's name.
func (k ChangeKind) String() string {
	if k < Initial || k > Removed {
		return "none"
	}
	return [...]string{"initial", "added", "updated", "removed"}[k-Initial]
}

// Change is what happened to one row.
type Change[V AnyView] struct {
	Kind ChangeKind
	// Created: Added, and the entity was created in this change set and did not
	// begin to match by an edit. It is false where a server does not know, after
	// it was stopped for longer than NodeOptions.FeedRetention.
	Created bool
	Before  V // zero for Initial and Added
	After   V // zero for Removed
	// Events are those that caused it, sorted. There are none when another row
	// did, nor for a row that came or went while a server could not hear of it.
	Events []ID
}

// Row returns the row as it is after the change, or as it was when it was
// removed.
func (c Change[V]) Row() V {
	if c.Kind == Removed {
		return c.Before
	}
	return c.After
}

// ID returns the ID of the entity that changed.
func (c Change[V]) ID() ID { return c.Row().ID() }

// ChangeSet is what one commit, or several whole ones, did to a live query:
// removed rows first, then the others in the order of the result (S22).
type ChangeSet[V AnyView] struct{ Changes []Change[V] }

// Of yields the changes of a kind.
func (cs ChangeSet[V]) Of(kind ChangeKind) iter.Seq[Change[V]] {
	return func(yield func(Change[V]) bool) {
		for _, c := range cs.Changes {
			if c.Kind == kind && !yield(c) {
				return
			}
		}
	}
}

// Created yields the rows of entities created in this change set.
func (cs ChangeSet[V]) Created() iter.Seq[Change[V]] {
	return func(yield func(Change[V]) bool) {
		for c := range cs.Of(Added) {
			if c.Created && !yield(c) {
				return
			}
		}
	}
}

// Initial yields the rows that were there when the query began.
func (cs ChangeSet[V]) Initial() iter.Seq[Change[V]] { return cs.Of(Initial) }

// Added yields the rows that now match.
func (cs ChangeSet[V]) Added() iter.Seq[Change[V]] { return cs.Of(Added) }

// Updated yields the rows that changed and still match.
func (cs ChangeSet[V]) Updated() iter.Seq[Change[V]] { return cs.Of(Updated) }

// Removed yields the rows that left the result.
func (cs ChangeSet[V]) Removed() iter.Seq[Change[V]] { return cs.Of(Removed) }

// coalesce merges the row changes of whole commits into one set: what they did
// together to each row, in the order of the result.
func coalesce(first, then []reactor.RowChange, sel *ankql.Selection) []reactor.RowChange {
	out := slices.Clone(first)
	at := map[ID]int{}
	for k := range out {
		at[rowID(&out[k])] = k
	}
	for _, c := range then {
		k, met := at[rowID(&c)]
		if !met {
			at[rowID(&c)] = len(out)
			out = append(out, c)
			continue
		}
		out[k] = follow(out[k], c)
	}
	out = slices.DeleteFunc(out, func(c reactor.RowChange) bool { return c.Kind == 0 })
	sorting.Stable(out, func(a, b reactor.RowChange) int {
		if c := stayed(a) - stayed(b); c != 0 || a.After == nil {
			return c
		}
		return sel.Compare(a.Row(), b.Row())
	})
	return out
}

func stayed(c reactor.RowChange) int {
	if c.Kind == reactor.Removed {
		return 0
	}
	return 1
}

func rowID(c *reactor.RowChange) ID {
	if c.After != nil {
		return c.After.ID()
	}
	return c.Before.ID()
}

// follow returns what a and then b did to a row; the zero RowChange when it is
// nothing.
func follow(a, b reactor.RowChange) reactor.RowChange {
	events := slices.Concat(a.Events, b.Events)
	there, stays := a.Kind == reactor.Updated || a.Kind == reactor.Removed, b.Kind != reactor.Removed
	switch {
	case there && stays && b.Joined == nil && a.Before.Rev() == b.After.Rev() && a.Before.Head().Equal(b.After.Head()):
		return reactor.RowChange{}
	case there && stays:
		return reactor.RowChange{Kind: reactor.Updated, Before: a.Before, After: b.After, Events: events, Joined: b.Joined}
	case there:
		return reactor.RowChange{Kind: reactor.Removed, Before: a.Before, Events: events}
	case stays:
		return reactor.RowChange{Kind: a.Kind, Created: a.Created, After: b.After, Events: events, Joined: b.Joined}
	}
	return reactor.RowChange{}
}
