package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// rust is the peer that reference runs.
const rust = "ankurah-rust-0.9.3"

// referenceDir holds a program on the published crates of the Rust
// implementation, which runs the lanes that both have.
const referenceDir = "reference"

// buildReference returns the path of the program, built with Cargo once.
var buildReference = sync.OnceValues(func() (string, error) {
	cargo, err := exec.LookPath("cargo")
	if err != nil {
		home, err := os.UserHomeDir()
		if err == nil {
			cargo, err = exec.LookPath(filepath.Join(home, ".cargo", "bin", "cargo"))
		}
		if err != nil {
			return "", errors.New("cargo is not installed")
		}
	}
	program := filepath.Join(referenceDir, "target", "release", "ankurah-reference")
	if _, err := os.Stat(program); err != nil {
		fmt.Fprintln(os.Stderr, "building the reference, for a few minutes")
	}
	cmd := exec.Command(cargo, "build", "--release", "--locked", "--quiet", "--target-dir", "target")
	cmd.Dir = referenceDir
	if out, err := cmd.CombinedOutput(); err != nil {
		os.Stderr.Write(out)
		return "", fmt.Errorf("cargo build: %w", err)
	}
	return program, nil
})

// reference runs a lane of the reference and returns the medians by case in µs.
func reference(ctx context.Context, lane string, runs int) (map[string]float64, error) {
	program, err := buildReference()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, lane, itoa(runs))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("reference: %w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	values := map[string]float64{}
	for line := range strings.Lines(string(out)) {
		fields := map[string]string{}
		for _, f := range strings.Fields(line) {
			k, v, _ := strings.Cut(f, "=")
			fields[k] = v
		}
		v, err := strconv.ParseFloat(fields["value"], 64)
		if err != nil || fields["lane"] != lane || fields["unit"] != "us" {
			return nil, fmt.Errorf("reference: line %q", line)
		}
		values[fields["case"]] = v
	}
	return values, nil
}
