package importer

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"syscall"
)

// Format is how a source is written.
type Format string

// The formats. The fields of CSV are text, named by its first line.
const (
	JSON   Format = "json"   // an array of objects
	NDJSON Format = "ndjson" // one object after the other
	CSV    Format = "csv"
)

// Source is a file of rows. An import reads it three times: to know it again,
// to check it, and to store its rows.
type Source struct {
	Name   string // absolute path, - for what was copied
	Format Format
	Size   int64 // bytes

	file *os.File
	temp bool
}

// Open opens a file. The empty format stands for what its name and its start
// say. A file that can be read only once, such as a pipe, is copied.
func Open(name string, format Format) (*Source, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, errors.Join(err, f.Close())
	case info.IsDir():
		return nil, errors.Join(&fs.PathError{Op: "open", Path: name, Err: syscall.EISDIR}, f.Close())
	case !info.Mode().IsRegular():
		s, err := Copy(f, format)
		return s, errors.Join(err, f.Close())
	}
	s := &Source{Name: name, Format: format, Size: info.Size(), file: f}
	if path, err := filepath.Abs(name); err == nil {
		s.Name = path
	}
	return s.detected()
}

// stream is the name of a source that is no file.
const stream = "-"

// Copy makes a source of what r says, in a temporary file.
func Copy(r io.Reader, format Format) (*Source, error) {
	f, err := os.CreateTemp("", "ankurah-import-")
	if err != nil {
		return nil, err
	}
	s := &Source{Name: stream, Format: format, file: f, temp: true}
	if s.Size, err = io.Copy(f, r); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s.detected()
}

// detected finds the format where nobody said it.
func (s *Source) detected() (*Source, error) {
	if s.Format != "" {
		return s, nil
	}
	_, err := s.file.Seek(0, io.SeekStart)
	if err == nil {
		s.Format, err = detect(s.Name, bufio.NewReader(s.file))
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close closes the file.
func (s *Source) Close() error {
	err := s.file.Close()
	if s.temp {
		err = errors.Join(err, os.Remove(s.file.Name()))
	}
	return err
}

// digest returns what the content is recognised by: its SHA-256.
func (s *Source) digest() (string, error) {
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, s.file); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
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

// parsed is a row as properties. It holds until the next is read.
type parsed struct {
	row
	at         int64 // how many bytes of the file were read
	properties []property
}

// each yields the properties of the rows after the first skip ones. The
// iteration ends with the first error.
func (s *Source) each(ctx context.Context, o *Options, skip int) iter.Seq2[parsed, error] {
	return func(yield func(parsed, error) bool) {
		if _, err := s.file.Seek(0, io.SeekStart); err != nil {
			yield(parsed{}, err)
			return
		}
		c := &counter{r: s.file}
		var p parsed
		for row, err := range readRows(s.Format, bufio.NewReaderSize(c, 256<<10)) {
			if err == nil {
				err = ctx.Err()
			}
			if err == nil && row.number <= skip {
				continue
			}
			p.row, p.at = row, c.n
			if err == nil {
				p.properties, err = o.properties(p.properties[:0], row, s.Format == CSV)
			}
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}
