package postgres_test

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/ankurahtest/pgtest"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/storagetest"
	"github.com/ankurah/ankurah-go/value"
)

// rows is the size of the collection that plans are made for; 1000000 takes
// some minutes.
var rows = flag.Int("rows", 20_000, "rows of the collection that plans are made for")

func rowModel() *schema.Model {
	property := func(key string, k value.Kind) schema.Property {
		return schema.Property{Key: key, Type: value.Type{Kind: k}}
	}
	return schema.NewModel("Row", "row", []schema.Property{property("code", value.KindString), property("group", value.KindInt64), property("n", value.KindInt64),
		property("rating", value.KindFloat64), property("extra", value.KindJSON), property("title", value.KindString)})
}

// The database reads an index, and not the table, for what an index can serve,
// and what no SQL can say is left to the evaluator.
func TestPlans(t *testing.T) {
	e := open(t, pgtest.New(t), nil)
	m := rowModel()
	if err := e.EnsureModel(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	w := storagetest.NewWriter(t, 1)
	for k := 0; k < *rows; k += 1000 {
		var writes []storage.EntityWrite
		for j := k; j < min(k+1000, *rows); j++ {
			doc, err := value.ParseJSON(fmt.Sprintf(`{"k":%d,"s":"text %d"}`, j, j))
			if err != nil {
				t.Fatal(err)
			}
			writes = append(writes, w.Create("row", storagetest.Set("code", value.String(fmt.Sprintf("code %07d", j))), storagetest.Set("group", value.Int64(int64(j/20))),
				storagetest.Set("n", value.Int64(int64(j))), storagetest.Set("rating", value.Float64(float64(j)/8)), storagetest.Set("extra", doc), storagetest.Set("title", value.String("The title"))))
		}
		if _, err := e.Commit(t.Context(), &storage.Batch{Txs: []storage.Tx{w.Tx(writes...)}}); err != nil {
			t.Fatal(err)
		}
	}
	column := func(path ...string) schema.Column { return schema.Column{Path: path} }
	for _, x := range []schema.Index{
		{Columns: []schema.Column{column("code")}},
		{Columns: []schema.Column{column("group"), {Path: []string{"n"}, Desc: true}}},
		{Columns: []schema.Column{column("rating")}},
		{Columns: []schema.Column{column("extra", "k")}},
		{Columns: []schema.Column{column("extra", "s")}},
	} {
		if err := e.EnsureIndex(t.Context(), "row", x); err != nil {
			t.Fatal(err)
		}
	}
	snap, err := e.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	bind := func(text string, args ...any) *ankql.Selection {
		t.Helper()
		q, err := ankql.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		sel, err := ankql.Bind(q, m, "row", args...)
		if err != nil {
			t.Fatal(err)
		}
		return sel
	}
	middle := int64(*rows / 2)
	after := bind("ORDER BY code LIMIT 5")
	after.After = &ankql.Cursor{Key: []value.Value{value.String(fmt.Sprintf("code %07d", middle))}}
	afterMany := bind("ORDER BY group, n DESC LIMIT 5")
	afterMany.After = &ankql.Cursor{Key: []value.Value{value.Int64(middle / 20), value.Int64(middle)}}
	for name, c := range map[string]struct {
		sel  *ankql.Selection
		uses string
		rows int
	}{
		"equality":              {bind("code = ?", fmt.Sprintf("code %07d", middle)), "row_by_code", 1},
		"in":                    {bind("code IN ('code 0000001', 'code 0000002', 'none')"), "row_by_code", 2},
		"prefix":                {bind("code LIKE 'code 000012%'"), "row_by_code", 10},
		"prefix and order":      {bind("code LIKE 'code 0000%' ORDER BY code LIMIT 5"), "row_by_code", 5},
		"expression":            {bind("(group + 1) / 2 = 7"), "row_by_group,n desc", 40},
		"range of text":         {bind("code >= ? AND code < ?", "code 0000100", "code 0000130"), "row_by_code", 30},
		"range of numbers":      {bind("rating >= 100 AND rating < 101"), "row_by_rating", 8},
		"between":               {bind("group BETWEEN 5 AND 6"), "row_by_group,n desc", 40},
		"equality and order":    {bind("group = 7 ORDER BY n DESC LIMIT 3"), "row_by_group,n desc", 3},
		"order":                 {bind("ORDER BY code LIMIT 5"), "row_by_code", 5},
		"order backwards":       {bind("ORDER BY code DESC LIMIT 5"), "row_by_code", 5},
		"order of two":          {bind("ORDER BY group, n DESC LIMIT 5"), "row_by_group,n desc", 5},
		"after":                 {after, "row_by_code", 5},
		"after, of two":         {afterMany, "row_by_group,n desc", 5},
		"document":              {bind("extra.k = ?", middle), "row_by_extra.k", 1},
		"range in a document":   {bind("extra.k >= 100 AND extra.k < 110"), "row_by_extra.k", 10},
		"text in a document":    {bind("extra.s = 'text 77'"), "row_by_extra.s", 1},
		"with what is no SQL":   {bind("code LIKE 'code 000012%' AND rating / 2 > 7.6"), "row_by_code", 8},
		"id":                    {bind("id IN (?, ?)", w.Create("row").After.ID(), w.Create("row").After.ID()), "row_pkey", 0},
		"order by id, backward": {bind("ORDER BY id DESC LIMIT 4"), "row_pkey", 4},
	} {
		t.Run(name, func(t *testing.T) {
			plan, err := snap.Explain(t.Context(), c.sel)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(plan, "Index") || !strings.Contains(plan, c.uses) || strings.Contains(plan, "Seq Scan") {
				t.Errorf("it does not use %s:\n%s", c.uses, plan)
			}
			if strings.Contains(name, "equality") && strings.Contains(plan, fmt.Sprintf("rows=%d ", *rows/200)) {
				t.Errorf("the planner knows nothing of its values:\n%s", plan)
			}
			// Backwards, IDs still go forwards.
			if strings.Contains(name, "order") && name != "order backwards" && strings.Contains(plan, "Sort") {
				t.Errorf("it sorts what comes in order:\n%s", plan)
			}
			n := 0
			for _, err := range snap.Scan(t.Context(), c.sel) {
				if err != nil {
					t.Fatal(err)
				}
				n++
			}
			if n != c.rows {
				t.Errorf("%d rows, want %d\n%s", n, c.rows, plan)
			}
		})
	}
}
