package core

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/internal/agg"
	"github.com/ankurah/ankurah-go/internal/wire"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/property/lww"
	"github.com/ankurah/ankurah-go/value"
)

type aggregateSink struct {
	changes int
	failed  error
}

func (*aggregateSink) Ready()                   {}
func (s *aggregateSink) Changed(c []agg.Change) { s.changes += len(c) }
func (s *aggregateSink) Failed(err error)       { s.failed = err }
func (*aggregateSink) Synced(bool)              {}

func (w *pair) aggregate(text string) (*Aggregate, *aggregateSink) {
	w.t.Helper()
	q, err := ankql.Parse(text)
	if err != nil {
		w.t.Fatal(err)
	}
	a, err := ankql.BindAggregate(q, nil, "album")
	if err != nil {
		w.t.Fatal(err)
	}
	sink := &aggregateSink{}
	out := w.c.SubscribeAggregate(a, nil, sink)
	w.c.StartAggregate(out)
	return out, sink
}

func counts(q *Aggregate) string {
	var out []string
	for _, g := range q.Groups() {
		var cells []string
		for _, v := range append(g.Key, g.Values...) {
			cells = append(cells, fmt.Sprint(v.GoValue()))
		}
		out = append(out, strings.Join(cells, ":"))
	}
	return strings.Join(out, " ")
}

// S27, S37: a client's aggregate never counts its own pending edit twice or not
// at all: the Ack that ends the edit brings the groups that have it.
func TestAckBringsGroups(t *testing.T) {
	w := newPair(t)
	w.connect()
	w.rest()
	q, _ := w.aggregate("SELECT COUNT(*), SUM(n)")
	w.rest()
	w.create(w.s, w.xs, 1)
	w.rest()
	if got := counts(q); got != "1:1" || !q.Synced() {
		t.Fatalf("%s, synced %t", got, q.Synced())
	}
	for k := range int32(5) {
		i := w.create(w.c, w.xc, 10)
		seen := map[string]bool{}
		for step := 0; step < 20; step++ {
			seen[counts(q)] = true
			w.xs.settle()
			w.up()
			w.xs.settle()
			frames, _ := w.p.Take()
			for _, b := range frames {
				w.c.LinkFrame(w.l, b)
				w.xc.settle()
				seen[counts(q)] = true
			}
		}
		if want := fmt.Sprintf("%d:%d", k+2, 1+10*(k+1)); len(seen) != 1 || !seen[want] {
			t.Fatalf("creating %v shows %v, want only %s", i, seen, want)
		}
	}
}

// A peer that asks for nonsense gets an error, one that may not read does not
// learn what fields there are (S38), and nothing is left of what was cancelled.
func TestServeAggregates(t *testing.T) {
	agent := &funcAgent{}
	c, x := bootCore(t, 1, agent, true)
	makeOne(t, c, x, lww.Set("n", value.Int32(1)))
	p := greeted(t, c, x)
	ask := func(m *wire.Query) wire.Message {
		t.Helper()
		m.Collection = "album"
		c.PeerFrame(p, wire.Append(nil, m))
		x.settle()
		frames, _ := p.Take()
		if len(frames) == 0 {
			return nil
		}
		got, err := wire.Decode(frames[len(frames)-1])
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if g, ok := ask(&wire.Query{ID: 1, Text: "SELECT COUNT(*) GROUP BY n"}).(*wire.Groups); !ok || len(g.Groups) != 1 || !g.Done || len(g.Groups[0].Key) != 1 {
		t.Errorf("%+v", g)
	}
	for _, text := range []string{"SELECT COUNT(", "SELECT SUM(none)", "SELECT COUNT(*) WHERE n = ?", "SELECT COUNT(*) AFTER 'x'"} {
		if f, ok := ask(&wire.Query{ID: 2, Text: text, Live: true}).(*wire.Fail); !ok || f.Code != wire.BadQuery {
			t.Errorf("%s: %+v", text, f)
		}
	}
	agent.read = func(policy.Principal, string) (ankql.Expr, error) { return nil, policy.ErrDenied }
	c.Invalidate(nil)
	x.settle()
	for _, text := range []string{"SELECT COUNT(*), SUM(none) GROUP BY none", "SELECT COUNT(*), SUM(n) GROUP BY n"} {
		if g, ok := ask(&wire.Query{ID: 3, Text: text}).(*wire.Groups); !ok || len(g.Groups) > 0 {
			t.Errorf("%s of what may not be read: %+v", text, g)
		}
	}
	if g, ok := ask(&wire.Query{ID: 4, Text: "SELECT COUNT(*)", Live: true}).(*wire.Groups); !ok || len(g.Groups) != 1 {
		t.Errorf("%+v", g)
	}
	c.PeerFrame(p, wire.Append(nil, &wire.Cancel{ID: 4}))
	x.settle()
	if c.Queries() != 0 || len(p.aggregates) != 0 {
		t.Errorf("%d live aggregates are left", c.Queries())
	}
	ask(&wire.Query{ID: 5, Text: "SELECT COUNT(*)", Live: true})
	if _, ok := ask(&wire.Query{ID: 5, Text: "SELECT COUNT(*)", Live: true}).(*wire.Bye); !ok || c.Queries() != 0 {
		t.Errorf("two with one number go on: %d", c.Queries())
	}
}

// S39: groups that do not fit what was asked end the aggregate, not the node.
func TestOddGroups(t *testing.T) {
	for name, groups := range map[string][]wire.Group{
		"no key":          {{State: []byte{8, 1}}},
		"a bad key":       {{Key: [][]byte{{0xFF}}, State: []byte{8, 1}}},
		"a bad state":     {{Key: [][]byte{{}}, State: []byte{0xFF}}},
		"too few columns": {{Key: [][]byte{{}}, State: []byte{8, 1}}},
	} {
		func() {
			defer noPanic(t, name)
			w := newPair(t)
			w.connect()
			w.rest()
			q, sink := w.aggregate("SELECT SUM(n) GROUP BY n")
			w.rest()
			w.c.LinkFrame(w.l, wire.Append(nil, &wire.Push{Results: []wire.Result{{Query: q.remote.id, Groups: groups}, {Query: 99, Groups: groups}}}))
			w.xc.settle()
			if !errors.Is(sink.failed, wire.ErrMalformed) && sink.failed == nil || w.c.Queries() != 0 {
				t.Errorf("%s: %v, %d left", name, sink.failed, w.c.Queries())
			}
			var answered error
			w.c.AggregateRemote(q.a, func(_ []ankql.Group, err error) { answered = err })
			w.c.LinkFrame(w.l, wire.Append(nil, &wire.Groups{ID: w.l.next, Groups: groups, Done: true}))
			if answered == nil {
				t.Errorf("%s: an answer", name)
			}
		}()
	}
	w := newPair(t)
	w.connect()
	w.rest()
	q := w.query(-1)
	w.rest()
	w.c.LinkFrame(w.l, wire.Append(nil, &wire.Groups{ID: q.remote.id, Done: true}))
	if w.l.Err() == nil {
		t.Error("groups for a query of rows are taken")
	}
}

// Many changed groups go in several messages and are one change.
func TestGroupsInParts(t *testing.T) {
	long := strings.Repeat("x", wire.MaxChunk/3)
	var results []wire.Result
	groups := 0
	for q := range uint64(4) {
		r := wire.Result{Query: q + 1}
		for k := range 3 {
			r.Groups = append(r.Groups, wire.Group{Key: [][]byte{[]byte(long + fmt.Sprint(q, k))}, State: []byte{8, 1}})
			groups++
		}
		results = append(results, r)
	}
	frames := pushFrames(&wire.Push{Results: results, Windows: []wire.Window{{Query: 9}}})
	l, got := &Link{}, 0
	for k, f := range frames {
		if len(f) > 2*wire.MaxChunk {
			t.Errorf("a frame of %d bytes", len(f))
		}
		m, err := wire.Decode(f)
		if err != nil {
			t.Fatal(err)
		}
		p := m.(*wire.Push)
		if p.More == (k == len(frames)-1) || p.More == (len(p.Windows) > 0) {
			t.Errorf("frame %d of %d: more %t, %d windows", k, len(frames), p.More, len(p.Windows))
		}
		_, all := l.whole(p.Changes, p.Results, p.More)
		if !p.More {
			for _, r := range all {
				got += len(r.Groups)
			}
		}
	}
	if len(frames) < 4 || got != groups {
		t.Errorf("%d groups in %d frames, want %d", got, len(frames), groups)
	}
}

// Equal aggregates are maintained once, those of principals that may read
// different rows are not; who comes late and who leaves does not disturb the
// others.
func TestEqualAggregatesAreOne(t *testing.T) {
	agent := &funcAgent{}
	c, x := bootCore(t, 1, agent, true)
	makeOne(t, c, x, lww.Set("n", value.Int32(1)))
	begin := func(text string) (*Aggregate, *aggregateSink) {
		t.Helper()
		q, err := ankql.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		a, err := ankql.BindAggregate(q, c.Model("album"), "album")
		if err != nil {
			t.Fatal(err)
		}
		sink := &aggregateSink{}
		out := c.SubscribeAggregate(a, nil, sink)
		c.StartAggregate(out)
		return out, sink
	}
	a, _ := begin("SELECT COUNT(*), SUM(n) WHERE n > 0 AND n < 9")
	b, _ := begin("SELECT COUNT(*), SUM(n) WHERE NOT (n >= 9) AND 0 < n")
	other, _ := begin("SELECT SUM(n), COUNT(*) WHERE n > 0 AND n < 9")
	x.settle()
	if a.res != b.res || a.res == other.res || len(c.sharedAggregates) != 2 {
		t.Fatalf("%d results", len(c.sharedAggregates))
	}
	makeOne(t, c, x, lww.Set("n", value.Int32(2)))
	late, sink := begin("SELECT COUNT(*), SUM(n) WHERE n > 0 AND n < 9")
	x.settle()
	if late.res != a.res || counts(late) != "2:3" || sink.changes != 0 {
		t.Errorf("who comes late has %s, and heard of %d changes", counts(late), sink.changes)
	}
	c.UnsubscribeAggregate(a)
	makeOne(t, c, x, lww.Set("n", value.Int32(3)))
	if counts(b) != "3:6" || sink.changes != 1 {
		t.Errorf("%s, %d changes", counts(b), sink.changes)
	}
	for _, q := range []*Aggregate{b, other, late} {
		c.UnsubscribeAggregate(q)
	}
	if len(c.sharedAggregates)+len(c.readingAggregates)+c.Routing().Queries+c.Queries() != 0 {
		t.Error("something is left")
	}
	// One that ends before it began, while another waits for the same.
	first, _ := begin("SELECT COUNT(*)")
	second, _ := begin("SELECT COUNT(*)")
	c.UnsubscribeAggregate(first)
	x.settle()
	if counts(second) != "3" {
		t.Errorf("%s", counts(second))
	}
	c.UnsubscribeAggregate(second)
}

// S25, S36: answers that come twice, while the copies of another store are looked
// through, do not bring back the groups of an earlier moment.
func TestSyncPointTwice(t *testing.T) {
	w := newPair(t)
	w.connect()
	w.rest()
	w.create(w.s, w.xs, 50)
	q, _ := w.aggregate("SELECT COUNT(*)")
	w.rest()
	w.cut()
	w.s.NewEpoch(func(error) {})
	w.xs.settle()
	w.connect()
	for range 10 {
		w.up()
		w.xs.settle()
		frames, _ := w.p.Take()
		for _, f := range frames {
			w.c.LinkFrame(w.l, f)
			m, err := wire.Decode(f)
			if err != nil {
				t.Fatal(err)
			}
			switch m.(type) {
			case *wire.Sync, *wire.Groups:
				w.c.LinkFrame(w.l, f)
			}
		}
		if w.l.resync != nil && len(w.xc.tasks) > 0 {
			break
		}
	}
	if len(w.xc.tasks) == 0 {
		t.Fatal("the last step was not held up")
	}
	late := w.xc.tasks[1:]
	w.xc.tasks = w.xc.tasks[:1:1]
	w.rest()
	w.create(w.s, w.xs, 51)
	w.rest()
	w.xc.tasks = append(w.xc.tasks, late...)
	w.rest()
	if got := counts(q); got != "2" {
		t.Errorf("%q are counted, not 2", got)
	}
}
