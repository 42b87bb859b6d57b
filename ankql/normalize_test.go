package ankql_test

import (
	"math/rand/v2"
	"testing"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/ankql/ankqltest"
	"github.com/ankurah/ankurah-go/schema"
)

func selectionOf(t testing.TB, m *schema.Model, text string, args ...any) *ankql.Selection {
	t.Helper()
	q, err := ankql.Parse(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	s, err := ankql.Bind(q, m, "album", args...)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return s
}

// S45: the canonical form has the same truth value of every row, not only the
// same rows; it is its own canonical form, and it parses.
func TestNormalizeKeepsTruth(t *testing.T) {
	m := ankqltest.Model()
	n := 20_000
	if testing.Short() {
		n = 2_000
	}
	r := rand.New(rand.NewPCG(57, 1))
	changed := 0
	for range n {
		text, args := ankqltest.RandomPredicate(r, m)
		s := selectionOf(t, m, text, args...)
		if r.IntN(3) == 0 {
			s.Where = &ankql.Not{X: s.Where}
		}
		c := s.Normalize()
		if ankql.PrintExpr(c.Where) != ankql.PrintExpr(s.Where) {
			changed++
		}
		for range 8 {
			row := ankqltest.RandomRow(r, m)
			if got, want := ankql.Eval(c.Where, row), ankql.Eval(s.Where, row); got != want {
				t.Fatalf("%s is %v, its canonical form %s is %v of %v", ankql.PrintExpr(s.Where), want, ankql.PrintExpr(c.Where), got, row)
			}
		}
		if again := c.Normalize(); again.Key() != c.Key() {
			t.Fatalf("%s: the canonical form of\n%s is\n%s", text, ankql.PrintExpr(c.Where), ankql.PrintExpr(again.Where))
		}
		back, params := c.Template()
		if _, err := ankql.BindTemplate(back, params, m, "album"); err != nil {
			t.Fatalf("%s: %v", back, err)
		}
	}
	if changed < n/3 {
		t.Errorf("%d of %d predicates changed: the generator proves little", changed, n)
	}
}

// What means the same and is written in another way has one key; what differs
// in a value, its type, the order or the limit has another.
func TestKey(t *testing.T) {
	m := ankqltest.Model()
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"year = 1 AND name = 'x'", "name = 'x' AND year = 1", true},
		{"NOT (year < 1 OR name = 'x')", "name <> 'x' AND year >= 1", true},
		{"NOT NOT published", "published = TRUE", true},
		{"1 < year", "year > 1", true},
		{"year = 1 AND (name = 'x' AND year = 1)", "year = 1 AND name = 'x'", true},
		{"year = 1 AND 1 < 2", "year = 1", true},
		{"year = 1 OR 2 < 1", "year = 1", true},
		{"TRUE", "", true},
		{"year = 1 AND NULL", "year = 1", false},
		{"year = 1", "year = 2", false},
		{"year = 1", "year = 1 LIMIT 5", false},
		{"year = 1 ORDER BY name", "year = 1 ORDER BY name DESC", false},
		{"name = 'a'", "name = 'a '", false},
		{"rating = 1", "year = 1", false},
	} {
		a, b := selectionOf(t, m, c.a).Normalize().Key(), selectionOf(t, m, c.b).Normalize().Key()
		if (a == b) != c.same {
			t.Errorf("%q and %q: one key %v, want %v", c.a, c.b, a == b, c.same)
		}
	}
	s := selectionOf(t, m, "year = 1")
	if o := selectionOf(t, nil, "year = 1"); o.Key() == s.Key() {
		t.Error("types are no part of the key")
	}
}
