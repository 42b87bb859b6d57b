package wasmpack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// The instructions that are looked at, as the binary format numbers them.
const (
	opUnreachable  = 0x00
	opNop          = 0x01
	opBlock        = 0x02
	opLoop         = 0x03
	opIf           = 0x04
	opElse         = 0x05
	opEnd          = 0x0b
	opBr           = 0x0c
	opBrIf         = 0x0d
	opBrTable      = 0x0e
	opReturn       = 0x0f
	opCall         = 0x10
	opCallIndirect = 0x11
	opDrop         = 0x1a
	opSelect       = 0x1b
	opLocalGet     = 0x20
	opLocalSet     = 0x21
	opLocalTee     = 0x22
	opGlobalGet    = 0x23
	opGlobalSet    = 0x24
	opFirstLoad    = 0x28
	opI64Load      = 0x29
	opLastLoad     = 0x35
	opFirstStore   = 0x36
	opI64Store     = 0x37
	opLastStore    = 0x3e
	opMemorySize   = 0x3f
	opMemoryGrow   = 0x40
	opI32Const     = 0x41
	opI64Const     = 0x42
	opF32Const     = 0x43
	opF64Const     = 0x44
	opI32Eqz       = 0x45
	opI64Eqz       = 0x50
	opI32Add       = 0x6a
	opI32Sub       = 0x6b
	opI64Add       = 0x7c
	opI64Or        = 0x84
	opI32Wrap      = 0xa7
	opI64ExtendU   = 0xad
	opLastNumeric  = 0xc4
	opPrefix       = 0xfc

	// Those behind opPrefix.
	subLastTruncation = 7
	subMemoryCopy     = 10
	subMemoryFill     = 11

	noResult = 0x40 // of a block
	typeI32  = 0x7f
	typeI64  = 0x7e
)

// An instruction with what it is told: a constant, the number of a variable, a
// function or a label, or the offset of an access to memory. Labels are those
// of the blocks of the function, in the order in which they begin; the function
// itself is label 0.
type instruction struct {
	op     byte
	sub    byte // behind opPrefix
	align  byte // of an access to memory; what a block leaves
	value  int64
	labels []int64 // of opBrTable
	float  uint64
}

// function is the body of one: its variables besides its parameters, and what
// it does.
type function struct {
	locals []localGroup
	code   []instruction
}

// localGroup is a number of variables that are of one type.
type localGroup struct {
	count uint64
	kind  byte
}

// What functions of the compiler stay far below of.
const (
	mostLabels = 1 << 16 // that are open at a time
	mostBody   = 1 << 22 // bytes: each of them may be an instruction
)

// errUnknownInstruction says that a function is to stay as it is.
var errUnknownInstruction = errors.New("an instruction is not known")

// readFunction reads a body. Numbers of variables, functions and types, and
// offsets are below 1<<32 then, and each branch is to a block that is open.
func readFunction(body []byte) (*function, error) {
	if len(body) > mostBody {
		return nil, errUnknownInstruction
	}
	r := &reader{b: body}
	number := func() int64 {
		n := r.number()
		if n > math.MaxUint32 {
			r.fail(errLong)
		}
		return int64(uint32(n))
	}
	f := &function{}
	for range r.number() {
		f.locals = append(f.locals, localGroup{r.number(), r.byte()})
		if r.err != nil {
			return nil, r.err
		}
	}
	open, next := []int64{0}, int64(1)
	opened := []byte{opBlock} // what each of them is
	label := func(depth uint64) int64 {
		if depth >= uint64(len(open)) {
			r.fail(errors.New("a branch leaves the function"))
			return 0
		}
		return open[uint64(len(open))-1-depth]
	}
	for len(r.b) > 0 {
		if len(open) == 0 || len(open) > mostLabels {
			return nil, errors.New("blocks do not end where the function does")
		}
		in := instruction{op: r.byte()}
		switch op := in.op; {
		case op == opBlock || op == opLoop || op == opIf:
			in.align, in.value = r.byte(), next
			if in.align < 0x40 || in.align > 0x7f {
				return nil, errUnknownInstruction // results of more than one value
			}
			open, opened, next = append(open, next), append(opened, op), next+1
		case op == opElse:
			if opened[len(opened)-1] != opIf {
				return nil, errors.New("an else belongs to no if")
			}
			opened[len(opened)-1] = opElse
		case op == opEnd:
			open, opened = open[:len(open)-1], opened[:len(opened)-1]
		case op == opBr || op == opBrIf:
			in.value = label(r.number())
		case op == opBrTable:
			for k, n := uint64(0), r.number(); k <= n && r.err == nil; k++ {
				in.labels = append(in.labels, label(r.number()))
			}
		case op == opCall || op >= opLocalGet && op <= opGlobalSet:
			in.value = number()
		case op == opCallIndirect:
			in.value = number()
			in.align = r.byte()
		case op >= opFirstLoad && op <= opLastStore:
			in.align, in.value = r.byte(), number()
		case op == opMemorySize || op == opMemoryGrow:
			in.align = r.byte()
		case op == opI32Const || op == opI64Const:
			in.value = r.signed64()
		case op == opF32Const:
			if b := r.bytes(4); b != nil {
				in.float = uint64(binary.LittleEndian.Uint32(b))
			}
		case op == opF64Const:
			if b := r.bytes(8); b != nil {
				in.float = binary.LittleEndian.Uint64(b)
			}
		case op == opPrefix:
			in.sub = r.byte()
			switch {
			case in.sub == subMemoryCopy:
				in.value = int64(r.byte()) | int64(r.byte())<<8
			case in.sub == subMemoryFill:
				in.value = int64(r.byte())
			case in.sub > subLastTruncation:
				return nil, errUnknownInstruction
			}
		case op == opUnreachable || op == opNop || op == opReturn || op == opDrop || op == opSelect || op >= opI32Eqz && op <= opLastNumeric:
		default:
			return nil, errUnknownInstruction
		}
		if r.err != nil {
			return nil, r.err
		}
		f.code = append(f.code, in)
	}
	if len(open) != 0 {
		return nil, errShort
	}
	return f, nil
}

// append writes the body.
func (f *function) append(b []byte) ([]byte, error) {
	b = binary.AppendUvarint(b, uint64(len(f.locals)))
	for _, group := range f.locals {
		b = append(binary.AppendUvarint(b, group.count), group.kind)
	}
	open := []int64{0}
	outside := map[int64]int{0: 0} // by label that is open: how many are around it
	depth := func(label int64) (uint64, error) {
		around, isOpen := outside[label]
		if !isOpen {
			return 0, fmt.Errorf("a branch goes to block %d from outside of it", label)
		}
		return uint64(len(open) - 1 - around), nil
	}
	for _, in := range f.code {
		b = append(b, in.op)
		switch op := in.op; {
		case op == opBlock || op == opLoop || op == opIf:
			b = append(b, in.align)
			outside[in.value] = len(open)
			open = append(open, in.value)
		case op == opEnd:
			if len(open) == 0 {
				return nil, errors.New("more blocks end than begin")
			}
			delete(outside, open[len(open)-1])
			open = open[:len(open)-1]
		case op == opBr || op == opBrIf:
			n, err := depth(in.value)
			if err != nil {
				return nil, err
			}
			b = binary.AppendUvarint(b, n)
		case op == opBrTable:
			b = binary.AppendUvarint(b, uint64(len(in.labels)-1))
			for _, label := range in.labels {
				n, err := depth(label)
				if err != nil {
					return nil, err
				}
				b = binary.AppendUvarint(b, n)
			}
		case op == opCall || op >= opLocalGet && op <= opGlobalSet:
			b = binary.AppendUvarint(b, uint64(in.value))
		case op == opCallIndirect:
			b = append(binary.AppendUvarint(b, uint64(in.value)), in.align)
		case op >= opFirstLoad && op <= opLastStore:
			b = binary.AppendUvarint(append(b, in.align), uint64(in.value))
		case op == opMemorySize || op == opMemoryGrow:
			b = append(b, in.align)
		case op == opI32Const || op == opI64Const:
			b = appendSigned(b, in.value)
		case op == opF32Const:
			b = binary.LittleEndian.AppendUint32(b, uint32(in.float))
		case op == opF64Const:
			b = binary.LittleEndian.AppendUint64(b, in.float)
		case op == opPrefix:
			b = append(b, in.sub)
			switch in.sub {
			case subMemoryCopy:
				b = append(b, byte(in.value), byte(in.value>>8))
			case subMemoryFill:
				b = append(b, byte(in.value))
			}
		}
	}
	if len(open) != 0 {
		return nil, errors.New("blocks do not end where the function does")
	}
	return b, nil
}
