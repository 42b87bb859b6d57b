package storagetest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/property"
	"github.com/ankurah/ankurah-go/storage"
)

// verifier is an engine that can check its own records.
type verifier interface{ Verify(context.Context) error }

// CheckWhole fails the test unless the store of a durable node is whole:
// see [Whole].
func CheckWhole(t testing.TB, e storage.Engine, kinds *property.Registry) {
	t.Helper()
	if err := Whole(context.Background(), e, kinds); err != nil {
		t.Fatal(err)
	}
}

// Whole returns the first thing that is not right in the store of a durable
// node, nil for none. What the engine can check by itself comes first, then
// what follows from the events (S8, S9, S10): each entity's history is
// complete and causally closed, its state is byte for byte what the events
// make, its head is an antichain of all tips, each event is found where it is,
// and its transaction has a record.
func Whole(ctx context.Context, e storage.Engine, kinds *property.Registry) error {
	if v, ok := e.(verifier); ok {
		if err := v.Verify(ctx); err != nil {
			return err
		}
	}
	snap, err := e.Snapshot()
	if err != nil {
		return err
	}
	return errors.Join(wholeSnapshot(ctx, snap, kinds), snap.Close())
}

func wholeSnapshot(ctx context.Context, snap storage.Snapshot, kinds *property.Registry) error {
	names, err := snap.Collections(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		for st, err := range snap.All(ctx, name) {
			if err == nil {
				err = wholeEntity(ctx, snap, kinds, st)
			}
			if err != nil {
				return fmt.Errorf("ankurah: collection %s: %w", name, err)
			}
		}
	}
	return nil
}

func wholeEntity(ctx context.Context, snap storage.Snapshot, kinds *property.Registry, st *entity.State) error {
	var again *entity.State
	stored, superseded := map[id.ID]event.Tip{}, map[id.ID]bool{}
	for ev, err := range snap.Events(ctx, st.Collection(), st.ID(), 0, ^uint64(0)) {
		if err != nil {
			return err
		}
		for _, p := range ev.Parents {
			if _, ok := stored[p]; !ok {
				return fmt.Errorf("event %s of %s is stored without its parent %s", ev.ID, st.ID(), p)
			}
			superseded[p] = true
		}
		if again, err = again.Apply(kinds, ev); err != nil {
			return fmt.Errorf("event %s of %s does not apply: %w", ev.ID, st.ID(), err)
		}
		at, ok, err := snap.Find(ctx, ev.ID)
		if err != nil || !ok || at != (storage.Position{Collection: st.Collection(), Entity: st.ID(), Rev: again.Rev()}) {
			return fmt.Errorf("event %s of %s at rev %d is found at %+v, %v: %w", ev.ID, st.ID(), again.Rev(), at, ok, err)
		}
		if _, ok, err := snap.Tx(ctx, ev.Tx); err != nil || !ok {
			return fmt.Errorf("transaction %s of event %s has no record: %w", ev.Tx, ev.ID, err)
		}
		stored[ev.ID] = ev.Tip()
	}
	if !sameState(again, st) {
		return fmt.Errorf("the state of %s at rev %d is not what its %d events make", st.ID(), st.Rev(), len(stored))
	}
	// No stored event is a child of a tip, so no tip is another one's ancestor.
	for _, tip := range st.Head() {
		if stored[tip.ID] != tip || superseded[tip.ID] {
			return fmt.Errorf("the head of %s holds %s, which is no tip", st.ID(), tip.ID)
		}
	}
	if len(st.Head())+len(superseded) != len(stored) {
		return fmt.Errorf("the head of %s lacks tips: it has %d, %d of %d events are parents", st.ID(), len(st.Head()), len(superseded), len(stored))
	}
	return nil
}
