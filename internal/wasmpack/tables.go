package wasmpack

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// release is the one whose tables are known: runtime/symtab.go, runtime2.go
// and internal/abi/symtab.go of Go say what stands where.
const release = "go1.26"

// The header of the tables, and the sizes of what they consist of.
const (
	tablesMagic   = 0xfffffff1
	headerWords   = 9  // 8 bytes each
	functionFixed = 44 // a function's record up to its pcdata
	entrySize     = 8  // of the list of functions: two numbers of 4 bytes
)

// Which tables of a function are of no use without their texts. Unsafe points
// are for preemption by signals, which WebAssembly does not have.
var (
	uselessPC   = map[int]bool{0: true, 3: true} // unsafe points, live arguments
	uselessFunc = map[int]bool{5: true, 6: true} // layout of arguments, live arguments
)

const (
	inlineTree    = 3
	argLayout     = 5
	longestLayout = (5*3+2)*10 + 1 // abi.TraceArgsMaxLen

	mostPCs = 8 // values by program counter of a function

	mostHeaders = 100 // what looks like one, in a program's data
)

const none = ^uint32(0)

// tables are those that the runtime finds functions with, in the memory.
type tables struct {
	memory              []byte
	count               int    // of functions
	filesAt, filesEnd   uint64 // names of files, by unit
	namesAt, namesEnd   uint64
	pcAt, pcLen         uint64 // values by program counter
	listAt, listLen     uint64 // list of functions and their records
	funcdata, follow    uint64 // what records point to, and what comes after
	buckets, bucketsEnd uint64 // what functions are found with first
	firstRecord         uint64
	entry               uint32 // of the first function, the others count on
	inlined             bool   // whether some functions are in others
}

func (t *tables) u32(at uint64) uint32       { return binary.LittleEndian.Uint32(t.memory[at:]) }
func (t *tables) u64(at uint64) uint64       { return binary.LittleEndian.Uint64(t.memory[at:]) }
func (t *tables) setU32(at uint64, v uint32) { binary.LittleEndian.PutUint32(t.memory[at:], v) }

// knownRelease says whether a version of Go is one whose tables are known.
func knownRelease(version string) bool {
	return version == release || strings.HasPrefix(version, release+".")
}

// findTables finds the header by its magic number, and the module's record by
// its being what points to the header and agrees with it in all.
func findTables(memory []byte) (*tables, error) {
	magic := binary.LittleEndian.AppendUint32(nil, tablesMagic)
	magic = append(magic, 0, 0, 1, 8) // size of an instruction, of a pointer
	var found []*tables
	for at, headers := 0, 0; ; at, headers = at+1, headers+1 {
		k := bytes.Index(memory[at:], magic)
		if k < 0 {
			break
		}
		if headers == mostHeaders {
			return nil, fmt.Errorf("more than %d places look like tables of functions", mostHeaders)
		}
		at += k
		if at+headerWords*8 > len(memory) {
			break
		}
		found = append(found, tablesAt(memory, uint64(at))...)
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("%d tables of functions are in it, want 1", len(found))
	}
	return found[0], nil
}

func tablesAt(memory []byte, header uint64) (found []*tables) {
	t := tables{memory: memory}
	word := func(k uint64) uint64 { return t.u64(header + 8*k) }
	count := word(1)
	pointer := binary.LittleEndian.AppendUint64(nil, header)
	for at := 0; ; at += 8 {
		k := bytes.Index(memory[at:], pointer)
		if k < 0 {
			return found
		}
		at += k
		if at+1+6*24+24*8 > len(memory) {
			return found
		}
		// Six slices: names, units, files, pcs, records, list of functions.
		field := func(k int) uint64 { return t.u64(uint64(at) + 8 + 8*uint64(k)) }
		agrees := true
		for k, offset := range []uint64{word(4), word(5), word(6), word(7), word(8), word(8)} {
			start, length := field(3*k), field(3*k+1)
			agrees = agrees && start == header+offset && start < uint64(len(memory)) && length <= uint64(len(memory))-start
		}
		t.namesAt, t.namesEnd = field(0), field(0)+field(1)
		t.filesAt, t.filesEnd = header+word(5), header+word(7)
		t.pcAt, t.pcLen = field(9), field(10)
		t.listAt, t.listLen = field(12), field(13)
		t.funcdata, t.follow = field(18+21), field(18)
		t.buckets, t.bucketsEnd = field(18), field(18+22)
		if agrees && count > 0 && count < 1<<24 && t.filesAt <= t.filesEnd && field(16) == count+1 &&
			t.pcAt+t.pcLen <= t.listAt && t.listAt+t.listLen <= t.funcdata && t.funcdata <= t.follow && t.follow <= uint64(len(memory)) &&
			t.buckets <= t.bucketsEnd && t.bucketsEnd <= uint64(len(memory)) {
			t.count = int(count)
			one := t
			found = append(found, &one)
		}
	}
}

func (t *tables) strip() error {
	var fields [1 + mostPCs][]uint64 // where offsets of values that stay are: of the stack, and others
	layouts := map[uint32]bool{}     // of arguments
	kept := map[uint32]bool{}        // other data of functions
	// Records follow the list, which has an end behind its last function, and
	// each other in its order.
	free := uint64(t.count)*entrySize + 4
	for k := range uint64(t.count) {
		if (k+1)*entrySize > t.listLen {
			return errors.New("the list of functions is too short")
		}
		entry, offset := t.u32(t.listAt+k*entrySize), uint64(t.u32(t.listAt+k*entrySize+4))
		at := t.listAt + offset
		if offset < free || offset+functionFixed > t.listLen || t.u32(at) != entry {
			return fmt.Errorf("the record of function %d is not where the list says", k)
		}
		pcs, funcs := uint64(t.u32(at+28)), uint64(t.memory[at+43])
		free = offset + functionFixed + 4*(pcs+funcs)
		if pcs > mostPCs || free > t.listLen {
			return fmt.Errorf("the record of function %d is too long", k)
		}
		fields[0] = append(fields[0], at+16)
		t.setU32(at+20, 0) // files
		t.setU32(at+24, 0) // lines
		t.setU32(at+32, 0) // unit of the files
		t.setU32(at+36, 0) // first line
		for i := range pcs {
			if field := at + functionFixed + 4*i; uselessPC[int(i)] {
				t.setU32(field, 0)
			} else {
				fields[1+i] = append(fields[1+i], field)
			}
		}
		for i := range funcs {
			field := at + functionFixed + 4*(pcs+i)
			data := t.u32(field)
			switch {
			case data == none:
			case uint64(data) >= t.follow-t.funcdata:
				return fmt.Errorf("data of function %d is outside of all data", k)
			case uselessFunc[int(i)]:
				if i == argLayout {
					layouts[data] = true
				}
				t.setU32(field, none)
			default:
				kept[data] = true
				t.inlined = t.inlined || i == inlineTree
			}
		}
	}
	clear(t.memory[t.filesAt:t.filesEnd])
	if err := t.movePCs(slices.Concat(fields[:]...)); err != nil {
		return err
	}
	t.firstRecord = t.record(0)
	t.entry = t.u32(t.firstRecord)
	if !t.inlined && !t.mentioned()[longNames] {
		if err := t.moveNames(); err != nil {
			return err
		}
	}
	for at := range layouts {
		if kept[at] {
			continue
		}
		layout, err := t.layout(uint64(at))
		if err != nil {
			return err
		}
		for k := range uint32(len(layout)) {
			if k > 0 && (kept[at+k] || layouts[at+k]) {
				return fmt.Errorf("the layout of arguments at %d has other data in it", at)
			}
		}
		clear(layout)
	}
	return nil
}

// movePCs moves the values by program counter together that a field points to,
// in the order of the fields.
func (t *tables) movePCs(fields []uint64) error {
	old := bytes.Clone(t.memory[t.pcAt : t.pcAt+t.pcLen])
	moved := map[uint32]uint32{0: 0} // an offset of 0 says that there are none
	written := map[string]uint32{}
	out := []byte{0}
	for _, field := range fields {
		from := t.u32(field)
		to, done := moved[from]
		if !done {
			if uint64(from) >= t.pcLen {
				return fmt.Errorf("values at %d are outside of all values", from)
			}
			values, err := openEnded(old[from:])
			if err != nil {
				return err
			}
			if to, done = written[string(values)]; !done {
				to = uint32(len(out))
				written[string(values)] = to
				out = append(out, values...)
			}
			moved[from] = to
		}
		t.setU32(field, to)
	}
	if len(out) > len(old) {
		return errors.New("the values that stay are longer than all of them")
	}
	clear(t.memory[t.pcAt : t.pcAt+t.pcLen])
	copy(t.memory[t.pcAt:], out)
	return nil
}

// mostPC is above all program counters in a function.
const mostPC = 1 << 16

// openEnded returns a function's values: pairs of differences of value and
// program counter, up to a zero that is not the first one. The last of them
// holds until mostPC, whatever the function's length, so that functions of the
// same form share them.
func openEnded(b []byte) ([]byte, error) {
	last := 0
	for at, first := 0, true; at < len(b); first = false {
		if b[at] == 0 && !first {
			return append(binary.AppendUvarint(bytes.Clone(b[:last]), mostPC), 0), nil
		}
		for range 2 {
			_, n := binary.Uvarint(b[at:])
			if n <= 0 {
				return nil, errors.New("values by program counter do not end")
			}
			last = at
			at += n
		}
	}
	return nil, errors.New("values by program counter do not end")
}

// layout returns a layout of arguments: pairs of offset and size, and marks, up
// to the mark of the end.
func (t *tables) layout(at uint64) ([]byte, error) {
	const firstMark, end = 0xfb, 0xff
	all := t.memory[t.funcdata+at : min(t.funcdata+at+longestLayout, t.follow)]
	for k := 0; k < len(all); k++ {
		if all[k] == end {
			return all[:k+1], nil
		}
		if all[k] < firstMark {
			k++
		}
	}
	return nil, fmt.Errorf("the layout of arguments at %d does not end", at)
}

// longNames is what profiles ask for names that tell what generic functions are
// made for.
const longNames = "runtime/pprof.runtime_FrameSymbolName"

// moveNames leaves out of the names of functions what a generic one is made
// for, as stack traces do: f[...]. Names then follow each other in the order
// of the functions.
func (t *tables) moveNames() error {
	old := bytes.Clone(t.memory[t.namesAt:t.namesEnd])
	var out []byte
	for k := range uint64(t.count) {
		field := t.record(k) + fieldName
		name, _, ended := bytes.Cut(old[min(uint64(t.u32(field)), uint64(len(old))):], []byte{0})
		if !ended {
			return fmt.Errorf("the name of function %d does not end", k)
		}
		t.setU32(field, uint32(len(out)))
		first, last := bytes.IndexByte(name, '['), bytes.LastIndexByte(name, ']')
		if first >= 0 && first < last {
			out = append(append(append(out, name[:first]...), "[...]"...), name[last+1:]...)
		} else {
			out = append(out, name...)
		}
		out = append(out, 0)
	}
	if len(out) > len(old) {
		return errors.New("names of functions are used twice")
	}
	clear(t.memory[t.namesAt:t.namesEnd])
	copy(t.memory[t.namesAt:], out)
	return nil
}

// names returns the functions' names.
func (t *tables) names() ([]string, error) {
	out := make([]string, t.count)
	for k := range out {
		name := uint64(t.u32(t.record(uint64(k)) + fieldName))
		end, err := t.nameEnd(name)
		if err != nil {
			return nil, err
		}
		out[k] = string(t.memory[t.namesAt+name : t.namesAt+end])
	}
	return out, nil
}

// mentioned returns the names of all functions, and of those that are nowhere
// else than in others.
func (t *tables) mentioned() map[string]bool {
	out := map[string]bool{}
	for name := range bytes.SplitSeq(t.memory[t.namesAt:t.namesEnd], []byte{0}) {
		out[string(name)] = true
	}
	return out
}

// Which functions the runtime knows: most of them it takes for what they are,
// and looks at program counters in them. Wrappers are as others.
const (
	idNormal  = 0
	idWrapper = 23
)

// ordinary says whether a record is of a function whose program counters only
// its own code and tables tell.
func (t *tables) ordinary(record uint64) bool {
	id := t.memory[record+fieldID]
	if id != idNormal && id != idWrapper {
		return false
	}
	pcs, datas := uint64(t.u32(record+fieldPCs)), uint64(t.memory[record+fieldDatas])
	return datas <= inlineTree || t.u32(record+functionFixed+4*(pcs+inlineTree)) == none
}
