package value

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/hex"
)

// ErrType is wrapped by the errors of [Convert], [FromGo] and [JSONFrom].
var ErrType = errors.New("wrong type")

type typeError string

func (e typeError) Error() string { return string(e) }
func (e typeError) Unwrap() error { return ErrType }

// notA says that v is not what. What could be taken for text is called by its
// kind.
func notA(v Value, what string) error {
	s := clip(v.String())
	switch v.kind {
	case KindBytes, KindTime, KindID:
		s = v.kind.String() + " " + s
	}
	return typeError(s + " is not " + what)
}

var kindNouns = [kindEnd]string{"null", "text", "true or false", "a number", "a number", "a number",
	"bytes in hexadecimal", "a time such as 2006-01-02T15:04:05Z", "an ID", "JSON", "a list"}

// Convert returns v as type t where that loses nothing (S46): numbers between
// the numeric kinds within their range, text that spells a number, a truth
// value, a time (RFC 3339, or a date), an ID or bytes in hexadecimal, anything
// as JSON, and lists element by element. Null stays null. Text is never made of
// something else: 9 and '9' differ. Errors wrap [ErrType] and say what v is
// not, so that callers can put the name and the type of a property before it.
func Convert(v Value, t Type) (Value, error) {
	if v.kind == KindNull || v.kind == t.Kind && v.kind != KindList {
		return v, nil
	}
	if !t.Valid() {
		return Null, typeError(t.String() + " is not a type that a property can have")
	}
	if v.kind == KindJSON {
		if u := v.Unwrap(); u.kind != KindJSON {
			return Convert(u, t)
		}
	}
	switch t.Kind {
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
		if b, ok := hex.Decode(v.Text()); ok && v.kind == KindString {
			return Bytes(b), nil
		}
	case KindJSON:
		return toJSON(v)
	case KindList:
		return toList(v, t.Elem)
	}
	return Null, notA(v, kindNouns[t.Kind])
}

const notWhole = "a whole number of 64 bits"

func toNumber(v Value, k Kind) (_ Value, err error) {
	in := v
	if v.kind == KindString {
		if v, err = parseNumber(v, k); err != nil {
			return Null, err
		}
	}
	switch {
	case !v.kind.Numeric():
		return Null, notA(v, "a number")
	case k == KindFloat64:
		f, diff := nearest(v)
		if diff != 0 {
			return Null, notA(in, "a float64: it has more than 53 bits")
		}
		return Float64(f), nil
	case v.kind == KindFloat64:
		f := v.Float()
		if f != math.Trunc(f) || f < -1<<63 || f >= 1<<63 {
			return Null, notA(v, notWhole)
		}
		v = Int64(int64(f))
	}
	n := int64(v.n)
	if k == KindInt64 {
		return Int64(n), nil
	}
	if n < math.MinInt32 || n > math.MaxInt32 {
		return Null, notA(in, "a number of 32 bits")
	}
	return Int32(int32(n)), nil
}

// parseNumber reads the text v, on its way to kind k, as an integer if it
// spells one and as a float otherwise.
func parseNumber(v Value, k Kind) (Value, error) {
	s := strings.TrimSpace(v.s)
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return Int64(n), nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || strings.ContainsAny(s, "xX_") { // Go's notation, not ours
		return Null, notA(v, "a number")
	}
	if k == KindFloat64 {
		return Float64(f), nil
	}
	if n, ok := parseWhole(s); ok {
		return Int64(n), nil
	}
	return Null, notA(v, notWhole)
}

// parseWhole reads decimal text with a point or an exponent that stands for an
// integer, such as 20.50e2. It goes by the digits: a float64 would round those
// of more than 53 bits.
func parseWhole(s string) (int64, bool) {
	exp := 0
	if k := strings.IndexAny(s, "eE"); k >= 0 {
		n, err := strconv.Atoi(s[k+1:])
		if err != nil || n < -MaxSize || n > MaxSize {
			return 0, false
		}
		s, exp = s[:k], n
	}
	whole, frac, _ := strings.Cut(s, ".")
	all := whole + frac
	digits := strings.TrimRight(all, "0")
	if strings.Trim(digits, "+-") == "" {
		return 0, true
	}
	exp += len(all) - len(digits) - len(frac)
	if exp < 0 || exp > 18 {
		return 0, false
	}
	n, err := strconv.ParseInt(digits+strings.Repeat("0", exp), 10, 64)
	return n, err == nil
}

func toTime(v Value) (Value, error) {
	if t, ok := parseTime(v.Text()); ok {
		if v := Time(t); Validate(v) == nil {
			return v, nil
		}
		return Null, notA(v, "a time in the years 1 to 9999")
	}
	return Null, notA(v, kindNouns[KindTime])
}

// toJSON goes through the parser, which refuses what no document may hold.
func toJSON(v Value) (Value, error) {
	out, err := appendJSON(nil, v)
	if err != nil {
		return Null, err
	}
	v, err = ParseJSON(string(out))
	if err != nil {
		return Null, &jsonTypeError{err}
	}
	return v, nil
}

// jsonTypeError makes an error of the parser one of conversion.
type jsonTypeError struct{ cause error }

func (e *jsonTypeError) Error() string   { return e.cause.Error() }
func (e *jsonTypeError) Unwrap() []error { return []error{ErrType, e.cause} }

// appendJSON appends the canonical JSON form of v, whose text is not checked.
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
		if err == nil && c.IsNull() {
			err = typeError("a list of " + elem.String() + " holds no nulls")
		}
		if err != nil {
			return Null, err
		}
		out.list = append(out.list, c)
	}
	return out, nil
}
