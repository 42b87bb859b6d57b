package ankqltest_test

import (
	"math/rand/v2"
	"testing"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/ankql/ankqltest"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/value"
)

// TestRandomQuery: every query binds, to models of any shape, and together
// they use all there is.
func TestRandomQuery(t *testing.T) {
	full := ankqltest.Model()
	models := []*schema.Model{full, schema.NewModel("", "none", nil)}
	for _, p := range full.Properties {
		models = append(models, schema.NewModel("", "one", []schema.Property{p}))
	}
	r := rand.New(rand.NewPCG(1, 1))
	seen := map[string]int{}
	for _, m := range models {
		n := 300
		if m == full {
			n = 5000
		}
		for range n {
			text, args := ankqltest.RandomQuery(r, m)
			q, err := ankql.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			s, err := ankql.Bind(q, m, m.Collection, args...)
			if err != nil {
				t.Fatalf("%s %v\n%v", text, args, err)
			}
			if m == full {
				count(seen, s)
			}
		}
	}
	for _, what := range []string{
		"AND", "OR", "=", "!=", "<", "<=", ">", ">=", "CONTAINS", "+", "-", "*", "/", "not", "neg", "in", "in of none", "in of many",
		"between", "like", "ilike", "null", "path", "json path", "id", "desc", "asc", "nulls first", "nulls last", "limit", "no limit",
		"pattern of the row",
	} {
		if seen[what] < 20 {
			t.Errorf("%s came %d times", what, seen[what])
		}
	}
	for _, p := range full.Properties {
		if seen["of "+p.Key] < 50 {
			t.Errorf("property %s came %d times", p.Key, seen["of "+p.Key])
		}
	}
}

func count(seen map[string]int, s *ankql.Selection) {
	ankql.Walk(s.Where, func(e ankql.Expr) bool {
		switch e := e.(type) {
		case *ankql.Not:
			seen["not"]++
		case *ankql.Neg:
			seen["neg"]++
		case *ankql.Binary:
			seen[e.Op.String()]++
		case *ankql.In:
			seen["in"]++
			if len(e.List) == 0 {
				seen["in of none"]++
			}
			if len(e.List) >= 8 {
				seen["in of many"]++
			}
		case *ankql.Between:
			seen["between"]++
		case *ankql.Like:
			if e.Fold {
				seen["ilike"]++
			} else {
				seen["like"]++
			}
			if _, ok := e.Pattern.(*ankql.Path); ok {
				seen["pattern of the row"]++
			}
		case *ankql.IsNull:
			seen["null"]++
		case *ankql.Path:
			seen["path"]++
			seen["of "+e.Key]++
			if e.IsID {
				seen["id"]++
			}
			if len(e.JSON) > 0 {
				seen["json path"]++
			}
		}
		return true
	})
	for _, t := range s.Order {
		if t.Desc {
			seen["desc"]++
		} else {
			seen["asc"]++
		}
		if t.NullsFirst {
			seen["nulls first"]++
		} else {
			seen["nulls last"]++
		}
	}
	if s.Limit < 0 {
		seen["no limit"]++
	} else {
		seen["limit"]++
	}
}

// TestRandomValue: values are valid ones of their property, repeat, and are
// null only where they may be.
func TestRandomValue(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, p := range ankqltest.Model().Properties {
		nulls, repeats := 0, 0
		var last value.Value
		for range 500 {
			v := ankqltest.RandomValue(r, p)
			if v.IsNull() {
				nulls++
			} else if v.Kind() != p.Type.Kind {
				t.Fatalf("%s: a %v", p.Key, v.Kind())
			} else if err := value.Validate(v); err != nil {
				t.Fatalf("%s: %v", p.Key, err)
			}
			if value.Equal(v, last) {
				repeats++
			}
			last = v
		}
		if (nulls > 0) != p.Optional || repeats < 5 && p.Type.Kind != value.KindJSON {
			t.Errorf("%s: %d nulls, %d repeats", p.Key, nulls, repeats)
		}
	}
	enum := schema.Property{Type: value.Type{Kind: value.KindString}, Enum: []string{"only"}}
	if v := ankqltest.RandomValue(r, enum); v.Text() != "only" {
		t.Errorf("of an enum: %v", v)
	}
}

// Every aggregate selection binds, to models of any shape.
func TestRandomAggregate(t *testing.T) {
	full := ankqltest.Model()
	models := []*schema.Model{full, schema.NewModel("", "none", nil)}
	for _, p := range full.Properties {
		models = append(models, schema.NewModel("", "one", []schema.Property{p}))
	}
	r := rand.New(rand.NewPCG(1, 1))
	grouped, ordered, limited := 0, 0, 0
	for _, m := range models {
		for range 300 {
			text, args := ankqltest.RandomAggregate(r, m)
			q, err := ankql.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			a, err := ankql.BindAggregate(q, m, m.Collection, args...)
			if err != nil {
				t.Fatalf("%s %v\n%v", text, args, err)
			}
			if len(a.Group) > 0 {
				grouped++
			}
			if len(a.Order) > 0 {
				ordered++
			}
			if a.Limit >= 0 {
				limited++
			}
		}
	}
	if min(grouped, ordered, limited) < 500 {
		t.Errorf("%d grouped, %d ordered, %d limited", grouped, ordered, limited)
	}
}
