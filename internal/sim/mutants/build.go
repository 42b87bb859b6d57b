package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/ankurah/ankurah-go/internal/mutate"
)

// build makes one simulator with all mutants in it, of which the environment
// variable [mutate.Choice] selects one, and returns its path.
func build(root, dir string) (string, error) {
	all := make([]mutate.Mutant, len(mutants))
	for k, m := range mutants {
		all[k].Name = m.name
		for _, e := range m.edits {
			all[k].Edits = append(all[k].Edits, mutate.Edit{File: e.file, Old: e.old, Text: e.text})
		}
	}
	overlay, err := mutate.Overlay(root, dir, all, helpers)
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "sim")
	cmd := exec.Command("go", "build", "-overlay", overlay, "-o", bin, "./internal/sim/cmd")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("the mutants do not compile: %w\n%s", err, out)
	}
	return bin, nil
}

var result = regexp.MustCompile(`seed=(\d+)`)

// hunt runs seeds until one catches the mutant, and returns that and what was
// caught; zero when none of n does.
func hunt(bin string, m mutant, first uint64, n int) (seed uint64, caught string, err error) {
	cmd := exec.Command(bin, "-seed", fmt.Sprint(first), "-runs", fmt.Sprint(n), "-quiet", "-patience", "60s", "-workload", m.load)
	cmd.Env = append(os.Environ(), mutate.Choice+"="+m.name)
	b, err := cmd.CombinedOutput()
	if err == nil {
		return 0, "", nil
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	seed = first
	for _, line := range lines {
		if m := result.FindStringSubmatch(line); m != nil {
			_, err := fmt.Sscan(m[1], &seed)
			if err != nil {
				return 0, "", err
			}
		}
		if text, failed := strings.CutPrefix(line, "FAILED: "); failed && caught == "" {
			caught = text
		}
		if strings.HasPrefix(line, "panic: ") && caught == "" { // of the seed after the last that was reported
			caught = line
			seed++
		}
	}
	if caught == "" {
		return 0, "", fmt.Errorf("mutant %q: %w\n%s", m.name, err, b)
	}
	return seed, caught, nil
}
