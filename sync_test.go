package ankurah_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/internal/wire"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/transport"
	"github.com/ankurah/ankurah-go/transport/local"
)

// tap is a server's end of a connection that keeps what the server says, and
// may cut it off.
type tap struct {
	transport.Conn

	mu    sync.Mutex // guards what follows
	heard []wire.Message
	cut   func(m wire.Message) bool // before m is sent
}

// Send passes a frame on unless the connection is cut before it.
func (c *tap) Send(ctx context.Context, frame []byte) error {
	m, err := wire.Decode(frame)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.heard = append(c.heard, m)
	cut := c.cut != nil && c.cut(m)
	c.mu.Unlock()
	if cut {
		return c.Close()
	}
	return c.Conn.Send(ctx, frame)
}

func (c *tap) messages() []wire.Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]wire.Message(nil), c.heard...)
}

// tapped connects a client and returns what can be heard of the server, and
// what ends the connection.
func tapped(t *testing.T, client, server *ankurah.Node, credential string, cut func(wire.Message) bool) (*tap, func()) {
	t.Helper()
	a, b := local.Pipe()
	c := &tap{Conn: b, cut: cut}
	ready := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Accept(t.Context(), c) })
	wg.Go(func() {
		_ = client.Connect(t.Context(), a, transport.Hello{Credential: []byte(credential), Ready: func() { close(ready) }})
	})
	<-ready
	return c, func() {
		_ = a.Close()
		wg.Wait()
	}
}

func update(t *testing.T, s *ankurah.Session, id ankurah.ID, set ankurah.Fields) {
	t.Helper()
	err := s.Update(t.Context(), func(tx *ankurah.Tx) error {
		e, err := albums.Edit(tx, id)
		if err != nil {
			return err
		}
		for k, v := range set {
			err = errors.Join(err, e.Set(k, v))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// S35: a client that lacks little gets events, one that lacks much the state,
// one that lacks nothing nothing.
func TestGapsAreFilledByEventsOrByState(t *testing.T) {
	server := openNode(t, memory.New(), nil)
	ss := server.Session(policy.Principal{Subject: "x"})
	id := create(t, ss, ankurah.Fields{"name": "x", "year": 0})
	client := openClient(t)
	cs := client.Session(policy.Principal{Subject: "alice"})
	for _, c := range []struct {
		gap            int
		events, states int
	}{{0, 0, 1}, {0, 0, 0}, {3, 3, 0}, {100, 0, 1}} {
		for k := range c.gap {
			update(t, ss, id, ankurah.Fields{"year": k + c.gap})
		}
		tap, end := tapped(t, client, server, "alice", nil)
		rows, err := albums.Fetch(t.Context(), cs, "name = 'x'")
		if err != nil || len(rows) != 1 {
			t.Fatal(rows, err)
		}
		if year, _ := rows[0].Get("year"); c.gap > 0 && year != int64(2*c.gap-1) {
			t.Errorf("gap %d: year %v", c.gap, year)
		}
		events, states := 0, 0
		for _, m := range tap.messages() {
			if r, ok := m.(*wire.Rows); ok {
				for _, x := range r.Changes {
					events += len(x.Events)
					if len(x.State) > 0 {
						states++
					}
				}
			}
		}
		if events != c.events || states != c.states {
			t.Errorf("gap %d: %d events and %d states came, want %d and %d", c.gap, events, states, c.events, c.states)
		}
		end()
	}
}

// S27: an Ack that is lost is asked for again by the transaction's ID; nothing
// is done twice.
func TestLostAckDoesNotDouble(t *testing.T) {
	server := openNode(t, memory.New(), nil)
	client := openClient(t)
	_, end := tapped(t, client, server, "alice", func(m wire.Message) bool { _, ack := m.(*wire.Ack); return ack })
	cs := client.Session(policy.Principal{Subject: "alice"})
	if err := client.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	id := create(t, cs, ankurah.Fields{"name": "x", "year": 1})
	within(t, "the connection is cut", func() bool { return !client.Connected() })
	end()
	if client.Pending() != 1 {
		t.Fatalf("%d pending", client.Pending())
	}
	_, end = tapped(t, client, server, "alice", nil)
	defer end()
	if err := client.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range albums.History(t.Context(), server.Session(policy.Principal{Subject: "x"}), id) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 1 {
		t.Errorf("%d events", n)
	}
	if v, err := albums.Get(t.Context(), cs, id); err != nil {
		t.Error(err)
	} else if name, _ := v.Get("name"); name != "x" {
		t.Errorf("on the client: %v", v)
	}
}

// S36, S38: rows leave a client by predicate, by delete, by what they hold and
// by a change of what the principal may read; nothing of what it may not read
// crosses the wire.
func TestRowsAreWithdrawn(t *testing.T) {
	var mu sync.Mutex
	roles := []string{"insider"}
	agent, err := policy.Rules{
		Collections: map[string][]policy.Rule{"album": {
			{Role: "insider", Read: "TRUE", Write: "TRUE"},
			{Read: "secret IS NULL"},
		}},
		Credentials: func(_ context.Context, credential []byte) (policy.Principal, error) {
			mu.Lock()
			defer mu.Unlock()
			return policy.Principal{Subject: string(credential), Roles: roles}, nil
		},
	}.Agent()
	if err != nil {
		t.Fatal(err)
	}
	server := openNode(t, memory.New(), &ankurah.NodeOptions{Policy: agent})
	ss := server.Session(policy.Principal{Subject: "root", Roles: []string{"insider"}})
	var ids []ankurah.ID
	for _, name := range []string{"a", "b", "c", "d"} {
		ids = append(ids, create(t, ss, ankurah.Fields{"name": name, "year": 1}))
	}
	client := openClient(t)
	tap, end := tapped(t, client, server, "alice", nil)
	defer end()
	s := client.Session(policy.Principal{Subject: "alice"})
	q, err := albums.Query(t.Context(), s, "year = 1 ORDER BY name")
	if err == nil {
		err = q.WaitSynced(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	shows := func(want string) {
		t.Helper()
		within(t, want, func() bool { return strings.Join(names(q.Rows()), "") == want })
	}
	shows("abcd")
	update(t, ss, ids[0], ankurah.Fields{"year": 2})
	shows("bcd")
	if err := ss.Update(t.Context(), func(tx *ankurah.Tx) error { return albums.Delete(tx, ids[1]) }); err != nil {
		t.Fatal(err)
	}
	shows("cd")
	update(t, ss, ids[2], ankurah.Fields{"secret": "plans"})
	shows("cd")

	mu.Lock()
	roles = nil
	mu.Unlock()
	client.Refresh([]byte("alice"))
	shows("d")
	heard := len(tap.messages())
	update(t, ss, ids[3], ankurah.Fields{"secret": "more plans"})
	shows("")
	update(t, ss, ids[3], ankurah.Fields{"secret": "still more plans"})
	if err := client.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, m := range tap.messages()[heard:] {
		if strings.Contains(string(wire.Append(nil, m)), "plans") {
			t.Errorf("a secret crossed the wire: %+v", m)
		}
	}
	if _, err := albums.Get(t.Context(), s.Local(), ids[3]); !errors.Is(err, ankurah.ErrNotFound) {
		t.Errorf("what was withdrawn is still held: %v", err)
	}
	if err := s.Update(t.Context(), func(tx *ankurah.Tx) error { _, err := albums.Edit(tx, ids[3]); return err }); !errors.Is(err, ankurah.ErrNotFound) {
		t.Errorf("editing what may not be read: %v", err)
	}
}
