package gen

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
)

const usage = `usage: %[1]s [flags] [dir]

%[1]s writes the code that stands beside the model structs of the package
in dir, the current folder by default. The documentation says how models are
written: go doc github.com/ankurah/ankurah-go/cmd/ankurah-gen

`

// Command runs the generator as a program called name and returns the exit
// status: 0 when all is well, 1 when the models have errors or -check finds a
// difference, 2 when it was called wrongly.
func Command(name string, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintf(flags.Output(), usage, name)
		flags.PrintDefaults()
	}
	var ts typeScriptFile
	check := flags.Bool("check", false, "write nothing, and fail if a generated file is not as it should be")
	output := flags.String("o", DefaultOutput, "`name` of the generated Go file, in the folder of the package")
	flags.Var(&ts, "ts", "write TypeScript as well, to the `file.ts` that stands behind it, else to "+DefaultTypeScript+" in the folder of the package")
	version := flags.Bool("version", false, "print the version")
	switch err := flags.Parse(joinFile(args)); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	if *version {
		fmt.Fprintln(stdout, name, buildVersion())
		return 0
	}
	dir := "."
	switch flags.NArg() {
	case 0:
	case 1:
		dir = flags.Arg(0)
	default:
		fmt.Fprintf(stderr, "%s: one folder at a time\n", name)
		return 2
	}
	if name := *output; filepath.Base(name) != name || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || strings.ContainsAny(name[:1], "._") {
		fmt.Fprintf(stderr, "%s: -o %s: name a Go file that is no test, without a folder\n", flags.Name(), name)
		return 2
	}
	if ts == "true" {
		ts = typeScriptFile(filepath.Join(dir, DefaultTypeScript))
	}
	if err := generate(dir, *output, string(ts), *check); err != nil {
		if errors.As(err, new(*fs.PathError)) {
			err = fmt.Errorf("%s: %w", name, err)
		}
		fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}

// typeScriptFile is the flag -ts, which may stand alone.
type typeScriptFile string

func (t *typeScriptFile) String() string   { return string(*t) }
func (t *typeScriptFile) IsBoolFlag() bool { return true }

func (t *typeScriptFile) Set(s string) error {
	if s != "true" && !isTypeScript(s) {
		return errors.New("name a file that ends in .ts")
	}
	*t = typeScriptFile(s)
	return nil
}

func isTypeScript(name string) bool {
	return (strings.HasSuffix(name, ".ts") || strings.HasSuffix(name, ".mts")) && !strings.HasSuffix(name, ".d.ts")
}

// joinFile puts the file behind -ts to it, so that it is not taken as the
// folder of the package.
func joinFile(args []string) (out []string) {
	for k := 0; k < len(args); k++ {
		a := args[k]
		if (a == "-ts" || a == "--ts") && k+1 < len(args) && isTypeScript(args[k+1]) {
			a += "=" + args[k+1]
			k++
		}
		out = append(out, a)
	}
	return out
}

func generate(dir, output, ts string, check bool) error {
	files, err := ReadDir(dir)
	if err != nil {
		return err
	}
	s := Source{Dir: dir, Files: files, Output: output, Import: Importer(dir)}
	want, err := Generate(s)
	if err != nil {
		return err
	}
	if err := put(filepath.Join(dir, output), want, check); err != nil || ts == "" {
		return err
	}
	if want, err = GenerateTypeScript(s); err != nil {
		return err
	}
	return put(ts, want, check)
}

// put sees to it that a file holds what it should, or with check set says
// whether it does.
func put(name string, want []byte, check bool) error {
	have, err := os.ReadFile(name)
	switch exists := err == nil; {
	case !exists && !errors.Is(err, os.ErrNotExist):
		return err
	case exists && !bytes.HasPrefix(have, []byte(Header)):
		return fmt.Errorf("%s:1:1: ankurah-gen did not make this file: give the generated one another name", name)
	case exists && bytes.Equal(have, want):
		return nil
	case check:
		return fmt.Errorf("%s is not as it should be: run go generate\n%s", name, strings.TrimSuffix(Diff(name, have, want), "\n"))
	}
	return os.WriteFile(name, want, 0o666)
}

func buildVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
