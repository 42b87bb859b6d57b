package wasmpack

import "slices"

const (
	mostRounds    = 8  // of moving what the round before made room for
	longestMoved  = 12 // instructions of a value
	farthestMoved = 60 // instructions that it is moved over
)

// forward has values that are read once computed where they are read, if
// nothing between matters, and leaves out what is not read.
func (s *shortener) forward() {
	for range mostRounds {
		l := s.live()
		if l == nil {
			return
		}
		dropped := s.drop(l)
		if dropped {
			l = s.live()
		}
		if !s.move(l) && !dropped {
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
	operands := s.operands()
	gone := make([]bool, len(s.code))
	for k, in := range s.code {
		if in.op != opLocalSet && in.op != opLocalTee || l.after[k]&(1<<in.value) != 0 {
			continue
		}
		from := k // a tee leaves its value where it is
		if in.op == opLocalSet {
			from = operands.first[k]
		}
		if from < 0 || !s.pure(from, k) {
			continue
		}
		for j := from; j <= k; j++ {
			gone[j] = true
		}
		changed = true
	}
	out := s.code[:0]
	for k, in := range s.code {
		if !gone[k] {
			out = append(out, in)
		}
	}
	s.code = out
	return changed
}

// pure says whether all that is between two places only computes.
func (s *shortener) pure(from, to int) bool {
	for _, in := range s.code[from:to] {
		if !pure(in) {
			return false
		}
	}
	return true
}

// move moves values to where they are read. What it knows of code that it has
// moved is not so any more, which is left to the next round.
func (s *shortener) move(l *liveness) (changed bool) {
	operands := s.operands()
	moved := make([]bool, len(s.code)) // something else stands there than did
	for k, in := range s.code {
		if in.op != opLocalSet || in.value <= localSP || moved[k] {
			continue
		}
		from := operands.first[k]
		if from < 0 || moved[from] || k-from > longestMoved || !s.pure(from, k) {
			continue
		}
		v := value{slot: -1}
		for _, p := range s.code[from:k] {
			if p.op == opLocalGet {
				v.reads |= 1 << p.value
			}
			v.loads = v.loads || isLoad(p)
		}
		if k-from == 2 && is(s.code[from], opLocalGet, localSP) && v.loads {
			v.slot = s.code[from+1].value
		}
		at := s.reader(k+1, in.value, v, operands)
		if at < 0 || l.after[at]&(1<<in.value) != 0 {
			continue
		}
		// What was computed, set, passed over and got is passed over and
		// computed.
		copy(s.code[from:], slices.Concat(s.code[k+1:at], s.code[from:k], []instruction{{op: opNop}, {op: opNop}}))
		for j := from; j <= at; j++ {
			moved[j] = true
		}
		changed = true
	}
	return changed
}

// value is what is to be moved.
type value struct {
	reads uint64 // variables
	loads bool   // from memory
	slot  int64  // what it loads is this place in the frame alone, or -1
}

// reader returns where a variable is read, from an instruction on, or -1 if
// something between matters to what it holds.
func (s *shortener) reader(from int, local int64, v value, operands operands) int {
	for k := from; k < min(len(s.code), from+farthestMoved); k++ {
		in := s.code[k]
		switch {
		case is(in, opLocalGet, local):
			return k
		case in.op == opNop || pure(in):
		case in.op == opLocalSet || in.op == opLocalTee:
			if in.value == local || v.reads&(1<<in.value) != 0 {
				return -1
			}
		case isStore(in):
			if v.loads && (v.slot < 0 || !s.elsewhere(k, from, v.slot, operands)) {
				return -1
			}
		default:
			return -1
		}
	}
	return -1
}

// elsewhere says whether a store is to another place in the frame than a slot.
// Its address has to be computed from a place on, since when the stack's
// address is the same.
func (s *shortener) elsewhere(k, from int, slot int64, operands operands) bool {
	const widest = 8
	address := operands.first[k]
	if address < from || !is(s.code[address], opLocalGet, localSP) || operands.last[k] != address+1 {
		return false
	}
	d := s.code[k].value - slot
	return d >= widest || d <= -widest
}
