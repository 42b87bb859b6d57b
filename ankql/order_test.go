package ankql_test

import (
	"encoding/base64"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/ankql/ankqltest"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/protowire"
	"github.com/ankurah/ankurah-go/value"
)

// lessByRule orders rows as S47 says, spelled out.
func lessByRule(s *ankql.Selection, a, b ankql.Row) bool {
	for _, t := range s.Order {
		x, y := oracleValue(t.Path, a), oracleValue(t.Path, b)
		switch {
		case x.IsNull() && y.IsNull():
			continue
		case x.IsNull():
			return t.NullsFirst
		case y.IsNull():
			return !t.NullsFirst
		}
		c, ok := oracleOrder(x, y)
		if !ok {
			c = value.Compare(x, y) // of different types inside JSON: package value's order
		}
		if c != 0 {
			return (c < 0) != t.Desc
		}
	}
	return a.ID().Less(b.ID())
}

// TestOrder: Compare is the order of S47, total; cursors have the same order,
// survive their text, and cut a sorted result exactly behind their row.
func TestOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(47, 1))
	m := ankqltest.Model()
	for range 250 {
		var rows []*ankqltest.Row
		for range 16 {
			rows = append(rows, ankqltest.RandomRow(r, m))
		}
		text, args := ankqltest.RandomQuery(r, m)
		s := mustBind(t, m, text, args...)
		for _, a := range rows {
			c, err := ankql.ParseCursor(s.CursorOf(a).String())
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range rows {
				got := s.Compare(a, b)
				if (got < 0) != lessByRule(s, a, b) || (got > 0) != lessByRule(s, b, a) {
					t.Fatalf("%s: Compare gives %d\n%v\n%v", s, got, a.Values, b.Values)
				}
				if (got == 0) != (a.EntityID == b.EntityID) {
					t.Fatalf("%s: two entities are equal", s)
				}
				if got := s.CompareCursor(b, c); got != s.Compare(b, a) {
					t.Fatalf("%s: CompareCursor gives %d, Compare %d\n%v\n%v", s, got, s.Compare(b, a), b.Values, a.Values)
				}
			}
		}
		slices.SortFunc(rows, func(a, b *ankqltest.Row) int { return s.Compare(a, b) })
		k := r.IntN(len(rows))
		c := s.CursorOf(rows[k])
		for j, row := range rows {
			if after := s.CompareCursor(row, c) > 0; after != (j > k) {
				t.Fatalf("%s: row %d after the cursor of row %d: %v", s, j, k, after)
			}
		}
	}
}

// TestNullPlacement pins the defaults of S47.
func TestNullPlacement(t *testing.T) {
	m := ankqltest.Model()
	row := func(n byte, v value.Value) *ankqltest.Row {
		return &ankqltest.Row{EntityID: id.ID{n}, Values: map[string]value.Value{"discs": v}}
	}
	rows := []*ankqltest.Row{row('a', value.Int32(2)), row('b', value.Null), row('c', value.Int32(1)), row('d', value.Null), row('e', value.Int32(2))}
	for text, want := range map[string]string{
		"":                                "abcde",
		"ORDER BY discs":                  "caebd",
		"ORDER BY discs ASC NULLS FIRST":  "bdcae",
		"ORDER BY discs DESC":             "bdaec",
		"ORDER BY discs DESC NULLS LAST":  "aecbd",
		"ORDER BY discs DESC, id DESC":    "dbeac",
		"ORDER BY id DESC":                "edcba",
		"ORDER BY extra.none, discs DESC": "bdaec",
	} {
		s := mustBind(t, m, text)
		sorted := slices.Clone(rows)
		slices.SortFunc(sorted, func(a, b *ankqltest.Row) int { return s.Compare(a, b) })
		got := ""
		for _, r := range sorted {
			got += string(r.EntityID[0])
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

func TestCursorText(t *testing.T) {
	r := rand.New(rand.NewPCG(47, 2))
	m := ankqltest.Model()
	for range 2000 {
		c := &ankql.Cursor{ID: ankqltest.RandomID(r, 1000)}
		for range r.IntN(4) {
			c.Key = append(c.Key, ankqltest.RandomValue(r, m.Properties[r.IntN(len(m.Properties))]))
		}
		text := c.String()
		if strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			t.Fatalf("%s cannot stand in a URL", text)
		}
		got, err := ankql.ParseCursor(text)
		if err != nil {
			t.Fatalf("%v: %v", c, err)
		}
		if got.ID != c.ID || !slices.EqualFunc(got.Key, c.Key, func(a, b value.Value) bool { return a.Kind() == b.Kind() && value.Compare(a, b) == 0 }) {
			t.Fatalf("%v came back as %v", c, got)
		}
		for k := range len(text) { // no beginning of a cursor is a cursor
			if _, err := ankql.ParseCursor(text[:k]); !errors.Is(err, ankql.ErrCursor) {
				t.Fatalf("the first %d bytes of %s: %v", k, text, err)
			}
		}
	}
}

// TestCursorErrors: what is no cursor says why.
func TestCursorErrors(t *testing.T) {
	field := func(num protowire.Number, b []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), b)
	}
	whole := field(2, make([]byte, id.Size))
	for _, c := range []struct {
		bytes []byte
		want  string
	}{
		{nil, "cut short"},
		{whole[:5], "cut short"},
		{protowire.AppendVarint(protowire.AppendTag(nil, 2, protowire.VarintType), 1), "cut short or damaged"},
		{slices.Concat(field(1, []byte{0xFF, 0xFF}), whole), "value 1 of its key is damaged"},
		{slices.Concat(field(1, value.Append(nil, value.Int32(1))), field(1, value.Append(nil, value.String("\xFF"))), whole), "value 2 of its key is damaged"},
		{field(2, make([]byte, id.Size-1)), "its ID is damaged"},
		{slices.Concat(whole, whole), "something follows its end"},
		{slices.Concat(field(3, nil), whole), "unknown field 3"},
	} {
		_, err := ankql.ParseCursor(base64.RawURLEncoding.EncodeToString(c.bytes))
		if !errors.Is(err, ankql.ErrCursor) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%x: %v, want %s", c.bytes, err, c.want)
		}
	}
}
