package wasmpack

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A packed program does what it did: it collects garbage, recovers, names
// functions, and dies of what it died of. Only lines are missing.
func TestPackedProgramsRun(t *testing.T) {
	for _, flags := range []string{"", "all=-l"} {
		linked := link(t, "program", flags)
		want, trace := run(t, linked)
		if !strings.HasPrefix(want, "2001 1225 runtime error: index out of range [3] with length 0 outer: kept main.callers true\n[main.unwound.func1 runtime.gopanic") {
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

// Programs are linked once for all tests, by what they are linked from.
var (
	linkedMu sync.Mutex
	linked   = map[[2]string][]byte{}
)

func link(t testing.TB, program, gcflags string) []byte {
	t.Helper()
	linkedMu.Lock()
	defer linkedMu.Unlock()
	key := [2]string{program, gcflags}
	if wasm, done := linked[key]; done {
		return wasm
	}
	file := filepath.Join(t.TempDir(), "program.wasm")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-gcflags="+gcflags, "-o", file, "./testdata/"+program)
	cmd.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	wasm, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	linked[key] = wasm
	return wasm
}

// run returns what the program wrote before it died, and its stack then.
func run(t *testing.T, wasm []byte) (said, trace string) {
	t.Helper()
	said, trace, status := runProgram(t, wasm)
	if status != 2 {
		t.Fatalf("the program ended with status %d, want 2: %s %s", status, said, trace)
	}
	return said, trace
}

func runProgram(t *testing.T, wasm []byte) (stdout, stderr string, status int) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "program.wasm")
	if err := os.WriteFile(file, wasm, 0o600); err != nil {
		t.Fatal(err)
	}
	return node(t, "GODEBUG=", filepath.Join(goroot(t), "lib/wasm/wasm_exec_node.js"), file)
}

// node runs Node.js with one more variable in its environment.
func node(t *testing.T, variable string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	var out, errs bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // a program may go on forever
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Env = append(os.Environ(), variable)
	var exit *exec.ExitError
	if err := cmd.Run(); errors.As(err, &exit) {
		status = exit.ExitCode()
	} else if err != nil {
		t.Fatalf("%v: install Node.js from https://nodejs.org", err)
	}
	return out.String(), errs.String(), status
}

func goroot(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// Programs that ask for what others leave out have it.
func TestPackedProgramsObserveThemselves(t *testing.T) {
	for program, want := range map[string]string{"traced": "<nil> true true true\n", "blocked": "true true true true\n"} {
		packed, err := Pack(link(t, program, ""))
		if err != nil {
			t.Fatal(err)
		}
		if got, trace, status := runProgram(t, packed); got != want || status != 0 {
			t.Errorf("%s says %q and ends with %d, want %q: %s", program, got, status, want, trace)
		}
	}
}

// Settings of GODEBUG that print, or check, do nothing.
func TestSettingsDoNothing(t *testing.T) {
	packed, err := Pack(link(t, "program", "all=-l"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "program.wasm")
	if err := os.WriteFile(file, packed, 0o600); err != nil {
		t.Fatal(err)
	}
	said, trace, status := node(t, "GODEBUG=gctrace=2,scavtrace=1,schedtrace=1,gccheckmark=1,checkfinalizers=1,tracebackancestors=5",
		filepath.Join(goroot(t), "lib/wasm/wasm_exec_node.js"), file)
	if !strings.HasPrefix(said, "2001 1225") || status != 2 || !strings.Contains(trace, "nil pointer dereference") {
		t.Errorf("the program says %q and ends with %d: %s", said, status, trace)
	}
}

// read returns a program's sections, its memory and the tables in it.
func read(t testing.TB, wasm []byte) ([]section, []byte, *tables) {
	t.Helper()
	all, err := readModule(wasm)
	if err != nil {
		t.Fatal(err)
	}
	memory, err := readMemory(all[slices.IndexFunc(all, func(s section) bool { return s.id == sectionData })].body)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := findTables(memory)
	if err != nil {
		t.Fatal(err)
	}
	return all, memory, tables
}

// What is no module, is cut off or has been damaged is an error or another
// module, never a panic.
func TestDamagedModules(t *testing.T) {
	all, memory, tables := read(t, link(t, "program", "all=-l"))
	wasm := writeModule(all)
	for n := 0; n < len(wasm); n += 1 + len(wasm)/50 {
		if _, err := Pack(wasm[:n]); err == nil && n > len(wasm)/2 {
			t.Errorf("%d of %d bytes were packed", n, len(wasm))
		}
	}
	for k := range uint64(60) {
		damaged := bytes.Clone(memory)
		at := tables.listAt + k*7919%tables.listLen
		damaged[at] ^= 0x80 | byte(k)
		damaged[tables.pcAt+k*6007%tables.pcLen] ^= 0xff
		if k%10 == 0 {
			_, _ = shorten(all, damaged) // either it does not notice, or it says so
		} else {
			_ = foldTables(damaged)
		}
	}
	damaged := bytes.Clone(memory)
	copy(damaged[tables.listAt+4:], []byte{0xff, 0xff, 0xff, 0xff})
	if _, err := shorten(all, damaged); err == nil {
		t.Error("a record far outside of the tables was not noticed")
	}
}

// foldTables does what shorten does to a program's memory.
func foldTables(memory []byte) error {
	tables, err := findTables(memory)
	if err == nil {
		err = tables.strip()
	}
	if err == nil {
		_, err = tables.names()
	}
	if err == nil {
		_, err = tables.fold()
	}
	return err
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
		"above the 16777216":  {memory, {sectionData, []byte{1, 0, 0x41, 0x80, 0x80, 0x80, 0x10, opEnd, 4, 'd', 'a', 't', 'a'}}},
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
	_, linked, tables := read(f, link(f, "program", "all=-l"))
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
		if err := foldTables(memory); err == nil && (!bytes.Equal(memory[:tables.namesAt], before[:tables.namesAt]) || !bytes.Equal(memory[tables.bucketsEnd:], before[tables.bucketsEnd:])) {
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
