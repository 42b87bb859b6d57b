package sim

import (
	"context"
	"iter"
	"slices"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/book"
	"github.com/ankurah/ankurah-go/internal/wire"
	"github.com/ankurah/ankurah-go/storage"
)

// to.
type promises struct {
	committed map[event.TxID]bool // that the server acknowledged
	forgiven  map[event.TxID]bool // that were lost with a store that was replaced
	secret    map[id.ID]bool      // entities that were never to be seen
	joint     [][]part            // commits of the server that touched several entities
	restores  int                 // how often the server's store was replaced by an older one
	kept      *disk               // the backup
	keptAt    map[event.TxID]bool // committed by then
	truths    map[truth]*fact     // states that the server had
}

type part struct {
	entity id.ID
	rev    uint64
}

type truth struct {
	entity id.ID
	rev    uint64
}

// fact is a state and its encoding.
type fact struct {
	state   *entity.State
	encoded string
}

func newPromises() promises {
	return promises{
		committed: map[event.TxID]bool{}, forgiven: map[event.TxID]bool{}, secret: map[id.ID]bool{}, truths: map[truth]*fact{},
	}
}

// own is a transaction of which its user was told that it is committed.
type own struct {
	n        *node
	tx       event.TxID
	denied   bool // a rule is against it
	requires bool
	creates  []id.ID
	changes  []id.ID
	refers   []id.ID
	events   map[id.ID]bool // false: perhaps
	tips     []id.ID        // of what it changes
	done     bool           // the node that made it was told the outcome
	refused  error
	life     int // of the node, when it made it
	required []storage.Require
	wrote    []written
}

// written is a property that a transaction wrote.
type written struct {
	entity id.ID
	key    string
	event  id.ID
}

// builds reports whether o builds on another transaction of its node.
func (o *own) builds(on *own) bool {
	return slices.ContainsFunc(o.tips, func(t id.ID) bool { return on.events[t] }) ||
		slices.ContainsFunc(o.refers, func(i id.ID) bool { return slices.Contains(on.creates, i) })
}

// mayBuild is builds, with what on may have made.
func (o *own) mayBuild(on *own) bool {
	return o.builds(on) || slices.ContainsFunc(o.tips, func(t id.ID) bool { _, is := on.events[t]; return is })
}

// made returns the events of a transaction that the node has just stored, none
// of one that was decided on at once.
func (n *node) made(tx event.TxID) (events []*event.Event, err error) {
	snap, err := n.disk.Snapshot()
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	ctx := context.Background()
	if n.agent == nil {
		for o, err := range outbox(ctx, snap) {
			if err != nil {
				return nil, err
			}
			if o.Tx == tx {
				return decodeEvents(o.Events)
			}
		}
		return nil, nil // what it builds on was refused meanwhile
	}
	b, _, err := snap.Tx(ctx, tx)
	if err != nil {
		return nil, err
	}
	touched, err := book.DecodeRecord(b)
	for _, t := range touched {
		for e, err := range snap.Events(ctx, t.Collection, t.Entity, t.First, t.Last) {
			if err != nil {
				return nil, err
			}
			events = append(events, e)
		}
	}
	return events, err
}

// outbox reads what waits for a server.
func outbox(ctx context.Context, snap storage.Snapshot) iter.Seq2[*wire.Submit, error] {
	return func(yield func(*wire.Submit, error) bool) {
		for w, err := range snap.MetaRange(ctx, []byte("outbox/"), []byte("outbox0")) {
			var m wire.Message
			if err == nil {
				m, err = wire.Decode(w.Value)
			}
			o, _ := m.(*wire.Submit)
			if !yield(o, err) || err != nil {
				return
			}
		}
	}
}

func decodeEvents(encoded [][]byte) (out []*event.Event, err error) {
	for _, b := range encoded {
		e, err := event.Decode(b)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// wrote remembers what a node was told to be committed, and so what it is
// promised.
func (w *World) wrote(o *own, after []*entity.State) {
	n := o.n
	if n.isServer() {
		w.committed[o.tx] = true
		w.remember(o.tx)
	}
	made, err := n.made(o.tx)
	if err != nil {
		w.fail(err)
		return
	}
	o.events = map[id.ID]bool{}
	for _, e := range made {
		o.events[e.ID] = true
	}
	if len(made) == 0 { // it was refused before this node was told that it is committed
		for _, s := range after {
			for _, t := range s.Head() {
				if !slices.Contains(o.tips, t.ID) {
					o.events[t.ID] = false
				}
			}
		}
	}
	for _, s := range after {
		for _, p := range s.Entries() {
			if o.events[p.Last] {
				o.wrote = append(o.wrote, written{s.ID(), p.Key, p.Last})
			}
		}
	}
	n.own = append(n.own, o)
	if n.isServer() {
		return
	}
	o.confirm()
}

// confirm waits for what becomes of a client's transaction.
func (o *own) confirm() {
	w := o.n.w
	o.n.core.Confirm(o.tx, func(err error) {
		o.done = true
		if o.refused = err; err == nil && !w.committed[o.tx] {
			w.committed[o.tx] = true
			w.remember(o.tx)
		}
	})
}

// checkWrites checks that users see their own writes, or later ones, until
// those are refused or their entity is withdrawn; the clients' of this life, as
// long as they are pending, since a server may be restored.
func (n *node) checkWrites() {
	if n.w.load.skew && !n.isServer() {
		return // events may have been made again
	}
	for _, o := range n.own[max(0, len(n.own)-20):] {
		if o.done || o.life != n.life {
			continue
		}
		for _, x := range o.wrote {
			s := n.visible(x.entity)
			if s == nil && !n.isServer() {
				continue
			}
			if p := s.Entry(x.key); p == nil || p.Last.Less(x.event) {
				n.w.failf("%s does not see what it has written to %s of %s", n.name, x.key, x.entity)
			}
		}
	}
}

// remember notes what a stored transaction did to several entities.
func (w *World) remember(tx event.TxID) {
	snap, err := w.server.disk.Snapshot()
	if err != nil {
		w.fail(err)
		return
	}
	defer snap.Close()
	b, ok, err := snap.Tx(context.Background(), tx)
	if err != nil || !ok {
		w.fail(err)
		return // its store was replaced
	}
	touched, err := book.DecodeRecord(b)
	w.fail(err)
	var parts []part
	for _, t := range touched {
		parts = append(parts, part{t.Entity, t.Last})
	}
	if len(parts) > 1 {
		w.joint = append(w.joint[max(0, len(w.joint)-100):], parts)
	}
}

// isServers reports whether the server has, or had, just this state.
func (w *World) isServers(s *entity.State) bool {
	f := w.fact(s.ID(), s.Rev())
	return f != nil && f.encoded == string(s.Append(nil))
}

// fact returns the state of an entity at a rev in the server's store, nil when
// it is not there, or not yet.
func (w *World) fact(i id.ID, rev uint64) *fact {
	at := truth{i, rev}
	f := w.truths[at]
	if f == nil {
		s, err := w.server.at(i, rev)
		w.fail(err)
		if s == nil {
			return nil
		}
		f = &fact{s, string(s.Append(nil))}
		w.truths[at] = f
	}
	return f
}

// at replays the history of an entity up to a rev; nil when it has no such.
func (n *node) at(i id.ID, rev uint64) (*entity.State, error) {
	snap, err := n.disk.Snapshot()
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	var s *entity.State
	for e, err := range snap.Events(context.Background(), collection, i, 1, rev) {
		if err == nil {
			s, err = s.Apply(kinds, e)
		}
		if err != nil {
			return nil, err
		}
	}
	if s.Rev() != rev {
		return nil, nil
	}
	return s, nil
}
