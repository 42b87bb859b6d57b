// Command ankurah-wasm builds a program for browsers, small:
//
//	go run github.com/ankurah/ankurah-go/cmd/ankurah-wasm -o node.wasm ./node
//
// It has the compiler put no function into another, leaves out what only
// debuggers read and what of the runtime nothing in a browser asks for, and
// packs what the linker made. Stacks of panics name functions, not lines; with
// -lines they do and nothing is left out, which makes the program nearly half
// as large again.
//
// A file whose name ends in .wasm is not built but packed only.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/ankurah/ankurah-go/internal/wasmpack"
)

func main() {
	flags := flag.NewFlagSet("ankurah-wasm", flag.ExitOnError)
	out := flags.String("o", "node.wasm", "the `file` to write")
	var options options
	flags.Func("build", "another `flag` of go build, such as -tags=demo; may be repeated", func(flag string) error {
		options.build = append(options.build, flag)
		return nil
	})
	flags.BoolVar(&options.lines, "lines", false, "keep what is for developers: the lines of functions in stacks, traces, profiles")
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "usage: ankurah-wasm [-o file] [-lines] [-build flag]... package|file.wasm")
		flags.PrintDefaults()
	}
	_ = flags.Parse(os.Args[1:])
	if flags.NArg() != 1 {
		flags.Usage()
		os.Exit(2)
	}
	if err := run(flags.Arg(0), *out, options); err != nil {
		fmt.Fprintln(os.Stderr, "ankurah-wasm:", err)
		os.Exit(1)
	}
}

// options are what programs are built with.
type options struct {
	build []string // flags of go build
	lines bool     // keep what is for developers
}

func run(program, out string, options options) (err error) {
	file := program
	if !strings.HasSuffix(program, ".wasm") {
		folder, failed := os.MkdirTemp("", "ankurah-wasm-")
		if failed != nil {
			return failed
		}
		defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
		file = filepath.Join(folder, "linked.wasm")
		if err := build(program, file, options.build); err != nil {
			return err
		}
	}
	linked, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	pack := wasmpack.Pack
	if options.lines {
		pack = wasmpack.PackData
	}
	packed, err := pack(linked)
	var unknown *wasmpack.ReleaseError
	if errors.As(err, &unknown) { // larger, but as good
		fmt.Fprintln(os.Stderr, "ankurah-wasm:", err)
		packed, err = wasmpack.PackData(linked)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", program, err)
	}
	return os.WriteFile(out, packed, 0o644)
}

func build(program, file string, flags []string) error {
	args := append([]string{"build", "-trimpath", "-ldflags=-s -w", "-gcflags=all=-l"}, flags...)
	cmd := exec.Command("go", append(args, "-o", file, program)...)
	cmd.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm")
	if experiments, err := experiments(); err != nil {
		return err
	} else if experiments != "" {
		cmd.Env = append(cmd.Env, "GOEXPERIMENT="+experiments)
	}
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("building %s: %w", program, err)
	}
	return nil
}

// experiments names the parts of the runtime that programs are built with. The
// collector of garbage that was Go's until 1.25, and that 1.26 still has, is
// smaller than the one that scans whole pages, which was made for vector
// instructions that a browser's programs do not have. What the environment asks
// for counts as well.
func experiments() (string, error) {
	out, err := exec.Command("go", "env", "GOVERSION", "GOEXPERIMENT").Output()
	if err != nil {
		return "", fmt.Errorf("asking Go for its version: %w", err)
	}
	version, asked, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if version != "go1.26" && !strings.HasPrefix(version, "go1.26.") {
		return asked, nil
	}
	return strings.TrimSuffix("nogreenteagc,"+asked, ","), nil
}
