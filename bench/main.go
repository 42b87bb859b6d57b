// Command bench runs the lanes of docs/BENCHMARKS.md and prints one line for
// each case:
//
//	lane=NAME case=… ours=… unit=… peer=NAME peer_value=… ratio=… runs=… params=…
//
// ratio is peer / ours for times and ours / peer for rates, so larger is
// better. Values are medians; spread is the greatest minus the least run in
// parts of the median.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// result is one case of a lane.
type result struct {
	name   string
	ours   []float64 // one value a run
	unit   string
	rate   bool // larger is better
	peer   string
	theirs []float64
	params string
}

type lane struct {
	name string
	run  func(ctx context.Context, runs int) ([]result, error)
}

var lanes = []lane{
	{"single_writer_commit", singleWriterCommit},
	{"group_commit", groupCommit},
	{"import", importRows},
	{"query", queries},
	{"get", pointGet},
	{"open", openStore},
	{"micro", micro},
}

func main() {
	which := flag.String("lanes", "", "comma-separated lanes; all by default")
	runs := flag.Int("runs", 5, "runs of each case")
	flag.Parse()
	failed := false
	for _, l := range lanes {
		if *which != "" && !slices.Contains(strings.Split(*which, ","), l.name) {
			continue
		}
		results, err := l.run(context.Background(), *runs)
		for _, r := range results {
			fmt.Println(r.line(l.name))
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "lane %s: %v\n", l.name, err)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

func (r result) line(lane string) string {
	ours := median(r.ours)
	out := fmt.Sprintf("lane=%s case=%s ours=%.4g unit=%s", lane, r.name, ours, r.unit)
	if r.peer == "" {
		out += " peer=none"
	} else {
		theirs := median(r.theirs)
		ratio := theirs / ours
		if r.rate {
			ratio = ours / theirs
		}
		out += fmt.Sprintf(" peer=%s peer_value=%.4g ratio=%.3g", r.peer, theirs, ratio)
	}
	spread := (slices.Max(r.ours) - slices.Min(r.ours)) / ours
	return out + fmt.Sprintf(" runs=%d spread=%.2f params=%s", len(r.ours), spread, r.params)
}

// perOp times n calls of f and returns µs a call.
func perOp(n int, f func(k int) error) (float64, error) {
	start := time.Now()
	for k := range n {
		if err := f(k); err != nil {
			return 0, err
		}
	}
	return float64(time.Since(start).Microseconds()) / float64(n), nil
}

// repeat runs a case after a warm-up and collects its values.
func repeat(runs int, f func() (float64, error)) ([]float64, error) {
	if _, err := f(); err != nil {
		return nil, err
	}
	var out []float64
	for range runs {
		v, err := f()
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}
