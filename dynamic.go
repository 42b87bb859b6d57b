package ankurah

import (
	"iter"

	"github.com/ankurah/ankurah-go/internal/sorting"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/value"
)

// Fields are the properties of an entity by key, for code that knows no model.
type Fields map[string]any

// Record is a view of an entity whose model the program does not know.
type Record struct{ View }

// Get returns a property as a Go value, and whether it has one.
func (r Record) Get(key string) (any, bool) {
	if r.s == nil {
		return nil, false
	}
	v := r.s.Value(key)
	return v.GoValue(), !v.IsNull()
}

// Keys returns the keys of the properties that were ever written, sorted.
func (r Record) Keys() []string {
	var keys []string
	if r.s == nil {
		return nil
	}
	for _, e := range r.s.Entries() {
		if e.Key[0] != '_' && (len(keys) == 0 || keys[len(keys)-1] != e.Key) {
			keys = append(keys, e.Key)
		}
	}
	return keys
}

// Values yields the properties that have a value, by key, in the order of the
// keys.
func (r Record) Values() iter.Seq2[string, value.Value] {
	return func(yield func(string, value.Value) bool) {
		for _, k := range r.Keys() {
			if v := r.s.Value(k); !v.IsNull() && !yield(k, v) {
				return
			}
		}
	}
}

// Fields returns the properties that have a value.
func (r Record) Fields() Fields {
	f := Fields{}
	for _, k := range r.Keys() {
		if v, ok := r.Get(k); ok {
			f[k] = v
		}
	}
	return f
}

// Edit is an entity that a transaction edits, whose model the program does not
// know.
type Edit struct{ Mutable }

// View returns the entity as the transaction sees it.
func (e *Edit) View() Record { return Record{e.Read()} }

// Get returns a property as the transaction sees it.
func (e *Edit) Get(key string) (any, bool) { return e.View().Get(key) }

// Set writes a property. The value is converted to the type that the
// collection is known to store. The transaction remembers the first error.
func (e *Edit) Set(key string, x any) error { return e.setAny(key, x) }

func (m Mutable) setAny(key string, x any) error {
	v, err := value.FromGo(x)
	if s, ok := x.(interface{ storedValue() value.Value }); ok {
		v, err = s.storedValue(), nil
	}
	if err == nil && (key == "" || key[0] == '_' || key == "id") {
		err = ErrReserved
	}
	p := &schema.Property{Key: key, Kind: schema.LWW, Type: v.Type()}
	if known := m.e.tx.s.n.core.Model(m.e.collection).Property(key); known != nil && err == nil {
		p = known
		v, err = value.Convert(v, p.Type)
	}
	if err != nil {
		return m.e.tx.note(&FieldError{Collection: m.e.collection, Property: key, Err: err})
	}
	return m.set(p, v)
}

// Dynamic returns a collection by its name, for code that knows no model.
func Dynamic(collection string) Collection[Fields, Record, *Edit] {
	return Bind(Binding[Fields, Record, *Edit]{
		Collection: collection,
		View:       func(v View) Record { return Record{v} },
		Edit:       func(m Mutable) *Edit { return &Edit{m} },
		Fill: func(m Mutable, f *Fields) {
			for _, k := range sorting.Keys(*f) {
				// The transaction remembers the error.
				_ = m.setAny(k, (*f)[k])
			}
		},
	})
}
