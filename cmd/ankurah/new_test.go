package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// runIn runs another program in a folder and returns what it says.
func runIn(t *testing.T, dir string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "ANKURAH_BROTLI=0", "GOFLAGS=", "GOWORK=off")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// A new project builds: its Go programs, its generated code, and with what npm
// installs its page.
func TestNewProjectBuilds(t *testing.T) {
	if _, err := exec.LookPath("npm"); err != nil {
		t.Fatal("npm is missing: install Node.js with npm, such as with: apt-get install -y nodejs npm")
	}
	s := newShell(t)
	o := s.pipe("", "new", "example.org/team/Talk", "deep/er")
	dir := filepath.Join(s.dir, "deep", "er")
	if o.code != 0 || !strings.Contains(o.out, "cd "+dir) {
		t.Fatalf("%d\n%s\n%s", o.code, o.out, o.err)
	}
	for _, dir := range []string{dir, filepath.Join(dir, "src")} {
		if _, err := os.Stat(filepath.Join(dir, "node_modules")); err == nil {
			t.Fatal("what npm installs was copied")
		}
	}
	runIn(t, dir, "go", "build", "./...")
	runIn(t, dir, "go", "vet", "./...")
	if out := runIn(t, dir, "go", "list", "-m"); out != "example.org/team/Talk\n" {
		t.Errorf("the module is %s", out)
	}
	runIn(t, dir, "go", "tool", "ankurah-gen", "-check", "-ts", "src/models.gen.ts", "model")
	runIn(t, dir, "npm", "install", "--no-audit", "--no-fund")
	runIn(t, dir, "npm", "run", "build")
	for _, pattern := range []string{"dist/index.html", "dist/sw.js", "dist/assets/node-*.wasm", "dist/assets/worker-*.js"} {
		if found, err := filepath.Glob(filepath.Join(dir, pattern)); err != nil || len(found) != 1 {
			t.Errorf("%s: %v, %v", pattern, found, err)
		}
	}
	// Nothing says where it came from, but where the sources are.
	for _, name := range []string{"package.json", "server/main.go", "node/main.go"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "examples/chat") || strings.Contains(string(text), "../../web") {
			t.Errorf("%s speaks of the example", name)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	s := newShell(t)
	if err := os.MkdirAll(filepath.Join(s.dir, "full", "something"), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"full"}, "the folder full is not empty: choose another name"},
		{[]string{"example.org/full"}, "the folder full is not empty"},
		{[]string{"x", "full"}, "is not empty"},
		{[]string{"../x"}, `"../x" is no module path`},
		{[]string{"a b"}, `"a b" is no module path`},
		{[]string{"x/"}, `"x/" is no module path`},
		{[]string{"talk", "--ankurah", "full"}, "full does not hold the sources of github.com/ankurah/ankurah-go: --ankurah names the folder with its go.mod"},
	} {
		o := s.pipe("", append([]string{"new"}, c.args...)...)
		if o.code != exitUsage || !strings.Contains(o.err, c.want) {
			t.Errorf("%v: %d, %s; want %s", c.args, o.code, o.err, c.want)
		}
	}
	if entries, err := os.ReadDir(s.dir); err != nil || len(entries) != 1 {
		t.Errorf("something was made: %v, %v", entries, err)
	}
}
