package sim

import (
	"context"
	"errors"
	"fmt"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/book"
	"github.com/ankurah/ankurah-go/internal/core"
)

// reader is an application that follows the feed of a shared store, now on one
// server and now on another (S62): it hears of each transaction once, of all that
// its author had seen before, and of each entity's in their order. Where the feed
// was trimmed it reads everything anew.
type reader struct {
	w        *World
	position []byte
	heard    map[event.TxID]bool
	revs     map[id.ID]uint64
	causes   map[event.TxID][]part // what authors had seen
}

func newReader(w *World) *reader {
	return &reader{w: w, heard: map[event.TxID]bool{}, revs: map[id.ID]uint64{}, causes: map[event.TxID][]part{}}
}

// expect notes what a node shows when it commits.
func (r *reader) expect(n *node, tx event.TxID) {
	for _, s := range n.published() {
		if r.w.isServers(s) {
			r.causes[tx] = append(r.causes[tx], part{s.ID(), s.Rev()})
		}
	}
}

// read goes on with what a server has published, not always to the end.
func (r *reader) read(n *node) error {
	if n.core == nil || n.core.Broken() != nil {
		return nil
	}
	most := 1000
	if r.w.chance(50) {
		most = 1 + r.w.r.IntN(5)
	}
	_, err := r.readSome(n, most)
	return err
}

func (r *reader) readSome(n *node, most int) (more bool, err error) {
	snap, err := n.current()
	if err != nil {
		return false, nil // it is going down
	}
	defer snap.Release()
	var failed error
	_, more, err = core.ReadFeed(context.Background(), snap, r.position, func(position []byte, tx event.TxID) bool {
		r.position = position
		failed = r.hear(snap, tx)
		most--
		return failed == nil && most > 0
	})
	switch {
	case failed != nil:
		return false, fmt.Errorf("the feed of %s: %w", n.name, failed)
	case errors.Is(err, core.ErrTrimmed):
		r.w.note("the feed of %s is trimmed", n.name)
		return false, r.anew(n, snap)
	}
	return more || most <= 0, err
}

func (r *reader) hear(snap *core.Snap, tx event.TxID) error {
	if r.heard[tx] {
		return fmt.Errorf("transaction %s comes twice", tx)
	}
	r.heard[tx] = true
	b, ok, err := snap.Tx(context.Background(), tx)
	if err != nil || !ok {
		return fmt.Errorf("transaction %s has no record: %w", tx, err)
	}
	touched, err := book.DecodeRecord(b)
	if err != nil {
		return err
	}
	for _, t := range touched {
		if t.Collection != collection {
			continue
		}
		if r.revs[t.Entity] != t.First-1 {
			return fmt.Errorf("transaction %s leads %s from rev %d, which was at %d", tx, t.Entity, t.First-1, r.revs[t.Entity])
		}
		r.revs[t.Entity] = t.Last
	}
	for _, c := range r.causes[tx] {
		if r.revs[c.entity] < c.rev {
			return fmt.Errorf("transaction %s comes before rev %d of %s, which its author had seen", tx, c.rev, c.entity)
		}
	}
	return nil
}

// anew takes everything from a server, and its position.
func (r *reader) anew(n *node, snap *core.Snap) (err error) {
	if r.position, err = n.core.FeedEnd(context.Background(), snap); err != nil {
		return err
	}
	clear(r.heard)
	clear(r.revs)
	for s, err := range snap.All(context.Background(), collection) {
		if err != nil {
			return err
		}
		r.revs[s.ID()] = s.Rev()
	}
	return nil
}

// catchUp reads to the end, on one server after the other, and holds what was
// heard against what is stored.
func (r *reader) catchUp() error {
	for {
		more, err := r.readSome(r.w.someServer(), 1+r.w.r.IntN(50))
		if err != nil {
			return err
		}
		if !more {
			break
		}
	}
	stored, err := r.w.server.disk.known()
	if err != nil {
		return err
	}
	for _, s := range stored {
		if r.revs[s.ID()] != s.Rev() {
			return fmt.Errorf("the feed has led %s to rev %d, stored is %d", s.ID(), r.revs[s.ID()], s.Rev())
		}
	}
	return nil
}

// checkSchema checks that a server knows of the properties that there are.
func (n *node) checkSchema(stored []*entity.State) error {
	m := n.core.Model(collection)
	for _, s := range stored {
		for _, e := range s.Entries() {
			if m.Property(e.Key) == nil && e.Key[0] != '_' {
				return fmt.Errorf("%s does not know property %s", n.name, e.Key)
			}
		}
	}
	return nil
}

// checkLate starts one more server: it knows and shows all that there is, and
// its feed tells it from the beginning, unless that was trimmed.
func (w *World) checkLate() error {
	if len(w.servers) == 1 {
		return nil
	}
	late := w.node("late", agent{w.open})
	late.disk = w.server.disk
	if err := late.start(); err != nil {
		return err
	}
	stored, err := late.disk.known()
	if err != nil {
		return err
	}
	if got := late.published(); !sameRows(got, stored) {
		return fmt.Errorf("%s publishes %s, stored is %s", late.name, list(got), list(stored))
	}
	if err := late.checkSchema(stored); err != nil {
		return err
	}
	r := newReader(w)
	r.causes = w.reader.causes
	for {
		switch more, err := r.readSome(late, 1000); {
		case err != nil:
			return err
		case !more:
			for _, s := range stored {
				if r.revs[s.ID()] != s.Rev() {
					return fmt.Errorf("the whole feed leads %s to rev %d, stored is %d", s.ID(), r.revs[s.ID()], s.Rev())
				}
			}
			return nil
		}
	}
}
