package core

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/property"
	"github.com/ankurah/ankurah-go/property/lww"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/value"
)

// scripted is an executor whose work is done when the test says so, in an
// order that the seed decides.
type scripted struct {
	t     testing.TB
	eng   storage.Engine
	r     *rand.Rand
	now   uint64
	wrong int64 // of the wall clock, milliseconds
	tasks []func()

	unreadable error // why nothing can be read, nil while it can
}

func (x *scripted) Now() uint64     { return uint64(int64(x.now) + x.wrong) }
func (x *scripted) Elapsed() uint64 { return x.now }
func (x *scripted) Random(b []byte) {
	for k := range b {
		b[k] = byte(x.r.Uint32())
	}
}
func (x *scripted) Write(b *storage.Batch, done func(storage.Result, storage.Snapshot, error)) {
	x.tasks = append(x.tasks, func() {
		res, err := x.eng.Commit(context.Background(), b)
		if err != nil {
			done(res, nil, err)
			return
		}
		snap, err := x.eng.Snapshot()
		done(res, snap, err)
	})
}
func (x *scripted) Read(job func(context.Context) error, done func(error)) {
	x.tasks = append(x.tasks, func() {
		if x.unreadable != nil {
			done(x.unreadable)
			return
		}
		done(job(context.Background()))
	})
}
func (x *scripted) Snapshot() (storage.Snapshot, error) { return x.eng.Snapshot() }
func (x *scripted) EnsureIndexes(string)                {}

// step does one task of those that wait; false when none does.
func (x *scripted) step() bool {
	if len(x.tasks) == 0 {
		return false
	}
	k := x.r.IntN(len(x.tasks))
	task := x.tasks[k]
	x.tasks = slices.Delete(x.tasks, k, k+1)
	task()
	return true
}

// Wake is of no use without connections.
func (x *scripted) Wake(*Conn) {}

func newCore(t testing.TB, seed uint64) (*Core, *scripted) {
	t.Helper()
	x := &scripted{t: t, eng: memory.New(), r: rand.New(rand.NewPCG(seed, 1)), now: 1_700_000_000_000}
	snap, err := x.eng.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	c, err := Boot(t.Context(), x, Config{Kinds: property.NewRegistry(lww.Kind), Durable: true, Policy: policy.Permissive{}, CacheSize: 4 << 10}, snap)
	if err != nil {
		t.Fatal(err)
	}
	c.CreateSystem(func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	})
	for x.step() {
	}
	return c, x
}

// writer makes events elsewhere: on what it has seen, by its own clock.
type writer struct {
	clock  id.Clock
	author event.Author
	skew   uint64
	heads  map[id.ID]event.Head
}

func (w *writer) make(x *scripted, root, entityID id.ID, birth *event.Birth, ops ...event.Operation) *event.Event {
	var salt, tx [16]byte
	x.Random(salt[:])
	x.Random(tx[:])
	entity.SortOps(ops)
	e, err := event.New(event.Header{
		Root: root, Entity: entityID, Collection: "album", Parents: w.heads[entityID].Parents(),
		Author: w.author, Tx: tx, Stamp: w.clock.Next(x.now + w.skew), Birth: birth,
	}, salt, ops)
	if err != nil {
		x.t.Fatal(err)
	}
	w.see(e)
	return e
}

func (w *writer) see(e *event.Event) {
	w.clock.Observe(e.Stamp)
	w.heads[e.Entity] = w.heads[e.Entity].Advance(e)
}

// history is what several writers make of some entities, in causal order.
func history(x *scripted, root id.ID) []*event.Event {
	writers := make([]*writer, 2+x.r.IntN(4))
	for k := range writers {
		writers[k] = &writer{author: event.NodeAuthor(id.New(id.NewStamp(1, uint16(k)), [8]byte{})), skew: uint64(x.r.IntN(30_000)), heads: map[id.ID]event.Head{}}
	}
	var all []*event.Event
	seen := make([]map[id.ID]bool, len(writers))
	for k := range seen {
		seen[k] = map[id.ID]bool{}
	}
	know := func(k int, e *event.Event) {
		if !seen[k][e.ID] {
			seen[k][e.ID] = true
			writers[k].see(e)
		}
	}
	for range 2 {
		w := writers[0]
		birth := event.Birth{Stamp: w.clock.Next(x.now)}
		x.Random(birth.Nonce[:])
		e := w.make(x, root, birth.EntityID(root, "album", w.author), &birth, lww.Set("name", value.String("first")))
		all = append(all, e)
		for k := range writers {
			know(k, e)
		}
	}
	for range 10 + x.r.IntN(30) {
		k := x.r.IntN(len(writers))
		if x.r.IntN(2) == 0 { // learn a causally closed prefix
			for _, e := range all[:x.r.IntN(len(all)+1)] {
				know(k, e)
			}
		}
		ops := []event.Operation{lww.Set([]string{"name", "year"}[x.r.IntN(2)], value.String(string(rune('a'+x.r.IntN(20)))))}
		if x.r.IntN(8) == 0 {
			ops = append(ops, entity.SetDeleted(x.r.IntN(2) == 0))
		}
		e := writers[k].make(x, root, all[x.r.IntN(2)].Entity, nil, ops...)
		seen[k][e.ID] = true
		all = append(all, e)
	}
	return all
}

// S8, S10–S13, S17, S27: the same events, submitted in any causal order and
// batching and more than once, lead every store to the same states.
func TestSubmissionsConverge(t *testing.T) {
	for seed := range uint64(150) {
		base, x := newCore(t, seed)
		all := history(x, base.root)
		var want map[id.ID]string
		for order := range uint64(3) {
			c, y := newCore(t, seed) // the same seed makes the same system
			if c.root != base.root {
				t.Fatal("a core is not deterministic: two systems of one seed differ")
			}
			y.r = rand.New(rand.NewPCG(seed, 100+order))
			got := deliver(t, c, y, all)
			if want == nil {
				want = got
				checkOracle(t, c, all)
			}
			for entityID, state := range want {
				if got[entityID] != state {
					t.Fatalf("seed %d, order %d: entity %v differs", seed, order, entityID)
				}
			}
		}
	}
}

// deliver submits all events in a random causal order and returns the encoded
// states.
func deliver(t *testing.T, c *Core, x *scripted, all []*event.Event) map[id.ID]string {
	pending := slices.Clone(all)
	stored := map[id.ID]bool{}
	for len(pending) > 0 {
		var batch []*event.Event
		in := map[id.ID]bool{}
		for n := 1 + x.r.IntN(4); n > 0 && len(pending) > 0; n-- {
			ready := slices.DeleteFunc(slices.Clone(pending), func(e *event.Event) bool {
				return slices.ContainsFunc(e.Parents, func(p id.ID) bool { return !stored[p] && !in[p] })
			})
			if len(ready) == 0 {
				break
			}
			e := ready[x.r.IntN(len(ready))]
			pending = slices.DeleteFunc(pending, func(o *event.Event) bool { return o == e })
			batch, in[e.ID] = append(batch, e), true
		}
		if len(batch) == 0 {
			x.step() // what is under way has to arrive first
			continue
		}
		if len(stored) > 0 && x.r.IntN(3) == 0 { // something that is stored already
			for _, e := range all {
				if stored[e.ID] {
					batch = append(batch, e)
					break
				}
			}
		}
		x.r.Shuffle(len(batch), func(a, b int) { batch[a], batch[b] = batch[b], batch[a] })
		req := &Request{Events: batch, Done: func(_ []*entity.State, err error) {
			if err != nil {
				t.Fatal(err)
			}
			for e := range in {
				stored[e] = true
			}
		}}
		x.Random(req.ID[:])
		c.Commit(req)
		if x.r.IntN(4) == 0 {
			again := *req
			c.Commit(&again) // an Ack was lost
		}
		for x.r.IntN(3) > 0 && x.step() {
		}
	}
	for x.step() {
	}
	out := map[id.ID]string{}
	for _, e := range all {
		s, err := c.State(t.Context(), e.Collection, e.Entity)
		if err != nil {
			t.Fatal(err)
		}
		out[e.Entity] = string(s.Append(nil))
	}
	return out
}

// checkOracle compares states with what the rules say of the set of events.
func checkOracle(t *testing.T, c *Core, all []*event.Event) {
	t.Helper()
	for _, genesis := range all[:2] {
		child := map[id.ID]bool{}
		last := map[string]*event.Event{}
		rev := uint64(0)
		for _, e := range all {
			if e.Entity != genesis.Entity {
				continue
			}
			rev++
			for _, p := range e.Parents {
				child[p] = true
			}
			for _, op := range e.Ops {
				if l := last[op.Property]; l == nil || l.ID.Less(e.ID) {
					last[op.Property] = e
				}
			}
		}
		s, err := c.State(t.Context(), "album", genesis.Entity)
		if err != nil {
			t.Fatal(err)
		}
		if s.Rev() != rev {
			t.Fatalf("rev %d of %d events", s.Rev(), rev)
		}
		tips := 0
		for _, e := range all {
			if e.Entity == genesis.Entity && !child[e.ID] {
				tips++
				if !s.Head().Contains(e.ID) {
					t.Fatalf("%v has no child and is no tip", e.ID)
				}
			}
		}
		if tips != len(s.Head()) {
			t.Fatalf("%d tips, want %d", len(s.Head()), tips)
		}
		for key, e := range last {
			if got := s.Entry(key).Last; got != e.ID {
				t.Fatalf("%s was last written by %v, want %v", key, got, e.ID)
			}
		}
	}
}

// S4, S6, S12: what a submission breaks is said, and nothing of it is stored.
func TestSubmissionsRefused(t *testing.T) {
	c, x := newCore(t, 1)
	all := history(x, c.root)
	late := &writer{author: event.NodeAuthor(id.New(1, [8]byte{})), skew: MaxClockSkew + 1000, heads: map[id.ID]event.Head{}}
	birth := event.Birth{Stamp: late.clock.Next(x.now)}
	early := late.make(x, c.root, birth.EntityID(c.root, "album", late.author), &birth)
	foreignBirth := event.Birth{Stamp: 5}
	other := &writer{author: event.NodeAuthor(id.New(2, [8]byte{})), heads: map[id.ID]event.Head{}}
	foreign := other.make(x, id.New(9, [8]byte{1}), foreignBirth.EntityID(id.New(9, [8]byte{1}), "album", other.author), &foreignBirth)
	for name, f := range map[string]struct {
		events []*event.Event
		want   error
	}{
		"parent missing": {[]*event.Event{all[len(all)-1], all[0]}, ErrUnknownParent},
		"too early":      {[]*event.Event{all[0], early}, ErrTooEarly},
		"foreign root":   {[]*event.Event{all[0], foreign}, event.ErrMalformed},
	} {
		var got error
		req := &Request{Events: f.events, Done: func(_ []*entity.State, err error) { got = err }}
		x.Random(req.ID[:])
		c.Commit(req)
		for x.step() {
		}
		if !errors.Is(got, f.want) {
			t.Errorf("%s: %v", name, got)
		}
		if s, err := c.State(t.Context(), "album", all[0].Entity); s != nil || err != nil {
			t.Errorf("%s: a refused submission left %v, %v", name, s, err)
		}
	}
}
