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
	"github.com/ankurah/ankurah-go/storage/dump"
)

// CheckWhole fails the test unless the store of a durable node is whole:
// see [Whole].
func CheckWhole(t testing.TB, e storage.Engine, kinds *property.Registry) {
	t.Helper()
	if err := Whole(context.Background(), e, kinds); err != nil {
		t.Fatal(err)
	}
}

// Whole returns everything that is not right in the store of a durable node,
// nil for nothing: what [dump.Verify] finds (S8, S9), and heads that are not
// the tips of their events (S10). A store that was never used is whole.
func Whole(ctx context.Context, e storage.Engine, kinds *property.Registry) error {
	var found []error
	_, err := dump.Verify(ctx, e, &dump.Options{Kinds: kinds, Damage: func(err error) { found = append(found, err) }})
	switch {
	case errors.Is(err, dump.ErrEmpty):
		return nil
	case err != nil:
		return errors.Join(append(found, err)...)
	}
	snap, err := e.Snapshot()
	if err != nil {
		return err
	}
	return errors.Join(wholeHeads(ctx, snap), snap.Close())
}

func wholeHeads(ctx context.Context, snap storage.Snapshot) error {
	names, err := snap.Collections(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		for st, err := range snap.All(ctx, name) {
			if err == nil {
				err = wholeHead(ctx, snap, st)
			}
			if err != nil {
				return fmt.Errorf("ankurah: collection %s: %w", name, err)
			}
		}
	}
	return nil
}

// wholeHead finds out the tips without applying events, which is how the state
// came by its head.
func wholeHead(ctx context.Context, snap storage.Snapshot, st *entity.State) error {
	stored, superseded := map[id.ID]event.Tip{}, map[id.ID]bool{}
	for ev, err := range snap.Events(ctx, st.Collection(), st.ID(), 1, st.Rev()) {
		if err != nil {
			return err
		}
		for _, p := range ev.Parents {
			if _, ok := stored[p]; !ok {
				return fmt.Errorf("event %s of %s is stored without its parent %s", ev.ID, st.ID(), p)
			}
			superseded[p] = true
		}
		stored[ev.ID] = ev.Tip()
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
