package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/value"
)

// bookkeeping is the collection in which imports note how far they are, in the
// transactions of the rows themselves. The importer package keeps the same
// notes: each goes on where the other stopped.
const bookkeeping = "ankurah_import"

// maxBatch leaves room in a transaction for the note beside the rows.
const maxBatch = 9999

type importCommand struct {
	File       string   `arg:"" help:"File to import, - for what comes in."`
	Collection string   `required:"" help:"Collection to import into." placeholder:"NAME"`
	Format     string   `help:"json (an array of objects), ndjson (one object after the other) or csv. Found out when left out." enum:",json,ndjson,csv" default:"" placeholder:"FORMAT"`
	Batch      int      `help:"Rows in a transaction." default:"1000" placeholder:"N"`
	Type       []string `help:"Type of a field: json, string, bool, int32, int64, float64, bytes, time, id, or a list such as []string." placeholder:"FIELD=TYPE" sep:"none"`
	Rename     []string `help:"Store a field under another name." placeholder:"FIELD=NAME" sep:"none"`
	Skip       []string `help:"Leave a field out." placeholder:"FIELD"`
	Index      []string `help:"Build an index, such as country,name or year desc." placeholder:"COLUMNS" sep:"none"`
	Again      bool     `help:"Import once more what was imported completely, or with other flags."`
	Quiet      bool     `help:"Show no progress." short:"q"`

	progressed func(rows int) // called after every commit
}

func (c *importCommand) Run(a *app) error {
	if c.Batch < 1 || c.Batch > maxBatch {
		return usage(fmt.Errorf("--batch %d", c.Batch), fmt.Sprintf("a transaction takes 1 to %d rows", maxBatch))
	}
	if c.Collection == bookkeeping || c.Collection == "" || c.Collection[0] == '_' {
		return usage(fmt.Errorf("--collection %s is reserved", c.Collection), "choose another name")
	}
	indexes := make([]schema.Index, len(c.Index))
	for k, text := range c.Index {
		var err error
		if indexes[k], err = parseIndex(text); err != nil {
			return err
		}
	}
	in, err := openInput(c.File, c.Format, a.in)
	if err != nil {
		return err
	}
	if in.mapped, err = newMapping(in.format == "csv", c.Type, c.Rename, c.Skip); err == nil {
		err = a.with(true, func(s *store) error { return c.run(a, s, in, indexes) })
	}
	return errors.Join(err, in.close())
}

// parseIndex reads columns such as "country,name desc".
func parseIndex(text string) (schema.Index, error) {
	var x schema.Index
	for column := range strings.SplitSeq(text, ",") {
		words := strings.Fields(column)
		desc := len(words) == 2 && strings.EqualFold(words[1], "desc")
		if len(words) != 1 && !desc {
			return x, usage(fmt.Errorf("--index %s", text), "write columns such as country,name or year desc")
		}
		x.Columns = append(x.Columns, schema.Column{Path: strings.Split(words[0], "."), Desc: desc})
	}
	return x, nil
}

// summary is what an import reports.
type summary struct {
	Collection string  `json:"collection"`
	Source     string  `json:"source"`
	Rows       int     `json:"rows"`     // of the source
	Before     int     `json:"before"`   // imported by an earlier run
	Imported   int     `json:"imported"` // by this run
	Seconds    float64 `json:"seconds"`
	Complete   bool    `json:"complete"`
}

func (c *importCommand) run(a *app, s *store, in *input, indexes []schema.Index) error {
	if err := in.identify(); err != nil {
		return err
	}
	note, err := c.note(a.ctx, s, in)
	if err != nil {
		return err
	}
	if err := ensureIndexes(a.ctx, s, c.Collection, indexes); err != nil {
		return err
	}
	report := summary{Collection: c.Collection, Source: c.File, Rows: note.done, Before: note.done, Complete: true}
	if note.complete {
		return c.tell(a, report)
	}
	p := newProgress(a, c.Quiet)
	known := func(key string) (value.Type, bool) {
		if k := s.node.Model(c.Collection).Property(key); k != nil {
			return k.Type, true
		}
		return value.Type{}, false
	}
	p.begin("checking", in.size)
	err = in.check(a.ctx, known, func(at int64, rows int) { p.at(at, rows, 0) })
	p.end()
	if err != nil {
		return err
	}
	begun := time.Now()
	p.begin("importing", in.size)
	err = c.importRows(a.ctx, s, in, note, func(at int64, rows int) {
		report.Imported = rows - report.Before
		p.at(at, rows, in.rows)
		if c.progressed != nil {
			c.progressed(rows)
		}
	})
	p.end()
	report.Rows, report.Seconds = in.rows, time.Since(begun).Seconds()
	if errors.Is(err, context.Canceled) {
		return &failure{exitInterrupted, "run the same command again to go on from there", fmt.Errorf("interrupted after %d of %d rows", note.done, in.rows)}
	}
	if err != nil {
		return fmt.Errorf("%w (%d of %d rows are imported: the same command goes on from there)", err, note.done, in.rows)
	}
	return c.tell(a, report)
}

func ensureIndexes(ctx context.Context, s *store, collection string, indexes []schema.Index) error {
	indexer, ok := s.engine.(storage.Indexer)
	if !ok && len(indexes) > 0 {
		return usage(errors.New("--index: the store has no indexes"), "leave it out")
	}
	for _, x := range indexes {
		if err := indexer.EnsureIndex(ctx, collection, x); err != nil {
			return fmt.Errorf("index %s: %w", x.Name(), err)
		}
	}
	return nil
}

func (c *importCommand) tell(a *app, r summary) error {
	if a.JSON {
		return a.printJSON(r)
	}
	var err error
	switch {
	case r.Imported == 0 && r.Rows > 0:
		_, err = fmt.Fprintf(a.out, "%s was imported completely before, %s into %s: nothing to do (--again imports it once more)\n", r.Source, count(r.Rows, "row"), r.Collection)
	case r.Before > 0:
		_, err = fmt.Fprintf(a.out, "imported the last %s of %d into %s in %.1f s (%.0f rows/s)\n", count(r.Imported, "row"), r.Rows, r.Collection, r.Seconds, float64(r.Imported)/r.Seconds)
	default:
		_, err = fmt.Fprintf(a.out, "imported %s into %s in %.1f s (%.0f rows/s)\n", count(r.Imported, "row"), r.Collection, r.Seconds, float64(r.Imported)/r.Seconds)
	}
	return err
}

// note is the entity that says how far an import is. The zero ID: there is
// none yet.
type note struct {
	id       ankurah.ID
	done     int
	complete bool
}

// note finds how far this import is.
func (c *importCommand) note(ctx context.Context, s *store, in *input) (*note, error) {
	r, err := ankurah.Dynamic(bookkeeping).First(ctx, s, "digest = ? AND collection = ? ORDER BY id DESC", in.digest, c.Collection)
	if errors.Is(err, ankurah.ErrNotFound) {
		return &note{}, nil
	}
	if err != nil {
		return nil, err
	}
	number, _ := r.Get("rows")
	done, _ := number.(int64)
	n := &note{id: r.ID(), done: int(done)}
	complete, _ := r.Get("complete")
	n.complete = complete == true
	options, noted := r.Get("options")
	if same := !noted || options == c.options(in); c.Again && (n.complete || !same) {
		return &note{}, nil
	} else if !n.complete && !same {
		return nil, usage(fmt.Errorf("%s was imported up to row %d with other flags (%v)", c.File, n.done, options), "use the same, or --again to import it from its first row once more")
	}
	return n, nil
}

// options are the flags that say what a row becomes.
func (c *importCommand) options(in *input) string {
	types, renames := map[string]string{}, in.mapped.rename
	for k, t := range in.mapped.types {
		types[k] = t.String()
	}
	parts := []string{"format " + in.format}
	for _, k := range slices.Sorted(maps.Keys(types)) {
		parts = append(parts, "type "+k+"="+types[k])
	}
	for _, k := range slices.Sorted(maps.Keys(renames)) {
		parts = append(parts, "rename "+k+"="+renames[k])
	}
	for _, k := range slices.Sorted(slices.Values(c.Skip)) {
		parts = append(parts, "skip "+k)
	}
	return strings.Join(parts, ", ")
}

// importRows commits the rows that the note says are missing, and the note
// with them.
func (c *importCommand) importRows(ctx context.Context, s *store, in *input, n *note, done func(at int64, rows int)) error {
	reading, stop := context.WithCancel(ctx)
	batches := in.batches(reading, n.done, c.Batch)
	defer func() {
		stop()
		for range batches { // until the reader has left the file
		}
	}()
	for {
		b, more := <-batches
		if b.err != nil {
			return b.err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		next := *n
		next.complete = !more
		if more {
			next.done = b.done
			next.complete = b.done == in.rows
		}
		err := s.Update(ctx, func(tx *ankurah.Tx) error {
			to := ankurah.Dynamic(c.Collection)
			first := b.done - len(b.rows) + 1
			for k := range b.rows {
				if _, err := to.Create(tx, &b.rows[k]); err != nil {
					return fmt.Errorf("row %d: %w", first+k, err)
				}
			}
			return c.write(tx, in, &next)
		})
		if err != nil {
			return err
		}
		*n = next
		if more {
			done(b.at, n.done)
		}
		if n.complete {
			return nil
		}
	}
}

// write puts the note into a transaction.
func (c *importCommand) write(tx *ankurah.Tx, in *input, n *note) error {
	notes := ankurah.Dynamic(bookkeeping)
	fields := ankurah.Fields{"rows": int64(n.done), "complete": n.complete}
	if n.id.IsZero() {
		source := c.File
		if path, err := filepath.Abs(c.File); err == nil && c.File != "-" {
			source = path
		}
		maps.Copy(fields, ankurah.Fields{
			"digest": in.digest, "collection": c.Collection, "source": source,
			"options": c.options(in), "rows_total": int64(in.rows),
		})
		e, err := notes.Create(tx, &fields)
		if err == nil {
			n.id = e.ID()
		}
		return err
	}
	e, err := notes.Edit(tx, n.id)
	if err != nil {
		return err
	}
	return errors.Join(e.Set("rows", fields["rows"]), e.Set("complete", fields["complete"]))
}
