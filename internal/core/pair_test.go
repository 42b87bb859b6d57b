package core

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/wire"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/property/lww"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/value"
)

// pair is a durable core and a client of it, whose connection the test runs.
type pair struct {
	t      *testing.T
	s, c   *Core
	xs, xc *scripted
	p      *Peer
	l      *Link
}

func newPair(t *testing.T) *pair {
	w := &pair{t: t}
	w.s, w.xs = bootCore(t, 1, &funcAgent{}, true)
	w.c, w.xc = bootCore(t, 2, nil, false)
	return w
}

func (w *pair) connect() {
	w.p = w.s.NewPeer(nil)
	w.l = w.c.NewLink(nil, []byte("alice"), nil)
}

func (w *pair) cut() {
	w.s.PeerGone(w.p)
	w.c.LinkGone(w.l, nil)
	w.xs.settle()
	w.xc.settle()
}

// up carries what the client has to say to the server.
func (w *pair) up() bool {
	f, _ := w.l.Take()
	for _, b := range f {
		w.s.PeerFrame(w.p, b)
	}
	return len(f) > 0
}

func (w *pair) down() bool {
	f, _ := w.p.Take()
	for _, b := range f {
		w.c.LinkFrame(w.l, b)
	}
	return len(f) > 0
}

func (w *pair) rest() {
	for {
		w.xs.settle()
		w.xc.settle()
		a, b := w.up(), w.down()
		if !a && !b && len(w.xs.tasks)+len(w.xc.tasks) == 0 {
			return
		}
	}
}

type quietSink struct{ failed error }

func (*quietSink) Ready()              {}
func (*quietSink) Changed([]rowChange) {}
func (s *quietSink) Failed(err error)  { s.failed = err }
func (*quietSink) Synced(bool)         {}

func (w *pair) query(limit int) *Query {
	q := w.c.Subscribe(&ankql.Selection{Collection: "album", Limit: limit}, nil, &quietSink{})
	w.c.Start(q)
	w.c.Follow(q)
	return q
}

func (w *pair) commit(c *Core, x *scripted, req *Request) {
	w.t.Helper()
	req.ID = c.newTxID()
	req.Principal.Subject = ""
	if c == w.c {
		req.Principal.Subject = "alice"
	}
	req.Done = func(_ []*entity.State, err error) {
		if err != nil {
			w.t.Fatal(err)
		}
	}
	c.Commit(req)
	x.settle()
}

func (w *pair) create(c *Core, x *scripted, n int32) id.ID {
	w.t.Helper()
	b, i, err := c.NewEntity("album")
	if err != nil {
		w.t.Fatal(err)
	}
	w.commit(c, x, &Request{Edits: []Edit{{Collection: "album", Entity: i, Birth: &b, Ops: []event.Operation{lww.Set("n", value.Int32(n))}}}})
	return i
}

func (w *pair) edit(c *Core, x *scripted, i id.ID, key string, n int32, require bool) {
	w.t.Helper()
	s := stateOf(w.t, c, i)
	r := &Request{Edits: []Edit{{Collection: "album", Entity: i, Base: s, Ops: []event.Operation{lww.Set(key, value.Int32(n))}}}}
	if require {
		r.Requires = []storage.Require{{Collection: "album", Entity: i, Head: s.Head()}}
	}
	w.commit(c, x, r)
}

// S39: odd frames of a server end no more than the connection.
func TestOddServerFrames(t *testing.T) {
	for name, m := range map[string]func(n uint64) wire.Message{
		"Counted":   func(n uint64) wire.Message { return &wire.Counted{ID: n, N: 1} },
		"Events":    func(n uint64) wire.Message { return &wire.Events{ID: n, Done: true} },
		"Described": func(n uint64) wire.Message { return &wire.Described{ID: n} },
		"Sync":      func(n uint64) wire.Message { return &wire.Sync{ID: n} },
	} {
		func() {
			defer noPanic(t, name+" for a live query")
			w := newPair(t)
			w.connect()
			w.rest()
			q := w.query(-1)
			w.rest()
			w.c.LinkFrame(w.l, wire.Append(nil, m(q.remote.id)))
			w.xc.settle()
		}()
	}
}

// early makes a client whose clock is ahead by an hour while it is offline, and
// sets it right.
func (w *pair) early(f func()) {
	w.xc.now += 3_600_000
	f()
	w.xc.now -= 3_600_000
}

// S4, S27: the outbox is to be made again while the resynchronisation is not
// over yet.
func TestRemakeWhileResynchronising(t *testing.T) {
	w := newPair(t)
	w.connect()
	w.rest()
	w.cut()
	var i id.ID
	w.early(func() { i = w.create(w.c, w.xc, 1) })
	w.connect()
	w.up()
	w.xs.settle()
	w.down() // Hello of the server
	w.up()   // outbox, Sync
	w.xs.settle()
	// The answer to the transaction comes; what is hydrated takes a while.
	frames, _ := w.p.Take()
	for k, f := range frames {
		m, _ := wire.Decode(f)
		if _, sync := m.(*wire.Sync); sync {
			w.xc.now += 2000
			w.xs.now += 2000
			w.c.Tick()
			w.xc.settle()
		}
		w.c.LinkFrame(w.l, frames[k])
	}
	for range 60 {
		w.rest()
		w.xc.now += 1000
		w.xs.now += 1000
		w.c.Tick()
	}
	if stateOf(t, w.s, i) == nil {
		t.Errorf("after a minute of connection the server has not got the transaction; %d pending, sent %t", w.c.Pending(), w.c.outbox[0].sent)
	}
}

// S4, S21: a precondition upon a pending event that is made again.
func TestRemakeKeepsPreconditions(t *testing.T) {
	w := newPair(t)
	var refused error
	w.c.cfg.OnRejected = func(_ event.TxID, why error) { refused = why }
	w.connect()
	w.rest()
	w.cut()
	var i id.ID
	w.early(func() {
		i = w.create(w.c, w.xc, 1)
		w.edit(w.c, w.xc, i, "n", 2, true)
	})
	w.connect()
	for range 20 {
		w.rest()
		w.xc.now += 1000
		w.xs.now += 1000
		w.c.Tick()
	}
	if refused != nil {
		t.Errorf("nobody else has changed the entity, and the edit is lost: %v", refused)
	}
	if s := stateOf(t, w.s, i); s == nil || s.Value("n").Int() != 2 {
		t.Errorf("on the server: %v", s)
	}
}

// S4: a commit that is published between the order to make the outbox again
// and its execution is sent in its old form.
func TestCommitDuringRemake(t *testing.T) {
	w := newPair(t)
	var refused []error
	w.c.cfg.OnRejected = func(_ event.TxID, why error) { refused = append(refused, why) }
	w.connect()
	w.rest()
	x := w.create(w.s, w.xs, 0)
	q := w.query(-1)
	_ = q
	w.rest()
	w.cut()
	w.early(func() { w.create(w.c, w.xc, 1) })
	w.connect()
	w.rest() // too early
	// Nothing is in the cache, so the move has to read.
	w.c.cache.limit = 0
	w.c.cache.shrink()
	w.xc.now += 2000
	w.xs.now += 2000
	w.c.Tick()
	held := w.xc.tasks
	w.xc.tasks = nil
	if len(held) == 0 {
		t.Fatal("the move was not held up")
	}
	w.edit(w.c, w.xc, x, "n", 5, false) // published and sent
	w.up()
	w.xs.settle()
	w.xc.tasks = append(w.xc.tasks, held...)
	w.xc.settle()
	w.edit(w.c, w.xc, x, "n", 6, false) // upon the event under its new name
	for range 20 {
		w.rest()
		w.xc.now += 1000
		w.xs.now += 1000
		w.c.Tick()
	}
	if len(refused) > 0 {
		t.Errorf("lost: %v", refused)
	}
	if s := stateOf(t, w.s, x); s.Value("n").Int() != 6 {
		t.Errorf("on the server n is %d, %d pending", s.Value("n").Int(), w.c.Pending())
	}
}

// S25: a Want that fails is never repeated.
func TestFailedWantIsRepeated(t *testing.T) {
	w := newPair(t)
	w.connect()
	w.rest()
	x := w.create(w.s, w.xs, 0)
	w.query(-1)
	w.rest()
	gap := func(rev uint64) []*wire.Want {
		w.c.LinkFrame(w.l, wire.Append(nil, &wire.Push{Changes: []wire.Change{{Collection: "album", Entity: x, Before: rev, After: rev + 1}}}))
		w.xc.settle()
		var out []*wire.Want
		f, _ := w.l.Take()
		for _, b := range f {
			if m, _ := wire.Decode(b); m != nil {
				if v, ok := m.(*wire.Want); ok {
					out = append(out, v)
				}
			}
		}
		return out
	}
	first := gap(7)
	if len(first) != 1 {
		t.Fatal("no Want")
	}
	w.c.LinkFrame(w.l, wire.Append(nil, &wire.Fail{ID: first[0].ID, Code: wire.Storage, Text: "busy"}))
	w.xc.settle()
	if len(gap(9)) != 1 {
		t.Error("the copy is known to be old, and is not asked for again while the connection lasts; the query says it is synced")
	}
}

// S8, S25: an edit during the resynchronisation with a restored store keeps a
// base that the store never had.
func TestEpochWithEditDuringResync(t *testing.T) {
	w := newPair(t)
	w.connect()
	w.rest()
	x := w.create(w.s, w.xs, 0)
	q := w.query(-1)
	w.rest()
	w.c.Unsubscribe(q) // the copy stays
	w.rest()
	w.cut()
	// The server's store is restored: what the client has of it never was. A
	// base of another store is stood in for by one with another rev and value.
	w.s.NewEpoch(func(error) {})
	w.xs.settle()
	s := stateOf(t, w.c, x)
	for k := range 3 {
		e := s
		ev, err := event.New(event.Header{Root: w.s.root, Entity: x, Collection: "album", Parents: e.Head().Parents(), Author: w.s.author, Tx: event.TxID{9, byte(k)}, Stamp: e.Head().Last().Stamp() + 1}, [16]byte{}, []event.Operation{lww.Set("n", value.Int32(100))})
		if err != nil {
			t.Fatal(err)
		}
		if s, err = e.Apply(w.c.cfg.Kinds, ev); err != nil {
			t.Fatal(err)
		}
	}
	w.c.Commit(&Request{ID: w.c.newTxID(), system: true, move: &move{steps: []step{{change: &wire.Change{Collection: "album", Entity: x, After: s.Rev(), State: s.Append(nil)}}}}, Done: func(_ []*entity.State, err error) {
		if err != nil {
			t.Fatal(err)
		}
	}})
	w.xc.settle()
	if stateOf(t, w.c, x).Value("n").Int() != 100 {
		t.Fatal("setup")
	}
	w.connect()
	w.up()
	w.xs.settle()
	w.down() // Hello; the client asks everything again
	w.edit(w.c, w.xc, x, "m", 1, false)
	w.rest()
	w.query(-1)
	w.rest()
	have, want := stateOf(t, w.c, x), stateOf(t, w.s, x)
	if have == nil || have.Value("n").Int() != want.Value("n").Int() {
		t.Errorf("client: n = %v at rev %d, server: n = %v at rev %d, %d pending", have.Value("n").Int(), have.Rev(), want.Value("n").Int(), want.Rev(), w.c.Pending())
	}
}

// S25, S52: a push during the last step of a resynchronisation with another
// epoch is undone by what that step throws away.
func TestEpochPushDuringThrowAway(t *testing.T) {
	w := newPair(t)
	w.connect()
	w.rest()
	x := w.create(w.s, w.xs, 50)
	all := w.query(-1)
	w.rest()
	w.c.Unsubscribe(all) // the copy of x stays
	sel, err := ankql.BindTemplate("n < 10", nil, nil, "album")
	if err != nil {
		t.Fatal(err)
	}
	q := w.c.Subscribe(sel, nil, &quietSink{})
	w.c.Start(q)
	w.c.Follow(q)
	w.rest()
	w.cut()
	w.s.NewEpoch(func(error) {})
	w.xs.settle()
	w.connect()
	w.up()
	w.xs.settle()
	w.down()
	for range 10 {
		w.up()
		w.xs.settle()
		w.down()
		if w.l.resync != nil && len(w.xc.tasks) > 0 {
			break
		}
	}
	held := w.xc.tasks
	w.xc.tasks = nil
	if len(held) == 0 {
		t.Fatal("the last step was not held up")
	}
	w.edit(w.s, w.xs, x, "n", 5, false) // enters the query
	w.down()
	w.xc.tasks = append(w.xc.tasks, held...)
	w.rest()
	if n := len(q.Rows()); n != 1 {
		t.Errorf("the query is synced: %t, and has %d rows; the server has 1", q.Synced(), n)
	}
}

// N. S27, S8: the answer to a fetch during the resynchronisation goes before the
// Ack that came before it.
func TestFetchOvertakesAck(t *testing.T) {
	w := newPair(t)
	w.connect()
	w.rest()
	x := w.create(w.s, w.xs, 0)
	w.query(-1)
	w.rest()
	// The Ack gets lost, and another edits upon it.
	w.edit(w.c, w.xc, x, "n", 1, false)
	w.up()
	w.xs.settle()
	w.cut()
	w.edit(w.s, w.xs, x, "m", 2, false)
	w.connect()
	w.up()
	w.xs.settle()
	w.down() // Hello
	w.c.Want("album", x, 0, func(error) {})
	w.up()
	for w.xs.step() {
	}
	frames, _ := w.p.Take()
	for k, f := range frames {
		m, _ := wire.Decode(f)
		_ = k
		if _, sync := m.(*wire.Sync); sync {
			continue // the SyncPoint is late
		}
		w.c.LinkFrame(w.l, f)
		w.xc.settle()
	}
	have, want := stateOf(t, w.c, x), stateOf(t, w.s, x)
	if have.Rev() > want.Rev() || len(have.Head()) > len(want.Head()) {
		t.Errorf("client: rev %d, %d tips; server: rev %d, %d tips; %d pending: a transaction that the base contains is applied again", have.Rev(), len(have.Head()), want.Rev(), len(want.Head()), w.c.Pending())
	}
}

// S33, S39: what the server sends is more than a client may take.
func TestStateLargerThanFrame(t *testing.T) {
	w := newPair(t)
	w.connect()
	w.rest()
	i := w.create(w.s, w.xs, 0)
	text := strings.Repeat("x", 200<<10)
	var refused error
	for k := range 45 {
		s := stateOf(t, w.s, i)
		w.s.Commit(&Request{
			ID:    w.s.newTxID(),
			Edits: []Edit{{Collection: "album", Entity: i, Base: s, Ops: []event.Operation{lww.Set("k"+string(rune('A'+k)), value.String(text))}}},
			Done:  func(_ []*entity.State, err error) { refused = errors.Join(refused, err) },
		})
		w.xs.settle()
	}
	if !errors.Is(refused, ErrTooLarge) {
		t.Errorf("a state of 9 MB was not refused: %v", refused)
	}
	small := w.create(w.s, w.xs, 1)
	q := w.query(-1)
	w.rest()
	if w.l.err != nil {
		t.Errorf("a client that asks for the collection is cut each time: %v", w.l.err)
	}
	if stateOf(t, w.c, small) == nil {
		t.Errorf("and gets no other row either; synced %t", q.Synced())
	}
}

// S27: an Ack that was lost, of a transaction on several entities, is too
// large when it is given again, each time.
func TestKnownAckLargerThanFrame(t *testing.T) {
	w := newPair(t)
	w.connect()
	w.rest()
	var ids []id.ID
	text := strings.Repeat("x", 200<<10)
	for range 45 {
		i := w.create(w.s, w.xs, 0)
		s := stateOf(t, w.s, i)
		w.commit(w.s, w.xs, &Request{Edits: []Edit{{Collection: "album", Entity: i, Base: s, Ops: []event.Operation{lww.Set("text", value.String(text))}}}})
		ids = append(ids, i)
	}
	w.query(-1)
	w.rest()
	if w.l.err != nil {
		t.Fatal(w.l.err)
	}
	r := &Request{}
	for _, i := range ids {
		r.Edits = append(r.Edits, Edit{Collection: "album", Entity: i, Base: stateOf(t, w.c, i), Ops: []event.Operation{lww.Set("n", value.Int32(7))}})
	}
	w.commit(w.c, w.xc, r) // small edits
	w.up()
	w.xs.settle() // stored
	w.cut()       // and the Ack is lost
	for range 3 {
		w.connect()
		w.rest()
	}
	if w.l.err != nil || w.c.Pending() > 0 {
		t.Errorf("the client does not get further: %d pending, %v", w.c.Pending(), w.l.err)
	}
}

// S26: nobody is told when a node is closed.
func TestCloseTellsWaiters(t *testing.T) {
	w := newPair(t)
	w.connect()
	w.rest()
	w.cut()
	b, i, _ := w.c.NewEntity("album")
	r := &Request{ID: w.c.newTxID(), Edits: []Edit{{Collection: "album", Entity: i, Birth: &b}}, Done: func([]*entity.State, error) {}}
	w.c.Commit(r)
	w.xc.settle()
	told := false
	w.c.Confirm(r.ID, func(error) { told = true })
	w.c.Close()
	if !told {
		t.Error("who waits in Confirmed is not told that the node was closed")
	}
	_ = errors.New
}

// S29: what a connection said that ended before it was taken up counts no more.
// The transaction is sent again, and the answer to that is its outcome.
func TestVerdictOfEndedConnection(t *testing.T) {
	agent := &funcAgent{}
	w := &pair{t: t}
	w.s, w.xs = bootCore(t, 1, agent, true)
	w.c, w.xc = bootCore(t, 2, nil, false)
	var rejected []error
	w.c.cfg.OnRejected = func(_ event.TxID, why error) { rejected = append(rejected, why) }
	x := w.create(w.s, w.xs, 0)
	w.connect()
	w.query(-1)
	w.rest()
	w.edit(w.c, w.xc, x, "n", 1, false)
	agent.write = func(policy.Write) error { return denied() }
	w.up()
	w.xs.settle()
	w.c.cache.Drop(x, w.c.seq) // so that the refusal has to wait for a read
	if w.down(); len(w.xc.tasks) == 0 {
		t.Fatal("the refusal was taken up at once")
	}
	agent.write = nil
	w.s.PeerGone(w.p)
	w.c.LinkGone(w.l, nil)
	w.connect()
	w.rest()
	if len(rejected) > 0 || w.c.Pending() > 0 {
		t.Errorf("%d pending, rejected: %v", w.c.Pending(), rejected)
	}
	have, want := stateOf(t, w.c, x), stateOf(t, w.s, x)
	if have.Rev() != want.Rev() || have.Rev() != 2 {
		t.Errorf("rev %d on the client, %d on the server", have.Rev(), want.Rev())
	}
}

// S23: a client whose store fails hears no server any more. What it shows
// contains pending events that it has no bases of.
func TestConnectionOfBrokenClient(t *testing.T) {
	w := newPair(t)
	x := w.create(w.s, w.xs, 0)
	w.connect()
	w.query(-1)
	w.rest()
	first, cause := w.l, errors.New("no space left")
	w.edit(w.c, w.xc, x, "n", 1, false)
	w.xc.eng = failing{w.xc.eng, cause}
	w.rest()
	if w.c.Broken() == nil || !errors.Is(first.Err(), cause) || w.c.Connected() {
		t.Fatalf("broken: %v; the connection: %v", w.c.Broken(), first.Err())
	}
	w.connect()
	if f, end := w.l.Take(); len(f) > 0 || !end || !errors.Is(w.l.Err(), cause) {
		t.Errorf("a broken client says %d frames on its next connection: %v", len(f), w.l.Err())
	}
}

type failing struct {
	storage.Engine
	err error
}

func (f failing) Commit(context.Context, *storage.Batch) (storage.Result, error) {
	return storage.Result{}, f.err
}

// S22: a window whose rows cannot be read has failed; it does not pass for
// whole.
func TestWindowThatCannotBeRead(t *testing.T) {
	w := newPair(t)
	w.create(w.s, w.xs, 0)
	w.connect()
	w.query(-1)
	w.rest()
	sink := &quietSink{}
	q := w.c.Subscribe(&ankql.Selection{Collection: "album", Limit: 1}, nil, sink)
	w.c.Start(q)
	w.rest()
	w.c.Follow(q)
	w.up()
	w.xs.settle()
	w.down()
	w.xc.unreadable = errors.New("input/output error")
	w.rest()
	if !errors.Is(sink.failed, w.xc.unreadable) {
		t.Errorf("failed with %v, synced %t", sink.failed, q.Synced())
	}
}
