package ankurah

import (
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/value"
)

// ID identifies an entity or an event: 128 bits, 26 characters as text.
type ID = id.ID

// TxID identifies a transaction.
type TxID = event.TxID

// ParseID reads the 26 characters of an ID.
func ParseID(s string) (ID, error) { return id.Parse(s) }

// Identified is whatever has an entity ID: an [ID] itself, a view, a
// reference, a mutable.
type Identified interface{ ID() ID }

// Ref is a reference to an entity of model M. The zero Ref refers to nothing.
// Refs are comparable.
type Ref[M any] struct{ id ID }

// RefTo returns a reference to the entity that i identifies.
func RefTo[M any](i Identified) Ref[M] { return Ref[M]{i.ID()} }

// ID returns the ID of the entity referred to.
func (r Ref[M]) ID() ID { return r.id }

// IsZero reports whether r refers to nothing.
func (r Ref[M]) IsZero() bool { return r.id.IsZero() }

func (r *Ref[M]) refer(i ID) { r.id = i }

// String returns the ID's text, "" of the zero Ref.
func (r Ref[M]) String() string {
	if r.IsZero() {
		return ""
	}
	return r.id.String()
}

// JSON is a JSON document. The zero JSON is null.
type JSON struct{ v value.Value }

// ParseJSON reads a document from its text.
func ParseJSON(text string) (JSON, error) {
	v, err := value.ParseJSON(text)
	return JSON{v}, err
}

// JSONOf makes a document of nil, bools, numbers, strings, times, []any and
// map[string]any.
func JSONOf(x any) (JSON, error) {
	v, err := value.JSONFrom(x)
	return JSON{v}, err
}

// MustJSON is like [JSONOf] and panics on an error; for constants and tests.
func MustJSON(x any) JSON {
	j, err := JSONOf(x)
	if err != nil {
		panic(err)
	}
	return j
}

// Get returns what stands at a path of keys and list indexes inside j, as
// nil, bool, int64, float64, string, []any or map[string]any.
func (j JSON) Get(path ...string) any {
	if len(path) == 0 {
		return j.v.GoValue()
	}
	return j.v.Lookup(path...).GoValue()
}

// IsNull reports whether j is null.
func (j JSON) IsNull() bool { return j.v.IsNull() }

// Equal reports whether both documents hold the same.
func (j JSON) Equal(o JSON) bool { return value.Equal(j.v, o.v) }

// String returns the document as compact text.
func (j JSON) String() string {
	if j.v.IsNull() {
		return "null"
	}
	return j.v.Text()
}

// storedValue lets JSON stand as a query parameter.
func (j JSON) storedValue() value.Value { return j.v }
