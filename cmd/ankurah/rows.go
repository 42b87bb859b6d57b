package main

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

// row is one row of an input: its keys in the order of the file for CSV,
// sorted for JSON.
type row struct {
	number int // from 1
	keys   []string
	values []any // texts for CSV; for JSON nil, bool, string, json.Number, []any, map[string]any
}

// detect names the format of an input by the end of its name, else by how it
// begins.
func detect(name string, r *bufio.Reader) (string, error) {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".ndjson", ".jsonl":
		return "ndjson", nil
	case ".csv":
		return "csv", nil
	}
	// The start of the input, or all of it when it is shorter.
	head, err := r.Peek(512)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
		return "", err
	}
	head = bytes.TrimSpace(bytes.TrimPrefix(head, utf8Mark))
	switch {
	case len(head) > 0 && head[0] == '[':
		return "json", nil
	case len(head) > 0 && head[0] == '{':
		return "ndjson", nil
	case strings.EqualFold(filepath.Ext(name), ".json"):
		return "json", nil
	}
	return "csv", nil
}

// utf8Mark is what some programs begin a text file with.
var utf8Mark = []byte("\ufeff")

// readRows yields the rows of an input one by one. The iteration ends with the
// first error.
func readRows(format string, r *bufio.Reader) iter.Seq2[row, error] {
	if head, err := r.Peek(len(utf8Mark)); err == nil && bytes.Equal(head, utf8Mark) {
		// Discarding what was just peeked cannot fail.
		_, _ = r.Discard(len(utf8Mark))
	}
	switch format {
	case "csv":
		return readCSV(r)
	case "json":
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
			yield(row{}, csvError(err))
			return
		}
		for n := 1; ; n++ {
			cells, err := r.Read()
			if err == io.EOF {
				return
			}
			if err != nil {
				yield(row{}, csvError(err))
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

func csvError(err error) error {
	if _, ok := errors.AsType[*csv.ParseError](err); ok {
		return badInput(err, "every row needs the columns of the header; say --format if this is no CSV")
	}
	return badInput(err, "the first line of a CSV names its columns")
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
	text := err.Error()
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field == "" {
		text = "a " + wrong.Value + " is no object"
	}
	if n > 0 {
		text = fmt.Sprintf("row %d: %s", n, text)
	}
	return badInput(errors.New(text), "rows are JSON objects, in an array (--format json) or one after the other (--format ndjson)")
}
