package wasmpack

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// ReleaseError says that a module was made by a release of Go whose tables are
// not known.
type ReleaseError struct{ Version string }

func (e *ReleaseError) Error() string {
	return "wasmpack: lines of functions stay: the tables of " + strconv.Quote(e.Version) + " are not known, those of " + release + " are"
}

// Pack returns the module with its initial memory in few segments, its code
// shorter, and without what only the texts of stack traces, debugging and
// profiles that it does not make need. A module that was packed stays as it is.
// The error is a [ReleaseError] if it is of a release of Go that is not known.
func Pack(wasm []byte) ([]byte, error) { return pack(wasm, shorten) }

// PackData is Pack with the memory alone, of a module of any origin that fills
// its own memory when it starts.
func PackData(wasm []byte) ([]byte, error) {
	return pack(wasm, func(all []section, _ []byte) ([]section, error) { return all, nil })
}

func pack(wasm []byte, change func([]section, []byte) ([]section, error)) ([]byte, error) {
	all, err := readModule(wasm)
	if err != nil {
		return nil, fmt.Errorf("wasmpack: reading the module: %w", err)
	}
	has := func(id byte) int { return slices.IndexFunc(all, func(s section) bool { return s.id == id }) }
	data := has(sectionData)
	switch {
	case data < 0:
		return wasm, nil
	case has(sectionDataCount) >= 0:
		return nil, errors.New("wasmpack: the module's code names data segments by their numbers")
	case has(sectionMemory) < 0:
		return nil, errors.New("wasmpack: the module's memory is another's, who may have written to it")
	case slices.ContainsFunc(all[data+1:], func(s section) bool { return s.id == sectionData }):
		return nil, errors.New("wasmpack: the module has two data sections")
	}
	memory, err := readMemory(all[data].body)
	if err != nil {
		return nil, fmt.Errorf("wasmpack: reading the data: %w", err)
	}
	if all, err = change(all, memory); err != nil {
		return nil, err
	}
	all[has(sectionData)].body = appendMemory(nil, memory)
	return writeModule(all), nil
}

// shorten makes code and tables shorter. The linker writes no start function:
// what has one was made shorter before.
func shorten(all []section, memory []byte) ([]section, error) {
	version := goVersion(all)
	if !knownRelease(version) {
		return nil, &ReleaseError{version}
	}
	if slices.ContainsFunc(all, func(s section) bool { return s.id == sectionStart }) {
		return all, nil
	}
	p, t, err := rewrite(all, memory)
	if err != nil {
		return nil, fmt.Errorf("wasmpack: what %s made: %w", version, err)
	}
	length, err := t.fold()
	if err != nil {
		return nil, fmt.Errorf("wasmpack: the tables of %s: %w", version, err)
	}
	start, err := t.addUnfold(p, length)
	if err != nil {
		return nil, fmt.Errorf("wasmpack: the start function: %w", err)
	}
	return p.write(all, start), nil
}

// rewrite returns the functions, shorter, and the memory's tables with what is
// to be in them.
func rewrite(all []section, memory []byte) (*program, *tables, error) {
	p, err := readProgram(all)
	if err != nil {
		return nil, nil, fmt.Errorf("the functions: %w", err)
	}
	t, err := findTables(memory)
	if err == nil {
		err = t.strip()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("the tables: %w", err)
	}
	names, err := t.names()
	if err == nil {
		err = p.shortenCode(names, omitted(names, t.mentioned()), t)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("the code: %w", err)
	}
	return p, t, nil
}
