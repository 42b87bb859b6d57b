package wasmpack

import (
	"fmt"
	"strconv"
	"strings"
)

// words are the instructions that assembled functions are written with, and
// whether a word follows: a variable, a label, a function or a constant. Loads
// and stores are at the address that they are given; what they say of alignment
// is nothing.
var words = map[string]struct {
	op   byte
	more bool
}{
	"block": {opBlock, true}, "loop": {opLoop, true}, "if": {opIf, true}, "else": {opElse, false}, "end": {opEnd, false},
	"br": {opBr, true}, "br_if": {opBrIf, true}, "call": {opCall, true},
	"get": {opLocalGet, true}, "set": {opLocalSet, true}, "tee": {opLocalTee, true},
	"global": {opGlobalGet, true}, "put": {opGlobalSet, true}, "i32": {opI32Const, true},
	"load": {0x28, false}, "load8": {0x2d, false}, "store": {0x36, false}, "store8": {0x3a, false},
	"eqz": {opI32Eqz, false}, "eq": {0x46, false}, "lt": {0x49, false}, "ge": {0x4f, false},
	"add": {opI32Add, false}, "sub": {opI32Sub, false},
	"and": {0x71, false}, "or": {0x72, false}, "xor": {0x73, false}, "shl": {0x74, false}, "shr": {0x76, false},
}

// assemble returns a function of variables of 32 bits, the first of which are
// its parameters. Names stand for what is given for them, or for variables.
func assemble(params, locals string, text string, given map[string]int64) *function {
	variables := map[string]int64{}
	for _, name := range append(strings.Fields(params), strings.Fields(locals)...) {
		variables[name] = int64(len(variables))
	}
	f := &function{}
	if n := len(strings.Fields(locals)); n > 0 {
		f.locals = []localGroup{{uint64(n), typeI32}}
	}
	labels := map[string]int64{}
	next := int64(1)
	all := strings.Fields(text)
	for k := 0; k < len(all); k++ {
		word, known := words[all[k]]
		if !known {
			panic(fmt.Sprintf("wasmpack: %q is no instruction", all[k])) // the text is this package's
		}
		in := instruction{op: word.op}
		if word.more {
			k++
			name := all[k]
			value, isGiven := given[name]
			number, failed := strconv.ParseInt(name, 0, 64)
			switch {
			case word.op == opBlock || word.op == opLoop || word.op == opIf:
				in.align, in.value = noResult, next
				labels[name] = next
				next++
			case word.op == opBr || word.op == opBrIf:
				in.value = labels[name]
			case word.op >= opLocalGet && word.op <= opLocalTee:
				in.value = variables[name]
			case isGiven:
				in.value = value
			case failed == nil:
				in.value = number
			default:
				panic(fmt.Sprintf("wasmpack: %q is nothing", name))
			}
		}
		f.code = append(f.code, in)
	}
	f.code = append(f.code, instruction{op: opEnd})
	return f
}
