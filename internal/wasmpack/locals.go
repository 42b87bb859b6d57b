package wasmpack

import "slices"

// What is known of the variables of a function: which of them are read after
// an instruction before they are written. A set of variables has a bit for
// each.
type liveness struct {
	after []uint64         // by instruction
	at    map[int64]uint64 // by label: where a branch to it goes on
}

const mostLocals = 64

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
// loops does not change.
func (f *function) live() *liveness {
	l := &liveness{after: make([]uint64, len(f.code)), at: map[int64]uint64{}}
	for f.liveOnce(l) {
	}
	return l
}

func (f *function) liveOnce(l *liveness) (changed bool) {
	type block struct {
		behind   uint64 // live after its end
		elseFrom uint64 // at the start of else
		hasElse  bool
	}
	// Labels are at openers; walking back, ends come first.
	opener := make([]int, len(f.code))
	var stack []int
	for k, in := range f.code {
		switch in.op {
		case opBlock, opLoop, opIf:
			stack = append(stack, k)
		case opEnd:
			if len(stack) > 0 {
				opener[k] = stack[len(stack)-1]
				stack = stack[:len(stack)-1]
			} else {
				opener[k] = -1
			}
		}
	}
	var blocks []block
	var live uint64
	for k := len(f.code) - 1; k >= 0; k-- {
		in := f.code[k]
		l.after[k] = live
		switch in.op {
		case opEnd:
			if opener[k] < 0 {
				l.at[0] = 0
				continue
			}
			if o := f.code[opener[k]]; o.op != opLoop {
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

const opNop = 0x01

// pure says whether an instruction only computes: it neither writes nor stops,
// as Go has checked what it divides by and where it reads.
func pure(in instruction) bool {
	switch op := in.op; {
	case op == opLocalGet || op == opGlobalGet || op >= opI32Const && op <= opF64Const || op == opSelect || op >= opFirstLoad && op <= opLastLoad:
		return true
	case op >= 0x6d && op <= 0x70 || op >= 0x7f && op <= 0x82 || op >= 0xa8 && op <= 0xab || op >= 0xae && op <= 0xb1:
		return false // division, truncation
	case op >= opI32Eqz && op <= opLastNumeric:
		return true
	}
	return false
}

// forward has values that are read once, without anything between that
// matters, computed where they are read, and leaves out what is not read.
func (s *shortener) forward() {
	if s.localsOf() > mostLocals {
		return
	}
	for round := 0; round < 8; round++ {
		l := s.live()
		changed := s.drop(l)
		if changed {
			l = s.live()
		}
		if !s.move(l) && !changed {
			return
		}
		out := s.code[:0]
		for _, in := range s.code {
			if in.op != opNop {
				out = append(out, in)
			}
		}
		s.code = out
	}
}

// drop leaves out writes to variables that are not read.
func (s *shortener) drop(l *liveness) (changed bool) {
	out := s.code[:0]
	starts := s.starts()
	gone := make([]bool, len(s.code))
	for k, in := range s.code {
		if in.op != opLocalSet && in.op != opLocalTee || l.after[k]&(1<<in.value) != 0 {
			continue
		}
		if in.op == opLocalTee {
			gone[k] = true
			changed = true
			continue
		}
		from := starts[k]
		if from < 0 {
			continue
		}
		ok := true
		for _, p := range s.code[from:k] {
			ok = ok && pure(p)
		}
		if ok {
			for j := from; j <= k; j++ {
				gone[j] = true
			}
			changed = true
		}
	}
	for k, in := range s.code {
		if !gone[k] {
			out = append(out, in)
		}
	}
	s.code = out
	return changed
}

// starts says for each instruction that takes operands where the first of
// them is computed from on, or -1.
func (s *shortener) starts() []int {
	out := make([]int, len(s.code))
	s.seconds = make([]int, len(s.code))
	var stack []int
	for k, in := range s.code {
		out[k] = -1
		s.seconds[k] = -1
		pops, pushes, known := effect(in)
		if !known {
			stack = stack[:0]
			continue
		}
		from := k
		for range pops {
			if len(stack) == 0 {
				from = -1
				break
			}
			from = stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if s.seconds[k] < 0 {
				s.seconds[k] = from
			}
		}
		out[k] = from
		for range pushes {
			if from < 0 {
				stack = stack[:0]
				break
			}
			stack = append(stack, from)
		}
	}
	return out
}

func (s *shortener) move(l *liveness) (changed bool) {
	starts := s.starts()
	s.st = slices.Clone(starts)
	defer func() { s.st = nil }()
	for k := 0; k < len(s.code); k++ {
		in := s.code[k]
		if in.op != opLocalSet || in.value <= localSP || starts[k] < 0 {
			continue
		}
		from := starts[k]
		var reads uint64
		loads, ok := false, true
		for _, p := range s.code[from:k] {
			ok = ok && pure(p)
			if p.op == opLocalGet {
				reads |= 1 << p.value
			}
			loads = loads || p.op >= opFirstLoad && p.op <= opLastLoad || p.op == opGlobalGet
		}
		if !ok || k-from > 12 {
			continue
		}
		at := s.reader(k+1, in.value, reads, loads, s.slot(from, k))
		if at < 0 || l.after[at]&(1<<in.value) != 0 {
			continue
		}
		// P set Q get becomes Q P.
		code := append(append([]instruction{}, s.code[k+1:at]...), s.code[from:k]...)
		n := copy(s.code[from:], code)
		s.code[from+n], s.code[from+n+1] = instruction{op: opNop}, instruction{op: opNop}
		after := l.after[at] | reads
		n = copy(l.after[from:], l.after[k+1:at])
		for j := from; j <= at; j++ {
			if j < from+n {
				l.after[j] |= reads
			} else {
				l.after[j] = after
			}
		}
		for j := from; j <= at; j++ {
			starts[j] = -1
			s.st[j] = -1
		}
		changed = true
	}
	return changed
}

// reader returns where a variable is read, from an instruction on, or -1 if
// something between matters to what it holds.
func (s *shortener) reader(from int, local int64, reads uint64, loads bool, slot int64) int {
	for k := from; k < len(s.code) && k < from+60; k++ {
		in := s.code[k]
		switch {
		case is(in, opLocalGet, local):
			return k
		case in.op == opNop || pure(in):
		case in.op == opLocalSet || in.op == opLocalTee:
			if in.value == local || reads&(1<<in.value) != 0 {
				return -1
			}
		case in.op >= opFirstStore && in.op <= opLastStore:
			if loads && (slot < 0 || !s.elsewhere(k, slot)) {
				return -1
			}
		default:
			return -1
		}
	}
	return -1
}

// slot returns the place in the frame of a value that is loaded from there, or -1.
func (s *shortener) slot(from, to int) int64 {
	if to-from == 2 && is(s.code[from], opLocalGet, localSP) && s.code[from+1].op >= opFirstLoad && s.code[from+1].op <= opLastLoad {
		return s.code[from+1].value
	}
	return -1
}

func (s *shortener) elsewhere(k int, slot int64) bool {
	st := s.st[k]
	if st < 0 || !is(s.code[st], opLocalGet, localSP) {
		return false
	}
	// address is localSP alone?
	if k-st < 2 {
		return false
	}
	// second operand start
	second := s.seconds[k]
	if second != st+1 {
		return false
	}
	d := s.code[k].value - slot
	return d >= 8 || d <= -8
}
