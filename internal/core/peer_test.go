package core

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/wire"
	"github.com/ankurah/ankurah-go/property/lww"
	"github.com/ankurah/ankurah-go/value"
)

// taken returns what a peer is told, and whether its connection ends.
func taken(t *testing.T, p *Peer) (out []wire.Message, end bool) {
	t.Helper()
	frames, end := p.Take()
	for _, f := range frames {
		m, err := wire.Decode(f)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, m)
	}
	return out, end
}

func (x *scripted) settle() {
	for x.step() {
	}
}

var helloMessage = &wire.Hello{Min: 1, Max: 1, Node: id.New(1, [8]byte{1}), Incarnation: id.New(1, [8]byte{2}), Now: 1}

// greeted returns an accepted peer.
func greeted(t *testing.T, c *Core, x *scripted) *Peer {
	t.Helper()
	p := c.NewPeer(nil)
	c.PeerFrame(p, wire.Append(nil, helloMessage))
	x.settle()
	if m, end := taken(t, p); len(m) != 1 || end {
		t.Fatalf("after Hello: %v, end %t", m, end)
	}
	return p
}

// S34: nothing but Hello is accepted first, and it has to come in time.
func TestGreeting(t *testing.T) {
	old := *helloMessage
	old.Min, old.Max = 7, 9
	foreign := *helloMessage
	foreign.Root = id.New(5, [8]byte{5})
	for name, c := range map[string]struct {
		frame []byte
		wait  uint64
		code  wire.Code
		text  string
	}{
		"silence":                {nil, 11_000, wire.Deadline, "Hello"},
		"something else":         {wire.Append(nil, &wire.Ping{N: 1}), 0, wire.Malformed, "Hello"},
		"garbage":                {[]byte("GET / HTTP/1.1"), 0, wire.Malformed, "malformed"},
		"other versions":         {wire.Append(nil, &old), 0, wire.Version, "7 to 9"},
		"data of another system": {wire.Append(nil, &foreign), 0, wire.System, "system"},
	} {
		core, x := newCore(t, 1)
		p := core.NewPeer(nil)
		if c.frame != nil {
			core.PeerFrame(p, c.frame)
		}
		x.now += c.wait
		core.Tick()
		x.settle()
		m, end := taken(t, p)
		if len(m) != 1 || !end || core.Peers() != 0 {
			t.Errorf("%s: %v, end %t, %d peers", name, m, end, core.Peers())
			continue
		}
		if r, ok := m[0].(*wire.Reject); !ok || r.Code != c.code || !strings.Contains(r.Text, c.text) {
			t.Errorf("%s: %+v", name, m[0])
		}
	}
}

// S33: a peer that says nothing is asked, and then cut.
func TestSilentPeerIsCut(t *testing.T) {
	c, x := newCore(t, 1)
	p := greeted(t, c, x)
	silentAfter := millis(c.cfg.Limits.IdleTimeout)
	pingAfter := silentAfter / 3
	x.now += pingAfter + 1
	c.Tick()
	c.Tick()
	if m, end := taken(t, p); len(m) != 1 || end {
		t.Fatalf("after %d ms: %v, end %t", pingAfter, m, end)
	} else if _, ok := m[0].(*wire.Ping); !ok {
		t.Fatalf("%+v", m[0])
	}
	c.PeerFrame(p, wire.Append(nil, &wire.Pong{N: 1}))
	x.now += pingAfter + 1
	c.Tick()
	if _, end := taken(t, p); end {
		t.Fatal("cut though it answered")
	}
	x.now += silentAfter
	c.Tick()
	if m, end := taken(t, p); len(m) != 1 || !end || m[0].(*wire.Bye).Code != wire.Deadline {
		t.Fatalf("%v, end %t", m, end)
	}
}

// S33: a peer that does not take its pushes is cut, and harms nobody.
func TestSlowPeerIsCut(t *testing.T) {
	c, x := newCore(t, 1)
	slow, quick := greeted(t, c, x), greeted(t, c, x)
	for _, p := range []*Peer{slow, quick} {
		c.PeerFrame(p, wire.Append(nil, &wire.Query{ID: 1, Collection: "album", Live: true}))
		x.settle()
		taken(t, p)
	}
	text := strings.Repeat("x", 200<<10)
	pushes := 0
	for k := 0; k < 200 && c.Peers() == 2; k++ {
		birth, i, err := c.NewEntity("album")
		if err != nil {
			t.Fatal(err)
		}
		c.Commit(&Request{ID: c.newTxID(), Edits: []Edit{{Collection: "album", Entity: i, Birth: &birth, Ops: []event.Operation{lww.Set("text", value.String(text))}}},
			Done: func(_ []*entity.State, err error) {
				if err != nil {
					t.Error(err)
				}
			}})
		x.settle()
		m, _ := taken(t, quick)
		pushes += len(m)
	}
	if c.Peers() != 1 {
		t.Fatal("the slow peer was not cut")
	}
	if m, end := taken(t, slow); len(m) != 1 || !end || m[0].(*wire.Bye).Code != wire.Overloaded {
		t.Errorf("%d messages, end %t", len(m), end)
	}
	if want := c.cfg.Limits.QueueBytes / (200 << 10); pushes < want {
		t.Errorf("the quick peer got %d pushes, want at least %d", pushes, want)
	}
}

// No message of a peer, whatever is in it, ends more than its connection.
func TestWildPeers(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	c, x := newCore(t, 1)
	samples := [][]byte{
		wire.Append(nil, &wire.Query{ID: 1, Collection: "album", Text: "year > ?", Params: [][]byte{{0x20, 4}}, Live: true, Known: []wire.Known{{Entity: id.New(9, [8]byte{}), Rev: 4}}}),
		wire.Append(nil, &wire.Query{ID: 2, Collection: "_system", Count: true}),
		wire.Append(nil, &wire.Query{ID: 3, Collection: "bad name!", Text: "((("}),
		wire.Append(nil, &wire.Want{ID: 4, Collection: "album", Entities: []wire.Known{{Entity: id.New(9, [8]byte{}), Rev: 1}}}),
		wire.Append(nil, &wire.History{ID: 5, Collection: "album", Entity: id.New(9, [8]byte{})}),
		wire.Append(nil, &wire.Submit{Tx: [16]byte{1}, Events: [][]byte{[]byte("no event")}}),
		wire.Append(nil, &wire.Submit{Tx: [16]byte{2}}),
		wire.Append(nil, &wire.Cancel{ID: 1}), wire.Append(nil, &wire.Sync{ID: 6}), wire.Append(nil, &wire.Describe{ID: 7}),
		wire.Append(nil, &wire.Credential{Credential: []byte("x")}), wire.Append(nil, &wire.Push{}), wire.Append(nil, helloMessage),
	}
	for range 300 {
		p := greeted(t, c, x)
		for range 20 {
			f := append([]byte(nil), samples[r.IntN(len(samples))]...)
			if r.IntN(2) == 0 {
				f[r.IntN(len(f))] ^= 1 << r.IntN(8)
			}
			c.PeerFrame(p, f)
			if r.IntN(3) == 0 {
				x.settle()
				taken(t, p)
			}
		}
		c.PeerGone(p)
		x.settle()
	}
	if c.Peers() != 0 || c.Queries() != 0 {
		t.Errorf("%d peers and %d queries are left", c.Peers(), c.Queries())
	}
	if err := c.Broken(); err != nil {
		t.Errorf("the node does not commit any more: %v", err)
	}
}
