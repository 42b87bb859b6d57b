package sim

import (
	"bytes"
	"fmt"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/internal/wire"
)

// What frames say.

// taint looks for what must not cross the wire (S38).
func (w *World) taint(frame []byte) {
	if bytes.Contains(frame, []byte(secretTag)) {
		w.failf("what is hidden crosses the wire")
	}
	for i := range w.secret {
		if bytes.Contains(frame, i[:]) {
			w.failf("%s, which is hidden, is named on the wire", i)
		}
	}
}

// inspect checks a frame that leaves the server: nothing hidden is in it, and
// nothing that is not written (S23), or that never was so.
func (w *World) inspect(frame []byte) {
	w.taint(frame)
	m, err := wire.Decode(frame)
	if err != nil {
		w.fail(err)
		return
	}
	var changes []wire.Change
	switch m := m.(type) {
	case *wire.Push:
		changes = m.Changes
	case *wire.Rows:
		changes = m.Changes
	case *wire.Ack:
		changes = m.Changes
		if !w.stored(m.Tx) {
			w.failf("transaction %s is acknowledged and not written", m.Tx)
		}
	}
	for k := range changes {
		x := &changes[k]
		if x.Removed {
			continue
		}
		f := w.fact(x.Entity, x.After)
		switch {
		case f == nil:
			w.failf("rev %d of %s is sent and not written", x.After, x.Entity)
		case len(x.State) > 0:
			if string(x.State) != f.encoded {
				w.failf("rev %d of %s is sent in a state that it never had", x.After, x.Entity)
			}
		case !f.state.Head().Equal(x.Head):
			w.failf("rev %d of %s is sent with a head that it never had", x.After, x.Entity)
		case len(x.Events) > 0:
			w.fail(w.leads(x, f))
		}
	}
}

// inspectClaims checks a frame that leaves a client: what it says that it knows
// the server has had (S35).
func (w *World) inspectClaims(frame []byte) {
	m, err := wire.Decode(frame)
	if err != nil {
		w.fail(err)
		return
	}
	var known []wire.Known
	switch m := m.(type) {
	case *wire.Query:
		known = m.Known
	case *wire.Want:
		known = m.Entities
	}
	for _, k := range known {
		if k.Rev > 0 && w.restores == 0 && w.fact(k.Entity, k.Rev) == nil {
			w.failf("a client says that it knows rev %d of %s, which the server never had", k.Rev, k.Entity)
		}
	}
}

// leads checks that the events of a change lead from the one rev to the other.
func (w *World) leads(x *wire.Change, to *fact) error {
	var s *entity.State
	if x.Before > 0 {
		from := w.fact(x.Entity, x.Before)
		if from == nil {
			return fmt.Errorf("rev %d of %s is said to be before, and is not written", x.Before, x.Entity)
		}
		s = from.state
	}
	for _, b := range x.Events {
		e, err := event.Decode(b)
		if err == nil {
			s, err = s.Apply(kinds, e)
		}
		if err != nil {
			return err
		}
	}
	if string(s.Append(nil)) != to.encoded {
		return fmt.Errorf("the events of %s that are sent do not lead from rev %d to %d", x.Entity, x.Before, x.After)
	}
	return nil
}
