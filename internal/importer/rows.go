package importer

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"slices"
	"strings"
)

// row is one row of a source: its keys in the order of the file for CSV,
// sorted for JSON.
type row struct {
	number int // from 1
	keys   []string
	values []any // texts for CSV; for JSON nil, bool, string, json.Number, []any, map[string]any
}

// detect names the format of a source by the end of its name, else by how it
// begins.
func detect(name string, r *bufio.Reader) (Format, error) {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".ndjson", ".jsonl":
		return NDJSON, nil
	case ".csv":
		return CSV, nil
	}
	// The start of the source, or all of it when it is shorter.
	head, err := r.Peek(512)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
		return "", err
	}
	head = bytes.TrimSpace(bytes.TrimPrefix(head, utf8Mark))
	switch {
	case len(head) > 0 && head[0] == '[':
		return JSON, nil
	case len(head) > 0 && head[0] == '{':
		return NDJSON, nil
	case strings.EqualFold(filepath.Ext(name), ".json"):
		return JSON, nil
	}
	return CSV, nil
}

// utf8Mark is what some programs begin a text file with.
var utf8Mark = []byte("\ufeff")

// readRows yields the rows of a source one by one. The iteration ends with the
// first error.
func readRows(format Format, r *bufio.Reader) iter.Seq2[row, error] {
	if head, err := r.Peek(len(utf8Mark)); err == nil && bytes.Equal(head, utf8Mark) {
		// Discarding what was just peeked cannot fail.
		_, _ = r.Discard(len(utf8Mark))
	}
	switch format {
	case CSV:
		return readCSV(r)
	case JSON:
		return readArray(r)
	}
	return readObjects(r)
}

func readCSV(in io.Reader) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		r := csv.NewReader(in)
		head, err := r.Read()
		if err == io.EOF {
			return
		}
		if err == nil {
			err = checkHeader(head)
		}
		if err != nil {
			yield(row{}, csvError(err, 0))
			return
		}
		for n := 1; ; n++ {
			cells, err := r.Read()
			if err == io.EOF {
				return
			}
			if err != nil {
				yield(row{}, csvError(err, n))
				return
			}
			values := make([]any, len(cells))
			for k, c := range cells {
				values[k] = c
			}
			if !yield(row{n, head, values}, nil) {
				return
			}
		}
	}
}

func checkHeader(head []string) error {
	for k, name := range head {
		if name == "" {
			return fmt.Errorf("column %d of the header has no name", k+1)
		}
		if slices.Contains(head[:k], name) {
			return fmt.Errorf("the header names %s twice", name)
		}
	}
	return nil
}

func csvError(err error, n int) error {
	if _, ok := errors.AsType[*csv.ParseError](err); !ok && n > 0 {
		return err // of the file
	}
	return &Error{Reason: BadCSV, Row: n, Err: err}
}

func readArray(in io.Reader) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		d := json.NewDecoder(in)
		d.UseNumber()
		first, err := d.Token()
		if err == nil && first != json.Delim('[') {
			err = errors.New("it does not begin with [")
		}
		n := 0
		for err == nil && d.More() {
			n++
			var r row
			if r, err = readObject(d, n); err == nil && !yield(r, nil) {
				return
			}
		}
		if err == nil {
			_, err = d.Token()
		}
		if err == nil {
			if _, err = d.Token(); err == nil {
				err = errors.New("something follows the array")
			} else if err == io.EOF {
				return
			}
		}
		yield(row{}, jsonError(err, n))
	}
}

func readObjects(in io.Reader) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		d := json.NewDecoder(in)
		d.UseNumber()
		for n := 1; ; n++ {
			r, err := readObject(d, n)
			if err == io.EOF {
				return
			}
			if err != nil {
				yield(row{}, jsonError(err, n))
				return
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

func readObject(d *json.Decoder, n int) (row, error) {
	var fields map[string]any
	if err := d.Decode(&fields); err != nil {
		return row{}, err
	}
	if fields == nil {
		return row{}, errors.New("null is no object")
	}
	r := row{number: n, keys: make([]string, 0, len(fields))}
	for k := range fields {
		r.keys = append(r.keys, k)
	}
	slices.Sort(r.keys)
	r.values = make([]any, len(r.keys))
	for i, k := range r.keys {
		r.values[i] = fields[k]
	}
	return r, nil
}

func jsonError(err error, n int) error {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field == "" {
		err = errors.New("a " + wrong.Value + " is no object")
	}
	return &Error{Reason: BadJSON, Row: n, Err: err}
}
