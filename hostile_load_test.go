package ankurah_test

import (
	"context"
	"flag"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/wire"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/transport"
	"github.com/ankurah/ankurah-go/transport/local"
	"github.com/ankurah/ankurah-go/value"
)

// What a peer may try, and the test that tries it. Each of them runs against a
// node on which an honest client works on, sees what it commits, and finds
// nothing left of the attacker afterwards (see attacked). Equivocation, one ID
// with two digests, takes a collision of hashes: internal/core has its test.
var _ = []struct {
	attack string
	by     func(*testing.T)
}{
	{"forged hashes, entity IDs, authors, actors, payloads", TestForgedEvents},
	{"unknown parents, parents of other entities, a second genesis", TestForgedEvents},
	{"parents that are unsorted, repeated, or not earlier: cycles", TestForgedParents},
	{"a second genesis of a secret", TestSecondGenesisOfASecret},
	{"events of a foreign system, of the future, before their parents", TestForgedEvents},
	{"frames that are cut, flipped, giant, not of the protocol", TestDamagedFrames},
	{"frames before Hello, wrong versions, foreign systems, no end of Hellos", TestBadConversations},
	{"the same over a WebSocket", TestHostileWebSocket},
	{"a session played again", TestReplayedSession},
	{"reads of what may not be read, by every message", TestSecretsByEveryMessage},
	{"credentials that change while requests are under way", TestCredentialsInFlight},
	{"numbers of other connections' queries", TestOthersQueries},
	{"siblings without end", TestHeadFlood},
	{"tiny messages without end, and who does not listen", TestTinyMessages},
	{"queries that cost much", TestExpensiveQueries},
	{"connections that come, ask and go", TestConnectionChurn},
	{"clients by the thousand that take nothing", TestStalledClients},
	{"more than a limit allows", TestLimitsOfQueries},
	{"servers that answer nothing", TestServerThatAnswersNothing},
}

// The whole of an attack takes minutes; what is usually run of it shows the
// same.
var whole = flag.Bool("hostile.whole", false, "run attacks in their full size")

// scaled is how much of an attack is run.
func scaled(n int) int {
	switch {
	case *whole:
		return n
	case testing.Short():
		return n / 50
	}
	return n / 10
}

// drain takes what the server says until the connection ends.
func (x *attacker) drain() {
	x.a.served.Go(func() {
		for {
			if _, err := x.conn.Receive(x.a.ctx); err != nil {
				return
			}
		}
	})
}

// S6, S8, S10: whoever makes siblings without end comes to the limit; who edits
// what is there makes room again.
func TestHeadFlood(t *testing.T) {
	n := scaled(100_000)
	width := min(n/2, 8192)
	attackedWith(t, ankurah.Limits{HeadWidth: width}, func(a *arena) {
		x := a.greet("mallory")
		g := x.genesis("album", set("name", "g"))
		if r := x.submit(g); r != nil {
			t.Fatal(r)
		}
		y := a.greet("reader") // who has to hear of all of it
		y.say(&wire.Query{ID: 1, Collection: "album", Live: true})
		y.drain()
		var answers sync.WaitGroup
		acked, refused := 0, 0
		answers.Go(func() {
			for acked+refused < n {
				switch m := x.hear().(type) {
				case *wire.Ack:
					acked++
				case *wire.Refuse:
					if refused++; m.Code != wire.TooLarge || !strings.Contains(m.Text, "Limits.HeadWidth") {
						t.Errorf("%+v", m)
						return
					}
				case nil:
					return
				}
			}
		})
		for k := range n {
			e := x.edit("album", g.Entity, []id.ID{g.ID}, set("name", "x"))
			x.say(&wire.Submit{Tx: e.Tx, Events: [][]byte{e.Append(nil)}})
			if k%(n/4) == 0 {
				a.undisturbed()
			}
		}
		answers.Wait()
		if acked != width || refused != n-width {
			t.Errorf("%d siblings were taken and %d refused; the limit is %d", acked, refused, width)
		}
		s := a.server.Session(policy.Principal{Subject: "mallory"})
		update(t, s, ankurah.ID(g.Entity), ankurah.Fields{"name": "merged"})
		v, err := albums.Get(a.ctx, s, ankurah.ID(g.Entity))
		if err != nil || len(v.Head()) != width-event.MaxParents+1 {
			t.Errorf("after a merge the head has %d tips: %v", len(v.Head()), err)
		}
	})
}

// S33: small messages without end cost their sender most; one who does not
// listen is not listened to.
func TestTinyMessages(t *testing.T) {
	n := scaled(1_000_000)
	attacked(t, func(a *arena) {
		frames := [][]byte{
			wire.Append(nil, &wire.Cancel{ID: 1}), wire.Append(nil, &wire.Ping{N: 1}), wire.Append(nil, &wire.Sync{ID: 1}),
			wire.Append(nil, &wire.Pong{N: 1}), wire.Append(nil, &wire.Describe{ID: 1, Collection: "nothing"}),
		}
		var senders sync.WaitGroup
		for range 4 {
			x := a.greet("mallory")
			x.drain()
			senders.Go(func() {
				for k := range n / 4 {
					if !x.raw(frames[k%len(frames)]) {
						t.Error("cut for nothing")
						return
					}
				}
			})
		}
		a.undisturbed()
		senders.Wait()

		x := a.greet("deaf")
		sent, idle := 0, time.Now()
		for try := x.conn.(transport.TrySender); time.Since(idle) < 200*time.Millisecond; runtime.Gosched() {
			if try.TrySend(frames[1]) {
				sent++
				idle = time.Now()
			}
		}
		if sent > 10_000 {
			t.Errorf("the node took %d requests of one who takes no answers", sent)
		}
		a.undisturbed()
	})
}

// S33: queries that cost much are refused for their size, or end in time; none
// of them holds up others.
func TestExpensiveQueries(t *testing.T) {
	attackedWith(t, ankurah.Limits{QueryBytes: 256 << 10, RequestTimeout: time.Second}, func(a *arena) {
		s := a.server.Session(policy.Principal{Subject: "mallory"})
		name := strings.Repeat("aaaaaaaaab", 2000)
		for range 2 {
			err := s.Update(a.ctx, func(tx *ankurah.Tx) error {
				for k := range 150 {
					if _, err := albums.Create(tx, &ankurah.Fields{"name": name, "year": k}); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		x := a.greet("mallory")
		answer := func(m wire.Query) wire.Message {
			t.Helper()
			m.ID, m.Collection = x.number(), "album"
			x.say(&m)
			return x.until(func(got wire.Message) bool {
				switch got := got.(type) {
				case *wire.Fail:
					return got.ID == m.ID
				case *wire.Rows:
					return got.ID == m.ID && got.Done
				case *wire.Counted:
					return got.ID == m.ID
				}
				return false
			})
		}
		// Each character of each name takes 63 steps for each of the patterns: more
		// than ten billion, many times what any machine does in a second.
		patterns := make([][]byte, 60)
		for k := range patterns {
			patterns[k] = value.Append(nil, value.String("%"+strings.Repeat("_", 4000)+"c%"))
		}
		slow := wire.Query{Text: "name ILIKE ? " + strings.Repeat("OR name ILIKE ? ", len(patterns)-1), Params: patterns, Count: true}
		in := func(n int) (q wire.Query) {
			for k := range n {
				q.Params = append(q.Params, value.Append(nil, value.Int64(int64(k+1e6))))
			}
			q.Text = "year IN (" + strings.Repeat("?, ", n-1) + "?)"
			return q
		}
		for what, c := range map[string]struct {
			q    wire.Query
			code wire.Code // "": it is answered
		}{
			"deep nesting":       {wire.Query{Text: strings.Repeat("NOT (", 60) + "TRUE" + strings.Repeat(")", 60)}, wire.TooLarge},
			"as deep as may be":  {wire.Query{Text: strings.Repeat("(", 60) + "year = -1" + strings.Repeat(")", 60)}, ""},
			"a long chain of OR": {wire.Query{Text: strings.Repeat("year = -1 OR ", 500) + "year = -2"}, ""},
			"a long list":        {in(8000), ""},
			"too long a list":    {in(40_000), wire.TooLarge},
			"a long text":        {wire.Query{Text: strings.Repeat(" ", 257<<10)}, wire.TooLarge},
			"patterns":           {slow, wire.Deadline},
		} {
			switch got := answer(c.q).(type) {
			case *wire.Fail:
				if got.Code != c.code || !strings.Contains(got.Text, "Limits.") {
					t.Errorf("%s: %s: %s; want %q", what, got.Code, got.Text, c.code)
				}
			default:
				if c.code != "" {
					t.Errorf("%s is answered", what)
				}
			}
		}
		slow.ID, slow.Collection = x.number(), "album"
		x.say(&slow)
		a.undisturbed() // while it is read
	})
}

// S33, S56: connections that come, ask for much and go leave nothing, however
// many they are.
func TestConnectionChurn(t *testing.T) {
	attacked(t, func(a *arena) {
		for k := range scaled(5000) {
			x := a.greet("mallory")
			for n := range uint64(5) {
				x.say(&wire.Query{ID: n + 1, Collection: "album", Text: "LIMIT 5", Live: n%2 == 0})
			}
			e := x.genesis("album", set("owner", "mallory"))
			x.say(&wire.Submit{Tx: e.Tx, Events: [][]byte{e.Append(nil)}})
			_ = x.conn.Close()
			if k%50 == 0 {
				a.undisturbed()
			}
		}
	})
}

// S33: clients that ask for everything and take nothing cost no more than what
// may wait, however many there are; commits go on.
func TestStalledClients(t *testing.T) {
	clients, commits := scaled(10_000), 100
	const waiting = 64 << 20
	server := openNode(t, memory.New(), &ankurah.NodeOptions{Policy: policy.Permissive{}, Limits: ankurah.Limits{
		NodeQueueBytes: waiting, QueueBytes: 4 << 20, AnswerBytes: 16 << 20,
	}})
	s := server.Session(policy.Principal{Subject: "honest"})
	var work ankurah.ID
	content := strings.Repeat("x", 4<<10)
	for k := range 64 {
		work = create(t, s, ankurah.Fields{"name": content, "n": k})
	}
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc + m.StackInuse)
	}
	before := heap()
	ctx, cancel := context.WithCancel(t.Context())
	var served sync.WaitGroup
	conns := make([]transport.Conn, clients)
	for k := range conns {
		there, here := local.Pipe()
		conns[k] = here
		served.Go(func() { _ = server.Accept(ctx, there) })
		say := func(m wire.Message) {
			if err := here.Send(ctx, wire.Append(nil, m)); err != nil {
				t.Fatal(err)
			}
		}
		say(&wire.Hello{Min: 1, Max: 1, Node: newID(), Incarnation: newID(), Now: 1})
		say(&wire.Query{ID: 1, Collection: "album", Text: fmt.Sprintf("n >= %d ORDER BY n DESC LIMIT 10", k%50), Live: true})
		if k%50 == 0 { // a quarter of a megabyte each
			for n := range uint64(50) {
				say(&wire.Query{ID: 2 + n, Collection: "album"})
			}
		}
		if _, err := here.Receive(ctx); err != nil { // Hello, and nothing more
			t.Fatal(err)
		}
	}
	idle := heap() - before
	begun := time.Now()
	for k := range commits {
		update(t, s, work, ankurah.Fields{"name": fmt.Sprintf("%s%d", content, k)})
	}
	perCommit := time.Since(begun) / time.Duration(commits)
	grown := heap() - before
	t.Logf("%d stalled clients: %d KiB each at rest, %d KiB each after %d commits of %v each; %d connections are left",
		clients, idle>>10/int64(clients), grown>>10/int64(clients), commits, perCommit, server.Connections())
	// Each connection has its goroutines, its live query, the pipe and the
	// frames in it: pushes are made once for all, answers are its own.
	if most := int64(waiting) + int64(clients)*(64<<10) + 64<<20; grown > most {
		t.Errorf("%d MiB are held, more than %d", grown>>20, most>>20)
	}
	cancel()
	for _, c := range conns {
		_ = c.Close()
	}
	served.Wait()
	within(t, "the connections end", func() bool { return server.Connections() == 0 })
}
