package value

import (
	"math"
	"strconv"
	"time"

	"github.com/ankurah/ankurah-go/id"
)

// Kind says what a value is. The numbers are part of the wire format.
type Kind uint8

const (
	KindNull    Kind = 0
	KindString  Kind = 1  // text: valid UTF-8 without U+0000
	KindBool    Kind = 2  // true or false
	KindInt32   Kind = 3  // 32-bit signed integer
	KindInt64   Kind = 4  // 64-bit signed integer
	KindFloat64 Kind = 5  // IEEE 754 double
	KindBytes   Kind = 6  // any bytes
	KindTime    Kind = 7  // an instant, microseconds since the Unix epoch, years 1 to 9999
	KindID      Kind = 8  // an entity ID, so also a reference
	KindJSON    Kind = 9  // a JSON document in compact form
	KindList    Kind = 10 // a list of scalars of one kind, without nulls
	// 11 is reserved for chunked blobs.

	kindEnd = 11
)

var kindNames = [kindEnd]string{"null", "string", "bool", "int32", "int64", "float64", "bytes", "time", "id", "json", "list"}

// String returns the kind's name as it appears in errors and in the catalog.
func (k Kind) String() string {
	if k < kindEnd {
		return kindNames[k]
	}
	return "kind " + strconv.Itoa(int(k))
}

// Scalar reports whether k may be an element of a list.
func (k Kind) Scalar() bool { return k > KindNull && k < KindJSON }

// Numeric reports whether k is int32, int64 or float64.
func (k Kind) Numeric() bool { return k >= KindInt32 && k <= KindFloat64 }

// Type is a value type: a kind, and for lists the kind of the elements.
type Type struct {
	Kind Kind
	Elem Kind // KindNull unless Kind is KindList
}

// String returns the type's name, "list of string" for lists.
func (t Type) String() string {
	if t.Kind == KindList {
		return "list of " + t.Elem.String()
	}
	return t.Kind.String()
}

// Valid reports whether t is a type that a property can have.
func (t Type) Valid() bool {
	if t.Kind == KindList {
		return t.Elem.Scalar()
	}
	return t.Kind > KindNull && t.Kind < kindEnd && t.Elem == KindNull
}

// Value is one immutable value. The zero Value is null. Values are not
// comparable with ==; use [Equal] or [Compare].
type Value struct {
	kind Kind
	elem Kind    // lists: the elements' kind, KindNull when not known of an empty list
	n    uint64  // bool, integers, time, float bits
	s    string  // string, bytes, ID (16 bytes), JSON text
	list []Value // lists; never changed after construction
}

// Null is the null value.
var Null Value

// String returns a text value. It does not check s; see [Validate].
func String(s string) Value { return Value{kind: KindString, s: s} }

// Bool returns a truth value.
func Bool(b bool) Value {
	v := Value{kind: KindBool}
	if b {
		v.n = 1
	}
	return v
}

// Int32 returns a 32-bit integer.
func Int32(n int32) Value { return Value{kind: KindInt32, n: uint64(int64(n))} }

// Int64 returns a 64-bit integer.
func Int64(n int64) Value { return Value{kind: KindInt64, n: uint64(n)} }

// Float64 returns a floating-point number. Negative zero becomes zero and
// every NaN the same NaN, so that equal numbers have equal encodings.
func Float64(f float64) Value {
	if f == 0 {
		f = 0
	}
	if f != f {
		f = math.NaN()
	}
	return Value{kind: KindFloat64, n: math.Float64bits(f)}
}

// Bytes returns a byte string; b is copied.
func Bytes(b []byte) Value { return Value{kind: KindBytes, s: string(b)} }

// Time returns an instant, rounded down to microseconds. One that microseconds
// of 64 bits cannot count becomes the nearest that they can, which [Validate]
// refuses.
func Time(t time.Time) Value {
	const most = math.MaxInt64 / 1_000_000
	if s := t.Unix(); s >= most {
		return Micros(math.MaxInt64)
	} else if s < -most {
		return Micros(math.MinInt64)
	}
	return Micros(t.UnixMicro())
}

// Micros returns the instant us microseconds after the Unix epoch.
func Micros(us int64) Value { return Value{kind: KindTime, n: uint64(us)} }

// ID returns an entity ID. The zero ID is a value of its own, not null.
func ID(i id.ID) Value { return Value{kind: KindID, s: string(i[:])} }

// List returns a list of scalars of kind elem. It takes ownership of vs. It
// does not check the elements; see [Validate].
func List(elem Kind, vs []Value) Value { return Value{kind: KindList, elem: elem, list: vs} }

// Kind returns what v is.
func (v Value) Kind() Kind { return v.kind }

// Type returns v's type. The element kind of an empty list may be KindNull.
func (v Value) Type() Type { return Type{Kind: v.kind, Elem: v.elem} }

// IsNull reports whether v is null.
func (v Value) IsNull() bool { return v.kind == KindNull }

// Text returns the text of a string or JSON value, "" of any other.
func (v Value) Text() string {
	if v.kind == KindString || v.kind == KindJSON {
		return v.s
	}
	return ""
}

// Bool returns the truth of a bool value, false of any other.
func (v Value) Bool() bool { return v.kind == KindBool && v.n != 0 }

// Int returns the number in an int32 or int64 value, 0 of any other.
func (v Value) Int() int64 {
	if v.kind == KindInt32 || v.kind == KindInt64 {
		return int64(v.n)
	}
	return 0
}

// Float returns the number in any numeric value, the nearest float64 of an
// int64, and 0 of a value that is no number.
func (v Value) Float() float64 {
	switch v.kind {
	case KindFloat64:
		return math.Float64frombits(v.n)
	case KindInt32, KindInt64:
		return float64(int64(v.n))
	}
	return 0
}

// Bytes returns a copy of the bytes of a bytes value, nil of any other.
func (v Value) Bytes() []byte {
	if v.kind != KindBytes {
		return nil
	}
	return []byte(v.s)
}

// Time returns the instant in a time value in UTC, the zero time of any other.
func (v Value) Time() time.Time {
	if v.kind != KindTime {
		return time.Time{}
	}
	return time.UnixMicro(int64(v.n)).UTC()
}

// Micros returns the microseconds since the Unix epoch of a time value, 0 of
// any other.
func (v Value) Micros() int64 {
	if v.kind != KindTime {
		return 0
	}
	return int64(v.n)
}

// ID returns the ID in an ID value, the zero ID of any other.
func (v Value) ID() id.ID {
	if v.kind != KindID {
		return id.ID{}
	}
	return id.ID([]byte(v.s))
}

// Len returns the number of elements of a list, 0 of any other value.
func (v Value) Len() int { return len(v.list) }

// At returns element k of a list, counted from 0.
func (v Value) At(k int) Value { return v.list[k] }

// Size estimates the bytes that v holds in memory beside the Value itself.
func (v Value) Size() int {
	n := len(v.s)
	for _, e := range v.list {
		n += 56 + len(e.s)
	}
	return n
}
