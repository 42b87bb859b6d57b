package core

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/agg"
	"github.com/ankurah/ankurah-go/internal/reactor"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/property/lww"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/value"
)

// localSink is a session's live query.
type localSink struct {
	who      string
	sets     []string
	failed   error
	narrowed int
}

func (s *localSink) Ready()                      {}
func (s *localSink) Synced(bool)                 {}
func (s *localSink) Failed(err error)            { s.failed = err }
func (s *localSink) Principal() policy.Principal { return policy.Principal{Subject: s.who} }
func (s *localSink) Narrowed()                   { s.narrowed++ }
func (s *localSink) Changed(changes []rowChange) {
	var out []string
	for k := range changes {
		c := &changes[k]
		text := [...]string{"", "initial", "added", "updated", "removed"}[c.Kind]
		if c.Created {
			text = "created"
		}
		row := c.After
		if row == nil {
			row = c.Before
		}
		out = append(out, fmt.Sprintf("%s %s by %d", text, number(row), len(c.Events)))
	}
	s.sets = append(s.sets, strings.Join(out, ", "))
}

// number returns the text of a state's n.
func number(s *entity.State) string { return s.Value("n").String() }

func numbers(rows []*entity.State) string {
	var out []string
	for _, s := range rows {
		out = append(out, number(s))
	}
	return strings.Join(out, " ")
}

// localAggregateSink is a session's live aggregate.
type localAggregateSink struct {
	localSink
	sets [][]agg.Change
}

func (s *localAggregateSink) Changed(changes []agg.Change) {
	if changes = agg.Seen(changes); len(changes) > 0 {
		s.sets = append(s.sets, changes)
	}
}

// ground is a core whose agent lets bob read what hidden says, and alice all.
type ground struct {
	*testing.T
	c      *Core
	x      *scripted
	hidden string // a predicate of what bob may read, "" for all
	err    error
}

func newGround(t *testing.T) *ground {
	g := &ground{T: t}
	agent := &funcAgent{read: func(p policy.Principal, _ string) (ankql.Expr, error) {
		if p.Subject == "alice" || g.hidden == "" && g.err == nil {
			return nil, nil
		}
		if g.err != nil {
			return nil, g.err
		}
		return ankql.ParseExpr(g.hidden)
	}}
	g.c, g.x = bootCore(t, 1, agent, true)
	return g
}

func localModels(name string) *schema.Model {
	return schema.NewModel(name, name, []schema.Property{
		{Key: "n", Type: value.Type{Kind: value.KindInt32}}, {Key: "secret", Type: value.Type{Kind: value.KindInt32}},
		{Key: "other", Type: value.Type{Kind: value.KindID}, Ref: "album"},
	})
}

func (g *ground) bind(text string) *ankql.Selection {
	g.Helper()
	sel, err := ankql.Limits{}.BindTemplateAcross(text, nil, localModels, "album")
	if err != nil {
		g.Fatal(err)
	}
	return sel
}

func (g *ground) query(who, text string) (*Query, *localSink) {
	g.Helper()
	s := &localSink{who: who}
	q, err := g.c.SubscribeLocal(g.bind(text), s)
	if err != nil {
		g.Fatal(err)
	}
	g.c.Start(q)
	g.x.settle()
	return q, s
}

func (g *ground) make(n, secret int32, ops ...event.Operation) id.ID {
	g.Helper()
	ops = append(ops, lww.Set("n", value.Int32(n)))
	if secret > 0 {
		ops = append(ops, lww.Set("secret", value.Int32(secret)))
	}
	return makeOne(g.T, g.c, g.x, ops...)
}

func (g *ground) set(i id.ID, key string, n int32) {
	g.Helper()
	commitHere(g.T, g.c, g.x, Edit{Collection: "album", Entity: i, Base: stateOf(g.T, g.c, i), Ops: []event.Operation{lww.Set(key, value.Int32(n))}})
}

// narrowing invalidates, does something while the reads of that take their time,
// and lets them end.
func (g *ground) narrowing(do func()) {
	g.Helper()
	who := "bob"
	g.c.Invalidate(&who)
	reads := g.x.tasks
	g.x.tasks = nil
	do()
	g.x.tasks = append(g.x.tasks, reads...)
	g.x.settle()
}

// S38, S54: what is committed while a live query of a session is narrowed again
// is told of under the new rights alone, in one change with the narrowing; and to
// others, who show the same result, at once.
func TestCommitsWhileNarrowing(t *testing.T) {
	for text, want := range map[string]string{
		"":                            "removed 2 by 0, removed 6 by 0, updated 1 by 1, created 8 by 1",
		"n > 0 LIMIT 5":               "removed 2 by 0, removed 6 by 0, updated 1 by 1, created 8 by 1",
		"other.n IS NULL AND n < 100": "removed 2 by 0, removed 6 by 0, updated 1 by 1, created 8 by 1",
	} {
		g := newGround(t)
		one, two := g.make(1, 0), g.make(2, 0)
		g.make(4, 0)
		g.make(6, 3)
		bobs, bob := g.query("bob", text)
		alices, alice := g.query("alice", text)
		g.hidden = "secret IS NULL"
		g.narrowing(func() {
			g.set(two, "secret", 9) // hidden, and as such another
			g.set(two, "n", 3)
			g.set(one, "secret", 5)
			commitHere(t, g.c, g.x, Edit{Collection: "album", Entity: one, Base: stateOf(t, g.c, one), Ops: []event.Operation{lww.Set("secret", value.Null)}})
			g.make(7, 7)
			g.make(8, 0)
			if got := numbers(bobs.Rows()); got != "1 2 4 6" || len(bob.sets) > 0 {
				t.Errorf("%q: while it is narrowed again bob has %s and heard of %q", text, got, bob.sets)
			}
			if len(alice.sets) < 5 {
				t.Errorf("%q: alice has heard of %q meanwhile", text, alice.sets)
			}
		})
		if len(bob.sets) != 1 || strings.ReplaceAll(bob.sets[0], "updated 1 by 2", "updated 1 by 1") != want || bob.narrowed != 1 {
			t.Errorf("%q: bob has heard of %q, want %s", text, bob.sets, want)
		}
		if got := numbers(bobs.Rows()); got != "1 4 8" {
			t.Errorf("%q: bob has %s", text, got)
		}
		if alices.closed || alice.failed != nil || alice.narrowed > 0 {
			t.Errorf("%q: alice's was concerned", text)
		}
		g.set(two, "n", 5)
		g.make(9, 0)
		if len(bob.sets) != 2 || bob.sets[1] != "created 9 by 1" {
			t.Errorf("%q: later bob has heard of %q", text, bob.sets[1:])
		}
		g.hidden = ""
		g.narrowing(func() {})
		if len(bob.sets) != 3 || strings.Count(bob.sets[2], "added") < 1 || strings.Contains(bob.sets[2], "removed 1") {
			t.Errorf("%q: and when all may be read again, of %q", text, bob.sets[2:])
		}
		g.c.Unsubscribe(bobs)
		g.c.Unsubscribe(alices)
		if n := g.c.Routing().Queries; n != 0 {
			t.Errorf("%q: %d results stay in the reactor", text, n)
		}
	}
}

// S44, S52: what rows refer to changes while they are narrowed again.
func TestReferencesWhileNarrowing(t *testing.T) {
	g := newGround(t)
	target, gone := g.make(10, 0), g.make(20, 0)
	g.make(1, 0, lww.Set("other", value.ID(target)))
	g.make(2, 0, lww.Set("other", value.ID(gone)))
	hidden := g.make(30, 1)
	g.make(3, 0, lww.Set("other", value.ID(hidden)))
	_, bob := g.query("bob", "other IS NOT NULL ORDER BY other.n")
	g.hidden = "secret IS NULL"
	g.narrowing(func() {
		g.set(target, "n", 11)
		g.set(hidden, "n", 31)
		commitHere(t, g.c, g.x, Edit{Collection: "album", Entity: gone, Base: stateOf(t, g.c, gone), Ops: []event.Operation{entity.SetDeleted(true)}})
	})
	want := []string{"updated 2 by 1, updated 1 by 1", "updated 1 by 1, updated 2 by 1"}
	if len(bob.sets) != 1 || !slices.Contains(want, bob.sets[0]) {
		t.Errorf("%q", bob.sets)
	}
}

// S38: the groups of a session's live aggregate stay as they were until they are
// computed of what may be read, and follow that.
func TestAggregatesWhileNarrowing(t *testing.T) {
	for _, text := range []string{"SELECT COUNT(*), SUM(n)", "SELECT COUNT(*), SUM(n) WHERE other.n IS NULL", "SELECT n, COUNT(*) GROUP BY n ORDER BY n DESC LIMIT 2"} {
		a, err := ankql.Limits{}.BindAggregateTemplateAcross(strings.Replace(text, "SELECT n, ", "SELECT ", 1), nil, localModels, "album")
		if err != nil {
			t.Fatal(err)
		}
		g := newGround(t)
		g.make(1, 0)
		two := g.make(2, 2)
		begin := func(who string) (*Aggregate, *localAggregateSink) {
			s := &localAggregateSink{localSink: localSink{who: who}}
			q, err := g.c.SubscribeAggregateLocal(a, s)
			if err != nil {
				t.Fatal(err)
			}
			g.c.StartAggregate(q)
			g.x.settle()
			return q, s
		}
		show := func(q *Aggregate) string {
			var out []string
			for _, x := range q.Groups() {
				out = append(out, fmt.Sprint(x.Key, x.Values))
			}
			return strings.Join(out, " ")
		}
		bobs, bob := begin("bob")
		alices, alice := begin("alice")
		before := show(bobs)
		g.hidden = "secret IS NULL"
		g.narrowing(func() {
			g.set(two, "n", 7)
			g.make(5, 0)
			if got := show(bobs); got != before || len(bob.sets) > 0 {
				t.Errorf("%s: while it is narrowed again bob has %s and heard %d times", text, got, len(bob.sets))
			}
			if len(alice.sets) != 2 {
				t.Errorf("%s: alice has heard %d times meanwhile", text, len(alice.sets))
			}
		})
		fresh, _ := begin("bob")
		if got := show(bobs); got != show(fresh) || got == before || len(bob.sets) != 1 {
			t.Errorf("%s: bob has %s and heard %d times, want %s", text, got, len(bob.sets), show(fresh))
		}
		g.c.UnsubscribeAggregate(fresh)
		g.set(two, "n", 8)
		if len(bob.sets) != 1 {
			t.Errorf("%s: bob hears of what he may not read", text)
		}
		g.hidden = ""
		g.narrowing(func() {})
		if got := show(bobs); got != show(alices) || len(bob.sets) != 2 {
			t.Errorf("%s: bob has %s and heard %d times, alice has %s", text, got, len(bob.sets), show(alices))
		}
		g.hidden = "secret IS NULL"
		g.narrowing(func() { g.err = errors.New("the directory is down"); g.c.Invalidate(nil) })
		if !errors.Is(bob.failed, g.err) || alice.failed != nil || len(bob.sets) != 2 {
			t.Errorf("%s: bob's ends with %v, alice's with %v", text, bob.failed, alice.failed)
		}
		g.c.UnsubscribeAggregate(alices)
		if n := g.c.Routing().Queries; n != 0 || g.c.Queries() != 0 {
			t.Errorf("%s: %d results stay in the reactor, %d live queries", text, n, g.c.Queries())
		}
	}
}

// S38, S54: an invalidation while the rows are read of another selection, or the
// first ones, or those of an invalidation before; and one that changes nothing.
func TestInvalidateWhileReading(t *testing.T) {
	g := newGround(t)
	g.make(1, 0)
	g.make(2, 2)
	g.make(3, 0)
	q, bob := g.query("bob", "n < 3")
	set := 0
	if err := g.c.Select(q, g.bind("n > 1"), func() { set++ }); err != nil {
		t.Fatal(err)
	}
	g.hidden = "secret IS NULL"
	g.narrowing(func() {})
	if got := numbers(q.Rows()); got != "3" || set != 1 || len(bob.sets) != 1 {
		t.Errorf("rows %s, done %d times, heard %q", got, set, bob.sets)
	}
	g.narrowing(func() {
		if len(g.x.tasks) > 0 || q.res.held {
			t.Error("it is read again though nothing has changed")
		}
	})
	g.hidden = "FALSE"
	g.narrowing(func() {
		g.hidden = ""
		g.narrowing(func() {})
	})
	if got := numbers(q.Rows()); got != "2 3" || len(bob.sets) != 2 || bob.sets[1] != "added 2 by 0" {
		t.Errorf("rows %s, heard %q", got, bob.sets)
	}
	s := &localSink{who: "bob"}
	first, err := g.c.SubscribeLocal(g.bind("n > 0"), s)
	if err != nil {
		t.Fatal(err)
	}
	g.c.Start(first)
	g.hidden = "secret IS NULL"
	g.narrowing(func() {})
	if got := numbers(first.Rows()); got != "1 3" || len(s.sets) != 0 {
		t.Errorf("a new one has %s and heard %q", got, s.sets)
	}
	g.err = errors.New("the directory is down")
	if err := g.c.Select(first, g.bind("n > 2"), func() {}); !errors.Is(err, g.err) || first.closed {
		t.Errorf("another selection: %v", err)
	}
	if _, err := g.c.SubscribeLocal(g.bind(""), &localSink{who: "bob"}); !errors.Is(err, g.err) || g.c.Queries() != 2 {
		t.Errorf("a new one: %v, %d live queries", err, g.c.Queries())
	}
	for _, q := range []*Query{q, first} {
		g.c.Unsubscribe(q)
	}
	if n := g.c.Routing().Queries; n != 0 {
		t.Errorf("%d results stay in the reactor", n)
	}
}

// tally keeps the rows of a session's live query by what it is told.
type tally struct {
	localSink
	g     *ground
	q     *Query
	level *int32
	rows  map[id.ID]*entity.State
}

func (s *tally) Ready() {
	s.rows = map[id.ID]*entity.State{}
	for _, r := range s.q.Rows() {
		s.rows[r.ID()] = r
	}
}

func (s *tally) Failed(err error) { s.g.Fatal(err) }

func (s *tally) Changed(changes []rowChange) {
	for k := range changes {
		c := &changes[k]
		row := c.After
		if row == nil {
			row = c.Before
		}
		was, there := s.rows[row.ID()], s.rows[row.ID()] != nil
		if there != (c.Kind != reactor.Added) || there && was.Rev() != c.Before.Rev() {
			s.g.Errorf("change %d of what is there: %t", c.Kind, there)
		}
		if c.Kind == reactor.Updated && len(c.Events) == 0 {
			s.g.Errorf("an update without events of %q, %s: rev %d, then %d", s.q.Asked(), s.who, c.Before.Rev(), c.After.Rev())
		}
		if c.Kind == reactor.Removed {
			delete(s.rows, row.ID())
			continue
		}
		s.rows[row.ID()] = row
		if v := row.Value("secret"); !v.IsNull() && s.who == "bob" && v.Int() > int64(*s.level) {
			s.g.Errorf("told of secret %d at level %d", v.Int(), *s.level)
		}
	}
}

// S38, S51, S54: commits, narrowing and other selections in any order, with reads
// that end at any time: what is told may be read when it is told, adds up to the
// rows, and these are in the end what a fresh query has.
func TestNarrowingInAnyOrder(t *testing.T) {
	texts := []string{"", "n > 3", "n < 8 ORDER BY n DESC LIMIT 2", "ORDER BY n LIMIT 4", "other.n > 4", "other.n > 2 ORDER BY other.n LIMIT 3"}
	for seed := range uint64(60) {
		g := newGround(t)
		g.x.r = rand.New(rand.NewPCG(seed, 2))
		r := rand.New(rand.NewPCG(seed, 3))
		level := int32(5)
		allow := func(level int32) { g.hidden = fmt.Sprint("secret IS NULL OR secret <= ", level) }
		allow(level)
		var ids []id.ID
		for k := range int32(12) {
			var ops []event.Operation
			if k > 3 {
				ops = append(ops, lww.Set("other", value.ID(ids[k%4])))
			}
			ids = append(ids, g.make(r.Int32N(10), r.Int32N(10), ops...))
		}
		var all []*tally
		for _, who := range []string{"bob", "bob", "alice"} {
			for _, text := range texts {
				s := &tally{localSink: localSink{who: who}, g: g, level: &level}
				q, err := g.c.SubscribeLocal(g.bind(text), s)
				if err != nil {
					t.Fatal(err)
				}
				s.q = q
				g.c.Start(q)
				all = append(all, s)
			}
		}
		for range 150 {
			switch r.IntN(10) {
			case 0:
				level = r.Int32N(11)
				allow(level)
				who := "bob"
				g.c.Invalidate(&who)
			case 1:
				s := all[r.IntN(len(all))]
				if err := g.c.Select(s.q, g.bind(texts[r.IntN(len(texts))]), func() {}); err != nil {
					t.Fatal(err)
				}
			case 2, 3, 4:
				i := ids[r.IntN(len(ids))]
				op := lww.Set([]string{"n", "secret"}[r.IntN(2)], value.Int32(r.Int32N(10)))
				g.c.Commit(&Request{ID: g.c.newTxID(), Edits: []Edit{{Collection: "album", Entity: i, Base: stateOf(t, g.c, i), Ops: []event.Operation{op}}}, Done: func(_ []*entity.State, err error) {
					if err != nil {
						t.Error(err)
					}
				}})
			default:
				g.x.step()
			}
		}
		g.x.settle()
		for k, s := range all {
			asked := s.q.Asked()
			narrowed, check, err := g.c.Narrow(asked, s.Principal())
			if err != nil {
				t.Fatal(err)
			}
			snap, err := g.c.Current()
			if err != nil {
				t.Fatal(err)
			}
			want, _, err := Collect(t.Context(), snap, narrowed, check)
			snap.Release()
			if err != nil {
				t.Fatal(err)
			}
			got := s.q.Rows()
			if numbers(got) != numbers(want) || len(s.rows) != len(got) {
				t.Errorf("seed %d, live query %d of %s, %q: rows %s, %d told, want %s", seed, k, s.who, asked, numbers(got), len(s.rows), numbers(want))
			}
			for _, row := range got {
				if told := s.rows[row.ID()]; told == nil || told.Rev() != row.Rev() {
					t.Errorf("seed %d, live query %d: it was not told of a row as it is", seed, k)
				}
			}
			g.c.Unsubscribe(s.q)
		}
		if n := g.c.Routing().Queries; n != 0 {
			t.Errorf("seed %d: %d results stay in the reactor", seed, n)
		}
		if t.Failed() {
			return
		}
	}
}
