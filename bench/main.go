// Command bench runs the lanes of docs/BENCHMARKS.md and prints one line for
// each case:
//
//	lane=NAME case=… ours=… unit=… peer=NAME peer_value=… ratio=… runs=… params=…
//
// ratio is peer / ours for times and ours / peer for rates, so larger is
// better. Values are medians; spread is the greatest minus the least run in
// parts of the median, peer_spread the peer's. A peer that could not be built
// or run has peer_value=none and ratio=none, and the line ends in no_peer="why".
// The first line, machine=…, says where the lanes ran.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
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
	noPeer error // why there is no peer to compare with
	params string
}

type lane struct {
	name string
	run  func(ctx context.Context, runs int) ([]result, error)
}

var lanes = []lane{
	{"single_writer_commit", singleWriterCommit},
	{"group_commit", groupCommit},
	{"commit_to_subscriber", commitToSubscriber},
	{"fresh_fetch", freshFetch},
	{"fanout", fanout},
	{"bridge_catchup", bridgeCatchup},
	{"subscription_establishment", subscriptionEstablishment},
	{"live_match", liveMatch},
	{"live_register", liveRegister},
	{"live_window", liveWindow},
	{"live_rate", liveRate},
	{"live_peer", livePeer},
	{"idle_connections", idleConnections},
	{"import", importRows},
	{"query", queries},
	{"postgres", postgresLane},
	{"servers", serversLane},
	{"get", pointGet},
	{"open", openStore},
	{"order", order},
	{"micro", micro},
}

var (
	which    = flag.String("lanes", "", "comma-separated lanes; all by default")
	runCount = flag.Int("runs", 5, "runs of each case")
	entities = flag.Int("entities", 1_000_000, "entities in the store of lane open")
)

func main() {
	for env, job := range map[string]func(context.Context) error{
		reopenEnv: func(ctx context.Context) error { return reopen(ctx, os.Getenv(reopenEnv)) },
		serveEnv:  serveIdle,
	} {
		if os.Getenv(env) == "" {
			continue
		}
		if err := job(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	var asked []string
	if *which != "" {
		asked = strings.Split(*which, ",")
	}
	for _, name := range asked {
		if !slices.ContainsFunc(lanes, func(l lane) bool { return l.name == name }) {
			fmt.Fprintf(os.Stderr, "no lane %q\n", name)
			os.Exit(2)
		}
	}
	if *runCount < 1 || *entities < 1 {
		fmt.Fprintln(os.Stderr, "-runs and -entities begin at 1")
		os.Exit(2)
	}
	fmt.Println(machine())
	failed := false
	for _, l := range lanes {
		if asked != nil && !slices.Contains(asked, l.name) {
			continue
		}
		results, err := l.run(context.Background(), *runCount)
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

// machine says what the lanes run on.
func machine() string {
	model := "unknown"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
				model = strings.TrimSpace(v)
				break
			}
		}
	}
	return fmt.Sprintf("machine=%s/%s cpus=%d go=%s model=%q", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), model)
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

func spread(v []float64) float64 {
	if m := median(v); m != 0 {
		return (slices.Max(v) - slices.Min(v)) / m
	}
	return 0
}

func (r result) line(lane string) string {
	ours := median(r.ours)
	out := fmt.Sprintf("lane=%s case=%s ours=%.4g unit=%s", lane, r.name, ours, r.unit)
	switch {
	case r.peer == "":
		out += " peer=none"
	case r.noPeer != nil:
		out += " peer=" + r.peer + " peer_value=none ratio=none"
	default:
		theirs := median(r.theirs)
		ratio := theirs / ours
		if r.rate {
			ratio = ours / theirs
		}
		out += fmt.Sprintf(" peer=%s peer_value=%.4g ratio=%.3g", r.peer, theirs, ratio)
	}
	out += fmt.Sprintf(" runs=%d spread=%.2f", len(r.ours), spread(r.ours))
	if len(r.theirs) > 0 && r.noPeer == nil {
		out += fmt.Sprintf(" peer_spread=%.2f", spread(r.theirs))
	}
	out += " params=" + r.params
	if r.noPeer != nil {
		out += fmt.Sprintf(" no_peer=%q", r.noPeer.Error())
	}
	return out
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

// perOp times n calls of f and returns µs a call.
func perOp(n int, f func(k int) error) (float64, error) {
	start := time.Now()
	for k := range n {
		if err := f(k); err != nil {
			return 0, err
		}
	}
	return micros(time.Since(start)) / float64(n), nil
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

// inTurn runs two cases after a warm-up of both, one after the other each time,
// so that they see the same machine.
func inTurn(runs int, ours, theirs func() (float64, error)) (o, t []float64, err error) {
	for range runs + 1 {
		x, err := ours()
		if err != nil {
			return nil, nil, err
		}
		y, err := theirs()
		if err != nil {
			return nil, nil, err
		}
		o, t = append(o, x), append(t, y)
	}
	return o[1:], t[1:], nil
}
