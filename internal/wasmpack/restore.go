package wasmpack

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// What the runtime finds functions with is regular, but no compressor sees
// how: the list of functions counts, records follow each other and name each
// other's neighbours, buckets are sixteen to a function. The program's memory
// holds a short form instead, where the buckets are, and the module's start
// function makes the tables of it before anything else runs.
//
// The short form is numbers as unsigned LEB128. First, for each function, how
// many values by program counter and how much other data its record has. Then
// how far its name is from where the name before ends. Then the columns, one
// after the other: a number is 0 for a value that the column had not yet, with
// its difference from the last such value behind it, or tells which of the
// values it had is meant, counting from 1. Differences are written as 2n if
// they are not negative, and as -2n-1 if they are.

// column is a field of all records.
type column struct {
	kind byte   // columnFixed, columnPC or columnData
	at   uint32 // offset in the record, or which of the values of a kind
	wide bool   // 4 bytes, not 1
}

const (
	columnFixed = iota
	columnPC
	columnData

	fieldName, fieldDeferReturn, fieldStack, fieldPCs, fieldID, fieldDatas = 4, 12, 16, 28, 40, 43

	bucketSize   = 20 // of findfunctab
	bucketShift  = 4  // sixteen for each function
	recordsAlign = 8
)

// columns are the fields that are not always zero, and not told otherwise.
var columns = []column{
	{columnFixed, 8, true},                // arguments
	{columnFixed, fieldDeferReturn, true}, // where deferred calls return to
	{columnFixed, fieldID, false},         // which function it is, of those that are special
	{columnFixed, 41, false},              // flags
	{columnFixed, fieldStack, true},       // stack
	{columnPC, 0, true}, {columnPC, 1, true}, {columnPC, 2, true}, {columnPC, 3, true},
	{columnData, 0, true}, {columnData, 1, true}, {columnData, 2, true}, {columnData, 3, true},
	{columnData, 4, true}, {columnData, 5, true}, {columnData, 6, true}, {columnData, 7, true},
}

const mostValues = 4 // by program counter in a record, that columns has
const mostData = 8   // of other data

// field returns the address of a column's field in a record, if it has it.
func (t *tables) field(c column, record uint64) (at uint64, has bool) {
	pcs, datas := uint64(t.memory[record+fieldPCs]), uint64(t.memory[record+fieldDatas])
	switch c.kind {
	case columnPC:
		return record + functionFixed + 4*uint64(c.at), uint64(c.at) < pcs
	case columnData:
		return record + functionFixed + 4*(pcs+uint64(c.at)), uint64(c.at) < datas
	}
	return record + uint64(c.at), true
}

func zigzag(v int32) uint64 { return uint64(uint32(v<<1 ^ v>>31)) }

// behind returns where the record is that follows one.
func behind(record uint64, pcs, datas uint32) uint64 {
	return (record + functionFixed + 4*uint64(pcs+datas) + recordsAlign - 1) &^ (recordsAlign - 1)
}

// record returns the address of a function's record.
func (t *tables) record(k uint64) uint64 {
	return t.listAt + uint64(t.u32(t.listAt+k*entrySize+4))
}

// fold puts the short form in the place of the tables, and returns how long it
// is. The memory is changed only if that makes the same tables again.
func (t *tables) fold() (length int, err error) {
	if t.bucketsEnd < t.buckets+bucketSize {
		return 0, errors.New("there are no buckets")
	}
	count := uint64(t.count)
	first := t.firstRecord
	var short []byte
	next := first
	for k := range count {
		at := t.record(k)
		pcs, datas := t.u32(at+fieldPCs), t.memory[at+fieldDatas]
		switch {
		case pcs > mostValues || datas > mostData:
			return 0, fmt.Errorf("the record of function %d has more values than are known", k)
		case at != next || t.u32(at) != t.entry+uint32(k) || t.u32(t.listAt+k*entrySize) != t.entry+uint32(k):
			return 0, fmt.Errorf("the record of function %d does not follow the one before", k)
		}
		next = behind(at, pcs, uint32(datas))
		short = append(short, byte(pcs), datas)
	}
	if next > t.listAt+t.listLen {
		return 0, errors.New("the last record is too long")
	}
	expected := uint32(0)
	for k := range count {
		name := t.u32(t.record(k) + fieldName)
		short = binary.AppendUvarint(short, zigzag(int32(name-expected)))
		end, err := t.nameEnd(uint64(name))
		if err != nil {
			return 0, err
		}
		expected = uint32(end) + 1
	}
	for _, c := range columns {
		seen := map[uint32]uint64{}
		last := uint32(0)
		for k := range count {
			at, has := t.field(c, t.record(k))
			if !has {
				continue
			}
			v := uint32(t.memory[at])
			if c.wide {
				v = t.u32(at)
			}
			if n, known := seen[v]; known {
				short = binary.AppendUvarint(short, n)
				continue
			}
			seen[v] = uint64(len(seen)) + 1
			short = append(short, 0)
			short = binary.AppendUvarint(short, zigzag(int32(v-last)))
			last = v
		}
	}
	if room := t.bucketsEnd - t.buckets; uint64(len(short))+4*count+4 > room {
		return 0, errors.New("the tables are too small to be worth it")
	}
	folded := bytes.Clone(t.memory)
	clear(folded[t.listAt : t.listAt+count*entrySize])
	clear(folded[first:next])
	clear(folded[t.buckets:t.bucketsEnd])
	copy(folded[t.buckets:], short)
	again := *t
	again.memory = bytes.Clone(folded)
	again.unfold(len(short))
	if !bytes.Equal(again.memory, t.memory) {
		return 0, errors.New("the tables are not what their short form makes")
	}
	copy(t.memory, folded)
	return len(short), nil
}

// nameEnd returns where a name ends, of those that start at namesAt.
func (t *tables) nameEnd(name uint64) (uint64, error) {
	if t.namesAt+name >= t.pcAt {
		return 0, errors.New("a name is outside of all names")
	}
	n := bytes.IndexByte(t.memory[t.namesAt+name:t.pcAt], 0)
	if n < 0 {
		return 0, errors.New("a name does not end")
	}
	return name + uint64(n), nil
}

// bucketCount is how many buckets there are. The last one is cut off.
func (t *tables) bucketCount() uint64 {
	return (t.bucketsEnd - t.buckets - 4 + bucketSize - 1) / bucketSize
}

// unfold is what the start function does (see start.go), in Go.
func (t *tables) unfold(length int) {
	r := &reader{b: bytes.Clone(t.memory[t.buckets : t.buckets+uint64(length)])}
	number := func() uint32 { return uint32(r.number()) }
	difference := func() uint32 { n := number(); return n>>1 ^ -(n & 1) }
	record := t.firstRecord
	for k := range uint64(t.count) {
		t.setU32(t.listAt+k*entrySize, t.entry+uint32(k))
		t.setU32(t.listAt+k*entrySize+4, uint32(record-t.listAt))
		pcs, datas := number(), number()
		t.setU32(record, t.entry+uint32(k))
		t.setU32(record+fieldPCs, pcs)
		t.memory[record+fieldDatas] = byte(datas)
		record = behind(record, pcs, datas)
	}
	name := uint32(0)
	for k := range uint64(t.count) {
		name += difference()
		t.setU32(t.record(k)+fieldName, name)
		for ; t.memory[t.namesAt+uint64(name)] != 0; name++ {
		}
		name++
	}
	for _, c := range columns {
		var seen []uint32
		last := uint32(0)
		for k := range uint64(t.count) {
			at, has := t.field(c, t.record(k))
			if !has {
				continue
			}
			n := number()
			if n == 0 {
				last += difference()
				seen = append(seen, last)
				n = uint32(len(seen))
			}
			if c.wide {
				t.setU32(at, seen[n-1])
			} else {
				t.memory[at] = byte(seen[n-1])
			}
		}
	}
	clear(t.memory[t.buckets:t.bucketsEnd])
	for k := range t.bucketCount() {
		t.setU32(t.buckets+k*bucketSize, uint32(k>>bucketShift))
	}
}
