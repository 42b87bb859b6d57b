package value_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/value"
)

var (
	edgeInts   = []int64{0, 1, -1, 9, math.MaxInt32, math.MinInt32, math.MaxInt64, math.MinInt64, math.MaxInt64 - 1, 1 << 53, 1<<53 + 1, 1<<53 - 1, -1<<53 - 1}
	edgeFloats = []float64{0, math.Copysign(0, -1), 1, 9, 0.5, -0.5, 1 << 53, 1<<53 + 2, 1 << 63, -1 << 63, math.Inf(1), math.Inf(-1), math.NaN(), math.SmallestNonzeroFloat64, math.MaxFloat64}
	edgeTexts  = []string{"", "a", "A", "aa", "ab", "é", "z", "\x01", "日本", strings.Repeat("x", 255), strings.Repeat("x", 256), strings.Repeat("x", 257), strings.Repeat("x", 300) + "y"}
)

func random(r *rand.Rand, depth int) value.Value {
	switch r.IntN(12) {
	case 0:
		return value.Null
	case 1:
		return value.Bool(r.IntN(2) == 0)
	case 2:
		return value.Int32(int32(r.IntN(20) - 10))
	case 3:
		return value.Int64(edgeInts[r.IntN(len(edgeInts))])
	case 4, 5:
		return value.Float64(edgeFloats[r.IntN(len(edgeFloats))])
	case 6:
		return value.String(edgeTexts[r.IntN(len(edgeTexts))])
	case 7:
		return value.Bytes([]byte{0, 1, 255, 0, 0}[:r.IntN(6)])
	case 8:
		return value.Micros(int64(r.IntN(5)-2) * 1e15)
	case 9:
		return value.ID(id.New(id.Stamp(r.IntN(3)), [8]byte{byte(r.IntN(3))}))
	case 10:
		v, err := value.ParseJSON([]string{"9", "9.0", `"a"`, "true", `{"a":1}`, `{"a":[1,2]}`, "[]", "[1]", `"9"`, "null"}[r.IntN(10)])
		if err != nil {
			panic(err)
		}
		return v
	}
	if depth == 0 {
		return value.Null
	}
	n := r.IntN(4)
	if r.IntN(2) == 0 {
		vs := make([]value.Value, n)
		for k := range vs {
			vs[k] = value.String(edgeTexts[r.IntN(len(edgeTexts))])
		}
		return value.List(value.KindString, vs)
	}
	vs := make([]value.Value, n)
	for k := range vs {
		vs[k] = value.Int32(int32(r.IntN(4)))
	}
	return value.List(value.KindInt32, vs)
}

func exactNumber(v value.Value) *big.Float {
	if v.Kind() == value.KindFloat64 {
		return new(big.Float).SetPrec(2000).SetFloat64(v.Float())
	}
	return new(big.Float).SetPrec(2000).SetInt64(v.Int())
}

// S47: numbers of all kinds compare as the numbers that they are.
func TestNumbersCompareExactly(t *testing.T) {
	var all []value.Value
	for _, n := range edgeInts {
		all = append(all, value.Int64(n))
		if n == int64(int32(n)) {
			all = append(all, value.Int32(int32(n)))
		}
	}
	for _, f := range edgeFloats {
		all = append(all, value.Float64(f))
	}
	for _, a := range all {
		for _, b := range all {
			want := 0
			an, bn := math.IsNaN(a.Float()), math.IsNaN(b.Float())
			switch {
			case an && !bn:
				want = 1
			case bn && !an:
				want = -1
			case !an && !bn:
				want = exactNumber(a).Cmp(exactNumber(b))
			}
			if got := value.Compare(a, b); got != want {
				t.Errorf("Compare(%v, %v) = %d, want %d", a, b, got, want)
			}
		}
	}
}

// S47: the order is total: antisymmetric, transitive, null last. Index keys
// order as values do, also strung together and reversed; cut keys never stand
// in the wrong order (S46).
func TestOrderIsTotalAndKeysHaveIt(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 60_000 {
		a, b, c := random(r, 1), random(r, 1), random(r, 1)
		ab := value.Compare(a, b)
		if ab != -value.Compare(b, a) || value.Compare(a, a) != 0 {
			t.Fatalf("%v and %v are not antisymmetric", a, b)
		}
		if ab <= 0 && value.Compare(b, c) <= 0 && value.Compare(a, c) > 0 {
			t.Fatalf("%v, %v, %v are not transitive", a, b, c)
		}
		for _, desc := range []bool{false, true} {
			want := ab
			if desc {
				want = -ab
			}
			ka, kb := value.AppendKey(nil, a, desc), value.AppendKey(nil, b, desc)
			got := bytes.Compare(ka, kb)
			exact := value.KeyExact(a) && value.KeyExact(b)
			if exact && got != want || got != 0 && got != want {
				t.Fatalf("keys of %.40v and %.40v (desc %v) compare %d, want %d", a, b, desc, got, want)
			}
			if value.KeyTruncated(ka, desc) == value.KeyExact(a) {
				t.Fatalf("%.40v: exact and truncated do not exclude each other", a)
			}
			if exact && want != 0 {
				if got := bytes.Compare(value.AppendKey(ka, c, false), value.AppendKey(kb, a, false)); got != want {
					t.Fatalf("a second column disturbs the first: %v, %v", a, b)
				}
			}
			rest, err := value.SkipKey(append(ka, 'x', 'y'), desc)
			if err != nil || string(rest) != "xy" {
				t.Fatalf("SkipKey(%.40v) leaves %q, %v", a, rest, err)
			}
		}
	}
}

// A text's key has the prefix of a text exactly if the text has it.
func TestKeyPrefix(t *testing.T) {
	for _, desc := range []bool{false, true} {
		for _, p := range edgeTexts {
			if len(p) > value.KeyLimit {
				continue
			}
			prefix := value.AppendKeyPrefix(nil, p, desc)
			for _, s := range edgeTexts {
				if got, want := bytes.HasPrefix(value.AppendKey(nil, value.String(s), desc), prefix), strings.HasPrefix(s, p); got != want {
					t.Errorf("prefix %.20q of %.20q: %v, want %v", p, s, got, want)
				}
			}
		}
	}
}

// S39: what is encoded reads back, and nothing else is accepted.
func TestCodec(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 20_000 {
		v := random(r, 1)
		b := value.Append(nil, v)
		back, err := value.Decode(b)
		if err != nil || value.Compare(v, back) != 0 || !bytes.Equal(value.Append(nil, back), b) {
			t.Fatalf("%v -> %x -> %v, %v", v, b, back, err)
		}
		if len(b) == 0 {
			continue
		}
		b[r.IntN(len(b))] ^= 1 << r.IntN(8)
		if v, err := value.Decode(b); err == nil && !bytes.Equal(value.Append(nil, v), b) {
			t.Fatalf("%x was accepted and is written as %x", b, value.Append(nil, v))
		}
	}
	for name, b := range map[string][]byte{
		"two fields":           append(value.Append(nil, value.Int32(1)), value.Append(nil, value.Int64(1))...),
		"int32 out of range":   {3 << 3, 0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0x01},
		"long varint":          {2 << 3, 0x81, 0x00},
		"bool 2":               {2 << 3, 2},
		"negative zero":        {5<<3 | 1, 0, 0, 0, 0, 0, 0, 0, 0x80},
		"text with U+0000":     {1<<3 | 2, 1, 0},
		"text not UTF-8":       {1<<3 | 2, 1, 0xFF},
		"JSON with spaces":     append([]byte{9<<3 | 2, 3}, " 9 "...),
		"length beyond bytes":  {1<<3 | 2, 200, 'a'},
		"list of a list":       {10<<3 | 2, 4, 8, 10, 18, 0},
		"list of mixed values": {10<<3 | 2, 6, 8, 1, 18, 2, 2 << 3, 1},
	} {
		if v, err := value.Decode(b); err == nil {
			t.Errorf("%s: accepted as %v", name, v)
		}
	}
	if _, err := value.Decode([]byte{11 << 3, 0}); !errors.Is(err, value.ErrUnknownKind) {
		t.Errorf("a newer kind: %v", err)
	}
}

// JSON is accepted where encoding/json accepts it and our rules agree, and its
// canonical form is stable and equal in meaning.
func TestJSONAgainstStandardLibrary(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	parts := []string{"{", "}", "[", "]", ",", ":", `"a"`, `"b"`, `"\u00e9\n"`, `"\ud83d\ude00"`, "1", "-7", "1.50", "2e3", "true", "null", " ", `"x\\"`, "01", `"`}
	accepted := 0
	for range 60_000 {
		var b strings.Builder
		for range 1 + r.IntN(9) {
			b.WriteString(parts[r.IntN(len(parts))])
		}
		text := b.String()
		v, err := value.ParseJSON(text)
		if std := json.Valid([]byte(text)); std != (err == nil) && (err == nil || !strings.Contains(err.Error(), "stands twice") && !strings.Contains(err.Error(), "too large")) {
			t.Fatalf("%s: %v, encoding/json says %v", text, err, std)
		}
		if err != nil || v.IsNull() {
			continue
		}
		accepted++
		again, err := value.ParseJSON(v.Text())
		if err != nil || again.Text() != v.Text() {
			t.Fatalf("%s: canonical form %s is read as %s, %v", text, v.Text(), again.Text(), err)
		}
		var want, got any
		if err := errors.Join(json.Unmarshal([]byte(text), &want), json.Unmarshal([]byte(v.Text()), &got)); err != nil {
			t.Fatal(err)
		}
		x, _ := json.Marshal(want)
		y, _ := json.Marshal(got)
		if string(x) != string(y) {
			t.Fatalf("%s became %s", text, v.Text())
		}
	}
	if accepted < 1000 {
		t.Fatalf("only %d documents were accepted: the generator proves nothing", accepted)
	}
	if v, err := value.ParseJSON("[-0, -0.0, 9.0]"); err != nil || v.Text() != "[0,0,9]" {
		t.Errorf("equal numbers have several spellings: %v, %v", v, err)
	}
	for _, bad := range []string{`"\u0000"`, `"\ud800"`, `{"a":1,"a":2}`, strings.Repeat("[", 65) + strings.Repeat("]", 65), "1e999", "\"\xff\"", "\"\x01\""} {
		if _, err := value.ParseJSON(bad); !errors.Is(err, value.ErrJSON) {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
}

func TestLookup(t *testing.T) {
	v, err := value.ParseJSON(`{"a":{"b c":[10,{"d":"x\"y"},null]},"n":9.0,"e\"":1,"t":true}`)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path string
		want any
	}{
		{"a/b c/0", int64(10)}, {"a/b c/1/d", `x"y`}, {"a/b c/2", nil}, {"a/b c/3", nil}, {"n", int64(9)},
		{`e"`, int64(1)}, {"t", true}, {"t/x", nil}, {"missing", nil}, {"a/b c/-1", nil}, {"a/b c/+0", nil},
	} {
		if got := v.Lookup(strings.Split(c.path, "/")...).GoValue(); got != c.want {
			t.Errorf("%s = %v, want %v", c.path, got, c.want)
		}
	}
}

// S46: conversion to a declared type loses nothing, or says what is wrong.
func TestConvert(t *testing.T) {
	number, short, when := value.Type{Kind: value.KindInt64}, value.Type{Kind: value.KindInt32}, value.Type{Kind: value.KindTime}
	text, float, truth := value.Type{Kind: value.KindString}, value.Type{Kind: value.KindFloat64}, value.Type{Kind: value.KindBool}
	for _, c := range []struct {
		in   value.Value
		to   value.Type
		want string // literal, or the error after "!"
	}{
		{value.String("2000"), short, "2000"},
		{value.String("abc"), short, "!'abc' is not a number"},
		{value.Int64(1 << 40), short, "!1099511627776 is not a number of 32 bits"},
		{value.Float64(9), number, "9"},
		{value.Float64(1.5), number, "!1.5 is not a whole number of 64 bits"},
		{value.Int64(1<<53 + 1), float, "!9007199254740993 is not a float64: it has more than 53 bits"},
		{value.Int32(9), text, "!9 is not text"},
		{value.String("2024-02-29"), when, "'2024-02-29T00:00:00Z'"},
		{value.String("soon"), when, "!'soon' is not a time such as 2006-01-02T15:04:05Z"},
		{value.String("TRUE"), truth, "TRUE"},
		{value.Null, truth, "NULL"},
		{value.List(value.KindInt64, []value.Value{value.Int64(1)}), value.Type{Kind: value.KindList, Elem: value.KindInt32}, "(1)"},
		{value.Int32(3), value.Type{Kind: value.KindJSON}, "'3'"},
	} {
		got, err := value.Convert(c.in, c.to)
		said := got.String()
		if err != nil {
			said = "!" + err.Error()
		}
		if said != c.want {
			t.Errorf("Convert(%v, %v) = %s, want %s", c.in, c.to, said, c.want)
		}
	}
}

func TestFromGo(t *testing.T) {
	type genre string
	year := int16(1999)
	for _, c := range []struct {
		in   any
		want string
	}{
		{genre("rock"), "'rock'"}, {&year, "1999"}, {(*int16)(nil), "NULL"}, {uint8(7), "7"}, {float32(0.5), "0.5"},
		{[]string{"a", "b"}, "('a', 'b')"}, {[]any{1, "a"}, `'[1,"a"]'`}, {map[string]any{"b": 1, "a": nil}, `'{"a":null,"b":1}'`},
		{time.Date(2001, 7, 17, 0, 0, 0, 0, time.UTC), "'2001-07-17T00:00:00Z'"}, {[]byte{1, 255}, "'01ff'"},
		{id.ID{}, "'00000000000000000000000000'"},
	} {
		if v, err := value.FromGo(c.in); err != nil || v.String() != c.want {
			t.Errorf("FromGo(%v) = %v, %v; want %s", c.in, v, err, c.want)
		}
	}
	for _, bad := range []any{uint64(math.MaxUint64), struct{}{}, make(chan int), map[string]any{"x": math.NaN()}} {
		if v, err := value.FromGo(bad); !errors.Is(err, value.ErrType) {
			t.Errorf("FromGo(%T) = %v, %v", bad, v, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, v := range goldenValues(f) {
		f.Add(value.Append(nil, v))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := value.Decode(b)
		if err != nil {
			return
		}
		if !bytes.Equal(value.Append(nil, v), b) {
			t.Fatalf("%x is written as %x", b, value.Append(nil, v))
		}
		if err := value.Validate(v); err != nil {
			t.Fatalf("%x: %v", b, err)
		}
		key := value.AppendKey(nil, v, true)
		if rest, err := value.SkipKey(key, true); err != nil || len(rest) > 0 {
			t.Fatalf("the key %x of %v: %v", key, v, err)
		}
	})
}

func FuzzKey(f *testing.F) {
	f.Add(value.AppendKey(nil, value.String("x"), false), false)
	f.Fuzz(func(t *testing.T, b []byte, desc bool) {
		rest, err := value.SkipKey(b, desc)
		if err == nil && len(rest) >= len(b) {
			t.Fatal("an empty key")
		}
		value.KeyTruncated(b, desc)
	})
}
