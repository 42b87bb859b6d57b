package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// build makes one simulator with all mutants in it, of which the environment
// variable [choice] selects one, and returns its path.
func build(root, dir string) (string, error) {
	overlay, err := mutate(root, dir)
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

const choice = "SIM_MUTANT"

// guard is added to each package that is changed.
const guard = `package %s

import "os"

var chosenMutant = os.Getenv(%q)

func mutant(name string) bool { return chosenMutant == name }
`

// place is where an edit goes in a file.
type place struct {
	at, end int
	text    string
}

// mutate writes the files that differ into dir and returns the path of the
// description that go build -overlay takes.
func mutate(root, dir string) (string, error) {
	places := map[string][]place{}
	texts := map[string]string{}
	for _, m := range mutants {
		for _, e := range m.edits {
			if texts[e.file] == "" {
				b, err := os.ReadFile(filepath.Join(root, e.file))
				if err != nil {
					return "", err
				}
				texts[e.file] = string(b)
			}
			if n := strings.Count(texts[e.file], e.old); n != 1 {
				return "", fmt.Errorf("mutant %q: its text occurs %d times in %s, not once: the code has changed, renew the mutant:\n%s", m.name, n, e.file, e.old)
			}
			at := strings.Index(texts[e.file], e.old)
			text := strings.ReplaceAll(e.text, "MUTANT", fmt.Sprintf("mutant(%q)", m.name))
			places[e.file] = append(places[e.file], place{at, at + len(e.old), text})
		}
	}
	replace := map[string]string{} // path: what stands for it
	put := func(path, text string) error {
		file := filepath.Join(dir, strings.ReplaceAll(path, "/", "_"))
		replace[filepath.Join(root, path)] = file
		return os.WriteFile(file, []byte(text), 0o600)
	}
	for file, list := range places {
		text, err := splice(texts[file], list)
		if err != nil {
			return "", fmt.Errorf("%s: %w", file, err)
		}
		if err := put(file, text); err != nil {
			return "", err
		}
		name := regexp.MustCompile(`(?m)^package (\w+)`).FindStringSubmatch(text)[1]
		if err := put(filepath.Dir(file)+"/zz_mutant.go", fmt.Sprintf(guard, name, choice)); err != nil {
			return "", err
		}
	}
	for folder, text := range helpers {
		if err := put(folder+"/zz_helper.go", text); err != nil {
			return "", err
		}
	}
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, b, 0o600)
}

// splice replaces parts of a text, which must not overlap.
func splice(text string, list []place) (string, error) {
	slices.SortFunc(list, func(a, b place) int { return a.at - b.at })
	var out strings.Builder
	from := 0
	for _, p := range list {
		if p.at < from {
			return "", fmt.Errorf("two mutants change the same text: %q", text[p.at:p.end])
		}
		out.WriteString(text[from:p.at])
		out.WriteString(p.text)
		from = p.end
	}
	out.WriteString(text[from:])
	return out.String(), nil
}

var result = regexp.MustCompile(`seed=(\d+)`)

// hunt runs seeds until one catches the mutant, and returns that and what was
// caught; zero when none of n does.
func hunt(bin string, m mutant, first uint64, n int) (seed uint64, caught string, err error) {
	cmd := exec.Command(bin, "-seed", fmt.Sprint(first), "-runs", fmt.Sprint(n), "-quiet", "-patience", "60s", "-workload", m.load)
	cmd.Env = append(os.Environ(), choice+"="+m.name)
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
