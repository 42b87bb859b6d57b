package value_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go/value"
)

// reach is the oracle of Lookup: it walks the tree that the standard library
// makes of a document.
func reach(t *testing.T, doc string, keys []string) value.Value {
	t.Helper()
	var at any
	d := json.NewDecoder(strings.NewReader(doc))
	d.UseNumber()
	if err := d.Decode(&at); err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		switch tree := at.(type) {
		case map[string]any:
			at = tree[key]
		case []any:
			n, err := strconv.ParseUint(key, 10, 31)
			if err != nil || n >= uint64(len(tree)) {
				return value.Null
			}
			at = tree[n]
		default:
			return value.Null
		}
	}
	b, err := json.Marshal(at)
	if err != nil {
		t.Fatal(err)
	}
	v, err := value.ParseJSON(string(b))
	if err != nil {
		t.Fatal(err)
	}
	return v.Unwrap()
}

// S44, S46: a path finds in any document what stands there, and nothing
// panics.
func FuzzLookup(f *testing.F) {
	for _, doc := range []string{
		`{"a":{"b":[1,2.5,{"c":null}]},"":0,"0":"zero","\\":"\u00e9\""}`, `[[],[[]],[1,[2,[3]]]]`, `{"a":-0,"b":1e300,"c":9007199254740993}`, `"text"`, `[true,false,null]`,
	} {
		for _, path := range []string{"a.b.2.c", "a.b.0", "", "0", "1.0", "2.1.1.0", `\\`, "a", "b.c", "00", "+1"} {
			f.Add(doc, path)
		}
	}
	f.Fuzz(func(t *testing.T, doc, path string) {
		v, err := value.ParseJSON(doc)
		if err != nil || v.Kind() != value.KindJSON {
			return
		}
		var canonical string
		if canonical = v.Text(); len(canonical) > 1<<12 {
			return
		}
		keys := strings.Split(path, ".")
		if got, want := v.Lookup(keys...), reach(t, canonical, keys); !value.Equal(got, want) || got.Kind() != want.Kind() {
			t.Errorf("%q of %s: %v; want %v", path, canonical, got, want)
		}
	})
}
