package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ankurah/ankurah-go"
)

// printJSON prints one value as a line of JSON.
func (a *app) printJSON(v any) error {
	b, err := marshal(v)
	if err != nil {
		return err
	}
	_, err = a.out.Write(append(b, '\n'))
	return err
}

// marshal is json.Marshal that leaves <, > and & as they are.
func marshal(v any) ([]byte, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return []byte(strings.TrimSuffix(b.String(), "\n")), nil
}

// object is a record as JSON: its ID first, then its properties by key. The
// nil object is null.
type object struct{ r record }

func (o object) MarshalJSON() ([]byte, error) {
	if o.r.IsZero() {
		return []byte("null"), nil
	}
	b := append([]byte(`{"id":"`), o.r.ID().String()...)
	b = append(b, '"')
	for _, key := range o.r.Keys() {
		v, ok := o.r.Get(key)
		if !ok {
			continue
		}
		k, err := marshal(key)
		if err != nil {
			return nil, err
		}
		x, err := marshal(jsonable(v))
		if err != nil {
			return nil, err
		}
		b = append(append(append(append(b, ','), k...), ':'), x...)
	}
	return append(b, '}'), nil
}

// jsonable replaces what JSON has no form for: numbers that are none become
// text.
func jsonable(v any) any {
	switch v := v.(type) {
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Sprint(v)
		}
	case []float64:
		out := make([]any, len(v))
		for k, f := range v {
			out[k] = jsonable(f)
		}
		return out
	}
	return v
}

// text returns a property's value for people and for CSV.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case time.Time:
		return v.Format(time.RFC3339Nano)
	case []byte:
		return base64.StdEncoding.EncodeToString(v)
	case ankurah.ID:
		return v.String()
	case bool, int32, int64:
		return fmt.Sprint(v)
	}
	b, err := marshal(jsonable(v))
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

// quoted returns a property's value as an audit trail shows it: texts can be
// told from numbers, and nothing from an empty text.
func quoted(v any) string {
	switch v := v.(type) {
	case nil:
		return "—"
	case string:
		return strconv.Quote(v)
	}
	return text(v)
}

func field(r record, key string) any {
	if key == "id" {
		return r.ID()
	}
	v, _ := r.Get(key)
	return v
}

// tableAhead is how many rows a table looks at to size its columns; those
// that follow are printed as they come.
const tableAhead = 1000

// table prints rows in columns that are as wide as their content.
type table struct {
	w       io.Writer
	columns []string
	max     int // width of a cell at most, 0 for any
	ahead   [][]string
	right   []bool // columns of numbers
	widths  []int  // once they are settled
}

func newTable(w io.Writer, columns []string, max int) *table {
	return &table{w: w, columns: columns, max: max, right: make([]bool, len(columns))}
}

func (t *table) add(r row) error {
	cells := make([]string, len(t.columns))
	for k, v := range r.values {
		switch v.(type) {
		case int32, int64, float64:
			t.right[k] = true
		}
		cells[k] = plain(text(v))
		if t.max > 0 {
			cells[k] = cut(cells[k], t.max)
		}
	}
	if t.widths != nil {
		return t.line(cells)
	}
	t.ahead = append(t.ahead, cells)
	if len(t.ahead) < tableAhead {
		return nil
	}
	return t.flush()
}

// flush prints the header and the rows looked at so far. Columns that nothing
// stands in are left out.
func (t *table) flush() error {
	if t.widths != nil {
		return nil
	}
	t.widths = make([]int, len(t.columns))
	for _, cells := range t.ahead {
		for k, c := range cells {
			t.widths[k] = max(t.widths[k], textWidth(c))
		}
	}
	for k, c := range t.columns {
		if t.widths[k] > 0 || len(t.ahead) == 0 {
			t.widths[k] = max(t.widths[k], textWidth(c))
		}
	}
	if err := t.line(t.columns); err != nil {
		return err
	}
	for _, cells := range t.ahead {
		if err := t.line(cells); err != nil {
			return err
		}
	}
	t.ahead = nil
	return nil
}

func (t *table) line(cells []string) error {
	var b strings.Builder
	for k, c := range cells {
		if t.widths[k] > 0 {
			b.WriteString(pad(c, t.widths[k], t.right[k]))
			b.WriteString("  ")
		}
	}
	_, err := fmt.Fprintln(t.w, strings.TrimRight(b.String(), " "))
	return err
}

// withID returns the columns of a table of a collection: the ID and its
// properties, the first of which is what a reader looks for: a name.
func withID(keys []string) []string {
	if k := slices.Index(keys, "name"); k > 0 {
		keys = slices.Concat([]string{"name"}, keys[:k], keys[k+1:])
	}
	return append([]string{"id"}, keys...)
}
