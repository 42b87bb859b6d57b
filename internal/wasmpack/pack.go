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

// Pack returns the module with its initial memory in few segments and without
// what only the texts of stack traces need. The error is a [ReleaseError] if it
// is of a release of Go whose tables are not known.
func Pack(wasm []byte) ([]byte, error) { return pack(wasm, stripTables) }

// PackData is Pack without the second part, of a module of any origin that
// fills its own memory when it starts.
func PackData(wasm []byte) ([]byte, error) {
	return pack(wasm, func([]section, []byte) error { return nil })
}

func pack(wasm []byte, change func([]section, []byte) error) ([]byte, error) {
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
	if err := change(all, memory); err != nil {
		return nil, err
	}
	all[data].body = appendMemory(nil, memory)
	return writeModule(all), nil
}
