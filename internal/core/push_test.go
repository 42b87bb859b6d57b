package core

import (
	"testing"

	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/wire"
	"github.com/ankurah/ankurah-go/property/lww"
	"github.com/ankurah/ankurah-go/value"
)

// What a commit of several entities does is encoded once for all peers that hear
// the same, and apart for one that hears less.
func TestPushesAreEncodedOnce(t *testing.T) {
	c, x := bootCore(t, 1, &stubAgent{}, true)
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
