package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/internal/importer"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/value"
)

type importCmd struct {
	File       string            `arg:"" help:"File to import: a JSON array, NDJSON or CSV." type:"existingfile"`
	Collection string            `help:"Collection to import into." required:"" short:"c"`
	Format     string            `help:"json, ndjson or csv; by default what the file's name says."`
	Batch      int               `help:"Rows a transaction." default:"1000"`
	Type       map[string]string `help:"Convert a field: --type lat=float64. Types: string, bool, int32, int64, float64, bytes, time, id, json." placeholder:"FIELD=TYPE"`
	Rename     map[string]string `help:"Store a field under another key." placeholder:"FIELD=KEY"`
	Skip       []string          `help:"Leave fields out." placeholder:"FIELD"`
	Index      []string          `help:"Build an index on a property." placeholder:"KEY"`
	Again      bool              `help:"Import a file once more that is imported already."`
	Quiet      bool              `help:"Show no progress." short:"q"`
}

// Run imports the file.
func (c *importCmd) Run(ctx context.Context, g *cli) error {
	o := importer.Options{Collection: c.Collection, Batch: c.Batch, Rename: c.Rename, Again: c.Again,
		Types: map[string]value.Type{}, Skip: map[string]bool{}}
	for field, name := range c.Type {
		t, err := importer.ParseType(name)
		if err != nil {
			return err
		}
		o.Types[field] = t
	}
	for _, f := range c.Skip {
		o.Skip[f] = true
	}
	if c.Format == "" {
		c.Format = importer.Format(c.File)
	}
	f, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer f.Close()
	digest, err := importer.Digest(f)
	if err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	counted := &counter{r: f}
	src, err := importer.NewSource(counted, c.Format)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return g.open(ctx, func(s *ankurah.Session) error {
		start := time.Now()
		if !c.Quiet {
			o.Report = func(rows int) { bar(rows, counted.n, info.Size(), start) }
		}
		res, err := importer.Run(ctx, s, src, digest, o)
		if err != nil {
			return err
		}
		for _, key := range c.Index {
			if ix, ok := s.Node().Engine().(storage.Indexer); ok {
				if err := ix.EnsureIndex(ctx, c.Collection, schema.Index{Columns: []schema.Column{{Path: []string{key}}}}); err != nil {
					return err
				}
			}
		}
		fresh := res.Rows - res.Resumed
		if g.JSON {
			fmt.Printf("{\"rows\":%d,\"imported\":%d,\"complete_before\":%t}\n", res.Rows, fresh, res.Done)
			return nil
		}
		if res.Done {
			fmt.Printf("%d rows of this file are in %s already: nothing to do (--again imports them once more)\n", res.Rows, c.Collection)
			return nil
		}
		took := time.Since(start)
		fmt.Printf("%d rows in %s, %d of them imported now in %s (%.0f rows/s)\n", res.Rows, c.Collection, fresh,
			took.Round(time.Millisecond), float64(fresh)/took.Seconds())
		return nil
	})
}

// counter counts the bytes read, for progress.
type counter struct {
	r io.Reader
	n int64
}

// Read reads on.
func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

// bar draws progress on standard error if somebody can see it there.
func bar(rows int, read, size int64, start time.Time) {
	if !term.IsTerminal(int(os.Stderr.Fd())) {
		return
	}
	const width = 30
	part := int(width * read / max(size, 1))
	line := make([]byte, width)
	for k := range line {
		line[k] = ' '
		if k < part {
			line[k] = '='
		}
	}
	end := ""
	if read == size && part == width {
		end = "\n"
	}
	fmt.Fprintf(os.Stderr, "\r[%s] %d rows, %.0f rows/s %s", line, rows, float64(rows)/time.Since(start).Seconds(), end)
}
