package wasmpack

import "slices"

// neverReturn are the functions of the runtime that are called where something
// went wrong or the stack is full, and whose callers do not go on: they unwind
// WebAssembly's stack.
var neverReturn = []string{
	"sigpanic", "morestack", "morestack_noctxt", "gopanic", "throw", "fatal",
	"goPanicIndex", "goPanicIndexU", "goPanicSliceAlen", "goPanicSliceAlenU", "goPanicSliceAcap", "goPanicSliceAcapU",
	"goPanicSliceB", "goPanicSliceBU", "goPanicSlice3Alen", "goPanicSlice3AlenU", "goPanicSlice3Acap", "goPanicSlice3AcapU",
	"goPanicSlice3B", "goPanicSlice3BU", "goPanicSlice3C", "goPanicSlice3CU", "goPanicSliceConvert",
	"panicdivide", "panicshift", "panicoverflow", "panicfloat", "panicdottypeE", "panicdottypeI", "panicnildottype", "panicwrap",
}

// nilCheck is called where a pointer is nil. The runtime asks no table then
// where in the function that was, but for the functions that are in that one:
// what a panicking frame keeps is that of the place where its deferred calls
// return to.
const nilCheck = "runtime.sigpanic"

// calls are those that get shorter.
type calls struct {
	panics  map[int64]panicCall // by the function that does not return
	helpers map[int64]bool      // those of panics
}

// panicCall is what to call in place of a function that does not return.
type panicCall struct {
	helper   int64 // takes the return address
	anywhere bool  // in the calling function
}

// reports adds a function for each one that does not return, which stores the
// return address that it is given, calls the other one and returns what it
// does. Inlined says whether functions are in others.
func (p *program) reports(names []string, inlined bool) (*calls, error) {
	kind := p.addType([]byte{typeI64}, []byte{typeI32})
	out := &calls{map[int64]panicCall{}, map[int64]bool{}}
	for k, name := range names {
		if !slices.ContainsFunc(neverReturn, func(n string) bool { return name == "runtime."+n }) {
			continue
		}
		const address, sp = 0, 1
		called := int64(p.imports + k)
		helper, err := p.addFunction(kind, &function{locals: []localGroup{{1, typeI32}}, code: []instruction{
			{op: opGlobalGet, value: globalSP}, {op: opI32Const, value: 8}, {op: opI32Sub}, {op: opLocalTee, value: sp}, {op: opGlobalSet, value: globalSP},
			{op: opLocalGet, value: sp}, {op: opLocalGet, value: address}, {op: opI64Store, align: 3},
			{op: opI32Const}, {op: opCall, value: called}, {op: opEnd},
		}})
		if err != nil {
			return nil, err
		}
		out.panics[called] = panicCall{helper, name == nilCheck && !inlined}
		out.helpers[helper] = true
	}
	return out, nil
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
			k += 9 // the result and the return are left
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
