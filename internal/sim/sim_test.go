package sim

import (
	"flag"
	"fmt"
	"testing"
)

var (
	seeds = flag.Int("sim.seeds", 100, "seeds to run")
	first = flag.Uint64("sim.first", 1, "first seed")
)

// options gives each seed a world of its own kind.
func options(seed uint64) Options {
	return Options{
		Seed: seed, Clients: 1 + int(seed%3), Skew: seed%2 == 0, Crashes: seed%4 >= 2, Cuts: seed%5 > 0,
	}
}

// Convergence, no acknowledged write lost, nothing refused kept, live = fresh,
// no state that the server never had (S17, S23, S25-S29, S36, S52, S53).
func TestWorlds(t *testing.T) {
	for k := range uint64(*seeds) {
		seed := *first + k
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w, err := New(options(seed))
			if err == nil {
				err = w.Run()
			}
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

// The same seed gives the same history.
func TestSameSeed(t *testing.T) {
	for seed := range uint64(5) {
		var digests []string
		for range 2 {
			w, err := New(options(seed))
			if err == nil {
				err = w.Run()
			}
			if err != nil {
				t.Fatal(err)
			}
			digests = append(digests, w.Digest())
		}
		if digests[0] != digests[1] {
			t.Errorf("seed %d: %s, then %s", seed, digests[0], digests[1])
		}
	}
}
