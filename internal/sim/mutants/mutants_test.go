package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/ankurah/ankurah-go/internal/sim" // so that what is mutated decides whether a result is still good
)

// The simulator catches every mutant. A seed stands in the table for each; when
// the code has changed so much that it catches the mutant no more, some others
// are tried.
func TestMutantsAreCaught(t *testing.T) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatal(err)
	}
	bin, err := build(filepath.Dir(strings.TrimSpace(string(out))), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		if seed, caught, err := hunt(bin, mutant{}, 1, 20); seed != 0 || err != nil {
			t.Fatalf("seed %d without a mutant: %s, %v", seed, caught, err)
		}
	})
	for _, m := range mutants {
		if m.seed == 0 {
			continue // rare: make mutants hunts it
		}
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			for _, try := range []struct {
				first uint64
				n     int
			}{{m.seed, 1}, {1, 60}} {
				seed, caught, err := hunt(bin, m, try.first, try.n)
				if err != nil {
					t.Fatal(err)
				}
				if seed != 0 {
					t.Logf("seed %d: %s", seed, caught)
					return
				}
			}
			t.Errorf("it survives seed %d and sixty others: run make mutants, and enter the seed that catches it", m.seed)
		})
	}
}
