// Command mutants shows that the simulator catches faults: it builds the
// simulator with faults in the code that it runs, one chosen at a time, and
// runs seeds until one is caught. It fails when a fault survives that the table
// has a seed of; the others are rare.
//
//	go run ./internal/sim/mutants [-seeds n] [name…]
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
)

func main() {
	seeds := flag.Int("seeds", 1000, "seeds to try for each mutant")
	flag.Parse()
	if err := run(*seeds, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(seeds int, names []string) error {
	dir, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	bin, err := build(root, dir)
	if err != nil {
		return err
	}
	survivors := 0
	var mu sync.Mutex
	var wg sync.WaitGroup
	room := make(chan struct{}, runtime.GOMAXPROCS(0))
	for _, m := range mutants {
		if len(names) > 0 && !slices.Contains(names, m.name) {
			continue
		}
		room <- struct{}{}
		wg.Go(func() {
			defer func() { <-room }()
			seed, caught, err := hunt(bin, m, 1, seeds)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				survivors++
				fmt.Println(err)
			case caught == "" && m.seed == 0:
				fmt.Printf("%-55s rare: survives %d seeds\n", m.name, seeds)
			case caught == "":
				survivors++
				fmt.Printf("%-55s SURVIVES %d seeds\n", m.name, seeds)
			default:
				fmt.Printf("%-55s %4d  %s\n", m.name, seed, caught)
			}
		})
	}
	wg.Wait()
	if survivors > 0 {
		return fmt.Errorf("%d mutants survive: say what the simulator does not look at", survivors)
	}
	return nil
}
