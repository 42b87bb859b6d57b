package value

import (
	"encoding/hex"
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/ankurah/ankurah-go/id"
)

// ErrType is wrapped by the errors of [Convert] and [FromGo].
var ErrType = errors.New("wrong type")

type typeError string

func (e typeError) Error() string { return string(e) }
func (e typeError) Unwrap() error { return ErrType }

func notA(v Value, what string) error { return typeError(clip(v.String()) + " is not " + what) }

var kindNouns = [kindEnd]string{"null", "text", "true or false", "a number", "a number", "a number",
	"bytes in hexadecimal", "a time such as 2006-01-02T15:04:05Z", "an ID", "JSON", "a list"}

// Convert returns v as type t where that loses nothing (S46): numbers between
// the numeric kinds within their range, text that spells a number, a truth
// value, a time (RFC 3339, or a date), an ID or bytes in hexadecimal, anything
// as JSON. Null stays null. The error says what v is not.
func Convert(v Value, t Type) (Value, error) {
	if v.kind == KindNull || v.kind == t.Kind && v.kind != KindList {
		return v, nil
	}
	if v.kind == KindJSON {
		if u := v.Unwrap(); u.kind != KindJSON {
			return Convert(u, t)
		}
	}
	switch t.Kind {
	case KindString:
		// Text is never made of something else: '9' and 9 differ.
	case KindInt32, KindInt64, KindFloat64:
		return toNumber(v, t.Kind)
	case KindBool:
		if s := strings.ToLower(v.Text()); s == "true" || s == "false" {
			return Bool(s == "true"), nil
		}
	case KindTime:
		return toTime(v)
	case KindID:
		if i, err := id.Parse(v.Text()); err == nil {
			return ID(i), nil
		}
	case KindBytes:
		if b, err := hex.DecodeString(v.Text()); err == nil && v.kind == KindString {
			return Bytes(b), nil
		}
	case KindJSON:
		return toJSON(v)
	case KindList:
		return toList(v, t.Elem)
	}
	return Null, notA(v, kindNouns[t.Kind])
}

func toNumber(v Value, k Kind) (Value, error) {
	if v.kind == KindString {
		s := strings.TrimSpace(v.s)
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			v = Int64(n)
		} else if f, err := strconv.ParseFloat(s, 64); err == nil && !strings.ContainsAny(s, "xX_") {
			v = Float64(f)
		} else {
			return Null, notA(v, "a number")
		}
	}
	switch {
	case !v.kind.Numeric():
		return Null, notA(v, "a number")
	case k == KindFloat64:
		f, diff := nearest(v)
		if diff != 0 {
			return Null, notA(v, "a float64: it has more than 53 bits")
		}
		return Float64(f), nil
	case v.kind == KindFloat64:
		f := v.Float()
		if f != math.Trunc(f) || f < -1<<63 || f >= 1<<63 {
			return Null, notA(v, "a whole number of 64 bits")
		}
		v = Int64(int64(f))
	}
	n := int64(v.n)
	if k == KindInt64 {
		return Int64(n), nil
	}
	if n < math.MinInt32 || n > math.MaxInt32 {
		return Null, notA(v, "a number of 32 bits")
	}
	return Int32(int32(n)), nil
}

func toTime(v Value) (Value, error) {
	for _, layout := range [...]string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, v.Text()); err == nil {
			out := Time(t)
			return out, Validate(out)
		}
	}
	return Null, notA(v, kindNouns[KindTime])
}

func toJSON(v Value) (Value, error) {
	out, err := appendJSON(nil, v)
	if err != nil {
		return Null, err
	}
	return Value{kind: KindJSON, s: string(out)}, nil
}

// appendJSON appends the canonical JSON form of v.
func appendJSON(out []byte, v Value) (_ []byte, err error) {
	switch v.kind {
	case KindNull:
		return append(out, "null"...), nil
	case KindBool:
		return strconv.AppendBool(out, v.Bool()), nil
	case KindInt32, KindInt64:
		return strconv.AppendInt(out, int64(v.n), 10), nil
	case KindFloat64:
		f := v.Float()
		if f != f || math.IsInf(f, 0) {
			return nil, notA(v, "JSON: it has no NaN and no infinity")
		}
		return appendJSONFloat(out, f), nil
	case KindJSON:
		return append(out, v.s...), nil
	case KindList:
		out = append(out, '[')
		for k, e := range v.list {
			if k > 0 {
				out = append(out, ',')
			}
			if out, err = appendJSON(out, e); err != nil {
				return nil, err
			}
		}
		return append(out, ']'), nil
	}
	return appendJSONString(out, v.plain()), nil
}

func toList(v Value, elem Kind) (Value, error) {
	if v.kind == KindList && v.elem == elem {
		return v, nil
	}
	if v.kind != KindList && (v.kind != KindJSON || v.s[0] != '[') {
		return Null, notA(v, "a list")
	}
	out := Value{kind: KindList, elem: elem, list: make([]Value, 0, len(v.list))}
	for e := range v.Elements() {
		c, err := Convert(e, Type{Kind: elem})
		if err != nil {
			return Null, err
		}
		if c.IsNull() {
			return Null, typeError("a list of " + elem.String() + " holds no nulls")
		}
		out.list = append(out.list, c)
	}
	return out, nil
}

// FromGo returns a Go value as a Value: nil, bools, numbers, strings, []byte,
// time.Time, whatever has an ID, Values, pointers to and defined types over
// these, slices of them as lists, and map[string]any or mixed []any as JSON.
func FromGo(x any) (Value, error) {
	switch x := x.(type) {
	case nil:
		return Null, nil
	case Value:
		return x, nil
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
		v := Time(x)
		return v, Validate(v)
	case map[string]any:
		return JSONFrom(x)
	}
	return fromReflect(reflect.ValueOf(x))
}

func fromReflect(r reflect.Value) (Value, error) {
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
			return Null, typeError(strconv.FormatUint(r.Uint(), 10) + " does not fit int64")
		}
		return Int64(int64(r.Uint())), nil
	case reflect.Float32, reflect.Float64:
		return Float64(r.Float()), nil
	case reflect.Pointer:
		if r.IsNil() {
			return Null, nil
		}
		return FromGo(r.Elem().Interface())
	case reflect.Slice, reflect.Array:
		if r.Kind() == reflect.Slice && r.Type().Elem().Kind() == reflect.Uint8 {
			return Bytes(r.Bytes()), nil
		}
		return listFromReflect(r)
	}
	return Null, typeError("a Go value of type " + r.Type().String() + " is none that a property can hold")
}

// listFromReflect makes a list of elements of one scalar kind, and JSON of
// anything else.
func listFromReflect(r reflect.Value) (Value, error) {
	out := Value{kind: KindList, list: make([]Value, r.Len())}
	for k := range out.list {
		e, err := FromGo(r.Index(k).Interface())
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
	if out.elem == KindJSON {
		return toJSON(out)
	}
	return out, nil
}

// JSONFrom returns a JSON value of what [FromGo] accepts and of maps and
// slices nested in each other; times become RFC 3339 text.
func JSONFrom(x any) (Value, error) {
	out, err := appendGoJSON(nil, x, 0)
	if err != nil {
		return Null, err
	}
	return ParseJSON(string(out))
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
	v, err := FromGo(x)
	if err != nil {
		return nil, err
	}
	return appendJSON(out, v)
}

// plain returns the text of a scalar without quotes.
func (v Value) plain() string {
	switch v.kind {
	case KindBytes:
		return hex.EncodeToString([]byte(v.s))
	case KindTime:
		return v.Time().Format("2006-01-02T15:04:05.999999Z")
	case KindID:
		return v.ID().String()
	}
	return v.s
}

// String returns v as a literal of the query language: 'it”s', 2001, TRUE,
// NULL, ('a', 'b'). Times, IDs, bytes and JSON are quoted text.
func (v Value) String() string {
	switch v.kind {
	case KindNull:
		return "NULL"
	case KindBool:
		if v.Bool() {
			return "TRUE"
		}
		return "FALSE"
	case KindInt32, KindInt64:
		return strconv.FormatInt(int64(v.n), 10)
	case KindFloat64:
		s := strconv.FormatFloat(v.Float(), 'g', -1, 64)
		if !strings.ContainsAny(s, ".eIN") {
			s += ".0"
		}
		return s
	case KindList:
		var b strings.Builder
		b.WriteByte('(')
		for k, e := range v.list {
			if k > 0 {
				b.WriteString(", ")
			}
			b.WriteString(e.String())
		}
		b.WriteByte(')')
		return b.String()
	}
	return "'" + strings.ReplaceAll(v.plain(), "'", "''") + "'"
}

// GoValue returns v as a plain Go value: nil, string, bool, int32, int64,
// float64, []byte, time.Time, an ID, a slice of one of these, and for JSON
// what it holds as bool, int64, float64, string, []any or map[string]any.
func (v Value) GoValue() any {
	switch v = v.Unwrap(); v.kind {
	case KindString:
		return v.s
	case KindBool:
		return v.Bool()
	case KindInt32:
		return int32(v.Int())
	case KindInt64:
		return v.Int()
	case KindFloat64:
		return v.Float()
	case KindBytes:
		return v.Bytes()
	case KindTime:
		return v.Time()
	case KindID:
		return v.ID()
	case KindJSON:
		return v.tree()
	case KindList:
		return v.slice()
	}
	return nil
}

func (v Value) tree() any {
	if v.s == "" || v.s[0] == '[' {
		out := []any{}
		for e := range v.Elements() {
			out = append(out, e.GoValue())
		}
		return out
	}
	out := map[string]any{}
	for k, e := range v.fields() {
		out[k] = e.GoValue()
	}
	return out
}

func (v Value) slice() any {
	switch v.elem {
	case KindBool:
		return collect(v, Value.Bool)
	case KindInt32:
		return collect(v, func(e Value) int32 { return int32(e.Int()) })
	case KindInt64:
		return collect(v, Value.Int)
	case KindFloat64:
		return collect(v, Value.Float)
	case KindBytes:
		return collect(v, Value.Bytes)
	case KindTime:
		return collect(v, Value.Time)
	case KindID:
		return collect(v, Value.ID)
	}
	return collect(v, Value.Text)
}

func collect[T any](v Value, get func(Value) T) []T {
	out := make([]T, len(v.list))
	for k, e := range v.list {
		out[k] = get(e)
	}
	return out
}
