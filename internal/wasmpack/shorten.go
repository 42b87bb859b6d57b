package wasmpack

import "slices"

// Variables that the compiler's code is written with, by their numbers.
const (
	localPC  = 0 // where in the function to go on
	localSP  = 1 // the stack's address, a copy of the global one
	globalSP = 0
)

// shortener makes one function shorter; what it does stays the same. It knows
// the shapes that cmd/internal/obj/wasm writes, and leaves what it does not
// know alone.
type shortener struct {
	*function

	calls       *calls
	st, seconds []int

	outer, loop int64   // labels of the block around all, and of the loop around what is inside; 0 without
	entries     []int64 // label at which to leave for a value of localPC
}

// shorten changes a function that was compiled from Go.
func (f *function) shorten(calls *calls) {
	s := &shortener{function: f, calls: calls}
	if !s.understand() {
		return
	}
	s.jump()
	s.addresses()
	s.call()
	s.returnAddresses()
	s.forward()
	s.conditions()
	s.join()
}

func is(in instruction, op byte, value int64) bool { return in.op == op && in.value == value }

func isPlainBlock(in instruction, op byte) bool { return in.op == op && in.align == noResult }

// understand finds where the function starts and goes on, and says whether it
// is of the usual form.
func (s *shortener) understand() bool {
	code := s.code
	if len(code) < 3 || len(s.locals) == 0 || s.locals[0].kind != typeI32 || !is(code[0], opGlobalGet, globalSP) || !is(code[1], opLocalSet, localSP) {
		return false
	}
	at := 2
	if isPlainBlock(code[at], opBlock) {
		s.outer = code[at].value
		at++
	}
	if at < len(code) && isPlainBlock(code[at], opLoop) {
		s.loop = code[at].value
		at++
	}
	for at < len(code) && isPlainBlock(code[at], opBlock) {
		at++
	}
	if at+1 < len(code) && is(code[at], opLocalGet, localPC) && code[at+1].op == opBrTable {
		s.entries = code[at+1].labels
		at += 2
	}
	n := len(code)
	if s.outer != 0 && (n < 3 || code[n-1].op != opEnd || !is(code[n-2], opI32Const, 1) || code[n-3].op != opEnd) {
		s.outer = 0
	}
	// Nothing else may read where to go on, other than what it wrote there to
	// call a function by its address.
	for k := at; k < n; k++ {
		if is(code[k], opLocalTee, localPC) || is(code[k], opLocalGet, localPC) && !(is(code[k-1], opI32Const, 0) && is(code[k-2], opLocalSet, localPC)) {
			return false
		}
	}
	return true
}

// jump has jumps to what comes later leave the blocks that end there, where
// the compiler starts the function anew with another localPC.
func (s *shortener) jump() {
	if s.loop == 0 || len(s.entries) == 0 {
		return
	}
	open := map[int64]bool{}
	var stack []int64
	out := s.code[:0]
	back := false
	for k := 0; k < len(s.code); k++ {
		in := s.code[k]
		switch in.op {
		case opBlock, opLoop, opIf:
			open[in.value] = true
			stack = append(stack, in.value)
		case opEnd:
			if len(stack) > 0 {
				delete(open, stack[len(stack)-1])
				stack = stack[:len(stack)-1]
			}
		case opBr, opBrIf:
			if in.value != s.loop {
				break
			}
			n := len(out)
			if in.op == opBr && n >= 2 && is(out[n-1], opLocalSet, localPC) && out[n-2].op == opI32Const {
				target := s.entry(out[n-2].value)
				if open[target] && target != s.loop {
					out = append(out[:n-2], instruction{op: opBr, value: target})
					continue
				}
			}
			back = true
		}
		out = append(out, in)
	}
	s.code = out
	if !back {
		s.remove(s.loop)
	}
	s.branch()
}

// remove takes a block away that nothing branches to.
func (s *shortener) remove(label int64) {
	depth, at := 0, -1
	s.code = slices.DeleteFunc(s.code, func(in instruction) bool {
		switch in.op {
		case opBlock, opLoop, opIf:
			if in.value == label {
				at = depth
				return true
			}
			depth++
		case opEnd:
			if depth == at {
				at = -1
				return true
			}
			depth--
		}
		return false
	})
}

// branch has conditions branch.
func (s *shortener) branch() {
	var stack []int64
	out := s.code[:0]
	for k := 0; k < len(s.code); k++ {
		in := s.code[k]
		switch {
		case isPlainBlock(in, opIf) && k+2 < len(s.code) && s.code[k+1].op == opBr && s.code[k+2].op == opEnd && s.code[k+1].value != in.value:
			in = instruction{op: opBrIf, value: s.code[k+1].value}
			k += 2
		case in.op == opBlock || in.op == opLoop || in.op == opIf:
			stack = append(stack, in.value)
		case in.op == opBr && k+1 < len(s.code) && s.code[k+1].op == opEnd && len(stack) > 0 && stack[len(stack)-1] == in.value && in.value != s.loop:
			continue // it ends here anyway
		case in.op == opEnd && len(stack) > 0:
			stack = stack[:len(stack)-1]
		}
		out = append(out, in)
	}
	s.code = out
}

// addresses has accesses to the stack add what they can add themselves.
func (s *shortener) addresses() {
	// An operand: its address is localSP plus a constant that the two
	// instructions at that place of the result add.
	type operand struct {
		at    int
		added int64
	}
	var operands []operand
	var out []instruction
	pop := func(n int) (last operand) {
		for range n {
			last = operand{}
			if len(operands) > 0 {
				last = operands[len(operands)-1]
				operands = operands[:len(operands)-1]
			}
		}
		return last
	}
	gone := map[int]bool{}
	for k := 0; k < len(s.code); k++ {
		in := s.code[k]
		if in.op == opI64ExtendU && k+3 < len(s.code) && s.code[k+1].op == opI64Const && s.code[k+2].op == opI64Add && s.code[k+3].op == opI32Wrap {
			added := int64(int32(s.code[k+1].value))
			top := pop(1)
			if len(out) == 0 || !is(out[len(out)-1], opLocalGet, localSP) || added < 0 {
				top = operand{}
			} else {
				top = operand{len(out), added}
			}
			operands = append(operands, top)
			out = append(out, instruction{op: opI32Const, value: added}, instruction{op: opI32Add})
			k += 3
			continue
		}
		switch pops, pushes, known := effect(in); {
		case !known:
			operands = operands[:0]
		default:
			last := pop(pops)
			if in.op >= opFirstLoad && in.op <= opLastStore && last.added > 0 && in.value+last.added < 1<<32 {
				in.value += last.added
				gone[last.at], gone[last.at+1] = true, true
			}
			for range pushes {
				operands = append(operands, operand{})
			}
		}
		out = append(out, in)
	}
	s.code = s.code[:0]
	for k, in := range out {
		if !gone[k] {
			s.code = append(s.code, in)
		}
	}
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

// callAt says whether a call to a function begins at an instruction: the stack
// grows by a word, and the return address is put there.
func (s *shortener) callAt(k int) (address, callee int64, ok bool) {
	if k+callLength > len(s.code) {
		return 0, 0, false
	}
	c := s.code[k : k+callLength]
	ok = is(c[0], opLocalGet, localSP) && is(c[1], opI32Const, 8) && c[2].op == opI32Sub && is(c[3], opLocalTee, localSP) && is(c[4], opGlobalSet, globalSP) &&
		is(c[5], opLocalGet, localSP) && c[6].op == opI64Const && is(c[7], opI64Store, 0) &&
		is(c[8], opI32Const, 0) && c[9].op == opCall && is(c[10], opGlobalGet, globalSP) && is(c[11], opLocalSet, localSP) && is(c[12], opBrIf, s.outer)
	return c[6].value, c[9].value, ok
}

const callLength = 13

// call makes calls and returns shorter: those to functions that do not return
// go through a helper, and where the stack unwinds the function returns at once
// and in the same words everywhere, which costs less than to say how far away
// the block around all ends.
func (s *shortener) call() {
	if s.outer == 0 {
		return
	}
	c := s.code
	var out []instruction
	for k := 0; k < len(c); k++ {
		if address, callee, ok := s.callAt(k); ok {
			if to, noReturn := s.calls.panics[callee]; noReturn {
				if to.anywhere {
					address = address&^pcBits | 1 // not 0, where the frame is not there yet
				}
				out = append(out, instruction{op: opI64Const, value: address}, instruction{op: opCall, value: to.helper}, instruction{op: opReturn})
				k += callLength - 1
				continue
			}
		}
		switch {
		case is(c[k], opBrIf, s.outer):
			out = append(out, instruction{op: opIf, align: noResult, value: unwindLabel}, instruction{op: opI32Const, value: 1}, instruction{op: opReturn}, instruction{op: opEnd})
			continue
		case s.leavesAt(k):
			out = append(out, c[k], instruction{op: opI32Const, value: c[k+1].value + 8}, c[k+2], c[k+4])
			k += 9
			continue
		}
		out = append(out, c[k])
	}
	s.code = out
}

// unwindLabel is that of blocks which nothing branches to.
const unwindLabel = -1

// leavesAt says whether the function takes its frame and then the return
// address off the stack, one after the other.
func (s *shortener) leavesAt(k int) bool {
	if k+12 > len(s.code) {
		return false
	}
	c := s.code[k : k+12]
	return is(c[0], opLocalGet, localSP) && c[1].op == opI32Const && c[2].op == opI32Add && is(c[3], opLocalTee, localSP) && is(c[4], opGlobalSet, globalSP) &&
		is(c[5], opLocalGet, localSP) && is(c[6], opI32Const, 8) && c[7].op == opI32Add && is(c[8], opLocalTee, localSP) && is(c[9], opGlobalSet, globalSP) &&
		c[10].op == opI32Const && c[11].op == opReturn
}

// entry is the label at which to leave for a value of localPC.
func (s *shortener) entry(pc int64) int64 {
	if pc >= 0 && pc < int64(len(s.entries)) {
		return s.entries[pc]
	}
	if len(s.entries) > 0 {
		return s.entries[len(s.entries)-1]
	}
	return s.outer
}

// returnAddresses keeps what is the same in all return addresses of the
// function in a variable, whose number is the same in all functions.
func (s *shortener) returnAddresses() {
	count := 0
	var base int64
	for k := range s.code {
		if !s.returnAddressAt(k) {
			continue
		}
		if count > 0 && base != s.code[k].value&^pcBits {
			return
		}
		base = s.code[k].value &^ pcBits
		count++
	}
	const local = 2
	if count < 2 || s.locals[0].count != local-1 {
		return
	}
	if len(s.locals) > 1 && s.locals[1].kind == typeI64 {
		s.locals[1].count++
	} else {
		s.locals = slices.Insert(s.locals, 1, localGroup{1, typeI64})
	}
	out := []instruction{{op: opI64Const, value: base}, {op: opLocalSet, value: local}}
	for k, in := range s.code {
		switch {
		case s.returnAddressAt(k):
			out = append(out, instruction{op: opLocalGet, value: local})
			if at := in.value & pcBits; at != 0 {
				out = append(out, instruction{op: opI64Const, value: at}, instruction{op: opI64Or})
			}
			continue
		case in.op >= opLocalGet && in.op <= opLocalTee && in.value >= local:
			in.value++
		}
		out = append(out, in)
	}
	s.code = out
}

// returnAddressAt says whether an instruction is the return address of a call.
func (s *shortener) returnAddressAt(k int) bool {
	c := s.code
	if k == 0 || k+2 >= len(c) || c[k].op != opI64Const || c[k].value <= pcBits {
		return false
	}
	if c[k+1].op == opCall {
		return s.calls.helpers[c[k+1].value]
	}
	return is(c[k-1], opLocalGet, localSP) && is(c[k+1], opI64Store, 0) &&
		(is(c[k+2], opI32Const, 0) || is(c[k+2], opI64Const, 16)) // of a function, or of an address
}

// join has what is stored in a variable and read at once stay where it is.
func (s *shortener) join() {
	out := s.code[:0]
	for _, in := range s.code {
		if n := len(out); in.op == opLocalGet && n > 0 && is(out[n-1], opLocalSet, in.value) {
			out[n-1].op = opLocalTee
			continue
		}
		out = append(out, in)
	}
	s.code = out
}

// conditions has conditions tell what they are told.
func (s *shortener) conditions() {
	out := s.code[:0]
	for _, in := range s.code {
		n := len(out)
		if in.op == opI64Eqz && n > 0 && out[n-1].op == opI64ExtendU {
			out[n-1] = instruction{op: opI32Eqz}
			continue
		}
		if (in.op == opBrIf || in.op == opIf) && n > 1 && out[n-1].op == opI32Eqz && out[n-2].op == opI32Eqz {
			out = out[:n-2]
		}
		out = append(out, in)
	}
	s.code = out
}
