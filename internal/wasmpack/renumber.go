package wasmpack

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// A program counter's lower part says where in a function it goes on. The
// compiler counts instructions that matter to some table; here places are
// counted that something goes on at, so that what calls say of themselves, and
// the table of a function's entries, count from one by ones.

// pcBits are those of a program counter that say where in the function it is.
const pcBits = 1<<16 - 1

// renumber gives new numbers to the places in a function, whose first program
// counter is base, and returns the old ones of those that have a new one: the
// first has 1, the next 2. It returns nil and numbers nothing if the function
// says of places what is not understood.
func (f *function) renumber(calls *calls, base, deferReturn int64) []int64 {
	s := &shortener{function: f, calls: calls}
	if !s.understand() || len(s.entries) == 0 {
		return nil
	}
	s.jump()
	places := map[int64]bool{}
	if deferReturn != 0 {
		// It goes on there, and stacks are read there as behind a call that
		// started there.
		places[deferReturn], places[deferReturn+1] = true, true
	}
	var constants []int // instructions that name places
	for k, in := range s.code {
		switch {
		case in.op == opI64Const && in.value&^pcBits == base && in.value != base:
			if !s.pushedAt(k) {
				return nil
			}
			if to, noReturn := s.calls.panics[s.calledAt(k)]; noReturn && to.anywhere {
				continue
			}
			constants = append(constants, k)
			places[in.value&pcBits] = true
		case (in.op == opBr || in.op == opBrIf) && in.value == s.loop && s.loop != 0:
			if in.op != opBr || k < 2 || !is(s.code[k-1], opLocalSet, localPC) || s.code[k-2].op != opI32Const || s.code[k-2].value < 0 || s.code[k-2].value > pcBits {
				return nil
			}
			constants = append(constants, k-2)
			places[s.code[k-2].value] = true
		}
	}
	delete(places, 0)
	old := make([]int64, 0, len(places))
	for place := range places {
		old = append(old, place)
	}
	slices.Sort(old)
	for _, k := range constants {
		in := &s.code[k]
		place := int64(0)
		if at, found := slices.BinarySearch(old, in.value&pcBits); found {
			place = int64(at) + 1
		}
		in.value = in.value&^pcBits | place
	}
	labels := []int64{s.entry(0)}
	for _, place := range old {
		labels = append(labels, s.entry(place))
	}
	for k := range s.code {
		if s.code[k].op == opBrTable {
			s.code[k].labels = labels
			break
		}
	}
	return old
}

// pushedAt says whether a constant is put on the stack as a return address.
func (s *shortener) pushedAt(k int) bool {
	c := s.code
	return k >= 6 && k+2 < len(c) && is(c[k-6], opLocalGet, localSP) && is(c[k-5], opI32Const, 8) && c[k-4].op == opI32Sub &&
		is(c[k-3], opLocalTee, localSP) && is(c[k-2], opGlobalSet, globalSP) && is(c[k-1], opLocalGet, localSP) && is(c[k+1], opI64Store, 0)
}

// calledAt is the function whose return address a constant is, or -1.
func (s *shortener) calledAt(k int) int64 {
	if k+3 < len(s.code) && is(s.code[k+2], opI32Const, 0) && s.code[k+3].op == opCall {
		return s.code[k+3].value
	}
	return -1
}

// renumber changes what the tables say of places in functions, by the old
// numbers of those in each function that have a new one.
func (t *tables) renumber(places map[int][]int64) error {
	old := bytes.Clone(t.memory[t.pcAt : t.pcAt+t.pcLen])
	written := map[string]uint32{}
	out := []byte{0}
	for _, c := range columns {
		if c.kind != columnPC && c.at != fieldStack {
			continue
		}
		for k := range uint64(t.count) {
			at, has := t.field(c, t.record(k))
			if !has || t.u32(at) == 0 {
				continue
			}
			if uint64(t.u32(at)) >= t.pcLen {
				return fmt.Errorf("values of function %d are outside of all values", k)
			}
			runs, err := readRuns(old[t.u32(at):])
			if err != nil {
				return fmt.Errorf("function %d: %w", k, err)
			}
			if places, changed := places[int(k)]; changed {
				runs = runs.at(places, c.kind == columnPC)
			}
			values := runs.append(nil)
			to, done := written[string(values)]
			if !done {
				to = uint32(len(out))
				written[string(values)] = to
				out = append(out, values...)
			}
			t.setU32(at, to)
		}
	}
	if len(out) > len(old) {
		return errors.New("the values that stay are longer than all of them")
	}
	clear(t.memory[t.pcAt : t.pcAt+t.pcLen])
	copy(t.memory[t.pcAt:], out)
	for k, places := range places {
		field := t.record(uint64(k)) + fieldDeferReturn
		if at, found := slices.BinarySearch(places, int64(t.u32(field))); found && t.u32(field) != 0 {
			t.setU32(field, uint32(at)+1)
		}
	}
	return nil
}

// runs are a function's values by program counter: each holds up to the next
// one's start.
type runs []struct {
	value int32
	until int64 // program counter
}

func readRuns(b []byte) (out runs, err error) {
	value, pc := int32(-1), int64(0)
	for first := true; ; first = false {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return nil, errors.New("values by program counter do not end")
		}
		if v == 0 && !first {
			return out, nil
		}
		d, m := binary.Uvarint(b[n:])
		if m <= 0 || d > mostPC {
			return nil, errors.New("values by program counter do not end")
		}
		value += int32(uint32(v)>>1 ^ -(uint32(v) & 1))
		pc += int64(d)
		out = append(out, struct {
			value int32
			until int64
		}{value, pc})
		b = b[n+m:]
	}
}

// value is what holds at a program counter.
func (r runs) value(pc int64) int32 {
	for _, run := range r {
		if pc < run.until {
			return run.value
		}
	}
	return r[len(r)-1].value
}

// at returns what holds at places, as they are numbered anew. What is before a
// place is asked for at the number before its own: most of what the runtime asks
// for are values of a call, and it knows the place behind it. Where a function
// starts it does not ask for them. What the stack is it asks for at the place
// itself, and at 0 and 1, where nil checks are said to be.
func (r runs) at(places []int64, before bool) runs {
	var values []int32
	if !before || len(places) == 0 {
		values = append(values, r.value(0))
	}
	for _, place := range places {
		if before {
			place--
		}
		values = append(values, r.value(place))
	}
	if !before && len(places) == 0 {
		values = append(values, r.value(1)) // the frame is there
	}
	var out runs
	for k, v := range values {
		if n := len(out); n > 0 && out[n-1].value == v {
			out[n-1].until = int64(k) + 1
			continue
		}
		out = append(out, struct {
			value int32
			until int64
		}{v, int64(k) + 1})
	}
	return out
}

// append writes the values, the last of which holds until mostPC.
func (r runs) append(b []byte) []byte {
	value, pc := int32(-1), int64(0)
	for k, run := range r {
		if k == len(r)-1 {
			run.until = pc + mostPC
		}
		b = binary.AppendUvarint(b, zigzag(run.value-value))
		b = binary.AppendUvarint(b, uint64(run.until-pc))
		value, pc = run.value, run.until
	}
	return append(b, 0)
}
