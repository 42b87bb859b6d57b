package importer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/value"
)

func session(t *testing.T) *ankurah.Session {
	t.Helper()
	eng := memory.New()
	n, err := ankurah.OpenNode(t.Context(), eng, &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}})
	if err == nil {
		err = n.EnsureSystem(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(n.Close(), eng.Close()); err != nil {
			t.Error(err)
		}
	})
	return n.Session(policy.Principal{Subject: "alice"})
}

// source opens text as a file of that name.
func source(t *testing.T, name, text string) *Source {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	src, err := Open(path, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	})
	return src
}

// stored returns the properties of a collection's entities, in the order of
// their creation.
func stored(t *testing.T, s *ankurah.Session, collection string) []map[string]any {
	t.Helper()
	if s.Node().Model(collection) == nil {
		return nil
	}
	rs, err := ankurah.Dynamic(collection).Fetch(t.Context(), s, "ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	var out []map[string]any
	for _, r := range rs {
		fields := map[string]any{}
		for _, k := range r.Keys() {
			if x, ok := r.Get(k); ok && x != nil {
				fields[k] = x
			}
		}
		out = append(out, fields)
	}
	return out
}

type fields = map[string]any

func types(t *testing.T, pairs ...string) map[string]value.Type {
	t.Helper()
	out := map[string]value.Type{}
	for _, p := range pairs {
		field, name, _ := strings.Cut(p, "=")
		typ, err := ParseType(name)
		if err != nil {
			t.Fatal(err)
		}
		out[field] = typ
	}
	return out
}

func TestImports(t *testing.T) {
	for _, c := range []struct {
		name, file, text string
		o                Options
		want             []map[string]any
	}{
		{"array", "a.json", `[{"n":"x"},{"n":"y"}]`, Options{}, []fields{{"n": "x"}, {"n": "y"}}},
		{"objects called json", "a.json", `{"n":"x"}` + "\n" + `{"n":"y"}`, Options{}, []fields{{"n": "x"}, {"n": "y"}}},
		{"ndjson with empty lines", "a.jsonl", "{\"n\":1}\n\n{\"n\":2}\n", Options{}, []fields{{"n": int64(1)}, {"n": int64(2)}}},
		{"csv", "a.csv", "n,m\nx,1\n\"y,\n\"\"z\"\"\",2\n", Options{}, []fields{{"n": "x", "m": "1"}, {"n": "y,\n\"z\"", "m": "2"}}},
		{"csv without a name", "a", "n\nx\n", Options{}, []fields{{"n": "x"}}},
		{"BOM before an array", "a", "\ufeff" + `[{"n":1}]`, Options{}, []fields{{"n": int64(1)}}},
		{"BOM before csv", "a.csv", "\ufeffn\nx\n", Options{}, []fields{{"n": "x"}}},
		{"empty file", "a.csv", "", Options{}, nil},
		{"empty file of objects", "a.ndjson", "", Options{}, nil},
		{"empty array", "a.json", "[]", Options{}, nil},
		{"header alone", "a.csv", "n,m\n", Options{}, nil},
		{"null is nothing", "a.json", `[{"n":null,"m":1}]`, Options{}, []fields{{"m": int64(1)}}},
		{"rows of other fields", "a.json", `[{"n":1},{"m":2},{"n":3}]`, Options{}, []fields{{"n": int64(1)}, {"m": int64(2)}, {"n": int64(3)}}},
		{"wider number", "a.json", `[{"n":1},{"n":1.5}]`, Options{}, []fields{{"n": 1.0}, {"n": 1.5}}},
		{"greatest integers", "a.json", `[{"n":9223372036854775807},{"n":-9223372036854775808}]`, Options{},
			[]fields{{"n": int64(9223372036854775807)}, {"n": int64(-9223372036854775808)}}},
		{"huge integer as text", "a.json", `[{"n":12345678901234567890123}]`, Options{Types: types(t, "n=string")}, []fields{{"n": "12345678901234567890123"}}},
		{"huge integer as float", "a.json", `[{"n":12345678901234567890123}]`, Options{Types: types(t, "n=float64")}, []fields{{"n": 1.2345678901234568e22}}},
		{"lists", "a.json", `[{"l":["a","b"]},{"l":[]}]`, Options{}, []fields{{"l": []string{"a", "b"}}, {"l": []string{}}}},
		{"empty lists alone", "a.json", `[{"l":[]},{"l":[]}]`, Options{}, []fields{{"l": []string{}}, {"l": []string{}}}},
		{"empty list first", "a.json", `[{"l":[]},{"l":[1]}]`, Options{}, []fields{{"l": []int64{}}, {"l": []int64{1}}}},
		{"list of both numbers", "a.json", `[{"l":[1,1.5]},{"l":[2]}]`, Options{}, []fields{{"l": []float64{1, 1.5}}, {"l": []float64{2}}}},
		{"mixed list", "a.json", `[{"l":[1,"a",null]}]`, Options{}, []fields{{"l": []any{int64(1), "a", nil}}}},
		{"mixed column", "a.json", `[{"n":1},{"n":"a"},{"n":true}]`, Options{}, []fields{{"n": int64(1)}, {"n": "a"}, {"n": true}}},
		{"document", "a.json", `[{"d":{"x":[1,2.5],"y":null}}]`, Options{}, []fields{{"d": fields{"x": []any{int64(1), 2.5}, "y": nil}}}},
		{"renamed, skipped, typed", "a.csv", "a,b,c\n1,2,3\n", Options{Rename: map[string]string{"a": "n"}, Skip: []string{"b"}, Types: types(t, "a=int64")},
			[]fields{{"n": int64(1), "c": "3"}}},
		{"csv types", "a.csv", "i,f,b,t,l,j\n7, 1.5,TRUE,2020-01-02,\"[1,2]\",\"{\"\"a\"\":1}\"\n,,,,,\n",
			Options{Types: types(t, "i=int32", "f=float64", "b=bool", "l=[]int64", "j=json", "t=string")},
			[]fields{{"i": int32(7), "f": 1.5, "b": true, "t": "2020-01-02", "l": []int64{1, 2}, "j": fields{"a": int64(1)}}, {"t": ""}}},
		{"text of what is none", "a.json", `[{"n":1.50},{"n":true},{"n":["a"]},{"n":"x"}]`, Options{Types: types(t, "n=string")},
			[]fields{{"n": "1.50"}, {"n": "true"}, {"n": `["a"]`}, {"n": "x"}}},
		{"limited, what follows is not looked at", "a.json", `[{"n":1},{"n":2},{"n":]`, Options{Limit: 2}, []fields{{"n": int64(1)}, {"n": int64(2)}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, src := session(t), source(t, c.file, c.text)
			c.o.Collection = "row"
			for range 2 { // the second time nothing is left to do
				res, err := Run(t.Context(), s, src, c.o)
				if err != nil {
					t.Fatal(err)
				}
				if res.Rows != len(c.want) {
					t.Errorf("result %+v, want %d rows", res, len(c.want))
				}
				if diff := cmp.Diff(c.want, stored(t, s, "row")); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

// A source that cannot be imported is refused before its first row is stored,
// and the error says where.
func TestRefuses(t *testing.T) {
	for _, c := range []struct {
		name, file, text string
		o                Options
		reason           Reason
		want             string
	}{
		{"ragged", "a.csv", "a,b\n1,2\n3\n", Options{}, BadCSV, "row 2: record on line 3: wrong number of fields"},
		{"too many columns", "a.csv", "a\n1\n2,3\n", Options{}, BadCSV, "row 2: record on line 3: wrong number of fields"},
		{"bare quote", "a.csv", "a\nx\ny\"z\n", Options{}, BadCSV, `row 2: parse error on line 3, column 2: bare " in non-quoted-field`},
		{"column without a name", "a.csv", "a,\n1,2\n", Options{}, BadCSV, "column 2 of the header has no name"},
		{"column twice", "a.csv", "a,a\n1,2\n", Options{}, BadCSV, "the header names a twice"},
		{"empty", "a.json", "", Options{}, BadJSON, "unexpected EOF"},
		{"no array", "a.json", "3", Options{}, BadJSON, "the text does not begin with ["},
		{"no object", "a.json", `[{"n":1},2]`, Options{}, BadJSON, "row 2: a number is no object"},
		{"null row", "a.ndjson", "{\"n\":1}\nnull\n", Options{}, BadJSON, "row 2: null is no object"},
		{"array cut off", "a.json", `[{"n":1},`, Options{}, BadJSON, "row 2: unexpected EOF"},
		{"object cut off", "a.ndjson", "{\"n\":1}\n{\"n\":", Options{}, BadJSON, "row 2: unexpected EOF"},
		{"after the array", "a.json", `[{"n":1}] {}`, Options{}, BadJSON, "row 1: something follows the array"},
		{"no number", "a.csv", "n\n1\nsoon\n", Options{Types: types(t, "n=int32")}, BadValue, "row 2, field n: 'soon' is not a number"},
		{"33 bits", "a.json", `[{"n":1},{"n":2147483648}]`, Options{Types: types(t, "n=int32")}, BadValue, "row 2, field n: '2147483648' is not a number of 32 bits"},
		{"64 bits", "a.json", `[{"n":1},{"n":9223372036854775808}]`, Options{}, BadValue, "row 2, field n: '9223372036854775808' is not a whole number of 64 bits"},
		{"64 bits in a list", "a.json", `[{"n":[9223372036854775808]}]`, Options{}, BadValue, "row 1, field n: '9223372036854775808' is not a whole number of 64 bits"},
		{"54 bits among fractions", "a.json", `[{"n":1},{"n":9007199254740993},{"n":0.5}]`, Options{}, BadValue,
			"row 2, field n: 9007199254740993 is not a float64: it has more than 53 bits"},
		{"54 bits in a list", "a.json", `[{"n":[1]},{"n":[9007199254740993]},{"n":[0.5]}]`, Options{}, BadValue,
			"row 2, field n: 9007199254740993 is not a float64: it has more than 53 bits"},
		{"list with null", "a.json", `[{"l":["a",null]}]`, Options{Types: types(t, "l=[]string")}, BadValue, "row 1, field l: a list of string holds no nulls"},
		{"no JSON", "a.csv", "j\n{\n", Options{Types: types(t, "j=json")}, BadValue, "row 1, field j: "},
		{"zero character", "a.json", `[{"n":"a\u0000"}]`, Options{}, BadValue, "row 1, field n: text holds U+0000 at byte 1"},
		{"reserved field", "a.json", `[{"n":1,"id":"x"}]`, Options{}, BadName, "row 1, field id: the name is reserved"},
		{"field without a name", "a.json", `[{"":1}]`, Options{}, BadName, "row 1: it has no name"},
		{"two fields", "a.json", `[{"a":1},{"a":1,"b":2}]`, Options{Rename: map[string]string{"b": "a"}}, TwoFields, "row 2, field b: two fields become a"},
		{"type of no field", "a.csv", "lat\n1\n", Options{Types: types(t, "lta=float64")}, NoField, "field lta: no row has it"},
		{"skip of no field", "a.csv", "lat\n1\n", Options{Skip: []string{"lta"}}, NoField, "field lta: no row has it"},
		{"what the collection stores", "a.json", `[{"year":"1"},{"year":"soon"}]`, Options{}, Unfit,
			"row 2, field year: 'soon' is not a number: the collection stores int64 there"},
		{"renamed to what it stores", "a.json", `[{"y":"soon"}]`, Options{Rename: map[string]string{"y": "year"}}, Unfit,
			"row 1, field y: 'soon' is not a number: the collection stores int64 there"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := session(t)
			c.o.Collection = "row"
			if _, err := Run(t.Context(), s, source(t, "before.json", `[{"year":1999}]`), Options{Collection: "row"}); err != nil {
				t.Fatal(err)
			}
			c.o.Batch = 1
			_, err := Run(t.Context(), s, source(t, c.file, c.text), c.o)
			bad, ok := errors.AsType[*Error](err)
			if !ok || bad.Reason != c.reason || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("got %v (%+v), want reason %d: %s", err, bad, c.reason, c.want)
			}
			if got := stored(t, s, "row"); len(got) != 1 {
				t.Errorf("the refused source left %v", got)
			}
		})
	}
}

// An import that stops after any of its commits goes on with the next row.
func TestResumes(t *testing.T) {
	const rows, size = 23, 5
	var b strings.Builder
	var want []map[string]any
	b.WriteString("n\n")
	for k := range rows {
		fmt.Fprintf(&b, "%d\n", k)
		want = append(want, fields{"n": int64(k)})
	}
	o := Options{Collection: "row", Batch: size, Types: types(t, "n=int64")}
	for stopAt := size; stopAt < rows; stopAt += size {
		s, src := session(t), source(t, "a.csv", b.String())
		ctx, stop := context.WithCancel(t.Context())
		stopping := o
		stopping.Progress = func(p Progress) {
			if p.Of > 0 && p.Rows >= stopAt {
				stop()
			}
		}
		res, err := Run(ctx, s, src, stopping)
		if !errors.Is(err, context.Canceled) || res != (Result{stopAt, 0, rows}) {
			t.Fatalf("stopped at %d: %+v, %v", stopAt, res, err)
		}
		if diff := cmp.Diff(want[:stopAt], stored(t, s, "row")); diff != "" {
			t.Fatal(diff)
		}
		// A file is known by what it says, not by its name; the size of the
		// transactions does not matter.
		going := o
		going.Batch = 7
		res, err = Run(t.Context(), s, source(t, "moved.csv", b.String()), going)
		if err != nil || res != (Result{rows, stopAt, rows}) {
			t.Fatalf("going on from %d: %+v, %v", stopAt, res, err)
		}
		if diff := cmp.Diff(want, stored(t, s, "row")); diff != "" {
			t.Fatal(diff)
		}
	}
}

func TestLimitCanBeRaised(t *testing.T) {
	s, src := session(t), source(t, "a.json", `[{"n":1},{"n":2},{"n":3}]`)
	for _, step := range []struct {
		limit int
		want  Result
	}{
		{1, Result{1, 0, 1}},
		{1, Result{1, 1, 1}},
		{2, Result{2, 1, 2}},
		{3, Result{3, 2, 3}},
		{0, Result{3, 3, 3}},
		{2, Result{3, 3, 3}},
	} {
		res, err := Run(t.Context(), s, src, Options{Collection: "row", Limit: step.limit})
		if err != nil || res != step.want {
			t.Fatalf("limit %d: %+v, %v, want %+v", step.limit, res, err, step.want)
		}
	}
	if diff := cmp.Diff([]fields{{"n": int64(1)}, {"n": int64(2)}, {"n": int64(3)}}, stored(t, s, "row")); diff != "" {
		t.Error(diff)
	}
}

func TestOtherOptions(t *testing.T) {
	s, src := session(t), source(t, "a.csv", "n\n1\n2\n")
	one := Options{Collection: "row", Limit: 1}
	if _, err := Run(t.Context(), s, src, one); err != nil {
		t.Fatal(err)
	}
	other := Options{Collection: "row", Types: types(t, "n=int64"), Rename: map[string]string{"n": "m"}}
	_, err := Run(t.Context(), s, src, other)
	if e, ok := errors.AsType[*OptionsError](err); !ok || *e != (OptionsError{1, "format csv"}) {
		t.Fatalf("other options in the middle: %v", err)
	}
	other.Again = true
	if res, err := Run(t.Context(), s, src, other); err != nil || res != (Result{2, 0, 2}) {
		t.Fatalf("again: %+v, %v", res, err)
	}
	if diff := cmp.Diff([]fields{{"n": "1"}, {"m": int64(1)}, {"m": int64(2)}}, stored(t, s, "row")); diff != "" {
		t.Error(diff)
	}
	// Into another collection it is another import.
	if res, err := Run(t.Context(), s, src, Options{Collection: "elsewhere"}); err != nil || res != (Result{2, 0, 2}) {
		t.Errorf("another collection: %+v, %v", res, err)
	}
	other.Again = false
	if res, err := Run(t.Context(), s, src, other); err != nil || res.Rows != res.Before {
		t.Errorf("what is complete: %+v, %v", res, err)
	}
}

func TestAgainGoesOnWithWhatItBegan(t *testing.T) {
	s, src := session(t), source(t, "a.csv", "n\n1\n2\n3\n")
	again := Options{Collection: "row", Again: true}
	if _, err := Run(t.Context(), s, src, Options{Collection: "row"}); err != nil {
		t.Fatal(err)
	}
	again.Limit = 1
	if res, err := Run(t.Context(), s, src, again); err != nil || res != (Result{1, 0, 1}) {
		t.Fatalf("begun: %+v, %v", res, err)
	}
	again.Limit = 0
	if res, err := Run(t.Context(), s, src, again); err != nil || res != (Result{3, 1, 3}) {
		t.Fatalf("gone on: %+v, %v", res, err)
	}
	if got := len(stored(t, s, "row")); got != 6 {
		t.Errorf("%d rows, want 6", got)
	}
}

// Somebody cuts the file off after it was checked.
func TestChangedSource(t *testing.T) {
	var b strings.Builder
	for k := range 100_000 {
		fmt.Fprintf(&b, "{\"n\":%d}\n", k)
	}
	s, src := session(t), source(t, "a.ndjson", b.String())
	o := Options{Collection: "row", Progress: func(p Progress) {
		if p.Rows == 100_000 && p.Of == 0 {
			if err := os.Truncate(src.Name, int64(len("{\"n\":0}\n"))); err != nil {
				t.Error(err)
			}
		}
	}}
	_, err := Run(t.Context(), s, src, o)
	if bad, ok := errors.AsType[*Error](err); !ok || bad.Reason != Changed {
		t.Errorf("got %v", err)
	}
}

func TestOptionsAreValidated(t *testing.T) {
	for _, o := range []Options{{}, {Collection: Notes}, {Collection: "_x"}, {Collection: "a", Batch: -1}, {Collection: "a", Batch: MaxBatch + 1}, {Collection: "a", Limit: -1}} {
		if o.Validate() == nil {
			t.Errorf("%+v is valid", o)
		}
	}
	if err := (&Options{Collection: "a", Batch: MaxBatch}).Validate(); err != nil {
		t.Error(err)
	}
	if _, err := ParseType("text"); err == nil || !strings.Contains(err.Error(), "int32") {
		t.Errorf("ParseType: %v", err)
	}
}

func TestGreatestBatchIsATransaction(t *testing.T) {
	s, src := session(t), source(t, "a.csv", "n\n"+strings.Repeat("x\n", MaxBatch))
	if res, err := Run(t.Context(), s, src, Options{Collection: "row", Batch: MaxBatch}); err != nil || res.Rows != MaxBatch {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestCopy(t *testing.T) {
	src, err := Copy(strings.NewReader(`[{"n":1}]`), "")
	if err != nil {
		t.Fatal(err)
	}
	if src.Format != JSON || src.Size != 9 || src.Name != "-" {
		t.Errorf("%+v", src)
	}
	name := src.file.Name()
	if err := src.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the copy is left: %v", err)
	}
}

// A file that changed after a part of it was imported is not begun afresh in
// silence.
func TestReplacedSource(t *testing.T) {
	s := session(t)
	path := filepath.Join(t.TempDir(), "a.csv")
	run := func(text string, o Options) (Result, error) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		src, err := Open(path, "")
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		o.Collection = "row"
		return Run(t.Context(), s, src, o)
	}
	if _, err := run("n\na\nb\n", Options{Limit: 1}); err != nil {
		t.Fatal(err)
	}
	_, err := run("n\nc\nd\ne\n", Options{})
	if replaced, ok := errors.AsType[*ReplacedError](err); !ok || replaced.Rows != 1 {
		t.Errorf("another file: %v", err)
	}
	if got := stored(t, s, "row"); len(got) != 1 {
		t.Errorf("stored %v", got)
	}
	if res, err := run("n\na\nb\n", Options{}); err != nil || res.Rows != 2 || res.Before != 1 {
		t.Errorf("the first file: %+v, %v", res, err)
	}
	if res, err := run("n\nc\nd\ne\n", Options{Limit: 1}); err != nil || res.Rows != 1 {
		t.Errorf("after it: %+v, %v", res, err)
	}
	if res, err := run("n\nf\n", Options{Again: true}); err != nil || res.Rows != 1 {
		t.Errorf("again: %+v, %v", res, err)
	}
}
