package importer

import (
	"bufio"
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go/value"
)

// FuzzRows: no file panics; rows are whole, and every value is one that can be
// stored.
func FuzzRows(f *testing.F) {
	f.Add("a.csv", "name,year\n\"x\ny\",3\n")
	f.Add("a.csv", "name,name\n")
	f.Add("a.json", `[{"name": "x", "deep": {"a": [1, 2.5, null]}}, {}]`)
	f.Add("a.ndjson", "{\"n\": 1e400}\n{\"n\": 9007199254740993}")
	f.Add("a", "\ufeff{\"a\": true}")
	f.Add("a", "[[1]]")
	o := &Options{Collection: "album"}
	f.Fuzz(func(t *testing.T, name, text string) {
		format, err := detect(name, bufio.NewReader(strings.NewReader(text)))
		if err != nil {
			t.Fatal(err) // of the reader, which has none
		}
		n := 0
		for row, err := range readRows(format, bufio.NewReader(strings.NewReader(text))) {
			if err != nil {
				if len(err.Error()) > 1000+len(text) {
					t.Errorf("an error of %d bytes", len(err.Error()))
				}
				return
			}
			if n++; row.number != n || len(row.keys) != len(row.values) {
				t.Fatalf("row %d has number %d, %d keys and %d values", n, row.number, len(row.keys), len(row.values))
			}
			properties, err := o.properties(nil, row, format == CSV)
			if err != nil {
				continue
			}
			for _, p := range properties {
				if err := value.Validate(p.v); err != nil {
					t.Fatalf("row %d: %v", n, err)
				}
			}
		}
	})
}
