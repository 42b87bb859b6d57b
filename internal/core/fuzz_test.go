package core

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/book"
	"github.com/ankurah/ankurah-go/internal/wire"
	"github.com/ankurah/ankurah-go/property"
	"github.com/ankurah/ankurah-go/property/lww"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/value"
)

// made returns an event of the system of c, and its state.
func made(f testing.TB, c *Core, author event.Author) (*event.Event, *entity.State) {
	f.Helper()
	birth := event.Birth{Stamp: id.NewStamp(1_700_000_000_000, 1)}
	e, err := event.New(event.Header{
		Root: c.root, Entity: birth.EntityID(c.root, "album", author), Collection: "album", Author: author,
		Tx: event.TxID{1}, Stamp: birth.Stamp, Birth: &birth,
	}, [16]byte{}, []event.Operation{lww.Set("name", value.String("x")), lww.Set("year", value.Int64(3))})
	if err != nil {
		f.Fatal(err)
	}
	var none *entity.State
	s, err := none.Apply(c.cfg.Kinds, e)
	if err != nil {
		f.Fatal(err)
	}
	return e, s
}

// FuzzRecords: no bookkeeping record panics, whatever is in the store.
func FuzzRecords(f *testing.F) {
	c, _ := newCore(f, 1)
	e, s := made(f, c, event.NodeAuthor(id.New(1, [8]byte{1})))
	o := &outTx{seq: 1, id: e.Tx, events: []*event.Event{e}}
	for _, b := range [][]byte{
		appendBase("album", s), appendBase("album", nil), o.record(), appendRejected(o, ErrConflict),
		appendModel(nil, &schema.Model{Name: "Album", Collection: "album", Properties: []schema.Property{
			{Key: "name", Name: "Name", Type: value.Type{Kind: value.KindString}, Kind: schema.LWW, Default: value.String("x"), Enum: []string{"x", "y"}},
		}, Indexes: []schema.Index{{Columns: []schema.Column{{Path: []string{"name"}, Desc: true}}}}}),
	} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := decodeBase(e.Entity, b); err == nil && s != nil {
			if _, err := decodeBase(e.Entity, appendBase(s.Collection(), s)); err != nil {
				t.Errorf("a base that was read cannot be written: %v", err)
			}
		}
		if o, err := decodeOutTx(make([]byte, 8), b); err == nil {
			if _, err := decodeOutTx(make([]byte, 8), o.record()); err != nil {
				t.Errorf("a transaction that was read cannot be written: %v", err)
			}
		}
		if r, err := DecodeRejected(seqKey(metaRejected, 1), b); err == nil {
			_ = r.Reason.Error()
		}
		if m, err := decodeModel(b); err == nil {
			again, err := decodeModel(appendModel(nil, m))
			if err != nil || !bytes.Equal(appendModel(nil, again), appendModel(nil, m)) {
				t.Errorf("a model that was read cannot be written: %v", err)
			}
		}
		if touched, err := book.DecodeRecord(b); err == nil {
			var again []byte
			for _, x := range touched {
				again = book.AppendTouched(again, x)
			}
			if _, err := book.DecodeRecord(again); err != nil {
				t.Errorf("a record that was read cannot be written: %v", err)
			}
		}
		_, _ = decodeOutTx(b, b)
		_, _ = id.FromBytes(b)
	})
}

// frames cuts a stream into frames: each begins with its length in two bytes.
func frames(b []byte) (out [][]byte) {
	for len(b) >= 2 && len(out) < 64 {
		n := min(int(binary.BigEndian.Uint16(b)), len(b)-2)
		out = append(out, bytes.Clone(b[2:2+n]))
		b = b[2+n:]
	}
	return out
}

func stream(messages ...wire.Message) (out []byte) {
	for _, m := range messages {
		f := wire.Append(nil, m)
		out = append(binary.BigEndian.AppendUint16(out, uint16(len(f))), f...)
	}
	return out
}

// FuzzPeer: no conversation of a client ends more than its connection, and
// none leaves anything behind.
func FuzzPeer(f *testing.F) {
	c, _ := newCore(f, 1)
	e, s := made(f, c, event.NodeAuthor(helloMessage.Node))
	submit := &wire.Submit{Tx: e.Tx, Events: [][]byte{e.Append(nil)}}
	f.Add(stream(helloMessage, &wire.Query{ID: 1, Collection: "album", Text: "year > ? ORDER BY name LIMIT 3", Params: [][]byte{{0x20, 4}}, Live: true}, submit, &wire.Sync{ID: 2}))
	f.Add(stream(helloMessage, submit, &wire.History{ID: 3, Collection: "album", Entity: e.Entity}, &wire.Want{ID: 4, Collection: "album", Entities: []wire.Known{{Entity: e.Entity, Rev: 1}}}))
	f.Add(stream(helloMessage, &wire.Submit{Tx: e.Tx, Events: [][]byte{e.Append(nil)}, Requires: []wire.Require{{Collection: "album", Entity: e.Entity, Head: s.Head()}}, After: []event.TxID{{7}}}))
	f.Add(stream(helloMessage, &wire.Credential{Credential: []byte("x")}, &wire.Describe{ID: 5}, &wire.Cancel{ID: 1}, &wire.Ping{N: 1}))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, x := newCore(t, 1)
		p := c.NewPeer(nil)
		for k, frame := range frames(b) {
			c.PeerFrame(p, frame)
			if k%2 == 1 {
				x.settle()
			}
		}
		x.settle()
		taken(t, p)
		c.PeerGone(p)
		x.settle()
		if c.Peers() != 0 || c.Queries() != 0 || c.subs != 0 || len(c.byPrincipal) != 0 || c.Broken() != nil {
			t.Errorf("%d peers, %d queries and %d subscriptions are left; %v", c.Peers(), c.Queries(), c.subs, c.Broken())
		}
	})
}

// FuzzLink: nothing that a server says panics a client.
func FuzzLink(f *testing.F) {
	c, _ := newCore(f, 1)
	e, s := made(f, c, event.NodeAuthor(id.New(1, [8]byte{1})))
	hello := &wire.Hello{Min: 1, Max: 1, Node: c.node, Incarnation: c.incarnation, Root: c.root, Epoch: c.epoch, Now: 1_700_000_000_000, High: e.Stamp}
	state := wire.Change{Collection: "album", Entity: e.Entity, After: 1, State: s.Append(nil)}
	f.Add(stream(hello, &wire.Rows{ID: 1, Changes: []wire.Change{state}, Result: []id.ID{e.Entity}, Done: true}, &wire.Sync{ID: 2}, &wire.Counted{ID: 1, N: 3}))
	f.Add(stream(hello, &wire.Sync{ID: 2}, &wire.Push{Changes: []wire.Change{state}, More: true}, &wire.Push{Windows: []wire.Window{{Query: 1, In: []id.ID{e.Entity}}}}))
	f.Add(stream(hello, &wire.Ack{Tx: e.Tx, Changes: []wire.Change{{Collection: "album", Entity: e.Entity, After: 1, Head: s.Head()}}}, &wire.Refuse{Tx: e.Tx, Code: wire.TooEarly, Now: 5}))
	f.Add(stream(hello, &wire.Events{ID: 1, Events: [][]byte{e.Append(nil)}, Done: true}, &wire.Described{ID: 1}, &wire.Fail{ID: 1, Code: wire.Internal}, &wire.Bye{Code: wire.Closing, Retry: 1 << 63}))
	f.Fuzz(func(t *testing.T, b []byte) {
		x := &scripted{t: t, eng: memory.New(), r: rand.New(rand.NewPCG(1, 1)), now: 1_700_000_000_000}
		snap, err := x.eng.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		c, err := Boot(t.Context(), x, Config{Kinds: property.NewRegistry(lww.Kind), CacheSize: 4 << 10}, snap)
		if err != nil {
			t.Fatal(err)
		}
		l := c.NewLink(nil, nil, nil)
		sel, err := ankql.BindTemplate("year > 1 ORDER BY name LIMIT 2", nil, nil, "album")
		if err != nil {
			t.Fatal(err)
		}
		q := c.Subscribe(sel, nil, silentSink{})
		c.Start(q)
		c.Follow(q)
		for k, frame := range frames(b) {
			c.LinkFrame(l, frame)
			if k == 0 {
				c.Fetch(sel, nil, func([]id.ID, error) {})
				c.CountRemote(sel, func(uint64, error) {})
				c.HistoryRemote("album", id.New(1, [8]byte{}), func([]Past, error) {})
				c.Describe("", func(error) {})
			}
			if k%2 == 1 {
				x.settle()
			}
		}
		x.settle()
		c.LinkGone(l, nil)
		c.Close()
		x.settle()
	})
}

type silentSink struct{}

func (silentSink) Ready()              {}
func (silentSink) Changed([]rowChange) {}
func (silentSink) Failed(error)        {}
func (silentSink) Synced(bool)         {}
