package ankurah

import (
	"strconv"
	"time"

	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/value"
)

// Def is what a model says of one property beside its Go type.
type Def struct {
	Name     string   // the struct field
	Key      string   // the stored key: snake_case
	Optional bool     // a pointer field
	Default  any      // what a missing property reads as, nil for the zero value
	Enum     []string // allowed texts, nil for any
}

// Property is a typed property of a model: how its Go values become stored
// ones and back. Generated code makes one for each field. A Property is
// immutable and belongs to the program, not to a node.
type Property[T any] struct {
	def  schema.Property
	to   func(T) value.Value
	from func(value.Value) T
}

// AnyProperty is a [Property] of any type.
type AnyProperty interface{ definition() schema.Property }

func (p *Property[T]) definition() schema.Property { return p.def }

// Key returns the key the property is stored under.
func (p *Property[T]) Key() string { return p.def.Key }

func newProperty[T any](d Def, t value.Type, to func(T) value.Value, from func(value.Value) T) *Property[T] {
	p := &Property[T]{
		def:  schema.Property{Key: d.Key, Name: d.Name, Type: t, Kind: schema.LWW, Optional: d.Optional, Enum: d.Enum},
		to:   to,
		from: from,
	}
	if d.Default != nil {
		v, err := value.FromGo(d.Default)
		if err == nil {
			v, err = value.Convert(v, t)
		}
		if err != nil {
			panic("ankurah: default of " + d.Name + ": " + err.Error())
		}
		p.def.Default = v
	}
	return p
}

// StringProperty describes a text property.
func StringProperty[T ~string](d Def) *Property[T] {
	return newProperty(d, value.Type{Kind: value.KindString},
		func(t T) value.Value { return value.String(string(t)) },
		func(v value.Value) T { return T(v.Text()) })
}

// BoolProperty describes a truth value.
func BoolProperty[T ~bool](d Def) *Property[T] {
	return newProperty(d, value.Type{Kind: value.KindBool},
		func(t T) value.Value { return value.Bool(bool(t)) },
		func(v value.Value) T { return T(v.Bool()) })
}

// Int32Property describes a number that fits 32 bits.
func Int32Property[T ~int32 | ~int16 | ~int8 | ~uint16 | ~uint8](d Def) *Property[T] {
	return newProperty(d, value.Type{Kind: value.KindInt32},
		func(t T) value.Value { return value.Int32(int32(t)) },
		func(v value.Value) T { return T(v.Int()) })
}

// Int64Property describes a number that fits 64 bits.
func Int64Property[T ~int64 | ~int | ~uint32](d Def) *Property[T] {
	return newProperty(d, value.Type{Kind: value.KindInt64},
		func(t T) value.Value { return value.Int64(int64(t)) },
		func(v value.Value) T { return T(v.Int()) })
}

// Float64Property describes a floating-point number.
func Float64Property[T ~float64 | ~float32](d Def) *Property[T] {
	return newProperty(d, value.Type{Kind: value.KindFloat64},
		func(t T) value.Value { return value.Float64(float64(t)) },
		func(v value.Value) T { return T(v.Float()) })
}

// BytesProperty describes a byte string; what it returns is a copy.
func BytesProperty[T ~[]byte](d Def) *Property[T] {
	return newProperty(d, value.Type{Kind: value.KindBytes},
		func(t T) value.Value { return value.Bytes(t) },
		func(v value.Value) T { return T(v.Bytes()) })
}

// TimeProperty describes an instant, kept in UTC with microseconds, years 1 to
// 9999. The zero time is year 1.
func TimeProperty(d Def) *Property[time.Time] {
	return newProperty(d, value.Type{Kind: value.KindTime}, value.Time, value.Value.Time)
}

// IDProperty describes a bare entity ID. The zero ID is stored as null.
func IDProperty(d Def) *Property[ID] {
	return newProperty(d, value.Type{Kind: value.KindID}, idValue, value.Value.ID)
}

func idValue(i ID) value.Value {
	if i.IsZero() {
		return value.Null
	}
	return value.ID(i)
}

// RefProperty describes a reference to an entity of model M in collection.
// The zero reference is stored as null.
func RefProperty[M any](collection string, d Def) *Property[Ref[M]] {
	p := newProperty(d, value.Type{Kind: value.KindID},
		func(r Ref[M]) value.Value { return idValue(r.id) },
		func(v value.Value) Ref[M] { return Ref[M]{v.ID()} })
	p.def.Ref = collection
	return p
}

// JSONProperty describes a JSON document. The zero JSON is stored as null.
func JSONProperty(d Def) *Property[JSON] {
	return newProperty(d, value.Type{Kind: value.KindJSON},
		func(j JSON) value.Value { return j.v },
		func(v value.Value) JSON { return JSON{v} })
}

// ListProperty describes a list of scalars; elem describes one of them, its
// Def counts for nothing. What the property returns is a copy.
func ListProperty[T any](elem *Property[T], d Def) *Property[[]T] {
	kind := elem.def.Type.Kind
	p := newProperty(d, value.Type{Kind: value.KindList, Elem: kind},
		func(ts []T) value.Value {
			vs := make([]value.Value, len(ts))
			for k, t := range ts {
				vs[k] = elem.to(t)
			}
			return value.List(kind, vs)
		},
		func(v value.Value) []T {
			ts := make([]T, v.Len())
			for k := range ts {
				ts[k] = elem.from(v.At(k))
			}
			return ts
		})
	p.def.Ref = elem.def.Ref
	return p
}

// Of returns the property of v: the declared default, else the zero value,
// where it is missing or null.
func (p *Property[T]) Of(v View) T {
	t, _ := p.Lookup(v)
	return t
}

// Lookup returns the property of v and whether it has a value. A declared
// default counts as a value where the property was never written.
func (p *Property[T]) Lookup(v View) (T, bool) {
	var val value.Value
	if v.s != nil {
		if e := v.s.Entry(p.def.Key); e != nil {
			val = e.Value
		} else {
			val = p.def.Default
		}
	}
	return p.read(val)
}

// read converts a stored value. A stored type that only needs widening is
// widened; one that cannot be read as T reads as missing, which registration
// of the model reports as an incompatible schema before it can happen.
func (p *Property[T]) read(v value.Value) (T, bool) {
	var zero T
	if v.IsNull() {
		return zero, false
	}
	if v.Kind() != p.def.Type.Kind || v.Kind() == value.KindList && v.Type() != p.def.Type {
		c, err := value.Convert(v, p.def.Type)
		if err != nil {
			return zero, false
		}
		v = c
	}
	return p.from(v), true
}

// Pointer returns the property of v as a pointer to a copy, nil where it has
// no value.
func (p *Property[T]) Pointer(v View) *T {
	t, ok := p.Lookup(v)
	if !ok {
		return nil
	}
	return &t
}

// Write sets the property in a new entity.
func (p *Property[T]) Write(m Mutable, t T) { m.set(&p.def, p.to(t)) }

// WriteOptional sets the property in a new entity unless t is nil.
func (p *Property[T]) WriteOptional(m Mutable, t *T) {
	if t != nil {
		m.set(&p.def, p.to(*t))
	}
}

// Field returns the handle of the property in an edited entity.
func (p *Property[T]) Field(m Mutable) Field[T] { return Field[T]{p, m} }

// OptionalField returns the handle of an optional property.
func (p *Property[T]) OptionalField(m Mutable) OptionalField[T] { return OptionalField[T]{p, m} }

// Field is the handle of one property of an entity that a transaction edits.
type Field[T any] struct {
	p *Property[T]
	m Mutable
}

// Get returns the value as the transaction sees it.
func (f Field[T]) Get() T { return f.p.Of(f.m.read()) }

// Set writes the property. The transaction remembers the first error, so that
// it may be ignored here: commit returns it.
func (f Field[T]) Set(t T) error { return f.m.set(&f.p.def, f.p.to(t)) }

// OptionalField is the handle of one optional property.
type OptionalField[T any] struct {
	p *Property[T]
	m Mutable
}

// Get returns the value as the transaction sees it, and whether there is one.
func (f OptionalField[T]) Get() (T, bool) { return f.p.Lookup(f.m.read()) }

// Set writes the property; see [Field.Set] for the error.
func (f OptionalField[T]) Set(t T) error { return f.m.set(&f.p.def, f.p.to(t)) }

// Clear sets the property to null; see [Field.Set] for the error.
func (f OptionalField[T]) Clear() error { return f.m.set(&f.p.def, value.Null) }

// checkValue reports what is wrong with v as a value of property p.
func checkValue(collection string, p *schema.Property, v value.Value) error {
	err := value.Validate(v)
	if err == nil && len(p.Enum) > 0 && v.Kind() == value.KindString {
		err = checkEnum(p.Enum, v.Text())
	}
	if err != nil {
		return &FieldError{Collection: collection, Property: p.Key, Err: err}
	}
	return nil
}

func checkEnum(enum []string, text string) error {
	list := ""
	for k, e := range enum {
		if e == text {
			return nil
		}
		if k > 0 {
			list += ", "
		}
		list += e
	}
	return &enumError{text, list}
}

type enumError struct{ text, list string }

func (e *enumError) Error() string { return strconv.Quote(e.text) + " is not one of " + e.list }
