package reactor_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go/internal/mutate"
)

// Faults of the router, and of what it leads to, that somebody might make.
var routerMutants = []mutate.Mutant{
	{Name: "a branch of a disjunction is skipped", Edits: []mutate.Edit{{
		File: "internal/reactor/route.go", Old: "	for _, b := range branches {\n", Text: "	if MUTANT {\n		branches = branches[1:]\n	}\n	for _, b := range branches {\n"}}},
	{Name: "the old value is not looked up", Edits: []mutate.Edit{{
		File: "internal/reactor/reactor.go", Old: "before != nil && before != changes[k].After {", Text: "!MUTANT && before != nil && before != changes[k].After {"}}},
	{Name: "the new value is not looked up", Edits: []mutate.Edit{{
		File: "internal/reactor/reactor.go", Old: "		c.find(changes[k].After, r.hit)\n", Text: "		if !MUTANT {\n			c.find(changes[k].After, r.hit)\n		}\n"}}},
	{Name: "NOT is taken for its operand", Edits: []mutate.Edit{{
		File: "internal/keyset/bounds.go", Old: "		return bounds(e.X, p, !want)\n", Text: "		return bounds(e.X, p, want == MUTANT)\n"}}},
	{Name: "residual queries are dropped", Edits: []mutate.Edit{{
		File: "internal/reactor/reactor.go", Old: "	r.hits = append(r.hits, c.rest...)\n", Text: "	if !MUTANT {\n		r.hits = append(r.hits, c.rest...)\n	}\n"}}},
	{Name: "half of the intervals are not looked at", Edits: []mutate.Edit{{
		File: "internal/reactor/intervals.go", Old: "		n = n.right\n	}\n}\n", Text: "		if MUTANT {\n			return\n		}\n		n = n.right\n	}\n}\n"}}},
	{Name: "a text that contains is not looked for", Edits: []mutate.Edit{{
		File: "internal/reactor/route.go", Old: "	case value.KindString:\n		f(x.texts)\n", Text: "	case value.KindString:\n		if !MUTANT {\n			f(x.texts)\n		}\n"}}},
	{Name: "elements of lists are not looked up", Edits: []mutate.Edit{{
		File: "internal/reactor/route.go", Old: "		for k := range v.Len() {\n", Text: "		for k := range v.Len() {\n			if MUTANT {\n				break\n			}\n"}}},
	{Name: "a run of changes forgets what came before a gap", Edits: []mutate.Edit{{
		File: "internal/reactor/reactor.go", Old: "			q.run, q.last = append(q.run, r.changes[r.at]), r.at\n", Text: "			if MUTANT {\n				q.run = nil\n			}\n			q.run, q.last = append(q.run, r.changes[r.at]), r.at\n"}}},
	{Name: "what lies behind references is not followed", Edits: []mutate.Edit{{
		File: "internal/reactor/reactor.go", Old: "		if c := r.behind[name]; c != nil {", Text: "		if c := r.behind[name]; !MUTANT && c != nil {"}}},
	{Name: "where a reference leads to nothing is looked for by a value", Edits: []mutate.Edit{{
		File: "internal/reactor/joined.go", Old: "		if set.Contains(keyset.NullKey) {", Text: "		if !MUTANT && set.Contains(keyset.NullKey) {"}}},
	{Name: "what leaves an aggregate is not taken away", Edits: []mutate.Edit{{
		File: "internal/reactor/aggregate.go", Old: "		case was != nil:\n", Text: "		case !MUTANT && was != nil:\n"}}},
	{Name: "a window is not refilled", Edits: []mutate.Edit{{
		File: "internal/reactor/query.go", Old: "	if q.bound == nil || len(q.rows) >= q.sel.Limit {\n		return nil\n	}\n", Text: "	if MUTANT || q.bound == nil || len(q.rows) >= q.sel.Limit {\n		return nil\n	}\n"}}},
}

// The oracle sees each of them, and nothing where there is none.
func TestMutantsAreCaught(t *testing.T) {
	if os.Getenv(mutate.Choice) != "" || testing.Short() {
		t.Skip("in a mutant, or -short")
	}
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatal(err)
	}
	root, dir := filepath.Dir(strings.TrimSpace(string(out))), t.TempDir()
	overlay, err := mutate.Overlay(root, dir, routerMutants, nil)
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(dir, "reactor.test")
	build := exec.Command("go", "test", "-c", "-overlay", overlay, "-o", bin, "./internal/reactor")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("the mutants do not compile: %v\n%s", err, out)
	}
	run := func(name string) error {
		cmd := exec.Command(bin, "-test.run", "Regressions|TextThatContains")
		cmd.Env = append(os.Environ(), mutate.Choice+"="+name)
		return cmd.Run()
	}
	if err := run("none"); err != nil {
		t.Fatalf("the oracle fails without a mutant: %v", err)
	}
	for _, m := range routerMutants {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			if run(m.Name) == nil {
				t.Error("it survives: the oracle does not look at what it breaks")
			}
		})
	}
}
