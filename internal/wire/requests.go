package wire

import (
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/pb"
	"github.com/ankurah/ankurah-go/internal/protowire"
)

// Questions for entities, histories and schemas, and their answers.

// Want asks for entities by ID; a [Rows] answers it.
type Want struct {
	ID         uint64
	Collection string
	Entities   []Known // rev 0: nothing is known
}

func (*Want) kind() protowire.Number { return kWant }
func (m *Want) append(b []byte) []byte {
	b = pb.AppendUint64(b, 1, m.ID)
	b = appendText(b, 2, m.Collection)
	return appendKnown(b, 3, m.Entities)
}
func (m *Want) decode(r *pb.Reader) {
	for r.Next() {
		switch r.Num {
		case 1:
			m.ID = number(r)
		case 2:
			m.Collection = text(r, maxName)
		case 3:
			m.Entities = known(r)
		default:
			r.Unknown()
		}
	}
	r.Require(1, 2, 3)
}

// History asks for the events of an entity after a rev.
type History struct {
	ID         uint64
	Collection string
	Entity     id.ID
	After      uint64
}

func (*History) kind() protowire.Number { return kHistory }
func (m *History) append(b []byte) []byte {
	b = pb.AppendUint64(b, 1, m.ID)
	b = appendText(b, 2, m.Collection)
	b = appendID(b, 3, m.Entity)
	return pb.AppendUint64(b, 4, m.After)
}
func (m *History) decode(r *pb.Reader) {
	for r.Next() {
		switch r.Num {
		case 1:
			m.ID = number(r)
		case 2:
			m.Collection = text(r, maxName)
		case 3:
			fixedID(r, &m.Entity)
		case 4:
			m.After = number(r)
		default:
			r.Unknown()
		}
	}
	r.Require(1, 2, 3)
}

// Events is a part of the answer to a [History].
type Events struct {
	ID     uint64
	Events [][]byte // encoded, by rev
	Done   bool
	Bases  []Base // states before events whose predecessors are left out
}

// Base is the state before an event of a list.
type Base struct {
	At    uint64 // index of the event
	State []byte // encoded
}

func (*Events) kind() protowire.Number { return kEvents }
func (m *Events) append(b []byte) []byte {
	b = pb.AppendUint64(b, 1, m.ID)
	for _, e := range m.Events {
		b = pb.AppendBytes(b, 2, e)
	}
	b = appendBool(b, 3, m.Done)
	for _, x := range m.Bases {
		body := pb.AppendUint64(nil, 1, x.At)
		b = pb.AppendBytes(b, 4, pb.AppendBytes(body, 2, x.State))
	}
	return b
}
func (m *Events) decode(r *pb.Reader) {
	for r.Next() {
		switch r.Num {
		case 1:
			m.ID = number(r)
		case 2:
			r.Repeated()
			m.Events = append(m.Events, raw(r))
		case 3:
			m.Done = boolean(r)
		case 4:
			r.Repeated()
			m.Bases = append(m.Bases, base(r))
		default:
			r.Unknown()
		}
	}
	r.Require(1)
}

func base(outer *pb.Reader) (x Base) {
	r := pb.NewReader("base", outer.Bytes())
	for r.Next() {
		switch r.Num {
		case 1:
			x.At = number(r)
		case 2:
			x.State = raw(r)
		default:
			r.Unknown()
		}
	}
	r.Require(2)
	if err := r.Err(); err != nil {
		outer.FailWith(err)
	}
	return x
}

// Describe asks what is known of a collection's schema, or of all that the
// asker may read something of.
type Describe struct {
	ID         uint64
	Collection string // "": all
}

func (*Describe) kind() protowire.Number { return kDescribe }
func (m *Describe) append(b []byte) []byte {
	return appendText(pb.AppendUint64(b, 1, m.ID), 2, m.Collection)
}
func (m *Describe) decode(r *pb.Reader) {
	for r.Next() {
		switch r.Num {
		case 1:
			m.ID = number(r)
		case 2:
			m.Collection = text(r, maxName)
		default:
			r.Unknown()
		}
	}
	r.Require(1)
}

// Described answers a [Describe].
type Described struct {
	ID     uint64
	Models [][]byte // encoded as in a store's catalog
}

func (*Described) kind() protowire.Number { return kDescribed }
func (m *Described) append(b []byte) []byte {
	b = pb.AppendUint64(b, 1, m.ID)
	for _, x := range m.Models {
		b = pb.AppendBytes(b, 2, x)
	}
	return b
}
func (m *Described) decode(r *pb.Reader) {
	for r.Next() {
		switch r.Num {
		case 1:
			m.ID = number(r)
		case 2:
			r.Repeated()
			m.Models = append(m.Models, raw(r))
		default:
			r.Unknown()
		}
	}
	r.Require(1)
}
