// Package storagetest provides what every storage engine is tested with: the
// conformance suite [Run], the one of ordered stores [RunStore], and helpers
// that make valid events and states.
package storagetest

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/property"
	"github.com/ankurah/ankurah-go/property/lww"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/value"
)

// Writer makes valid events, states and transactions, as a node would. It is
// deterministic, and not safe for concurrent use.
type Writer struct {
	Rand  *rand.Rand
	Kinds *property.Registry

	t     testing.TB
	root  id.ID
	node  id.ID
	clock id.Clock
	now   uint64
	tx    event.TxID // of the events since the last transaction
}

// NewWriter returns a writer whose IDs follow from seed.
func NewWriter(t testing.TB, seed uint64) *Writer {
	w := &Writer{Rand: rand.New(rand.NewPCG(seed, 0)), Kinds: property.NewRegistry(lww.Kind), t: t, now: 1_700_000_000_000}
	w.root, w.node = w.id(), w.id()
	return w
}

func (w *Writer) id() id.ID {
	var hash [8]byte
	for k := range hash {
		hash[k] = byte(w.Rand.Uint32())
	}
	return id.New(w.stamp(), hash)
}

func (w *Writer) stamp() id.Stamp {
	if w.Rand.IntN(3) == 0 {
		w.now++
	}
	return w.clock.Next(w.now)
}

func (w *Writer) random() (b [16]byte) {
	for k := range b {
		b[k] = byte(w.Rand.Uint32())
	}
	return b
}

// TxID returns a new transaction ID.
func (w *Writer) TxID() event.TxID { return w.random() }

// Genesis returns an event that creates an entity.
func (w *Writer) Genesis(collection string, ops ...event.Operation) *event.Event {
	h := event.Header{Collection: collection, Birth: &event.Birth{Stamp: w.stamp(), Nonce: w.random()}}
	h.Entity = h.Birth.EntityID(w.root, collection, event.NodeAuthor(w.node))
	return w.event(h, ops)
}

// Event returns an event upon a head of an entity.
func (w *Writer) Event(s *entity.State, head event.Head, ops ...event.Operation) *event.Event {
	return w.event(event.Header{Entity: s.ID(), Collection: s.Collection(), Parents: head.Parents()}, ops)
}

func (w *Writer) event(h event.Header, ops []event.Operation) *event.Event {
	w.t.Helper()
	for _, p := range h.Parents { // S3
		w.clock.Observe(p.Stamp())
	}
	if w.tx.IsZero() {
		w.tx = w.random()
	}
	h.Root, h.Author, h.Tx, h.Stamp = w.root, event.NodeAuthor(w.node), w.tx, w.stamp()
	ops = slices.Clone(ops)
	entity.SortOps(ops)
	e, err := event.New(h, w.random(), ops)
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// Write returns the write that applies events, sorted by ID, to a state.
func (w *Writer) Write(before *entity.State, events ...*event.Event) storage.EntityWrite {
	w.t.Helper()
	after := before
	for _, e := range events {
		var err error
		if after, err = after.Apply(w.Kinds, e); err != nil {
			w.t.Fatal(err)
		}
	}
	return storage.EntityWrite{Before: before, After: after, Events: events}
}

// Create returns the write that creates an entity.
func (w *Writer) Create(collection string, ops ...event.Operation) storage.EntityWrite {
	w.t.Helper()
	return w.Write(nil, w.Genesis(collection, ops...))
}

// Edit returns the write of one event upon a state's own head.
func (w *Writer) Edit(before *entity.State, ops ...event.Operation) storage.EntityWrite {
	w.t.Helper()
	return w.Write(before, w.Event(before, before.Head(), ops...))
}

// Tx returns a transaction of writes, with an ID and a record. The ID is that
// in the events made since the last one.
func (w *Writer) Tx(writes ...storage.EntityWrite) storage.Tx {
	writes = slices.Clone(writes)
	slices.SortFunc(writes, func(a, b storage.EntityWrite) int { return a.After.ID().Compare(b.After.ID()) })
	tx := w.tx
	if tx.IsZero() {
		tx = w.random()
	}
	w.tx = event.TxID{}
	return storage.Tx{ID: tx, Record: tx[:4], Entities: writes}
}

// Set returns the operation that writes a register.
func Set(key string, v value.Value) event.Operation { return lww.Set(key, v) }
