package port

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	ankurah "github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/policy"
)

// A page sees the rows of its queries, and what it and others commit.
func TestPage(t *testing.T) {
	n := durable(t, policy.Permissive{})
	s := NewServer(n, nil)
	p, o := pageOf(t, s, "alice"), pageOf(t, s, "bob")
	if p.until("it hears of the node", func() bool { return p.state.durable }); p.state != (state{durable: true, connected: true, subject: "alice", system: n.System()}) {
		t.Errorf("the state is %+v", p.state)
	}
	q := p.open(1, "BlogPost", "published ORDER BY title")
	if len(q.order) != 0 || !q.synced {
		t.Errorf("rows %v, synced %v of an empty collection", q.list(), q.synced)
	}
	ids := o.made(creates("blog_post", "title", "b", "published", true), creates("blog_post", "title", "a", "published", true), creates("blog_post", "title", "c", "published", false))
	if len(ids) != 3 {
		t.Fatalf("created %v", ids)
	}
	p.until("it has two rows", func() bool { return len(q.order) == 2 })
	if diff := cmp.Diff([]string{"published=TRUE title='a' ", "published=TRUE title='b' "}, q.list()); diff != "" {
		t.Error(diff)
	}
	p.made(edits("blog_post", ids[2], "published", true), edits("BlogPost", ids[1], "title", "z"), op{kind: opDelete, collection: "blog_post", entity: ids[0]})
	want := []string{"published=TRUE title='c' ", "published=TRUE title='z' "}
	p.until("the edits show", func() bool { return slices.Equal(q.list(), want) })
	p.made(op{kind: opRestore, collection: "blog_post", entity: ids[0]})
	p.until("it is back", func() bool { return len(q.order) == 3 })

	p.send(&closeQuery{1})
	delete(p.queries, 1)
	p.open(2, "blog_post", "title = ?", "c")
	if open := n.Stats().LiveQueries; open != 1 {
		t.Errorf("%d live queries are open", open)
	}
}

// One update tells all queries of a page as they are at one moment: what one
// transaction moves from one to another is at no time in both or none.
func TestQueriesAreFromOneMoment(t *testing.T) {
	n := durable(t, policy.Permissive{})
	s := NewServer(n, nil)
	p, o := pageOf(t, s, ""), pageOf(t, s, "")
	var ops []op
	for k := range 40 {
		ops = append(ops, creates("coin", "n", k, "left", k%2 == 0))
	}
	ids := o.made(ops...)
	left, right, sum := p.open(1, "coin", "left ORDER BY n"), p.open(2, "coin", "NOT left"), p.open(3, "coin", "SELECT COUNT(*) WHERE left")
	first := p.open(5, "coin", "left ORDER BY n LIMIT 3")
	p.onShow = func() {
		if !slices.Equal(first.order, left.order[:min(3, len(left.order))]) {
			t.Fatalf("the first of %v are %v", left.order, first.order)
		}
		if len(left.order)+len(right.order) != len(ids) || sum.groups[1] != fmt.Sprint([]int{len(left.order)}) {
			t.Fatalf("%d left, %d right, counted %v of %d coins", len(left.order), len(right.order), sum.groups, len(ids))
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		rng := rand.New(rand.NewPCG(1, 2))
		sess := n.Session(policy.Principal{})
		for range 400 {
			err := sess.Update(context.Background(), func(tx *ankurah.Tx) error {
				for range 1 + rng.IntN(3) {
					e, err := ankurah.Dynamic("coin").Edit(tx, ids[rng.IntN(len(ids))])
					if err != nil {
						return err
					}
					was, _ := e.Get("left")
					_ = e.Set("left", !was.(bool)) // Commit says why
					if rng.IntN(8) == 0 {
						for _, i := range ids[:20] { // so that the window runs short
							if e, err := ankurah.Dynamic("coin").Edit(tx, i); err == nil {
								_ = e.Set("left", false)
							}
						}
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		}
		err := sess.Update(context.Background(), func(tx *ankurah.Tx) error {
			_, err := ankurah.Dynamic("end").Create(tx, &ankurah.Fields{"x": 1})
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}()
	last := p.open(4, "end", "")
	p.until("the end has come", func() bool { return len(last.order) == 1 })
	<-done
	if p.updates < 5 {
		t.Errorf("%d updates", p.updates)
	}
}

// An Ack comes when what was committed shows.
func TestAcksComeAfterUpdates(t *testing.T) {
	n := durable(t, policy.Permissive{})
	s := NewServer(n, nil)
	p, o := pageOf(t, s, ""), pageOf(t, s, "")
	i, other := o.made(creates("item", "n", 0))[0], o.made(creates("item", "n", 0))[0]
	q := p.open(1, "item", "")
	for k := range 300 {
		if k%3 == 0 {
			o.made(edits("item", other, "n", k))
		}
		p.made(edits("item", i, "n", k+1))
		if want := fmt.Sprintf("n=%d ", k+1); q.rows[i] != want {
			t.Fatalf("%s shows with the Ack of %s", q.rows[i], want)
		}
	}
}

// S52, for pages: whatever is committed, what a page shows in the end is what a
// fresh fetch returns, in its order; a page that takes its time too.
func TestPagesShowWhatIsThere(t *testing.T) {
	queries := []string{"", "n > 50", "n < 30 OR tag = 'x' ORDER BY n DESC", "ORDER BY tag, n LIMIT 7", "tag = 'y' ORDER BY n LIMIT 3", "SELECT COUNT(*), SUM(n) GROUP BY tag"}
	rounds := 60
	if testing.Short() {
		rounds = 15
	}
	for seed := range uint64(4) {
		rng := rand.New(rand.NewPCG(seed, 1))
		n := durable(t, policy.Permissive{})
		s := NewServer(n, nil)
		p := pageOf(t, s, "")
		sess := n.Session(policy.Principal{})
		items := ankurah.Dynamic("item")
		var shows []*seen
		for k, text := range queries {
			shows = append(shows, p.open(uint64(k+1), "item", text))
		}
		var all []ankurah.ID
		for round := range rounds {
			for range 1 + rng.IntN(8) {
				check(t, sess.Update(context.Background(), func(tx *ankurah.Tx) error {
					for range 1 + rng.IntN(4) {
						k := rng.IntN(len(all) + 3)
						f := ankurah.Fields{"n": rng.IntN(100), "tag": []string{"x", "y", "z"}[rng.IntN(3)]}
						if k >= len(all) {
							e, err := items.Create(tx, &f)
							if err != nil {
								return err
							}
							all = append(all, e.ID())
						} else if rng.IntN(4) == 0 {
							_ = items.Delete(tx, all[k])
						} else if e, err := items.Edit(tx, all[k]); err == nil {
							for key, v := range f {
								_ = e.Set(key, v) // Commit says why
							}
						}
					}
					return nil
				}))
			}
			if round%3 > 0 { // else it is slow
				continue
			}
			for k, text := range queries {
				if strings.HasPrefix(text, "SELECT") {
					groups, err := items.Aggregate(context.Background(), sess, text)
					check(t, err)
					want := []string{strings.Join(groups[0].Columns(), " ")}
					for _, g := range groups {
						want = append(want, fmt.Sprint([]any{g.Value(0), g.Value(1), g.Value(2)}))
					}
					p.until("the groups are right", func() bool { return slices.Equal(shows[k].groups, want) })
					continue
				}
				rows, err := items.Fetch(context.Background(), sess, text)
				check(t, err)
				var want []string
				for _, r := range rows {
					v := ""
					for key, x := range r.Values() {
						v += key + "=" + x.String() + " "
					}
					want = append(want, v)
				}
				p.until("the rows of "+text+" are right", func() bool { return slices.Equal(shows[k].list(), want) })
			}
		}
	}
}

// A new row at the top of a long result costs that row and no other.
func TestUpdatesAreSmall(t *testing.T) {
	n := durable(t, policy.Permissive{})
	p := pageOf(t, NewServer(n, nil), "")
	var ops []op
	for k := range 3000 {
		ops = append(ops, creates("item", "n", k, "text", strings.Repeat("long", 50)))
	}
	ids := p.made(ops...)
	q := p.open(1, "item", "ORDER BY n DESC")
	if len(q.order) != 3000 || q.moved != 3000 {
		t.Fatalf("%d rows, %d of them placed", len(q.order), q.moved)
	}
	p.made(creates("item", "n", 5000))
	p.until("it is there", func() bool { return len(q.order) == 3001 })
	p.made(edits("item", ids[5], "n", 4000))
	p.until("it has moved", func() bool { return q.order[1] == ids[5] })
	p.made(edits("item", ids[7], "text", "short"))
	p.until("it has changed", func() bool { return q.rows[ids[7]] == "n=7 text='short' " })
	if q.moved != 3002 {
		t.Errorf("%d rows came with a place, want 3,002", q.moved)
	}
}

// A page that takes nothing is sent no more than a few frames, and then what is
// there and not what was in between.
func TestSlowPage(t *testing.T) {
	n := durable(t, policy.Permissive{})
	s := NewServer(n, nil)
	p, o := pageOf(t, s, ""), pageOf(t, s, "")
	i := o.made(creates("item", "n", 0))[0]
	q := p.open(1, "item", "")
	for k := range 200 {
		o.made(edits("item", i, "n", k+1))
	}
	p.until("the last one is there", func() bool { return q.rows[i] == "n=200 " })
	if p.updates > 2*window+2 {
		t.Errorf("%d updates", p.updates)
	}
}

func TestLoadMore(t *testing.T) {
	p := pageOf(t, NewServer(durable(t, policy.Permissive{}), nil), "")
	for k := range 10 {
		p.made(creates("item", "n", k))
	}
	q := p.open(1, "item", "ORDER BY n LIMIT 3")
	p.send(&more{1, 4})
	p.until("there are more", func() bool { return len(q.order) == 7 })
	p.send(&more{9, 4}) // no such query
	p.send(&more{1, 1 << 63})
	p.until("there are all", func() bool { return len(q.order) == 10 })
}

// A transaction that is sent again, on the same connection, on another, at once
// or when the server has been told to forget, is answered and not done again.
func TestRetriesDoNotDouble(t *testing.T) {
	n := durable(t, policy.Permissive{})
	s := NewServer(n, nil)
	tx := newTx()
	ops := []op{creates("artist", "name", "Muse"), {kind: opCreate, collection: "album", fields: []field{{key: "artist", made: 1}}}}
	var pages []*tab
	for range 4 {
		pages = append(pages, pageOf(t, s, ""))
	}
	for _, p := range pages {
		p.send(&commit{tx: tx, ops: ops})
	}
	var created []id.ID
	for _, p := range pages {
		o := p.outcome(tx)
		p.until("it is answered", func() bool { return o.acked })
		if created == nil {
			created = o.created
		}
		if len(o.created) != 2 || !o.confirmed || !slices.Equal(o.created, created) {
			t.Errorf("answered %+v, first %v", o, created)
		}
	}
	p := pageOf(t, NewServer(n, nil), "")
	if o := p.commitAs(tx, ops...); !o.confirmed || !slices.Equal(o.created, created) {
		t.Errorf("answered %+v, first %v", o, created)
	}
	if q := p.open(1, "artist", ""); len(q.order) != 1 {
		t.Errorf("artists %v", q.list())
	}
	if q := p.open(2, "album", "artist = ?", created[0]); !slices.Equal(q.order, created[1:]) {
		t.Errorf("albums %v", q.list())
	}
}

var rules = policy.Rules{
	Collections: map[string][]policy.Rule{"note": {{Name: "owners", Role: "*", Read: "owner = :subject OR public", Write: "owner = :subject"}}},
	Credentials: func(_ context.Context, c []byte) (policy.Principal, error) {
		if len(c) == 0 {
			return policy.Principal{}, policy.ErrUnauthenticated
		}
		return policy.Principal{Subject: string(c)}, nil
	},
}

// S38, S60: a page reads and writes what its principal may, and hears no more.
func TestPolicy(t *testing.T) {
	agent, err := rules.Agent()
	check(t, err)
	s := NewServer(durable(t, agent), nil)
	alice, bob := pageOf(t, s, "alice"), pageOf(t, s, "bob")
	hers := alice.made(creates("note", "owner", "alice", "text", "secret"), creates("note", "owner", "alice", "text", "known", "public", true))
	q := bob.open(1, "note", "")
	if !slices.Equal(q.order, hers[1:]) {
		t.Errorf("bob reads %v", q.list())
	}
	if q := bob.open(2, "note", "SELECT COUNT(*)"); q.groups[1] != "[1]" {
		t.Errorf("bob counts %v", q.groups)
	}
	for what, c := range map[string]struct {
		op   op
		code string
	}{
		"forging":               {creates("note", "owner", "alice"), "denied"},
		"editing a readable":    {edits("note", hers[1], "text", "x"), "denied"},
		"editing a hidden":      {edits("note", hers[0], "text", "x"), "not_found"},
		"deleting a hidden":     {op{kind: opDelete, collection: "note", entity: hers[0]}, "not_found"},
		"writing to the system": {creates("_system", "x", 1), "reserved"},
		"writing elsewhere":     {creates("other", "x", 1), "denied"},
	} {
		if o := bob.commit(c.op); o.code != c.code || o.acked || strings.Contains(o.text, "secret") {
			t.Errorf("%s: %+v, want %s", what, o, c.code)
		}
	}
	alice.made(edits("note", hers[0], "public", true))
	bob.until("he may read it", func() bool { return len(q.order) == 2 })
	alice.made(edits("note", hers[0], "public", false))
	bob.until("he may not", func() bool { return len(q.order) == 1 })

	p := connect(t, s)
	p.send(&hello{min: 1, max: 1})
	if p.ended(); p.bye == nil || p.bye.code != "unauthenticated" || p.welcome {
		t.Errorf("without a credential: %+v", p.bye)
	}
}

// S38: what a principal may not read any more is withdrawn when the agent is
// asked again.
func TestInvalidate(t *testing.T) {
	agent := &moody{}
	n := durable(t, agent)
	s := NewServer(n, nil)
	p := pageOf(t, s, "alice")
	p.made(creates("note", "public", true), creates("note", "public", false))
	q, sum := p.open(1, "note", ""), p.open(2, "note", "SELECT COUNT(*)")
	agent.closed.Store(true)
	n.Invalidate("bob")
	n.Invalidate("alice")
	p.until("it is withdrawn", func() bool { return len(q.order) == 1 && sum.groups[1] == "[1]" })
	agent.closed.Store(false)
	n.Invalidate()
	p.until("it is back", func() bool { return len(q.order) == 2 && sum.groups[1] == "[2]" })
}
