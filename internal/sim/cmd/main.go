// Command sim replays one simulated world and says what happened:
//
//	go run ./internal/sim/cmd -seed 42
//
// Its last line is the seed, the workload and the digest of the history: the
// same seed gives the same.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/ankurah/ankurah-go/internal/sim"
)

func main() {
	opts := sim.Options{}
	flag.Uint64Var(&opts.Seed, "seed", 1, "what the history follows from")
	flag.StringVar(&opts.Workload, "workload", "", fmt.Sprintf("one of %q; none: the seed chooses", sim.Workloads))
	flag.IntVar(&opts.Steps, "steps", 0, "acts of users and of the world (default 400)")
	runs := flag.Uint64("runs", 1, "seeds to run, one after the other")
	patience := flag.Duration("patience", 0, "ends with a panic when a seed takes longer; 0 waits")
	all := flag.Bool("all", false, "go on after a seed that failed")
	quiet := flag.Bool("quiet", false, "no trace")
	flag.Parse()
	var late *time.Timer
	failed := 0
	for range *runs {
		if *patience > 0 {
			late = time.AfterFunc(*patience, func() { panic("this seed does not end") })
		}
		if !replay(opts, *quiet || *runs > 1) {
			if failed++; !*all {
				os.Exit(1)
			}
		}
		if late != nil {
			late.Stop()
		}
		opts.Seed++
	}
	if *all {
		fmt.Printf("%d of %d seeds failed\n", failed, *runs)
	}
	if failed > 0 {
		os.Exit(1)
	}
}

// replay runs one world and reports whether everything was as it must be.
func replay(opts sim.Options, quiet bool) bool {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	if !quiet {
		opts.Trace = out
	}
	w, err := sim.New(opts)
	if w == nil {
		fmt.Fprintln(out, err)
		return false
	}
	if err == nil {
		err = w.Run()
	}
	if err != nil {
		fmt.Fprintln(out, "FAILED:", err)
	}
	fmt.Fprintf(out, "seed=%d workload=%s digest=%s\n", opts.Seed, w.Workload(), w.Digest())
	return err == nil
}
