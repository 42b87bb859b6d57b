package event

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/pb"
	"github.com/ankurah/ankurah-go/internal/protowire"
)

var update = flag.Bool("update", false, "write the golden files")

var (
	root   = id.New(id.NewStamp(1_700_000_000_000, 1), [8]byte{1, 2, 3})
	author = NodeAuthor(id.New(id.NewStamp(1_600_000_000_000, 0), [8]byte{9}))
)

func genesis(t testing.TB) *Event {
	b := Birth{Stamp: id.NewStamp(1_700_000_000_001, 0), Nonce: [16]byte{7}}
	e, err := New(Header{
		Root: root, Entity: b.EntityID(root, "album", author), Collection: "album", Author: author, Actor: "alice",
		Tx: TxID{5}, Stamp: id.NewStamp(1_700_000_000_002, 3), Birth: &b,
	}, [16]byte{8}, []Operation{{Property: "name", Kind: "lww", Data: []byte{10, 1, 'x'}}, {Property: "year", Kind: "lww", Data: []byte{24, 2}}})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func child(t testing.TB, parents ...*Event) *Event {
	h := Header{Root: root, Entity: parents[0].Entity, Collection: "album", Author: author, Tx: TxID{6}}
	for _, p := range parents {
		h.Parents = append(h.Parents, p.ID)
		h.Stamp = max(h.Stamp, p.Stamp+1)
	}
	slices.SortFunc(h.Parents, id.ID.Compare)
	e, err := New(h, [16]byte{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// S2: bytes are kept verbatim, and reading them gives the same event.
func TestDecodeGivesTheSameEvent(t *testing.T) {
	g := genesis(t)
	for _, e := range []*Event{g, child(t, g), child(t, child(t, g), child(t, child(t, g)))} {
		b := e.Append(nil)
		back, err := Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if back.ID != e.ID || back.Digest != e.Digest || !bytes.Equal(back.Append(nil), b) || len(back.Ops) != len(e.Ops) || back.IsGenesis() != e.IsGenesis() {
			t.Errorf("%v came back as %v", e.ID, back.ID)
		}
		if e.ID.Stamp() != e.Stamp || e.ID.Hash() != [8]byte(e.Digest[:8]) {
			t.Errorf("the ID %v does not follow from the header", e.ID)
		}
	}
}

// The format is pinned: these bytes and IDs stay what they are.
func TestGolden(t *testing.T) {
	g := genesis(t)
	c := child(t, g)
	var b strings.Builder
	for _, e := range []*Event{g, c} {
		b.WriteString(e.ID.String() + " entity " + e.Entity.String() + "\nheader  " + hex.EncodeToString(e.HeaderBytes()) +
			"\npayload " + hex.EncodeToString(e.PayloadBytes()) + "\n")
	}
	const file = "testdata/event.golden"
	if *update {
		if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(file, []byte(b.String()), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || string(want) != b.String() {
		t.Fatalf("%v; the format changed:\n%s", err, b.String())
	}
}

// S2, S3, S5, S6: whatever breaks a rule is refused by name.
func TestRefused(t *testing.T) {
	g := genesis(t)
	c := child(t, g)
	header := func(h Header) []byte {
		h.Payload = c.Header.Payload
		b := appendHeader(nil, &h)
		return pb.AppendBytes(pb.AppendBytes(nil, 1, b), 2, c.payload)
	}
	change := func(f func(h *Header)) []byte {
		h := c.Header
		f(&h)
		return header(h)
	}
	many := make([]id.ID, 65)
	for k := range many {
		many[k] = id.New(id.Stamp(k+1), [8]byte{})
	}
	raw := func(header, payload []byte) []byte {
		return pb.AppendBytes(pb.AppendBytes(nil, 1, header), 2, payload)
	}
	unknown := func(num protowire.Number) []byte {
		return raw(pb.AppendUint64(slices.Clone(c.header), num, 1), c.payload)
	}
	tampered := slices.Clone(c.payload)
	tampered[3] ^= 1
	for name, f := range map[string]struct {
		b    []byte
		want string
	}{
		"another payload":          {raw(c.header, tampered), "digest"},
		"parents not sorted":       {change(func(h *Header) { h.Parents = []id.ID{g.ID, many[0]} }), "sorted"},
		"a parent twice":           {change(func(h *Header) { h.Parents = []id.ID{g.ID, g.ID} }), "sorted"},
		"65 parents":               {change(func(h *Header) { h.Parents = many }), "65 parents, the limit is 64"},
		"earlier than its parent":  {change(func(h *Header) { h.Stamp = g.Stamp }), "not later"},
		"no parents, no birth":     {change(func(h *Header) { h.Parents = nil }), "genesis"},
		"parents and birth":        {change(func(h *Header) { h.Birth = g.Birth }), "genesis"},
		"entity not from birth":    {change(func(h *Header) { h.Parents, h.Birth, h.Entity = nil, g.Birth, many[3] }), "birth record"},
		"no transaction":           {change(func(h *Header) { h.Tx = TxID{} }), "transaction"},
		"bad collection":           {change(func(h *Header) { h.Collection = "Al bum" }), "collection"},
		"node author of 3 bytes":   {change(func(h *Header) { h.Author.Key = "abc" }), "node ID"},
		"unknown field below 1000": {unknown(999), "unknown field"},
		"truncated":                {c.Append(nil)[:40], "truncated"},
		"more behind the end":      {append(c.Append(nil), 1), "field"},
		"empty":                    {nil, "missing"},
	} {
		e, err := Decode(f.b)
		if err == nil || !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), f.want) {
			t.Errorf("%s: %v, %v; want %q in the error", name, e, err, f.want)
		}
	}
	if _, err := Decode(unknown(999)); !errors.Is(err, pb.ErrUnknownField) {
		t.Errorf("an unknown field is not told apart: %v", err)
	}
	if e, err := Decode(unknown(1000)); err != nil || e.ID == c.ID {
		t.Errorf("an annotation: %v, %v", e, err)
	}
	for name, ops := range map[string][]Operation{
		"not sorted": {{Property: "b", Kind: "lww"}, {Property: "a", Kind: "lww"}},
		"twice":      {{Property: "a", Kind: "lww"}, {Property: "a", Kind: "lww"}},
		"no name":    {{Kind: "lww"}},
	} {
		if _, err := New(c.Header, [16]byte{}, ops); !errors.Is(err, ErrMalformed) {
			t.Errorf("operations %s: %v", name, err)
		}
	}
}

// S6: of a wide head the greatest 64 tips become parents, the rest stay tips.
// S8: advancing keeps heads sorted and unique.
func TestHeads(t *testing.T) {
	g := genesis(t)
	head := Head(nil).Advance(g)
	for k := range 70 {
		h := Header{Root: root, Entity: g.Entity, Collection: "album", Author: author, Tx: TxID{byte(k + 1)}, Parents: []id.ID{g.ID}, Stamp: g.Stamp + 1}
		e, err := New(h, [16]byte{byte(k)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		head = head.Advance(e)
	}
	if len(head) != 70 || head.Contains(g.ID) || !slices.IsSortedFunc(head, func(a, b Tip) int { return a.ID.Compare(b.ID) }) {
		t.Fatalf("70 concurrent events make a head of %d", len(head))
	}
	parents := head.Parents()
	if len(parents) != MaxParents || parents[63] != head.Last() || parents[0] != head[6].ID {
		t.Fatalf("%d parents from %v", len(parents), parents[0])
	}
	next, err := New(Header{Root: root, Entity: g.Entity, Collection: "album", Author: author, Tx: TxID{1}, Parents: parents, Stamp: g.Stamp + 2}, [16]byte{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if after := head.Advance(next); len(after) != 7 || !after.Contains(next.ID) || !after.Equal(after.Advance(next)) {
		t.Fatalf("the head after is %d wide", len(after))
	}
}

func FuzzDecode(f *testing.F) {
	g := genesis(f)
	f.Add(g.Append(nil))
	f.Add(child(f, g).Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := Decode(b)
		if err != nil {
			return
		}
		again, err := Decode(e.Append(nil))
		if err != nil || again.ID != e.ID {
			t.Fatalf("%v, then %v", e.ID, err)
		}
	})
}

// Single flipped bits never go unnoticed.
func TestFlippedBits(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	b := genesis(t).Append(nil)
	want := genesis(t).ID
	for range 5000 {
		k, bit := r.IntN(len(b)), byte(1)<<r.IntN(8)
		b[k] ^= bit
		if e, err := Decode(b); err == nil && e.ID == want {
			t.Fatalf("bit %d of byte %d may be flipped", bit, k)
		}
		b[k] ^= bit
	}
}
