package wasmpack

import (
	"math"
	"slices"
)

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

	calls *calls

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
	const outer = 2 // where the block around all begins
	at := outer
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
	if slices.Contains(s.entries, s.loop) {
		return false // it would start anew without end
	}
	n := len(code)
	if s.outer != 0 && (!is(code[n-2], opI32Const, 1) || code[n-3].op != opEnd || s.openers()[n-3] != outer) {
		s.outer = 0 // behind it is something else than what unwinds
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
// the compiler starts the function anew with another localPC. The blocks that
// br_table leaves are those that follow the loop, so that both go on at the
// same place; localPC is read by nothing else.
func (s *shortener) jump() {
	if s.loop == 0 || len(s.entries) == 0 {
		return
	}
	isOpen := map[int64]bool{}
	var open []int64
	out := s.code[:0]
	back := false
	for _, in := range s.code {
		switch in.op {
		case opBlock, opLoop, opIf:
			isOpen[in.value] = true
			open = append(open, in.value)
		case opEnd:
			if n := len(open); n > 0 {
				delete(isOpen, open[n-1])
				open = open[:n-1]
			}
		case opBr, opBrIf:
			if in.value != s.loop {
				break
			}
			n := len(out)
			if in.op == opBr && n >= 2 && is(out[n-1], opLocalSet, localPC) && out[n-2].op == opI32Const {
				target := s.entry(out[n-2].value)
				if isOpen[target] && target != s.loop {
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

// branch has conditions branch, and leaves out branches to where the code goes
// on anyway.
func (s *shortener) branch() {
	var open []instruction
	out := s.code[:0]
	for k := 0; k < len(s.code); k++ {
		in := s.code[k]
		switch {
		case isPlainBlock(in, opIf) && k+2 < len(s.code) && s.code[k+1].op == opBr && s.code[k+2].op == opEnd && s.code[k+1].value != in.value:
			in = instruction{op: opBrIf, value: s.code[k+1].value}
			k += 2
		case in.op == opBlock || in.op == opLoop || in.op == opIf:
			open = append(open, in)
		case in.op == opBr && k+1 < len(s.code) && s.code[k+1].op == opEnd && len(open) > 0:
			if last := open[len(open)-1]; last.value == in.value && last.align == noResult && last.op != opLoop {
				continue
			}
		case in.op == opEnd && len(open) > 0:
			open = open[:len(open)-1]
		}
		out = append(out, in)
	}
	s.code = out
}

// addresses has accesses to the stack add what they can add themselves: an
// offset of theirs does not wrap around as the addition of 32 bits does, but
// neither does an address in a frame.
func (s *shortener) addresses() {
	// An operand that is localSP and a constant, which the two instructions at
	// that place of the result add; or 0 for another one.
	type operand struct {
		at    int
		added int64
	}
	var operands []operand
	pop := func(n int) (last operand) {
		for range n {
			last = operand{}
			if n := len(operands); n > 0 {
				last, operands = operands[n-1], operands[:n-1]
			}
		}
		return last
	}
	var out []instruction
	gone := map[int]bool{}
	for k := 0; k < len(s.code); k++ {
		in := s.code[k]
		if in.op == opI64ExtendU && k+3 < len(s.code) && s.code[k+1].op == opI64Const && s.code[k+2].op == opI64Add && s.code[k+3].op == opI32Wrap {
			added := int64(int32(s.code[k+1].value))
			pop(1)
			sum := operand{}
			if added > 0 && len(out) > 0 && is(out[len(out)-1], opLocalGet, localSP) {
				sum = operand{len(out), added}
			}
			operands = append(operands, sum)
			out = append(out, instruction{op: opI32Const, value: added}, instruction{op: opI32Add})
			k += 3
			continue
		}
		pops, pushes, known := effect(in)
		if !known {
			operands = operands[:0]
		}
		last := pop(pops)
		if (isLoad(in) || isStore(in)) && last.added > 0 && in.value+last.added <= math.MaxUint32 {
			in.value += last.added
			gone[last.at], gone[last.at+1] = true, true
		}
		for range pushes {
			operands = append(operands, operand{})
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

// entry is the label at which to leave for a value of localPC.
func (s *shortener) entry(pc int64) int64 {
	last := int64(len(s.entries)) - 1
	if pc < 0 || pc > last {
		pc = last
	}
	return s.entries[pc]
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
