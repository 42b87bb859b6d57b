package sim

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/core"
	"github.com/ankurah/ankurah-go/internal/reactor"
)

// texts are the live queries of clients.
var texts = []string{
	"", "n > 5", "n < 10 AND tag = 'a'", "ORDER BY n LIMIT 3", "tag = 'b' ORDER BY n DESC LIMIT 2",
	"NOT (n = 3) ORDER BY tag, n LIMIT 4", "tag IS NULL", "n IN (1, 2, 3) ORDER BY n LIMIT 1", "other IS NOT NULL OR n = 7",
}

// query is a live query of a client, and what became of its rows by what it
// was told.
type query struct {
	n      *node
	q      *core.Query
	text   string
	ready  bool
	failed error
	synced bool
	rows   map[id.ID]*entity.State
}

// Ready takes the first rows.
func (q *query) Ready() {
	q.ready = true
	q.rows = map[id.ID]*entity.State{}
	for _, s := range q.q.Rows() {
		q.rows[s.ID()] = s
	}
	q.check()
}

// Changed folds what happened into the rows: what comes of it is the result.
func (q *query) Changed(changes []reactor.RowChange) {
	w := q.n.w
	for _, r := range changes {
		if r.Before != nil {
			have := q.rows[r.Before.ID()]
			if have == nil {
				w.failf("%s %q: %s is said to have changed that was not there", q.n.name, q.text, r.Before.ID())
			} else if !same(have, r.Before) {
				w.failf("%s %q: %s was in another state before", q.n.name, q.text, r.Before.ID())
			}
		}
		if r.Kind == reactor.Updated && len(r.Events) == 0 {
			w.failf("%s %q: %s is said to have changed, and no event is (S51)", q.n.name, q.text, r.After.ID())
		}
		switch r.Kind {
		case reactor.Added:
			if q.rows[r.After.ID()] != nil {
				w.failf("%s %q: %s came and was there", q.n.name, q.text, r.After.ID())
			}
			q.rows[r.After.ID()] = r.After
		case reactor.Updated:
			q.rows[r.After.ID()] = r.After
		case reactor.Removed:
			delete(q.rows, r.Before.ID())
		default:
			w.failf("%s %q: a change of kind %d", q.n.name, q.text, r.Kind)
		}
	}
	q.check()
}

// Failed ends the query.
func (q *query) Failed(err error) {
	q.n.w.note("%s %q failed: %v", q.n.name, q.text, err)
	if q.failed = err; errors.Is(err, errIO) { // of this node's disk
		q.n.queries = slices.DeleteFunc(q.n.queries, func(o *query) bool { return o == q })
	}
}

// Synced notes whether the server has said all.
func (q *query) Synced(synced bool) {
	q.synced = synced
	if synced {
		q.check()
	}
}

// check holds the rows against the result, and against what was seen before.
func (q *query) check() {
	w := q.n.w
	rows := q.q.Rows()
	if len(rows) != len(q.rows) {
		w.failf("%s %q: the changes add up to %d rows, it has %d", q.n.name, q.text, len(q.rows), len(rows))
		return
	}
	for k, s := range rows {
		if have := q.rows[s.ID()]; have == nil || !same(have, s) {
			w.failf("%s %q: the changes add up to another state of %s", q.n.name, q.text, s.ID())
		}
		linked := len(q.q.Selection().Links) > 0 // checkFresh and checkQueries look at those
		if k > 0 && !linked && q.q.Selection().Compare(rows[k-1], s) >= 0 {
			w.failf("%s %q: its rows are not in order", q.n.name, q.text)
		}
		if s.Value("tag").Text() == secretTag && !q.n.isServer() {
			w.failf("%s %q: %s is hidden", q.n.name, q.text, s.ID())
		}
		if !s.Exists() || !linked && !q.q.Selection().Match(s) {
			w.failf("%s %q: %s is a row and should not be", q.n.name, q.text, s.ID())
		}
	}
	if w.restores > 0 {
		return // revs begin again
	}
	for _, s := range rows {
		if !w.isServers(s) {
			continue
		}
		if s.Rev() < q.n.seen[s.ID()] {
			w.failf("%s %q: %s goes back from rev %d to %d", q.n.name, q.text, s.ID(), q.n.seen[s.ID()], s.Rev())
		}
		q.n.seen[s.ID()] = s.Rev()
	}
	if q.text == "" && q.synced {
		q.checkWhole()
	}
}

// checkFresh holds the rows against a read of what the node shows, at a moment
// when nothing is under way in it. Which rows a client's window has is the
// server's word, and which it has through references (S52, S53).
func (q *query) checkFresh() {
	if !q.ready || q.failed != nil || q.q.Selection().Windowed() && !q.n.isServer() {
		return
	}
	snap, err := q.n.current()
	if err != nil {
		return
	}
	defer snap.Release()
	want, _, err := core.Collect(context.Background(), snap, q.q.Selection(), nil)
	q.n.w.fail(err)
	if got := q.q.Rows(); !sameRows(got, want) {
		q.n.w.failf("%s %q: its rows are %s, a read says %s", q.n.name, q.text, list(got), list(want))
	}
}

// checkWhole looks for commits of which only a part is to be seen (S22, S37).
func (q *query) checkWhole() { q.n.checkWhole(q.rows) }

// checkTogether does so over all live queries that are synced, when nothing is
// under way: a commit comes in one piece, whichever of them it concerns (S37).
func (n *node) checkTogether() {
	all := map[id.ID]*entity.State{}
	for _, q := range n.queries {
		if q.synced && q.q.Synced() {
			maps.Copy(all, q.rows)
		}
	}
	n.checkWhole(all)
}

func (n *node) checkWhole(rows map[id.ID]*entity.State) {
	pending := n.core.PendingIn(collection) // what is upon them may look like a state of the server
	for _, j := range n.w.joint {
		var has, lacks id.ID
		for _, part := range j {
			s := rows[part.entity]
			switch {
			case s == nil || slices.Contains(pending, part.entity) || !n.w.isServers(s):
			case s.Rev() >= part.rev:
				has = part.entity
			default:
				lacks = part.entity
			}
		}
		if !has.IsZero() && !lacks.IsZero() {
			n.w.failf("%s sees a part of a commit: %s at rev %d, but %s at %d", n.name, has, rows[has].Rev(), lacks, rows[lacks].Rev())
		}
	}
}

func same(a, b *entity.State) bool { return string(a.Append(nil)) == string(b.Append(nil)) }

func list(rows []*entity.State) string {
	var parts []string
	for _, s := range rows {
		parts = append(parts, fmt.Sprintf("%s r%d n=%s tag=%s", s.ID().String()[18:], s.Rev(), s.Value("n"), s.Value("tag")))
	}
	return "[" + strings.Join(parts, "; ") + "]"
}

func sameRows(a, b []*entity.State) bool { return slices.EqualFunc(a, b, same) }
