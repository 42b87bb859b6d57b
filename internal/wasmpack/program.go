package wasmpack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// program is what of a module is changed when its code is: its functions, and
// what they are declared with.
type program struct {
	imports int // functions that come from outside, whose numbers are first
	own     int // functions that the linker wrote

	types, declared, globals         []byte // entries of their sections, as they are written
	typeCount, declCount, globalsNow uint64
	bodies                           [][]byte
}

// The sections that are read besides those of module.go.
const (
	sectionType     = 1
	sectionImport   = 2
	sectionFunction = 3
	sectionGlobal   = 6
	sectionStart    = 8
	sectionCode     = 10

	importFunction = 0 // kind of an import
	functionType   = 0x60
	mutable        = 1
)

// readProgram reads the sections that say what functions there are.
func readProgram(all []section) (*program, error) {
	p := &program{}
	body := func(id byte) (*reader, uint64, error) {
		k := slices.IndexFunc(all, func(s section) bool { return s.id == id })
		if k < 0 {
			return nil, 0, fmt.Errorf("there is no section %d", id)
		}
		r := &reader{b: all[k].body}
		n := r.number()
		return r, n, r.err
	}
	imports, n, err := body(sectionImport)
	if err != nil {
		return nil, err
	}
	for range n {
		imports.bytes(imports.number())
		imports.bytes(imports.number())
		if kind := imports.byte(); kind != importFunction {
			return nil, errors.New("something else than functions is imported")
		}
		imports.number()
		p.imports++
		if imports.err != nil {
			return nil, imports.err
		}
	}
	for id, into := range map[byte]struct {
		entries *[]byte
		count   *uint64
	}{sectionType: {&p.types, &p.typeCount}, sectionFunction: {&p.declared, &p.declCount}, sectionGlobal: {&p.globals, &p.globalsNow}} {
		r, n, err := body(id)
		if err != nil {
			return nil, err
		}
		*into.entries, *into.count = slices.Clone(r.b), n
	}
	code, n, err := body(sectionCode)
	if err != nil {
		return nil, err
	}
	for range n {
		p.bodies = append(p.bodies, code.bytes(code.number()))
		if code.err != nil {
			return nil, code.err
		}
	}
	p.own = len(p.bodies)
	if uint64(p.own) != p.declCount {
		return nil, fmt.Errorf("%d functions are declared, %d are there", p.declCount, p.own)
	}
	return p, nil
}

// addType returns the number of a new type of functions.
func (p *program) addType(params, results []byte) uint64 {
	p.types = append(p.types, functionType)
	for _, list := range [][]byte{params, results} {
		p.types = append(binary.AppendUvarint(p.types, uint64(len(list))), list...)
	}
	p.typeCount++
	return p.typeCount - 1
}

// addFunction returns the number of a new function.
func (p *program) addFunction(kind uint64, f *function) (int64, error) {
	body, err := f.append(nil)
	if err != nil {
		return 0, err
	}
	p.declared = binary.AppendUvarint(p.declared, kind)
	p.declCount++
	p.bodies = append(p.bodies, body)
	return int64(p.imports + len(p.bodies) - 1), nil
}

// addGlobal returns the number of a new variable of 32 bits.
func (p *program) addGlobal(value int64) int64 {
	p.globals = append(p.globals, typeI32, mutable, opI32Const)
	p.globals = append(appendSigned(p.globals, value), opEnd)
	p.globalsNow++
	return int64(p.globalsNow) - 1
}

// write puts the sections back. A start function of -1 is none.
func (p *program) write(all []section, start int64) []section {
	count := func(n uint64, entries []byte) []byte { return append(binary.AppendUvarint(nil, n), entries...) }
	code := binary.AppendUvarint(nil, uint64(len(p.bodies)))
	for _, body := range p.bodies {
		code = append(binary.AppendUvarint(code, uint64(len(body))), body...)
	}
	var out []section
	for _, s := range all {
		switch s.id {
		case sectionType:
			s.body = count(p.typeCount, p.types)
		case sectionFunction:
			s.body = count(p.declCount, p.declared)
		case sectionGlobal:
			s.body = count(p.globalsNow, p.globals)
		case sectionCode:
			s.body = code
		}
		// Sections stand in the order of their numbers.
		if start >= 0 && s.id > sectionStart {
			out = append(out, section{sectionStart, binary.AppendUvarint(nil, uint64(start))})
			start = -1
		}
		out = append(out, s)
	}
	return out
}

// shortenCode makes the functions of a program shorter, whose names are given
// by their numbers, and leaves some out.
func (p *program) shortenCode(names []string, leftOut map[int][]byte, t *tables) error {
	if len(names) != p.own {
		return fmt.Errorf("there are %d functions, and %d have names", p.own, len(names))
	}
	calls, err := p.reports(names, t.inlined)
	if err != nil {
		return err
	}
	places := map[int][]int64{}
	for k := range p.own {
		if body, omit := leftOut[k]; omit {
			p.bodies[k] = body
			continue
		}
		f, err := readFunction(p.bodies[k])
		if errors.Is(err, errUnknownInstruction) {
			continue // it stays as it is
		}
		if err == nil {
			if at := t.record(uint64(k)); t.ordinary(at) {
				if old := f.renumber(calls, int64(t.entry+uint32(k))<<16, int64(t.u32(at+fieldDeferReturn))); old != nil {
					places[k] = old
				}
			}
			f.shorten(calls)
			p.bodies[k], err = f.append(nil)
		}
		if err != nil {
			return fmt.Errorf("function %d, %s: %w", k, names[k], err)
		}
	}
	return t.renumber(places)
}
