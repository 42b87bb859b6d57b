package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/internal/agg"
	"github.com/ankurah/ankurah-go/internal/core"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/value"
)

// Live queries through references, and live aggregates.
var (
	throughReferences = []string{
		"other.n > 5", "other.tag = 'a'", "other.tag IS NULL AND n < 12", "other.other.n < 8", "other.n = n OR other.tag = 'b'",
		"NOT (other.tag = 'b') ORDER BY other.tag, n", "ORDER BY other.n DESC, n LIMIT 3", "other.other.tag = 'c' ORDER BY other.other.n LIMIT 2",
		"other IS NULL ORDER BY n LIMIT 3", "",
	}
	totals = []string{
		"SELECT COUNT(*)", "SELECT COUNT(*), SUM(n), AVG(n), MIN(n), MAX(tag) GROUP BY tag", "SELECT MIN(n), MAX(n), COUNT(other) WHERE tag <> 'b'",
		"SELECT COUNT(*) WHERE n > 5 GROUP BY tag, n", "SELECT COUNT(*), MAX(tag) GROUP BY n ORDER BY COUNT(*) DESC, n LIMIT 2",
		"SELECT SUM(n) WHERE tag IS NULL OR n IN (1, 2, 3) GROUP BY other",
	}
	totalsThroughReferences = []string{
		"SELECT COUNT(*), SUM(n) GROUP BY other.tag", "SELECT MAX(other.n), MIN(other.other.tag) WHERE other.n < 12", "SELECT COUNT(other.tag) WHERE n > 3 OR other.n > 3",
	}
)

// total is a live aggregate, and what became of its groups by what it was told.
type total struct {
	n      *node
	q      *core.Aggregate
	text   string
	ready  bool
	failed error
	groups map[string]string // what a group says, by its key
}

func keyOf(g *ankql.Group) string { return saidOf(g.Key) }

func saidOf(values []value.Value) string {
	var b strings.Builder
	for _, v := range values {
		fmt.Fprintf(&b, "%d:%s ", v.Kind(), v)
	}
	return b.String()
}

func said(groups []ankql.Group) string {
	var b strings.Builder
	for k := range groups {
		fmt.Fprintf(&b, "%s= %s; ", keyOf(&groups[k]), saidOf(groups[k].Values))
	}
	return b.String()
}

// Ready takes the first groups.
func (q *total) Ready() {
	q.ready, q.groups = true, map[string]string{}
	for _, g := range q.q.Groups() {
		q.groups[keyOf(&g)] = saidOf(g.Values)
	}
}

// Changed folds what happened into the groups: what comes of it is the result.
func (q *total) Changed(changes []agg.Change) {
	w := q.n.w
	for k := range changes {
		c := &changes[k]
		if c.Before != nil {
			if have, is := q.groups[keyOf(c.Before)]; !is || have != saidOf(c.Before.Values) {
				w.failf("%s %q: %s is said to have been %s, it was %q", q.n.name, q.text, keyOf(c.Before), saidOf(c.Before.Values), have)
			}
			delete(q.groups, keyOf(c.Before))
		}
		if c.After != nil {
			q.groups[keyOf(c.After)] = saidOf(c.After.Values)
		}
	}
	now := q.q.Groups()
	same := len(now) == len(q.groups)
	for k := range now {
		same = same && q.groups[keyOf(&now[k])] == saidOf(now[k].Values)
	}
	if !same {
		w.failf("%s %q: the changes add up to %v, its groups are %s", q.n.name, q.text, q.groups, said(now))
	}
}

// Failed ends the aggregate.
func (q *total) Failed(err error) {
	q.n.w.note("%s %q failed: %v", q.n.name, q.text, err)
	if q.failed = err; errors.Is(err, errIO) { // of this node's disk
		q.n.totals = slices.DeleteFunc(q.n.totals, func(o *total) bool { return o == q })
	}
}

// Synced needs no note: who wants to know asks.
func (q *total) Synced(bool) {}

// count begins or ends a live aggregate.
func (w *World) count(n *node) {
	if w.chance(20) {
		n = w.someServer()
	}
	if n.core == nil || n.stopped() {
		return
	}
	if len(n.totals) > 3 {
		k := w.r.IntN(len(n.totals))
		w.note("%s ends %q", n.name, n.totals[k].text)
		n.core.UnsubscribeAggregate(n.totals[k].q)
		n.totals = slices.Delete(n.totals, k, k+1)
		return
	}
	q := &total{n: n, text: w.load.totals[w.r.IntN(len(w.load.totals))]}
	w.note("%s asks %q", n.name, q.text)
	a, err := ankql.Limits{}.BindAggregateTemplateAcross(q.text, nil, n.core.Model, collection)
	if err != nil {
		w.fail(err)
		return
	}
	q.q = n.core.SubscribeAggregate(a, nil, q)
	n.totals = append(n.totals, q)
	n.core.StartAggregate(q.q)
}

// checkFresh holds the groups of the server's aggregates against a read, at a
// moment when nothing is under way (S52).
func (q *total) checkFresh() {
	if !q.ready || q.failed != nil || !q.n.isServer() {
		return
	}
	want, err := q.n.answers(q.text, policy.Principal{})
	if errors.Is(err, core.ErrClosed) {
		return
	}
	q.n.w.fail(err)
	if got := said(q.q.Groups()); err == nil && got != want {
		q.n.w.failf("%s %q: its groups are %s, a read says %s", q.n.name, q.text, got, want)
	}
}

// checkServer holds the groups of a client that is at rest against what the
// server answers.
func (q *total) checkServer() error {
	if q.failed != nil {
		return fmt.Errorf("aggregate %q: %w", q.text, q.failed)
	}
	want, err := q.n.w.server.answers(q.text, policy.Principal{Subject: "user"})
	if err != nil {
		return err
	}
	if got := said(q.q.Groups()); got != want {
		return fmt.Errorf("aggregate %q has groups %s, the server %s", q.text, got, want)
	}
	return nil
}

// answers is what a server answers to an aggregate of somebody's.
func (n *node) answers(text string, p policy.Principal) (string, error) {
	c := n.core
	a, err := ankql.Limits{}.BindAggregateTemplateAcross(text, nil, c.Model, collection)
	if err != nil {
		return "", err
	}
	a, allow, err := c.NarrowAggregate(a, p)
	if err != nil {
		return "", err
	}
	snap, err := n.current()
	if err != nil {
		return "", err
	}
	defer snap.Release()
	t, err := core.Groups(context.Background(), snap, a, allow)
	if err != nil {
		return "", err
	}
	return said(t.Groups()), nil
}
