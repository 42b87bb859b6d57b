package wasmpack

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// A packed program does what it did: it collects garbage, recovers, names
// functions, and dies of what it died of. Only lines are missing.
func TestPackedProgramsRun(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Fatal("Node.js is missing: install it from https://nodejs.org")
	}
	for _, flags := range []string{"", "all=-l"} {
		linked := link(t, flags)
		want, trace := run(t, linked)
		if !strings.HasPrefix(want, "2001 1225 runtime error: index out of range [3] with length 0 outer: kept main.callers true") {
			t.Fatalf("the program as linked says %q %s", want, trace)
		}
		data, err := PackData(linked)
		if err != nil {
			t.Fatal(err)
		}
		if got, full := run(t, data); got != want || full != trace {
			t.Errorf("with its data packed the program says %q %s, want %q %s", got, full, want, trace)
		}
		packed, err := Pack(linked)
		if err != nil {
			t.Fatal(err)
		}
		got, short := run(t, packed)
		if got != want || !strings.Contains(short, "main.main()") || !strings.Contains(short, "nil pointer dereference") {
			t.Errorf("packed, the program says %q %s, want %q %s", got, short, want, trace)
		}
		if strings.Contains(short, "main.go:") || !strings.Contains(trace, "main.go:") {
			t.Errorf("stacks before %s and after %s", trace, short)
		}
		if again, err := Pack(packed); err != nil || !bytes.Equal(again, packed) {
			t.Errorf("packing twice changes the program, or fails: %v", err)
		}
	}
}

func link(t testing.TB, gcflags string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "program.wasm")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-gcflags="+gcflags, "-o", file, "./testdata/program")
	cmd.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	linked, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return linked
}

// run returns what the program wrote before it died, and its stack then.
func run(t *testing.T, wasm []byte) (said, trace string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "program.wasm")
	if err := os.WriteFile(file, wasm, 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.Command("node", filepath.Join(goroot(t), "lib/wasm/wasm_exec_node.js"), file)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Env = append(os.Environ(), "GODEBUG=")
	var exit *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() != 2 {
		t.Fatalf("the program ended with %v, want exit status 2: %s %s", err, &stdout, &stderr)
	}
	return stdout.String(), stderr.String()
}

func goroot(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// What is no module, is cut off or has been damaged is an error or another
// module, never a panic.
func TestDamagedModules(t *testing.T) {
	linked := link(t, "all=-l")
	all, err := readModule(linked)
	if err != nil {
		t.Fatal(err)
	}
	wasm := writeModule(all)
	for n := 0; n < len(wasm); n += 1 + len(wasm)/200 {
		if _, err := Pack(wasm[:n]); err == nil && n > len(wasm)/2 {
			t.Errorf("%d of %d bytes were packed", n, len(wasm))
		}
	}
	data := slices.IndexFunc(all, func(s section) bool { return s.id == sectionData })
	memory, err := readMemory(all[data].body)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := findTables(memory)
	if err != nil {
		t.Fatal(err)
	}
	for k := range uint64(300) {
		damaged := bytes.Clone(memory)
		at := tables.listAt + k*7919%tables.listLen
		damaged[at] ^= 0x80 | byte(k)
		damaged[tables.pcAt+k*6007%tables.pcLen] ^= 0xff
		_, _ = shorten(all, damaged) // either it does not notice, or it says so
	}
	damaged := bytes.Clone(memory)
	copy(damaged[tables.listAt+4:], []byte{0xff, 0xff, 0xff, 0xff})
	if _, err := shorten(all, damaged); err == nil {
		t.Error("a record far outside of the tables was not noticed")
	}
}

// A release whose tables are not known is left alone, and named.
func TestUnknownReleases(t *testing.T) {
	for version, known := range map[string]bool{"go1.26": true, "go1.26.8": true, "go1.2": false, "go1.260": false, "go1.27.1": false, "": false} {
		if knownRelease(version) != known {
			t.Errorf("knownRelease(%q) = %v", version, !known)
		}
	}
	module := writeModule([]section{{sectionMemory, []byte{1, 0, 1}}, {sectionData, appendMemory(nil, []byte("data"))}})
	var unknown *ReleaseError
	if _, err := Pack(module); !errors.As(err, &unknown) || unknown.Version != "" {
		t.Errorf("Pack of a module of nobody: %v, want a ReleaseError", err)
	}
	if packed, err := PackData(module); err != nil || !bytes.Equal(packed, module) {
		t.Errorf("PackData = %x, %v, want %x", packed, err, module)
	}
	if !knownRelease(strings.Fields(runtime.Version())[0]) {
		t.Errorf("this is %s: read its tables of functions, and make them known", runtime.Version())
	}
}

// Modules that would not be what they were are refused; an odd list of
// producers is no list without an end.
func TestRefusedModules(t *testing.T) {
	memory, data := section{sectionMemory, []byte{1, 0, 1}}, section{sectionData, appendMemory(nil, []byte("data"))}
	for want, all := range map[string][]section{
		"names data segments": {memory, {sectionDataCount, []byte{1}}, data},
		"memory is another's": {data},
		"two data sections":   {memory, data, data},
		"constant address of": {memory, {sectionData, []byte{1, 1, 4, 'd', 'a', 't', 'a'}}},
	} {
		if _, err := PackData(writeModule(all)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want one of %q", err, want)
		}
	}
	endless := append([]byte("\x09producers"), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1)
	if v := goVersion([]section{{sectionCustom, endless}}); v != "" {
		t.Errorf("the version is %q", v)
	}
}

// Whatever is wrong with the tables of a program, packing either says so or
// changes nothing but them.
func FuzzTables(f *testing.F) {
	all, err := readModule(link(f, "all=-l"))
	if err != nil {
		f.Fatal(err)
	}
	linked, err := readMemory(all[slices.IndexFunc(all, func(s section) bool { return s.id == sectionData })].body)
	if err != nil {
		f.Fatal(err)
	}
	tables, err := findTables(linked)
	if err != nil {
		f.Fatal(err)
	}
	from := uint64(bytes.Index(linked, []byte{0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8}))
	f.Add([]byte{})
	f.Add([]byte{0, 0, 0, 8, 1, 0, 0, 0, 9, 0xff})  // the number of functions
	f.Add([]byte{3, 0, 0, 4, 0x40, 3, 0, 0, 12, 8}) // the first record's place
	f.Add([]byte{2, 0, 1, 0, 0xff, 4, 0, 0, 7, 0x80})
	f.Fuzz(func(t *testing.T, changes []byte) {
		memory := bytes.Clone(linked)
		starts := []uint64{from, 0, tables.pcAt, tables.listAt, tables.funcdata}
		for ; len(changes) >= 5; changes = changes[5:] {
			start := starts[int(changes[0])%len(starts)]
			at := start + uint64(changes[1])<<16 + uint64(changes[2])<<8 + uint64(changes[3])
			memory[at%uint64(len(memory))] ^= changes[4]
		}
		before := bytes.Clone(memory)
		tables, err := findTables(memory)
		if err == nil {
			err = tables.strip()
		}
		if err == nil {
			_, err = tables.fold()
		}
		if err == nil && (!bytes.Equal(memory[:tables.namesAt], before[:tables.namesAt]) || !bytes.Equal(memory[tables.bucketsEnd:], before[tables.bucketsEnd:])) {
			t.Error("something else was changed")
		}
	})
}

// Any bytes are packed, or are an error; packed, they fill memory as before.
func FuzzPack(f *testing.F) {
	f.Add(writeModule([]section{{sectionCustom, []byte("\x09producers\x01\x08language\x01\x02Go\x06go1.26")}, {sectionMemory, []byte{1, 0, 1}}, {sectionData, appendMemory(nil, []byte("some\x00data"))}}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, wasm []byte) {
		_, _ = Pack(wasm) // no panic, no hang
		packed, err := PackData(wasm)
		if err != nil {
			return
		}
		again, err := PackData(packed)
		if err != nil || !bytes.Equal(again, packed) {
			t.Errorf("packed twice: %x, %v, want %x", again, err, packed)
		}
	})
}

// Memory comes back as it was, whatever zeros are in it.
func FuzzMemory(f *testing.F) {
	f.Add([]byte{0, 0, 1, 2, 0}, uint16(5000))
	f.Add([]byte{}, uint16(0))
	f.Fuzz(func(t *testing.T, b []byte, gap uint16) {
		memory := append(append(bytes.Clone(b), make([]byte, gap)...), b...)
		got, err := readMemory(appendMemory(nil, memory))
		if err != nil {
			t.Fatal(err)
		}
		if want := bytes.TrimRight(memory, "\x00"); !bytes.Equal(got, want) {
			t.Fatalf("memory of %d bytes came back with %d", len(want), len(got))
		}
	})
}
