package entity_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/pb"
	"github.com/ankurah/ankurah-go/property"
	"github.com/ankurah/ankurah-go/property/lww"
	"github.com/ankurah/ankurah-go/value"
)

var update = flag.Bool("update", false, "write the golden files")

// journal is a property kind with a state of its own: the IDs of the events
// that wrote it, whose number is the query value.
type journal struct{}

func (journal) Name() string { return "journal" }

func (journal) Apply(p property.Property, op event.Operation, at id.ID) (property.Property, error) {
	if len(op.Data) > 0 {
		return p, property.ErrOperation
	}
	return journal{}.with(p, at), nil
}

func (journal) Join(p, q property.Property) (property.Property, error) {
	for at := range slices.Chunk(q.State.Append(nil), id.Size) {
		p = journal{}.with(p, id.ID(at))
	}
	return p, nil
}

func (journal) with(p property.Property, at id.ID) property.Property {
	var ids []id.ID
	if p.State != nil {
		for b := range slices.Chunk(p.State.Append(nil), id.Size) {
			ids = append(ids, id.ID(b))
		}
	}
	if k, found := slices.BinarySearchFunc(ids, at, id.ID.Compare); !found {
		ids = slices.Insert(ids, k, at)
	}
	var raw property.Raw
	for _, i := range ids {
		raw = append(raw, i[:]...)
	}
	return property.Property{Last: ids[len(ids)-1], Value: value.Int64(int64(len(ids))), State: raw}
}

var both = property.NewRegistry(lww.Kind, journal{})

func note(key string) event.Operation { return event.Operation{Property: key, Kind: "journal"} }

// line makes events of one entity with fixed clocks and salts.
type line struct {
	t    testing.TB
	root id.ID
	n    id.Stamp
}

func (l *line) event(parents []*event.Event, ops ...event.Operation) *event.Event {
	l.t.Helper()
	author := event.NodeAuthor(id.New(2, [8]byte{}))
	l.n++
	h := event.Header{Root: l.root, Collection: "album", Author: author, Tx: event.TxID{1}, Stamp: id.NewStamp(1_700_000_000_000, 0) + l.n}
	for _, p := range parents {
		h.Parents = append(h.Parents, p.ID)
		h.Entity = p.Entity
	}
	slices.SortFunc(h.Parents, id.ID.Compare)
	if len(parents) == 0 {
		h.Birth = &event.Birth{Stamp: 10, Nonce: [16]byte{byte(l.n)}}
		h.Entity = h.Birth.EntityID(h.Root, h.Collection, author)
	}
	entity.SortOps(ops)
	e, err := event.New(h, [16]byte{byte(l.n)}, ops)
	if err != nil {
		l.t.Fatal(err)
	}
	return e
}

func applyAll(t testing.TB, s *entity.State, events ...*event.Event) *entity.State {
	t.Helper()
	for _, e := range events {
		next, err := s.Apply(both, e)
		if err != nil {
			t.Fatal(err)
		}
		s = next
	}
	return s
}

// wide is a deleted entity with two tips, properties of several types, one key
// that two kinds wrote, and a kind with a state of its own.
func wide(t testing.TB) *entity.State {
	l := &line{t: t, root: id.New(1, [8]byte{1})}
	g := l.event(nil, lww.Set("name", value.String("Kind of Blue")), lww.Set("year", value.Int32(1959)), note("plays"))
	a := l.event([]*event.Event{g}, lww.Set("tags", value.List(value.KindString, []value.Value{value.String("jazz")})), note("plays"), lww.Set("plays", value.Int32(-1)))
	b := l.event([]*event.Event{g}, lww.Set("year", value.Null), lww.Set("extra", value.Float64(0.5)), entity.SetDeleted(true), note("empty"))
	return applyAll(t, nil, g, a, b)
}

// The format is pinned: these bytes stay what they are.
func TestGolden(t *testing.T) {
	s := wide(t)
	var b strings.Builder
	fmt.Fprintf(&b, "entity %v in %s, rev %d, exists %v\nhead %v\n", s.ID(), s.Collection(), s.Rev(), s.Exists(), s.Head())
	for _, e := range s.Entries() {
		fmt.Fprintf(&b, "%s (%s) = %v by %v\n", e.Key, e.Kind, e.Value, e.Last)
	}
	enc := s.Append(nil)
	for chunk := range slices.Chunk(enc, 48) {
		b.WriteString(hex.EncodeToString(chunk) + "\n")
	}
	const file = "testdata/state.golden"
	if *update {
		if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(file, []byte(b.String()), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || string(want) != b.String() {
		t.Fatalf("%v; the format changed:\n%s", err, b.String())
	}
	back, err := entity.Decode("album", s.ID(), enc)
	if err != nil || !bytes.Equal(back.Append(nil), enc) || len(s.Head()) != 2 || back.Exists() || back.Value("plays").Int() != 2 || back.Value("year").Kind() != value.KindNull ||
		len(entity.Changed(s, back)) > 0 {
		t.Fatalf("reads back as %v, %v", back, err)
	}
	for k := range enc {
		enc[k] = 0 // the state does not alias what it was read from
	}
	if !bytes.Equal(back.Append(nil), s.Append(nil)) {
		t.Fatal("a state changes with the bytes that it was read from")
	}
}

// S39: what no state is written as is refused, and the place is named.
func TestDecodeRefuses(t *testing.T) {
	tip := func(k byte) []byte { return append(bytes.Repeat([]byte{k}, 16), make([]byte, 32)...) }
	prop := func(key, kind string) []byte {
		b := pb.AppendBytes(pb.AppendBytes(nil, 1, key), 2, kind)
		return pb.AppendBytes(pb.AppendBytes(b, 3, make([]byte, 16)), 4, "")
	}
	state := func(parts ...[]byte) []byte { // a part of 48 bytes is a tip
		b := pb.AppendUint64(nil, 1, 3)
		for _, p := range parts {
			if len(p) == 48 {
				b = pb.AppendBytes(b, 2, p)
			} else {
				b = pb.AppendBytes(b, 3, p)
			}
		}
		return b
	}
	good := state(tip(1), tip(2), prop("a", "lww"), prop("a", "x"), prop("b", "lww"))
	s, err := entity.Decode("album", id.ID{}, good)
	if err != nil || !bytes.Equal(s.Append(nil), good) {
		t.Fatalf("%v", err)
	}
	many := [][]byte{}
	for k := range 1<<14 + 1 {
		many = append(many, prop(fmt.Sprintf("%08d", k), "lww"))
	}
	if s, err := entity.Decode("album", id.ID{}, state(many[:1<<14]...)); err != nil || len(s.Entries()) != 1<<14 {
		t.Errorf("the greatest number of properties: %v", err)
	}
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"rev 0 in full":            {[]byte{8, 0}, "state, field 1 at byte 2: rev 0 is left out"},
		"tips not sorted":          {state(tip(2), tip(1)), "sorted and unique"},
		"a tip twice":              {state(tip(1), tip(1)), "sorted and unique"},
		"a short tip":              {pb.AppendBytes(nil, 2, make([]byte, 47)), "47 bytes where 48 are due"},
		"properties not sorted":    {state(prop("b", "lww"), prop("a", "lww")), "sorted and unique"},
		"kinds not sorted":         {state(prop("a", "x"), prop("a", "lww")), "sorted and unique"},
		"a property twice":         {state(prop("a", "lww"), prop("a", "lww")), "sorted and unique"},
		"too many properties":      {state(many...), "more than 16384 properties"},
		"a property without key":   {state(prop("a", "lww")[3:]), "property, field 4 at byte 25: field 1 is missing"},
		"a property without value": {state(prop("a", "lww")[:26]), "field 4 is missing"},
		"a broken value":           {state(append(prop("a", "lww")[:26], "\x22\x02\x10\x02"...)), "a bool is 0 or 1"},
		"an unknown field":         {append(slices.Clone(good), 0x20, 1), "unknown field"},
		"an unknown inner field":   {state(append(prop("a", "lww"), 0x30, 1)), "unknown field"},
		"truncated":                {good[:len(good)-1], "truncated"},
	} {
		s, err := entity.Decode("album", id.ID{}, c.b)
		if err == nil || s != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v; want %q in it", name, s, err, c.want)
		}
	}
	if _, err := entity.Decode("album", id.ID{}, append(slices.Clone(good), 0x20, 1)); !errors.Is(err, pb.ErrUnknownField) {
		t.Errorf("an unknown field is not told apart: %v", err)
	}
	if _, err := entity.Decode("album", id.ID{}, state(append(prop("a", "lww")[:26], "\x22\x02\x58\x02"...))); !errors.Is(err, value.ErrUnknownKind) {
		t.Errorf("an unknown kind of value is not told apart: %v", err)
	}
}

// S39: what is accepted is written as the same bytes, annotations apart.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{8, 1})
	f.Add(wide(f).Append(nil))
	f.Add(append(wide(f).Append(nil), 0xC0, 0x3E, 5))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := entity.Decode("album", id.ID{}, b)
		if err != nil {
			return
		}
		out := s.Append(nil)
		if !bytes.Equal(out, b) && len(out) >= len(b) {
			t.Fatalf("%x is written as %x", b, out)
		}
		again, err := entity.Decode("album", id.ID{}, out)
		if err != nil || !bytes.Equal(again.Append(nil), out) || len(entity.Changed(s, again)) > 0 || again.Rev() != s.Rev() || !again.Head().Equal(s.Head()) {
			t.Fatalf("%x is written as %x and not read back: %v", b, out, err)
		}
	})
}

// Names are shared between states that are read at once.
func TestDecodeConcurrently(t *testing.T) {
	want := wide(t).Append(nil)
	var wg sync.WaitGroup
	for k := range 4 {
		wg.Go(func() {
			for n := range 100 {
				key := fmt.Sprintf("k%d_%d", k, n)
				p := pb.AppendBytes(pb.AppendBytes(pb.AppendBytes(pb.AppendBytes(nil, 1, key), 2, "lww"), 3, make([]byte, 16)), 4, "")
				other, err := entity.Decode("album", id.ID{}, pb.AppendBytes(nil, 3, p))
				if err != nil || other.Entries()[0].Key != key {
					t.Errorf("%s: %v", key, err)
				}
				if s, err := entity.Decode("album", id.ID{}, want); err != nil || !bytes.Equal(s.Append(nil), want) {
					t.Errorf("%v", err)
				}
			}
		})
	}
	wg.Wait()
}

// S15: of several kinds under one key the query value is that of the greatest
// event; each keeps its state.
func TestTwoKindsUnderOneKey(t *testing.T) {
	l := &line{t: t, root: id.New(1, [8]byte{1})}
	g := l.event(nil, lww.Set("plays", value.Int32(-1)))
	a := l.event([]*event.Event{g}, note("plays"))
	b := l.event([]*event.Event{a}, lww.Set("plays", value.Int32(-2)))
	s := applyAll(t, nil, g, a)
	if got := s.Value("plays"); got.Int() != 1 || s.Entry("plays").Kind != "journal" {
		t.Errorf("after the journal wrote last: %v", got)
	}
	if s = applyAll(t, s, b); s.Value("plays").Int() != -2 || len(s.Entries()) != 2 {
		t.Errorf("after the register wrote last: %v", s.Value("plays"))
	}
	if s.Entry("play") != nil || s.Entry("playsx") != nil || !s.Value("zzz").IsNull() {
		t.Error("a key that nobody wrote has a value")
	}
}

// S18, S19: what a transaction did lies over the state, which stays; head and
// rev are those of the state.
func TestOverlay(t *testing.T) {
	s := wide(t)
	before := s.Append(nil)
	ops := []event.Operation{lww.Set("name", value.String("x")), lww.Set("new", value.Bool(true)), entity.SetDeleted(false)}
	entity.SortOps(ops)
	o, err := s.Overlay(both, ops)
	if err != nil {
		t.Fatal(err)
	}
	if o.Value("name").Text() != "x" || !o.Value("new").Bool() || !o.Exists() || o.Rev() != s.Rev() || !o.Head().Equal(s.Head()) || o.ID() != s.ID() || o.Collection() != "album" {
		t.Errorf("overlay: name %v, new %v, exists %v", o.Value("name"), o.Value("new"), o.Exists())
	}
	if !bytes.Equal(s.Append(nil), before) || s.Exists() {
		t.Error("an overlay changes what it lies on")
	}
	if got, want := entity.Changed(s, o), []string{"_deleted", "name", "new"}; !slices.Equal(got, want) {
		t.Errorf("changed: %v, want %v", got, want)
	}
	if _, err := s.Overlay(both, []event.Operation{{Property: "x", Kind: "journal", Data: []byte{1}}}); !errors.Is(err, property.ErrOperation) {
		t.Errorf("a broken operation: %v", err)
	}
	n, err := entity.New(both, "album", id.ID{1}, ops)
	if err != nil || n.Rev() != 0 || n.Head() != nil || n.ID() != (id.ID{1}) || n.Value("name").Text() != "x" || !n.Exists() {
		t.Errorf("a new entity: %v, %v", n, err)
	}
	if _, err := entity.New(both, "album", id.ID{1}, []event.Operation{{Property: "x", Kind: "none"}}); !errors.Is(err, property.ErrUnknownKind) {
		t.Errorf("a new entity of an unknown kind: %v", err)
	}
	var none *entity.State
	if none.Exists() || none.Rev() != 0 || none.Head() != nil {
		t.Error("an entity without events is something")
	}
	if small, large := n.Size(), s.Size(); small <= 0 || large <= small {
		t.Errorf("sizes %d and %d", small, large)
	}
}

// Changed names each key once, whichever state lacks it, and what only a kind
// of its own knows to differ.
func TestChanged(t *testing.T) {
	l := &line{t: t, root: id.New(1, [8]byte{1})}
	g := l.event(nil, lww.Set("a", value.Int32(1)), lww.Set("b", value.Int32(1)), note("b"))
	same := l.event([]*event.Event{g}, lww.Set("a", value.Int32(1)))
	more := l.event([]*event.Event{g}, note("b"), lww.Set("c", value.Null))
	s := applyAll(t, nil, g)
	for name, c := range map[string]struct {
		before, after *entity.State
		want          []string
	}{
		"created":               {nil, s, []string{"a", "b"}},
		"gone":                  {s, nil, []string{"a", "b"}},
		"nothing":               {s, s, nil},
		"nobody":                {nil, nil, nil},
		"written again":         {s, applyAll(t, s, same), nil},
		"a journal, a new null": {s, applyAll(t, s, more), []string{"b", "c"}},
		"backwards":             {applyAll(t, s, more), s, []string{"b", "c"}},
	} {
		if got := entity.Changed(c.before, c.after); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	// The same value by another event: nothing to a register, but a kind with
	// a state of its own may hold something else.
	by := func(event byte, state ...string) *entity.State {
		p := pb.AppendBytes(pb.AppendBytes(nil, 1, "x"), 2, "text")
		p = pb.AppendBytes(pb.AppendBytes(p, 3, append(make([]byte, 15), event)), 4, value.Append(nil, value.String("same")))
		for _, s := range state {
			p = pb.AppendBytes(p, 5, s)
		}
		s, err := entity.Decode("album", id.ID{}, pb.AppendBytes(nil, 3, p))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if a, b := entity.Changed(by(1), by(2)), entity.Changed(by(1, "s"), by(2, "s")); len(a) != 0 || len(b) != 1 {
		t.Errorf("the same value by another event: %v, with a state %v", a, b)
	}
}

// S15, S17: copies that saw different events join to what the union gives, for
// kinds with a state of their own too; an unknown kind cannot be joined.
func TestJoinStates(t *testing.T) {
	l := &line{t: t, root: id.New(1, [8]byte{1})}
	g := l.event(nil, note("n"), lww.Set("m", value.Int32(0)))
	a := l.event([]*event.Event{g}, note("n"), lww.Set("a", value.Int32(1)))
	b := l.event([]*event.Event{g}, note("n"), lww.Set("m", value.Int32(2)), lww.Set("z", value.Int32(3)))
	left, right, all := applyAll(t, nil, g, a), applyAll(t, nil, g, b), applyAll(t, nil, g, a, b)
	for _, pair := range [][2]*entity.State{{left, right}, {right, left}, {all, left}, {left, all}} {
		j, err := pair[0].Join(both, pair[1])
		if err != nil || len(entity.Changed(j, all)) > 0 {
			t.Errorf("joined: %v differ, %v", entity.Changed(j, all), err)
		}
		if j.Rev() != pair[0].Rev() || !j.Head().Equal(pair[0].Head()) {
			t.Error("a join moves head or rev")
		}
	}
	if _, err := left.Join(kinds, right); !errors.Is(err, property.ErrUnknownKind) {
		t.Errorf("joining an unknown kind: %v", err)
	}
}

// S6: a genesis is where the entity begins and nowhere else; the error names
// event and entity.
func TestGenesisErrors(t *testing.T) {
	l := &line{t: t, root: id.New(1, [8]byte{1})}
	g := l.event(nil)
	child := l.event([]*event.Event{g})
	s := applyAll(t, nil, g)
	var none *entity.State
	for name, f := range map[string]func() (*entity.State, error){
		"the entity was created before": func() (*entity.State, error) { return s.Apply(both, g) },
		"the entity is not known":       func() (*entity.State, error) { return none.Apply(both, child) },
	} {
		next, err := f()
		if next != nil || !errors.Is(err, entity.ErrGenesis) || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), g.Entity.String()) {
			t.Errorf("%s: %v, %v", name, next, err)
		}
	}
}
