package storagetest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/value"
)

// number returns the operation that sets property n.
func number(n int) storage.MetaWrite {
	return storage.MetaWrite{Key: []byte("n" + strconv.Itoa(n)), Value: []byte(strconv.Itoa(n))}
}

// commits tests conditions: each case is one batch upon two stored entities,
// with a fresh engine that has just written them and with one that was opened
// since and remembers nothing.
func (s *suite) commits(t *testing.T) {
	type world struct {
		w    *Writer
		a, b *entity.State // stored
	}
	n := func(k int) int64 { return int64(k) }
	set := func(k int) value.Value { return value.Int64(n(k)) }
	cases := []struct {
		name  string
		batch func(w world) []storage.Tx
		want  string // one character a transaction: + applied, - left out
	}{
		{"one", func(w world) []storage.Tx {
			return []storage.Tx{w.w.Tx(w.w.Edit(w.a, Set("n", set(1))), w.w.Edit(w.b))}
		}, "+"},
		{"stale in the middle", func(w world) []storage.Tx {
			first := w.w.Edit(w.a, Set("n", set(1)))
			return []storage.Tx{
				w.w.Tx(first),
				w.w.Tx(w.w.Edit(w.a, Set("n", set(2))), w.w.Create("album")),
				w.w.Tx(w.w.Edit(w.b, Set("n", set(3)))),
			}
		}, "+-+"},
		{"one stale entity of two", func(w world) []storage.Tx {
			return []storage.Tx{
				w.w.Tx(w.w.Edit(w.a)),
				w.w.Tx(w.w.Edit(w.a), w.w.Edit(w.b)),
				w.w.Tx(w.w.Edit(w.b)),
			}
		}, "+-+"},
		{"chain", func(w world) []storage.Tx {
			one := w.w.Edit(w.a, Set("n", set(1)))
			two := w.w.Edit(one.After, Set("n", set(2)))
			three := w.w.Edit(two.After, Set("n", set(3)))
			return []storage.Tx{w.w.Tx(one), w.w.Tx(two), w.w.Tx(three)}
		}, "+++"},
		{"chain with a break", func(w world) []storage.Tx {
			one := w.w.Edit(w.a, Set("n", set(1)))
			two := w.w.Edit(one.After, Set("n", set(2)))
			stale := w.w.Edit(w.a, Set("n", set(9)))
			after := w.w.Edit(stale.After, Set("n", set(10)))
			three := w.w.Edit(two.After, Set("n", set(3)))
			return []storage.Tx{w.w.Tx(one), w.w.Tx(two), w.w.Tx(stale), w.w.Tx(after), w.w.Tx(three)}
		}, "++--+"},
		{"created twice", func(w world) []storage.Tx {
			c := w.w.Create("album", Set("n", set(1)))
			return []storage.Tx{w.w.Tx(c), w.w.Tx(c)}
		}, "+-"},
		{"created and edited", func(w world) []storage.Tx {
			c := w.w.Create("album", Set("n", set(1)))
			return []storage.Tx{w.w.Tx(c), w.w.Tx(w.w.Edit(c.After, Set("n", set(2))))}
		}, "++"},
		{"edited but never created", func(w world) []storage.Tx {
			c := w.w.Create("album", Set("n", set(1)))
			return []storage.Tx{w.w.Tx(w.w.Edit(c.After)), w.w.Tx(w.w.Edit(w.a))}
		}, "-+"},
		{"stored created again", func(w world) []storage.Tx {
			return []storage.Tx{w.w.Tx(storage.EntityWrite{After: w.a})}
		}, "-"},
		{"upon what is stored and left out", func(w world) []storage.Tx { // as another process has committed it
			return []storage.Tx{w.w.Tx(storage.EntityWrite{After: w.a}), w.w.Tx(w.w.Edit(w.a), w.w.Edit(w.b)), w.w.Tx(w.w.Edit(w.b))}
		}, "--+"},
		{"after one that is left out", func(w world) []storage.Tx {
			one, two, three := w.w.Tx(storage.EntityWrite{After: w.a}), w.w.Tx(w.w.Create("album")), w.w.Tx(w.w.Create("album"))
			two.After, three.After = []event.TxID{one.ID}, []event.TxID{two.ID}
			return []storage.Tx{one, two, three, w.w.Tx(w.w.Edit(w.b))}
		}, "---+"},
		{"requires what is stored and left out", func(w world) []storage.Tx {
			tx := w.w.Tx(w.w.Edit(w.b))
			tx.Require = []storage.Require{{Collection: w.a.Collection(), Entity: w.a.ID(), Head: w.a.Head()}}
			return []storage.Tx{w.w.Tx(storage.EntityWrite{After: w.a}), tx}
		}, "--"},
		{"several events", func(w world) []storage.Tx {
			left := w.w.Event(w.a, w.a.Head(), Set("n", set(1)))
			right := w.w.Event(w.a, w.a.Head(), Set("m", set(2)))
			return []storage.Tx{w.w.Tx(w.w.Write(w.a, left, right))}
		}, "+"},
		{"require", func(w world) []storage.Tx {
			ok, moved := w.w.Tx(w.w.Edit(w.a)), w.w.Tx(w.w.Edit(w.b))
			ok.Require = []storage.Require{{Collection: w.b.Collection(), Entity: w.b.ID(), Head: w.b.Head()}}
			moved.Require = []storage.Require{{Collection: w.a.Collection(), Entity: w.a.ID(), Head: w.a.Head()}}
			return []storage.Tx{ok, moved}
		}, "+-"},
		{"require what the transaction writes", func(w world) []storage.Tx {
			tx := w.w.Tx(w.w.Edit(w.a))
			tx.Require = []storage.Require{{Collection: w.a.Collection(), Entity: w.a.ID(), Head: w.a.Head()}}
			return []storage.Tx{tx}
		}, "+"},
		{"require absence", func(w world) []storage.Tx {
			absent := w.w.Create("album").After
			ok, bad := w.w.Tx(w.w.Edit(w.a)), w.w.Tx(w.w.Edit(w.b))
			ok.Require = []storage.Require{{Collection: "album", Entity: absent.ID()}}
			bad.Require = []storage.Require{{Collection: w.a.Collection(), Entity: w.a.ID()}}
			return []storage.Tx{ok, bad}
		}, "+-"},
		{"the same entity in another collection", func(w world) []storage.Tx {
			tx := w.w.Tx(w.w.Edit(w.b))
			tx.Require = []storage.Require{{Collection: "artist", Entity: w.a.ID(), Head: w.a.Head()}}
			return []storage.Tx{tx}
		}, "-"},
		{"nothing but meta", func(w world) []storage.Tx {
			tx := w.w.Tx()
			tx.Meta = []storage.MetaWrite{number(1)}
			return []storage.Tx{tx}
		}, "+"},
	}
	for _, c := range cases {
		for _, cold := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, cold %v", c.name, cold), func(t *testing.T) {
				place := s.New(t)
				e := mustOpen(t, place)
				w := world{w: NewWriter(t, 1)}
				a, b := w.w.Create("album", Set("n", set(0))), w.w.Create("album", Set("n", set(0)))
				w.a, w.b = a.After, b.After
				mustCommit(t, e, w.w.Tx(a, b))
				if cold {
					e = reopened(t, place, e)
				}
				checkBatch(t, e, c.batch(w), c.want)
			})
		}
	}
}

// checkBatch commits transactions, each with a meta write, and checks that
// those of which want says so are there whole and of the others nothing.
func checkBatch(t *testing.T, e storage.Engine, txs []storage.Tx, want string) {
	t.Helper()
	for k := range txs {
		txs[k].Meta = append(txs[k].Meta, storage.MetaWrite{Key: txs[k].ID[:], Value: []byte{}})
	}
	r, err := e.Commit(t.Context(), &storage.Batch{Txs: txs, Meta: []storage.MetaWrite{{Key: []byte("batch"), Value: []byte("yes")}}})
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for k := range txs {
		var conflict *storage.ConflictError
		switch {
		case r.Conflicts == nil || r.Conflicts[k] == nil:
			got += "+"
		case errors.As(r.Conflicts[k], &conflict) && errors.Is(r.Conflicts[k], storage.ErrConflict):
			got += "-"
		default:
			t.Fatalf("transaction %d: %v is not a ConflictError", k, r.Conflicts[k])
		}
	}
	if got != want {
		t.Fatalf("applied %s, want %s: %v", got, want, r.Conflicts)
	}
	if want[0] == '+' && len(want) > 1 && r.Conflicts != nil && slices.IndexFunc(r.Conflicts, func(err error) bool { return err != nil }) < 0 {
		t.Error("a slice of no conflicts")
	}
	snap := mustSnapshot(t, e)
	defer closeLater(t, snap)
	if v, ok, err := snap.Meta(t.Context(), []byte("batch")); err != nil || !ok || string(v) != "yes" {
		t.Errorf("the batch's own meta: %q %v %v", v, ok, err)
	}
	last := map[id.ID]*entity.State{}
	for k := range txs {
		applied := want[k] == '+'
		if _, ok, err := snap.Meta(t.Context(), txs[k].ID[:]); err != nil || ok != applied {
			t.Errorf("transaction %d: meta %v %v", k, ok, err)
		}
		record, ok, err := snap.Tx(t.Context(), txs[k].ID)
		if err != nil || ok != applied || ok && string(record) != string(txs[k].Record) {
			t.Errorf("transaction %d: record %x %v %v", k, record, ok, err)
		}
		for _, w := range txs[k].Entities {
			if applied {
				last[w.After.ID()] = w.After
			}
			rev := w.Before.Rev()
			for _, ev := range w.Events {
				rev++
				at, ok, err := snap.Find(t.Context(), ev.ID)
				if err != nil || ok != applied && !slices.ContainsFunc(txs[:k], func(o storage.Tx) bool {
					return slices.ContainsFunc(o.Entities, func(o storage.EntityWrite) bool { return slices.Contains(o.Events, ev) })
				}) {
					t.Errorf("transaction %d: event %v %v", k, ok, err)
				}
				if applied && at != (storage.Position{Collection: "album", Entity: w.After.ID(), Rev: rev}) {
					t.Errorf("transaction %d: event at %v, want rev %d", k, at, rev)
				}
			}
		}
	}
	for _, want := range last {
		if got := mustState(t, snap, want); !sameState(got, want) {
			t.Errorf("%s is at rev %d, want %d", want.ID(), got.Rev(), want.Rev())
		}
	}
}

// claims tests claim keys over a sequence of batches.
func (s *suite) claims(t *testing.T) {
	w := NewWriter(t, 1)
	a, b := w.Create("album").After.ID(), w.Create("album").After.ID()
	claim := func(key string, i id.ID) storage.Claim { return storage.Claim{Key: []byte(key), Entity: i} }
	release := func(key string, i id.ID) storage.Claim {
		return storage.Claim{Key: []byte(key), Entity: i, Release: true}
	}
	tx := func(claims ...storage.Claim) storage.Tx {
		tx := w.Tx()
		tx.Claims = claims
		return tx
	}
	batches := []struct {
		name   string
		txs    []storage.Tx
		want   string
		holder map[string]id.ID // afterwards; zero: nobody
	}{
		{"first come", []storage.Tx{tx(claim("k", a)), tx(claim("k", b))}, "+-", map[string]id.ID{"k": a}},
		{"again", []storage.Tx{tx(claim("k", a))}, "+", map[string]id.ID{"k": a}},
		{"taken", []storage.Tx{tx(claim("free", b), claim("k", b)), tx(claim("free", a))}, "-+", map[string]id.ID{"k": a, "free": a}},
		{"released by another", []storage.Tx{tx(release("k", b)), tx(claim("k", b))}, "+-", map[string]id.ID{"k": a}},
		{"released and taken", []storage.Tx{tx(release("k", a)), tx(claim("k", b))}, "++", map[string]id.ID{"k": b}},
		{"handed over in one", []storage.Tx{tx(release("k", b), claim("k", a)), tx(claim("k", b))}, "+-", map[string]id.ID{"k": a}},
		{"released twice", []storage.Tx{tx(release("k", a)), tx(release("k", a)), tx(release("none", a))}, "+++", map[string]id.ID{"k": {}, "none": {}}},
		{"empty key", []storage.Tx{tx(claim("", a)), tx(claim("\x00", b))}, "++", map[string]id.ID{"": a, "\x00": b}},
	}
	for _, cold := range []bool{false, true} {
		place := s.New(t)
		e := mustOpen(t, place)
		for _, c := range batches {
			t.Run(fmt.Sprintf("%s, cold %v", c.name, cold), func(t *testing.T) {
				checkBatch(t, e, slices.Clone(c.txs), c.want)
				snap := mustSnapshot(t, e)
				defer closeLater(t, snap)
				for key, want := range c.holder {
					got, ok, err := snap.Claimed(t.Context(), []byte(key))
					if err != nil || ok != !want.IsZero() || got != want {
						t.Errorf("%q is claimed by %s %v %v, want %s", key, got, ok, err, want)
					}
				}
			})
			if cold {
				e = reopened(t, place, e)
			}
		}
	}
}

// malformed tests that a batch no node should make is refused and leaves no
// trace.
func (s *suite) malformed(t *testing.T) {
	w := NewWriter(t, 1)
	a, b := w.Create("album"), w.Create("album")
	edit := w.Edit(a.After)
	bad := map[string]storage.Tx{
		"entities not sorted":  {ID: w.TxID(), Entities: []storage.EntityWrite{b, a}},
		"an entity twice":      {ID: w.TxID(), Entities: []storage.EntityWrite{a, a}},
		"rev does not fit":     {ID: w.TxID(), Entities: []storage.EntityWrite{{After: edit.After, Events: edit.Events}}},
		"events of another":    {ID: w.TxID(), Entities: []storage.EntityWrite{{After: a.After, Events: b.Events}}},
		"events not sorted":    {ID: w.TxID(), Entities: []storage.EntityWrite{{After: edit.After, Events: append(slices.Clone(edit.Events), a.Events...)}}},
		"replaces another":     {ID: w.TxID(), Entities: []storage.EntityWrite{{Before: a.After, After: b.After}}},
		"no state":             {ID: w.TxID(), Entities: []storage.EntityWrite{{Before: a.After}}},
		"a state without rev":  {ID: w.TxID(), Entities: []storage.EntityWrite{{After: mustNew(t, w)}}},
		"an event of no value": {ID: w.TxID(), Entities: []storage.EntityWrite{{After: a.After, Events: nil}, {After: nil}}},
	}
	e := s.open(t)
	for name, tx := range bad {
		tx.Record = []byte("r")
		if _, err := e.Commit(t.Context(), &storage.Batch{Txs: []storage.Tx{tx}, Meta: []storage.MetaWrite{number(1)}}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	snap := mustSnapshot(t, e)
	defer closeLater(t, snap)
	if names, err := snap.Collections(t.Context()); len(names) > 0 || err != nil {
		t.Errorf("collections %v %v", names, err)
	}
	if _, ok, _ := snap.Meta(t.Context(), number(1).Key); ok {
		t.Error("meta was written")
	}
}

func mustNew(t *testing.T, w *Writer) *entity.State {
	t.Helper()
	st, err := entity.New(w.Kinds, "album", w.Create("album").After.ID(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// randomCommits commits random batches, many of whose transactions are stale,
// and compares with what should have come of them.
func (s *suite) randomCommits(t *testing.T) {
	place := s.New(t)
	e := mustOpen(t, place)
	w := NewWriter(t, 7)
	var known []*entity.State // every state that ever was, also of refused transactions
	stored := map[id.ID]*entity.State{}
	for round := range 300 {
		now := map[id.ID]*entity.State{}
		for i, st := range stored {
			now[i] = st
		}
		var txs []storage.Tx
		want := ""
		for range 1 + w.Rand.IntN(5) {
			tx := w.Tx(randomWrites(w, known)...)
			ok := true
			for _, ew := range tx.Entities {
				known = append(known, ew.After)
				ok = ok && now[ew.After.ID()].Head().Equal(ew.Before.Head())
			}
			if len(known) > 0 && w.Rand.IntN(4) == 0 {
				st := known[w.Rand.IntN(len(known))]
				tx.Require = []storage.Require{{Collection: st.Collection(), Entity: st.ID(), Head: st.Head()}}
				ok = ok && now[st.ID()].Head().Equal(st.Head())
			}
			txs = append(txs, tx)
			if !ok {
				want += "-"
				continue
			}
			want += "+"
			for _, ew := range tx.Entities {
				now[ew.After.ID()] = ew.After
			}
		}
		checkBatch(t, e, txs, want)
		stored = now
		if len(known) > 40 { // old enough to be stale, young enough to be current
			known = known[len(known)-40:]
		}
		if round%50 == 49 {
			e = reopened(t, place, e)
		}
	}
	snap := mustSnapshot(t, e)
	defer closeLater(t, snap)
	all, err := collect(snap.All(t.Context(), "album"))
	if err != nil || len(all) != len(stored) {
		t.Fatalf("%d entities, want %d: %v", len(all), len(stored), err)
	}
	for _, got := range all {
		if !sameState(got, stored[got.ID()]) {
			t.Errorf("%s differs", got.ID())
		}
	}
}

// randomWrites returns writes of one to three entities upon states that may be
// current.
func randomWrites(w *Writer, known []*entity.State) []storage.EntityWrite {
	var out []storage.EntityWrite
	for range 1 + w.Rand.IntN(3) {
		if len(known) == 0 || w.Rand.IntN(4) == 0 {
			out = append(out, w.Create("album", Set("n", value.Int64(0))))
			continue
		}
		st := known[len(known)-1-w.Rand.IntN(min(len(known), 10))]
		if !slices.ContainsFunc(out, func(o storage.EntityWrite) bool { return o.After.ID() == st.ID() }) {
			out = append(out, w.Edit(st, Set("n", value.Int64(int64(w.Rand.IntN(100))))))
		}
	}
	return out
}
