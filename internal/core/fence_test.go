package core

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/book"
	"github.com/ankurah/ankurah-go/internal/wire"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/property"
	"github.com/ankurah/ankurah-go/property/lww"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/kv"
	"github.com/ankurah/ankurah-go/storage/memory"
)

// besides are durable cores on one store, and a client that is connected to one
// of them, which is the server of its pair.
type besides struct {
	pair
	cores  []*Core
	xs     []*scripted
	agents []*funcAgent
	album  id.ID // that the first transaction does not touch
}

func newBesides(t *testing.T, seed uint64, n int) *besides {
	t.Helper()
	b := &besides{pair: pair{t: t}}
	store := memory.NewStore()
	for k := range n {
		eng, err := kv.New(store, &kv.Options{Name: "memory", Shared: true, KeepStore: true})
		if err != nil {
			t.Fatal(err)
		}
		x := &scripted{t: t, eng: eng, r: rand.New(rand.NewPCG(seed, uint64(k))), now: 1_700_000_000_000}
		snap, err := eng.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		agent := &funcAgent{}
		c, err := Boot(t.Context(), x, Config{Kinds: property.NewRegistry(lww.Kind), Durable: true, Shared: true, Policy: agent, CacheSize: 4 << 10}, snap)
		if err != nil {
			t.Fatal(err)
		}
		if k == 0 {
			c.CreateSystem(func(err error) {
				if err != nil {
					t.Fatal(err)
				}
			})
			x.settle()
		}
		b.cores, b.xs, b.agents = append(b.cores, c), append(b.xs, x), append(b.agents, agent)
	}
	b.c, b.xc = bootCore(t, seed+100, nil, false)
	b.connectTo(0)
	return b
}

// connectTo connects the client to server k. The one before notices it later, if
// at all.
func (b *besides) connectTo(k int) {
	b.s, b.pair.xs = b.cores[k], b.xs[k]
	b.connect()
}

// settled brings everything to rest.
func (b *besides) settled() {
	for range 10 {
		b.rest()
		for k, c := range b.cores {
			c.CatchUp(func() {})
			b.xs[k].settle()
		}
		b.xc.now += 2 * retryDelay
		b.c.Tick()
	}
	b.rest()
}

// outcome returns whether a transaction of the client is stored, and why it was
// told that it is refused.
func (b *besides) outcome(tx event.TxID) (stored bool, refused error) {
	b.t.Helper()
	snap, err := b.xs[0].eng.Snapshot()
	if err != nil {
		b.t.Fatal(err)
	}
	defer snap.Close()
	record, known, err := snap.Tx(b.t.Context(), tx)
	if err != nil {
		b.t.Fatal(err)
	}
	fence, err := book.DecodeFence(record)
	if err != nil {
		b.t.Fatal(err)
	}
	if b.c.outByID[tx] != nil {
		b.t.Errorf("the client still waits for %s", tx)
	}
	refused, _ = b.c.refused.get(tx)
	return known && fence == nil, refused
}

// submitted has the client change an entity that all know, and says it to the
// server that it is connected to, which does not store it yet.
func (b *besides) submitted(steps int) event.TxID {
	b.t.Helper()
	b.rest()
	i := b.create(b.c, b.xc, 0)
	b.album = b.create(b.c, b.xc, 0)
	b.settled()
	b.query(-1)
	b.rest()
	b.edit(b.c, b.xc, i, "n", 1, false)
	tx := b.c.outbox[0].id
	b.up()
	for range steps {
		b.pair.xs.step()
	}
	return tx
}

func (b *besides) deny(k int) {
	b.agents[k].write = func(policy.Write) error { return denied() }
}

// hide has server k show nothing to anybody.
func (b *besides) hide(k int) {
	b.agents[k].read = func(policy.Principal, string) (ankql.Expr, error) { return nil, denied() }
}

// S29, S62: one server has taken transactions and not stored them yet when
// another one, that their sender has moved on to, refuses them, or does not show
// what they change. The sender is told what holds, and both go on.
func TestRefusedByAnotherServer(t *testing.T) {
	for name, c := range map[string]struct {
		refuse func(b *besides, k int)
		why    error
	}{
		"denied": {(*besides).deny, policy.ErrDenied},
		"hidden": {(*besides).hide, ErrDependsOnRefused},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBesides(t, 1, 2)
			b.submitted(1) // it has read what it needs
			b.edit(b.c, b.xc, b.album, "n", 1, false)
			b.up()
			if len(b.xs[0].tasks) == 0 || len(b.c.outbox) != 2 {
				t.Fatal("the first server has nothing left to do")
			}
			txs := []event.TxID{b.c.outbox[0].id, b.c.outbox[1].id}
			c.refuse(b, 1)
			b.connectTo(1)
			for b.c.Pending() > 0 { // the first server stands still
				b.xs[1].settle()
				b.xc.now += retryDelay
				b.c.Tick()
				b.up()
				frames, _ := b.p.Take()
				for _, f := range frames {
					b.c.LinkFrame(b.l, f)
					b.xc.settle()
				}
			}
			b.xs[0].settle()
			b.settled()
			for _, tx := range txs {
				if stored, refused := b.outcome(tx); stored || !errors.Is(refused, c.why) {
					t.Errorf("stored: %t, refused: %v", stored, refused)
				}
			}
			if s := stateOf(t, b.cores[0], b.firstAlbum()); s.Value("n").Int() != 0 {
				t.Errorf("the first server publishes %s", s.Value("n"))
			}
			other := b.create(b.cores[0], b.xs[0], 2)
			b.settled()
			if s := stateOf(t, b.cores[1], other); s == nil {
				t.Error("the second server does not hear of what the first one stores")
			}
		})
	}
}

func (b *besides) firstAlbum() (i id.ID) {
	b.t.Helper()
	snap, err := b.xs[0].eng.Snapshot()
	if err != nil {
		b.t.Fatal(err)
	}
	defer snap.Close()
	for s, err := range snap.Scan(b.t.Context(), &ankql.Selection{Collection: "album", Limit: 1}) {
		if err != nil {
			b.t.Fatal(err)
		}
		i = s.ID()
	}
	return i
}

// S29, S62: two or three servers, of which some refuse it, come in any order to
// what they do with a transaction whose sender moves among them: it is either
// stored and acknowledged, or refused and not stored.
func TestOneWordOfAllServers(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(1000) {
		r := rand.New(rand.NewPCG(seed, 7))
		n := 2 + r.IntN(2)
		b := newBesides(t, seed, n)
		b.submitted(r.IntN(4))
		for k := range n {
			switch r.IntN(6) {
			case 0, 1, 2:
				b.deny(k)
			case 3:
				b.hide(k)
			}
		}
		for _, i := range []id.ID{b.firstAlbum(), b.album} { // other transactions of its: one is upon the first
			if r.IntN(3) == 0 {
				b.edit(b.c, b.xc, i, "m", 1, false)
			}
		}
		b.up()
		var all []event.TxID
		for _, o := range b.c.outbox {
			all = append(all, o.id)
		}
		for range 5 + r.IntN(60) {
			switch k := r.IntN(8); {
			case k < n:
				b.xs[k].step()
			case k == 3:
				b.xc.step()
			case k == 4:
				b.up()
			case k == 5:
				b.down()
			case k == 6 && r.IntN(4) == 0:
				b.connectTo(r.IntN(n))
			case k == 7 && r.IntN(8) == 0: // a server allows what it has denied
				*b.agents[r.IntN(n)] = funcAgent{}
			}
		}
		b.settled()
		for _, tx := range all {
			stored, refused := b.outcome(tx)
			if stored == (refused != nil) {
				t.Fatalf("seed %d: %s is stored: %t, and refused: %v", seed, tx, stored, refused)
			}
			seen[fmt.Sprint(stored)]++
		}
		for k := range n {
			b.cores[k].Close()
		}
	}
	if seen["true"] < 100 || seen["false"] < 100 {
		t.Errorf("outcomes: %v", seen)
	}
}

// counting counts batches.
type counting struct {
	storage.Engine
	n int
}

func (c *counting) Commit(ctx context.Context, b *storage.Batch) (storage.Result, error) {
	c.n++
	return c.Engine.Commit(ctx, b)
}

// S62: what is sent for the first time is refused without a write.
func TestFirstRefusalWritesNothing(t *testing.T) {
	b := newBesides(t, 1, 2)
	b.rest()
	b.deny(0)
	counted := &counting{Engine: b.xs[0].eng}
	b.xs[0].eng = counted
	b.create(b.c, b.xc, 1)
	tx := b.c.outbox[0].id
	b.rest()
	stored, refused := b.outcome(tx)
	if stored || !errors.Is(refused, policy.ErrDenied) || counted.n > 0 {
		t.Errorf("stored: %t, refused: %v, %d writes", stored, refused, counted.n)
	}
}

// sentSubmit returns the submission among what a link has to say, nil for none.
func sentSubmit(t *testing.T, l *Link) *wire.Submit {
	t.Helper()
	frames, _ := l.Take()
	for _, f := range frames {
		m, err := wire.Decode(f)
		if err != nil {
			t.Fatal(err)
		}
		if s, is := m.(*wire.Submit); is {
			return s
		}
	}
	return nil
}

// S29: that a parent is not there is not the end of a transaction that another
// server may have: this one is asked to see to it that none stores it.
func TestLostParentElsewhere(t *testing.T) {
	w, o := waiting(t)
	o.first = elsewhere
	w.c.LinkFrame(w.l, wire.Append(nil, &wire.Refuse{Tx: o.id, Code: wire.UnknownParent}))
	w.xc.settle()
	if w.c.Pending() != 1 {
		t.Fatal("the transaction is dropped")
	}
	w.xc.now += 2 * retryDelay
	w.c.Tick()
	if m := sentSubmit(t, w.l); m == nil || !m.Again || !m.Alone {
		t.Errorf("sent: %+v", m)
	}
}

// S27: who sends a transaction says whether another server may have it: one that
// it was connected to before, also in a life before.
func TestAgain(t *testing.T) {
	w := newPair(t)
	w.connect()
	w.rest()
	x := w.create(w.c, w.xc, 0)
	if m := sentSubmit(t, w.l); m == nil || m.Again || m.Alone {
		t.Fatalf("sent first: %+v", m)
	}
	w.edit(w.c, w.xc, x, "n", 1, false)
	w.cut()
	welcomed := func(c *Core) *Link {
		w.p, w.l = w.s.NewPeer(nil), c.NewLink(nil, []byte("alice"), nil)
		w.up()
		w.xs.settle()
		frames, _ := w.p.Take()
		for _, f := range frames {
			c.LinkFrame(w.l, f)
		}
		return w.l
	}
	if m := sentSubmit(t, welcomed(w.c)); m == nil || !m.Again || !m.Alone {
		t.Fatalf("sent again: %+v", m)
	}
	snap, err := w.xc.eng.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	c, err := Boot(t.Context(), w.xc, Config{Kinds: property.NewRegistry(lww.Kind), CacheSize: 4 << 10}, snap)
	if err != nil {
		t.Fatal(err)
	}
	l := welcomed(c)
	frames, _ := l.Take()
	var again []bool
	for _, f := range frames {
		if m, err := wire.Decode(f); err != nil {
			t.Fatal(err)
		} else if s, is := m.(*wire.Submit); is {
			again = append(again, s.Again)
			if s.Alone != (len(again) == 1) {
				t.Errorf("%s is sent alone: %t", s.Tx, s.Alone)
			}
		}
	}
	if len(again) != 2 || !again[0] || !again[1] {
		t.Errorf("sent in another life: %v", again)
	}
}

// S33, S62: of a transaction that was sent again and is over a limit one error is
// kept, whatever number of events it has, it is refused for good, and nothing of
// it is looked up but whether it is there.
func TestAgainBeyondLimits(t *testing.T) {
	b := newBesides(t, 1, 1)
	c, x := b.cores[0], b.xs[0]
	c.cfg.Limits.TxBytes = 1000
	p := greeted(t, c, x)
	tx := newTx(x)
	birth, i := peerBirth(x, c)
	e := peerEvent(x, c, tx, i, nil, birth, id.NewStamp(x.now, 0))
	m := &wire.Submit{Tx: tx, Again: true}
	for range 5000 {
		m.Events = append(m.Events, e.Append(nil))
	}
	c.PeerFrame(p, wire.Append(nil, m))
	x.settle()
	out, _ := taken(t, p)
	if len(out) != 1 {
		t.Fatalf("%+v", out)
	}
	refuse, is := out[0].(*wire.Refuse)
	if !is || refuse.Code != wire.TooLarge || strings.Count(refuse.Text, "\n") > 0 {
		t.Fatalf("%+v", out[0])
	}
	snap, err := c.Current()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Release()
	record, known, err := snap.Tx(t.Context(), tx)
	if err != nil || !known {
		t.Fatalf("a fence is there: %t, %v", known, err)
	}
	if f, err := book.DecodeFence(record); err != nil || f == nil || f.Code != string(wire.TooLarge) {
		t.Errorf("the fence is %+v, %v", f, err)
	}

	other := newTx(x)
	birth, i = peerBirth(x, c)
	stands := peerEvent(x, c, other, i, nil, birth, id.NewStamp(x.now, 0))
	c.PeerFrame(p, wire.Append(nil, submission(other, stands)))
	x.settle()
	now, err := c.Current()
	if err != nil {
		t.Fatal(err)
	}
	defer now.Release()
	for _, refused := range []error{nil, errors.New("over a limit")} {
		l, err := look(t.Context(), now, &Request{ID: newTx(x), Events: []*event.Event{stands}, refused: refused})
		if err != nil || (len(l.stored) == 1) != (refused == nil) {
			t.Errorf("refused %v: %d events were read, %v", refused, len(l.stored), err)
		}
	}
}
