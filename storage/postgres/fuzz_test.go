package postgres

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/ankql/ankqltest"
	"github.com/ankurah/ankurah-go/value"
)

// tables returns the tables of the model of generated queries.
func tables() *collection {
	c := &collection{name: "album", table: `"s"."album"`, byKey: map[string]*column{}}
	for _, p := range ankqltest.Model().Properties {
		sql, ok := sqlType(p.Type)
		if !ok {
			continue
		}
		col := &column{key: p.Key, name: quote(p.Key), typ: p.Type, sql: sql, exact: len(c.columns)%2 == 0}
		c.columns = append(c.columns, col)
		c.byKey[p.Key] = col
	}
	return c
}

// FuzzIndexes: whatever the catalog says of an index is a layout or damage.
func FuzzIndexes(f *testing.F) {
	for _, definition := range []string{`[{"Path":["name"],"Desc":true}]`, `[{"Path":["extra","x'y"]}]`, `[{"Path":[]}]`, `[{}]`, `null`, `[`} {
		f.Add(definition)
	}
	f.Fuzz(func(t *testing.T, definition string) {
		c := tables()
		x, err := readIndex("album", "album_by", definition)
		if err != nil {
			return
		}
		columns := x.layout(c)
		if len(columns) > len(x.def.Columns) {
			t.Errorf("%d columns of %d", len(columns), len(x.def.Columns))
		}
		if sql := x.sql(c, columns); strings.Contains(sql, "\x00") {
			t.Errorf("PostgreSQL takes no zero byte: %q", sql)
		}
	})
}

// FuzzTypes: what a column's type is called is a type that is called so, or
// none.
func FuzzTypes(f *testing.F) {
	f.Add("text", []byte{})
	f.Add("bigint[]", value.Append(nil, value.Int64(7)))
	f.Add("jsonb", value.Append(nil, value.String("x")))
	f.Fuzz(func(t *testing.T, name string, encoded []byte) {
		typ, ok := typeOf(name)
		if !ok {
			return
		}
		if again, ok := sqlType(typ); !ok || again != name {
			t.Fatalf("%q is %v, which is called %q", name, typ, again)
		}
		v, err := value.Decode(encoded)
		if err != nil {
			return
		}
		if x, ok := encode(v, typ); ok && x == nil && !v.IsNull() {
			t.Errorf("%v is null in a column of type %s", v, name)
		}
	})
}

// FuzzPlan: any query is SQL in which texts of the query are parameters, or is
// left to the evaluator.
func FuzzPlan(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 60 {
		text, _ := ankqltest.RandomQuery(r, ankqltest.Model())
		f.Add(text)
	}
	f.Add(`name ILIKE 'it''s 100\%' OR name LIKE '\' ORDER BY name DESC LIMIT 3`)
	f.Fuzz(func(t *testing.T, text string) {
		// A piece of text that no column, type or function has in its name.
		const marker = "Zq9"
		q, err := ankql.Parse(strings.ReplaceAll(text, "?", "'"+marker+"'"))
		if err != nil {
			return
		}
		sel, err := ankql.Bind(q, ankqltest.Model(), "album")
		if err != nil || strings.Contains(text, marker) {
			return
		}
		s := &snapshot{e: &Engine{schema: "s"}}
		p := s.newPlan(sel, tables())
		for _, part := range p.parts {
			sql, args := p.sql("id, _state", part, p.first(), p.limit())
			if strings.Contains(sql, "\x00") || strings.Contains(sql, marker) {
				t.Errorf("%s: %q", text, sql)
			}
			if n := len(args); n > 0 && !strings.Contains(sql, "$"+itoa(n)) || strings.Contains(sql, "$"+itoa(n+1)+":") {
				t.Errorf("%s: %d parameters of %q", text, n, sql)
			}
		}
	})
}
