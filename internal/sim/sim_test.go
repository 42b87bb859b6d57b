package sim

import (
	"flag"
	"fmt"
	"strings"
	"testing"
)

var (
	seeds = flag.Int("sim.seeds", 500, "seeds to run")
	first = flag.Uint64("sim.first", 1, "first seed")
	load  = flag.String("sim.workload", "", "workload; none: each seed has its own")
)

func run(seed uint64) (*World, error) {
	w, err := New(Options{Seed: seed, Workload: *load})
	if err == nil {
		err = w.Run()
	}
	return w, err
}

// Convergence, no acknowledged write lost, nothing refused kept, live = fresh,
// no state that the server never had, nothing unreadable on the wire, commits
// seen whole, and what docs/TESTING.md says (S8-S12, S17, S22, S23, S25-S29,
// S36-S38, S52, S53).
func TestWorlds(t *testing.T) {
	n := *seeds
	if testing.Short() {
		n = min(n, 50)
	}
	for k := range uint64(n) {
		seed := *first + k
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			if w, err := run(seed); err != nil {
				t.Fatalf("%v\nsee it: go run ./internal/sim/cmd -seed %d -workload %s", err, seed, w.Workload())
			}
		})
	}
}

// A panic of the code that runs in a world ends that world, by name, like
// everything else that goes wrong.
func TestPanicIsAFailure(t *testing.T) {
	actions["edit"] = func(f func(*World, *node)) func(*World, *node) {
		t.Cleanup(func() { actions["edit"] = f })
		return func(*World, *node) { panic("a bug") }
	}(actions["edit"])
	var trace strings.Builder
	w, err := New(Options{Seed: 1, Workload: "calm", Trace: &trace})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Run(); err == nil || err.Error() != "panic: a bug" {
		t.Errorf("it says %v", err)
	}
	if !strings.Contains(trace.String(), "sim_test.go") {
		t.Error("the trace does not say where")
	}
}

// The same seed gives the same history.
func TestSameSeed(t *testing.T) {
	for seed := range uint64(len(Workloads)) {
		a, err := run(seed)
		if err != nil {
			t.Fatal(err)
		}
		b, err := run(seed)
		if err != nil {
			t.Fatal(err)
		}
		if a.Digest() != b.Digest() {
			t.Errorf("seed %d: %s, then %s", seed, a.Digest(), b.Digest())
		}
	}
}
