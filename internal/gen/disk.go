package gen

import (
	"fmt"
	"go/build"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ReadDir returns the Go files of a folder without its tests.
func ReadDir(dir string) (map[string][]byte, error) {
	return readFiles(dir, func(string) bool { return true })
}

func readFiles(dir string, match func(name string) bool) (map[string][]byte, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || strings.ContainsAny(name[:1], "._") || !match(name) {
			continue
		}
		if files[name], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// Importer returns the Import function of a package in dir. Packages of the
// same module and of the standard library are found without running anything;
// for those of other modules the go command is asked.
func Importer(dir string) func(path string) (map[string][]byte, error) {
	return func(path string) (map[string][]byte, error) {
		at := sameModule(dir, path)
		if at == "" {
			p, err := build.Default.Import(path, dir, build.FindOnly)
			if err != nil {
				return nil, fmt.Errorf("package %s: %w", path, err)
			}
			at = p.Dir
		}
		return readFiles(at, func(name string) bool {
			ok, err := build.Default.MatchFile(at, name)
			return ok && err == nil
		})
	}
}

// sameModule returns the folder of a package of the module around dir, "" for
// any other package.
func sameModule(dir, path string) string {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return ""
	}
	for {
		if text, err := os.ReadFile(filepath.Join(dir, "go.mod")); err == nil {
			rest, ok := strings.CutPrefix(path+"/", modulePath(string(text))+"/")
			at := filepath.Join(dir, filepath.FromSlash(rest))
			if info, err := os.Stat(at); ok && err == nil && info.IsDir() {
				return at
			}
			return ""
		}
		up := filepath.Dir(dir)
		if up == dir {
			return ""
		}
		dir = up
	}
}

// modulePath returns the path that a go.mod file gives its module.
func modulePath(text string) string {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "module" {
			continue
		}
		if path, err := strconv.Unquote(words[1]); err == nil {
			return path
		}
		return words[1]
	}
	return ""
}
