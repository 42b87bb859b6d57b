package value_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/value"
)

// S46: a value becomes another type where that loses nothing; text is never
// made of something else. The table has all pairs of kinds that mean something.
func TestConvertTable(t *testing.T) {
	var (
		boolean = value.Type{Kind: value.KindBool}
		int32s  = value.Type{Kind: value.KindInt32}
		int64s  = value.Type{Kind: value.KindInt64}
		floats  = value.Type{Kind: value.KindFloat64}
		text    = value.Type{Kind: value.KindString}
		raw     = value.Type{Kind: value.KindBytes}
		instant = value.Type{Kind: value.KindTime}
		ref     = value.Type{Kind: value.KindID}
		json    = value.Type{Kind: value.KindJSON}
		listOf  = func(k value.Kind) value.Type { return value.Type{Kind: value.KindList, Elem: k} }
		str     = value.String
		doc     = func(s string) value.Value { return mustJSON(t, s) }
		ulid    = "01HF7YAT00003G20G30G2GC1R8"
		no      = func(v, what string) string { return "!" + v + " is not " + what }
	)
	const number, whole, bits32 = "a number", "a whole number of 64 bits", "a number of 32 bits"
	const when = "a time such as 2006-01-02T15:04:05Z"
	parsed, err := id.Parse(ulid)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		in   value.Value
		to   value.Type
		want string // the literal, or the error after "!"
	}{
		// Numbers among themselves.
		{value.Int32(-7), int64s, "-7"},
		{value.Int64(math.MinInt32), int32s, "-2147483648"},
		{value.Int64(math.MinInt32 - 1), int32s, no("-2147483649", bits32)},
		{value.Int64(math.MaxInt32 + 1), int32s, no("2147483648", bits32)},
		{value.Float64(-3), int32s, "-3"},
		{value.Float64(3e9), int32s, no("3e+09", bits32)},
		{value.Float64(1 << 63), int64s, no("9.223372036854776e+18", whole)},
		{value.Float64(-1 << 63), int64s, "-9223372036854775808"},
		{value.Float64(math.NaN()), int64s, no("'NaN'", whole)},
		{value.Float64(math.Inf(-1)), int64s, no("'-Infinity'", whole)},
		{value.Int32(7), floats, "7.0"},
		{value.Int64(1 << 53), floats, "9.007199254740992e+15"},
		{value.Int64(math.MaxInt64), floats, no("9223372036854775807", "a float64: it has more than 53 bits")},
		{value.Int64(math.MinInt64), floats, "-9.223372036854776e+18"},
		{value.Bool(true), int32s, no("TRUE", number)},
		{value.Micros(5), int64s, no("time '1970-01-01T00:00:00.000005Z'", number)},
		// Text that spells a number.
		{str(" 12 "), int32s, "12"},
		{str("+12"), int64s, "12"},
		{str("-0"), int64s, "0"},
		{str("1e3"), int32s, "1000"},
		{str("9e18"), int64s, "9000000000000000000"},
		{str("20.50e2"), int64s, "2050"},
		{str("9007199254740993.0"), int64s, "9007199254740993"},
		{str("9223372036854775807.000"), int64s, "9223372036854775807"},
		{str("9223372036854775808"), int64s, no("'9223372036854775808'", whole)},
		{str("-9223372036854775808e0"), int64s, "-9223372036854775808"},
		{str("0e999"), int64s, "0"},
		{str("0.0"), int64s, "0"},
		{str("1.5"), int64s, no("'1.5'", whole)},
		{str("1e19"), int64s, no("'1e19'", whole)},
		{str("1e-1"), int64s, no("'1e-1'", whole)},
		{str("NaN"), int64s, no("'NaN'", whole)},
		{str("2147483648"), int32s, no("'2147483648'", bits32)},
		{str("1.5"), floats, "1.5"},
		{str("NaN"), floats, "'NaN'"},
		{str("-Infinity"), floats, "'-Infinity'"},
		{str("1e999"), floats, no("'1e999'", number)},
		{str("9007199254740993"), floats, no("'9007199254740993'", "a float64: it has more than 53 bits")},
		{str(""), int32s, no("''", number)},
		{str("0x10"), int64s, no("'0x10'", number)},
		{str("0x1p4"), floats, no("'0x1p4'", number)},
		{str("1_000"), floats, no("'1_000'", number)},
		{str("1,000"), int64s, no("'1,000'", number)},
		// Truth.
		{str("True"), boolean, "TRUE"},
		{str("false"), boolean, "FALSE"},
		{str("t"), boolean, no("'t'", "true or false")},
		{value.Int32(1), boolean, no("1", "true or false")},
		{doc("true"), boolean, "TRUE"},
		// Text.
		{value.Float64(9), text, no("9.0", "text")},
		{value.ID(parsed), text, no("id '"+ulid+"'", "text")},
		{doc(`"x"`), text, "'x'"},
		{doc(`{"a":1}`), text, no(`'{"a":1}'`, "text")},
		// Bytes, times, IDs.
		{str("01fF"), raw, "'01ff'"},
		{str("01f"), raw, no("'01f'", "bytes in hexadecimal")},
		{str("xx"), raw, no("'xx'", "bytes in hexadecimal")},
		{doc("[1]"), raw, no("'[1]'", "bytes in hexadecimal")},
		{str("2024-02-29T23:59:59.5+02:00"), instant, "'2024-02-29T21:59:59.5Z'"},
		{str("2023-02-29"), instant, no("'2023-02-29'", when)},
		{str("0000-01-01"), instant, no("'0000-01-01'", "a time in the years 1 to 9999")},
		{value.Int64(5), instant, no("5", when)},
		{doc(`"2024-02-29"`), instant, "'2024-02-29T00:00:00Z'"},
		{str(ulid), ref, "'" + ulid + "'"},
		{str("01hf7yat"), ref, no("'01hf7yat'", "an ID")},
		{value.Bytes([]byte("x")), ref, no("bytes '78'", "an ID")},
		// JSON holds everything but NaN, the infinities and U+0000.
		{value.Bool(false), json, "'false'"},
		{value.Float64(2.5), json, "'2.5'"},
		{value.Float64(3), json, "'3'"},
		{str("a'\"\x01"), json, "'\"a''\\\"\\u0001\"'"},
		{value.Bytes([]byte{1, 255}), json, `'"01ff"'`},
		{value.Micros(0), json, `'"1970-01-01T00:00:00Z"'`},
		{value.ID(parsed), json, `'"` + ulid + `"'`},
		{value.List(value.KindString, []value.Value{str("a"), str("b")}), json, `'["a","b"]'`},
		{value.List(value.KindFloat64, []value.Value{value.Float64(math.NaN())}), json, no("'NaN'", "JSON: it has no NaN and no infinity")},
		{value.Float64(math.Inf(1)), json, no("'Infinity'", "JSON: it has no NaN and no infinity")},
		{str("\xff"), json, "!not JSON: a string is not UTF-8 at byte 1"},
		// Lists, element by element.
		{value.List(value.KindNull, nil), listOf(value.KindInt32), "()"},
		{value.List(value.KindString, []value.Value{str("7")}), listOf(value.KindInt32), "(7)"},
		{value.List(value.KindString, []value.Value{str("7"), str("x")}), listOf(value.KindInt32), no("'x'", number)},
		{doc(`["a","b"]`), listOf(value.KindString), "('a', 'b')"},
		{doc(`[1,"a"]`), listOf(value.KindString), no("1", "text")},
		{doc(`["a",null]`), listOf(value.KindString), "!a list of string holds no nulls"},
		{doc(`[[1]]`), listOf(value.KindInt64), no("'[1]'", number)},
		{doc(`{}`), listOf(value.KindInt64), no("'{}'", "a list")},
		{doc("5"), listOf(value.KindInt64), no("5", "a list")},
		{str("a"), listOf(value.KindString), no("'a'", "a list")},
		{value.List(value.KindInt32, nil), int32s, no("()", number)},
		// Types that no property can have.
		{str("a"), listOf(value.KindJSON), "!list of json is not a type that a property can have"},
		{str("a"), value.Type{Kind: 11}, "!kind 11 is not a type that a property can have"},
		{str("a"), value.Type{}, "!null is not a type that a property can have"},
		// Long text is cut in errors, between characters.
		{str(strings.Repeat("é", 30)), int32s, no("'"+strings.Repeat("é", 19)+"…", number)},
	} {
		got, err := value.Convert(c.in, c.to)
		said := got.String()
		if err != nil {
			said = "!" + err.Error()
			if !errors.Is(err, value.ErrType) || !got.IsNull() {
				t.Errorf("Convert(%v, %v) = %v, %v: no ErrType, or a value with the error", c.in, c.to, got, err)
			}
		} else if got.Type() != c.to || value.Validate(got) != nil {
			t.Errorf("Convert(%v, %v) is of type %v", c.in, c.to, got.Type())
		}
		if said != c.want {
			t.Errorf("Convert(%v %v, %v) = %s, want %s", c.in.Kind(), c.in, c.to, said, c.want)
		}
	}
	// What has the type stays, and null stays null, whatever the type.
	for _, v := range goldenValues(t) {
		if !v.Type().Valid() {
			continue
		}
		if got, err := value.Convert(v, v.Type()); err != nil || value.Compare(got, v) != 0 || got.Kind() != v.Kind() {
			t.Errorf("Convert(%v, %v) = %v, %v", v, v.Type(), got, err)
		}
		if got, err := value.Convert(value.Null, v.Type()); err != nil || !got.IsNull() {
			t.Errorf("Convert(null, %v) = %v, %v", v.Type(), got, err)
		}
	}
}

// A scalar's literal reads back as the same value of the same type, through
// text, and for all but bytes, times and IDs through JSON too.
func TestLiteralsReadBack(t *testing.T) {
	for _, v := range goldenValues(t) {
		if !v.Kind().Scalar() {
			continue
		}
		plain := strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(v.String(), "'"), "'"), "''", "'")
		back, err := value.Convert(value.String(plain), v.Type())
		if err != nil || value.Compare(back, v) != 0 {
			t.Errorf("%v %v reads back as %v, %v", v.Kind(), v, back, err)
		}
		doc, err := value.Convert(v, value.Type{Kind: value.KindJSON})
		if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			continue
		}
		if back, err2 := value.Convert(doc, v.Type()); err != nil || err2 != nil || value.Compare(back, v) != 0 {
			t.Errorf("%v %v reads back from JSON %v as %v, %v, %v", v.Kind(), v, doc, back, err, err2)
		}
	}
}

// Accessors give what was put in, and nothing of another kind.
func TestAccessors(t *testing.T) {
	at := time.Date(2001, 7, 17, 1, 2, 3, 4_567, time.FixedZone("", 7200))
	i := id.New(5, [8]byte{1})
	b := []byte("ab")
	raw := value.Bytes(b)
	b[0] = 'x'
	got := raw.Bytes()
	got[1] = 'x'
	if string(raw.Bytes()) != "ab" {
		t.Error("bytes alias what they were made of, or what they gave")
	}
	v := value.Time(at)
	if want := at.Truncate(time.Microsecond).UTC(); v.Time() != want || v.Micros() != want.UnixMicro() {
		t.Errorf("time %v, want %v", v.Time(), want)
	}
	if before := value.Time(time.Unix(0, -1)); before.Micros() != -1 {
		t.Errorf("a nanosecond before the epoch is rounded to %d µs, not down", before.Micros())
	}
	for _, far := range []time.Time{time.Unix(math.MaxInt64/2, 0), time.Unix(math.MinInt64/2, 0), time.Unix(1<<62, 0)} {
		if err := value.Validate(value.Time(far)); !errors.Is(err, value.ErrInvalid) {
			t.Errorf("the time %d s: %v", far.Unix(), err)
		}
	}
	list := value.List(value.KindInt32, []value.Value{value.Int32(7), value.Int32(8)})
	if list.Len() != 2 || list.At(1).Int() != 8 || list.Type().String() != "list of int32" {
		t.Errorf("list %v of type %v", list, list.Type())
	}
	if value.ID(i).ID() != i || value.Int64(-5).Float() != -5 || !value.Bool(true).Bool() || mustJSON(t, "{}").Text() != "{}" {
		t.Error("a value does not give what was put in")
	}
	if math.Signbit(value.Float64(math.Copysign(0, -1)).Float()) {
		t.Error("negative zero stays negative")
	}
	for _, v := range goldenValues(t) {
		k := v.Kind()
		for what, wrong := range map[string]bool{
			"text":   k != value.KindString && k != value.KindJSON && v.Text() != "",
			"bool":   k != value.KindBool && v.Bool(),
			"int":    k != value.KindInt32 && k != value.KindInt64 && v.Int() != 0,
			"float":  !k.Numeric() && v.Float() != 0,
			"bytes":  k != value.KindBytes && v.Bytes() != nil,
			"time":   k != value.KindTime && (!v.Time().IsZero() || v.Micros() != 0),
			"ID":     k != value.KindID && v.ID() != id.ID{},
			"len":    k != value.KindList && v.Len() != 0,
			"lookup": k != value.KindJSON && !v.Lookup("a").IsNull(),
			"null":   v.IsNull() != (k == value.KindNull),
			"valid":  v.Type().Valid() != (k != value.KindNull && v.Type() != value.Type{Kind: value.KindList}),
		} {
			if wrong {
				t.Errorf("%v %v has a %s", k, v, what)
			}
		}
	}
	if small, large := value.String("a").Size(), value.String(strings.Repeat("a", 1000)).Size(); large-small != 999 || list.Size() <= 0 {
		t.Errorf("sizes %d and %d", small, large)
	}
	if value.Kind(200).String() != "kind 200" || (value.Type{Kind: value.KindInt32, Elem: value.KindInt32}).Valid() {
		t.Error("a kind that is none, or a type that is none")
	}
}

// S46: what validation refuses, and where.
func TestValidate(t *testing.T) {
	long := strings.Repeat("a", value.MaxSize)
	many := make([]value.Value, value.MaxSize/4)
	for k := range many {
		many[k] = value.Bool(true)
	}
	for _, v := range []value.Value{value.String(long), value.Bytes([]byte(long)), value.List(value.KindBool, many[:len(many)-1]),
		value.Bytes([]byte{0, 0xFF}), value.String("a\uFFFD"), value.List(value.KindNull, nil), value.Float64(math.NaN())} {
		if err := value.Validate(v); err != nil {
			t.Errorf("%v of %d bytes: %v", v.Kind(), v.Size(), err)
		}
		if back, err := value.Decode(value.Append(nil, v)); err != nil || value.Compare(back, v) != 0 {
			t.Errorf("%v of %d bytes does not read back: %v", v.Kind(), v.Size(), err)
		}
	}
	for want, v := range map[string]value.Value{
		"262145 bytes, the limit is 262144":              value.String(long + "a"),
		"262146 bytes, the limit is 262144":              value.List(value.KindBool, many),
		"text holds U+0000 at byte 2":                    value.String("ab\x00c"),
		"text is not UTF-8 at byte 3":                    value.String("éa\xC3\uFFFD"),
		"time is outside the years 1 to 9999":            value.Micros(253402300800_000_000),
		"a list holds scalars, not null":                 value.List(value.KindNull, many[:1]),
		"a list holds scalars, not json":                 value.List(value.KindJSON, nil),
		"element 2 is null in a list of bool":            value.List(value.KindBool, []value.Value{value.Bool(true), {}}),
		"element 1: text holds U+0000 at byte 0":         value.List(value.KindString, []value.Value{value.String("\x00")}),
		"element 2 is bool in a list of int32":           value.List(value.KindInt32, []value.Value{value.Int32(1), value.Bool(true)}),
		"element 1: time is outside the years 1 to 9999": value.List(value.KindTime, []value.Value{value.Micros(math.MinInt64)}),
	} {
		err := value.Validate(v)
		if !errors.Is(err, value.ErrInvalid) || err.Error() != want {
			t.Errorf("%v of %d bytes: %v, want %s", v.Kind(), v.Size(), err, want)
		}
		if back, err := value.Decode(value.Append(nil, v)); err == nil {
			t.Errorf("%s: decoded as %v", want, back.Kind())
		}
	}
}
