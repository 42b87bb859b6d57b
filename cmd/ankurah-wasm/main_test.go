package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is built is packed, in one file and nothing else; with -lines it is
// larger; a file that is there is packed as well.
func TestBuild(t *testing.T) {
	temp, out := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", temp)
	t.Setenv("GOTMPDIR", out)
	small, large, again := filepath.Join(out, "small.wasm"), filepath.Join(out, "large.wasm"), filepath.Join(out, "again.wasm")
	const program = "../../internal/wasmpack/testdata/program"
	for _, err := range []error{run(program, small, options{}), run(program, large, options{lines: true}), run(large, again, options{})} {
		if err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) []byte {
		t.Helper()
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if !bytes.Equal(read(small), read(again)) {
		t.Error("packed at once and packed later differ")
	}
	if a, b := len(read(small)), len(read(large)); a >= b {
		t.Errorf("%d bytes without lines, %d with", a, b)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestRefused(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text.wasm")
	if err := os.WriteFile(text, []byte("no module"), 0o600); err != nil {
		t.Fatal(err)
	}
	for program, want := range map[string]string{
		text:                            "text.wasm: wasmpack: reading the module: it is not a WebAssembly module",
		filepath.Join(dir, "gone.wasm"): "gone.wasm",
		"./nowhere":                     "building ./nowhere: exit status 1",
	} {
		out := filepath.Join(dir, "out.wasm")
		if err := run(program, out, options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", program, err, want)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%s: something was written", program)
		}
	}
}
