package ankql_test

import (
	"testing"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/ankql/ankqltest"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/value"
)

const typical = "year > 1985 AND name LIKE 'O%' ORDER BY year DESC, name LIMIT 50"

// fields is a row without a map, as stored entities are.
type fields struct {
	id         id.ID
	name, year value.Value
}

func (r *fields) ID() id.ID { return r.id }

func (r *fields) Value(key string) value.Value {
	switch key {
	case "name":
		return r.name
	case "year":
		return r.year
	}
	return value.Null
}

var oneRow ankql.Row = &fields{name: value.String("Origin of Symmetry"), year: value.Int32(2001)}

// TestNoAllocations: evaluating and ordering allocate nothing (but for the entity's ID as a
// value, and texts with escapes inside JSON).
func TestNoAllocations(t *testing.T) {
	for _, text := range []string{
		typical,
		"year > 1985 AND (name = 'x' OR NOT name ILIKE '%SYM_ETRY%') AND year IS NOT NULL",
		"year BETWEEN 1985 AND 2001 OR year IN (1, 2, 3) OR name NOT IN ('1','2','3','4','5','6','7','8')",
		"year * 2 + 1 > 1.5 AND -year < plays AND name CONTAINS 'of' AND extra.n IS NULL",
	} {
		s := mustBind(t, ankqltest.Model(), text)
		c := s.CursorOf(oneRow)
		if n := testing.AllocsPerRun(100, func() {
			s.Match(oneRow)
			s.Compare(oneRow, oneRow)
			s.CompareCursor(oneRow, c)
		}); n != 0 {
			t.Errorf("%s: %v allocations", text, n)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ankql.Parse(typical); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBind(b *testing.B) {
	q, m := mustParse(b, "year > ? AND name LIKE ? ORDER BY year DESC, name LIMIT 50"), ankqltest.Model()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ankql.Bind(q, m, "album", 1985, "O%"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	for _, c := range []struct{ name, text string }{
		{"typical", typical},
		{"equal", "year = 2001"},
		{"in64", "year IN (1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32," +
			"33,34,35,36,37,38,39,40,41,42,43,44,45,46,47,48,49,50,51,52,53,54,55,56,57,58,59,60,61,62,63,64)"},
		{"ilike", "name ILIKE '%symm%'"},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := mustBind(b, ankqltest.Model(), c.text)
			b.ReportAllocs()
			for b.Loop() {
				s.Match(oneRow)
			}
		})
	}
}

func BenchmarkCompare(b *testing.B) {
	s := mustBind(b, ankqltest.Model(), typical)
	b.ReportAllocs()
	for b.Loop() {
		s.Compare(oneRow, oneRow)
	}
}
