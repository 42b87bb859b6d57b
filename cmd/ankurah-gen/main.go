package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/ankurah/ankurah-go/cmd/ankurah-gen/internal/gen"
)

const usage = `usage: ankurah-gen [flags] [dir]

ankurah-gen writes the code that stands beside the model structs of the package
in dir, the current folder by default. Its documentation says how models are
written: go doc github.com/ankurah/ankurah-go/cmd/ankurah-gen

`

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run does the work of main and returns the exit status: 0 when all is well, 1
// when the models have errors or -check finds a difference, 2 when the command
// was called wrongly.
func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("ankurah-gen", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	check := flags.Bool("check", false, "write nothing, and fail if the generated file is not as it should be")
	output := flags.String("o", gen.DefaultOutput, "`name` of the generated file, in the folder of the package")
	version := flags.Bool("version", false, "print the version")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	if *version {
		fmt.Fprintln(stdout, "ankurah-gen", buildVersion())
		return 0
	}
	dir := "."
	switch flags.NArg() {
	case 0:
	case 1:
		dir = flags.Arg(0)
	default:
		fmt.Fprintln(stderr, "ankurah-gen: one folder at a time")
		return 2
	}
	if name := *output; filepath.Base(name) != name || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || strings.ContainsAny(name[:1], "._") {
		fmt.Fprintf(stderr, "ankurah-gen: -o %s: name a Go file that is no test, without a folder\n", name)
		return 2
	}
	if err := generate(dir, *output, *check); err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}

func generate(dir, output string, check bool) error {
	files, err := gen.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("ankurah-gen: %w", err)
	}
	have, exists := files[output]
	name := filepath.Join(dir, output)
	if exists && !bytes.HasPrefix(have, []byte(gen.Header)) {
		return fmt.Errorf("%s:1:1: ankurah-gen did not make this file: -o gives the generated one another name", name)
	}
	want, err := gen.Generate(gen.Source{Dir: dir, Files: files, Output: output, Import: gen.Importer(dir)})
	switch {
	case err != nil:
		return err
	case exists && bytes.Equal(have, want):
		return nil
	case check:
		return fmt.Errorf("%s is not as it should be: run go generate\n%s", name, strings.TrimSuffix(gen.Diff(name, have, want), "\n"))
	}
	if err := os.WriteFile(name, want, 0o666); err != nil {
		return fmt.Errorf("ankurah-gen: %w", err)
	}
	return nil
}

func buildVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
