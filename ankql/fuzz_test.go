package ankql_test

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/ankql/ankqltest"
	"github.com/ankurah/ankurah-go/value"
)

// addCorpus seeds a fuzz target with the queries of testdata and generated ones.
func addCorpus(f *testing.F, add func(text string)) {
	for _, name := range []string{"testdata/syntax.txt", "testdata/bind.txt"} {
		file, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for c := range strings.SplitSeq(string(file), "\n\n") {
			text, _, _ := strings.Cut(c, "\n")
			add(text)
		}
	}
	r := rand.New(rand.NewPCG(1, 1))
	for range 50 {
		text, _ := ankqltest.RandomQuery(r, ankqltest.Model())
		add(text)
		text, _ = ankqltest.RandomAggregate(r, ankqltest.Model())
		add(text)
	}
}

// FuzzParse: no text panics; what parses prints as itself (S49).
func FuzzParse(f *testing.F) {
	addCorpus(f, func(text string) { f.Add(text) })
	f.Fuzz(func(t *testing.T, text string) {
		q, err := ankql.Parse(text)
		if err != nil {
			if len(err.Error()) > 1000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		printed := q.String()
		if len(printed) > ankql.MaxText {
			return
		}
		back, err := ankql.Parse(printed)
		if err != nil {
			t.Fatalf("%q prints as %q: %v", text, printed, err)
		}
		if !ankql.Equal(q, back) {
			t.Fatalf("%q prints as %q, which is another query", text, printed)
		}
		if again := back.String(); again != printed {
			t.Fatalf("%q prints as %q at first, as %q then", text, printed, again)
		}
	})
}

// FuzzEval: whatever binds evaluates without panic, as the oracle says, with a
// model and without.
func FuzzEval(f *testing.F) {
	addCorpus(f, func(text string) { f.Add(text, uint64(1), "x", int64(5)) })
	f.Fuzz(func(t *testing.T, text string, seed uint64, arg1 string, arg2 int64) {
		q, err := ankql.Parse(text)
		if err != nil {
			return
		}
		var args []any
		named := map[string]bool{}
		for _, e := range []ankql.Expr{q.Where, q.Limit, q.After} {
			for p := range ankql.Params(e) {
				var v any = arg1
				if len(args)%2 == 1 {
					v = arg2
				}
				if p.Name == "" {
					args = append(args, v)
				} else if !named[p.Name] {
					named[p.Name] = true
					args = append(args, ankql.Named{Name: p.Name, Value: v})
				}
			}
		}
		m := ankqltest.Model()
		r := rand.New(rand.NewPCG(seed, 2))
		a, b := ankqltest.RandomRow(r, m), ankqltest.RandomRow(r, m)
		for _, m := range []bool{true, false} {
			model := ankqltest.Model()
			if !m {
				model = nil
			}
			s, err := ankql.Bind(q, model, "album", args...)
			if err != nil {
				continue
			}
			if len(text) < 200 { // the oracle may take exponential time
				if got, want := ankql.Eval(s.Where, a), toTruth(oracle(s.Where, a)); got != want {
					t.Fatalf("%s\nrow %v: got %v, want %v", s, a.Values, got, want)
				}
			}
			s.Match(b)
			if s.Compare(a, b) != -s.Compare(b, a) || s.CompareCursor(a, s.CursorOf(a)) != 0 {
				t.Fatalf("%s: no order", s)
			}
			if s.After != nil {
				s.CompareCursor(a, s.After)
			}
			_ = s.String()
		}
	})
}

// FuzzCursor: any text is a cursor or an error, and a cursor's text stands for
// the same position.
func FuzzCursor(f *testing.F) {
	f.Add("")
	f.Add("EhAAAAAAAAAAAAAAAAAAAAAA")
	r := rand.New(rand.NewPCG(1, 1))
	m := ankqltest.Model()
	for _, p := range m.Properties {
		row := ankqltest.RandomRow(r, m)
		f.Add((&ankql.Cursor{ID: row.EntityID, Key: []value.Value{row.Value(p.Key)}}).String())
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ankql.ParseCursor(text)
		if err != nil {
			return
		}
		back, err := ankql.ParseCursor(c.String())
		if err != nil {
			t.Fatalf("%q prints as %q: %v", text, c, err)
		}
		if back.String() != c.String() || back.ID != c.ID || len(back.Key) != len(c.Key) {
			t.Fatalf("%q came back otherwise", text)
		}
	})
}
