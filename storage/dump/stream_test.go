package dump

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/book"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/property"
	"github.com/ankurah/ankurah-go/property/lww"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/value"
)

var update = flag.Bool("update", false, "write the golden file")

const golden = "testdata/dump.golden"

var (
	kinds  = property.NewRegistry(lww.Kind)
	author = event.NodeAuthor(id.New(id.NewStamp(1_600_000_000_000, 0), [8]byte{9}))
)

// source is a store that is the same every time: a system, three albums of
// which one has parted and met again, and one is deleted; an artist; an index
// and a claim.
type source struct {
	t     testing.TB
	e     storage.Engine
	root  id.ID
	clock uint64
}

func newSource(t testing.TB) *source {
	t.Helper()
	e := memory.New()
	t.Cleanup(func() { closed(t, e) })
	s := &source{t: t, e: e, clock: 1_700_000_000_000}
	g := s.genesis("_system", 1, lww.Set("format", value.Int32(1)))
	s.root = g.Entity
	s.commit(1, nil, g)
	// Two albums in one transaction, of which the first has three concurrent
	// edits, arriving in an order that is not that of their IDs.
	a, b := s.genesis("album", 2, name("Absolution")), s.genesis("album", 2, name("Drones"))
	s.commit(2, nil, a, b)
	x, y, z := s.edit(3, a, name("x")), s.edit(4, a, name("y")), s.edit(5, a, name("z"))
	for _, e := range []*event.Event{z, x, y} {
		s.commit(e.Tx[0], nil, e)
	}
	late := s.edit(6, x, name("late")) // whose parent is no tip when it comes
	s.commit(7, nil, s.edit(7, x, name("upon x")))
	s.commit(6, nil, late)
	s.commit(8, nil, s.event(8, []*event.Event{y, z, late}, name("met")))
	s.commit(9, nil, s.edit(9, b, entity.SetDeleted(true)))
	c := s.genesis("artist", 10, name("Muse"))
	s.commit(10, []storage.Claim{{Key: []byte("artist\x00Muse"), Entity: c.Entity}}, c)
	clock := id.NewStamp(s.clock+5, 7)
	s.meta(book.Root, s.root[:])
	s.meta(book.Node, []byte(author.Key))
	s.meta(book.Epoch, []byte(author.Key))
	s.meta(book.Clock, binary.BigEndian.AppendUint64(nil, uint64(clock)))
	s.meta(book.Feed+"x", []byte{})
	err := s.e.(storage.Indexer).EnsureIndex(t.Context(), "album", schema.Index{Columns: []schema.Column{{Path: []string{"name"}}, {Path: []string{"x", "y"}, Desc: true}}})
	must(t, err)
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func closed(t testing.TB, e storage.Engine) {
	t.Helper()
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}

func name(text string) event.Operation { return lww.Set("name", value.String(text)) }

func (s *source) stamp() id.Stamp {
	s.clock++
	return id.NewStamp(s.clock, 1)
}

func (s *source) genesis(collection string, tx byte, ops ...event.Operation) *event.Event {
	birth := event.Birth{Stamp: s.stamp(), Nonce: [16]byte{tx}}
	h := event.Header{Root: s.root, Collection: collection, Author: author, Actor: "alice", Tx: event.TxID{tx}, Stamp: s.stamp(), Birth: &birth}
	h.Entity = birth.EntityID(s.root, collection, author)
	return s.make(h, ops)
}

func (s *source) edit(tx byte, parent *event.Event, ops ...event.Operation) *event.Event {
	return s.event(tx, []*event.Event{parent}, ops...)
}

func (s *source) event(tx byte, parents []*event.Event, ops ...event.Operation) *event.Event {
	h := event.Header{Root: s.root, Entity: parents[0].Entity, Collection: parents[0].Collection, Author: author, Tx: event.TxID{tx}, Stamp: s.stamp()}
	for _, p := range parents {
		h.Parents = append(h.Parents, p.ID)
	}
	slices.SortFunc(h.Parents, id.ID.Compare)
	return s.make(h, ops)
}

func (s *source) make(h event.Header, ops []event.Operation) *event.Event {
	s.t.Helper()
	e, err := event.New(h, [16]byte{h.Tx[0]}, ops)
	must(s.t, err)
	return e
}

// commit stores the events of a transaction, one for each entity.
func (s *source) commit(tx byte, claims []storage.Claim, events ...*event.Event) {
	s.t.Helper()
	snap, err := s.e.Snapshot()
	must(s.t, err)
	defer snap.Close()
	out := storage.Tx{ID: event.TxID{tx}, Claims: claims}
	slices.SortFunc(events, func(a, b *event.Event) int { return a.Entity.Compare(b.Entity) })
	for _, e := range events {
		before, err := snap.State(s.t.Context(), e.Collection, e.Entity)
		must(s.t, err)
		after, err := before.Apply(kinds, e)
		must(s.t, err)
		out.Entities = append(out.Entities, storage.EntityWrite{Before: before, After: after, Events: []*event.Event{e}})
		out.Record = book.AppendTouched(out.Record, book.Touched{Collection: e.Collection, Entity: e.Entity, First: after.Rev(), Last: after.Rev()})
	}
	s.batch(&storage.Batch{Txs: []storage.Tx{out}})
}

func (s *source) meta(key string, val []byte) {
	s.t.Helper()
	s.batch(&storage.Batch{Meta: []storage.MetaWrite{{Key: []byte(key), Value: val}}})
}

func (s *source) batch(b *storage.Batch) {
	s.t.Helper()
	res, err := s.e.Commit(s.t.Context(), b)
	must(s.t, errors.Join(append(res.Conflicts, err)...))
}

func dumped(t testing.TB, e storage.Engine) []byte {
	t.Helper()
	var b bytes.Buffer
	_, err := Write(t.Context(), e, &b, nil)
	must(t, err)
	return b.Bytes()
}

// The stream is what it was (S39), leads to the same store, and that to the
// same stream.
func TestGolden(t *testing.T) {
	s := newSource(t)
	got := dumped(t, s.e)
	if *update {
		must(t, os.WriteFile(golden, got, 0o644))
	}
	want, err := os.ReadFile(golden)
	must(t, err)
	if !bytes.Equal(got, want) {
		t.Fatalf("the dump is not that of %s: %d bytes, want %d", golden, len(got), len(want))
	}
	e := memory.New()
	defer closed(t, e)
	counts, err := Restore(t.Context(), e, bytes.NewReader(want), nil)
	if expect := (Counts{Meta: 3, Indexes: 1, Entities: 4, Events: 11, Transactions: 10, Claims: 1}); err != nil || counts != expect {
		t.Fatalf("%+v, %v, want %+v", counts, err, expect)
	}
	if !bytes.Equal(dumped(t, e), want) {
		t.Error("the restored store has another dump")
	}
	if _, err := Verify(t.Context(), e, nil); err != nil {
		t.Error(err)
	}
	if x := e.(storage.Indexer).Indexes("album"); len(x) != 1 {
		t.Errorf("indexes %v", x)
	}
	snap, err := e.Snapshot()
	must(t, err)
	defer snap.Close()
	for _, key := range []string{book.Node, book.Epoch} { // S8
		b, ok, err := snap.Meta(t.Context(), []byte(key))
		if err != nil || !ok || len(b) != id.Size || string(b) == author.Key {
			t.Errorf("%s is %x, %v", key, b, err)
		}
	}
	if holder, ok, err := snap.Claimed(t.Context(), []byte("artist\x00Muse")); !ok || err != nil {
		t.Errorf("the claim: %v %v %v", holder, ok, err)
	}
}

// S62: that a transaction was refused is no part of a dump, and no damage.
func TestFences(t *testing.T) {
	s := newSource(t)
	want := dumped(t, s.e)
	s.batch(&storage.Batch{Txs: []storage.Tx{{ID: event.TxID{99}, Record: book.AppendFence(nil, book.Fence{Code: "denied", Text: "no"})}}})
	if !bytes.Equal(dumped(t, s.e), want) {
		t.Error("a fence changes the dump")
	}
	if counts, err := Verify(t.Context(), s.e, nil); err != nil || counts.Transactions != 10 {
		t.Errorf("%d transactions: %v", counts.Transactions, err)
	}
}

// notWhole fails unless a store that a restore has left is refused or empty.
func notWhole(t *testing.T, what string, e storage.Engine) {
	t.Helper()
	snap, err := listed(e)
	must(t, err)
	empty, err := isEmpty(t.Context(), snap)
	must(t, errors.Join(err, snap.Close()))
	if empty {
		return
	}
	n, err := ankurah.OpenNode(t.Context(), e, &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}})
	if !errors.Is(err, ankurah.ErrStoreUnfinished) {
		t.Errorf("%s: a node opens what is left: %v", what, err)
	}
	if err == nil {
		must(t, n.Close())
	}
	_, again := Restore(t.Context(), e, bytes.NewReader(nil), nil)
	_, dumping := Write(t.Context(), e, &bytes.Buffer{}, nil)
	_, verifying := Verify(t.Context(), e, nil)
	if again == nil || !errors.Is(dumping, storage.ErrUnfinished) || !errors.Is(verifying, storage.ErrUnfinished) {
		t.Errorf("%s: what is left passes for a store: %v, %v, %v", what, again, dumping, verifying)
	}
}

// Every cut and every flipped bit is found, and where.
func TestDamage(t *testing.T) {
	sound, err := os.ReadFile(golden)
	must(t, err)
	try := func(what string, at int, b []byte) {
		t.Helper()
		e := memory.New()
		defer closed(t, e)
		_, err := Restore(t.Context(), e, bytes.NewReader(b), nil)
		if !errors.Is(err, ErrDamaged) || !strings.HasPrefix(err.Error(), "ankurah: ") {
			t.Fatalf("%s at %d: %v", what, at, err)
		}
		if d, ok := errors.AsType[*DamagedError](err); ok && (d.Offset > int64(at) || !strings.Contains(err.Error(), "at byte ")) {
			t.Fatalf("%s at %d is found too late: %v", what, at, err)
		}
		if at%97 == 0 {
			notWhole(t, what, e)
		}
	}
	for k := range sound {
		try("cut", k, sound[:k])
		b := bytes.Clone(sound)
		b[k] ^= 1 << (k % 8)
		try("flip", k, b)
	}
	try("more", len(sound), append(bytes.Clone(sound), 0))
	try("twice", len(sound), append(bytes.Clone(sound), sound...))
}

// records reads a dump apart.
func records(t testing.TB, b []byte) []*record {
	t.Helper()
	in, err := newReader(bytes.NewReader(b))
	must(t, err)
	var out []*record
	for {
		r, err := in.next()
		must(t, err)
		out = append(out, r)
		if r.kind == kEnd {
			return out
		}
	}
}

// assemble puts a dump together whose checksums and counts fit.
func assemble(t testing.TB, rs []*record) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := newWriter(&b)
	must(t, err)
	var counts Counts
	of := map[int]*uint64{kMeta: &counts.Meta, kIndex: &counts.Indexes, kEntity: &counts.Entities, kEvent: &counts.Events, kTx: &counts.Transactions, kClaim: &counts.Claims}
	for _, r := range rs {
		if n := of[r.kind]; n != nil {
			*n++
		}
		if r.kind == kEnd {
			must(t, w.end(counts))
			return b.Bytes()
		}
		must(t, w.record(r))
	}
	must(t, w.w.Flush())
	return b.Bytes()
}

// A dump whose checksums are right is believed no more than that.
func TestForgery(t *testing.T) {
	s := newSource(t)
	sound := dumped(t, s.e)
	find := func(rs []*record, kind, nth int) int {
		for k, r := range rs {
			if r.kind == kind {
				if nth--; nth < 0 {
					return k
				}
			}
		}
		t.Fatal("no such record")
		return 0
	}
	// The albums are the second and third entity of the collections album,
	// artist and _system by name: _system comes first.
	other := s.genesis("album", 2, name("another"))
	foreign := &source{t: t, e: s.e, root: id.New(id.NewStamp(5, 5), [8]byte{}), clock: s.clock}
	for what, c := range map[string]struct {
		change func(rs []*record) []*record
		want   string
	}{
		"an event is missing": {func(rs []*record) []*record {
			k := find(rs, kEvent, 3)
			return slices.Delete(rs, k, k+1)
		}, "is not among those before it"},
		"the last event is missing": {func(rs []*record) []*record {
			k := find(rs, kState, 1)
			return slices.Delete(rs, k-1, k)
		}, "it has 7 events, 6 are here"},
		"an event comes twice": {func(rs []*record) []*record {
			k := find(rs, kEvent, 3)
			return slices.Insert(rs, k+1, rs[k])
		}, "comes twice"},
		"events in another order": {func(rs []*record) []*record {
			k := find(rs, kEvent, 2)
			rs[k], rs[k+1] = rs[k+1], rs[k]
			return rs
		}, "its events are not those that were dumped"},
		"an event of another entity": {func(rs []*record) []*record {
			rs[find(rs, kEvent, 1)].event = other
			return rs
		}, "it is of album " + other.Entity.String()},
		"an event of another system": {func(rs []*record) []*record {
			e := foreign.genesis("album", 2, name("foreign"))
			k := find(rs, kEvent, 1)
			rs[k].event, rs[k-1].entity.Entity = e, e.Entity
			return rs
		}, "it is of another system"},
		"another state": {func(rs []*record) []*record {
			rs[find(rs, kState, 1)].state.state = sha256.Sum256(nil)
			return rs
		}, "do not lead to the state"},
		"an entity twice": {func(rs []*record) []*record {
			k := find(rs, kEntity, 2)
			n := find(rs, kState, 2) + 1
			return slices.Insert(rs, n, rs[k:n]...)
		}, "not in their order"},
		"no record of a transaction": {func(rs []*record) []*record {
			k := find(rs, kTx, 4)
			return slices.Delete(rs, k, k+1)
		}, "name 10 of 11 events"},
		"a record of another transaction": {func(rs []*record) []*record {
			a, b := rs[find(rs, kTx, 4)], rs[find(rs, kTx, 5)]
			a.tx.Record, b.tx.Record = b.tx.Record, a.tx.Record
			return rs
		}, "which is not all of it"},
		"a record of what is not there": {func(rs []*record) []*record {
			r := rs[find(rs, kTx, 4)]
			r.tx.Record = book.AppendTouched(nil, book.Touched{Collection: "album", Entity: s.root, First: 1, Last: 2})
			return rs
		}, "it is of another entity"},
		"a node ID": {func(rs []*record) []*record {
			rs[find(rs, kMeta, 1)].meta.Key = []byte("epoch")
			return rs
		}, "of one store only"},
		"two roots": {func(rs []*record) []*record {
			rs[find(rs, kMeta, 2)].meta.Value = make([]byte, id.Size)
			return rs
		}, "of two systems"},
		"no end":        {func(rs []*record) []*record { return rs[:len(rs)-1] }, "cut off"},
		"no head":       {func(rs []*record) []*record { return rs[1:] }, "bookkeeping after nothing"},
		"a second head": {func(rs []*record) []*record { return slices.Insert(rs, 1, rs[0]) }, "head after head"},
		"no state": {func(rs []*record) []*record {
			k := find(rs, kState, 1)
			return slices.Delete(rs, k, k+1)
		}, "entity after event"},
	} {
		e := memory.New()
		rs := records(t, sound)
		for k := range rs { // so that changes are of this one only
			c := *rs[k]
			rs[k] = &c
		}
		_, err := Restore(t.Context(), e, bytes.NewReader(assemble(t, c.change(rs))), nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", what, err, c.want)
		}
		notWhole(t, what, e)
		closed(t, e)
	}
	if !bytes.Equal(assemble(t, records(t, sound)), sound) {
		t.Error("what was taken apart and put together is another")
	}
}

// A newer stream is called so.
func TestNewer(t *testing.T) {
	for _, kind := range []string{"version", "record"} {
		rs := records(t, dumped(t, newSource(t).e))
		var b bytes.Buffer
		w, err := newWriter(&b)
		must(t, err)
		body := rs[0].append(nil)
		if kind == "version" {
			body[3] = 2
		} else {
			must(t, w.record(rs[0]))
			body = []byte{10<<3 | 2, 0}
		}
		frame := binary.AppendUvarint(nil, uint64(len(body)))
		must(t, w.bytes(append(frame, body...)))
		must(t, w.bytes(binary.BigEndian.AppendUint32(nil, w.crc)))
		must(t, w.w.Flush())
		e := memory.New()
		_, err = Restore(t.Context(), e, &b, nil)
		if err == nil || !strings.Contains(err.Error(), "newer version") {
			t.Errorf("%s: %v", kind, err)
		}
		closed(t, e)
	}
}
