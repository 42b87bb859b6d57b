// Package importer stores the rows of files as entities.
//
// A file is checked as a whole before its first row is stored. Rows are stored
// in their order, in transactions that say how many are done: an import that
// was stopped at any moment, by whatever, goes on where it was, and one that is
// complete is not repeated. A file is known by its content, not by its name.
package importer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/value"
)

// Notes is the collection in which imports note how far they are, in the
// transactions of the rows themselves.
const Notes = "ankurah_import"

// MaxBatch leaves room in a transaction for the note beside the rows.
const MaxBatch = 9999

// Options say how rows become entities.
type Options struct {
	Collection string
	Batch      int                   // rows in a transaction; 0 means 1000
	Limit      int                   // import only so many rows, and the others when it is greater later; 0 means all
	Types      map[string]value.Type // of fields; the others have what all rows fit
	Rename     map[string]string     // fields to properties
	Skip       []string              // fields to leave out
	Again      bool                  // once more what was imported completely, or with other options
	Progress   func(Progress)        // called now and then by the goroutine that imports; may be nil
}

// Progress is how far an import is.
type Progress struct {
	Read int64 // bytes of the source
	Rows int   // done
	Of   int   // rows there are, 0 while the source is checked
}

// Result is what an import did.
type Result struct {
	Rows   int // of the source that are imported, by this run and before
	Before int // of these, by earlier runs
	Of     int // rows that the source has, up to the limit; 0 when it was not read
}

// Validate says what is wrong with the options, without a store.
func (o *Options) Validate() error {
	switch {
	case o.Collection == Notes || o.Collection == "" || o.Collection[0] == '_':
		return fmt.Errorf("the collection name %q is reserved", o.Collection)
	case o.Batch < 0 || o.Batch > MaxBatch:
		return fmt.Errorf("a batch of %d: a transaction takes 1 to %d rows", o.Batch, MaxBatch)
	case o.Limit < 0:
		return fmt.Errorf("a limit of %d rows", o.Limit)
	}
	return nil
}

func (o *Options) report(p Progress) {
	if o.Progress != nil {
		o.Progress(p)
	}
}

// describe spells what decides what a row becomes.
func (o *Options) describe(format Format) string {
	parts := []string{"format " + string(format)}
	for _, k := range slices.Sorted(maps.Keys(o.Types)) {
		parts = append(parts, "type "+k+"="+o.Types[k].String())
	}
	for _, k := range slices.Sorted(maps.Keys(o.Rename)) {
		parts = append(parts, "rename "+k+"="+o.Rename[k])
	}
	for _, k := range slices.Sorted(slices.Values(o.Skip)) {
		parts = append(parts, "skip "+k)
	}
	return strings.Join(parts, ", ")
}

// Run imports a source, or what is missing of it. The result is right when the
// import fails too: running it again goes on from there. Errors about the
// source are an [*Error]; an [*OptionsError] says that an earlier run, which
// did not end, had other options, a [*ReplacedError] that it had another source
// of this name.
func Run(ctx context.Context, s *ankurah.Session, src *Source, o Options) (Result, error) {
	if err := o.Validate(); err != nil {
		return Result{}, err
	}
	if o.Batch == 0 {
		o.Batch = 1000
	}
	digest, err := src.digest()
	if err != nil {
		return Result{}, err
	}
	n := &note{source: src.Name, digest: digest, collection: o.Collection, options: o.describe(src.Format)}
	if err := n.find(ctx, s, o.Again); err != nil {
		return Result{}, err
	}
	res := Result{Rows: n.done, Before: n.done}
	if n.complete || o.Limit > 0 && n.done >= o.Limit {
		res.Of = n.done
		return res, nil
	}
	c, err := check(ctx, src, &o, s.Node().Model(o.Collection))
	if err != nil {
		return res, err
	}
	res.Of = c.rows
	err = store(ctx, s, src, &o, c, n)
	res.Rows = n.done
	return res, err
}

// store commits the rows that the note says are missing, and the note with
// them.
func store(ctx context.Context, s *ankurah.Session, src *Source, o *Options, c *checked, n *note) error {
	reading, stop := context.WithCancel(ctx)
	batches := src.batches(reading, o, c, n.done)
	defer func() {
		stop()
		for range batches { // until the reader has left the file
		}
	}()
	to := ankurah.Dynamic(o.Collection)
	for b := range batches {
		if err := errors.Join(b.err, ctx.Err()); err != nil {
			return err
		}
		done := n.done + len(b.rows)
		err := n.commit(ctx, s, done, c.whole && done == c.rows, func(tx *ankurah.Tx) error {
			for k := range b.rows {
				if _, err := to.Create(tx, &b.rows[k]); err != nil {
					return fmt.Errorf("row %d: %w", n.done+1+k, err)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		o.report(Progress{b.at, n.done, c.rows})
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if n.done != c.rows {
		return &Error{Reason: Changed, Err: fmt.Errorf("the source had %d rows, and now it has %d", c.rows, n.done)}
	}
	if !n.complete && c.whole {
		return n.commit(ctx, s, n.done, true, func(*ankurah.Tx) error { return nil })
	}
	return nil
}

// batch is some rows that go into one transaction.
type batch struct {
	rows []ankurah.Fields
	at   int64
	err  error
}

// batchBytes bounds the values in a batch, well below the greatest
// transaction.
const batchBytes = 1 << 20

// batches reads and converts the rows after the first skip ones, up to those
// that were checked, ahead of their consumer. The channel is closed at the end
// of the source; cancelling ctx ends the reading.
func (s *Source) batches(ctx context.Context, o *Options, c *checked, skip int) <-chan batch {
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
		read := skip
		for p, err := range s.each(ctx, o, skip) {
			if read == c.rows {
				break
			}
			if err != nil {
				send(batch{err: err})
				return
			}
			read = p.number
			fields := make(ankurah.Fields, len(p.properties))
			for _, x := range p.properties {
				v, err := value.Convert(x.v, c.types[x.key])
				if err != nil {
					send(batch{err: &Error{BadValue, p.number, x.field, err}})
					return
				}
				fields[x.key] = v
				bytes += len(x.key) + v.Size() + 32
			}
			b.rows, b.at = append(b.rows, fields), p.at
			if len(b.rows) >= o.Batch || bytes >= batchBytes {
				if !send(b) {
					return
				}
				b, bytes = batch{rows: make([]ankurah.Fields, 0, o.Batch)}, 0
			}
		}
		if len(b.rows) > 0 {
			send(b)
		}
	}()
	return out
}
