package entity_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/property"
	"github.com/ankurah/ankurah-go/property/lww"
	"github.com/ankurah/ankurah-go/value"
)

var kinds = property.NewRegistry(lww.Kind)

// past is a set of events that a writer has seen.
type past struct {
	events []*event.Event
	head   event.Head
	clock  id.Clock
}

func (p *past) see(e *event.Event) {
	for _, o := range p.events {
		if o == e {
			return
		}
	}
	p.events = append(p.events, e)
	p.head = p.head.Advance(e)
	p.clock.Observe(e.Stamp)
}

// history makes a random history of one entity by 2 to 5 writers with skewed
// clocks; it is in causal order.
func history(t *testing.T, r *rand.Rand) []*event.Event {
	root, author := id.New(1, [8]byte{1}), event.NodeAuthor(id.New(2, [8]byte{}))
	birth := event.Birth{Stamp: 10}
	writers := make([]past, 2+r.IntN(4))
	var all []*event.Event
	add := func(w *past, skew uint64, b *event.Birth, ops ...event.Operation) {
		entity.SortOps(ops)
		e, err := event.New(event.Header{
			Root: root, Entity: birth.EntityID(root, "album", author), Collection: "album", Parents: w.head.Parents(), Author: author,
			Tx: event.TxID{1}, Stamp: w.clock.Next(1000 + skew + uint64(len(all))), Birth: b,
		}, [16]byte{byte(r.Uint32()), byte(r.Uint32())}, ops)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
		w.see(e)
	}
	add(&writers[0], 0, &birth, lww.Set("name", value.String("born")))
	for k := range writers {
		writers[k].see(all[0])
	}
	for range 4 + r.IntN(20) {
		w := &writers[r.IntN(len(writers))]
		if r.IntN(2) == 0 {
			for _, e := range all[:1+r.IntN(len(all))] {
				w.see(e)
			}
		}
		ops := []event.Operation{lww.Set([]string{"name", "year", "tags"}[r.IntN(3)], value.Int32(r.Int32N(5)))}
		if r.IntN(6) == 0 {
			ops = append(ops, entity.SetDeleted(r.IntN(2) == 0))
		}
		add(w, uint64(r.IntN(40)), nil, ops...)
	}
	return all
}

// apply applies events in a random causal order, some of them offered twice.
func apply(t *testing.T, r *rand.Rand, events []*event.Event) *entity.State {
	var s *entity.State
	stored := map[id.ID]bool{}
	for len(stored) < len(events) {
		e := events[r.IntN(len(events))]
		ready := !stored[e.ID] // what is stored is a no-op: the caller looks it up (S11)
		for _, p := range e.Parents {
			ready = ready && stored[p]
		}
		if !ready {
			continue
		}
		var err error
		if s, err = s.Apply(kinds, e); err != nil {
			t.Fatal(err)
		}
		stored[e.ID] = true
	}
	return s
}

// S8–S17: equal sets of events give byte-equal states, whatever the order,
// equal to what the rules say of the set.
func TestStatesConverge(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 3))
		all := history(t, r)
		s := apply(t, r, all)
		if other := apply(t, r, all); !bytes.Equal(s.Append(nil), other.Append(nil)) {
			t.Fatalf("seed %d: two orders, two states", seed)
		}
		ancestors := map[id.ID]map[id.ID]bool{}
		last := map[string]*event.Event{}
		for _, e := range all {
			up := map[id.ID]bool{}
			for _, p := range e.Parents {
				up[p] = true
				for a := range ancestors[p] {
					up[a] = true
				}
			}
			ancestors[e.ID] = up
			for _, op := range e.Ops {
				if l := last[op.Property]; l == nil || l.ID.Less(e.ID) {
					last[op.Property] = e
				}
			}
		}
		if s.Rev() != uint64(len(all)) {
			t.Fatalf("seed %d: rev %d of %d events", seed, s.Rev(), len(all))
		}
		for _, e := range all {
			tip := true
			for _, o := range all {
				tip = tip && !ancestors[o.ID][e.ID]
			}
			if tip != s.Head().Contains(e.ID) {
				t.Fatalf("seed %d: %v is a tip: %v, in the head: %v", seed, e.ID, tip, !tip)
			}
		}
		for key, e := range last {
			for _, op := range e.Ops {
				if want, _ := value.Decode(op.Data); op.Property == key && (s.Entry(key).Last != e.ID || !value.Equal(s.Value(key), want)) {
					t.Fatalf("seed %d: %s is %v, want %v", seed, key, s.Value(key), want)
				}
			}
		}
		joins(t, r, all, s)
	}
}

// joins checks that joining two copies that saw different, causally closed
// parts gives what the union gives, either way round and again (S15).
func joins(t *testing.T, r *rand.Rand, all []*event.Event, whole *entity.State) {
	part := func() *entity.State {
		in := map[id.ID]bool{}
		var events []*event.Event
		for k, e := range all {
			ok := k == 0 || r.IntN(3) > 0
			for _, p := range e.Parents {
				ok = ok && in[p]
			}
			if in[e.ID] = ok; ok {
				events = append(events, e)
			}
		}
		return apply(t, r, events)
	}
	a, b := part(), part()
	join := func(x, y *entity.State) *entity.State {
		j, err := x.Join(kinds, y)
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	if len(entity.Changed(join(a, b), join(b, a))) > 0 || len(entity.Changed(join(join(a, b), b), join(a, b))) > 0 {
		t.Fatal("join is not commutative and idempotent")
	}
	if changed := entity.Changed(join(whole, a), whole); len(changed) > 0 {
		t.Fatalf("joining a part changes the whole: %v", changed)
	}
}

// S5, S9: a second genesis and an event before it are refused.
func TestGenesisComesOnceAndFirst(t *testing.T) {
	all := history(t, rand.New(rand.NewPCG(1, 1)))
	var none *entity.State
	if _, err := none.Apply(kinds, all[1]); !errors.Is(err, entity.ErrGenesis) {
		t.Errorf("an event without its entity: %v", err)
	}
	s, err := none.Apply(kinds, all[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Apply(kinds, all[0]); !errors.Is(err, entity.ErrGenesis) {
		t.Errorf("a second genesis: %v", err)
	}
}

// S15: an operation of an unknown kind or version is told apart from a broken
// one, and changes nothing.
func TestUnknownKinds(t *testing.T) {
	all := history(t, rand.New(rand.NewPCG(1, 2)))
	s := apply(t, rand.New(rand.NewPCG(1, 2)), all[:1])
	for name, c := range map[string]struct {
		op   event.Operation
		want error
	}{
		"kind":          {event.Operation{Property: "x", Kind: "counter"}, property.ErrUnknownKind},
		"version":       {event.Operation{Property: "x", Kind: "lww", Version: 1, Data: value.Append(nil, value.Int32(1))}, property.ErrUnknownKind},
		"kind of value": {event.Operation{Property: "x", Kind: "lww", Data: []byte{11 << 3, 1}}, property.ErrUnknownKind},
		"broken":        {event.Operation{Property: "x", Kind: "lww", Data: []byte{0xFF}}, property.ErrOperation},
	} {
		if _, err := s.Overlay(kinds, []event.Operation{c.op}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// States read back as they were written.
func TestCodec(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 9))
		s := apply(t, r, history(t, r))
		b := s.Append(nil)
		back, err := entity.Decode(s.Collection(), s.ID(), b)
		if err != nil || !bytes.Equal(back.Append(nil), b) || !back.Head().Equal(s.Head()) || back.Rev() != s.Rev() || back.Exists() != s.Exists() {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}
