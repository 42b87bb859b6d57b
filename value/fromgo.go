package value

import (
	"math"
	"reflect"
	"strconv"
	"time"

	"github.com/ankurah/ankurah-go/id"
)

var timeType = reflect.TypeFor[time.Time]()

// FromGo returns a Go value as a Value: nil, bools, numbers, strings, []byte,
// time.Time, whatever has an ID, Values, pointers to and defined types over
// these, slices of them as lists, and maps with text keys and mixed slices as
// JSON. Integers of at most 32 bits become int32, uint32 and the wider ones
// int64. Nil pointers are null; a nil slice is an empty list. Errors wrap
// [ErrType] and name the Go type. Text is not checked; see [Validate].
func FromGo(x any) (Value, error) { return fromGo(x, 0) }

// fromGo takes the depth of x in what FromGo was given, so that a Go value
// that contains itself is refused.
func fromGo(x any, depth int) (Value, error) {
	if depth > MaxNesting {
		return Null, typeError("nested deeper than " + strconv.Itoa(MaxNesting))
	}
	switch x := x.(type) {
	case nil:
		return Null, nil
	case Value:
		return x, nil
	case *Value: // which also has a method named ID
		if x == nil {
			return Null, nil
		}
		return *x, nil
	case interface{ ID() id.ID }:
		if r := reflect.ValueOf(x); r.Kind() == reflect.Pointer && r.IsNil() {
			return Null, nil
		}
		return ID(x.ID()), nil
	case string:
		return String(x), nil
	case bool:
		return Bool(x), nil
	case int:
		return Int64(int64(x)), nil
	case int32:
		return Int32(x), nil
	case int64:
		return Int64(x), nil
	case float64:
		return Float64(x), nil
	case []byte:
		return Bytes(x), nil
	case time.Time:
		return fromTime(x)
	case map[string]any:
		return jsonFrom(x, depth)
	}
	return fromReflect(reflect.ValueOf(x), depth)
}

func fromTime(t time.Time) (Value, error) {
	v := Time(t)
	if Validate(v) != nil {
		return Null, typeError("a time in the year " + strconv.Itoa(t.Year()) + " is outside the years 1 to 9999")
	}
	return v, nil
}

func fromReflect(r reflect.Value, depth int) (Value, error) {
	switch r.Kind() {
	case reflect.String:
		return String(r.String()), nil
	case reflect.Bool:
		return Bool(r.Bool()), nil
	case reflect.Int8, reflect.Int16, reflect.Int32:
		return Int32(int32(r.Int())), nil
	case reflect.Int, reflect.Int64:
		return Int64(r.Int()), nil
	case reflect.Uint8, reflect.Uint16:
		return Int32(int32(r.Uint())), nil
	case reflect.Uint, reflect.Uint32, reflect.Uint64:
		if r.Uint() > math.MaxInt64 {
			return Null, typeError(strconv.FormatUint(r.Uint(), 10) + " of type " + r.Type().String() + " does not fit int64")
		}
		return Int64(int64(r.Uint())), nil
	case reflect.Float32, reflect.Float64:
		return Float64(r.Float()), nil
	case reflect.Pointer:
		if r.IsNil() {
			return Null, nil
		}
		return fromGo(r.Elem().Interface(), depth+1)
	case reflect.Struct:
		if isTime(r.Type()) {
			p := reflect.New(r.Type())
			p.Elem().Set(r)
			return fromTime(reflect.NewAt(timeType, p.UnsafePointer()).Elem().Interface().(time.Time))
		}
	case reflect.Slice:
		if r.Type().Elem().Kind() == reflect.Uint8 {
			return Bytes(r.Bytes()), nil
		}
		return listFromReflect(r, depth)
	case reflect.Array:
		return listFromReflect(r, depth)
	case reflect.Map:
		if r.Type().Key().Kind() == reflect.String {
			return jsonFrom(textMap(r), depth)
		}
	}
	return Null, typeError("a Go value of type " + r.Type().String() + " is none that a property can hold")
}

// isTime reports whether a struct is defined over [time.Time]: nothing else has
// that package's fields. [reflect.Value.Convert] knows as well, but has a
// program link calls of any method.
func isTime(t reflect.Type) bool {
	if t.NumField() != timeType.NumField() {
		return false
	}
	for k := range t.NumField() {
		if a, b := t.Field(k), timeType.Field(k); a.Name != b.Name || a.PkgPath != b.PkgPath || a.Type != b.Type {
			return false
		}
	}
	return true
}

func textMap(r reflect.Value) map[string]any {
	out := make(map[string]any, r.Len())
	for at := r.MapRange(); at.Next(); {
		out[at.Key().String()] = at.Value().Interface()
	}
	return out
}

// listFromReflect makes a list of elements of one scalar kind, and JSON of
// anything else.
func listFromReflect(r reflect.Value, depth int) (Value, error) {
	out := Value{kind: KindList, list: make([]Value, r.Len())}
	for k := range out.list {
		e, err := fromGo(r.Index(k).Interface(), depth+1)
		if err != nil {
			return Null, typeError("element " + strconv.Itoa(k+1) + ": " + err.Error())
		}
		out.list[k] = e
		if k == 0 {
			out.elem = e.kind
		}
		if e.kind != out.elem || !e.kind.Scalar() {
			out.elem = KindJSON
		}
	}
	switch {
	case out.elem == KindJSON:
		return toJSON(out)
	case r.Len() == 0:
		// The element type says what an empty list holds, if it says anything.
		if e, err := fromGo(reflect.Zero(r.Type().Elem()).Interface(), depth+1); err == nil && e.kind.Scalar() {
			out.elem = e.kind
		}
	}
	return out, nil
}

// JSONFrom returns a JSON value of what [FromGo] accepts; lists become arrays,
// times RFC 3339 text, IDs and bytes the text of [Value.String]. Errors wrap
// [ErrType], and [ErrJSON] where a document cannot hold the text or the depth.
func JSONFrom(x any) (Value, error) { return jsonFrom(x, 0) }

func jsonFrom(x any, depth int) (Value, error) {
	out, err := appendGoJSON(nil, x, depth)
	if err != nil {
		return Null, err
	}
	v, err := ParseJSON(string(out))
	if err != nil {
		return Null, &jsonTypeError{err}
	}
	return v, nil
}

func appendGoJSON(out []byte, x any, depth int) (_ []byte, err error) {
	if depth > MaxNesting {
		return nil, typeError("nested deeper than " + strconv.Itoa(MaxNesting))
	}
	switch x := x.(type) {
	case []any:
		out = append(out, '[')
		for k, e := range x {
			if k > 0 {
				out = append(out, ',')
			}
			if out, err = appendGoJSON(out, e, depth+1); err != nil {
				return nil, err
			}
		}
		return append(out, ']'), nil
	case map[string]any:
		out = append(out, '{')
		first := true
		for k, e := range x {
			if !first {
				out = append(out, ',')
			}
			first = false
			out = append(appendJSONString(out, k), ':')
			if out, err = appendGoJSON(out, e, depth+1); err != nil {
				return nil, err
			}
		}
		return append(out, '}'), nil
	}
	v, err := fromGo(x, depth)
	if err != nil {
		return nil, err
	}
	return appendJSON(out, v)
}
