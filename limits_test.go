package ankurah_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/wire"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/transport/local"
	"github.com/ankurah/ankurah-go/value"
)

// beyond checks an error about a limit: what it is, and that it names it.
func beyond(t testing.TB, name string, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) || !errors.Is(err, ankurah.ErrLimit) || !strings.Contains(err.Error(), "Limits."+name+")") || !strings.HasPrefix(err.Error(), "ankurah: ") {
		t.Errorf("beyond %s: %v; want %q", name, err, kind)
	}
}

// atEdge checks a limit at its edge and one over.
func atEdge(t testing.TB, name string, at, over, kind error) {
	t.Helper()
	if at != nil {
		t.Errorf("at %s: %v", name, at)
	}
	beyond(t, name, over, kind)
}

func filler(n int) string { return strings.Repeat("x", n) }

// S33, S61: a transaction at a limit is committed, one beyond it refused by
// name: where it is made, and by the server of one who has greater limits.
func TestLimitsOfTransactions(t *testing.T) {
	limits := ankurah.Limits{TxEvents: 5, TxBytes: 8 << 10, TxRequires: 2, Properties: 4, EventBytes: 3000, Collections: 3}
	server := openNode(t, memory.New(), &ankurah.NodeOptions{Policy: policy.Permissive{}, Limits: limits})
	client := openClient(t)
	c := local.Dial(client, server, []byte("alice"))
	defer c.Close()
	if err := client.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, n := range []*ankurah.Node{server, client} {
		s := n.Session(policy.Principal{Subject: "alice"})
		create := func(collection string, entities, properties, bytes int) error {
			return s.UpdateConfirmed(t.Context(), func(tx *ankurah.Tx) error {
				for range entities {
					fields := ankurah.Fields{"a": filler(bytes)}
					for k := range properties - 1 {
						fields[string(rune('b'+k))] = "x"
					}
					if _, err := ankurah.Dynamic(collection).Create(tx, &fields); err != nil {
						return err
					}
				}
				return nil
			})
		}
		atEdge(t, "TxEvents", create("one", 5, 1, 1), create("one", 6, 1, 1), ankurah.ErrTooLarge)
		atEdge(t, "TxBytes", create("one", 3, 1, 2400), create("one", 4, 1, 2400), ankurah.ErrTooLarge)
		atEdge(t, "EventBytes", create("one", 1, 1, 2700), create("one", 1, 1, 2900), ankurah.ErrTooLarge)
		atEdge(t, "Properties", create("one", 1, 4, 1), create("one", 1, 5, 1), ankurah.ErrTooLarge)
		atEdge(t, "Collections", errors.Join(create("two", 1, 1, 1), create("three", 1, 1, 1)), create("four", 1, 1, 1), ankurah.ErrTooLarge)
		rows, err := ankurah.Dynamic("one").Fetch(t.Context(), s, "LIMIT 3")
		if err != nil {
			t.Fatal(err)
		}
		require := func(n int) error {
			return s.UpdateConfirmed(t.Context(), func(tx *ankurah.Tx) error {
				for _, r := range rows[:n] {
					tx.Require(r)
				}
				_, err := ankurah.Dynamic("one").Create(tx, &ankurah.Fields{"a": "x"})
				return err
			})
		}
		atEdge(t, "TxRequires", require(2), require(3), ankurah.ErrTooLarge)
	}
}

// S33: what grows with many events has a limit too. What was beyond it when the
// limit was lowered may shrink.
func TestLimitsOfEntities(t *testing.T) {
	eng := memory.New()
	open := func(l ankurah.Limits) (*ankurah.Node, *ankurah.Session) {
		n, err := ankurah.OpenNode(t.Context(), eng, &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}, Limits: l})
		if err == nil {
			err = n.EnsureSystem(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		return n, n.Session(policy.Principal{})
	}
	n, s := open(ankurah.Limits{StateBytes: 5000})
	var i ankurah.ID
	set := func(key string, bytes int) error {
		return s.Update(t.Context(), func(tx *ankurah.Tx) error {
			if i == (ankurah.ID{}) {
				e, err := albums.Create(tx, &ankurah.Fields{key: filler(bytes)})
				i = e.ID()
				return err
			}
			e, err := albums.Edit(tx, i)
			if err != nil {
				return err
			}
			return e.Set(key, filler(bytes))
		})
	}
	atEdge(t, "StateBytes", errors.Join(set("a", 1800), set("b", 1800)), set("c", 1000), ankurah.ErrTooLarge)
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	n, s = open(ankurah.Limits{StateBytes: 3000})
	atEdge(t, "StateBytes", set("a", 1700), set("a", 1900), ankurah.ErrTooLarge)
	if err := errors.Join(n.Close(), eng.Close()); err != nil {
		t.Fatal(err)
	}
}

// S6, S8, S33: parents and the width of a head, over the wire; a node's own
// events keep to what it may write.
func TestLimitsOfHeads(t *testing.T) {
	attackedWith(t, ankurah.Limits{Parents: 3, HeadWidth: 5}, func(a *arena) {
		x := a.greet("mallory")
		g := x.genesis("album", set("name", "wide"))
		if r := x.submit(g); r != nil {
			t.Fatal(r)
		}
		var tips []id.ID
		for range 5 {
			e := x.edit("album", g.Entity, []id.ID{g.ID}, set("name", "sibling"))
			if r := x.submit(e); r != nil {
				t.Fatal(r)
			}
			tips = append(tips, e.ID)
		}
		x.refused("a sixth tip", x.submit(x.edit("album", g.Entity, []id.ID{g.ID})), wire.TooLarge, "Limits.HeadWidth")
		x.refused("four parents", x.submit(x.edit("album", g.Entity, tips[:4])), wire.TooLarge, "Limits.Parents")
		s := a.server.Session(policy.Principal{Subject: "bob"})
		err := s.Update(t.Context(), func(tx *ankurah.Tx) error {
			e, err := albums.Edit(tx, g.Entity)
			if err != nil {
				return err
			}
			return e.Set("name", "merged")
		})
		if err != nil {
			t.Fatal(err)
		}
		v, err := albums.Get(t.Context(), s, g.Entity)
		if err != nil || len(v.Head()) != 3 {
			t.Errorf("after a merge: %d tips, %v", len(v.Head()), err)
		}
		if r := x.submit(x.edit("album", g.Entity, tips[:3])); r != nil {
			t.Errorf("when there is room again: %v", r)
		}
	})
}

// S33, S40, S61: queries: their text, and what they cost.
func TestLimitsOfQueries(t *testing.T) {
	server := openNode(t, memory.New(), &ankurah.NodeOptions{Policy: policy.Permissive{}, Limits: ankurah.Limits{
		QueryText: 40, QueryNesting: 3, QueryBytes: 1000, AnswerBytes: 10_000, PeerRows: 6, Subscriptions: 2, NodeSubscriptions: 3,
	}})
	own := server.Session(policy.Principal{Subject: "alice"})
	fill := func(collection string, rows, bytes int) {
		err := own.Update(t.Context(), func(tx *ankurah.Tx) error {
			for range rows {
				if _, err := ankurah.Dynamic(collection).Create(tx, &ankurah.Fields{"a": filler(bytes)}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	fill("six", 6, 1)
	fill("seven", 7, 1)
	fill("small", 4, 2200)
	fill("big", 5, 2200)
	dial := func(who string) (*ankurah.Session, func()) {
		client := openClient(t)
		c := local.Dial(client, server, []byte(who))
		if err := client.WaitReady(t.Context()); err != nil {
			t.Fatal(err)
		}
		return client.Session(policy.Principal{Subject: who}), c.Close
	}
	alice, bye := dial("alice")
	defer bye()
	fetch := func(s *ankurah.Session, collection, query string, args ...any) error {
		_, err := ankurah.Dynamic(collection).Fetch(t.Context(), s, query, args...)
		return err
	}
	pad := func(n int) string { return "a = 'x'" + strings.Repeat(" ", n-7) }
	atEdge(t, "QueryText", fetch(own, "six", pad(40)), fetch(own, "six", pad(41)), ankurah.ErrTooLarge)
	atEdge(t, "QueryNesting", fetch(own, "six", "(((a = 'x')))"), fetch(own, "six", "((((a = 'x'))))"), ankurah.ErrTooLarge)
	// A client with greater limits hears of them from the server.
	not := strings.Repeat("NOT ", 4) + "(a = 'x')"
	atEdge(t, "QueryNesting", fetch(alice, "six", not[8:]), fetch(alice, "six", not), ankurah.ErrTooLarge)
	atEdge(t, "QueryBytes", fetch(alice, "six", "a = ?", filler(900)), fetch(alice, "six", "a = ?", filler(1000)), ankurah.ErrTooLarge)
	atEdge(t, "PeerRows", fetch(alice, "six", ""), fetch(alice, "seven", ""), ankurah.ErrTooLarge)
	atEdge(t, "AnswerBytes", fetch(alice, "small", ""), fetch(alice, "big", ""), ankurah.ErrTooLarge)

	var last *ankurah.LiveQuery[ankurah.Record]
	watch := func(s *ankurah.Session, collection string) error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		q, err := ankurah.Dynamic(collection).Query(ctx, s, "")
		if err != nil {
			return err
		}
		last = q
		return q.WaitSynced(ctx)
	}
	carol, bye := dial("carol")
	defer bye()
	atEdge(t, "AnswerBytes", nil, watch(carol, "big"), ankurah.ErrTooLarge)
	if n := server.Stats().LiveQueries; n > 0 {
		t.Errorf("%d live queries go on at the server whose answer was too long", n)
	}
	atEdge(t, "PeerRows", watch(alice, "six"), watch(alice, "small"), ankurah.ErrTooLarge)
	atEdge(t, "Subscriptions", watch(alice, "none"), watch(alice, "nothing"), ankurah.ErrTooLarge)
	bob, bye := dial("bob")
	defer bye()
	if err := watch(bob, "none"); err != nil {
		t.Fatal(err)
	}
	// That passes when somebody else leaves: the query goes on trying.
	q, err := ankurah.Dynamic("nothing").Query(t.Context(), bob, "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := q.WaitSynced(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("beyond NodeSubscriptions: %v", err)
	}
	last.Close()
	if err := q.WaitSynced(t.Context()); err != nil {
		t.Errorf("when there is room again: %v", err)
	}
}

// S33: connections have a number, each principal's too; an end makes room.
func TestLimitsOfConnections(t *testing.T) {
	server := openNode(t, memory.New(), &ankurah.NodeOptions{Policy: policy.Permissive{}, Limits: ankurah.Limits{Connections: 4, PrincipalConnections: 2}})
	dial := func(who string) (*local.Connection, error) {
		c := local.Dial(openClient(t), server, []byte(who))
		return c, c.WaitConnected(t.Context())
	}
	var open []*local.Connection
	for _, who := range []string{"alice", "alice", "bob"} {
		c, err := dial(who)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	_, err := dial("alice")
	beyond(t, "PrincipalConnections", err, ankurah.ErrOverloaded)
	within(t, "it ends", func() bool { return server.Connections() == 3 })
	c, err := dial("")
	if err != nil {
		t.Fatal(err)
	}
	open = append(open, c)
	_, err = dial("carol")
	beyond(t, "Connections", err, ankurah.ErrOverloaded)
	open[0].Close()
	within(t, "there is room", func() bool { return server.Connections() == 3 })
	if c, err = dial("alice"); err != nil {
		t.Errorf("when there is room again: %v", err)
	}
	for _, c := range append(open, c) {
		c.Close()
	}
}

// S26, S29, S33: outbox and rejected list have bounds. What is refused for lack
// of room leaves nothing, and nothing is taken out of either to make some.
func TestLimitsOfTheOutbox(t *testing.T) {
	server := openNode(t, memory.New(), &ankurah.NodeOptions{Policy: policy.Permissive{}, Constraints: []policy.Constraint{policy.ConstraintFunc(noOddYears)}})
	eng := memory.New()
	open := func() (*ankurah.Node, *ankurah.Session) {
		n, err := ankurah.OpenNode(t.Context(), eng, &ankurah.NodeOptions{Limits: ankurah.Limits{Pending: 4, PendingBytes: 100 << 10, Rejected: 3}})
		if err != nil {
			t.Fatal(err)
		}
		return n, n.Session(policy.Principal{Subject: "alice"})
	}
	client, s := open()
	if err := connect(t, client, server, "alice"); err != nil {
		t.Fatal(err)
	}
	add := func(f ankurah.Fields) error {
		return s.Update(t.Context(), func(tx *ankurah.Tx) error {
			_, err := albums.Create(tx, &f)
			return err
		})
	}
	beyond(t, "PendingBytes", add(ankurah.Fields{"year": 2, "name": filler(101 << 10)}), ankurah.ErrOverloaded)
	for k := range 4 {
		if k == 2 { // the bounds hold after a restart
			if err := client.Close(); err != nil {
				t.Fatal(err)
			}
			client, s = open()
		}
		if err := add(ankurah.Fields{"year": 1, "name": fmt.Sprint(k)}); err != nil {
			t.Fatal(err)
		}
	}
	beyond(t, "Pending", add(ankurah.Fields{"year": 1}), ankurah.ErrOverloaded)
	if n, err := albums.Count(t.Context(), s, ""); err != nil || n != 4 {
		t.Errorf("%d rows, %v", n, err)
	}
	c := local.Dial(client, server, []byte("alice"))
	defer c.Close()
	if err := client.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	beyond(t, "Rejected", add(ankurah.Fields{"year": 2}), ankurah.ErrOverloaded)
	left := 0
	for r, err := range client.Rejected(t.Context()) {
		if left++; err == nil && left <= 2 {
			err = r.Discard(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if left != 4 {
		t.Errorf("%d rejected transactions were kept", left)
	}
	if err := add(ankurah.Fields{"year": 2}); err != nil {
		t.Errorf("when some were discarded: %v", err)
	}
	if err := errors.Join(client.Close(), eng.Close()); err != nil {
		t.Fatal(err)
	}
}

// noOddYears is a constraint.
func noOddYears(_ context.Context, _, after *entity.State) error {
	if after.Value("year").Int()%2 == 1 {
		return errors.New("an odd year")
	}
	return nil
}

// S33: a message that is longer than may be ends the connection by name.
func TestLimitOfMessages(t *testing.T) {
	attackedWith(t, ankurah.Limits{MessageBytes: 3 << 20, TxBytes: 1 << 20, StateBytes: 1 << 20, QueryBytes: 1 << 20}, func(a *arena) {
		x := a.greet("mallory")
		query := func(bytes int) []byte {
			return wire.Append(nil, &wire.Query{ID: x.number(), Collection: "album", Text: "TRUE", Params: [][]byte{make([]byte, bytes)}})
		}
		over := len(query(3<<20)) - 3<<20
		x.raw(query(3<<20 - over))
		if f, ok := x.hear().(*wire.Fail); !ok || f.Code != wire.TooLarge || !strings.Contains(f.Text, "Limits.QueryBytes") {
			t.Errorf("at MessageBytes: %+v", f)
		}
		x.raw(query(3<<20 - over + 1))
		if code, text := x.ends(); code != wire.TooLarge || !strings.Contains(text, "Limits.MessageBytes") {
			t.Errorf("beyond MessageBytes: %s: %s", code, text)
		}
	})
}

// What formats fix has errors of the same kind.
func TestLimitsOfFormats(t *testing.T) {
	parents := make([]id.ID, event.MaxParents+1)
	for k := range parents {
		parents[k] = id.New(id.NewStamp(1, uint16(k+1)), [8]byte{})
	}
	h := event.Header{Root: newID(), Entity: newID(), Collection: "a", Parents: parents[1:], Author: event.NodeAuthor(newID()), Tx: ankurah.TxID{1}, Stamp: id.NewStamp(2, 0)}
	if _, err := event.New(h, [16]byte{}, nil); err != nil {
		t.Errorf("64 parents: %v", err)
	}
	h.Parents = parents
	_, parentsErr := event.New(h, [16]byte{}, nil)
	_, frameErr := wire.Decode(make([]byte, wire.MaxFrame+1))
	_, jsonErr := value.ParseJSON(strings.Repeat("[", 65) + strings.Repeat("]", 65))
	for what, err := range map[string]error{
		"65 parents": parentsErr, "a long frame": frameErr, "a deep document": jsonErr,
		"a long value": value.Validate(value.String(filler(value.MaxSize + 1))),
	} {
		if !errors.Is(err, ankurah.ErrTooLarge) || !errors.Is(err, ankurah.ErrLimit) || !strings.Contains(err.Error(), "the limit is") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Limits that cannot be are refused by name when a node is opened.
func TestBadLimits(t *testing.T) {
	for word, l := range map[string]ankurah.Limits{
		"TxEvents is -1: it has to be at least 1":        {TxEvents: -1},
		"HeadWidth is 65537: it can be at most 65536":    {HeadWidth: 1<<16 + 1},
		"StateBytes is 8388608: it can be at most":       {StateBytes: 8 << 20},
		"RequestTimeout is -1ns: it has to be at least":  {RequestTimeout: -1},
		"HelloTimeout is 48h0m0s: it can be at most 24h": {HelloTimeout: 48 * time.Hour},
		"Properties is 32768: it can be at most 16384":   {Properties: 1 << 15},
		"Subscriptions is":                               {Subscriptions: -1 << 31},
		"MessageBytes is 4194304: it has to be":          {MessageBytes: 4 << 20},
		"AnswerBytes is 536870912: it can be at most No": {NodeQueueBytes: 1 << 20},
	} {
		n, err := ankurah.OpenNode(t.Context(), memory.New(), &ankurah.NodeOptions{Limits: l})
		if err == nil {
			_ = n.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "ankurah: NodeOptions.Limits."+word) {
			t.Errorf("%s: %v", word, err)
		}
	}
}
