// Package importer reads rows from files and writes them as entities, in
// transactions that carry their own progress: an import that was stopped at any
// moment goes on where it was, and a complete one is not repeated.
package importer

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/value"
)

// Source yields rows; io.EOF ends them. Errors name the row.
type Source interface {
	Next() (ankurah.Fields, error)
}

// Formats are the formats that [NewSource] reads.
var Formats = []string{"json", "ndjson", "csv"}

// Format returns the format that a file's name says, "" when it says none.
func Format(name string) string {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".json":
		return "json"
	case ".ndjson", ".jsonl":
		return "ndjson"
	case ".csv":
		return "csv"
	}
	return ""
}

// NewSource reads rows of a format: an array of JSON objects, one JSON object
// after the other, or CSV with a header row, all of whose fields are text. It
// never holds more than one row.
func NewSource(r io.Reader, format string) (Source, error) {
	switch format {
	case "csv":
		c := csv.NewReader(bufio.NewReader(r))
		c.ReuseRecord = true
		header, err := c.Read()
		if err != nil {
			return nil, fmt.Errorf("ankurah: the header row: %w", err)
		}
		return &csvSource{r: c, header: append([]string(nil), header...)}, nil
	case "json", "ndjson":
		d := json.NewDecoder(bufio.NewReader(r))
		d.UseNumber()
		s := &jsonSource{d: d, array: format == "json"}
		if s.array {
			if t, err := d.Token(); err != nil || t != json.Delim('[') {
				return nil, errors.Join(errors.New("ankurah: the file is not a JSON array of objects: is it ndjson?"), err)
			}
		}
		return s, nil
	}
	return nil, fmt.Errorf("ankurah: unknown format %q: it is one of %s", format, strings.Join(Formats, ", "))
}

type csvSource struct {
	r      *csv.Reader
	header []string
}

// Next reads a record.
func (s *csvSource) Next() (ankurah.Fields, error) {
	rec, err := s.r.Read()
	if err != nil {
		return nil, err
	}
	f := ankurah.Fields{}
	for k, name := range s.header {
		f[name] = rec[k]
	}
	return f, nil
}

type jsonSource struct {
	d     *json.Decoder
	array bool
	n     int
}

// Next reads an object.
func (s *jsonSource) Next() (ankurah.Fields, error) {
	if s.array && !s.d.More() {
		if _, err := s.d.Token(); err != nil {
			return nil, fmt.Errorf("ankurah: after row %d: the array does not end: %w", s.n, err)
		}
		return nil, io.EOF
	}
	s.n++
	var row map[string]any
	switch err := s.d.Decode(&row); {
	case err == io.EOF && !s.array:
		return nil, io.EOF
	case err != nil:
		return nil, fmt.Errorf("ankurah: row %d: %w", s.n, err)
	}
	f := ankurah.Fields{}
	for k, x := range row {
		v, err := plain(x)
		if err != nil {
			return nil, fmt.Errorf("ankurah: row %d, field %s: %w", s.n, k, err)
		}
		f[k] = v
	}
	return f, nil
}

// plain turns numbers of unknown size into int64 or float64.
func plain(x any) (any, error) {
	switch x := x.(type) {
	case json.Number:
		if n, err := x.Int64(); err == nil {
			return n, nil
		}
		return x.Float64()
	case []any:
		for k := range x {
			var err error
			if x[k], err = plain(x[k]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for k := range x {
			var err error
			if x[k], err = plain(x[k]); err != nil {
				return nil, err
			}
		}
	}
	return x, nil
}

// ParseType reads the name of a type, such as float64.
func ParseType(name string) (value.Type, error) {
	for k := value.KindString; k <= value.KindJSON; k++ {
		if k.String() == name {
			return value.Type{Kind: k}, nil
		}
	}
	return value.Type{}, fmt.Errorf("ankurah: unknown type %q: it is one of string, bool, int32, int64, float64, bytes, time, id, json", name)
}
