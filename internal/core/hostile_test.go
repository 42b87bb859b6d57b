package core

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/wire"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/property"
	"github.com/ankurah/ankurah-go/property/lww"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/value"
)

// funcAgent is a policy agent made of functions.
type funcAgent struct {
	auth  func() error
	read  func(p policy.Principal, collection string) (ankql.Expr, error)
	write func(w policy.Write) error
}

func (a *funcAgent) Authenticate(_ context.Context, credential []byte) (policy.Principal, error) {
	if a.auth != nil {
		if err := a.auth(); err != nil {
			return policy.Principal{}, err
		}
	}
	return policy.Principal{Subject: string(credential)}, nil
}
func (a *funcAgent) ReadFilter(p policy.Principal, c string) (ankql.Expr, error) {
	if a.read == nil {
		return nil, nil
	}
	return a.read(p, c)
}
func (a *funcAgent) CheckWrite(_ policy.Principal, w policy.Write) error {
	if a.write == nil {
		return nil
	}
	return a.write(w)
}

func denied() error { return &policy.DeniedError{Rule: "no"} }

func bootCore(t *testing.T, seed uint64, agent policy.Agent, durable bool) (*Core, *scripted) {
	t.Helper()
	x := &scripted{t: t, eng: memory.New(), r: rand.New(rand.NewPCG(seed, 1)), now: 1_700_000_000_000}
	snap, err := x.eng.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	c, err := Boot(t.Context(), x, Config{Kinds: property.NewRegistry(lww.Kind), Durable: durable, Policy: agent, CacheSize: 4 << 10}, snap)
	if err != nil {
		t.Fatal(err)
	}
	if durable {
		c.CreateSystem(func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		})
		x.settle()
	}
	return c, x
}

func newTx(x *scripted) (t event.TxID) { x.Random(t[:]); return }

// peerEvent makes an event of the peer that greeted returns.
func peerEvent(x *scripted, c *Core, tx event.TxID, i id.ID, parents []id.ID, birth *event.Birth, stamp id.Stamp, ops ...event.Operation) *event.Event {
	x.t.Helper()
	var salt [16]byte
	x.Random(salt[:])
	entity.SortOps(ops)
	e, err := event.New(event.Header{Root: c.root, Entity: i, Collection: "album", Parents: parents,
		Author: event.NodeAuthor(helloMessage.Node), Tx: tx, Stamp: stamp, Birth: birth}, salt, ops)
	if err != nil {
		x.t.Fatal(err)
	}
	return e
}

func peerBirth(x *scripted, c *Core) (*event.Birth, id.ID) {
	b := &event.Birth{Stamp: id.NewStamp(x.now, 0)}
	x.Random(b.Nonce[:])
	return b, b.EntityID(c.root, "album", event.NodeAuthor(helloMessage.Node))
}

func submission(tx event.TxID, events ...*event.Event) *wire.Submit {
	m := &wire.Submit{Tx: tx}
	for _, e := range events {
		m.Events = append(m.Events, e.Append(nil))
	}
	return m
}

// makeOne commits one new entity here.
func makeOne(t *testing.T, c *Core, x *scripted, ops ...event.Operation) id.ID {
	t.Helper()
	b, i, err := c.NewEntity("album")
	if err != nil {
		t.Fatal(err)
	}
	entity.SortOps(ops)
	commitHere(t, c, x, Edit{Collection: "album", Entity: i, Birth: &b, Ops: ops})
	return i
}

func commitHere(t *testing.T, c *Core, x *scripted, edits ...Edit) {
	t.Helper()
	c.Commit(&Request{ID: c.newTxID(), Edits: edits, Done: func(_ []*entity.State, err error) {
		if err != nil {
			t.Fatal(err)
		}
	}})
	x.settle()
}

func stateOf(t *testing.T, c *Core, i id.ID) *entity.State {
	t.Helper()
	s, err := c.State(t.Context(), "album", i)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func noPanic(t *testing.T, what string) {
	if r := recover(); r != nil {
		t.Errorf("%s: the node panicked: %v", what, r)
	}
}

// S38, S5: a second genesis for an entity that its sender may not read.
func TestSecondGenesisOfUnreadablePanics(t *testing.T) {
	defer noPanic(t, "second genesis")
	agent := &funcAgent{read: func(policy.Principal, string) (ankql.Expr, error) { return nil, denied() }}
	c, x := bootCore(t, 1, agent, true)
	p := greeted(t, c, x)
	b, i := peerBirth(x, c)
	for k := range 2 {
		tx := newTx(x)
		c.PeerFrame(p, wire.Append(nil, submission(tx, peerEvent(x, c, tx, i, nil, b, id.NewStamp(x.now, uint16(k)), lww.Set("n", value.Int32(1))))))
		x.settle()
	}
	m, _ := taken(t, p)
	if len(m) != 2 {
		t.Errorf("%d answers", len(m))
	}
}

// S38: an invalidation while a live query is being opened.
func TestInvalidateWhileQueryOpens(t *testing.T) {
	for _, order := range []string{"first read first", "second read first"} {
		agent := &funcAgent{}
		c, x := bootCore(t, 1, agent, true)
		makeOne(t, c, x, lww.Set("n", value.Int32(1)))
		p := greeted(t, c, x)
		c.PeerFrame(p, wire.Append(nil, &wire.Query{ID: 1, Collection: "album", Live: true}))
		agent.read = func(policy.Principal, string) (ankql.Expr, error) {
			return &ankql.IsNull{X: &ankql.Path{Parts: []string{"n"}, Key: "n"}, Not: true}, nil
		}
		c.Invalidate(nil)
		reads := x.tasks
		x.tasks = nil
		if order == "first read first" {
			reads[0]()
			reads[1]()
		} else {
			reads[1]()
			reads[0]()
		}
		x.settle()
		c.PeerFrame(p, wire.Append(nil, &wire.Sync{ID: 2}))
		x.settle()
		if m, _ := taken(t, p); len(m) == 0 {
			t.Errorf("%s: the query is never answered, nor anything after it: %d slots wait, %d requests are deferred", order, len(p.slots), len(p.deferred))
		}
		c.PeerGone(p)
		if n := c.reactor.Stats().Queries; n != 0 {
			t.Errorf("%s: %d queries stay in the reactor when the peer has gone", order, n)
		}
	}
}

// S33: a slow peer is cut while its queries are narrowed again.
func TestSlowPeerCutWhileNarrowing(t *testing.T) {
	defer noPanic(t, "cut while narrowing")
	c, x := bootCore(t, 1, &funcAgent{}, true)
	slow, a, b := greeted(t, c, x), greeted(t, c, x), greeted(t, c, x)
	for _, p := range []*Peer{slow, a, b} {
		c.PeerFrame(p, wire.Append(nil, &wire.Query{ID: 1, Collection: "album", Live: true}))
		x.settle()
		taken(t, p)
	}
	c.PeerFrame(slow, wire.Append(nil, &wire.Credential{})) // the same principal again
	x.step()                                                // authenticated; its rows are now being read again
	x.tasks = nil                                           // which takes its time
	text := strings.Repeat("x", 200<<10)
	for k := 0; k < 100 && c.Peers() == 3; k++ {
		makeOne(t, c, x, lww.Set("text", value.String(text)))
		taken(t, a)
		taken(t, b)
	}
	if c.Peers() != 2 {
		t.Errorf("%d peers", c.Peers())
	}
}

// a credential is refreshed on a connection that is older than 10 s.
func TestRefreshSurvivesTick(t *testing.T) {
	c, x := bootCore(t, 1, &funcAgent{}, true)
	p := greeted(t, c, x)
	for range 3 {
		x.now += 10_000
		c.PeerFrame(p, wire.Append(nil, &wire.Ping{N: 1}))
		c.Tick()
	}
	taken(t, p)
	c.PeerFrame(p, wire.Append(nil, &wire.Credential{}))
	c.Tick() // before the policy agent has answered
	x.settle()
	if m, end := taken(t, p); end {
		t.Errorf("a good connection is cut: %+v", m[0])
	}
}

// S38: permissions are taken away while a new credential is being looked at,
// which may take the agent a while.
func TestInvalidateWhileRefreshing(t *testing.T) {
	agent := &funcAgent{}
	c, x := bootCore(t, 1, agent, true)
	i := makeOne(t, c, x, lww.Set("n", value.Int32(1)))
	p := greeted(t, c, x)
	c.PeerFrame(p, wire.Append(nil, &wire.Query{ID: 1, Collection: "album", Live: true}))
	x.settle()
	taken(t, p)
	c.PeerFrame(p, wire.Append(nil, &wire.Credential{}))
	looking := x.tasks
	x.tasks = nil
	agent.read = func(policy.Principal, string) (ankql.Expr, error) { return nil, denied() }
	c.Invalidate(nil)
	x.settle()
	taken(t, p) // it is withdrawn
	commitHere(t, c, x, Edit{Collection: "album", Entity: i, Base: stateOf(t, c, i), Ops: []event.Operation{lww.Set("n", value.Int32(2))}})
	if m, _ := taken(t, p); len(m) != 0 {
		t.Errorf("pushed when it may not be read any more: %+v", m[0])
	}
	x.tasks = looking
	x.settle()
	if m, end := taken(t, p); end || c.Peers() != 1 {
		t.Errorf("the new credential is the same principal's: %+v", m)
	}
}

// S38: permissions are taken away while an answer is being made: what it says
// is what may be read when it leaves.
func TestInvalidateWhileAnswering(t *testing.T) {
	for name, ask := range map[string]func(i id.ID) wire.Message{
		"a fetch": func(id.ID) wire.Message { return &wire.Query{ID: 1, Collection: "album"} },
		"a count": func(id.ID) wire.Message { return &wire.Query{ID: 1, Collection: "album", Count: true} },
		"groups": func(id.ID) wire.Message {
			return &wire.Query{ID: 1, Collection: "album", Text: "SELECT COUNT(*), MAX(n)"}
		},
		"a history":  func(i id.ID) wire.Message { return &wire.History{ID: 1, Collection: "album", Entity: i} },
		"a live one": func(id.ID) wire.Message { return &wire.Query{ID: 1, Collection: "album", Live: true} },
		"a want": func(i id.ID) wire.Message {
			return &wire.Want{ID: 1, Collection: "album", Entities: []wire.Known{{Entity: i}}}
		},
	} {
		for steps := range 3 {
			agent := &funcAgent{}
			c, x := bootCore(t, 1, agent, true)
			i := makeOne(t, c, x, lww.Set("n", value.Int32(77)))
			told := func(hidden bool) []wire.Message {
				p := greeted(t, c, x)
				c.PeerFrame(p, wire.Append(nil, ask(i)))
				for range steps {
					x.step()
				}
				said, _ := taken(t, p)
				if hidden {
					agent.read = func(policy.Principal, string) (ankql.Expr, error) { return nil, denied() }
				}
				c.Invalidate(nil)
				x.settle()
				after, _ := taken(t, p)
				c.PeerGone(p)
				if len(said)+len(after) == 0 {
					t.Errorf("%s after %d steps: it is never answered", name, steps)
				}
				if len(said) > 0 {
					return nil // it left before
				}
				return after
			}
			secret := value.Append(nil, value.Int32(77))
			tells := func(all []wire.Message) bool {
				return slices.ContainsFunc(all, func(m wire.Message) bool {
					if n, ok := m.(*wire.Counted); ok {
						return n.N > 0
					}
					return bytes.Contains(wire.Append(nil, m), secret)
				})
			}
			if all := told(false); all != nil && !tells(all) {
				t.Errorf("%s after %d steps: what may be read is not told: %+v", name, steps, all)
			}
			if all := told(true); tells(all) {
				t.Errorf("%s after %d steps: what may not be read any more is told: %+v", name, steps, all)
			}
		}
	}
}

// S56, S38: the policy agent fails when a query is narrowed again.
func TestFailedNarrowingLeaves(t *testing.T) {
	fails := false
	agent := &funcAgent{read: func(policy.Principal, string) (ankql.Expr, error) {
		if fails {
			return nil, errors.New("the directory is down")
		}
		return nil, nil
	}}
	c, x := bootCore(t, 1, agent, true)
	p := greeted(t, c, x)
	c.PeerFrame(p, wire.Append(nil, &wire.Query{ID: 1, Collection: "album", Live: true}))
	x.settle()
	taken(t, p)
	fails = true
	c.Invalidate(nil)
	x.settle()
	if m, _ := taken(t, p); len(m) != 1 {
		t.Fatalf("%d messages", len(m))
	}
	makeOne(t, c, x, lww.Set("n", value.Int32(1)))
	if m, _ := taken(t, p); len(m) != 0 {
		t.Errorf("pushed for a query that has failed, with the ID of what may not be read: %+v", m[0])
	}
	c.PeerGone(p)
	x.settle()
	if c.Queries() != 0 {
		t.Errorf("%d queries are left when the peer has gone", c.Queries())
	}
}

// S4, S12: what is refused moves the clock.
func TestDeniedEventsMoveTheClock(t *testing.T) {
	c, x := bootCore(t, 1, &funcAgent{write: func(policy.Write) error { return denied() }}, true)
	p := greeted(t, c, x)
	before := c.clock.Last()
	for k := range uint64(200) {
		b, i := peerBirth(x, c)
		tx := newTx(x)
		c.PeerFrame(p, wire.Append(nil, submission(tx, peerEvent(x, c, tx, i, nil, b, id.NewStamp(x.now+MaxClockSkew+k, 0)))))
		x.settle()
		m, _ := taken(t, p)
		if code := m[0].(*wire.Refuse).Code; k > 0 && code != wire.TooEarly {
			t.Errorf("%d ms beyond the skew: %s, want %s", k, code, wire.TooEarly)
			break
		}
	}
	if now := c.clock.Last(); now != before {
		t.Errorf("refused events moved the clock by %d ms", now.Millis()-before.Millis())
	}
}

// S38: a precondition tells whether a hidden entity exists.
func TestRequireTellsExistence(t *testing.T) {
	agent := &funcAgent{read: func(p policy.Principal, _ string) (ankql.Expr, error) { return ankql.ParseExpr("secret IS NULL") }}
	c, x := bootCore(t, 1, agent, true)
	hidden := makeOne(t, c, x, lww.Set("secret", value.Int32(1)))
	p := greeted(t, c, x)
	ask := func(i id.ID) string {
		b, n := peerBirth(x, c)
		tx := newTx(x)
		m := submission(tx, peerEvent(x, c, tx, n, nil, b, c.clock.Last()+1))
		m.Requires = []wire.Require{{Collection: "album", Entity: i}}
		c.PeerFrame(p, wire.Append(nil, m))
		x.settle()
		out, _ := taken(t, p)
		if r, ok := out[0].(*wire.Refuse); ok {
			return string(r.Code)
		}
		return "stored"
	}
	if a, b := ask(id.New(77, [8]byte{7})), ask(hidden); a != b {
		t.Errorf("a precondition on an absent entity: %s, on a hidden one: %s", a, b)
	}
}

// S38, S60: a query's error names fields of a collection that its sender may
// not read, and Describe does not tell them.
func TestQueryErrorTellsSchema(t *testing.T) {
	agent := &funcAgent{read: func(p policy.Principal, _ string) (ankql.Expr, error) { return nil, denied() }}
	c, x := bootCore(t, 1, agent, true)
	makeOne(t, c, x, lww.Set("bonus", value.Int32(1)))
	p := greeted(t, c, x)
	ask := func(collection string) string {
		c.PeerFrame(p, wire.Append(nil, &wire.Query{ID: 1, Collection: collection, Text: "bonuz = 1"}))
		x.settle()
		m, _ := taken(t, p)
		if f, ok := m[0].(*wire.Fail); ok {
			return "fails: " + f.Text
		}
		return "no rows"
	}
	if a, b := ask("nothing"), ask("album"); a != b {
		t.Errorf("of a collection that is absent: %q; of one that may not be read: %q", a, b)
	}
}

// S33: a Pong waits for a slow answer; a client whose query takes the server
// more than 45 s cuts the connection, and asks the same again.
func TestPongWaitsForAnswer(t *testing.T) {
	c, x := bootCore(t, 1, &funcAgent{}, true)
	p := greeted(t, c, x)
	c.PeerFrame(p, wire.Append(nil, &wire.Query{ID: 1, Collection: "album"}))
	c.PeerFrame(p, wire.Append(nil, &wire.Ping{N: 1}))
	if m, _ := taken(t, p); len(m) == 0 {
		t.Error("no Pong while an answer is being made")
	}
}

// S33: what a peer that is not authenticated yet makes the node hold.
func TestMemoryBeforeAuthentication(t *testing.T) {
	c, _ := bootCore(t, 1, &funcAgent{}, true)
	p := c.NewPeer(nil)
	c.PeerFrame(p, wire.Append(nil, helloMessage)) // its credential is being looked at
	frame := wire.Append(nil, &wire.Credential{Credential: make([]byte, 7<<20)})
	held := 0
	for !p.Busy() && c.Peers() == 1 && held < 1<<30 {
		c.PeerFrame(p, frame)
		held += len(frame)
	}
	if held > 64<<20 {
		t.Errorf("the node holds %d MB of a peer that nobody knows yet, and takes more", held>>20)
	}
}

// S33: a peer that asks and does not read.
func TestAnswersPileUp(t *testing.T) {
	c, x := bootCore(t, 1, &funcAgent{}, true)
	for range 8 {
		makeOne(t, c, x, lww.Set("text", value.String(strings.Repeat("x", 250<<10))))
	}
	p := greeted(t, c, x)
	n := 0
	for ; !p.Busy() && c.Peers() == 1 && n < 200; n++ {
		c.PeerFrame(p, wire.Append(nil, &wire.Query{ID: uint64(n + 1), Collection: "album"}))
		x.settle()
	}
	held := 0
	for _, s := range p.slots {
		for _, f := range s.frames {
			held += len(f)
		}
	}
	if held > 4*c.cfg.Limits.QueueBytes {
		t.Errorf("%d requests of 12 bytes: %d MB wait for a peer that does not read, and the node takes more requests (pushes are bounded by %d MB)", n, held>>20, c.cfg.Limits.QueueBytes>>20)
	}
}

// S28, S61: errors without a code are Internal: retried for ever, or
// nameless.
func TestCodes(t *testing.T) {
	if code := codeOf(&absentError{"album", id.ID{}}); code != wire.NotFound {
		t.Errorf("absent: %s", code)
	}
	if !errors.Is(&remoteError{codeOf(&absentError{"album", id.ID{}}), ""}, ErrAbsent) {
		t.Error("an absent entity's History is no ErrAbsent at the client")
	}
	if code := codeOf(entity.ErrGenesis); !code.Final() {
		t.Errorf("a second genesis: %s, which is tried again for ever", code)
	}
}

// S29: the memory of refusals is cleared all at once, the newest too.
func TestRefusalsAreForgotten(t *testing.T) {
	c, x := bootCore(t, 1, &funcAgent{write: func(w policy.Write) error {
		if w.After.Value("n").Int() == 13 {
			return denied()
		}
		return nil
	}}, true)
	p := greeted(t, c, x)
	b, parent := peerBirth(x, c)
	first := newTx(x)
	for range keptRecent - 1 { // other transactions without events
		c.PeerFrame(p, wire.Append(nil, &wire.Submit{Tx: newTx(x)}))
	}
	c.PeerFrame(p, wire.Append(nil, submission(first, peerEvent(x, c, first, parent, nil, b, id.NewStamp(x.now, 0), lww.Set("n", value.Int32(13))))))
	c.PeerFrame(p, wire.Append(nil, &wire.Submit{Tx: newTx(x)}))
	b, i := peerBirth(x, c)
	second := newTx(x)
	m := submission(second, peerEvent(x, c, second, i, nil, b, id.NewStamp(x.now, 0), lww.Set("ref", value.ID(parent))))
	m.After = []event.TxID{first}
	c.PeerFrame(p, wire.Append(nil, m))
	x.settle()
	if stateOf(t, c, i) != nil {
		t.Error("what refers to a transaction that was just refused is stored")
	}
}

// S33: limits are checked when all is done.
func TestTooManyEvents(t *testing.T) {
	n := 0
	c, x := bootCore(t, 1, &funcAgent{write: func(policy.Write) error { n++; return nil }}, true)
	p := greeted(t, c, x)
	tx := newTx(x)
	m := &wire.Submit{Tx: tx}
	for range 30_000 {
		b, i := peerBirth(x, c)
		m.Events = append(m.Events, peerEvent(x, c, tx, i, nil, b, id.NewStamp(x.now, 0)).Append(nil))
	}
	frame := wire.Append(nil, m)
	c.PeerFrame(p, frame)
	begun := time.Now()
	x.settle()
	took := time.Since(begun)
	out, _ := taken(t, p)
	if len(out) != 1 || out[0].(*wire.Refuse).Code != wire.TooLarge {
		t.Fatalf("%+v", out)
	}
	if n > c.cfg.Limits.TxEvents {
		t.Errorf("a transaction of 30000 events (%d bytes) is refused after all of it was applied: %d policy checks, %v with the node's lock held", len(frame), n, took)
	}
}

// S33: what is kept of collections that a peer names.
func TestFiltersGrow(t *testing.T) {
	c, x := bootCore(t, 1, &funcAgent{}, true)
	p := greeted(t, c, x)
	for k := range 20_000 {
		c.PeerFrame(p, wire.Append(nil, &wire.Want{ID: 1, Collection: "c" + strings.Repeat("x", 100) + string(rune(0x4e00+k)), Entities: []wire.Known{{Entity: id.New(9, [8]byte{}), Rev: 1}}}))
		x.settle()
		taken(t, p)
	}
	if len(p.filters) > 5000 {
		t.Errorf("%d filters of collections that do not exist are kept", len(p.filters))
	}
}

// S60: a panic of the policy agent in Describe.
func TestDescribePanics(t *testing.T) {
	defer noPanic(t, "Describe")
	agent := &funcAgent{read: func(policy.Principal, string) (ankql.Expr, error) { panic("oops") }}
	c, x := bootCore(t, 1, agent, true)
	makeOne(t, c, x, lww.Set("n", value.Int32(1)))
	p := greeted(t, c, x)
	c.PeerFrame(p, wire.Append(nil, &wire.Describe{ID: 1}))
}

// S37, S22: a commit of two entities is told in two parts, when a query is
// opened that shows one of them.
func TestCommitIsSplit(t *testing.T) {
	c, x := bootCore(t, 1, &funcAgent{}, true)
	a := makeOne(t, c, x, lww.Set("n", value.Int32(1)))
	b := makeOne(t, c, x, lww.Set("n", value.Int32(2)))
	p := greeted(t, c, x)
	c.PeerFrame(p, wire.Append(nil, &wire.Query{ID: 1, Collection: "album", Live: true}))
	x.settle()
	taken(t, p)
	c.PeerFrame(p, wire.Append(nil, &wire.Query{ID: 2, Collection: "album", Text: "n < 2 OR n = 11", Live: true}))
	hydrate := x.tasks
	x.tasks = nil
	commitHere(t, c, x,
		Edit{Collection: "album", Entity: a, Base: stateOf(t, c, a), Ops: []event.Operation{lww.Set("n", value.Int32(11))}},
		Edit{Collection: "album", Entity: b, Base: stateOf(t, c, b), Ops: []event.Operation{lww.Set("n", value.Int32(12))}})
	x.tasks = append(x.tasks, hydrate...)
	x.settle()
	m, _ := taken(t, p)
	for _, m := range m {
		var changes []wire.Change
		switch m := m.(type) {
		case *wire.Rows:
			changes = m.Changes
		case *wire.Push:
			changes = m.Changes
		}
		told := map[id.ID]bool{}
		for _, ch := range changes {
			if ch.After == 2 {
				told[ch.Entity] = true
			}
		}
		if told[a] && told[b] {
			return // what follows finds both there
		}
		if len(told) > 0 {
			t.Fatalf("%T has one half of a commit", m)
		}
	}
	t.Error("nothing was told")
}

// S2: the same ID with another digest.
func TestEquivocation(t *testing.T) {
	c, x := bootCore(t, 1, &funcAgent{}, true)
	b, i := peerBirth(x, c)
	tx, other := newTx(x), newTx(x)
	e := peerEvent(x, c, tx, i, nil, b, id.NewStamp(x.now, 0), lww.Set("n", value.Int32(1)))
	f := *peerEvent(x, c, other, i, nil, b, id.NewStamp(x.now, 0), lww.Set("n", value.Int32(2)))
	f.ID = e.ID // 64 bits can be made to collide
	var errs []error
	for _, r := range []*Request{{ID: tx, Events: []*event.Event{e}}, {ID: other, Events: []*event.Event{&f}}} {
		r.Done = func(_ []*entity.State, err error) { errs = append(errs, err) }
		c.Commit(r)
		x.settle()
	}
	if errs[0] != nil || errs[1] == nil {
		t.Errorf("the first: %v; the same ID with another digest: %v, want a refusal", errs[0], errs[1])
	}
}

// An entity with more properties than a state may have.
func TestTooManyProperties(t *testing.T) {
	c, x := bootCore(t, 1, &funcAgent{}, true)
	other := makeOne(t, c, x, lww.Set("n", value.Int32(1)))
	i := makeOne(t, c, x, lww.Set("n", value.Int32(1)))
	const each = 500
	for k := 0; k < 17_000; k += each {
		var ops []event.Operation
		for j := range each {
			ops = append(ops, lww.Set("k"+string(rune(0x4e00+k+j)), value.Int32(1)))
		}
		entity.SortOps(ops)
		s, err := c.State(t.Context(), "album", i)
		if err != nil {
			t.Errorf("the entity cannot be read any more: %v", err)
			break
		}
		refused := false
		c.Commit(&Request{ID: c.newTxID(), Edits: []Edit{{Collection: "album", Entity: i, Base: s, Ops: ops}}, Done: func(_ []*entity.State, err error) { refused = err != nil }})
		x.settle()
		if refused {
			break
		}
	}
	_ = other
	snap, _ := c.Current()
	defer snap.Release()
	if rows, _, err := Collect(t.Context(), snap, &ankql.Selection{Collection: "album", Where: &ankql.Literal{Value: value.Bool(true)}, Limit: -1}, nil); err != nil {
		t.Errorf("nobody can read the collection any more (%d rows): %v", len(rows), err)
	}
}
