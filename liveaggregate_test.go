package ankurah_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/ankql/ankqltest"
	"github.com/ankurah/ankurah-go/ankurahtest"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/signal"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/memory"
)

var aggregateRounds = flag.Int("aggregate.rounds", 3, "rounds of the live-aggregate oracle per engine")

// watchedAggregate is a live aggregate and the groups that its change sets lead
// to.
type watchedAggregate struct {
	text   string
	args   []any
	q      *ankurah.LiveAggregate
	sets   chan []ankurah.GroupChange
	folded []ankurah.Group
}

func (w *watchedAggregate) fold(t *testing.T, changes []ankurah.GroupChange) {
	for _, c := range changes {
		k := slices.IndexFunc(w.folded, func(g ankurah.Group) bool { return g.Equal(c.Before) })
		switch {
		case c.Before.IsZero() == (k >= 0):
			t.Fatalf("%s: %v is told to have been there, among %v", w.text, c.Before.Values(), said(w.folded))
		case k < 0:
			w.folded = append(w.folded, c.After)
		case c.After.IsZero():
			w.folded = slices.Delete(w.folded, k, k+1)
		default:
			w.folded[k] = c.After
		}
	}
}

// sameGroups says where results are not the same bit by bit; in any order when
// sorted is not set.
func sameGroups(got, want []ankurah.Group, sorted bool) bool {
	if !sorted {
		order := func(a, b ankurah.Group) int { return strings.Compare(fmt.Sprint(a.Values()), fmt.Sprint(b.Values())) }
		got, want = slices.SortedFunc(slices.Values(got), order), slices.SortedFunc(slices.Values(want), order)
	}
	return slices.EqualFunc(got, want, ankurah.Group.Equal)
}

// S52, S22: after every commit every live aggregate is what Aggregate returns,
// and its change sets lead there.
func TestLiveAggregateIsFresh(t *testing.T) {
	for name, open := range oracleEngines() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checks := 0
			for seed := range uint64(*aggregateRounds) {
				checks += aggregateRound(t, open(t), seed)
			}
			t.Logf("%d (aggregate, commit) pairs", checks)
		})
	}
}

func aggregateRound(t *testing.T, eng storage.Engine, seed uint64) (checks int) {
	r := rand.New(rand.NewPCG(seed, 8))
	m := ankqltest.Model()
	n := openNode(t, eng, &ankurah.NodeOptions{Policy: evenPolicy{}, Models: []ankurah.AnyCollection{declared{m}}})
	all, ctx := n.Session(policy.Principal{}), t.Context()
	narrow := n.Session(policy.Principal{Subject: "even"})
	c := ankurah.Dynamic(m.Collection)
	w := &writer{t: t, r: r, c: c}
	for range 20 {
		w.commit(all)
	}
	var watched []*watchedAggregate
	for k := range 24 {
		x := &watchedAggregate{sets: make(chan []ankurah.GroupChange, 1000)}
		if x.text, x.args = ankqltest.RandomAggregate(r, m); k%4 == 2 { // equal ones are one to the node
			x.text, x.args = watched[k-1].text, watched[k-1].args
		}
		s := all
		if k%3 == 0 {
			s = narrow
		}
		q, err := c.QueryAggregate(ctx, s, x.text, x.args...)
		if err != nil {
			t.Fatalf("seed %d: %s %v: %v", seed, x.text, x.args, err)
		}
		x.q = q
		defer q.Close()
		q.OnChange(func(changes []ankurah.GroupChange) { x.sets <- changes })
		watched = append(watched, x)
	}
	for range 40 {
		w.commit(all)
		for k, x := range watched {
			s := all
			if k%3 == 0 {
				s = narrow
			}
			fresh, err := c.Aggregate(ctx, s, x.text, x.args...)
			if err != nil {
				t.Fatalf("seed %d: %s %v: %v", seed, x.text, x.args, err)
			}
			if live := x.q.Rows(); !sameGroups(live, fresh, true) {
				t.Fatalf("seed %d: %s %v:\nlive  %s\nfresh %s", seed, x.text, x.args, said(live), said(fresh))
			}
			checks++
		}
	}
	for _, x := range watched {
		rows := x.q.Rows()
		for !sameGroups(x.folded, rows, false) {
			x.fold(t, <-x.sets) // a missing change set is a test that does not end
		}
	}
	return checks
}

// evenPolicy lets the principal "even" read entities whose ID's last byte is
// even, which no predicate says.
type evenPolicy struct{ policy.Permissive }

func (evenPolicy) CheckRead(p policy.Principal, s *entity.State) error {
	if i := s.ID(); p.Subject == "even" && i[len(i)-1]%2 == 1 {
		return policy.ErrDenied
	}
	return nil
}

// writer commits random edits.
type writer struct {
	t   *testing.T
	r   *rand.Rand
	c   ankurah.Collection[ankurah.Fields, ankurah.Record, *ankurah.Edit]
	ids []ankurah.ID
}

func (w *writer) commit(s *ankurah.Session) {
	w.t.Helper()
	m := ankqltest.Model()
	err := s.Update(w.t.Context(), func(tx *ankurah.Tx) error {
		for range 1 + w.r.IntN(4) {
			if len(w.ids) < 5 || w.r.IntN(4) == 0 {
				e, err := w.c.Create(tx, &ankurah.Fields{})
				if err != nil {
					return err
				}
				w.ids = append(w.ids, e.ID())
			}
			if err := randomEdit(w.r, m, w.c, tx, w.ids[w.r.IntN(len(w.ids))]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// A live aggregate is a signal of its groups.
func TestLiveAggregateIsASignal(t *testing.T) {
	n := openNode(t, memory.New(), nil)
	s, ctx := n.Session(policy.Principal{}), t.Context()
	create(t, s, ankurah.Fields{"name": "a", "year": 1})
	q, err := albums.QueryAggregate(ctx, s, "SELECT COUNT(*), SUM(year)")
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan string, 100)
	e := signal.Effect(func(tr *signal.Tracker) { seen <- said(q.Get(tr)) })
	defer e.Close()
	create(t, s, ankurah.Fields{"name": "b", "year": 2})
	for got := range seen {
		if got == "2 3" {
			break
		}
	}
	if got := said([]ankurah.Group{q.Value()}); got != "2 3" {
		t.Error(got)
	}
	if !q.Synced() || q.WaitSynced(ctx) != nil || q.Err() != nil {
		t.Error("a durable node's aggregate is not synced")
	}
	calls := make(chan struct{}, 10)
	q.OnChange(func([]ankurah.GroupChange) { calls <- struct{}{} })
	<-calls
	q.Close()
	<-q.Done()
	create(t, s, ankurah.Fields{"name": "c", "year": 3})
	if len(calls) > 0 {
		t.Error("a callback after Close")
	}
	if err := q.WaitSynced(ctx); err == nil {
		t.Error("waiting for what is closed")
	}
}

// S50, S37, S25: a client's aggregates are the server's when all is settled,
// whoever edits and however often connections are cut; no entities come for
// them.
func TestAggregatesOnClients(t *testing.T) {
	rounds := 4
	if testing.Short() {
		rounds = 2
	}
	for seed := range uint64(rounds) {
		r := rand.New(rand.NewPCG(seed, 9))
		m := ankqltest.Model()
		models := []ankurah.AnyCollection{declared{m}}
		cl := ankurahtest.New(t, &ankurahtest.Options{Server: ankurah.NodeOptions{Models: models}, Client: ankurah.NodeOptions{Models: models}})
		server := cl.Server().Session(policy.Principal{})
		editor, reader := cl.Client("alice"), cl.Client("bob")
		w := &writer{t: t, r: r, c: ankurah.Dynamic(m.Collection)}
		for range 10 {
			w.commit(server)
		}
		var watched []*watchedAggregate
		watch := func(c *ankurahtest.Client, text string, args []any) {
			q, err := w.c.QueryAggregate(t.Context(), c.Session, text, args...)
			if err != nil {
				t.Fatalf("%s %v: %v", text, args, err)
			}
			watched = append(watched, &watchedAggregate{text: text, args: args, q: q})
		}
		for range 10 {
			text, args := ankqltest.RandomAggregate(r, m)
			watch(editor, text, args)
			watch(reader, text, args)
		}
		settled := func() {
			t.Helper()
			cl.Settle()
			for _, x := range watched {
				if err := x.q.WaitSynced(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			cl.Settle()
			for _, x := range watched {
				want, err := w.c.Aggregate(t.Context(), server, x.text, x.args...)
				if err != nil {
					t.Fatal(err)
				}
				if got := x.q.Rows(); !sameGroups(got, want, true) {
					t.Fatalf("seed %d: %s %v:\nclient %s\nserver %s", seed, x.text, x.args, said(got), said(want))
				}
				got, err := w.c.Aggregate(t.Context(), reader.Session, x.text, x.args...)
				if err != nil || !sameGroups(got, want, true) {
					t.Fatalf("seed %d: %s %v:\nasked  %s, %v\nserver %s", seed, x.text, x.args, said(got), err, said(want))
				}
			}
		}
		settled()
		for range 12 {
			for range 1 + r.IntN(4) {
				w.commit(pickOne(r, server, server, editor.Session))
			}
			switch r.IntN(4) {
			case 0:
				cl.Cut(editor)
				w.commit(editor.Session)
				w.commit(server)
				cl.Heal(editor)
			case 1:
				cl.Cut(reader)
				w.commit(server)
				cl.Heal(reader)
			}
			settled()
		}
		rows, err := w.c.Fetch(t.Context(), reader.Session.Local(), "")
		if err != nil || len(rows) > 0 {
			t.Errorf("%d entities came to a client that has only aggregates, %v", len(rows), err)
		}
	}
}

func pickOne[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// S26: what pending edits do to COUNT, SUM and AVG is what the server makes of
// them, known before it knows of them; offline too.
func TestPendingEditsInAggregates(t *testing.T) {
	cl := ankurahtest.New(t, nil)
	server, c := cl.Server().Session(policy.Principal{}), cl.Client("alice")
	ctx := t.Context()
	var ids []ankurah.ID
	for k := range 6 {
		ids = append(ids, create(t, server, ankurah.Fields{"name": fmt.Sprint("n", k%2), "year": k}))
	}
	cl.Settle()
	for _, id := range ids { // so that their bases are known
		if _, err := albums.Get(ctx, c.Session, id); err != nil {
			t.Fatal(err)
		}
	}
	q, err := albums.QueryAggregate(ctx, c.Session, "SELECT COUNT(*), SUM(year), AVG(year), MIN(year), MAX(year) WHERE year < 100 GROUP BY name")
	if err == nil {
		err = q.WaitSynced(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got, want := said(q.Rows()), "n0 3 6 2 0 4; n1 3 9 3 1 5"; got != want {
		t.Fatalf("%s, want %s", got, want)
	}
	cl.Cut(c)
	if q.Synced() {
		t.Error("synced without a connection")
	}
	edit := func(id ankurah.ID, key string, x any) {
		t.Helper()
		err := c.Session.Update(ctx, func(tx *ankurah.Tx) error {
			e, err := albums.Edit(tx, id)
			if err != nil {
				return err
			}
			return e.Set(key, x)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		do   func()
		want string
	}{
		{func() { edit(ids[0], "year", 10) }, "n0 3 16 5.333333333333333 0 10; n1 3 9 3 1 5"}, // MIN stays: only the server knows what follows
		{func() { edit(ids[0], "year", 4) }, "n0 3 10 3.3333333333333335 0 4; n1 3 9 3 1 5"},
		{func() { edit(ids[1], "name", "n2") }, "n0 3 10 3.3333333333333335 0 4; n1 2 8 4 1 5; n2 1 1 1 1 1"},
		{func() { edit(ids[5], "year", 1000) }, "n0 3 10 3.3333333333333335 0 4; n1 1 3 3 1 5; n2 1 1 1 1 1"},
		{func() { create(t, c.Session, ankurah.Fields{"name": "n2", "year": -5}) }, "n0 3 10 3.3333333333333335 0 4; n1 1 3 3 1 5; n2 2 -4 -2 -5 1"},
	} {
		step.do()
		if got := said(q.Rows()); got != step.want {
			t.Errorf("offline: %s, want %s", got, step.want)
		}
	}
	if got := aggregate(t, c.Session, "SELECT COUNT(*)"); got != "7" {
		t.Errorf("asked offline: %s", got)
	}
	cl.Heal(c)
	cl.Settle()
	if err := q.WaitSynced(ctx); err != nil {
		t.Fatal(err)
	}
	cl.Settle()
	if got, want := said(q.Rows()), "n0 3 10 3.3333333333333335 2 4; n1 1 3 3 3 3; n2 2 -4 -2 -5 1"; got != want {
		t.Errorf("settled: %s, want %s", got, want)
	}
}

// S30: a client that starts offline computes of what it has, and says that
// nobody confirmed it.
func TestAggregateOfLocalRows(t *testing.T) {
	cl := ankurahtest.New(t, nil)
	c := cl.Client("alice")
	create(t, cl.Server().Session(policy.Principal{}), ankurah.Fields{"name": "a", "year": 1})
	if rows, err := albums.Fetch(t.Context(), c.Session, ""); err != nil || len(rows) != 1 {
		t.Fatal(rows, err)
	}
	cl.Cut(c)
	q, err := albums.QueryAggregate(t.Context(), c.Session, "SELECT COUNT(*), SUM(year)")
	if err != nil {
		t.Fatal(err)
	}
	create(t, c.Session, ankurah.Fields{"name": "b", "year": 2})
	if got := said(q.Rows()); got != "2 3" || q.Synced() {
		t.Errorf("%s, synced %t", got, q.Synced())
	}
	create(t, cl.Server().Session(policy.Principal{}), ankurah.Fields{"name": "c", "year": 4})
	cl.Heal(c)
	if err := q.WaitSynced(t.Context()); err != nil {
		t.Fatal(err)
	}
	cl.Settle()
	if got := said(q.Rows()); got != "3 7" {
		t.Errorf("%s", got)
	}
}

// switchedAgent lets others than alice read what is public, while it is on.
type switchedAgent struct {
	policy.Permissive
	on *atomic.Bool
}

func (a switchedAgent) CheckRead(p policy.Principal, s *entity.State) error {
	if v := s.Value("public"); a.on.Load() && p.Subject != "alice" && !v.Bool() {
		return policy.ErrDenied
	}
	return nil
}

// S38: a client's aggregate counts what its principal may read, also when that
// changes.
func TestAggregateFollowsPolicy(t *testing.T) {
	on := new(atomic.Bool)
	cl := ankurahtest.New(t, &ankurahtest.Options{Server: ankurah.NodeOptions{Policy: switchedAgent{on: on}}})
	on.Store(true)
	server := cl.Server().Session(policy.Principal{Subject: "alice"})
	for k := range 5 {
		create(t, server, ankurah.Fields{"name": "x", "year": k, "public": k%2 == 0})
	}
	c := cl.Client("bob")
	q, err := albums.QueryAggregate(t.Context(), c.Session, "SELECT COUNT(*), SUM(year) GROUP BY public")
	if err == nil {
		err = q.WaitSynced(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"true 3 6", "false 2 4; true 3 6", "true 3 6"} {
		cl.Settle()
		within(t, "the groups are "+want, func() bool { return said(q.Rows()) == want })
		on.Store(!on.Load())
		cl.Server().Invalidate()
	}
	q.Close()
}
