package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/internal/importer"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/value"
)

type importCommand struct {
	File       string   `arg:"" help:"File to import, - for what comes in."`
	Collection string   `required:"" help:"Collection to import into." placeholder:"NAME"`
	Format     string   `help:"json (an array of objects), ndjson (one object after the other) or csv. Found out when left out." enum:",json,ndjson,csv" default:"" placeholder:"FORMAT"`
	Batch      int      `help:"Rows in a transaction (${default})." default:"1000" placeholder:"N"`
	Type       []string `help:"Type of a field: json, string, bool, int32, int64, float64, bytes, time, id, or a list such as []string." placeholder:"FIELD=TYPE" sep:"none"`
	Rename     []string `help:"Store a field under another name." placeholder:"FIELD=NAME" sep:"none"`
	Skip       []string `help:"Leave a field out." placeholder:"FIELD" sep:"none"`
	Index      []string `help:"Build an index, such as country,name or year desc." placeholder:"COLUMNS" sep:"none"`
	Again      bool     `help:"Import once more what was imported completely, or with other flags."`
	Quiet      bool     `help:"Show no progress." short:"q"`
}

func (c *importCommand) Run(a *app) error {
	o, err := c.options()
	if err != nil {
		return err
	}
	if a.Server != "" && len(c.Index) > 0 {
		return usage(errors.New("--index with --server: indexes are made where the store is"), "leave it out; a server makes those that its queries want")
	}
	indexes := make([]schema.Index, len(c.Index))
	for k, text := range c.Index {
		if indexes[k], err = parseIndex(text); err != nil {
			return err
		}
	}
	src, err := c.open(a)
	if err != nil {
		return err
	}
	err = a.with(true, func(s *store) error { return c.run(a, s, src, o, indexes) })
	return errors.Join(err, src.Close())
}

func (c *importCommand) options() (o importer.Options, err error) {
	if c.Batch < 1 || c.Batch > importer.MaxBatch {
		return o, usage(fmt.Errorf("--batch %d", c.Batch), fmt.Sprintf("a transaction takes 1 to %d rows", importer.MaxBatch))
	}
	o = importer.Options{Collection: c.Collection, Batch: c.Batch, Types: map[string]value.Type{}, Skip: c.Skip, Again: c.Again}
	if err := o.Validate(); err != nil {
		return o, usage(err, "choose another --collection")
	}
	if o.Rename, err = pairs("rename", c.Rename); err != nil {
		return o, err
	}
	for _, name := range o.Rename {
		if err := importer.CheckName(name); err != nil {
			return o, usage(fmt.Errorf("--rename to %s: %w", name, err), "choose another name")
		}
	}
	named, err := pairs("type", c.Type)
	if err != nil {
		return o, err
	}
	for field, name := range named {
		if o.Types[field], err = importer.ParseType(name); err != nil {
			return o, usage(fmt.Errorf("--type %s=%s: %w", field, name, err), "")
		}
	}
	return o, nil
}

// pairs reads flags such as lat=float64. A name is given once.
func pairs(flag string, texts []string) (map[string]string, error) {
	out := map[string]string{}
	for _, t := range texts {
		k, v, ok := strings.Cut(t, "=")
		if !ok || k == "" || v == "" {
			return nil, usage(fmt.Errorf("--%s %s", flag, t), "write --"+flag+" field=…")
		}
		if _, twice := out[k]; twice {
			return nil, usage(fmt.Errorf("--%s names %s twice", flag, k), "give it once")
		}
		out[k] = v
	}
	return out, nil
}

func (c *importCommand) open(a *app) (*importer.Source, error) {
	format := importer.Format(c.Format)
	if c.File == "-" {
		return importer.Copy(a.in, format)
	}
	src, err := importer.Open(c.File, format)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, usage(fmt.Errorf("there is no file %s", c.File), "name a file, or - for what comes in")
	case errors.Is(err, syscall.EISDIR):
		return nil, usage(fmt.Errorf("%s is a folder", c.File), "name a file in it")
	}
	return src, err
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
}

func (c *importCommand) run(a *app, s *store, src *importer.Source, o importer.Options, indexes []schema.Index) error {
	p := newProgress(a, src.Size, c.Quiet)
	o.Progress = p.at
	begun := time.Now()
	res, err := importer.Run(a.ctx, s.Session, src, o)
	p.end()
	switch {
	case errors.Is(err, context.Canceled) && res.Of > 0:
		return &failure{exitInterrupted, "run the same command again to go on from there", fmt.Errorf("interrupted after %d of %d rows", res.Rows, res.Of)}
	case err != nil && res.Rows > res.Before:
		return fmt.Errorf("%w (%d of %d rows are imported: the same command goes on from there)", c.explain(err), res.Rows, res.Of)
	case err != nil:
		return c.explain(err)
	}
	took := time.Since(begun).Seconds()
	if err := ensureIndexes(a.ctx, s, c.Collection, indexes); err != nil {
		return err
	}
	return c.tell(a, summary{c.Collection, c.File, res.Rows, res.Before, res.Rows - res.Before, took})
}

// explain gives an error of the import its hint.
func (c *importCommand) explain(err error) error {
	if other, ok := errors.AsType[*importer.OptionsError](err); ok {
		return usage(fmt.Errorf("%s was imported up to row %d with other flags (%s)", c.File, other.Rows, other.Options),
			"use the same, or --again to import it from its first row once more")
	}
	if replaced, ok := errors.AsType[*importer.ReplacedError](err); ok {
		return usage(replaced, "bring it back as it was and import it to its end, or --again to import what it is now from its first row")
	}
	if errors.Is(err, ankurah.ErrDenied) {
		return &failure{exitFailed, "act as somebody who may; imports also read and write the collection " + importer.Notes + ", where they note how far they are", err}
	}
	bad, ok := errors.AsType[*importer.Error](err)
	if !ok {
		return err
	}
	switch bad.Reason {
	case importer.BadJSON:
		return badInput(err, "rows are JSON objects, in an array (--format json) or one after the other (--format ndjson)")
	case importer.BadCSV:
		return badInput(err, "a CSV names its columns in its first line, and every row has them all; say --format if this is no CSV")
	case importer.BadValue:
		if errors.Is(err, value.ErrType) {
			return badInput(err, "choose another --type "+bad.Field+"=…, or --skip "+bad.Field)
		}
		return badInput(err, "correct it, or --skip "+bad.Field)
	case importer.Unfit, importer.BadName:
		return badInput(err, "--rename "+bad.Field+"=… or --skip "+bad.Field)
	case importer.TwoFields:
		return badInput(err, "choose another name with --rename, or leave one out with --skip")
	case importer.OtherType:
		return usage(err, "leave --type "+bad.Field+"=… out, or --rename "+bad.Field+"=…")
	case importer.NoField:
		return usage(err, "correct the --type, --rename or --skip that names it, or leave that out")
	}
	return badInput(err, "run the same command again when nobody writes to it")
}

func ensureIndexes(ctx context.Context, s *store, collection string, indexes []schema.Index) error {
	indexer, ok := s.engine.(storage.Indexer)
	if !ok && len(indexes) > 0 {
		return usage(errors.New("--index: the store has no indexes"), "leave it out")
	}
	for _, x := range indexes {
		for _, column := range x.Columns {
			m := s.node.Model(collection) // nil when the input had no rows
			if key := column.Path[0]; m != nil && key != "id" && m.Property(key) == nil {
				return usage(fmt.Errorf("the rows are stored, but not the index %s: %s has no property %s", x.Name(), collection, key),
					"it has "+strings.Join(s.columns(collection), ", "))
			}
		}
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
	case r.Rows == 0:
		_, err = fmt.Fprintf(a.out, "%s has no rows: nothing to import\n", r.Source)
	case r.Imported == 0:
		_, err = fmt.Fprintf(a.out, "%s was imported completely before, %s into %s: nothing to do (--again imports it once more)\n", r.Source, count(r.Rows, "row"), r.Collection)
	case r.Before > 0:
		_, err = fmt.Fprintf(a.out, "imported the last %s of %d into %s in %.1f s (%.0f rows/s)\n", count(r.Imported, "row"), r.Rows, r.Collection, r.Seconds, float64(r.Imported)/r.Seconds)
	default:
		_, err = fmt.Fprintf(a.out, "imported %s into %s in %.1f s (%.0f rows/s)\n", count(r.Imported, "row"), r.Collection, r.Seconds, float64(r.Imported)/r.Seconds)
	}
	return err
}
