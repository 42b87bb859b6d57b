package ankurah_test

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage/memory"
)

// levelAgent lets others than alice read what their level allows.
type levelAgent struct {
	policy.Permissive
	level *atomic.Int32
	err   *atomic.Pointer[error]
}

func newLevelAgent(level int32) levelAgent {
	a := levelAgent{level: new(atomic.Int32), err: new(atomic.Pointer[error])}
	a.level.Store(level)
	return a
}

func (a levelAgent) ReadFilter(p policy.Principal, collection string) (ankql.Expr, error) {
	if err := a.err.Load(); err != nil {
		return nil, *err
	}
	if p.Subject == "alice" {
		return nil, nil
	}
	switch level := a.level.Load(); {
	case level < 0:
		return nil, &policy.DeniedError{Subject: p.Subject, Collection: collection, Rule: "none"}
	case level >= 100:
		return nil, nil
	default:
		return ankql.ParseExpr(fmt.Sprint("secret IS NULL OR secret <= ", level))
	}
}

// checkingAgent is a levelAgent that looks at each entity, so that nothing is
// shared.
type checkingAgent struct{ levelAgent }

func (checkingAgent) CheckRead(policy.Principal, *entity.State) error { return nil }

func agents(level int32) map[string]func() (policy.Agent, levelAgent) {
	return map[string]func() (policy.Agent, levelAgent){
		"filters": func() (policy.Agent, levelAgent) { a := newLevelAgent(level); return a, a },
		"checks":  func() (policy.Agent, levelAgent) { a := newLevelAgent(level); return checkingAgent{a}, a },
	}
}

type collection = ankurah.Collection[ankurah.Fields, album, *ankurah.Edit]

func live(t *testing.T, c collection, s *ankurah.Session, text string) *ankurah.LiveQuery[album] {
	t.Helper()
	q, err := c.Query(t.Context(), s, text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	t.Cleanup(q.Close)
	return q
}

// follower keeps rows by the change sets of a live query alone.
type follower struct {
	mu     sync.Mutex
	rows   map[string]bool
	sets   int
	caused []string // changes that name events
}

func tally(q *ankurah.LiveQuery[album]) *follower {
	f := &follower{rows: map[string]bool{}, sets: -1} // the first is what is there
	q.OnChange(func(cs ankurah.ChangeSet[album]) {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, c := range cs.Changes {
			name := names([]album{c.Row()})[0]
			if f.rows[name] == (c.Kind != ankurah.Removed) {
				f.caused = append(f.caused, fmt.Sprintf("%s %s, which is no change", c.Kind, name))
			}
			if f.rows[name] = true; c.Kind == ankurah.Removed {
				delete(f.rows, name)
			}
			if len(c.Events) > 0 || c.Created {
				f.caused = append(f.caused, fmt.Sprintf("%s %s", c.Kind, name))
			}
		}
		f.sets++
	})
	return f
}

func (f *follower) has(rows []string, sets int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	have := slices.Sorted(maps.Keys(f.rows))
	rows = slices.Sorted(slices.Values(rows))
	return slices.Equal(have, rows) && f.sets == sets
}

// S38: what a principal may read changes, and every live query of its sessions
// on the node itself follows, each in one change set; those of others hear
// nothing.
func TestInvalidateNarrowsSessions(t *testing.T) {
	for name, agent := range agents(3) {
		t.Run(name, func(t *testing.T) { invalidateSessions(t, agent) })
	}
}

func invalidateSessions(t *testing.T, agent func() (policy.Agent, levelAgent)) {
	a, level := agent()
	n := openNode(t, memory.New(), &ankurah.NodeOptions{Policy: a, Models: refModels})
	alice, bob := n.Session(policy.Principal{Subject: "alice"}), n.Session(policy.Principal{Subject: "bob"})
	songs := ankurah.Dynamic("song")
	for k := range 6 {
		fields := ankurah.Fields{"name": fmt.Sprint("a", k), "n": k}
		if k > 0 {
			fields["secret"] = k
		}
		i := create(t, alice, fields)
		err := alice.Update(t.Context(), func(tx *ankurah.Tx) error {
			_, err := songs.Create(tx, &ankurah.Fields{"name": fmt.Sprint("s", k), "album": i})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	type asked struct {
		c    collection
		text string
		q    *ankurah.LiveQuery[album]
		f    *follower
		sets int
		last []string
	}
	var all []*asked
	for _, s := range []*ankurah.Session{bob, alice} {
		for _, text := range []string{"", "n <> 2", "ORDER BY n DESC LIMIT 2", "n > 0 ORDER BY name LIMIT 3"} {
			all = append(all, &asked{c: albums, text: text, q: live(t, albums, s, text)})
		}
		for _, text := range []string{"album.n > 1", "album.name IS NULL", "ORDER BY album.n DESC LIMIT 2", "ORDER BY album.n"} {
			all = append(all, &asked{c: songs, text: text, q: live(t, songs, s, text)})
		}
	}
	mine := len(all) / 2
	for _, x := range all {
		x.f, x.last = tally(x.q), names(x.q.Rows())
	}
	groups := map[string]*ankurah.LiveAggregate{}
	totals := map[string]collection{
		"SELECT COUNT(*), SUM(n), MAX(n)": albums, "SELECT COUNT(*) GROUP BY album.name ORDER BY album.name": songs,
	}
	for text, c := range totals {
		g, err := c.QueryAggregate(t.Context(), bob, text)
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		groups[text] = g
	}
	for _, to := range []int32{1, 100, 4, -1, 2, 2, 0, 3} {
		level.level.Store(to)
		n.Invalidate("carol")
		n.Invalidate("bob")
		for k, x := range all {
			s := alice
			if k < mine {
				s = bob
			}
			want, err := x.c.Fetch(t.Context(), s, x.text)
			if err != nil {
				t.Fatal(err)
			}
			if got := names(x.q.Rows()); !slices.Equal(got, names(want)) {
				t.Errorf("level %d, %q of %q: rows %v, want %v", to, x.text, s.Principal().Subject, got, names(want))
			}
			now := slices.Sorted(slices.Values(names(want)))
			if was := slices.Sorted(slices.Values(x.last)); !slices.Equal(was, now) {
				x.sets++
			}
			x.last = names(want)
			within(t, fmt.Sprintf("level %d, %q: %v in %d change sets", to, x.text, now, x.sets), func() bool { return x.f.has(now, x.sets) })
		}
		for text, c := range totals {
			want, err := c.Aggregate(t.Context(), bob, text)
			if err != nil {
				t.Fatal(err)
			}
			if got := said(groups[text].Rows()); got != said(want) {
				t.Errorf("level %d, %s: %s, want %s", to, text, got, said(want))
			}
		}
	}
	for _, x := range all {
		if len(x.f.caused) > 0 {
			t.Errorf("%q: %v", x.text, x.f.caused)
		}
		x.q.Close()
	}
}

// S38, S54: a window grows, and a selection changes, upon what was asked for and
// not upon what it was narrowed to.
func TestSelectionsAfterInvalidate(t *testing.T) {
	for name, agent := range agents(0) {
		t.Run(name, func(t *testing.T) {
			a, level := agent()
			n := openNode(t, memory.New(), &ankurah.NodeOptions{Policy: a})
			alice, bob := n.Session(policy.Principal{Subject: "alice"}), n.Session(policy.Principal{Subject: "bob"})
			for k := range 8 {
				create(t, alice, ankurah.Fields{"name": fmt.Sprint("a", k), "n": k, "secret": k})
			}
			q := live(t, albums, bob, "ORDER BY n DESC LIMIT 1")
			steps := []struct {
				level int32
				more  int
				text  string
				want  string
			}{
				{level: 0, more: 1, want: "a0"},
				{level: 5, want: "a5 a4"},
				{level: 100, more: 1, want: "a7 a6 a5"},
				{level: -1, more: 1, want: ""},
				{level: 2, want: "a2 a1 a0"},
				{level: 2, text: "n <> 2", want: "a0 a1"},
				{level: -1, want: ""},
				{level: 100, want: "a0 a1 a3 a4 a5 a6 a7"},
			}
			for k, step := range steps {
				level.level.Store(step.level)
				n.Invalidate()
				var err error
				if step.more > 0 {
					err = q.LoadMore(t.Context(), step.more)
				}
				if step.text != "" {
					err = errors.Join(err, q.SetSelection(t.Context(), step.text+" ORDER BY n LIMIT 100"))
				}
				if got := strings.Join(names(q.Rows()), " "); got != step.want || err != nil {
					t.Errorf("step %d: %q, %v; want %q", k, got, err, step.want)
				}
			}
		})
	}
}

// S38, S58: a policy agent that fails when live queries are narrowed again ends
// them with its error. They keep their last rows and see nothing more, also
// where another principal goes on with the same result.
func TestFailedNarrowingEndsSessions(t *testing.T) {
	a := newLevelAgent(100)
	n := openNode(t, memory.New(), &ankurah.NodeOptions{Policy: a})
	alice, bob := n.Session(policy.Principal{Subject: "alice"}), n.Session(policy.Principal{Subject: "bob"})
	i := create(t, alice, ankurah.Fields{"name": "a", "n": 1})
	mine, hers := live(t, albums, bob, ""), live(t, albums, alice, "")
	closed := live(t, albums, bob, "")
	total := func(s *ankurah.Session) *ankurah.LiveAggregate {
		g, err := albums.QueryAggregate(t.Context(), s, "SELECT COUNT(*), SUM(n)")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(g.Close)
		return g
	}
	mySum, herSum := total(bob), total(alice)
	if st := n.Stats(); st.Results != 2 {
		t.Fatalf("%d results are not shared", st.Results)
	}
	closed.Close()
	f := tally(mine)
	within(t, "the rows at first", func() bool { return f.has([]string{"a"}, 0) })
	ended := make(chan struct{})
	mine.OnStatus(func() { close(ended) })
	down := errors.New("the directory is down")
	a.err.Store(&down)
	n.Invalidate("bob")
	a.err.Store(nil)
	<-ended
	<-mine.Done()
	if !errors.Is(mine.Err(), down) || !errors.Is(mySum.Err(), down) || hers.Err() != nil || herSum.Err() != nil {
		t.Fatalf("bob's end with %v and %v, alice's with %v and %v", mine.Err(), mySum.Err(), hers.Err(), herSum.Err())
	}
	update(t, alice, i, ankurah.Fields{"name": "b", "n": 2})
	create(t, alice, ankurah.Fields{"name": "c", "n": 3})
	for what, q := range map[string]*ankurah.LiveQuery[album]{"ended": mine, "closed": closed} {
		if got := names(q.Rows()); !slices.Equal(got, []string{"a"}) {
			t.Errorf("bob's %s query has %v", what, got)
		}
	}
	if got := said(mySum.Rows()); got != "1 1" {
		t.Errorf("bob's sum is %s", got)
	}
	if got, sum := names(hers.Rows()), said(herSum.Rows()); len(got) != 2 || sum != "2 5" {
		t.Errorf("alice's: %v, %s", got, sum)
	}
	if !f.has([]string{"a"}, 0) {
		t.Errorf("bob has heard of %v", f.rows)
	}
	if err := mine.SetSelection(t.Context(), "n > 0"); !errors.Is(err, down) {
		t.Errorf("and a change of selection: %v", err)
	}
	if err := mine.LoadMore(t.Context(), 1); !errors.Is(err, down) {
		t.Errorf("and LoadMore: %v", err)
	}
}

// S38, S54, S56: what may happen to a live query happens all at once; in the end
// it has what may be read.
func TestInvalidateBesideEverything(t *testing.T) {
	const rounds = 60
	for name, agent := range agents(3) {
		t.Run(name, func(t *testing.T) {
			a, level := agent()
			n := openNode(t, memory.New(), &ankurah.NodeOptions{Policy: a})
			alice, bob := n.Session(policy.Principal{Subject: "alice"}), n.Session(policy.Principal{Subject: "bob"})
			ids := make([]ankurah.ID, 10)
			for k := range ids {
				ids[k] = create(t, alice, ankurah.Fields{"name": fmt.Sprint("a", k), "n": k, "secret": k})
			}
			q, window := live(t, albums, bob, ""), live(t, albums, bob, "ORDER BY n LIMIT 1")
			sum, err := albums.QueryAggregate(t.Context(), bob, "SELECT COUNT(*), SUM(n)")
			if err != nil {
				t.Fatal(err)
			}
			defer sum.Close()
			f := tally(q)
			texts := []string{"n > 2", "n < 7 ORDER BY n DESC", ""}
			var work sync.WaitGroup
			for _, do := range []func(k int) error{
				func(k int) error {
					level.level.Store(int32(k%12 - 1))
					n.Invalidate("bob")
					return nil
				},
				func(k int) error { return q.SetSelection(t.Context(), texts[k%len(texts)]) },
				func(k int) error {
					if k%10 > 0 {
						return nil
					}
					return window.LoadMore(t.Context(), 1)
				},
				func(k int) error {
					update(t, alice, ids[k%len(ids)], ankurah.Fields{"n": k % 10, "secret": (k * 7) % 10})
					return nil
				},
				func(int) error {
					other, err := albums.Query(t.Context(), bob, "n > 1")
					if err != nil {
						return err
					}
					other.Close()
					<-other.Done()
					return nil
				},
			} {
				work.Go(func() {
					for k := range rounds {
						if err := do(k); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			work.Wait()
			level.level.Store(4)
			n.Invalidate()
			for _, x := range []struct {
				q    *ankurah.LiveQuery[album]
				text string
			}{{q, texts[(rounds-1)%len(texts)]}, {window, fmt.Sprint("ORDER BY n LIMIT ", 1+rounds/10)}} {
				within(t, fmt.Sprintf("%q has what may be read", x.text), func() bool {
					want, err := albums.Fetch(t.Context(), bob, x.text)
					if err != nil {
						t.Fatal(err)
					}
					return slices.Equal(names(x.q.Rows()), names(want))
				})
			}
			want := aggregate(t, bob, "SELECT COUNT(*), SUM(n)")
			within(t, "the sum is "+want, func() bool { return said(sum.Rows()) == want })
			rows := slices.Sorted(slices.Values(names(q.Rows())))
			within(t, "the change sets come to the rows", func() bool {
				f.mu.Lock()
				defer f.mu.Unlock()
				return slices.Equal(slices.Sorted(maps.Keys(f.rows)), rows)
			})
			if n.Stats().LiveQueries != 3 {
				t.Errorf("%d live queries are left", n.Stats().LiveQueries)
			}
		})
	}
}

// S58: a live query is no goroutine, neither when it waits nor when something
// has happened to it.
func TestIdleLiveQueriesAreNoGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := openNode(t, memory.New(), nil)
		s := n.Session(alice)
		create(t, s, ankurah.Fields{"name": "a", "n": 0})
		synctest.Wait()
		before := runtime.NumGoroutine()
		var told atomic.Int64
		queries := make([]*ankurah.LiveQuery[album], 1000)
		for k := range queries {
			queries[k] = live(t, albums, s, fmt.Sprint("n >= ", k))
			queries[k].OnStatus(func() {})
			queries[k].OnChange(func(cs ankurah.ChangeSet[album]) { told.Add(int64(len(slices.Collect(cs.Added())))) })
		}
		synctest.Wait() // nothing runs any more
		if now := runtime.NumGoroutine(); now > before {
			t.Errorf("%d goroutines for 1000 live queries", now-before)
		}
		create(t, s, ankurah.Fields{"name": "b", "n": 999})
		synctest.Wait()
		if now := runtime.NumGoroutine(); now > before || told.Load() != 1000 {
			t.Errorf("%d goroutines after a commit that %d of 1000 heard of", now-before, told.Load())
		}
		n.Invalidate()
		synctest.Wait()
		if now := runtime.NumGoroutine(); now > before {
			t.Errorf("%d goroutines after they were narrowed again", now-before)
		}
	})
}
