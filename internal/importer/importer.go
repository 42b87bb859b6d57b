package importer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/value"
)

// Progress is the collection of the records that imports keep of themselves.
const Progress = "ankurah_import"

// Options says how rows become entities.
type Options struct {
	Collection string
	Batch      int                   // rows a transaction; 0 means 1000
	Types      map[string]value.Type // fields to convert
	Rename     map[string]string     // field to property
	Skip       map[string]bool       // fields to leave out
	Again      bool                  // import a complete source once more
	Report     func(rows int)        // called after each commit, nil for nobody
}

// Result is what an import did.
type Result struct {
	Rows    int  // rows that are there now
	Resumed int  // of these, rows that were there before
	Done    bool // the source was complete before: nothing was done
}

// Digest returns what a source is recognised by.
func Digest(r io.Reader) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Run imports a source. Each transaction writes its rows and how many rows are
// done, so that a stopped import can be run again.
func Run(ctx context.Context, s *ankurah.Session, src Source, digest string, o Options) (Result, error) {
	if o.Batch <= 0 {
		o.Batch = 1000
	}
	res, record, err := begin(ctx, s, digest, o)
	if err != nil || res.Done {
		return res, err
	}
	for k := range res.Resumed {
		if _, err := src.Next(); err != nil {
			return res, fmt.Errorf("ankurah: row %d of %d that are imported already: %w", k+1, res.Resumed, err)
		}
	}
	for ended := false; !ended; {
		err := s.Update(ctx, func(tx *ankurah.Tx) error {
			rows := 0
			for rows < o.Batch && !ended {
				f, err := src.Next()
				if errors.Is(err, io.EOF) {
					ended = true
					break
				}
				if err == nil {
					f, err = convert(f, o)
				}
				if err == nil {
					_, err = ankurah.Dynamic(o.Collection).Create(tx, &f)
				}
				if err != nil {
					return fmt.Errorf("ankurah: row %d: %w", res.Rows+rows+1, err)
				}
				rows++
			}
			var err error
			record, err = keep(tx, record, digest, o.Collection, res.Rows+rows, ended)
			res.Rows += rows
			return err
		})
		if err != nil {
			return res, err
		}
		if o.Report != nil {
			o.Report(res.Rows)
		}
	}
	return res, nil
}

// begin looks for an earlier import of the same source.
func begin(ctx context.Context, s *ankurah.Session, digest string, o Options) (res Result, record ankurah.ID, err error) {
	if o.Again || !known(s, Progress) {
		return res, record, nil
	}
	r, err := ankurah.Dynamic(Progress).First(ctx, s, "digest = ? AND collection = ?", digest, o.Collection)
	if errors.Is(err, ankurah.ErrNotFound) {
		return res, record, nil
	}
	if err != nil {
		return res, record, err
	}
	rows, _ := r.Get("rows")
	done, _ := r.Get("complete")
	n, _ := rows.(int64)
	return Result{Rows: int(n), Resumed: int(n), Done: done == true}, r.ID(), nil
}

func known(s *ankurah.Session, collection string) bool { return s.Node().Model(collection) != nil }

func keep(tx *ankurah.Tx, record ankurah.ID, digest, collection string, rows int, complete bool) (ankurah.ID, error) {
	progress := ankurah.Dynamic(Progress)
	if record.IsZero() {
		e, err := progress.Create(tx, &ankurah.Fields{"digest": digest, "collection": collection, "rows": rows, "complete": complete})
		if err != nil {
			return record, err
		}
		return e.ID(), nil
	}
	e, err := progress.Edit(tx, record)
	if err != nil {
		return record, err
	}
	return record, errors.Join(e.Set("rows", rows), e.Set("complete", complete))
}

// convert applies types, names and omissions to a row.
func convert(f ankurah.Fields, o Options) (ankurah.Fields, error) {
	out := ankurah.Fields{}
	for name, x := range f {
		if o.Skip[name] {
			continue
		}
		key := name
		if to := o.Rename[name]; to != "" {
			key = to
		}
		if t, ok := o.Types[name]; ok {
			v, err := value.FromGo(x)
			if v.Kind() == value.KindString && t.Kind != value.KindString && strings.TrimSpace(v.Text()) == "" {
				v = value.Null // an empty field has no value
			}
			if err == nil {
				v, err = value.Convert(v, t)
			}
			if err != nil {
				return nil, fmt.Errorf("field %s: %w", name, err)
			}
			x = v
		}
		out[key] = x
	}
	return out, nil
}
