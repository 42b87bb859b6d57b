package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go/internal/gen"
)

const album = "package p\n\n//ankurah:model\ntype Album struct{ Name string }\n"

// write writes files into dir. A name and its content stand side by side.
func write(t *testing.T, dir string, files ...string) {
	t.Helper()
	for k := 0; k < len(files); k += 2 {
		name := filepath.Join(dir, files[k])
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(files[k+1]), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// expect runs the command and wants a status and what it prints, in which
// DIR stands for dir.
func expect(t *testing.T, dir string, status int, printed string, args ...string) {
	t.Helper()
	var out bytes.Buffer
	got := gen.Command("ankurah-gen", args, &out, &out)
	text := strings.ReplaceAll(out.String(), dir, "DIR")
	if got != status || !strings.HasPrefix(text, printed) || printed == "" && text != "" {
		t.Errorf("ankurah-gen %v: status %d, want %d, printed\n%s\nwant\n%s", args, got, status, text, printed)
	}
}

func TestGenerateThenCheck(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, gen.DefaultOutput)
	write(t, dir, "album.go", album, "album_test.go", "package p_test\n")
	expect(t, dir, 1, "DIR/ankurah_gen.go is not as it should be: run go generate\n--- DIR/ankurah_gen.go:1, as it is\n+++ as generated\n+// Code generated", "-check", dir)
	if _, err := os.Stat(out); err == nil {
		t.Error("-check wrote the file")
	}
	expect(t, dir, 0, "", dir)
	expect(t, dir, 0, "", "-check", dir)
	text := read(t, out)

	write(t, dir, "album.go", strings.Replace(album, "Name string", "Name, Label string", 1))
	expect(t, dir, 1, "DIR/ankurah_gen.go is not as it should be: run go generate\n--- DIR/ankurah_gen.go:", "-check", dir)
	if read(t, out) != text {
		t.Error("-check changed the file")
	}
	expect(t, dir, 0, "", dir)
	if !strings.Contains(read(t, out), "AlbumFieldLabel") {
		t.Error("the new field is missing")
	}
}

// A file that is as it should be is not written, so that nothing is rebuilt.
func TestUnchangedFileIsNotWritten(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, gen.DefaultOutput)
	write(t, dir, "album.go", album)
	expect(t, dir, 0, "", dir)
	before, err := os.Stat(out)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(out, before.ModTime().Add(-1e9), before.ModTime().Add(-1e9)); err != nil {
		t.Fatal(err)
	}
	before, _ = os.Stat(out)
	expect(t, dir, 0, "", dir)
	if after, err := os.Stat(out); err != nil || !after.ModTime().Equal(before.ModTime()) {
		t.Error("the file was written again", err)
	}
}

func TestCurrentFolderIsTheDefault(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	write(t, dir, "album.go", album)
	expect(t, dir, 0, "", "-o", "models_gen.go")
	expect(t, dir, 0, "", "-check", "-o", "models_gen.go")
	expect(t, dir, 1, "models_gen.go:1:1: ankurah-gen made this file under another name: remove it\n")
	write(t, dir, "album.go", strings.Replace(album, "string", "uint", 1))
	expect(t, dir, 1, "album.go:4:25: values above int64 do not fit: use int64\n", "-o", "models_gen.go")
}

func TestErrorsLeaveTheFileAlone(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "album.go", album)
	expect(t, dir, 0, "", dir)
	out := filepath.Join(dir, gen.DefaultOutput)
	text := read(t, out)
	write(t, dir, "b.go", "package p\n\n//ankurah:model\ntype B struct {\n\tX chan int\n\ty int\n}\n")
	expect(t, dir, 1, "DIR/b.go:5:4: channels cannot be stored\nDIR/b.go:6:2: y is unexported: export it, or skip it with the tag `ankurah:\"-\"`\n", dir)
	if read(t, out) != text {
		t.Error("the file changed")
	}
}

func TestForeignFileIsNotOverwritten(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "album.go", album, gen.DefaultOutput, "package p\n")
	expect(t, dir, 1, "DIR/ankurah_gen.go:1:1: ankurah-gen did not make this file", dir)
	if text := read(t, filepath.Join(dir, gen.DefaultOutput)); text != "package p\n" {
		t.Errorf("now it holds %q", text)
	}
}

// -ts writes TypeScript as well: beside the models, or where a file is named.
func TestTypeScript(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	write(t, dir, "model/album.go", album, "web/old.ts", "export {};\n")
	expect(t, dir, 0, "", "-ts", "model")
	beside := read(t, filepath.Join(dir, "model", gen.DefaultTypeScript))
	if !strings.Contains(beside, "export interface Album {") {
		t.Errorf("it holds\n%s", beside)
	}
	expect(t, dir, 0, "", "-ts", "web/models.ts", "model")
	expect(t, dir, 0, "", "-ts=web/again.mts", "model")
	for _, name := range []string{"web/models.ts", "web/again.mts"} {
		if read(t, name) != beside {
			t.Errorf("%s differs", name)
		}
	}
	expect(t, dir, 0, "", "-check", "-ts", "web/models.ts", "model")
	write(t, dir, "model/album.go", strings.Replace(album, "Name string", "Name, Label string", 1))
	expect(t, dir, 1, "model/ankurah_gen.go is not as it should be", "-check", "-ts", "web/models.ts", "model")
	expect(t, dir, 0, "", "model")
	expect(t, dir, 1, "web/models.ts is not as it should be: run go generate\n--- web/models.ts:9, as it is\n", "-check", "-ts", "web/models.ts", "model")
	expect(t, dir, 1, "web/none.ts is not as it should be", "-check", "-ts", "web/none.ts", "model")
	expect(t, dir, 0, "", "-check", "model")
	if read(t, "web/models.ts") != beside {
		t.Error("-check changed the file")
	}
	expect(t, dir, 1, "web/old.ts:1:1: ankurah-gen did not make this file", "-ts", "web/old.ts", "model")
	expect(t, dir, 1, "ankurah-gen: open nowhere/models.ts:", "-ts", "nowhere/models.ts", "model")
	expect(t, dir, 2, "invalid boolean value \"a.d.ts\" for -ts: name a file that ends in .ts", "-ts=a.d.ts", "model")
}

func TestUsage(t *testing.T) {
	dir := t.TempDir()
	expect(t, dir, 0, "usage: ankurah-gen [flags] [dir]\n", "-h")
	expect(t, dir, 0, "ankurah-gen ", "-version")
	expect(t, dir, 2, "flag provided but not defined: -x\nusage:", "-x")
	expect(t, dir, 2, "ankurah-gen: one folder at a time\n", dir, dir)
	for _, name := range []string{"", "a", "a_test.go", "x/a.go", ".a.go", "_a.go", "../a.go"} {
		expect(t, dir, 2, "ankurah-gen: -o "+name+": name a Go file that is no test, without a folder\n", "-o", name, dir)
	}
	expect(t, dir, 1, "DIR:", dir)
	expect(t, dir, 1, "ankurah-gen: open DIR/nowhere:", filepath.Join(dir, "nowhere"))
}

// A user's module: the command is a tool of it, go generate runs it, packages
// of this and of other modules are looked into, and the code compiles.
func TestInAnotherModule(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	const path = "github.com/ankurah/ankurah-go"
	dir := t.TempDir()
	mod := strings.Replace(read(t, filepath.Join(root, "go.mod")), "module "+path, "module example.com/shop", 1)
	var lines []string
	for line := range strings.Lines(mod) {
		if !strings.HasPrefix(line, "tool ") {
			lines = append(lines, line)
		}
	}
	mod = strings.Join(lines, "") + "\ntool " + path + "/cmd/ankurah-gen\n\nrequire " + path + " v0.0.0\n\nreplace " + path + " => " + root + "\n"
	write(t, dir, "go.mod", mod, "go.sum", read(t, filepath.Join(root, "go.sum")),
		"people/people.go", `package people

//go:generate go tool ankurah-gen

//ankurah:model name=client
type Customer struct{ Name string }
`,
		"orders/orders.go", `package orders

import (
	"time"

	"example.com/shop/people"
	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/value"
)

//go:generate go tool ankurah-gen

//ankurah:model
type Order struct {
	Customer ankurah.Ref[people.Customer]
	Kind     value.Kind
	Wait     time.Duration
}

// Waits uses what is generated.
func Waits(v OrderView) time.Duration { return v.Wait() }
`)
	goCommand := func(args ...string) (string, error) {
		c := exec.Command("go", args...)
		c.Dir = dir
		c.Env = append(os.Environ(), "GOPROXY=off", "GOFLAGS=-mod=mod", "GOWORK=off")
		out, err := c.CombinedOutput()
		return string(out), err
	}
	command := func(args ...string) {
		t.Helper()
		if out, err := goCommand(args...); err != nil {
			t.Fatalf("go %v: %v\n%s", args, err, out)
		}
	}
	command("generate", "./...")
	command("vet", "./...")
	command("tool", "ankurah-gen", "-check", "orders")
	text := read(t, filepath.Join(dir, "orders", gen.DefaultOutput))
	for _, want := range []string{
		`ankurah.RefProperty[people.Customer]("client", `,
		`ankurah.Int32Property[value.Kind](`,
		`ankurah.Int64Property[time.Duration](`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is missing", want)
		}
	}
	// A field that the generated file does not know stops the build.
	write(t, dir, "people/people.go", "package people\n\n//ankurah:model name=client\ntype Customer struct{ Name, City string }\n")
	if out, err := goCommand("build", "./people"); err == nil || !strings.Contains(out, "cannot convert struct") {
		t.Errorf("the struct and the generated file disagree, and the compiler says: %v\n%s", err, out)
	}
}
