package postgres

import (
	"strconv"
	"strings"
	"time"

	"github.com/ankurah/ankurah-go/value"
)

// sqlTypes are the types of columns that hold scalars.
var sqlTypes = map[value.Kind]string{
	value.KindString:  "text",
	value.KindBool:    "boolean",
	value.KindInt32:   "integer",
	value.KindInt64:   "bigint",
	value.KindFloat64: "double precision",
	value.KindBytes:   "bytea",
	value.KindTime:    "timestamptz",
	value.KindID:      "uuid",
	value.KindJSON:    "jsonb",
}

// sqlType returns the type of a column for values of type t, false when there
// is none, as for the list of unknown elements that an empty list is.
func sqlType(t value.Type) (string, bool) {
	if t.Kind == value.KindList {
		name, ok := sqlTypes[t.Elem]
		return name + "[]", ok
	}
	name, ok := sqlTypes[t.Kind]
	return name, ok
}

// sized reports whether all values of a column of type t take the same room.
func sized(t value.Type) bool {
	switch t.Kind {
	case value.KindString, value.KindBytes, value.KindJSON, value.KindList:
		return false
	}
	return true
}

// collated returns what a column's definition has behind its type.
func collated(t value.Type) string {
	if t.Kind == value.KindString || t.Elem == value.KindString {
		return ` COLLATE "C"`
	}
	return ""
}

// typeOf reads the type that sqlType wrote.
func typeOf(name string) (value.Type, bool) {
	elem, list := strings.CutSuffix(name, "[]")
	for kind, n := range sqlTypes {
		if n != elem {
			continue
		}
		if list {
			return value.Type{Kind: value.KindList, Elem: kind}, true
		}
		return value.Type{Kind: kind}, true
	}
	return value.Type{}, false
}

// encode returns what a column of type t holds of v: nil for null; false when
// it cannot hold v so that queries see no difference.
func encode(v value.Value, t value.Type) (any, bool) {
	switch {
	case v.IsNull():
		return nil, true
	case t.Kind == value.KindList && v.Kind() == value.KindList:
		return encodeList(v, t.Elem)
	}
	return encodeScalar(v, t.Kind)
}

func encodeScalar(v value.Value, k value.Kind) (any, bool) {
	switch {
	case v.Kind() == k:
	case v.Kind() == value.KindInt32 && k == value.KindInt64:
		return v.Int(), true
	case v.Kind() == value.KindInt64 && k == value.KindInt32 && int64(int32(v.Int())) == v.Int():
		return int32(v.Int()), true
	case v.Kind().Numeric() && k == value.KindFloat64:
		return v.Float(), exactFloat(v.Int())
	default:
		return nil, false
	}
	switch k {
	case value.KindString:
		return v.Text(), storable(v.Text())
	case value.KindBool:
		return v.Bool(), true
	case value.KindInt32:
		return int32(v.Int()), true
	case value.KindInt64:
		return v.Int(), true
	case value.KindFloat64:
		return v.Float(), true
	case value.KindBytes:
		return v.Bytes(), true
	case value.KindTime:
		return v.Time(), value.Validate(v) == nil
	case value.KindID:
		return [16]byte(v.ID()), true
	case value.KindJSON:
		return v.Text(), plainNumbers(v.Text())
	}
	return nil, false
}

// exactFloat reports whether a float64 holds n.
func exactFloat(n int64) bool { return -1<<53 <= n && n <= 1<<53 }

// encodeList returns a slice of the Go type that elem has.
func encodeList(v value.Value, elem value.Kind) (any, bool) {
	switch elem {
	case value.KindString:
		return encodeElements[string](v, elem)
	case value.KindBool:
		return encodeElements[bool](v, elem)
	case value.KindInt32:
		return encodeElements[int32](v, elem)
	case value.KindInt64:
		return encodeElements[int64](v, elem)
	case value.KindFloat64:
		return encodeElements[float64](v, elem)
	case value.KindBytes:
		return encodeElements[[]byte](v, elem)
	case value.KindTime:
		return encodeElements[time.Time](v, elem)
	case value.KindID:
		return encodeElements[[16]byte](v, elem)
	}
	return nil, false
}

func encodeElements[T any](v value.Value, elem value.Kind) (any, bool) {
	out := make([]T, v.Len())
	for k := range out {
		x, ok := encodeScalar(v.At(k), elem)
		if !ok {
			return nil, false
		}
		out[k] = x.(T)
	}
	return out, true
}

// plainNumbers reports whether jsonb orders and compares the numbers of a
// canonical document as the evaluator does: it takes them for decimals, where
// the evaluator sees float64. Below 2^53 both agree.
func plainNumbers(doc string) bool {
	for k := 0; k < len(doc); k++ {
		switch c := doc[k]; {
		case c == '"':
			for k++; k < len(doc) && doc[k] != '"'; k++ {
				if doc[k] == '\\' {
					k++
				}
			}
		case c == '-' || '0' <= c && c <= '9':
			start := k
			for k+1 < len(doc) && strings.IndexByte("0123456789.eE+-", doc[k+1]) >= 0 {
				k++
			}
			if !plainNumber(doc[start : k+1]) {
				return false
			}
		}
	}
	return true
}

func plainNumber(text string) bool {
	if _, err := strconv.ParseInt(text, 10, 64); err == nil {
		return true
	}
	f, err := strconv.ParseFloat(text, 64)
	return err == nil && -1<<53 < f && f < 1<<53
}
