package wasmpack

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// What the module's start function makes of the short form is what was there
// before, in all of memory.
func TestStartFunction(t *testing.T) {
	const script = `
const { readFileSync, writeFileSync } = require("node:fs");
const module = new WebAssembly.Module(readFileSync(process.argv[1]));
const imports = {};
for (const { module: from, name } of WebAssembly.Module.imports(module)) (imports[from] ??= {})[name] = () => {};
const { mem } = new WebAssembly.Instance(module, imports).exports;
writeFileSync(process.argv[2], new Uint8Array(mem.buffer, 0, Number(process.argv[3])));`
	for _, flags := range []string{"", "all=-l"} {
		linked := link(t, "program", flags)
		all, want, _ := read(t, linked)
		if _, _, err := rewrite(all, want); err != nil {
			t.Fatal(err)
		}
		packed, err := Pack(linked)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		file, image := filepath.Join(dir, "packed.wasm"), filepath.Join(dir, "memory")
		if err := os.WriteFile(file, packed, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, stderr, status := node(t, "GODEBUG=", "-e", script, file, image, strconv.Itoa(len(want))); status != 0 {
			t.Fatal(stderr)
		}
		got, err := os.ReadFile(image)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("with flags %q memory differs from byte %d on", flags, differs(got, want))
		}
	}
}

func differs(a, b []byte) int {
	for k := range min(len(a), len(b)) {
		if a[k] != b[k] {
			return k
		}
	}
	return min(len(a), len(b))
}

// Tables of any functions are folded to what unfolds to them, or are left as
// they are.
func FuzzFold(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 200, 0, 7, 7, 7})
	f.Add(bytes.Repeat([]byte{3, 8, 5, 1}, 100))
	f.Add([]byte{1, 2, 201})
	f.Fuzz(func(t *testing.T, b []byte) {
		made := tablesOf(b)
		before := bytes.Clone(made.memory)
		length, err := made.fold()
		if err == nil {
			made.unfold(length)
		}
		if err == nil && bytes.Contains(b, []byte{201}) && bytes.Contains(before, []byte{201, 0xaa}) {
			t.Fatal("a field that no column has was folded")
		}
		if !bytes.Equal(made.memory, before) {
			t.Fatalf("%d functions: memory differs from byte %d on (%v)", made.count, differs(made.memory, before), err)
		}
	})
}

// tablesOf makes tables of some functions with fields that bytes are taken for.
func tablesOf(b []byte) *tables {
	next := func() uint32 {
		if len(b) == 0 {
			return 0
		}
		c := b[0]
		b = b[1:]
		if c == 200 { // a large one
			return none - uint32(len(b))
		}
		return uint32(c)
	}
	const count, room = 40, 1 << 13
	t := &tables{memory: make([]byte, 5*room), count: count, namesAt: 8, pcAt: room, listAt: room, listLen: room, buckets: 2 * room}
	for k := range t.memory[t.namesAt:t.pcAt] {
		t.memory[t.namesAt+uint64(k)] = byte(k % 7)
	}
	t.bucketsEnd = t.buckets + 2*room + 8
	record := t.listAt + count*entrySize + 8
	for k := range uint64(count) {
		at := t.listAt + k*entrySize
		t.setU32(at, 0x1000+uint32(k))
		t.setU32(at+4, uint32(record-t.listAt))
		t.setU32(record, 0x1000+uint32(k))
		pcs, datas := next()%(mostValues+1), next()%(mostData+1)
		t.setU32(record+fieldPCs, pcs)
		t.memory[record+fieldDatas] = byte(datas)
		name := next()
		t.setU32(record+fieldName, name)
		if name == 201 { // a field that is always zero, is not
			t.setU32(record+20, 0xaac9)
		}
		for _, c := range columns {
			at, has := t.field(c, record)
			switch {
			case has && c.wide:
				t.setU32(at, next())
			case has:
				t.memory[at] = byte(next())
			}
		}
		record = behind(record, pcs, datas)
	}
	for k := range t.bucketCount() {
		t.setU32(t.buckets+k*bucketSize, uint32(k>>bucketShift))
	}
	return t
}
