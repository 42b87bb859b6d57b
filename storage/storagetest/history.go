package storagetest

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/value"
)

// history tests that events are kept verbatim under the revs at which they
// arrived, with heads that part and meet.
func (s *suite) history(t *testing.T) {
	place := s.New(t)
	e := mustOpen(t, place)
	w := NewWriter(t, 3)
	var states []*entity.State
	events := map[*entity.State][]*event.Event{} // by the first state
	for range 5 {
		c := w.Create("album", Set("n", value.Int64(0)))
		mustCommit(t, e, w.Tx(c))
		first, st := c.After, c.After
		events[first] = c.Events
		for st.Rev() < 40 {
			var evs []*event.Event
			old := st.Head()
			for k := range 1 + w.Rand.IntN(3) {
				evs = append(evs, w.Event(st, old, Set("n", value.Int64(int64(k)))))
			}
			if w.Rand.IntN(3) == 0 { // one that arrives later and is not upon the last head
				late := w.Event(st, old, Set("late", value.Bool(true)))
				ew := w.Write(st, evs...)
				mustCommit(t, e, w.Tx(ew))
				st, evs = ew.After, append(evs, late)
				ew = w.Write(st, late)
				mustCommit(t, e, w.Tx(ew))
				st = ew.After
			} else {
				ew := w.Write(st, evs...)
				mustCommit(t, e, w.Tx(ew))
				st = ew.After
			}
			events[first] = append(events[first], evs...)
		}
		states = append(states, first)
	}
	for _, cold := range []bool{false, true} {
		if cold {
			e = reopened(t, place, e)
		}
		snap := mustSnapshot(t, e)
		for _, st := range states {
			all := events[st]
			n := uint64(len(all))
			for _, r := range [][2]uint64{{1, n}, {0, math.MaxUint64}, {2, 2}, {n, n}, {5, 9}, {n - 3, n + 100}, {n + 1, n + 9}, {7, 6}, {0, 0}} {
				got, err := collect(snap.Events(t.Context(), "album", st.ID(), r[0], r[1]))
				if err != nil {
					t.Fatal(err)
				}
				lo, hi := min(max(r[0], 1), n+1), min(r[1], n)
				var want []*event.Event
				if lo <= hi {
					want = all[lo-1 : hi]
				}
				if !slices.EqualFunc(got, want, sameEvent) {
					t.Errorf("revs %d to %d: %d events, want %d", r[0], r[1], len(got), len(want))
				}
			}
			for k, ev := range all {
				at, ok, err := snap.Find(t.Context(), ev.ID)
				if want := (storage.Position{Collection: "album", Entity: st.ID(), Rev: uint64(k + 1)}); err != nil || !ok || at != want {
					t.Errorf("event %d: %v %v %v", k, at, ok, err)
				}
			}
		}
		if _, ok, err := snap.Find(t.Context(), w.id()); ok || err != nil {
			t.Errorf("an event that is not stored: %v %v", ok, err)
		}
		if got, err := collect(snap.Events(t.Context(), "album", w.id(), 1, 10)); len(got) > 0 || err != nil {
			t.Errorf("events of an entity that is not stored: %d %v", len(got), err)
		}
		mustClose(t, snap)
	}
}

func sameEvent(a, b *event.Event) bool {
	return a.ID == b.ID && bytes.Equal(a.HeaderBytes(), b.HeaderBytes()) && bytes.Equal(a.PayloadBytes(), b.PayloadBytes())
}

// meta tests the node's own key space.
func (s *suite) meta(t *testing.T) {
	place := s.New(t)
	e := mustOpen(t, place)
	w := NewWriter(t, 4)
	model := map[string][]byte{}
	key := func() []byte {
		return []byte([]string{"", "a", "a\x00", "ab", "b", "\xFF", "\xFF\xFF", "\x00"}[w.Rand.IntN(8)] + []string{"", "x", "y"}[w.Rand.IntN(3)])
	}
	for round := range 100 {
		var writes []storage.MetaWrite
		for range w.Rand.IntN(5) {
			k := key()
			v := []byte(fmt.Sprint(round))
			switch w.Rand.IntN(4) {
			case 0:
				v = nil
			case 1:
				v = []byte{}
			}
			writes = append(writes, storage.MetaWrite{Key: k, Value: v})
			if v == nil {
				delete(model, string(k))
			} else {
				model[string(k)] = v
			}
		}
		if _, err := e.Commit(t.Context(), &storage.Batch{Meta: writes}); err != nil {
			t.Fatal(err)
		}
		if round == 50 {
			e = reopened(t, place, e)
		}
		lo, hi := key(), key()
		if w.Rand.IntN(3) == 0 {
			lo = nil
		}
		if w.Rand.IntN(3) == 0 {
			hi = nil
		}
		var want []string
		for k, v := range model {
			if bytes.Compare([]byte(k), lo) >= 0 && (hi == nil || bytes.Compare([]byte(k), hi) < 0) {
				want = append(want, k+"="+string(v))
			}
		}
		slices.Sort(want)
		snap := mustSnapshot(t, e)
		var got []string
		for m, err := range snap.MetaRange(t.Context(), lo, hi) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(m.Key)+"="+string(m.Value))
			clear(m.Key) // they are the caller's
			clear(m.Value)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Fatalf("from %q to %q: %q, want %q", lo, hi, got, want)
		}
		k := key()
		v, ok, err := snap.Meta(t.Context(), k)
		if want, there := model[string(k)]; err != nil || ok != there || !bytes.Equal(v, want) || ok && v == nil {
			t.Fatalf("%q: %q %v %v, want %q", k, v, ok, err, want)
		}
		mustClose(t, snap)
	}
}

// collections tests what lists entities without a selection.
func (s *suite) collections(t *testing.T) {
	e := s.open(t)
	w := NewWriter(t, 5)
	want := map[string]int{"a": 3, "ab": 1, "b": 2, "_system": 1, strings.Repeat("z", 128): 1}
	for name, n := range want {
		for range n {
			mustCommit(t, e, w.Tx(w.Create(name)))
		}
	}
	gone := w.Create("deleted")
	mustCommit(t, e, w.Tx(gone))
	mustCommit(t, e, w.Tx(w.Edit(gone.After, entity.SetDeleted(true))))
	want["deleted"] = 1
	snap := mustSnapshot(t, e)
	defer closeLater(t, snap)
	names, err := snap.Collections(t.Context())
	if err != nil || len(names) != len(want) || !slices.IsSorted(names) {
		t.Fatalf("%v %v", names, err)
	}
	for _, name := range names {
		all, err := collect(snap.All(t.Context(), name))
		if err != nil || len(all) != want[name] || !slices.IsSortedFunc(all, func(a, b *entity.State) int { return a.ID().Compare(b.ID()) }) {
			t.Errorf("%s: %d entities, want %d: %v", name, len(all), want[name], err)
		}
	}
	sel := &ankql.Selection{Collection: "deleted", Limit: -1}
	if got, err := collect(snap.Scan(t.Context(), sel)); len(got) > 0 || err != nil {
		t.Errorf("a deleted entity is found: %v", err)
	}
	if st := mustState(t, snap, gone.After); st == nil || st.Exists() {
		t.Errorf("the state of a deleted entity: %v", st)
	}
	for _, absent := range []*entity.State{w.Create("a").After, w.Create("none").After} {
		if st := mustState(t, snap, absent); st != nil {
			t.Errorf("an entity that is not stored: %v", st.ID())
		}
	}
	if all, err := collect(snap.All(t.Context(), "none")); len(all) > 0 || err != nil {
		t.Errorf("a collection that is not there: %d %v", len(all), err)
	}
}
