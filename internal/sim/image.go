package sim

import (
	"context"
	"errors"
	"fmt"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/pb"
	"github.com/ankurah/ankurah-go/value"
)

// What disks hold.

// checkImage checks what a disk holds, at rest or after a crash.
func (n *node) checkImage() error {
	check := n.checkPending
	if n.agent != nil {
		check = n.checkApplied
	}
	if err := check(); err != nil {
		return fmt.Errorf("the disk of %s: %w", n.name, err)
	}
	return nil
}

// checkApplied checks that stored is applied: states are what the events give,
// in the order of their arrival and in the order of their IDs; events' parents
// are stored; heads are what no event has for a parent (S8-S10, S12, S17).
func (n *node) checkApplied() error {
	states, err := n.disk.known()
	if err != nil {
		return err
	}
	snap, err := n.disk.Snapshot()
	if err != nil {
		return err
	}
	defer snap.Close()
	for _, s := range states {
		var events []*event.Event
		for e, err := range snap.Events(context.Background(), collection, s.ID(), 1, s.Rev()+1) {
			if err != nil {
				return err
			}
			events = append(events, e)
		}
		if uint64(len(events)) != s.Rev() {
			return fmt.Errorf("%s is at rev %d and has %d events", s.ID(), s.Rev(), len(events))
		}
		hidden := false // before the event
		k := 0
		arrived, err := replay(events, func(s *entity.State) error {
			if hidden && events[k].Actor != "" && !n.w.open {
				return fmt.Errorf("a user wrote to %s, which was hidden, at rev %d (S38)", s.ID(), s.Rev())
			}
			hidden = s.Value("hidden").Bool()
			k++
			if n := s.Value("n"); n.Kind() == value.KindInt64 && n.Int() == unlucky {
				return fmt.Errorf("%s is against a rule at rev %d", s.ID(), s.Rev())
			}
			return nil
		})
		if err != nil {
			return err
		}
		if !same(arrived, s) {
			return fmt.Errorf("the state of %s is not what its events give", s.ID())
		}
		id.SortBy(events, func(e *event.Event) id.ID { return e.ID })
		sorted, err := replay(events, func(*entity.State) error { return nil })
		if err != nil {
			return err
		}
		if !same(sorted, s) {
			return fmt.Errorf("the state of %s depends on the order of its events", s.ID())
		}
	}
	return nil
}

// replay applies events, whose parents must come before them, and calls each
// with every state.
func replay(events []*event.Event, each func(*entity.State) error) (s *entity.State, err error) {
	had, superseded := map[id.ID]bool{}, map[id.ID]bool{}
	for _, e := range events {
		for _, p := range e.Parents {
			if !had[p] {
				return nil, fmt.Errorf("the parent %s of %s is not before it", p, e.ID)
			}
			superseded[p] = true
		}
		if had[e.ID] {
			return nil, fmt.Errorf("event %s is there twice", e.ID)
		}
		had[e.ID] = true
		if s, err = s.Apply(kinds, e); err != nil {
			return nil, err
		}
		if err := each(s); err != nil {
			return nil, err
		}
	}
	for _, t := range s.Head() {
		if superseded[t.ID] {
			return nil, fmt.Errorf("%s is in the head of %s and a parent", t.ID, s.ID())
		}
	}
	if len(had)-len(superseded) != len(s.Head()) {
		return nil, fmt.Errorf("%s has %d tips and %d in its head", s.ID(), len(had)-len(superseded), len(s.Head()))
	}
	return s, nil
}

// checkPending checks that what a client shows is its bases with the outbox
// applied (S26).
func (n *node) checkPending() error {
	if n.disk.Engine == nil {
		return nil
	}
	snap, err := n.disk.Snapshot()
	if err != nil {
		return err
	}
	defer snap.Close()
	ctx := context.Background()
	shown := map[id.ID]*entity.State{}
	want := map[id.ID]*entity.State{}
	for m, err := range snap.MetaRange(ctx, []byte("base/"), []byte("base0")) {
		if err != nil {
			return err
		}
		i, err := id.FromBytes(m.Key[len("base/"):])
		if err != nil {
			return err
		}
		if want[i], err = decodeBase(i, m.Value); err != nil {
			return err
		}
	}
	for o, err := range outbox(ctx, snap) {
		if err != nil {
			return err
		}
		events, err := decodeEvents(o.Events)
		if err != nil {
			return err
		}
		for _, e := range events {
			s, based := want[e.Entity]
			if !based {
				return fmt.Errorf("%s has pending events and no base", e.Entity)
			}
			if s.Head().Contains(e.ID) {
				continue
			}
			if next, err := s.Apply(kinds, e); err == nil {
				want[e.Entity] = next
			}
		}
	}
	states, err := n.disk.known()
	if err != nil {
		return err
	}
	for _, s := range states {
		shown[s.ID()] = s
	}
	for i, s := range want {
		switch got := shown[i]; {
		case s == nil && got == nil:
		case s == nil || got == nil || !same(s, got):
			return fmt.Errorf("%s is not its base with what is pending on top", i)
		}
	}
	return nil
}

func decodeBase(i id.ID, b []byte) (s *entity.State, err error) {
	r := pb.NewReader("base", b)
	for r.Next() {
		switch r.Num {
		case 2:
			s, err = entity.Decode(collection, i, r.Bytes())
		default:
			r.Bytes()
		}
	}
	return s, errors.Join(err, r.Err())
}
