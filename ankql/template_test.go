package ankql_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/ankql/ankqltest"
	"github.com/ankurah/ankurah-go/schema"
)

// TestTemplate tests that a selection that goes through a template matches and
// orders the same rows, with the model and without.
func TestTemplate(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	m := ankqltest.Model()
	var rows []*ankqltest.Row
	for range 40 {
		rows = append(rows, ankqltest.RandomRow(r, m))
	}
	matched := 0
	for range 3000 {
		text, args := ankqltest.RandomQuery(r, m)
		s := mustBind(t, m, text, args...)
		template, params := s.Template()
		for _, model := range []*schema.Model{m, nil} {
			again, err := ankql.BindTemplate(template, params, model, s.Collection)
			if err != nil {
				t.Fatalf("%s\ntemplate %s %v: %v", s, template, params, err)
			}
			for k, row := range rows {
				if s.Match(row) != again.Match(row) && model != nil {
					t.Fatalf("%s\ntemplate %s %v\nrow %v: %t, then %t", s, template, params, row.Values, s.Match(row), again.Match(row))
				}
				if s.Match(row) {
					matched++
				}
				if other := rows[(k+1)%len(rows)]; s.Compare(row, other) != again.Compare(row, other) && model != nil {
					t.Fatalf("%s\ntemplate %s orders differently", s, template)
				}
			}
		}
	}
	if matched < 3000 {
		t.Errorf("only %d rows matched", matched)
	}
}

func TestTemplateTooLong(t *testing.T) {
	_, err := ankql.BindTemplate(strings.Repeat(" ", ankql.MaxTemplate+1), nil, nil, "album")
	if err == nil || !strings.Contains(err.Error(), "the limit is 1048576") {
		t.Errorf("error: %v", err)
	}
}

// An aggregate selection goes through a template unchanged.
func TestAggregateTemplate(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	m := ankqltest.Model()
	for range 2000 {
		text, args := ankqltest.RandomAggregate(r, m)
		q, err := ankql.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		a, err := ankql.BindAggregate(q, m, m.Collection, args...)
		if err != nil {
			t.Fatal(err)
		}
		if !ankql.IsAggregate(text) {
			t.Fatalf("%s is none", text)
		}
		template, params := a.Template()
		again, err := ankql.Limits{}.BindAggregateTemplate(template, params, m, m.Collection)
		if err != nil {
			t.Fatalf("%s\ntemplate %s %v: %v", a, template, params, err)
		}
		if a.String() != again.String() || again.Rows.Limit >= 0 {
			t.Fatalf("%s\ntemplate %s %v\n%s", a, template, params, again)
		}
	}
}
