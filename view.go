package ankurah

import (
	"strings"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/value"
)

// Head is the set of an entity's newest events: what a version is named by.
type Head = event.Head

// View is one entity at one moment, without its model's type; generated views
// embed it. Views are immutable, one pointer wide and comparable: == is
// identity, [View.SameVersion] compares what is shown.
type View struct{ s *entity.State }

func (v View) base() View { return v }

// ID returns the entity's ID.
func (v View) ID() ID {
	if v.s == nil {
		return ID{}
	}
	return v.s.ID()
}

// IsZero reports whether v shows nothing: it is the zero View.
func (v View) IsZero() bool { return v.s == nil }

// String returns the collection, the ID and the properties, for people and
// logs.
func (v View) String() string {
	if v.s == nil {
		return "nothing"
	}
	var b strings.Builder
	b.WriteString(v.s.Collection() + " " + v.ID().String())
	for _, e := range v.s.Entries() {
		if e.Key[0] != '_' {
			b.WriteString(" " + e.Key + "=" + e.Value.String())
		}
	}
	return b.String()
}

// Head returns the version that v shows. It must not be changed. Inside a
// transaction it is the version that the edits start from.
func (v View) Head() Head { return v.s.Head() }

// SameVersion reports whether both views show the same version of the same
// entity.
func (v View) SameVersion(o View) bool {
	return v.s == o.s || v.s != nil && o.s != nil && v.s.ID() == o.s.ID() && len(v.s.Head()) > 0 && v.s.Head().Equal(o.s.Head())
}

// Mutable is one entity that a transaction edits, without its model's type;
// generated mutables embed it.
type Mutable struct{ e *edit }

// ID returns the entity's ID. It stays usable after commit.
func (m Mutable) ID() ID { return m.e.id }

// Read returns the entity as the transaction sees it now.
func (m Mutable) Read() View { return m.read() }

func (m Mutable) read() View {
	s, err := m.e.state()
	if err != nil {
		m.e.tx.note(err)
	}
	return View{s}
}

// Delete deletes the entity. One that this transaction created is not made at
// all. The transaction remembers an error, so that it may be ignored here.
func (m Mutable) Delete() error { return m.e.tx.note(m.e.delete()) }

// set writes one property. The transaction remembers the first error.
func (m Mutable) set(p *schema.Property, v value.Value) error {
	return m.e.tx.note(m.e.set(p, v))
}
