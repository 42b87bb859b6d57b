// Package mutate makes copies of this module's files with faults in them, for
// tests that show that tests see faults. The files themselves have no hooks.
package mutate

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Mutant is a fault that somebody might make: textual edits of this module's
// files.
type Mutant struct {
	Name  string
	Edits []Edit
}

// Edit replaces Old, which occurs once in File, by Text. There MUTANT stands
// for whether the mutant is chosen.
type Edit struct{ File, Old, Text string }

// Choice is the environment variable that chooses a mutant by its name.
const Choice = "ANKURAH_MUTANT"

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

// Overlay writes the files of the module in root that differ into dir and
// returns the path of the description that go build -overlay takes: of a program
// with all mutants in it, of which [Choice] selects one. helpers are Go files
// that are added to packages, for edits that need more than a line.
func Overlay(root, dir string, mutants []Mutant, helpers map[string]string) (string, error) {
	places := map[string][]place{}
	texts := map[string]string{}
	for _, m := range mutants {
		for _, e := range m.Edits {
			if texts[e.File] == "" {
				b, err := os.ReadFile(filepath.Join(root, e.File))
				if err != nil {
					return "", err
				}
				texts[e.File] = string(b)
			}
			if n := strings.Count(texts[e.File], e.Old); n != 1 {
				return "", fmt.Errorf("mutant %q: its text occurs %d times in %s, not once: the code has changed, renew the mutant:\n%s", m.Name, n, e.File, e.Old)
			}
			at := strings.Index(texts[e.File], e.Old)
			text := strings.ReplaceAll(e.Text, "MUTANT", fmt.Sprintf("mutant(%q)", m.Name))
			places[e.File] = append(places[e.File], place{at, at + len(e.Old), text})
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
		if err := put(filepath.Dir(file)+"/zz_mutant.go", fmt.Sprintf(guard, name, Choice)); err != nil {
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
