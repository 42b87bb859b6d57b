package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/ankurah/ankurah-go/examples/chat"
)

const modulePath = "github.com/ankurah/ankurah-go"

type newCommand struct {
	Name    string `arg:"" help:"Module path of the project, such as chat or example.org/team/chat."`
	Folder  string `arg:"" optional:"" help:"Folder to make; by default the last element of the module path." type:"path"`
	Ankurah string `help:"Folder of ankurah's sources to build against; by default the ones around the current folder, or those that this program was built from." type:"path" placeholder:"DIR"`
}

var moduleName = regexp.MustCompile(`^[A-Za-z0-9_~][A-Za-z0-9._~-]*(/[A-Za-z0-9_~][A-Za-z0-9._~-]*)*$`)

// Run makes a project out of the chat.
func (c *newCommand) Run(a *app) error {
	if !moduleName.MatchString(c.Name) {
		return usage(fmt.Errorf("%q is no module path", c.Name), "use letters, digits, dots, dashes and slashes, as in example.org/team/chat")
	}
	dir := cmp.Or(c.Folder, path.Base(c.Name))
	entries, err := os.ReadDir(dir)
	switch {
	case err == nil && len(entries) > 0:
		return usage(fmt.Errorf("the folder %s is not empty", dir), "choose another name")
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	from, err := c.source()
	if err != nil {
		return err
	}
	project := project{name: c.Name, dir: dir, from: from}
	if err := project.write(a); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "%s is a chat now. To run it, and to change it while it runs:\n\n  cd %s\n  npm install\n  npm run dev\n\n%s says what is where.\n", dir, dir, filepath.Join(dir, "README.md"))
	return err
}

// sources is where a project takes ankurah from: a folder, or a version.
type sources struct{ folder, version string }

func (c *newCommand) source() (sources, error) {
	if c.Ankurah != "" {
		if !isCheckout(c.Ankurah) {
			return sources{}, usage(fmt.Errorf("%s does not hold the sources of %s", c.Ankurah, modulePath), "--ankurah names the folder with its go.mod")
		}
		return sources{folder: c.Ankurah}, nil
	}
	wd, err := os.Getwd()
	if err != nil {
		return sources{}, err
	}
	_, file, _, _ := runtime.Caller(0) // a path only where the program was built with paths
	for _, at := range []string{wd, file} {
		for dir := at; filepath.IsAbs(dir); dir = filepath.Dir(dir) {
			if isCheckout(dir) {
				return sources{folder: dir}, nil
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Path == modulePath && strings.HasPrefix(info.Main.Version, "v") && !strings.Contains(info.Main.Version, "+dirty") {
		return sources{version: info.Main.Version}, nil
	}
	return sources{}, usage(errors.New("this program does not know where its sources are"), "name them with --ankurah DIR")
}

// isCheckout reports whether a folder holds this module.
func isCheckout(dir string) bool {
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	return err == nil && bytes.HasPrefix(mod, []byte("module "+modulePath+"\n"))
}

// project is what is being made.
type project struct {
	name, dir string
	from      sources
}

func (p *project) write(a *app) error {
	err := fs.WalkDir(chat.Files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := chat.Files.ReadFile(name)
		if err != nil {
			return err
		}
		switch {
		case strings.HasSuffix(name, ".go"):
			data = bytes.ReplaceAll(data, []byte(chat.Path), []byte(p.name))
		case name == "package.json":
			data, err = p.packageFile(data)
		}
		if err != nil {
			return err
		}
		return p.put(name, data)
	})
	if err != nil {
		return err
	}
	if p.from.folder == "" {
		return p.put("go.mod", []byte(p.goMod(nil, "")))
	}
	sums, err := os.ReadFile(filepath.Join(p.from.folder, "go.sum"))
	if err != nil {
		return err
	}
	requires, goVersion, err := p.requirements(a)
	if err != nil {
		return err
	}
	return errors.Join(p.put("go.mod", []byte(p.goMod(requires, goVersion))), p.put("go.sum", sums))
}

func (p *project) put(name string, data []byte) error {
	file := filepath.Join(p.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o666)
}

var localPackage = regexp.MustCompile(`"file:\.\./\.\./web/(\w+)"`)

// packageFile names the project in its package.json, and where the packages of
// ankurah are.
func (p *project) packageFile(data []byte) ([]byte, error) {
	name, err := json.Marshal(strings.ToLower(path.Base(p.name)))
	if err != nil {
		return nil, err
	}
	data = bytes.Replace(data, []byte(`"name": "chat"`), append([]byte(`"name": `), name...), 1)
	return localPackage.ReplaceAllFunc(data, func(found []byte) []byte {
		target := strings.TrimPrefix(p.from.version, "v")
		if p.from.folder != "" {
			target = "file:" + filepath.ToSlash(filepath.Join(p.from.folder, "web", string(localPackage.FindSubmatch(found)[1])))
		}
		quoted, _ := json.Marshal(target) // text can be encoded
		return quoted
	}), nil
}

type requirement struct{ Path, Version string }

// requirements lists the modules that ankurah is built from: with them the
// project builds at once, from what is downloaded already.
func (p *project) requirements(a *app) ([]requirement, string, error) {
	cmd := exec.CommandContext(a.ctx, "go", "mod", "edit", "-json")
	cmd.Dir = p.from.folder
	cmd.Stderr = a.err
	out, err := cmd.Output()
	if err != nil {
		return nil, "", fmt.Errorf("reading the go.mod of %s: %w", p.from.folder, err)
	}
	var mod struct {
		Go      string
		Require []requirement
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		return nil, "", err
	}
	slices.SortFunc(mod.Require, func(a, b requirement) int { return cmp.Compare(a.Path, b.Path) })
	return mod.Require, mod.Go, nil
}

func (p *project) goMod(requires []requirement, goVersion string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "module %s\n\ngo %s\n\n", p.name, cmp.Or(goVersion, "1.26"))
	fmt.Fprintf(&b, "require %s %s\n\n", modulePath, cmp.Or(p.from.version, "v0.0.0"))
	if len(requires) > 0 {
		b.WriteString("require (\n")
		for _, r := range requires {
			fmt.Fprintf(&b, "\t%s %s // indirect\n", r.Path, r.Version)
		}
		b.WriteString(")\n\n")
	}
	if p.from.folder != "" {
		fmt.Fprintf(&b, "replace %s => %s\n\n", modulePath, quoteIfNeeded(p.from.folder))
	}
	fmt.Fprintf(&b, "tool %s/cmd/ankurah-gen\n", modulePath)
	return b.String()
}

// quoteIfNeeded writes a path as go.mod wants it.
func quoteIfNeeded(s string) string {
	if strings.ContainsAny(s, " \t\"'`(),") {
		return fmt.Sprintf("%q", s)
	}
	return s
}
