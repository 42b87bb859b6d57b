package ankurah_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	mrand "math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/wire"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/property/lww"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/transport"
	"github.com/ankurah/ankurah-go/transport/local"
	"github.com/ankurah/ankurah-go/transport/wsclient"
	"github.com/ankurah/ankurah-go/value"
)

// arena is a durable node under attack, with an honest client at work on it.
type arena struct {
	*testing.T
	server *ankurah.Node
	ctx    context.Context
	cancel context.CancelFunc
	served sync.WaitGroup

	honest *ankurah.Session
	conn   *local.Connection
	live   *ankurah.LiveQuery[ankurah.Record]
	works  int
	before int // goroutines
}

// private lets everybody write, and read what belongs to nobody or to them;
// nobody reads the vault.
func private(t testing.TB) policy.Agent {
	t.Helper()
	agent, err := policy.Rules{
		Collections: map[string][]policy.Rule{
			"album": {{Read: "owner IS NULL OR owner = :subject", Write: "TRUE"}},
			"vault": {{Write: "TRUE"}},
			"*":     {{Read: "TRUE", Write: "TRUE"}},
		},
		Credentials: func(ctx context.Context, credential []byte) (policy.Principal, error) {
			switch string(credential) {
			case "panic":
				panic("the agent is broken")
			case "":
				return policy.Principal{}, errors.New("who are you?")
			}
			return policy.Principal{Subject: string(credential)}, nil
		},
	}.Agent()
	if err != nil {
		t.Fatal(err)
	}
	return agent
}

// attacked runs an attack on a node of its own. Whatever it does, the honest
// client works on undisturbed, during and after it, and when the attacker has
// gone nothing of it is left.
func attacked(t *testing.T, attack func(a *arena)) {
	t.Helper()
	attackedWith(t, ankurah.Limits{}, attack)
}

// attackedWith is attacked on a node with limits.
func attackedWith(t *testing.T, l ankurah.Limits, attack func(a *arena)) {
	t.Helper()
	a := &arena{T: t}
	a.server = openNode(t, memory.New(), &ankurah.NodeOptions{Policy: private(t), Limits: l})
	client := openClient(t)
	a.conn = local.Dial(client, a.server, []byte("honest"))
	if err := a.conn.WaitConnected(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.honest = client.Session(policy.Principal{Subject: "honest"})
	var err error
	if a.live, err = albums.Query(t.Context(), a.honest, "owner = 'honest'"); err == nil {
		err = a.live.WaitSynced(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	a.undisturbed()
	a.before = runtime.NumGoroutine()
	a.ctx, a.cancel = context.WithCancel(t.Context())
	attack(a)
	a.undisturbed()
	a.cancel()
	a.served.Wait()
	a.undisturbed()
	within(t, "nothing of the attacker is left", func() bool {
		return a.server.Connections() == 1 && runtime.NumGoroutine() <= a.before
	})
	a.live.Close()
	a.conn.Close()
}

// undisturbed has the honest client create, edit, read and watch.
func (a *arena) undisturbed() {
	a.Helper()
	a.works++
	ctx, cancel := context.WithTimeout(a.Context(), patience)
	defer cancel()
	var made ankurah.ID
	err := a.honest.UpdateConfirmed(ctx, func(tx *ankurah.Tx) error {
		e, err := albums.Create(tx, &ankurah.Fields{"name": "work", "owner": "honest", "n": a.works})
		if err == nil {
			made = e.ID()
		}
		return err
	})
	if err == nil {
		err = a.honest.UpdateConfirmed(ctx, func(tx *ankurah.Tx) error {
			e, err := albums.Edit(tx, made)
			if err != nil {
				return err
			}
			return e.Set("name", "works")
		})
	}
	if err == nil {
		_, err = albums.Get(ctx, a.server.Session(policy.Principal{Subject: "honest"}), made)
	}
	if err == nil {
		var rows []ankurah.Record
		rows, err = albums.Fetch(ctx, a.honest, "owner = 'honest' AND name = 'works'")
		if err == nil && (len(rows) != a.works || len(a.live.Rows()) != a.works) {
			err = errors.New("rows are missing")
		}
	}
	if err != nil {
		a.Fatalf("the honest client is disturbed: %v", err)
	}
}

// attacker speaks the protocol by hand.
type attacker struct {
	a       *arena
	conn    transport.Conn
	node    id.ID
	subject string
	hello   *wire.Hello // the server's
	clock   id.Clock
	next    uint64
	spare   []wire.Message // heard and not asked for
}

// pipe connects to the server without a word.
func (a *arena) pipe() transport.Conn {
	there, here := local.Pipe()
	a.served.Go(func() { _ = a.server.Accept(a.ctx, there) })
	a.served.Go(func() {
		<-a.ctx.Done()
		_ = here.Close()
	})
	return here
}

func newID() (i id.ID) {
	_, _ = rand.Read(i[:])
	i[0] = 0 // a time that was
	return i
}

// greet connects as a principal.
func (a *arena) greet(subject string) *attacker {
	a.Helper()
	x := &attacker{a: a, conn: a.pipe(), node: newID(), subject: subject}
	x.sayHello()
	return x
}

func (x *attacker) sayHello() {
	x.a.Helper()
	x.say(&wire.Hello{Min: 1, Max: 1, Node: x.node, Incarnation: newID(), Now: 1, Credential: []byte(x.subject)})
	h, ok := x.hear().(*wire.Hello)
	if !ok {
		x.a.Fatal("no Hello")
	}
	x.hello = h
}

func (x *attacker) raw(frame []byte) bool { return x.conn.Send(x.a.ctx, frame) == nil }

func (x *attacker) say(m wire.Message) bool { return x.raw(wire.Append(nil, m)) }

// hear returns the server's next message, nil at the end of the connection.
func (x *attacker) hear() wire.Message {
	x.a.Helper()
	ctx, cancel := context.WithTimeout(x.a.ctx, patience)
	defer cancel()
	frame, err := x.conn.Receive(ctx)
	if errors.Is(err, transport.ErrClosed) {
		return nil
	}
	if err != nil {
		x.a.Fatalf("the server says nothing: %v", err)
	}
	m, err := wire.Decode(frame)
	if err != nil {
		x.a.Fatalf("the server sends what cannot be read: %v", err)
	}
	return m
}

// until returns the first message that f picks; the others are kept.
func (x *attacker) until(f func(wire.Message) bool) wire.Message {
	x.a.Helper()
	for {
		m := x.hear()
		if m == nil {
			x.a.Fatal("the connection ended")
		}
		if f(m) {
			return m
		}
		x.spare = append(x.spare, m)
	}
}

// ends reports how the server ends the connection.
func (x *attacker) ends() (code wire.Code, text string) {
	x.a.Helper()
	for {
		switch m := x.hear().(type) {
		case *wire.Bye:
			code, text = m.Code, m.Text
		case *wire.Reject:
			code, text = m.Code, m.Text
		case nil:
			return code, text
		}
	}
}

func (x *attacker) number() uint64 {
	x.next++
	return x.next
}

// sync waits until everything before was answered.
func (x *attacker) sync() {
	x.a.Helper()
	n := x.number()
	x.say(&wire.Sync{ID: n})
	x.until(func(m wire.Message) bool { s, ok := m.(*wire.Sync); return ok && s.ID == n })
}

// header begins an event as an honest node would.
func (x *attacker) header(collection string) event.Header {
	h := event.Header{Root: x.hello.Root, Collection: collection, Author: event.NodeAuthor(x.node), Actor: x.subject}
	_, _ = rand.Read(h.Tx[:])
	x.clock.Observe(x.hello.High)
	h.Stamp = x.clock.Next(uint64(time.Now().UnixMilli()))
	return h
}

func (x *attacker) genesis(collection string, ops ...event.Operation) *event.Event {
	h := x.header(collection)
	h.Birth = &event.Birth{Stamp: h.Stamp}
	_, _ = rand.Read(h.Birth.Nonce[:])
	h.Entity = h.Birth.EntityID(h.Root, collection, h.Author)
	return x.event(h, ops...)
}

func (x *attacker) edit(collection string, i id.ID, parents []id.ID, ops ...event.Operation) *event.Event {
	h := x.header(collection)
	h.Entity, h.Parents = i, parents
	return x.event(h, ops...)
}

func (x *attacker) event(h event.Header, ops ...event.Operation) *event.Event {
	x.a.Helper()
	var salt [16]byte
	_, _ = rand.Read(salt[:])
	entity.SortOps(ops)
	e, err := event.New(h, salt, ops)
	if err != nil {
		x.a.Fatal(err)
	}
	return e
}

// submit sends events as one transaction, that of the first.
func (x *attacker) submit(events ...*event.Event) *wire.Refuse {
	x.a.Helper()
	m := &wire.Submit{Tx: events[0].Tx}
	for _, e := range events {
		m.Events = append(m.Events, e.Append(nil))
	}
	return x.submission(m)
}

// submission sends a transaction and returns its refusal, nil for an Ack.
func (x *attacker) submission(m *wire.Submit) *wire.Refuse {
	x.a.Helper()
	x.say(m)
	switch m := x.until(func(got wire.Message) bool {
		switch got := got.(type) {
		case *wire.Ack:
			return got.Tx == m.Tx && !got.More
		case *wire.Refuse:
			return got.Tx == m.Tx
		}
		return false
	}).(type) {
	case *wire.Refuse:
		return m
	}
	return nil
}

func (x *attacker) refused(what string, r *wire.Refuse, code wire.Code, words ...string) {
	x.a.Helper()
	if r == nil {
		x.a.Errorf("%s: it was accepted", what)
		return
	}
	if r.Code != code {
		x.a.Errorf("%s: %s: %s; want %s", what, r.Code, r.Text, code)
	}
	for _, w := range words {
		if !strings.Contains(r.Text, w) {
			x.a.Errorf("%s: %q does not say %q", what, r.Text, w)
		}
	}
}

func set(key, text string) event.Operation { return lww.Set(key, value.String(text)) }

// flipped is b with one bit changed.
func flipped(b []byte, bit int) []byte {
	out := bytes.Clone(b)
	out[bit/8] ^= 1 << (bit % 8)
	return out
}

// S2, S3, S5–S7, S12: what a peer makes up is refused, whole, by name.
func TestForgedEvents(t *testing.T) {
	attacked(t, func(a *arena) {
		x := a.greet("mallory")
		g := x.genesis("album", set("name", "own"))
		if r := x.submit(g); r != nil {
			t.Fatalf("an honest event: %+v", r)
		}
		other := x.genesis("album", set("name", "other"))
		if r := x.submit(other); r != nil {
			t.Fatal(r)
		}
		edit := func(change func(h *event.Header), ops ...event.Operation) *event.Event {
			h := x.header("album")
			h.Entity, h.Parents = g.Entity, []id.ID{g.ID}
			change(&h)
			return x.event(h, ops...)
		}
		for what, c := range map[string]struct {
			e    *event.Event
			code wire.Code
			word string
		}{
			"a parent that is not":       {edit(func(h *event.Header) { h.Parents = []id.ID{newID()} }), wire.UnknownParent, "not stored"},
			"a parent of another entity": {edit(func(h *event.Header) { h.Parents = []id.ID{other.ID} }), wire.UnknownParent, other.ID.String()},
			"one parent of another entity": {edit(func(h *event.Header) {
				h.Parents = []id.ID{g.ID, other.ID}
				slices.SortFunc(h.Parents, id.ID.Compare)
			}), wire.UnknownParent, other.ID.String()},
			"another collection":      {edit(func(h *event.Header) { h.Collection = "single" }), wire.Malformed, "is in album"},
			"another system":          {edit(func(h *event.Header) { h.Root = newID() }), wire.Malformed, "system"},
			"another author":          {edit(func(h *event.Header) { h.Author = event.NodeAuthor(newID()) }), wire.Malformed, "author"},
			"the server as author":    {edit(func(h *event.Header) { h.Author = event.NodeAuthor(a.server.ID()) }), wire.Malformed, "author"},
			"another actor":           {edit(func(h *event.Header) { h.Actor = "honest" }), wire.Denied, "actor"},
			"nobody as actor":         {edit(func(h *event.Header) { h.Actor = "" }), wire.Denied, "actor"},
			"a clock in the future":   {edit(func(h *event.Header) { h.Stamp = id.NewStamp(h.Stamp.Millis()+600_000, 0) }), wire.TooEarly, "clock"},
			"the end of time":         {edit(func(h *event.Header) { h.Stamp = id.MaxStamp }), wire.TooEarly, "clock"},
			"the system's collection": {x.genesis("_system", set("name", "mine")), wire.Reserved, "_system"},
			"the system's property":   {edit(func(h *event.Header) {}, set("_owner", "me")), wire.Reserved, "_owner"},
			"a text for existence":    {edit(func(h *event.Header) {}, set(entity.Deleted, "yes")), wire.Schema, entity.Deleted},
			"an unknown kind":         {edit(func(h *event.Header) {}, event.Operation{Property: "name", Kind: "counter", Data: []byte{1}}), wire.UnknownKind, "counter"},
			"an operation of nothing": {edit(func(h *event.Header) {}, event.Operation{Property: "name", Kind: "lww", Data: []byte{0xFF}}), wire.Malformed, ""},
			"another type":            {edit(func(h *event.Header) {}, lww.Set("name", value.Int64(4))), wire.Schema, "name"},
			"a second genesis":        {x.event(event.Header{Root: g.Root, Entity: g.Entity, Collection: g.Collection, Author: g.Author, Actor: g.Actor, Tx: event.TxID(newID()), Stamp: x.header("album").Stamp, Birth: g.Birth}, set("name", "again")), wire.Malformed, "created before"},
		} {
			good := x.genesis("album", set("name", "phantom"))
			m := &wire.Submit{Tx: c.e.Tx, Events: [][]byte{c.e.Append(nil)}}
			x.refused(what, x.submission(m), c.code, c.word)
			// S12: neither does what comes with it.
			h := good.Header
			h.Tx = event.TxID(newID())
			with := c.e.Header
			with.Tx = h.Tx
			again := x.event(with, c.e.Ops...)
			good = x.event(h, good.Ops...)
			x.refused(what+", in company", x.submit(good, again), c.code)
		}
		if n, err := albums.Count(a.ctx, a.server.Session(policy.Principal{Subject: "mallory"}), "name = 'phantom'"); err != nil || n != 0 {
			t.Errorf("%d phantoms, %v", n, err)
		}
		s, err := albums.Get(a.ctx, a.server.Session(policy.Principal{Subject: "mallory"}), ankurah.ID(g.Entity))
		if err != nil || names([]ankurah.Record{s})[0] != "own" {
			t.Errorf("the entity is %v, %v", s, err)
		}

		// What cannot be an event at all.
		fresh := x.genesis("album", set("name", "fresh"))
		whole := fresh.Append(nil)
		for bit := range len(whole) * 8 {
			b := flipped(whole, bit)
			if e, err := event.Decode(b); err == nil && e.ID == fresh.ID {
				t.Fatalf("bit %d of an event does not matter", bit)
			} else if err != nil && bit%7 == 0 {
				x.refused("a flipped bit", x.submission(&wire.Submit{Tx: fresh.Tx, Events: [][]byte{b}}), codeOfFlip(err))
			}
		}
		for n := 1; n < len(whole); n += 5 {
			x.refused("a truncated event", x.submission(&wire.Submit{Tx: fresh.Tx, Events: [][]byte{whole[:n]}}), wire.Malformed)
		}
		cycle := edit(func(h *event.Header) {})
		x.refused("an event twice removed", x.submission(&wire.Submit{Tx: newTx(), Events: [][]byte{cycle.Append(nil)}}), wire.Malformed, "another transaction")
		x.refused("no events", x.submission(&wire.Submit{Tx: newTx()}), wire.Malformed)

		// Dependencies that never end.
		one, two := newTx(), newTx()
		e1, e2 := edit(func(h *event.Header) { h.Tx = one }), edit(func(h *event.Header) { h.Tx = two })
		if r := x.submission(&wire.Submit{Tx: one, Events: [][]byte{e1.Append(nil)}, After: []event.TxID{two, one}}); r != nil {
			t.Errorf("after what was never sent: %+v", r)
		}
		if r := x.submission(&wire.Submit{Tx: two, Events: [][]byte{e2.Append(nil)}, After: []event.TxID{one, two}}); r != nil {
			t.Errorf("after each other: %+v", r)
		}

		// The clock of the node was not moved by what was refused.
		if y := a.greet("mallory"); y.hello.High.Millis() > uint64(time.Now().UnixMilli())+1000 {
			t.Errorf("the clock is at %d", y.hello.High.Millis())
		}
	})
}

// S2, S3, S6: parents that no honest encoder writes. An ID is made of its
// event's parents, so the only way to a cycle is a parent that is not earlier.
func TestForgedParents(t *testing.T) {
	attacked(t, func(a *arena) {
		x := a.greet("mallory")
		g := x.genesis("album", set("name", "g"))
		b := x.edit("album", g.Entity, []id.ID{g.ID})
		for _, e := range []*event.Event{g, b} {
			if r := x.submit(e); r != nil {
				t.Fatal(r)
			}
		}
		e := x.edit("album", g.Entity, []id.ID{g.ID, b.ID})
		late := x.edit("album", g.Entity, []id.ID{b.ID})
		whole := e.Append(nil)
		swap := func(first, second id.ID) []byte {
			out := bytes.Replace(whole, g.ID[:], []byte("the first parent"), 1)
			out = bytes.Replace(out, b.ID[:], second[:], 1)
			return bytes.Replace(out, []byte("the first parent"), first[:], 1)
		}
		for what, c := range map[string]struct {
			first, second id.ID
			word          string
		}{
			"unsorted":      {b.ID, g.ID, "sorted"},
			"repeated":      {b.ID, b.ID, "sorted"},
			"itself":        {g.ID, e.ID, "not later"},
			"a later event": {g.ID, late.ID, "not later"},
		} {
			x.refused(what, x.submission(&wire.Submit{Tx: e.Tx, Events: [][]byte{swap(c.first, c.second)}}), wire.Malformed, c.word)
		}
		if r := x.submission(&wire.Submit{Tx: e.Tx, Events: [][]byte{swap(g.ID, b.ID)}}); r != nil {
			t.Errorf("as it was: %+v", r)
		}
	})
}

// codeOfFlip is the code that an event which cannot be decoded is refused with.
func codeOfFlip(err error) wire.Code {
	if errors.Is(err, event.ErrUnsupported) {
		return wire.UnknownKind
	}
	return wire.Malformed
}

func newTx() event.TxID { return event.TxID(newID()) }

// S11, S27: a session that is played again changes nothing.
func TestReplayedSession(t *testing.T) {
	attacked(t, func(a *arena) {
		x := a.greet("mallory")
		var session []wire.Message
		last := x.genesis("album", set("name", "0"))
		for k := range 50 {
			if k > 0 {
				last = x.edit("album", last.Entity, []id.ID{last.ID}, set("name", "x"))
			}
			session = append(session, &wire.Submit{Tx: last.Tx, Events: [][]byte{last.Append(nil)}})
		}
		session = append(session, &wire.Query{ID: 7, Collection: "album", Live: true}, &wire.History{ID: 8, Collection: "album", Entity: last.Entity}, &wire.Cancel{ID: 7})
		rev := func() uint64 {
			x.say(&wire.Want{ID: x.number(), Collection: "album", Entities: []wire.Known{{Entity: last.Entity}}})
			m := x.until(func(m wire.Message) bool {
				r, ok := m.(*wire.Rows)
				return ok && r.ID == x.next && len(r.Changes) == 1
			}).(*wire.Rows)
			return m.Changes[0].After + uint64(len(m.Changes[0].State)) // same rev, same state
		}
		var first uint64
		for round := range 5 {
			for _, m := range session {
				x.say(m)
			}
			x.next = 1000 + uint64(round)*10
			x.sync()
			if got := rev(); round == 0 {
				first = got
			} else if got != first {
				t.Errorf("round %d changed the entity", round)
			}
		}
		// Another connection of the same node, and one of another.
		y := &attacker{a: a, conn: a.pipe(), node: x.node, subject: "mallory"}
		y.sayHello()
		z := a.greet("mallory")
		for _, m := range session[:50] {
			y.say(m)
			z.say(m)
		}
		y.sync()
		z.sync()
		x.next = 5000
		if got := rev(); got != first {
			t.Error("another connection changed the entity")
		}
	})
}

// S34, S39: what is no conversation ends the connection and says why.
func TestBadConversations(t *testing.T) {
	hello := func() *wire.Hello {
		return &wire.Hello{Min: 1, Max: 1, Node: newID(), Incarnation: newID(), Now: 1, Credential: []byte("mallory")}
	}
	attacked(t, func(a *arena) {
		self := hello()
		self.Node = a.server.ID()
		foreign, old, nobody, broken, long := hello(), hello(), hello(), hello(), hello()
		foreign.Root = newID()
		old.Min, old.Max = 2, 1<<63
		nobody.Credential = nil
		broken.Credential = []byte("panic")
		long.Credential = bytes.Repeat([]byte("x"), 64<<10)
		first := map[string]struct {
			frame []byte
			code  wire.Code
		}{
			"nothing":                 {nil, wire.Malformed},
			"a query before Hello":    {wire.Append(nil, &wire.Query{ID: 1, Collection: "album"}), wire.Malformed},
			"a submission":            {wire.Append(nil, &wire.Submit{Tx: newTx()}), wire.Malformed},
			"another system":          {wire.Append(nil, foreign), wire.System},
			"another version":         {wire.Append(nil, old), wire.Version},
			"no credential":           {wire.Append(nil, nobody), wire.Unauthenticated},
			"an agent that panics":    {wire.Append(nil, broken), wire.Unauthenticated},
			"a long subject":          {wire.Append(nil, long), wire.Unauthenticated},
			"the server itself":       {wire.Append(nil, self), wire.Malformed},
			"a giant varint":          {append([]byte{0x0A}, bytes.Repeat([]byte{0xFF}, 10)...), wire.Malformed},
			"a length beyond the end": {[]byte{0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F, 1}, wire.Malformed},
			"a giant frame":           {make([]byte, wire.MaxFrame+1), wire.TooLarge},
		}
		for what, c := range first {
			x := &attacker{a: a, conn: a.pipe()}
			x.raw(c.frame)
			if code, text := x.ends(); code != c.code || text == "" {
				t.Errorf("%s first: %s: %s; want %s", what, code, text, c.code)
			}
		}
		then := map[string]wire.Message{
			"a second Hello": hello(), "rows": &wire.Rows{ID: 1, Done: true}, "a push": &wire.Push{}, "an ack": &wire.Ack{Tx: newTx()},
			"a refusal": &wire.Refuse{Tx: newTx(), Code: wire.Denied}, "a count": &wire.Counted{ID: 1}, "models": &wire.Described{ID: 1},
			"a Bye": &wire.Bye{Code: wire.Closing}, "a failure": &wire.Fail{ID: 1, Code: wire.Internal},
		}
		for what, m := range then {
			x := a.greet("mallory")
			x.say(m)
			if code, text := x.ends(); code != wire.Malformed || text == "" {
				t.Errorf("%s: %s: %s", what, code, text)
			}
		}
		x := a.greet("mallory")
		x.say(&wire.Query{ID: 1, Collection: "album", Live: true})
		x.say(&wire.Query{ID: 1, Collection: "album", Live: true})
		if code, _ := x.ends(); code != wire.Malformed {
			t.Errorf("a number twice: %s", code)
		}
	})
}

// S39: every cut and many flipped bits of every message a client may send.
func TestDamagedFrames(t *testing.T) {
	r := mrand.New(mrand.NewPCG(1, 9))
	attacked(t, func(a *arena) {
		x := a.greet("mallory")
		g := x.genesis("album", set("name", "g"))
		samples := []wire.Message{
			&wire.Hello{Min: 1, Max: 1, Node: newID(), Incarnation: newID(), Now: 1, Credential: []byte("mallory")},
			&wire.Query{ID: 1, Collection: "album", Text: "name = ?", Params: [][]byte{value.Append(nil, value.String("x"))}, Live: true, Known: []wire.Known{{Entity: g.Entity, Rev: 1}}},
			&wire.Submit{Tx: g.Tx, Events: [][]byte{g.Append(nil)}, Requires: []wire.Require{{Collection: "album", Entity: g.Entity, Head: event.Head{g.Tip()}}}, After: []event.TxID{newTx()}},
			&wire.Want{ID: 2, Collection: "album", Entities: []wire.Known{{Entity: g.Entity, Rev: 7}}},
			&wire.History{ID: 3, Collection: "album", Entity: g.Entity, After: 1}, &wire.Describe{ID: 4, Collection: "album"},
			&wire.Cancel{ID: 1}, &wire.Sync{ID: 1 << 60}, &wire.Credential{Credential: []byte("mallory")}, &wire.Ping{N: 5},
		}
		var frames [][]byte
		for _, m := range samples {
			f := wire.Append(nil, m)
			for n := range len(f) {
				if n < 8 || r.IntN(8) == 0 {
					frames = append(frames, f[:n])
				}
			}
			for range 40 {
				frames = append(frames, flipped(f, r.IntN(len(f)*8)))
			}
			garbage := make([]byte, 64)
			for range 5 {
				for k := range garbage {
					garbage[k] = byte(r.Uint32())
				}
				frames = append(frames, bytes.Clone(garbage))
			}
		}
		for k, f := range frames {
			y := &attacker{a: a, conn: a.pipe(), node: newID(), subject: "mallory"}
			if k%4 != 0 {
				y.sayHello()
			}
			y.raw(f)
			y.say(&wire.Cancel{ID: 9})
			_ = y.conn.Close()
		}
	})
}

// The same over a real WebSocket, where frames have a size before they are
// read.
func TestHostileWebSocket(t *testing.T) {
	a := &arena{T: t}
	a.server = openNode(t, memory.New(), &ankurah.NodeOptions{Policy: private(t)})
	addr, stop := listen(t, a.server, "127.0.0.1:0")
	defer stop()
	client := openClient(t)
	honest, err := wsclient.Dial(client, "ws://"+addr, &wsclient.Options{Credential: []byte("honest")})
	if err == nil {
		err = honest.WaitConnected(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	defer honest.Close()
	a.honest = client.Session(policy.Principal{Subject: "honest"})
	if a.live, err = albums.Query(t.Context(), a.honest, "owner = 'honest'"); err != nil {
		t.Fatal(err)
	}
	defer a.live.Close()
	hello := wire.Append(nil, &wire.Hello{Min: 1, Max: 1, Node: newID(), Incarnation: newID(), Now: 1, Credential: []byte("mallory")})
	for what, attack := range map[string]func(c *websocket.Conn){
		"silence":           func(*websocket.Conn) {},
		"text":              func(c *websocket.Conn) { _ = c.Write(t.Context(), websocket.MessageText, hello) },
		"garbage":           func(c *websocket.Conn) { _ = c.Write(t.Context(), websocket.MessageBinary, []byte("garbage")) },
		"an empty message":  func(c *websocket.Conn) { _ = c.Write(t.Context(), websocket.MessageBinary, nil) },
		"too large a frame": func(c *websocket.Conn) { _ = c.Write(t.Context(), websocket.MessageBinary, make([]byte, 9<<20)) },
		"many small ones": func(c *websocket.Conn) {
			_ = c.Write(t.Context(), websocket.MessageBinary, hello)
			for range 20_000 {
				if c.Write(t.Context(), websocket.MessageBinary, wire.Append(nil, &wire.Cancel{ID: 1})) != nil {
					t.Error("cut for nothing")
					return
				}
			}
		},
		"half a frame": func(c *websocket.Conn) {
			if w, err := c.Writer(t.Context(), websocket.MessageBinary); err == nil {
				_, _ = w.Write(hello[:5])
			}
		},
	} {
		c, _, err := websocket.Dial(t.Context(), "ws://"+addr, &websocket.DialOptions{Subprotocols: []string{"ankurah.1"}})
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		attack(c)
		a.undisturbed()
		_ = c.CloseNow()
	}
	within(t, "the attackers are gone", func() bool { return a.server.Connections() == 1 })
}
