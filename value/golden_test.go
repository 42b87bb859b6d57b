package value_test

import (
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/value"
)

var update = flag.Bool("update", false, "write the golden files")

func mustJSON(t testing.TB, text string) value.Value {
	t.Helper()
	v, err := value.ParseJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// goldenValues holds values of every kind, in the order of their keys.
func goldenValues(t testing.TB) []value.Value {
	list := value.List
	return []value.Value{
		value.Bool(false),
		value.Bool(true),
		value.Float64(math.Inf(-1)),
		value.Int64(math.MinInt64),
		value.Int32(math.MinInt32),
		value.Float64(-1.5),
		value.Int32(-1),
		value.Int64(0),
		value.Float64(math.SmallestNonzeroFloat64),
		value.Int32(1),
		value.Float64(1.5),
		value.Int32(math.MaxInt32),
		value.Int64(1<<53 - 1),
		value.Int64(1<<53 + 1),
		value.Int64(math.MaxInt64),
		value.Float64(1 << 63),
		value.Float64(math.Inf(1)),
		value.Float64(math.NaN()),
		value.String(""),
		value.String("Straße 日本"),
		value.String("x\x01"),
		value.String(strings.Repeat("y", value.KeyLimit)),
		value.String(strings.Repeat("y", value.KeyLimit+1)),
		mustJSON(t, `"z"`),
		value.Bytes(nil),
		value.Bytes([]byte{0}),
		value.Bytes([]byte{0, 0xFF, 1}),
		value.Micros(-62135596800_000_000),
		value.Micros(-1),
		value.Micros(1_700_000_000_123_456),
		value.ID(id.ID{}),
		value.ID(id.New(id.NewStamp(1_700_000_000_000, 7), [8]byte{1, 2, 3, 4, 5, 6, 7, 8})),
		list(value.KindNull, nil),
		list(value.KindBool, []value.Value{value.Bool(true)}),
		list(value.KindInt32, []value.Value{value.Int32(-1), value.Int32(2)}),
		list(value.KindInt64, []value.Value{value.Int64(3)}),
		list(value.KindFloat64, []value.Value{value.Float64(3.5)}),
		list(value.KindString, []value.Value{value.String("a"), value.String("")}),
		list(value.KindBytes, []value.Value{value.Bytes([]byte{0})}),
		list(value.KindTime, []value.Value{value.Micros(1)}),
		list(value.KindID, []value.Value{value.ID(id.ID{15: 1})}),
		mustJSON(t, ` [ 1, 2.50, "a", null ] `),
		mustJSON(t, `{"b":{"c":[]},"a":9.0}`),
		value.Null,
	}
}

// shorten leaves out the middle of long hexadecimal text.
func shorten(b []byte) string {
	s := hex.EncodeToString(b)
	if len(s) > 120 {
		s = s[:40] + "…" + s[len(s)-40:] + " (" + fmt.Sprint(len(b)) + " bytes)"
	}
	return s
}

// The formats of values and of index keys are pinned: these bytes stay what
// they are.
func TestGolden(t *testing.T) {
	var b strings.Builder
	kinds := map[value.Type]bool{}
	for k, v := range goldenValues(t) {
		kinds[v.Type()] = true
		enc, key := value.Append(nil, v), value.AppendKey(nil, v, false)
		fmt.Fprintf(&b, "%v %.60q\nvalue %s\nkey   %s\ndesc  %s\n", v.Type(), v.String(), shorten(enc), shorten(key), shorten(value.AppendKey(nil, v, true)))
		if back, err := value.Decode(enc); err != nil || back.Type() != v.Type() || value.Compare(back, v) != 0 {
			t.Errorf("%v comes back as %v %v, %v", v, back.Type(), back, err)
		}
		if k > 0 {
			if before := goldenValues(t)[k-1]; value.Compare(before, v) >= 0 {
				t.Errorf("%.60v does not come before %.60v", before, v)
			}
		}
	}
	for k := value.KindNull; k <= value.KindList; k++ {
		if !kinds[value.Type{Kind: k}] && k != value.KindList || k.Scalar() && !kinds[value.Type{Kind: value.KindList, Elem: k}] {
			t.Errorf("no %v, or no list of it, in the golden file", k)
		}
	}
	const file = "testdata/value.golden"
	if *update {
		if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(file, []byte(b.String()), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || string(want) != b.String() {
		t.Fatalf("%v; the format changed:\n%s", err, b.String())
	}
}
