package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"slices"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/value"
)

// input is a file to import: read to know it again, to check it, and to import
// it.
type input struct {
	name   string // for people
	format string
	file   *os.File
	size   int64
	mapped *mapping

	digest string // SHA-256 of the content

	// What the check found out.
	rows  int
	types map[string]value.Type
}

// openInput opens a file, or a copy of what r says when the name is "-": only
// what can be read again can be checked before anything is imported, and be
// named by its content. Pipes are copied too.
func openInput(name, format string, r io.Reader) (*input, error) {
	in := &input{name: name}
	if name != "-" {
		f, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, usage(fmt.Errorf("there is no file %s", name), "name a file, or - for what comes in")
		}
		if err != nil {
			return nil, err
		}
		info, err := f.Stat()
		if err == nil && info.IsDir() {
			err = usage(fmt.Errorf("%s is a folder", name), "name a file in it")
		}
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if info.Mode().IsRegular() {
			in.file, in.size = f, info.Size()
		} else {
			defer f.Close() // read to its end below
			r = f
		}
	}
	if in.file == nil {
		if err := in.copy(r); err != nil {
			return nil, err
		}
	}
	in.format = format
	if format == "" {
		var err error
		if in.format, err = detect(name, bufio.NewReader(in.file)); err != nil {
			return nil, errors.Join(err, in.file.Close())
		}
	}
	return in, nil
}

// copy makes the input a temporary file with what r says.
func (in *input) copy(r io.Reader) error {
	f, err := os.CreateTemp("", "ankurah-import-")
	if err != nil {
		return err
	}
	in.file = f
	if in.size, err = io.Copy(f, r); err != nil {
		return errors.Join(err, in.close())
	}
	return nil
}

func (in *input) close() error {
	err := in.file.Close()
	if in.name != in.file.Name() {
		err = errors.Join(err, os.Remove(in.file.Name()))
	}
	return err
}

// counter counts the bytes that are read through it.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

// identify finds the digest of the content.
func (in *input) identify() error {
	sum := sha256.New()
	if _, err := in.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if _, err := io.Copy(sum, in.file); err != nil {
		return err
	}
	in.digest = hex.EncodeToString(sum.Sum(nil))
	return nil
}

// each yields the properties of every row.
func (in *input) each(ctx context.Context) iter.Seq2[parsed, error] {
	return func(yield func(parsed, error) bool) {
		if _, err := in.file.Seek(0, io.SeekStart); err != nil {
			yield(parsed{}, err)
			return
		}
		c := &counter{r: in.file}
		for row, err := range readRows(in.format, bufio.NewReaderSize(c, 256<<10)) {
			if err == nil {
				err = ctx.Err()
			}
			p := parsed{number: row.number, at: c.n}
			if err == nil {
				p.fields, err = in.mapped.fields(row)
			}
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}

// parsed is a row as properties.
type parsed struct {
	number int
	at     int64          // how many bytes of the file were read
	fields ankurah.Fields // values of type value.Value
}

// check reads the whole input and finds its rows and the type of each
// property: what the store has, else what all rows fit. An input that
// cannot be imported fails here, before anything is stored.
func (in *input) check(ctx context.Context, known func(key string) (value.Type, bool), seen func(at int64, rows int)) error {
	in.types = map[string]value.Type{}
	fixed := map[string]bool{}
	for p, err := range in.each(ctx) {
		if err != nil {
			return err
		}
		for key, x := range p.fields {
			v := x.(value.Value)
			t, met := in.types[key]
			if !met {
				if err := checkKey(key); err != nil {
					return badInput(fmt.Errorf("row %d, field %s: %w", p.number, plain(key), err), "--rename "+key+"=… or --skip "+key)
				}
				if t, fixed[key] = known(key); !fixed[key] {
					t = v.Type()
				}
			}
			if fixed[key] {
				if _, err := value.Convert(v, t); err != nil {
					return badInput(fmt.Errorf("row %d, field %s: %w", p.number, plain(key), err), "the collection stores "+t.String()+" there: --rename "+key+"=… or --skip "+key)
				}
			} else {
				t = unify(t, v.Type())
			}
			in.types[key] = t
		}
		in.rows = p.number
		seen(p.at, p.number)
	}
	for key, t := range in.types {
		if t.Kind == value.KindList && t.Elem == value.KindNull {
			in.types[key] = value.Type{Kind: value.KindList, Elem: value.KindString} // all of them are empty
		}
	}
	return nil
}

func checkKey(key string) error {
	switch {
	case key == "":
		return errors.New("it has no name")
	case key == "id" || key[0] == '_':
		return errors.New("the name is reserved")
	case len(key) > event.MaxName:
		return fmt.Errorf("the name is longer than %d bytes", event.MaxName)
	}
	return nil
}

// unify returns the type that the values of both types have in common: the
// wider number, the list whose elements are known, else JSON.
func unify(a, b value.Type) value.Type {
	switch {
	case a == b:
		return a
	case a.Kind.Numeric() && b.Kind.Numeric():
		return value.Type{Kind: max(a.Kind, b.Kind)}
	case a.Kind == value.KindList && b.Kind == value.KindList && a.Elem == value.KindNull:
		return b
	case a.Kind == value.KindList && b.Kind == value.KindList && b.Elem == value.KindNull:
		return a
	case a.Kind == value.KindList && b.Kind == value.KindList && a.Elem.Numeric() && b.Elem.Numeric():
		return value.Type{Kind: value.KindList, Elem: max(a.Elem, b.Elem)}
	}
	return value.Type{Kind: value.KindJSON}
}

// batch is some rows that go into one transaction.
type batch struct {
	rows []ankurah.Fields
	done int // number of the last row
	at   int64
	err  error
}

// batchBytes bounds the values in a batch, well below the greatest
// transaction.
const batchBytes = 1 << 20

// batches reads and converts the rows after the first skip ones, ahead of
// their consumer. The channel is closed at the end of the input; cancelling
// ctx ends the reading.
func (in *input) batches(ctx context.Context, skip, size int) <-chan batch {
	out := make(chan batch, 2)
	send := func(b batch) bool {
		select {
		case out <- b:
			return true
		case <-ctx.Done():
			return false
		}
	}
	go func() {
		defer close(out)
		b, bytes := batch{}, 0
		for p, err := range in.each(ctx) {
			if err != nil {
				send(batch{err: err})
				return
			}
			if p.number <= skip {
				continue
			}
			for key, x := range p.fields {
				v, err := value.Convert(x.(value.Value), in.types[key])
				if err != nil {
					send(batch{err: fmt.Errorf("row %d, field %s: %w", p.number, plain(key), err)})
					return
				}
				p.fields[key] = v
				bytes += len(key) + v.Size() + 32
			}
			b.rows = append(b.rows, p.fields)
			b.done, b.at = p.number, p.at
			if len(b.rows) >= size || bytes >= batchBytes {
				if !send(b) {
					return
				}
				b, bytes = batch{rows: slices.Grow([]ankurah.Fields(nil), size)}, 0
			}
		}
		if len(b.rows) > 0 {
			send(b)
		}
	}()
	return out
}
