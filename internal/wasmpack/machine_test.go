package wasmpack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
)

// machine runs functions as they are read, for comparing what they do. It
// knows the instructions that shorten looks at. Values of 32 bits have nothing
// above them.
type machine struct {
	memory  []byte
	globals [8]uint64
	steps   int // that are left

	call     func(callee int64, args []uint64) (uint64, error)
	indirect func(callee uint64, args []uint64) (uint64, error)
}

var (
	errTrap  = errors.New("trap")
	errSteps = errors.New("too many steps")
)

// label is a block that is open.
type label struct {
	at     int // where it begins
	height int // of the stack
}

// run calls a function of one parameter that returns a value of 32 bits.
func (m *machine) run(f *function, param uint64) (uint64, error) {
	vars := []uint64{param}
	for _, group := range f.locals {
		vars = append(vars, make([]uint64, group.count)...)
	}
	ends, elses := map[int]int{}, map[int]int{} // by where a block begins
	var open []int
	for k, in := range f.code {
		switch in.op {
		case opBlock, opLoop, opIf:
			open = append(open, k)
		case opElse:
			elses[open[len(open)-1]] = k
		case opEnd:
			if n := len(open); n > 0 {
				ends[open[n-1]], open = k, open[:n-1]
			}
		}
	}
	var stack []uint64
	var labels []label
	pop := func() uint64 {
		v := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		return v
	}
	push := func(v uint64) { stack = append(stack, v) }
	// branch returns where to go on.
	branch := func(to int64) int {
		for {
			l := labels[len(labels)-1]
			if f.code[l.at].value != to {
				labels = labels[:len(labels)-1]
				continue
			}
			stack = stack[:l.height]
			if f.code[l.at].op == opLoop {
				return l.at
			}
			labels = labels[:len(labels)-1]
			return ends[l.at]
		}
	}
	address := func(in instruction, size uint64) (uint64, error) {
		at := pop() + uint64(in.value)
		if at+size > uint64(len(m.memory)) {
			return 0, errTrap
		}
		return at, nil
	}
	for k := 0; k < len(f.code); k++ {
		if m.steps--; m.steps < 0 {
			return 0, errSteps
		}
		switch in := f.code[k]; in.op {
		case opUnreachable:
			return 0, errTrap
		case opNop:
		case opBlock, opLoop:
			labels = append(labels, label{k, len(stack)})
		case opIf:
			condition := pop()
			labels = append(labels, label{k, len(stack)})
			if condition == 0 {
				if other, has := elses[k]; has {
					k = other
				} else {
					k = branch(in.value)
				}
			}
		case opElse:
			k = branch(f.code[labels[len(labels)-1].at].value)
		case opEnd:
			if len(labels) == 0 {
				return pop(), nil
			}
			if l := labels[len(labels)-1]; len(stack) != l.height {
				return 0, fmt.Errorf("%d values are on the stack at the end of a block, want %d", len(stack), l.height)
			}
			labels = labels[:len(labels)-1]
		case opBr:
			k = branch(in.value)
		case opBrIf:
			if pop() != 0 {
				k = branch(in.value)
			}
		case opBrTable:
			k = branch(in.labels[min(pop(), uint64(len(in.labels)-1))])
		case opReturn:
			return pop(), nil
		case opCall, opCallIndirect:
			call := func(args []uint64) (uint64, error) { return m.call(in.value, args) }
			if in.op == opCallIndirect {
				callee := pop()
				call = func(args []uint64) (uint64, error) { return m.indirect(callee, args) }
			}
			v, err := call([]uint64{pop()})
			if err != nil {
				return 0, err
			}
			push(v)
		case opDrop:
			pop()
		case opSelect:
			condition, b, a := pop(), pop(), pop()
			if condition == 0 {
				a = b
			}
			push(a)
		case opLocalGet:
			push(vars[in.value])
		case opLocalSet:
			vars[in.value] = pop()
		case opLocalTee:
			vars[in.value] = stack[len(stack)-1]
		case opGlobalGet:
			push(m.globals[in.value])
		case opGlobalSet:
			m.globals[in.value] = pop()
		case opI32Const:
			push(uint64(uint32(in.value)))
		case opI64Const:
			push(uint64(in.value))
		case opF32Const, opF64Const:
			push(in.float)
		default:
			switch {
			case isLoad(in):
				at, err := address(in, width(in.op))
				if err != nil {
					return 0, err
				}
				push(load(in.op, m.memory[at:]))
			case isStore(in):
				v := pop()
				at, err := address(in, width(in.op))
				if err != nil {
					return 0, err
				}
				var b [8]byte
				binary.LittleEndian.PutUint64(b[:], v)
				copy(m.memory[at:], b[:width(in.op)])
			default:
				pops, _, known := effect(in)
				if !known || pops > 2 {
					return 0, fmt.Errorf("instruction %#x is not known", in.op)
				}
				var b uint64
				if pops == 2 {
					b = pop()
				}
				v, err := compute(in.op, pop(), b)
				if err != nil {
					return 0, err
				}
				push(v)
			}
		}
	}
	return 0, errors.New("the function does not end")
}

// width is how many bytes a load or store is for.
func width(op byte) uint64 {
	widths := map[byte]uint64{
		0x28: 4, 0x29: 8, 0x2a: 4, 0x2b: 8, 0x2c: 1, 0x2d: 1, 0x2e: 2, 0x2f: 2, 0x30: 1, 0x31: 1, 0x32: 2, 0x33: 2, 0x34: 4, 0x35: 4,
		0x36: 4, 0x37: 8, 0x38: 4, 0x39: 8, 0x3a: 1, 0x3b: 2, 0x3c: 1, 0x3d: 2, 0x3e: 4,
	}
	return widths[op]
}

func load(op byte, b []byte) uint64 {
	switch op {
	case 0x28, 0x2a, 0x35:
		return uint64(binary.LittleEndian.Uint32(b))
	case 0x29, 0x2b:
		return binary.LittleEndian.Uint64(b)
	case 0x2c:
		return uint64(uint32(int8(b[0])))
	case 0x2d, 0x31:
		return uint64(b[0])
	case 0x2e:
		return uint64(uint32(int16(binary.LittleEndian.Uint16(b))))
	case 0x2f, 0x33:
		return uint64(binary.LittleEndian.Uint16(b))
	case 0x30:
		return uint64(int8(b[0]))
	case 0x32:
		return uint64(int16(binary.LittleEndian.Uint16(b)))
	default: // 0x34
		return uint64(int32(binary.LittleEndian.Uint32(b)))
	}
}

// compute does arithmetic with one operand or two.
func compute(op byte, a, b uint64) (uint64, error) {
	truth := func(v bool) (uint64, error) {
		if v {
			return 1, nil
		}
		return 0, nil
	}
	x, y := uint32(a), uint32(b)
	switch op {
	case opI32Eqz, opI64Eqz:
		return truth(a == 0)
	case 0x46, 0x51:
		return truth(a == b)
	case 0x47, 0x52:
		return truth(a != b)
	case 0x48:
		return truth(int32(x) < int32(y))
	case 0x49, 0x54:
		return truth(a < b)
	case 0x4c:
		return truth(int32(x) <= int32(y))
	case 0x4d:
		return truth(a <= b)
	case 0x53:
		return truth(int64(a) < int64(b))
	case 0x59:
		return truth(int64(a) >= int64(b))
	case 0x67:
		return uint64(bits.LeadingZeros32(x)), nil
	case opI32Add:
		return uint64(x + y), nil
	case opI32Sub:
		return uint64(x - y), nil
	case 0x6c:
		return uint64(x * y), nil
	case 0x71, 0x83:
		return a & b, nil
	case 0x72, opI64Or:
		return a | b, nil
	case 0x73, 0x85:
		return a ^ b, nil
	case 0x74:
		return uint64(x << (y & 31)), nil
	case 0x76:
		return uint64(x >> (y & 31)), nil
	case 0x7b:
		return uint64(bits.OnesCount64(a)), nil
	case opI64Add:
		return a + b, nil
	case 0x7d:
		return a - b, nil
	case 0x7e:
		return a * b, nil
	case 0x80:
		if b == 0 {
			return 0, errTrap
		}
		return a / b, nil
	case 0x86:
		return a << (b & 63), nil
	case 0x88:
		return a >> (b & 63), nil
	case 0x9a: // f64.neg
		return math.Float64bits(-math.Float64frombits(a)), nil
	case 0xa0: // f64.add
		return math.Float64bits(math.Float64frombits(a) + math.Float64frombits(b)), nil
	case opI32Wrap:
		return uint64(x), nil
	case 0xac:
		return uint64(int32(x)), nil
	case opI64ExtendU:
		return a, nil
	case 0xb9: // f64.convert_i64_s
		return math.Float64bits(float64(int64(a))), nil
	case 0xbd: // i64.reinterpret_f64
		return a, nil
	case 0xc0:
		return uint64(uint32(int8(x))), nil
	case 0xc4:
		return uint64(int32(uint32(a))), nil
	}
	return 0, fmt.Errorf("instruction %#x is not known", op)
}
