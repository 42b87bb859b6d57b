package gen

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go"
)

var rewrite = flag.Bool("rewrite", false, "write what the tests get into their golden files")

func goldenDirs(t testing.TB) []string {
	dirs, err := filepath.Glob("testdata/golden/*")
	if err != nil || len(dirs) == 0 {
		t.Fatal("no golden packages", err)
	}
	return dirs
}

func source(t testing.TB, dir string) Source {
	files, err := ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return Source{Dir: dir, Files: files, Output: DefaultOutput, Import: Importer(dir)}
}

func TestGolden(t *testing.T) {
	for _, dir := range goldenDirs(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			s := source(t, dir)
			got, err := Generate(s)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join(dir, DefaultOutput), got)
			if got, err = GenerateTypeScript(s); err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join(dir, DefaultTypeScript), got)
		})
	}
}

// golden compares what was generated with a golden file. That the TypeScript
// is correct is checked in web/types.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if *rewrite {
		if err := os.WriteFile(name, got, 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := Diff(name, want, got); diff != "" {
		t.Errorf("-rewrite accepts this:\n%s", diff)
	}
}

// The golden packages compile against the root package and do what they say.
func TestGoldenPackagesWork(t *testing.T) {
	for _, args := range [][]string{{"vet", "./testdata/golden/..."}, {"test", "./testdata/golden/..."}} {
		if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

func TestGenerateIsDeterministic(t *testing.T) {
	for _, dir := range goldenDirs(t) {
		s := source(t, dir)
		want, err := Generate(s)
		if err != nil {
			t.Fatal(err)
		}
		names := slices.Sorted(maps.Keys(s.Files))
		for range 8 {
			// Another order of insertion, and another state of the output.
			slices.Reverse(names)
			files := map[string][]byte{}
			for _, name := range names {
				files[name] = s.Files[name]
			}
			files[DefaultOutput] = []byte("<<<<<<< not Go")
			s.Files = files
			got, err := Generate(s)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("%s: another run, another file", dir)
			}
		}
	}
}

// A field gets as much code as it needs and no more.
func TestGeneratedCodeIsCompact(t *testing.T) {
	size := func(fields int) int {
		var b strings.Builder
		b.WriteString("package p\n//ankurah:model\ntype M struct {\n")
		for k := range fields {
			fmt.Fprintf(&b, "F%d string\n", k)
		}
		b.WriteString("}\n")
		out, err := Generate(Source{Files: map[string][]byte{"a.go": []byte(b.String())}})
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Count(out, []byte("\n"))
	}
	if perField := float64(size(1010)-size(10)) / 1000; perField > 10 {
		t.Errorf("%.1f lines for each field", perField)
	}
}

// What the root package promotes to views and mutables cannot name a field.
func TestMethodNamesAreRefused(t *testing.T) {
	names := []string{"View", "Mutable", "Ref", "Equal", "Snapshot"}
	for _, typ := range []reflect.Type{reflect.TypeFor[ankurah.View](), reflect.TypeFor[ankurah.Mutable]()} {
		for k := range typ.NumMethod() {
			names = append(names, typ.Method(k).Name)
		}
		for k := range typ.NumField() {
			if f := typ.Field(k); f.IsExported() {
				names = append(names, f.Name)
			}
		}
	}
	slices.Sort(names)
	if got, want := slices.Sorted(maps.Keys(methods)), slices.Compact(names); !slices.Equal(got, want) {
		t.Errorf("refused: %q\nneeded:  %q", got, want)
	}
}

const (
	sourceEnd = "----\n"
	caseEnd   = "====\n"
)

// caseFiles returns the files of a case: a.go, and whatever follows a line
// such as "-- b.go --". A file that has no package clause gets one, with the
// usual imports, in a line of its own before its first.
func caseFiles(text string) map[string][]byte {
	files := map[string][]byte{}
	name := "a.go"
	for _, part := range strings.SplitAfter(text, "\n") {
		if inner, ok := strings.CutPrefix(part, "-- "); ok {
			name = strings.TrimSuffix(strings.TrimSpace(inner), " --")
			files[name] = nil
			continue
		}
		if part == "" {
			continue
		}
		if len(files[name]) == 0 && !strings.HasPrefix(part, "package ") && !strings.HasPrefix(part, "//go:build ") && !strings.HasPrefix(part, "// Code ") {
			files[name] = []byte("package p; import (\"time\"; \"github.com/ankurah/ankurah-go\")\n")
		}
		files[name] = append(files[name], part...)
	}
	return files
}

func readCases(t testing.TB) []string {
	text, err := os.ReadFile("testdata/errors.txt")
	if err != nil {
		t.Fatal(err)
	}
	return strings.SplitAfter(strings.TrimSuffix(string(text), caseEnd), caseEnd)
}

// What Go has no objection to and TypeScript has.
func TestTypeScriptNames(t *testing.T) {
	for src, want := range map[string]string{
		"//ankurah:model\ntype typeof struct{}\n":                                            "a.go:3:6: typeof is a word of TypeScript: give the model another name",
		"//ankurah:model\ntype A struct{ A1, A_1 string }\n":                                 "a.go:3:20: A1 and A_1 are both called a1 in TypeScript: give one of them another name",
		"//ankurah:model\ntype A struct {\n\tId string `ankurah:\"number\"`\n}\n":            "a.go:4:2: Id is called id in TypeScript, which is the entity's ID: give the field another name",
		"//ankurah:model\ntype A struct{}\n//ankurah:model name=b\ntype AInput struct{}\n":   "a.go:5:6: AInput is generated for two models in TypeScript: give AInput another name",
		"//ankurah:model name=b\ntype A struct{}\n//ankurah:model name=c\ntype b struct{}\n": "a.go:5:6: b names two models in TypeScript, A and b: give one of them another name",
	} {
		s := Source{Files: map[string][]byte{"a.go": []byte("package p\n" + src)}}
		if _, err := Generate(s); err != nil {
			t.Errorf("%s: %v", src, err)
		}
		if _, err := GenerateTypeScript(s); err == nil || err.Error() != want {
			t.Errorf("%s\ngot:  %v\nwant: %s", src, err, want)
		}
	}
}

// Each case is a package, a line ----, and the errors that it gives.
func TestErrors(t *testing.T) {
	var out strings.Builder
	for k, c := range readCases(t) {
		src, want, ok := strings.Cut(strings.TrimSuffix(c, caseEnd), sourceEnd)
		if !ok {
			t.Fatalf("case %d has no line %q", k, sourceEnd)
		}
		got := "no errors\n"
		_, err := Generate(Source{Files: caseFiles(src), Output: DefaultOutput, Import: func(path string) (map[string][]byte, error) {
			if strings.HasPrefix(path, "example.com/") {
				return nil, errors.New("no package " + path + "\nand more lines")
			}
			return Importer(".")(path)
		}})
		if err != nil {
			if es := (Errors)(nil); !errors.As(err, &es) {
				t.Errorf("case %d: %T: %v", k, err, err)
			}
			got = err.Error() + "\n"
		}
		fmt.Fprintf(&out, "%s%s%s%s", src, sourceEnd, got, caseEnd)
		if got != want && !*rewrite {
			t.Errorf("%s\ngot:\n%swant:\n%s", src, got, want)
		}
	}
	if *rewrite {
		if err := os.WriteFile("testdata/errors.txt", []byte(out.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

func FuzzGenerate(f *testing.F) {
	for _, dir := range goldenDirs(f) {
		for name, src := range source(f, dir).Files {
			if name != DefaultOutput { // large, and the other files have all there is
				f.Add(src, []byte("package p"))
			}
		}
	}
	for _, c := range readCases(f) {
		src, _, _ := strings.Cut(c, sourceEnd)
		files := caseFiles(src)
		f.Add(files["a.go"], files["b.go"])
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		out, err := Generate(Source{Files: map[string][]byte{"a.go": a, "b.go": b}})
		if es := (Errors)(nil); err != nil && (!errors.As(err, &es) || len(es) == 0) {
			t.Fatal(err)
		}
		if err == nil && !bytes.HasPrefix(out, []byte(Header)) {
			t.Fatalf("%s", out)
		}
		ts, tsErr := GenerateTypeScript(Source{Files: map[string][]byte{"a.go": a, "b.go": b}})
		if es := (Errors)(nil); tsErr != nil && (!errors.As(tsErr, &es) || len(es) == 0) || err != nil && tsErr == nil {
			t.Fatalf("Go: %v; TypeScript: %v", err, tsErr)
		}
		if tsErr == nil && !bytes.HasPrefix(ts, []byte(Header)) {
			t.Fatalf("%s", ts)
		}
	})
}
