package port

import (
	"context"
	"errors"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	ankurah "github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/ankurahtest"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/transport/wsserver"
	"github.com/ankurah/ankurah-go/value"
)

// moody is an agent that shows all or what is public.
type moody struct {
	policy.Permissive
	closed atomic.Bool
}

func (m *moody) ReadFilter(policy.Principal, string) (ankql.Expr, error) {
	if !m.closed.Load() {
		return nil, nil
	}
	q, err := ankql.Parse("public")
	if err != nil {
		return nil, err
	}
	return q.Where, nil
}

// A page of an ephemeral node sees what it does at once, hears when the durable
// node has it, and sees what is refused taken back, with the reason.
func TestPageOfAnEphemeralNode(t *testing.T) {
	c := ankurahtest.New(t, &ankurahtest.Options{Server: ankurah.NodeOptions{Constraints: []policy.Constraint{noBad{}}}})
	phone := c.Client("alice")
	s := NewServer(phone.Node, nil)
	p := pageOf(t, s, "whatever")
	p.until("it is connected", func() bool {
		return p.state.connected && p.state.subject == "alice" && p.state.system == c.Server().System()
	})
	q := p.open(1, "note", "ORDER BY text")
	p.until("it is synced", func() bool { return q.synced })

	c.Cut(phone)
	p.until("it is cut off", func() bool { return !p.state.connected && !q.synced })
	good, bad := newTx(), newTx()
	created := p.commitAs(good, creates("note", "text", "good")).created
	p.commitAs(bad, creates("note", "text", "bad"))
	p.until("both show", func() bool { return len(q.order) == 2 && p.state.pending == 2 })
	if p.acks[good].confirmed || p.acks[bad].confirmed {
		t.Error("confirmed without a connection")
	}
	again := pageOf(t, s, "")
	if o := again.commitAs(good, creates("note", "text", "good")); len(o.created) != 1 || o.created[0] != created[0] {
		t.Errorf("a retry created %v, not %v", o.created, created)
	}
	c.Heal(phone)
	p.until("the good one is confirmed", func() bool { return p.acks[good].confirmed })
	p.until("the bad one is refused", func() bool { return p.acks[bad].code == "constraint" && strings.Contains(p.acks[bad].text, "bad") })
	p.until("it is taken back", func() bool { return len(q.order) == 1 && q.synced && p.state.pending == 0 })
	p.send(&closeQuery{1})
	delete(p.queries, 1)
	for range 3 {
		c.Cut(phone)
		p.until("it is cut off again", func() bool { return !p.state.connected })
		c.Heal(phone)
		p.until("it is connected again", func() bool { return p.state.connected })
	}
	again.until("the other page hears it too", func() bool { return again.acks[good].confirmed })
}

// What is refused when no page waits for it is told to the next one, once; the
// node keeps nothing of it.
func TestRefusedMeanwhile(t *testing.T) {
	c := ankurahtest.New(t, &ankurahtest.Options{Server: ankurah.NodeOptions{Constraints: []policy.Constraint{noBad{}}}})
	phone := c.Client("alice")
	s := NewServer(phone.Node, nil)
	p := pageOf(t, s, "")
	q := p.open(1, "note", "ORDER BY text")
	p.until("it is synced", func() bool { return q.synced })
	c.Cut(phone)
	p.until("it is cut off", func() bool { return !p.state.connected })
	bad := newTx()
	p.commitAs(bad, creates("note", "text", "bad"))
	p.until("it shows", func() bool { return len(q.order) == 1 })
	check(t, p.conn.Close())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for s.awaited(bad) {
		check(t, ctx.Err())
		runtime.Gosched()
	}
	c.Heal(phone)
	for phone.Node.Pending() > 0 {
		news := phone.Node.News()
		if phone.Node.Pending() == 0 {
			break
		}
		select {
		case <-news:
		case <-ctx.Done():
			t.Fatal("nothing was decided")
		}
	}
	next := pageOf(t, s, "")
	next.until("the next page is told", func() bool {
		o := next.acks[bad]
		return o != nil && o.code == "constraint" && strings.Contains(o.text, "it is bad")
	})
	// The page is told before the node forgets it.
	for kept := 1; kept > 0; {
		kept = 0
		for _, err := range phone.Node.Rejected(ctx) {
			check(t, err)
			kept++
		}
	}
	// So it is to a page that is there already.
	c.Cut(phone)
	next.until("it is cut off", func() bool { return !next.state.connected })
	other := pageOf(t, s, "")
	worse := newTx()
	other.commitAs(worse, creates("note", "text", "bad"))
	check(t, other.conn.Close())
	for s.awaited(worse) {
		check(t, ctx.Err())
		runtime.Gosched()
	}
	c.Heal(phone)
	next.until("the page is told", func() bool { return next.acks[worse] != nil && next.acks[worse].code == "constraint" })

	last := pageOf(t, s, "")
	created := last.made(creates("note", "text", "good")) // whatever comes first has come by then
	if last.acks[bad] != nil || len(created) != 1 {
		t.Errorf("it is told again: %+v", last.acks[bad])
	}
}

type noBad struct{}

// Check refuses the bad.
func (noBad) Check(_ context.Context, _, after *entity.State) error {
	if after.Value("text").Text() == "bad" {
		return errors.New("it is bad")
	}
	return nil
}

// The same bytes go over WebSockets.
func TestPageOverAWebSocket(t *testing.T) {
	n := durable(t, policy.Permissive{})
	s := NewServer(n, nil)
	h := wsserver.NewHandler(s, nil)
	srv := httptest.NewServer(h)
	defer srv.Close()
	ws, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(srv.URL, "http"), &websocket.DialOptions{Subprotocols: []string{wsserver.Subprotocol}})
	check(t, err)
	p := newTab(t, socket{ws})
	p.send(&hello{min: 1, max: 9, credential: []byte("alice")})
	p.until("it is welcome", func() bool { return p.welcome })
	q := p.open(1, "note", "")
	p.made(creates("note", "text", "hi"))
	p.until("it is there", func() bool { return len(q.order) == 1 })
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.ended()
	}()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	check(t, h.Shutdown(ctx))
	if <-ended; p.bye == nil || p.bye.code != "closing" {
		t.Errorf("%+v", p.bye)
	}
	if n.Stats().LiveQueries != 0 {
		t.Error("a query is still open")
	}
}

// socket is a WebSocket as a connection.
type socket struct{ ws *websocket.Conn }

func (s socket) Send(ctx context.Context, b []byte) error {
	return s.ws.Write(ctx, websocket.MessageBinary, b)
}

func (s socket) Receive(ctx context.Context) ([]byte, error) {
	_, b, err := s.ws.Read(ctx)
	return b, err
}

func (s socket) Close() error { return s.ws.CloseNow() }

// What a page does wrong ends its connection with the reason, or the query
// that is wrong.
func TestWhatIsWrong(t *testing.T) {
	s := NewServer(durable(t, policy.Permissive{}), &Options{MaxQueries: 2, LeastAppVersion: 7})
	for name, c := range map[string]struct {
		m    message
		code string
	}{
		"no hello":       {&ping{}, "malformed"},
		"a new protocol": {&hello{min: 2, max: 9, app: 7}, "version"},
		"an old page":    {&hello{min: 1, max: 1, app: 6}, "update"},
	} {
		p := connect(t, s)
		p.send(c.m)
		if p.ended(); p.bye == nil || string(p.bye.code) != c.code || p.welcome {
			t.Errorf("%s: %+v, want %s", name, p.bye, c.code)
		}
	}
	greeted := func() *tab {
		p := connect(t, s)
		p.send(&hello{min: 1, max: 1, app: 7})
		return p
	}
	for name, frames := range map[string][][]byte{
		"rubbish":              {{1, 2, 3}},
		"a message of servers": {appendFrame(nil, &welcome{1})},
		"another hello":        {appendFrame(nil, &hello{min: 1, max: 1})},
		"a number used twice":  {appendFrame(nil, &open{query: 1, collection: "a"}), appendFrame(nil, &open{query: 1, collection: "a"})},
	} {
		p := greeted()
		for _, f := range frames {
			check(t, p.conn.Send(t.Context(), f))
		}
		if p.ended(); p.bye == nil || p.bye.code != "malformed" {
			t.Errorf("%s: %+v", name, p.bye)
		}
	}
	p := greeted()
	if q := p.open(1, "note", "year >"); q.code != "query" {
		t.Errorf("a query that is none: %+v", q)
	}
	if q := p.open(2, "", ""); q.code != "query" {
		t.Errorf("no collection: %+v", q)
	}
	if q := p.open(3, "note", ""); q.code != "overloaded" {
		t.Errorf("a third query: %+v", q)
	}
	p.send(&closeQuery{1})
	if q := p.open(3, "note", ""); q.code != "" {
		t.Errorf("in place of a closed one: %+v", q)
	}
	for what, b := range map[string][]byte{"a NUL": raw(value.String("a\x00")), "half a value": {10, 9}, "no JSON": append([]byte{0x4a, 2}, "{]"...)} {
		if got := p.commit(op{kind: opCreate, collection: "odd", fields: []field{{key: "x", value: b}}}); got.code != "schema" && got.code != "malformed" {
			t.Errorf("%s: %+v", what, got)
		}
	}
	p.made(op{kind: opCreate, collection: "odd", fields: []field{{key: "x", value: append([]byte{0x4a, 15}, `{ "b":1, "a":2}`...)}}})
	for what, o := range map[string]op{
		"a reference to nothing": {kind: opCreate, collection: "a", fields: []field{{key: "x", made: 1}}},
		"a reserved property":    creates("a", "_x", 1),
		"no collection":          creates("", "x", 1),
	} {
		if got := p.commit(o); got.code == "" {
			t.Errorf("%s is committed", what)
		}
	}
	p.made(creates("a", "x", 1))
	if o := p.commit(creates("a", "x", "text")); o.code != "schema" {
		t.Errorf("text for a number: %+v", o)
	}
}

// A connection on which nothing comes is asked, then ended, and leaves nothing
// behind.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := durable(t, policy.Permissive{})
		s := NewServer(n, nil)
		p := pageOf(t, s, "")
		p.open(1, "note", "")
		begun := time.Now()
		mute := connect(t, s)
		p.patience, mute.patience = time.Hour, time.Hour
		p.until("it is asked", func() bool { return p.pings == 1 })
		p.send(&pong{})
		p.until("it is asked again", func() bool { return p.pings == 2 })
		if p.ended(); p.bye == nil || p.bye.code != "deadline" {
			t.Errorf("%+v", p.bye)
		}
		if d := time.Since(begun); d < silentAfter || d > 3*silentAfter {
			t.Errorf("it ended after %v", d)
		}
		if mute.ended(); mute.bye == nil || mute.bye.code != "deadline" {
			t.Errorf("without a hello: %+v", mute.bye)
		}
		synctest.Wait()
		if open := n.Stats().LiveQueries; open != 0 {
			t.Errorf("%d live queries are open", open)
		}
	})
}

// A page that leaves in the middle leaves nothing behind, whatever it was
// doing.
func TestLeaving(t *testing.T) {
	n := durable(t, policy.Permissive{})
	s := NewServer(n, nil)
	for k := range 50 {
		p := pageOf(t, s, "")
		for q := range uint64(5) {
			p.send(&open{query: q + 1, collection: "note"})
		}
		p.send(&commit{tx: event.TxID{1, byte(k)}, ops: []op{creates("note", "text", "x")}})
		check(t, p.conn.Close())
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	check(t, s.Drain(ctx))
	if open := n.Stats().LiveQueries; open != 0 {
		t.Errorf("%d live queries are open", open)
	}
}
