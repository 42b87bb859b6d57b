package wasmpack

// liveness is what is known of the variables of a function: which of them are
// read after an instruction before they are written. A set of variables has a
// bit for each.
type liveness struct {
	after []uint64         // by instruction
	at    map[int64]uint64 // by label: where a branch to it goes on
}

const (
	mostLocals = 64 // bits of a set
	mostPasses = 32 // more than loops of the compiler are in each other
)

// localsOf is the number of variables, with the one parameter.
func (f *function) localsOf() (n int) {
	n = 1
	for _, group := range f.locals {
		if group.count > mostLocals {
			return mostLocals + 1
		}
		n += int(group.count)
	}
	return n
}

// live looks at the code from its end to its start, until what is known of
// loops does not change. It returns nil for functions with more variables, or
// with more loops in each other, than the compiler makes.
func (f *function) live() *liveness {
	if f.localsOf() > mostLocals {
		return nil
	}
	l := &liveness{after: make([]uint64, len(f.code)), at: map[int64]uint64{}}
	openers := f.openers()
	for range mostPasses {
		if !f.liveOnce(l, openers) {
			return l
		}
	}
	return nil
}

// openers tells for each end which instruction began what ends there, and -1
// for the end of the function.
func (f *function) openers() []int {
	out := make([]int, len(f.code))
	var open []int
	for k, in := range f.code {
		switch in.op {
		case opBlock, opLoop, opIf:
			open = append(open, k)
		case opEnd:
			out[k] = -1
			if n := len(open); n > 0 {
				out[k], open = open[n-1], open[:n-1]
			}
		}
	}
	return out
}

// liveOnce says whether something became known of a loop, so that what was
// said of branches to it was too little.
func (f *function) liveOnce(l *liveness, openers []int) (changed bool) {
	type block struct {
		behind   uint64 // live behind its end
		elseFrom uint64 // live where its else starts
		hasElse  bool
	}
	var blocks []block
	var live uint64
	for k := len(f.code) - 1; k >= 0; k-- {
		in := f.code[k]
		l.after[k] = live
		switch in.op {
		case opEnd:
			if openers[k] < 0 {
				continue // a branch to the function returns: nothing is live
			}
			if o := f.code[openers[k]]; o.op != opLoop {
				l.at[o.value] = live
			}
			blocks = append(blocks, block{behind: live})
		case opElse:
			b := &blocks[len(blocks)-1]
			b.elseFrom, b.hasElse = live, true
			live = b.behind
		case opBlock, opLoop, opIf:
			b := blocks[len(blocks)-1]
			blocks = blocks[:len(blocks)-1]
			switch {
			case in.op == opIf && b.hasElse:
				live |= b.elseFrom
			case in.op == opIf:
				live |= b.behind
			case in.op == opLoop && l.at[in.value] != live:
				l.at[in.value] = live
				changed = true
			}
		case opBr:
			live = l.at[in.value]
		case opBrIf:
			live |= l.at[in.value]
		case opBrTable:
			live = 0
			for _, label := range in.labels {
				live |= l.at[label]
			}
		case opReturn, opUnreachable:
			live = 0
		case opLocalGet:
			live |= 1 << in.value
		case opLocalSet, opLocalTee:
			live &^= 1 << in.value
		}
	}
	return changed
}

// effect says how many operands an instruction takes and how many it leaves;
// of those that control where to go on it is not known.
func effect(in instruction) (pops, pushes int, known bool) {
	switch op := in.op; {
	case op == opLocalGet || op == opGlobalGet || op >= opI32Const && op <= opF64Const || op == opMemorySize:
		return 0, 1, true
	case op == opLocalSet || op == opGlobalSet || op == opDrop:
		return 1, 0, true
	case op == opLocalTee || op >= opFirstLoad && op <= opLastLoad || op == opMemoryGrow:
		return 1, 1, true
	case op >= opFirstStore && op <= opLastStore:
		return 2, 0, true
	case op == opSelect:
		return 3, 1, true
	case op == opI32Eqz || op == opI64Eqz || op >= opI32Wrap && op <= opLastNumeric || unary(op) || op == opPrefix && in.sub <= subLastTruncation:
		return 1, 1, true
	case op > opI32Eqz && op < opI32Wrap:
		return 2, 1, true
	case op == opPrefix && (in.sub == subMemoryCopy || in.sub == subMemoryFill):
		return 3, 0, true
	}
	return 0, 0, false
}

// unary says whether an arithmetic instruction below the conversions takes one
// operand: counting bits, and functions of numbers with fractions.
func unary(op byte) bool {
	return op >= 0x67 && op <= 0x69 || op >= 0x79 && op <= 0x7b || op >= 0x8b && op <= 0x91 || op >= 0x99 && op <= 0x9f
}

// pure says whether an instruction only computes: it neither writes nor stops.
// A load does not stop, as Go has looked for nil before it, and nothing is
// moved over where it looks.
func pure(in instruction) bool {
	switch op := in.op; {
	case op == opLocalGet || op == opGlobalGet || op >= opI32Const && op <= opF64Const || op == opSelect || isLoad(in):
		return true
	case op >= 0x6d && op <= 0x70 || op >= 0x7f && op <= 0x82 || op >= 0xa8 && op <= 0xab || op >= 0xae && op <= 0xb1:
		return false // division, and truncation of what may be too large
	case op >= opI32Eqz && op <= opLastNumeric:
		return true
	}
	return false
}

func isLoad(in instruction) bool  { return in.op >= opFirstLoad && in.op <= opLastLoad }
func isStore(in instruction) bool { return in.op >= opFirstStore && in.op <= opLastStore }

// operands tells where what an instruction takes is computed from on.
type operands struct {
	first, last []int // by instruction: where its first and its last operand begin, or -1
}

// operands looks at expressions: whatever is not known, or began before
// something that is not, begins at -1.
func (f *function) operands() operands {
	out := operands{make([]int, len(f.code)), make([]int, len(f.code))}
	var stack []int // where what is on top of the stack begins
	for k, in := range f.code {
		out.first[k], out.last[k] = -1, -1
		pops, pushes, known := effect(in)
		if !known {
			stack = stack[:0]
			continue
		}
		from := k
		for n := range pops {
			if len(stack) == 0 {
				from = -1
				break
			}
			from, stack = stack[len(stack)-1], stack[:len(stack)-1]
			if n == 0 {
				out.last[k] = from
			}
		}
		out.first[k] = from
		if pushes > 0 && from >= 0 { // else the stack is empty, as far as it is known
			stack = append(stack, from)
		}
	}
	return out
}
