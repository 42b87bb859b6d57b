package reactor_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/ankql/ankqltest"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/reactor"
	"github.com/ankurah/ankurah-go/property"
	"github.com/ankurah/ankurah-go/property/lww"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/value"
)

var (
	kinds  = property.NewRegistry(lww.Kind)
	root   = id.New(1, [8]byte{1})
	author = event.NodeAuthor(id.New(2, [8]byte{}))
)

// world is the oracle: all entities at this moment.
type world struct {
	t      testing.TB
	states map[id.ID]*entity.State
	ids    []id.ID // in the order of creation
	clock  id.Stamp
	n      byte
}

func newWorld(t testing.TB) *world {
	return &world{t: t, states: map[id.ID]*entity.State{}, clock: id.NewStamp(1_700_000_000_000, 0)}
}

// change makes one event of an entity, of a new one when i is zero, and
// returns what it did.
func (w *world) change(collection string, i id.ID, ops ...event.Operation) reactor.Change {
	w.t.Helper()
	before := w.states[i]
	w.clock++
	w.n++
	h := event.Header{Root: root, Entity: i, Collection: collection, Author: author, Tx: event.TxID{1}, Stamp: w.clock}
	if before == nil {
		// Hashes make the order of entities another one than that of creation.
		h.Birth = &event.Birth{Stamp: id.Stamp(w.n % 7), Nonce: [16]byte{w.n, byte(w.clock), byte(w.clock >> 8)}}
		h.Entity = h.Birth.EntityID(root, collection, author)
	} else {
		h.Collection, h.Parents = before.Collection(), before.Head().Parents()
	}
	entity.SortOps(ops)
	e, err := event.New(h, [16]byte{}, ops)
	if err != nil {
		w.t.Fatal(err)
	}
	after, err := before.Apply(kinds, e)
	if err != nil {
		w.t.Fatal(err)
	}
	if before == nil {
		w.ids = append(w.ids, e.Entity)
	}
	w.states[e.Entity] = after
	return reactor.Change{Before: before, After: after, Events: []id.ID{e.ID}}
}

// commit sorts changes as the contract of reactors wants them.
func commit(changes ...reactor.Change) []reactor.Change {
	slices.SortFunc(changes, func(a, b reactor.Change) int {
		if a.After.Collection() != b.After.Collection() {
			if a.After.Collection() < b.After.Collection() {
				return -1
			}
			return 1
		}
		return a.After.ID().Compare(b.After.ID())
	})
	return changes
}

// read answers a selection from nothing but the evaluator.
func (w *world) read(sel *ankql.Selection, allow func(*entity.State) bool) []*entity.State {
	var rows []*entity.State
	for _, s := range w.states {
		if s.Collection() == sel.Collection && s.Exists() && sel.Match(s) && (sel.After == nil || sel.CompareCursor(s, sel.After) > 0) && (allow == nil || allow(s)) {
			rows = append(rows, s)
		}
	}
	slices.SortFunc(rows, func(a, b *entity.State) int { return sel.Compare(a, b) })
	if sel.Limit >= 0 && len(rows) > sel.Limit {
		rows = rows[:sel.Limit]
	}
	return rows
}

func bind(t testing.TB, m *schema.Model, text string, args ...any) *ankql.Selection {
	t.Helper()
	q, err := ankql.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	sel, err := ankql.Bind(q, m, "album", args...)
	if err != nil {
		t.Fatal(err)
	}
	return sel
}

// watcher is a live query as its consumer sees it: the rows that the change
// sets so far amount to.
type watcher struct {
	w     *world
	q     *reactor.Query
	allow func(*entity.State) bool
	seen  []*entity.State
	since [][]reactor.Change // commits since the last report
	stats *stats
	short bool
}

type stats struct {
	refills, added, updated, removed, created, uncaused, coalesced int
}

func watch(w *world, sel *ankql.Selection, allow func(*entity.State) bool, st *stats) *watcher {
	q := reactor.NewQuery(sel, allow)
	x := &watcher{w: w, q: q, allow: allow, stats: st}
	q.Reset(w.read(q.Hydrate(), allow), nil)
	x.fresh()
	x.seen = q.Rows()
	return x
}

func ids(rows []*entity.State) string {
	var out string
	for _, r := range rows {
		out += fmt.Sprintf("%v@%d ", r.ID(), r.Rev())
	}
	return out
}

// fresh fails unless the rows are what a read of the same moment gives (S52).
func (x *watcher) fresh() {
	x.w.t.Helper()
	want, got := x.w.read(x.q.Selection(), x.allow), x.q.Rows()
	if !slices.Equal(got, want) || x.q.Len() != len(want) {
		x.w.t.Fatalf("%v\nrows  %s\nfresh %s", x.q.Selection(), ids(got), ids(want))
	}
}

// refill reads what the window lacks and reports whether it lacked anything.
func (x *watcher) refill() bool {
	sel := x.q.Short()
	if sel == nil {
		return false
	}
	x.q.Refill(x.w.read(sel, x.allow), nil, sel.Limit)
	x.stats.refills++
	if x.q.Short() != nil {
		x.w.t.Fatalf("%v lacks rows after a refill", x.q.Selection())
	}
	return true
}

// take folds a report into what the consumer has seen, and holds every change
// against the commits since the last one (S22, S51).
func (x *watcher) take(changes []reactor.RowChange) {
	t := x.w.t
	t.Helper()
	sel := x.q.Selection()
	seen := map[id.ID]*entity.State{}
	for _, s := range x.seen {
		seen[s.ID()] = s
	}
	removing := true
	var last *entity.State
	for _, c := range changes {
		switch c.Kind {
		case reactor.Removed:
			x.stats.removed++
			if !removing || c.After != nil || seen[c.Before.ID()] != c.Before {
				t.Fatalf("%v: removed %v", sel, c)
			}
			delete(seen, c.Before.ID())
			x.causes(c, c.Before.ID())
			continue
		case reactor.Added:
			x.stats.added++
			if c.Before != nil || seen[c.After.ID()] != nil {
				t.Fatalf("%v: added %v", sel, c)
			}
		case reactor.Updated:
			x.stats.updated++
			if was := seen[c.After.ID()]; was == nil || was != c.Before || was.Rev() >= c.After.Rev() || len(c.Events) == 0 {
				t.Fatalf("%v: updated %v, the consumer had %v", sel, c, was)
			}
		default:
			t.Fatalf("%v: %v", sel, c)
		}
		if !removing && sel.Compare(last, c.After) >= 0 {
			t.Fatalf("%v: changes are not in the order of the result", sel)
		}
		removing, last = false, c.After
		seen[c.After.ID()] = c.After
		x.causes(c, c.After.ID())
	}
	x.seen = x.q.Rows()
	if len(seen) != len(x.seen) {
		t.Fatalf("%v: the changes amount to %d rows of %d", sel, len(seen), len(x.seen))
	}
	for _, s := range x.seen {
		if seen[s.ID()] != s {
			t.Fatalf("%v: the changes do not amount to the rows at %v", sel, s.ID())
		}
	}
	x.since = nil
}

// selects reports whether an entity is a row, or one beyond the window.
func (x *watcher) selects(s *entity.State) bool {
	sel := x.q.Selection()
	return s.Exists() && sel.Match(s) && (sel.After == nil || sel.CompareCursor(s, sel.After) > 0)
}

func (x *watcher) causes(c reactor.RowChange, i id.ID) {
	x.w.t.Helper()
	var events []id.ID
	created := false
	for _, changes := range x.since {
		for _, ch := range changes {
			if ch.After.ID() == i && (x.selects(ch.Before) || x.selects(ch.After)) {
				events = append(events, ch.Events...)
				created = created || ch.Before == nil
			}
		}
	}
	slices.SortFunc(events, id.ID.Compare)
	if !slices.Equal(events, c.Events) || c.Created != (created && c.Kind == reactor.Added) {
		x.w.t.Fatalf("%v: %d of %v by %v, created %v; it was changed by %v, created %v", x.q.Selection(), c.Kind, i, c.Events, c.Created, events, created)
	}
	if len(events) == 0 {
		x.stats.uncaused++
	}
	if c.Created {
		x.stats.created++
	}
}

// random makes an entity's operations.
func random(r *rand.Rand, m *schema.Model, all bool) []event.Operation {
	var ops []event.Operation
	for _, p := range m.Properties {
		if all && r.IntN(8) > 0 || r.IntN(6) == 0 {
			ops = append(ops, lww.Set(p.Key, ankqltest.RandomValue(r, p)))
		}
	}
	return ops
}

// mutate makes a commit of one to five entities, sometimes of many: created,
// changed, deleted and restored ones.
func (w *world) mutate(r *rand.Rand, m *schema.Model) []reactor.Change {
	var changes []reactor.Change
	touched := map[id.ID]bool{}
	n := 1 + r.IntN(5)
	kind := r.IntN(12)
	if kind < 4 {
		n = 60 // most of the entities change at once, or go, or come back
	}
	for range n {
		if len(w.ids) < 10 || len(w.ids) < 70 && r.IntN(4) == 0 {
			changes = append(changes, w.change("album", id.ID{}, random(r, m, true)...))
			touched[w.ids[len(w.ids)-1]] = true
			continue
		}
		i := w.ids[r.IntN(len(w.ids))]
		if touched[i] {
			continue
		}
		touched[i] = true
		switch s := w.states[i]; {
		case !s.Exists() && (kind == 2 || r.IntN(3) == 0):
			changes = append(changes, w.change("album", i, entity.SetDeleted(false)))
		case kind < 2 || kind > 3 && r.IntN(6) == 0:
			changes = append(changes, w.change("album", i, entity.SetDeleted(true)))
		default:
			changes = append(changes, w.change("album", i, random(r, m, false)...))
		}
	}
	if r.IntN(4) == 0 {
		changes = append(changes, w.change("artist", id.ID{}, lww.Set("name", value.String("x"))))
		w.ids = w.ids[:len(w.ids)-1]
	}
	return commit(changes...)
}

// selection makes a random query; most windows are over many rows, so that
// they are full, and some begin after a row.
func (w *world) selection(r *rand.Rand, m *schema.Model) *ankql.Selection {
	text, args := ankqltest.RandomQuery(r, m)
	if r.IntN(4) > 0 {
		text, args = []string{"", "year > 0 OR year IS NULL", "NOT published", "plays >= 0"}[r.IntN(4)], nil
		text += []string{"", " ORDER BY year", " ORDER BY name DESC, year", " ORDER BY rating DESC NULLS LAST", " ORDER BY extra.n, discs NULLS FIRST"}[r.IntN(5)]
		text += []string{"", " LIMIT 0", " LIMIT 1", " LIMIT 3", " LIMIT 5", " LIMIT 9", " LIMIT 15", " LIMIT 9223372036854775807"}[r.IntN(8)]
	}
	sel := bind(w.t, m, text, args...)
	if r.IntN(5) == 0 && len(w.ids) > 0 {
		after := *sel
		after.After = sel.CursorOf(w.states[w.ids[r.IntN(len(w.ids))]])
		sel = &after
	}
	return sel
}

func allowance(r *rand.Rand) func(*entity.State) bool {
	if r.IntN(3) > 0 {
		return nil
	}
	return func(s *entity.State) bool { return s.Value("published").Bool() || s.Value("discs").IsNull() }
}

func unfailing(t testing.TB) func(reactor.Subscriber, error) {
	return func(x reactor.Subscriber, err error) { t.Errorf("%v: %v", x.Selection(), err) }
}

// S50–S54: after every commit, every query's rows are those of a fresh read,
// whatever its predicate, order, window and beginning; the change sets amount
// to the rows, name what caused them, and say what was created. Groups of
// commits that leave a window short are reported as one.
func TestRowsAreFresh(t *testing.T) {
	seeds := uint64(18)
	if testing.Short() {
		seeds = 5
	}
	m := ankqltest.Model()
	var st stats
	for seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 50))
		w := newWorld(t)
		for range 10 {
			w.mutate(r, m)
		}
		rx := reactor.New()
		watchers := map[reactor.Subscriber]*watcher{}
		var order []*reactor.Query
		add := func(x *watcher) {
			rx.Add(x.q)
			watchers[x.q] = x
			order = append(order, x.q)
		}
		for range 20 {
			add(watch(w, w.selection(r, m), allowance(r), &st))
		}
		for range 40 {
			var short []*watcher
			for range 1 + r.IntN(3) {
				changes := w.mutate(r, m)
				for _, q := range order {
					watchers[q].since = append(watchers[q].since, changes)
				}
				touched := map[reactor.Subscriber]bool{}
				rx.Apply(changes, func(s reactor.Subscriber) {
					q := s.(*reactor.Query)
					x := watchers[q]
					if touched[q] {
						t.Fatalf("%v is touched twice", q.Selection())
					}
					touched[q] = true
					switch {
					case x.short:
						st.coalesced++
					case q.Short() != nil:
						x.short = true
						short = append(short, x)
					default:
						x.fresh()
						x.take(q.Take())
					}
				}, unfailing(t))
				for _, q := range order {
					switch x := watchers[q]; {
					case x.short:
					case !touched[q]:
						x.fresh()
						if !slices.Equal(q.Rows(), x.seen) {
							t.Fatalf("%v changed and is not touched", q.Selection())
						}
						x.take(q.Take()) // nothing
					}
				}
			}
			for _, x := range short {
				x.short = false
				x.refill()
				x.fresh()
				x.take(x.q.Take())
			}
			for _, q := range order {
				if x := watchers[q]; len(q.Take()) > 0 {
					t.Fatalf("%v reports twice", x.q.Selection())
				}
			}
			// One query gets another selection in place (S54), one leaves.
			k := r.IntN(len(order))
			old := watchers[order[k]]
			next := watch(w, w.selection(r, m), old.allow, &st)
			next.seen = old.seen
			next.take(next.q.Replace(old.q))
			next.fresh()
			rx.Remove(old.q)
			rx.Remove(old.q)
			order = slices.Delete(order, k, k+1)
			add(next)
			if rx.Stats().Queries != len(order) {
				t.Fatalf("%d queries are registered, not %d", rx.Stats().Queries, len(order))
			}
		}
	}
	t.Logf("%+v", st)
	least := int(seeds) * 3
	for what, n := range map[string]int{"refills": st.refills, "added": st.added, "updated": st.updated, "removed": st.removed, "created": st.created, "uncaused": st.uncaused, "coalesced": st.coalesced} {
		if n < least {
			t.Errorf("%d %s: the generator proves little", n, what)
		}
	}
}
