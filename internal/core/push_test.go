package core

import (
	"testing"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/reactor"
	"github.com/ankurah/ankurah-go/internal/wire"
	"github.com/ankurah/ankurah-go/property/lww"
	"github.com/ankurah/ankurah-go/value"
)

// What a commit of several entities does is encoded once for all peers that hear
// the same, and apart for one that hears less.
func TestPushesAreEncodedOnce(t *testing.T) {
	c, x := bootCore(t, 1, &funcAgent{}, true)
	var peers []*Peer
	for k := range 6 {
		hello := *helloMessage
		hello.Node = id.New(1, [8]byte{byte(k)})
		p := c.NewPeer(nil)
		c.PeerFrame(p, wire.Append(nil, &hello))
		text := "n > 0"
		if k == 5 {
			text = "n > 2"
		}
		c.PeerFrame(p, wire.Append(nil, &wire.Query{ID: uint64(k + 1), Collection: "album", Text: text, Live: true, Lenient: true}))
		x.settle()
		p.Take()
		peers = append(peers, p)
	}
	var edits []Edit
	for n := range 3 {
		b, i, err := c.NewEntity("album")
		if err != nil {
			t.Fatal(err)
		}
		edits = append(edits, Edit{Collection: "album", Entity: i, Birth: &b, Ops: []event.Operation{lww.Set("n", value.Int32(int32(n+1)))}})
	}
	commitHere(t, c, x, edits...)
	var first []byte
	for k, p := range peers {
		frames, _ := p.Take()
		if len(frames) != 1 {
			t.Fatalf("peer %d hears %d frames", k, len(frames))
		}
		m, err := wire.Decode(frames[0])
		if err != nil {
			t.Fatal(err)
		}
		want := 3
		if k == 5 {
			want = 1
		}
		if push, ok := m.(*wire.Push); !ok || len(push.Changes) != want {
			t.Errorf("peer %d hears %+v", k, m)
		}
		switch {
		case k == 0:
			first = frames[0]
		case (&first[0] == &frames[0][0]) != (k < 5):
			t.Errorf("peer %d has a frame of its own: %t", k, k < 5)
		}
	}
}

// S37: of an entity that several commits changed, told at once, the last state
// is told, in whatever order its rows and what refers to them are looked at.
func TestLastOfSeveralCommitsIsTold(t *testing.T) {
	c, x := bootCore(t, 1, &funcAgent{}, true)
	i := makeOne(t, c, x, lww.Set("n", value.Int32(1)))
	states := []*entity.State{stateOf(t, c, i)}
	for n := range int32(2) {
		commitHere(t, c, x, Edit{Collection: "album", Entity: i, Base: states[n], Ops: []event.Operation{lww.Set("n", value.Int32(n+2))}})
		states = append(states, stateOf(t, c, i))
	}
	row := outgoing{collection: "album", entity: i, before: states[1], now: states[2]}
	companion := outgoing{collection: "album", entity: i, now: states[1], whole: true}
	gone := outgoing{collection: "album", entity: i}
	for _, order := range [][]outgoing{{row, companion}, {companion, row}, {gone, row, companion}, {row, gone, companion}} {
		p := &Peer{byEntity: map[id.ID]*outgoing{}}
		for _, o := range order {
			p.gather(&o)
		}
		if len(p.changes) != 1 || p.changes[0].now != states[2] || !p.changes[0].whole {
			t.Errorf("%+v is told", p.changes[0])
		}
	}
}

// S37: of an entity that a row does not lead to any more, since one of several
// commits has deleted it, the deletion is told, though a query that had it as a
// row before tells an earlier state of it, sooner or later.
func TestLastOfWhatWasReferredToIsTold(t *testing.T) {
	c, x := bootCore(t, 1, &funcAgent{}, true)
	i := makeOne(t, c, x, lww.Set("n", value.Int32(1)))
	states := []*entity.State{stateOf(t, c, i)}
	for _, op := range []event.Operation{lww.Set("n", value.Int32(2)), entity.SetDeleted(true)} {
		commitHere(t, c, x, Edit{Collection: "album", Entity: i, Base: states[len(states)-1], Ops: []event.Operation{op}})
		states = append(states, stateOf(t, c, i))
	}
	type step func(p *Peer, s subscriber)
	row := func(p *Peer, _ subscriber) {
		p.gather(&outgoing{collection: "album", entity: i, before: states[0], now: states[1]})
	}
	lost := func(p *Peer, s subscriber) {
		s.sent = map[id.ID]bool{i: false}
		p.gather(&outgoing{collection: "album", entity: i})
	}
	behind := func(_ *Peer, s subscriber) {
		s.Behind([]reactor.Change{{Before: states[0], After: states[1]}, {Before: states[1], After: states[2]}})
	}
	for k, order := range [][]step{{row, lost, behind}, {lost, behind, row}, {row, behind, lost}} {
		p := &Peer{byEntity: map[id.ID]*outgoing{}}
		s := subscriber{&sub{c: c, p: p}}
		for _, f := range order {
			f(p, s)
		}
		if len(p.changes) != 1 || p.changes[0].now != states[2] || !p.changes[0].whole {
			t.Errorf("order %d: %+v is told", k, p.changes[0])
		}
	}
}
