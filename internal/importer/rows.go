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
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// row is one row of a source: its keys in the order of the file for CSV,
// sorted for JSON. It holds until the next is read.
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
		r.ReuseRecord = true // of texts, which are not reused
		values := make([]any, len(head))
		for n := 1; ; n++ {
			cells, err := r.Read()
			if err == io.EOF {
				return
			}
			if err != nil {
				yield(row{}, csvError(err, n))
				return
			}
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

// objects reads JSON objects one by one.
type objects struct {
	*json.Decoder
	fields map[string]any
	row
}

func newObjects(in io.Reader) *objects {
	d := json.NewDecoder(in)
	d.UseNumber()
	return &objects{Decoder: d}
}

func readArray(in io.Reader) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		o := newObjects(in)
		first, err := o.Token()
		if err == nil && first != json.Delim('[') {
			err = errors.New("the text does not begin with [")
		}
		for err == nil && o.More() {
			if err = o.next(); err == nil && !yield(o.row, nil) {
				return
			}
		}
		if err == nil {
			_, err = o.Token()
		}
		if err == nil {
			if _, err = o.Token(); err == nil {
				err = errors.New("something follows the array")
			} else if err == io.EOF {
				return
			}
		}
		yield(row{}, jsonError(err, o.number))
	}
}

func readObjects(in io.Reader) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		o := newObjects(in)
		for {
			err := o.next()
			if err == io.EOF {
				return
			}
			if err != nil {
				yield(row{}, jsonError(err, o.number))
				return
			}
			if !yield(o.row, nil) {
				return
			}
		}
	}
}

// next reads the next object into the row.
func (o *objects) next() error {
	o.number++
	clear(o.fields)
	if err := o.Decode(&o.fields); err != nil {
		return err
	}
	if o.fields == nil {
		return errors.New("null is no object")
	}
	// Rows mostly have the fields of the row before.
	same := len(o.keys) == len(o.fields)
	for k := 0; same && k < len(o.keys); k++ {
		_, same = o.fields[o.keys[k]]
	}
	if !same {
		o.keys = slices.Sorted(maps.Keys(o.fields))
	}
	o.values = o.values[:0]
	for _, k := range o.keys {
		o.values = append(o.values, o.fields[k])
	}
	return nil
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
