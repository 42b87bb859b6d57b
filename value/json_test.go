package value_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/value"
)

// checkJSON holds what ParseJSON makes of a text against its promises.
func checkJSON(t *testing.T, text string) {
	t.Helper()
	v, err := value.ParseJSON(text)
	if err != nil {
		if !errors.Is(err, value.ErrJSON) || !v.IsNull() {
			t.Fatalf("%q: %v, %v", text, v, err)
		}
		return
	}
	if !json.Valid([]byte(text)) {
		t.Fatalf("%q is accepted", text)
	}
	if v.IsNull() {
		if strings.TrimSpace(text) != "null" {
			t.Fatalf("%q is null", text)
		}
		return
	}
	if again, err := value.ParseJSON(v.Text()); err != nil || again.Text() != v.Text() {
		t.Fatalf("%q: the canonical form %q is read as %q, %v", text, v.Text(), again.Text(), err)
	}
	if err := value.Validate(v); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	b := value.Append(nil, v)
	if back, err := value.Decode(b); err != nil || back.Text() != v.Text() {
		t.Fatalf("%q: the encoding of %q reads as %v, %v", text, v.Text(), back, err)
	}
	// What encoding/json makes of both texts is the same, and so is the tree.
	var want, got any
	if json.Unmarshal([]byte(text), &want) != nil {
		return // a number that encoding/json refuses and we do not cannot be compared
	}
	if err := json.Unmarshal([]byte(v.Text()), &got); err != nil || !reflect.DeepEqual(want, got) {
		t.Fatalf("%q became %q: %v", text, v.Text(), err)
	}
	if tree := asFloats(v.GoValue()); !reflect.DeepEqual(tree, want) {
		t.Fatalf("%q is the tree %#v, want %#v", text, tree, want)
	}
}

// asFloats makes what GoValue gives for JSON what encoding/json gives.
func asFloats(x any) any {
	switch x := x.(type) {
	case int64:
		return float64(x)
	case []any:
		for k := range x {
			x[k] = asFloats(x[k])
		}
	case map[string]any:
		for k := range x {
			x[k] = asFloats(x[k])
		}
	}
	return x
}

var jsonSeeds = []string{
	"null", "true", `""`, "0", "-0", "1e2", "1.5e-7", "9007199254740993", "9223372036854775808", "1e308", "-1e-400", "12345678.5",
	`{"b":1,"a":{"c":[1,2.5,"x",null,{}]}}`, `"\u00e9\ud83d\ude00\n\/\b\f\r\t\""`, "[[],[{}]]", ` { "a" : [ ] } `, `"\u001f\u007f"`, `{"":0}`, `{"a\"b":1}`,
	`{"a":1,"a":2}`, `"\u0000"`, `"\udc00"`, `"\ud800\u0041"`, "01", "1.", ".5", "+1", "1e", "[1,]", `{"a"}`, `{a:1}`, "tru", "nul", "\"\x01\"", "\"\xff\"", `"\x"`, `"\u12"`, `"\u+123"`, `"`, `"\`, "[", "{", "[1 2]", "1 2", "", " ", "1e999",
	strings.Repeat("[", value.MaxNesting) + strings.Repeat("]", value.MaxNesting),
}

func TestJSONSeeds(t *testing.T) {
	accepted := 0
	for _, s := range jsonSeeds {
		checkJSON(t, s)
		_, err := value.ParseJSON(s)
		if err == nil {
			accepted++
		}
		if strict := err == nil; strict != json.Valid([]byte(s)) && !slices.Contains([]string{`{"a":1,"a":2}`, `"\u0000"`, `"\udc00"`, `"\ud800\u0041"`, "\"\xff\"", "1e999"}, s) {
			t.Errorf("%q: %v, encoding/json says %v", s, err, json.Valid([]byte(s)))
		}
	}
	if accepted < 19 {
		t.Errorf("only %d documents are accepted", accepted)
	}
	if v, err := value.ParseJSON("[1e2, 1.5e-7, 12345678.5, 1e21, 9223372036854775808, -9223372036854775808.0]"); err != nil ||
		v.Text() != "[100,1.5e-07,1.23456785e+07,1e+21,9.223372036854776e+18,-9223372036854775808]" {
		t.Errorf("numbers become %v, %v", v, err)
	}
	for text, want := range map[string]string{
		`{"a":1,"b":2,"a":3}`:                `not JSON: key "a" stands twice in an object at byte 13`,
		`["a", "\u0000"]`:                    "not JSON: U+0000 is not allowed in text at byte 7",
		`["\ud800\u0041"]`:                   "not JSON: half of a surrogate pair at byte 2",
		"[1, 02]":                            "not JSON: a number begins with a superfluous 0 at byte 4",
		"[1, 1e999]":                         "not JSON: number 1e999 is too large at byte 4",
		"[1] x":                              "not JSON: more text after the document at byte 4",
		strings.Repeat("[", 65):              "not JSON: the document has 65 levels of nesting, the limit is 64 at byte 64",
		"[tru]":                              `not JSON: unexpected 't' at byte 1`,
		strings.Repeat(" ", value.MaxSize+1): "not JSON: the document has 262145 bytes, the limit is 262144 at byte 262144",
		`["` + strings.Repeat("a", 39) + `", ` + strings.Repeat("1", 400) + "]": "not JSON: number 1111111111111111111111111111111111111111… is too large at byte 44",
		"[" + strings.Repeat("1e9,", 40_000) + "1]":                             "not JSON: the document has 440003 bytes, the limit is 262144 at byte 262144",
	} {
		if _, err := value.ParseJSON(text); err == nil || err.Error() != want {
			t.Errorf("%.60q: %v, want %s", text, err, want)
		}
	}
}

// S39: any text gives a canonical document or an error.
func FuzzParseJSON(f *testing.F) {
	for _, s := range jsonSeeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) { checkJSON(t, text) })
}

// Elements and paths of a document are those of its tree.
func TestJSONPaths(t *testing.T) {
	v := mustJSON(t, `{"list":[1,[2,"],"],{"a,}":"\"x"},null,"\\"],"s":"{\"a\":1}","é":2.5,"z":{}}`)
	var texts []string
	for e := range v.Lookup("list").Elements() {
		texts = append(texts, e.String())
	}
	if want := []string{"1", `'[2,"],"]'`, `'{"a,}":"\"x"}'`, "NULL", `'\'`}; !slices.Equal(texts, want) {
		t.Errorf("elements %q, want %q", texts, want)
	}
	for path, want := range map[string]string{
		"list/1/1": "'],'", "list/2/a,}": `'"x'`, "list/4": `'\'`, "list/04": `'\'`, "list/5": "NULL", "list/x": "NULL", "list/": "NULL",
		"list/99999999999999999999": "NULL", "s": `'{"a":1}'`, "s/a": "NULL", "é": "2.5", "z": "'{}'", "z/a": "NULL", "": "NULL",
	} {
		if got := v.Lookup(strings.Split(path, "/")...).String(); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	if got := v.Lookup(); got.Text() != v.Text() {
		t.Errorf("no path leads to %v", got)
	}
	for range mustJSON(t, "{}").Elements() {
		t.Error("an object has elements")
	}
	n := 0
	for range v.Lookup("list").Elements() {
		if n++; n == 2 {
			break
		}
	}
	for range value.List(value.KindBool, []value.Value{value.Bool(true), value.Bool(true)}).Elements() {
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Errorf("%d elements before the walk ends", n)
	}
}

// FromGo of a value's Go form is the value again.
func TestGoValuesReadBack(t *testing.T) {
	for _, v := range goldenValues(t) {
		back, err := value.FromGo(v.GoValue())
		if err != nil || value.Compare(back, v) != 0 && v.Type() != (value.Type{Kind: value.KindList}) {
			t.Errorf("%v %v: the Go value %#v reads back as %v %v, %v", v.Type(), v, v.GoValue(), back.Type(), back, err)
		}
		if v.Kind() != value.KindJSON && back.Type() != v.Type() && v.Type() != (value.Type{Kind: value.KindList}) {
			t.Errorf("%v became %v", v.Type(), back.Type())
		}
	}
}

type (
	named   string
	stamp   time.Time
	related struct{ of id.ID }
	cyclic  []any
)

func (r *related) ID() id.ID { return r.of }

// S46: Go values become the narrowest kind that holds all of their type.
func TestFromGoTable(t *testing.T) {
	i := id.New(5, [8]byte{1})
	at := time.Date(2001, 7, 17, 0, 0, 0, 0, time.UTC)
	five := int64(5)
	pfive := &five
	var none *related
	var noValue *value.Value
	held := value.String("held")
	list := func(k value.Kind) value.Type { return value.Type{Kind: value.KindList, Elem: k} }
	kind := func(k value.Kind) value.Type { return value.Type{Kind: k} }
	for _, c := range []struct {
		in   any
		to   value.Type
		want string
	}{
		{nil, value.Type{}, "NULL"}, {held, kind(value.KindString), "'held'"}, {&held, kind(value.KindString), "'held'"}, {noValue, value.Type{}, "NULL"},
		{&related{i}, kind(value.KindID), "'" + i.String() + "'"}, {none, value.Type{}, "NULL"}, {i, kind(value.KindID), "'" + i.String() + "'"}, {&i, kind(value.KindID), "'" + i.String() + "'"},
		{"x", kind(value.KindString), "'x'"}, {named("x"), kind(value.KindString), "'x'"}, {true, kind(value.KindBool), "TRUE"},
		{int(1), kind(value.KindInt64), "1"}, {int8(-1), kind(value.KindInt32), "-1"}, {int16(1), kind(value.KindInt32), "1"}, {int32(1), kind(value.KindInt32), "1"}, {int64(1), kind(value.KindInt64), "1"},
		{uint8(255), kind(value.KindInt32), "255"}, {uint16(1), kind(value.KindInt32), "1"}, {uint32(math.MaxUint32), kind(value.KindInt64), "4294967295"}, {uint64(math.MaxInt64), kind(value.KindInt64), "9223372036854775807"},
		{float32(0.5), kind(value.KindFloat64), "0.5"}, {1.5, kind(value.KindFloat64), "1.5"}, {&pfive, kind(value.KindInt64), "5"}, {(**int64)(nil), value.Type{}, "NULL"},
		{at, kind(value.KindTime), "'2001-07-17T00:00:00Z'"}, {&at, kind(value.KindTime), "'2001-07-17T00:00:00Z'"}, {stamp(at), kind(value.KindTime), "'2001-07-17T00:00:00Z'"},
		{[]byte("a"), kind(value.KindBytes), "'61'"}, {json.RawMessage("a"), kind(value.KindBytes), "'61'"},
		{[]string(nil), list(value.KindString), "()"}, {[]string{}, list(value.KindString), "()"}, {[]any{}, value.Type{Kind: value.KindList}, "()"}, {[]named{"a"}, list(value.KindString), "('a')"},
		{[2]int32{1, 2}, list(value.KindInt32), "(1, 2)"}, {[]time.Time{at}, list(value.KindTime), "('2001-07-17T00:00:00Z')"}, {[][]byte{{1}}, list(value.KindBytes), "('01')"},
		{[]*int64{pfive, nil}, kind(value.KindJSON), "'[5,null]'"}, {[][]int{{1}, {}}, kind(value.KindJSON), "'[[1],[]]'"}, {[]any{"a", i}, kind(value.KindJSON), `'["a","` + i.String() + `"]'`},
		{map[string]any{"b": []any{1, at}, "a": map[string]any{}}, kind(value.KindJSON), `'{"a":{},"b":[1,"2001-07-17T00:00:00Z"]}'`}, {map[named]int{"n": 1}, kind(value.KindJSON), `'{"n":1}'`},
	} {
		got, err := value.FromGo(c.in)
		if err != nil || got.String() != c.want || got.Type() != c.to {
			t.Errorf("FromGo(%T) = %v %v, %v; want %v %s", c.in, got.Type(), got, err, c.to, c.want)
		}
	}
	loop := cyclic{nil}
	loop[0] = loop
	knot := map[string]any{}
	knot["x"] = knot
	var self any
	self = &self
	for want, in := range map[string]any{
		"18446744073709551615 of type uint64 does not fit int64": uint64(math.MaxUint64),
		"a Go value of type struct {} is none":                   struct{}{},
		"a Go value of type func() is none":                      func() {},
		"a Go value of type map[int]int is none":                 map[int]int{},
		"element 2: a Go value of type chan int is none":         []any{1, make(chan int)},
		"a time in the year 0 is outside the years 1 to 9999":    time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC),
		"a time in the year 10000 is outside":                    time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC),
		"'NaN' is not JSON":                                      map[string]any{"x": []any{math.NaN()}},
		"deeper than 64":                                         loop,
		"nested deeper than 64":                                  knot,
		"nested deeper":                                          self,
		"not UTF-8":                                              map[string]any{"x": "\xff"},
	} {
		if v, err := value.FromGo(in); !errors.Is(err, value.ErrType) || !strings.Contains(err.Error(), want) {
			t.Errorf("FromGo(%.40T) = %v, %v; want %q", in, v, err, want)
		}
	}
	if _, err := value.JSONFrom("a\x00"); !errors.Is(err, value.ErrType) || !errors.Is(err, value.ErrJSON) {
		t.Errorf("U+0000 in JSON: %v", err)
	}
	if v, err := value.JSONFrom([]any{1, []int{2}, nil, "x"}); err != nil || v.Text() != `[1,[2],null,"x"]` {
		t.Errorf("JSONFrom: %v, %v", v, err)
	}
	if v, err := value.JSONFrom(nil); err != nil || !v.IsNull() {
		t.Errorf("JSONFrom(nil): %v, %v", v, err)
	}
}

// near returns a value close to others of its class, where an order breaks
// first: numbers of all kinds around one another, texts with long common
// beginnings, escapes.
func near(t testing.TB, r *rand.Rand) value.Value {
	number := func() value.Value {
		base := []float64{0, 1, 1 << 31, 1 << 53, 1 << 62, 1 << 63, -1 << 53, -1 << 63}[r.IntN(8)]
		switch r.IntN(4) {
		case 0:
			return value.Int32(int32(max(math.MinInt32, min(math.MaxInt32, base))) - int32(r.IntN(3)))
		case 1:
			if base == 1<<63 {
				return value.Int64(math.MaxInt64 - int64(r.IntN(1500)))
			}
			return value.Int64(int64(base) + int64(r.IntN(1500)))
		case 2:
			return value.Float64([]float64{math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1), math.SmallestNonzeroFloat64}[r.IntN(5)])
		}
		f := base
		for range r.IntN(3) {
			f = math.Nextafter(f, math.Inf(1-2*r.IntN(2)))
		}
		return value.Float64(f)
	}
	text := func(alphabet string) string {
		n := r.IntN(4)
		if r.IntN(3) == 0 {
			n = value.KeyLimit - 3 + r.IntN(6)
		}
		b := bytes.Repeat([]byte{alphabet[0]}, n)
		for k := max(0, n-4); k < n; k++ {
			b[k] = alphabet[r.IntN(len(alphabet))]
		}
		return string(b)
	}
	switch r.IntN(6) {
	case 0, 1:
		return number()
	case 2:
		return value.String(text("a\x01\x7Fb"))
	case 3:
		return value.Bytes([]byte(text("\x00\x01\x02\xFF")))
	case 4:
		vs := make([]value.Value, r.IntN(4))
		for k := range vs {
			vs[k] = value.Bytes([]byte(text("\x00\x01\xFF")))
		}
		return value.List(value.KindBytes, vs)
	}
	v := number()
	if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
		return v
	}
	doc, err := value.Convert(v, value.Type{Kind: value.KindJSON})
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// S46, S47: keys order as values do, also where values are close; only cut ones
// may tie.
func TestKeysOfCloseValues(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	ties, same, rounds := 0, 0, 30_000
	if testing.Short() {
		rounds = 8_000
	}
	for range rounds {
		a, b := near(t, r), near(t, r)
		for _, desc := range []bool{false, true} {
			want := value.Compare(a, b)
			if desc {
				want = -want
			}
			ka, kb := value.AppendKey(nil, a, desc), value.AppendKey(nil, b, desc)
			got := bytes.Compare(ka, kb)
			cut := value.KeyTruncated(ka, desc) && value.KeyTruncated(kb, desc)
			if got != want && (got != 0 || !cut) {
				t.Fatalf("%v %v and %v %v (desc %v) compare %d, their keys %d", a.Kind(), a, b.Kind(), b, desc, want, got)
			}
			if got != 0 && bytes.HasPrefix(kb, ka) {
				t.Fatalf("the key of %v is the beginning of that of %v", a, b)
			}
			if want == 0 {
				same++
			}
			if got == 0 && want != 0 {
				ties++
			}
		}
	}
	if ties < rounds/600 || same < rounds/100 {
		t.Errorf("%d ties of cut keys, %d equal values: the generator proves nothing", ties, same)
	}
}

// Damaged keys are errors, never panics.
func TestDamagedKeys(t *testing.T) {
	for _, v := range goldenValues(t) {
		for _, desc := range []bool{false, true} {
			key := value.AppendKey(nil, v, desc)
			for n := range len(key) {
				if rest, err := value.SkipKey(key[:n], desc); err == nil {
					t.Fatalf("%d of %d bytes of the key of %v are a key with %x behind it", n, len(key), v, rest)
				}
				if value.KeyTruncated(key[:n], desc) {
					t.Fatalf("%d bytes of the key of %v are a cut key", n, v)
				}
			}
		}
	}
	for _, b := range []string{"\x11", "\x00", "\x30\x00\x03", "\x30a\x00\x00", "\x31a\x00\x01"} {
		if _, err := value.SkipKey([]byte(b), false); err == nil {
			t.Errorf("%q is a key", b)
		}
	}
}
