package wasmpack

import (
	"bytes"
	"reflect"
	"slices"
	"testing"
)

// Every function of a program is read, and written to be read again; shorter ones are
// read again as they are. With a byte changed it is an error or another
// function, never a panic.
func TestFunctions(t *testing.T) {
	all, _, tables := read(t, link(t, "program", ""))
	p, err := readProgram(all)
	if err != nil {
		t.Fatal(err)
	}
	names, err := tables.names()
	if err != nil {
		t.Fatal(err)
	}
	calls, err := p.reports(names, true)
	if err != nil {
		t.Fatal(err)
	}
	var before, after int
	for k, body := range p.bodies {
		f, err := readFunction(body)
		if err != nil {
			t.Fatalf("function %d: %v", k, err)
		}
		// Numbers that the linker put in are longer than they need to be.
		written, err := f.append(nil)
		if err != nil {
			t.Fatalf("function %d: %v", k, err)
		}
		if again, err := readFunction(written); err != nil || !reflect.DeepEqual(again, f) || len(written) > len(body) {
			t.Fatalf("function %d is written as %x, %v, want %x", k, written, err, body)
		}
		f.shorten(calls)
		short, err := f.append(nil)
		if err != nil {
			t.Fatalf("function %d: %v", k, err)
		}
		if _, err := readFunction(short); err != nil {
			t.Fatalf("function %d, shorter: %v", k, err)
		}
		before, after = before+len(body), after+len(short)
		damaged := bytes.Clone(body)
		damaged[k*31%len(body)] ^= byte(k) | 1
		shortenDamaged(t, damaged, calls)
	}
	if after > before*5/6 {
		t.Errorf("%d bytes of code became %d", before, after)
	}
}

func shortenDamaged(t *testing.T, body []byte, calls *calls) {
	t.Helper()
	f, err := readFunction(body)
	if err != nil {
		return
	}
	f.renumber(calls, functionPC, 0)
	f.shorten(calls)
	short, err := f.append(nil)
	if err != nil {
		t.Fatalf("%x is shortened to what cannot be written: %v", body, err)
	}
	if _, err := readFunction(short); err != nil {
		t.Fatalf("%x is shortened to %x: %v", body, short, err)
	}
}

// What the compiler does not write is an error, or is left alone.
func TestRefusedFunctions(t *testing.T) {
	for name, code := range map[string][]byte{
		"an else without an if":        {opBlock, noResult, opElse, opEnd, opEnd},
		"a second else":                {opI32Const, 0, opIf, noResult, opElse, opElse, opEnd, opEnd},
		"a variable above 32 bits":     {opLocalGet, 0x81, 0x80, 0x80, 0x80, 0x10, opEnd},
		"a branch out of the function": {opBr, 1, opEnd},
		"a block without an end":       {opBlock, noResult, opEnd},
		"an end too many":              {opEnd, opEnd},
		"a block with parameters":      {opBlock, 1, opEnd, opEnd},
		"a vector":                     {0xfd, 0, opEnd},
	} {
		if f, err := readFunction(append([]byte{0}, code...)); err == nil {
			t.Errorf("%s is read as %v", name, f)
		}
	}
	if _, err := readFunction(make([]byte, mostBody+1)); err != errUnknownInstruction {
		t.Errorf("a function that is too long: %v", err)
	}
	p := &program{bodies: slices.Repeat([][]byte{{0, opUnreachable, opEnd}}, called), own: called}
	if err := p.shortenCode(calledNames[1:], nil, &tables{}); err == nil {
		t.Error("functions have each other's names")
	}
}

// Any bytes are a function, which is written as it is read, or are not.
func FuzzFunction(f *testing.F) {
	_, calls := helpers(f)
	for seed := range uint64(20) {
		made, _ := randomFunction(randomOf(seed))
		body, err := made.append(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	start := []byte{1, 1, typeI32, opGlobalGet, 0, opLocalSet, 1}
	f.Add(append(bytes.Clone(start), opElse, opEnd))
	// Blocks are left to the start of the loop around them.
	f.Add(append(bytes.Clone(start), opBlock, noResult, opLoop, noResult, opBlock, noResult, opLocalGet, 0, opBrTable, 1, 0, 1, opEnd, opEnd, opUnreachable, opEnd, opI32Const, 1, opEnd))
	deep := append(bytes.Clone(start), bytes.Repeat([]byte{opLoop, noResult}, 2*mostPasses)...)
	for range 2 * mostPasses { // each goes on at the start of the one around it
		deep = append(deep, opLocalGet, 0, opBrIf, 1, opEnd)
	}
	f.Add(append(deep, opEnd))
	f.Fuzz(func(t *testing.T, body []byte) {
		read, err := readFunction(body)
		if err != nil {
			return
		}
		written, err := read.append(nil)
		if err != nil {
			t.Fatal(err)
		}
		again, err := readFunction(written)
		if err != nil {
			t.Fatalf("%x is written as %x: %v", body, written, err)
		}
		if twice, err := again.append(nil); err != nil || !bytes.Equal(twice, written) {
			t.Fatalf("%x is written as %x and then as %x, %v", body, written, twice, err)
		}
		shortenDamaged(t, body, calls)
	})
}
