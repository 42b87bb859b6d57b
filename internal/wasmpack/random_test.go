package wasmpack

import "math/rand/v2"

// What random functions call, by their numbers: imports are first, then those
// that the runtime would have.
const (
	calledOnce = iota
	calledTwice
	calledMorestack
	calledThrow
	calledSigpanic
	called // how many
)

var calledNames = []string{"main.once", "main.twice", "runtime.morestack", "runtime.throw", nilCheck}

const (
	globalFuel = 7
	functionPC = 0x1234 << 16
	frames     = 4096 // where the stack starts
	memorySize = 8192
)

// generator makes functions of the shape that the compiler's have: see
// cmd/internal/obj/wasm.
type generator struct {
	*rand.Rand
	f       *function
	frame   int64
	i64s    int64    // variables of 64 bits, behind localSP
	f64s    int64    // and of numbers with fractions, behind those
	resumes []int64  // pc of each place where the function goes on
	outer   int64    // labels
	loop    int64    //
	jumps   bool     // some go back to the loop
	body    []pseudo // what is between
	next    int64    // label
}

// pseudo is an instruction, or what is known only when all is there.
type pseudo struct {
	instruction
	pcOf   int  // resume point, counting from 1, whose pc is the constant
	resume bool // a block ends here
}

func (g *generator) emit(in ...instruction) {
	for _, one := range in {
		g.body = append(g.body, pseudo{instruction: one})
	}
}

func (g *generator) one(of ...byte) byte { return of[g.IntN(len(of))] }

// chance is one in n.
func (g *generator) chance(n int) bool { return g.IntN(n) == 0 }

// slot is a place in the frame; places may overlap.
func (g *generator) slot() int64 {
	if g.chance(3) {
		return g.Int64N(g.frame/2 + 16)
	}
	return 4 * g.Int64N(g.frame/4+4)
}

// frameAddress puts an address in the frame on the stack, and returns what is
// left for the access to add.
func (g *generator) frameAddress() int64 {
	at := g.slot()
	g.emit(instruction{op: opLocalGet, value: localSP})
	if g.chance(2) {
		added := g.slot()
		g.emit(instruction{op: opI64ExtendU}, instruction{op: opI64Const, value: added}, instruction{op: opI64Add}, instruction{op: opI32Wrap})
	}
	return at
}

// anyAddress puts one on the stack that may be in the frame as well.
func (g *generator) anyAddress(depth int) int64 {
	if g.chance(2) {
		return g.frameAddress()
	}
	if g.chance(8) { // the sum wraps around
		g.emit(instruction{op: opI32Const, value: -16}, instruction{op: opI64ExtendU}, instruction{op: opI64Const, value: frames}, instruction{op: opI64Add}, instruction{op: opI32Wrap})
		return 4 * g.Int64N(16)
	}
	g.i64(depth - 1)
	g.emit(instruction{op: opI64Const, value: 0x3f8}, instruction{op: 0x83}, instruction{op: opI32Wrap})
	return frames - 0x200 + 4*g.Int64N(16)
}

func (g *generator) local64() int64 { return 2 + g.Int64N(g.i64s) }

func (g *generator) i64(depth int) {
	if depth <= 0 {
		switch g.IntN(4) {
		case 0:
			g.emit(instruction{op: opI64Const, value: g.Int64N(200) - 100})
		case 1:
			g.emit(instruction{op: opGlobalGet, value: 1 + g.Int64N(6)})
		default:
			g.emit(instruction{op: opLocalGet, value: g.local64()})
		}
		return
	}
	switch g.IntN(10) {
	case 0, 1:
		g.i64(depth - 1)
		g.i64(depth - 1)
		g.emit(instruction{op: g.one(opI64Add, 0x7d, 0x7e, 0x83, opI64Or, 0x85, 0x86, 0x88)})
	case 2, 3, 4:
		at := g.anyAddress(depth)
		g.emit(instruction{op: g.one(opI64Load, opI64Load, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35), value: at})
	case 5:
		g.i32(depth - 1)
		g.emit(instruction{op: g.one(0xac, opI64ExtendU)})
	case 6:
		g.i64(depth - 1)
		g.emit(instruction{op: opLocalTee, value: g.local64()})
	case 7:
		g.i64(depth - 1)
		g.emit(instruction{op: g.one(0x7b, 0xc4)})
	case 8:
		g.i64(depth - 1)
		g.i64(depth - 1)
		g.i32(depth - 1)
		g.emit(instruction{op: opSelect})
	case 9:
		if g.f64s > 0 {
			g.f64(depth - 1)
			g.emit(instruction{op: 0xbd})
			return
		}
		g.i64(depth - 1)
		g.i64(0)
		g.emit(instruction{op: 0x80}) // may stop
	}
}

func (g *generator) f64(depth int) {
	switch g.IntN(4) {
	case 0:
		g.emit(instruction{op: opF64Const, float: 0x3ff8 << 48})
	case 1:
		g.emit(instruction{op: opLocalGet, value: 2 + g.i64s + g.Int64N(g.f64s)})
	case 2:
		g.emit(instruction{op: opLocalGet, value: 2 + g.i64s + g.Int64N(g.f64s)}, instruction{op: 0x9a})
	default:
		g.i64(depth - 1)
		g.emit(instruction{op: 0xb9}, instruction{op: opF64Const, float: 0x4000 << 48}, instruction{op: 0xa0})
	}
}

func (g *generator) i32(depth int) {
	switch {
	case depth <= 0 || g.chance(4):
		g.i64(0)
		g.emit(instruction{op: opI32Wrap})
	case g.chance(4):
		g.i32(depth - 1)
		g.i32(depth - 1)
		g.emit(instruction{op: g.one(opI32Add, opI32Sub, 0x6c, 0x71, 0x72, 0x73, 0x74, 0x76)})
	case g.chance(4):
		at := g.anyAddress(depth)
		g.emit(instruction{op: g.one(0x28, 0x2c, 0x2d, 0x2e, 0x2f), value: at})
	default:
		g.condition(depth)
	}
}

// condition puts one on the stack, as comparisons and what negates them.
func (g *generator) condition(depth int) {
	switch g.IntN(4) {
	case 0:
		g.i64(depth - 1)
		g.emit(instruction{op: opI64Eqz})
	case 1:
		g.i32(depth - 1)
		g.emit(instruction{op: opI64ExtendU}, instruction{op: opI64Eqz})
	case 2:
		g.i32(depth - 1)
		g.i32(depth - 1)
		g.emit(instruction{op: g.one(0x46, 0x47, 0x48, 0x49, 0x4c, 0x4d)})
	default:
		g.i64(depth - 1)
		g.i64(depth - 1)
		g.emit(instruction{op: g.one(0x51, 0x52, 0x53, 0x54, 0x59)})
	}
	for g.chance(3) {
		g.emit(instruction{op: opI32Eqz})
	}
}

// call emits a call to a function, or to one by its address.
func (g *generator) call(callee int64) {
	indirect := callee < calledMorestack && g.chance(3)
	if indirect {
		g.emit(instruction{op: opI64Const, value: callee << 16})
	}
	g.emit(instruction{op: opLocalGet, value: localSP}, instruction{op: opI32Const, value: 8}, instruction{op: opI32Sub}, instruction{op: opLocalTee, value: localSP},
		instruction{op: opGlobalSet, value: globalSP}, instruction{op: opLocalGet, value: localSP})
	g.body = append(g.body, pseudo{instruction: instruction{op: opI64Const, value: functionPC}, pcOf: len(g.resumes) + 1})
	g.emit(instruction{op: opI64Store, align: 3})
	if indirect {
		g.emit(instruction{op: opI64Const, value: 16}, instruction{op: 0x88}, instruction{op: opI32Wrap},
			instruction{op: opLocalSet, value: localPC}, instruction{op: opI32Const}, instruction{op: opLocalGet, value: localPC}, instruction{op: opCallIndirect})
	} else {
		g.emit(instruction{op: opI32Const}, instruction{op: opCall, value: callee})
	}
	g.emit(instruction{op: opGlobalGet, value: globalSP}, instruction{op: opLocalSet, value: localSP}, instruction{op: opBrIf, value: g.outer})
}

func (g *generator) label() int64 {
	g.next++
	return g.next
}

func (g *generator) begin(op byte) int64 {
	l := g.label()
	g.emit(instruction{op: op, align: noResult, value: l})
	return l
}

func (g *generator) end() { g.emit(instruction{op: opEnd}) }

// goTo emits a jump to a place where the function goes on. Those that may be
// behind it need fuel.
func (g *generator) goTo(resume int) {
	g.jumps = true
	g.body = append(g.body, pseudo{instruction: instruction{op: opI32Const}, pcOf: resume})
	g.emit(instruction{op: opLocalSet, value: localPC}, instruction{op: opBr, value: g.loop})
}

func (g *generator) burn() {
	g.emit(instruction{op: opGlobalGet, value: globalFuel}, instruction{op: opI32Const, value: 1}, instruction{op: opI32Sub}, instruction{op: opGlobalSet, value: globalFuel},
		instruction{op: opGlobalGet, value: globalFuel}, instruction{op: opI32Const}, instruction{op: 0x48}, instruction{op: opI32Eqz}) // 0 <= what is left
}

func (g *generator) give() {
	if g.frame > 0 {
		g.emit(instruction{op: opLocalGet, value: localSP}, instruction{op: opI32Const, value: g.frame}, instruction{op: opI32Add},
			instruction{op: opLocalTee, value: localSP}, instruction{op: opGlobalSet, value: globalSP})
	}
	g.emit(instruction{op: opLocalGet, value: localSP}, instruction{op: opI32Const, value: 8}, instruction{op: opI32Add},
		instruction{op: opLocalTee, value: localSP}, instruction{op: opGlobalSet, value: globalSP}, instruction{op: opI32Const}, instruction{op: opReturn})
}

// store writes to the frame or elsewhere.
func (g *generator) store() {
	at := g.anyAddress(2)
	switch {
	case g.f64s > 0 && g.chance(4):
		g.f64(1)
		g.emit(instruction{op: 0x39, value: at})
	case g.chance(4):
		g.i32(2)
		g.emit(instruction{op: g.one(0x36, 0x3a, 0x3b), value: at})
	default:
		g.i64(2)
		g.emit(instruction{op: g.one(opI64Store, opI64Store, 0x3c, 0x3d, 0x3e), value: at})
	}
}

// simple emits a statement without calls.
func (g *generator) simple(depth int) {
	switch n := g.IntN(27); {
	case n < 5:
		g.i64(3)
		g.emit(instruction{op: opLocalSet, value: g.local64()})
	case n < 6 && g.f64s > 0:
		g.f64(2)
		g.emit(instruction{op: opLocalSet, value: 2 + g.i64s + g.Int64N(g.f64s)})
	case n < 11 || depth == 0:
		g.store()
	case n < 12:
		g.i64(2)
		g.emit(instruction{op: opGlobalSet, value: 1 + g.Int64N(6)})
	case n < 13:
		g.i64(2)
		g.emit(instruction{op: opDrop})
	case n < 16:
		g.condition(2)
		label := g.begin(opIf)
		g.simple(depth - 1)
		if g.chance(2) {
			g.simple(depth - 1)
		}
		switch g.IntN(4) {
		case 0:
			g.emit(instruction{op: opElse})
			g.simple(depth - 1)
		case 1:
			g.emit(instruction{op: opBr, value: label})
		case 2:
			g.emit(instruction{op: opNop})
		}
		g.end()
	case n < 18: // as it is written by hand
		out := g.begin(opBlock)
		label := g.begin(opLoop)
		g.simple(depth - 1)
		g.burn()
		g.emit(instruction{op: opI32Eqz}, instruction{op: opBrIf, value: out})
		g.simple(depth - 1)
		g.emit(instruction{op: opBr, value: label})
		g.end()
		g.end()
	case n < 19:
		g.condition(2)
		g.emit(instruction{op: opBr, value: g.begin(opIf)})
		g.end()
	case n < 20: // an argument that looks like a return address
		g.emit(instruction{op: opLocalGet, value: localSP}, instruction{op: opI64Const, value: functionPC<<1 | 5}, instruction{op: opI64Store},
			instruction{op: opI32Const}, instruction{op: opDrop})
	default:
		g.passage()
	}
}

// passage emits statements that values may be moved over: each variable is
// read once and then written.
func (g *generator) passage() {
	var set []int64
	for range 2 + g.IntN(7) {
		switch g.IntN(12) {
		default:
			v := g.local64()
			g.i64(g.IntN(3))
			g.emit(instruction{op: opLocalSet, value: v})
			set = append(set, v)
		case 2: // alone from the frame
			v := g.local64()
			g.emit(instruction{op: opLocalGet, value: localSP}, instruction{op: g.one(opI64Load, opI64Load, 0x31), value: g.slot()}, instruction{op: opLocalSet, value: v})
			set = append(set, v)
		case 3:
			g.emit(instruction{op: opLocalGet, value: localSP})
			if at := g.slot(); g.chance(2) && len(set) > 0 {
				g.emit(instruction{op: opLocalGet, value: set[g.IntN(len(set))]}, instruction{op: g.one(opI64Store, 0x3c), value: at})
			} else {
				g.i64(0)
				g.emit(instruction{op: g.one(opI64Store, 0x3c), value: at})
			}
		case 4:
			at := g.anyAddress(1)
			g.i64(1)
			g.emit(instruction{op: opI64Store, value: at})
		case 5: // the stack's address changes while one is on the stack
			grown := 8 * g.Int64N(4)
			at := g.frameAddress()
			g.i64(0)
			g.emit(instruction{op: opLocalGet, value: localSP}, instruction{op: opI32Const, value: grown}, instruction{op: opI32Sub}, instruction{op: opLocalSet, value: localSP})
			v := g.local64()
			g.emit(instruction{op: opLocalGet, value: localSP}, instruction{op: opI64Load, value: g.slot()}, instruction{op: opLocalSet, value: v})
			g.emit(instruction{op: opI64Const, value: g.Int64N(9)}, instruction{op: opI64Add}, instruction{op: opI64Store, value: at})
			g.emit(instruction{op: opLocalGet, value: v}, instruction{op: opGlobalSet, value: 1 + g.Int64N(6)}, instruction{op: opI64Const}, instruction{op: opLocalSet, value: v})
			g.emit(instruction{op: opLocalGet, value: localSP}, instruction{op: opI32Const, value: grown}, instruction{op: opI32Add}, instruction{op: opLocalSet, value: localSP})
		case 6:
			g.emit(instruction{op: opLocalGet, value: localSP}, instruction{op: opI32Const, value: g.slot()}, instruction{op: opI32Add})
			if at := g.slot(); g.chance(2) {
				g.i64(0)
				g.emit(instruction{op: opI64Store, value: at})
			} else {
				v := g.local64()
				g.emit(instruction{op: opI64Load, value: at}, instruction{op: opLocalSet, value: v})
				set = append(set, v)
			}
		case 7:
			g.emit(instruction{op: opI32Const, value: frames - 4*g.Int64N(100)})
			g.i64(0)
			g.emit(instruction{op: opI64Store, value: 8 * g.Int64N(2)})
		}
	}
	g.Shuffle(len(set), func(i, j int) { set[i], set[j] = set[j], set[i] })
	for k, v := range set {
		if g.emit(instruction{op: opLocalGet, value: v}); k > 0 {
			g.emit(instruction{op: g.one(0x7d, 0x85)})
		}
	}
	if len(set) > 0 {
		g.emit(instruction{op: opGlobalSet, value: 1 + g.Int64N(6)})
	}
	for _, v := range set {
		g.emit(instruction{op: opI64Const, value: 7}, instruction{op: opLocalSet, value: v})
	}
}

// resume has the function go on here.
func (g *generator) resume() {
	last := int64(0)
	if n := len(g.resumes); n > 0 {
		last = g.resumes[n-1]
	}
	g.resumes = append(g.resumes, last+1+g.Int64N(3))
	g.body = append(g.body, pseudo{resume: true})
}

// randomFunction returns one, and where it may go on.
func randomFunction(r *rand.Rand) (f *function, entries []int64) {
	g := &generator{Rand: r, f: &function{}, frame: 8 * r.Int64N(12), i64s: 1 + r.Int64N(9), f64s: r.Int64N(3), next: 2, outer: 1, loop: 2}
	if g.chance(50) {
		g.i64s = 70
	}
	calls := !g.chance(4)
	if calls && g.frame > 0 {
		g.emit(instruction{op: opLocalGet, value: localSP}, instruction{op: opI32Const, value: frames - 256}, instruction{op: 0x4d})
		g.begin(opIf)
		g.call(calledMorestack)
		g.body[len(g.body)-7].pcOf = 0 // it starts anew
		g.end()
	}
	if g.frame > 0 {
		g.emit(instruction{op: opLocalGet, value: localSP}, instruction{op: opI32Const, value: g.frame}, instruction{op: opI32Sub},
			instruction{op: opLocalTee, value: localSP}, instruction{op: opGlobalSet, value: globalSP})
	}
	places := r.IntN(6)
	for range 3 + r.IntN(12) {
		switch n := g.IntN(16); {
		case n < 8:
			g.simple(2)
		case n < 10 && calls:
			g.call(int64(g.IntN(2)))
			g.resume()
		case n < 12 && calls:
			g.condition(1)
			g.begin(opIf)
			g.call(calledThrow + int64(g.IntN(2)))
			g.end()
		case n < 13:
			g.condition(1)
			g.begin(opIf)
			g.give()
			g.end()
		case n < 15 && places > 0:
			if g.burn(); g.chance(2) {
				g.condition(1)
				g.emit(instruction{op: 0x71})
			}
			g.begin(opIf)
			g.goTo(1 + g.IntN(len(g.resumes)+places))
			g.end()
		default:
			g.resume()
		}
	}
	if g.jumps && places > 0 && g.chance(2) {
		g.burn()
		g.begin(opIf)
		g.goTo(1 + g.IntN(len(g.resumes)+places))
		g.end()
	}
	if g.jumps {
		for range places { // that jumps went to
			g.resume()
			g.simple(1)
		}
	}
	g.give()
	return g.finish(calls), g.resumes
}

// finish puts what the function starts and ends with around its body.
func (g *generator) finish(calls bool) *function {
	f := g.f
	f.locals = []localGroup{{1, typeI32}, {uint64(g.i64s), typeI64}}
	if g.f64s > 0 {
		f.locals = append(f.locals, localGroup{uint64(g.f64s), 0x7c})
	}
	add := func(in ...instruction) { f.code = append(f.code, in...) }
	add(instruction{op: opGlobalGet, value: globalSP}, instruction{op: opLocalSet, value: localSP})
	if calls {
		add(instruction{op: opBlock, align: noResult, value: g.outer})
	}
	if g.jumps {
		add(instruction{op: opLoop, align: noResult, value: g.loop})
	}
	if n := len(g.resumes); n > 0 {
		blocks := make([]int64, n+1) // by resume point, of which 0 is the start
		for k := n; k >= 0; k-- {
			blocks[k] = g.label()
			add(instruction{op: opBlock, align: noResult, value: blocks[k]})
		}
		table := []int64{blocks[0]}
		for k, pc := range g.resumes {
			for int64(len(table)) <= pc {
				table = append(table, blocks[k+1])
			}
		}
		add(instruction{op: opLocalGet, value: localPC}, instruction{op: opBrTable, labels: append(table, blocks[n])}, instruction{op: opEnd})
	}
	for _, p := range g.body {
		in := p.instruction
		if p.pcOf > 0 {
			// Behind the last place where the function goes on, any pc will do.
			if p.pcOf <= len(g.resumes) {
				in.value += g.resumes[p.pcOf-1]
			} else {
				in.value += 0x321
			}
		}
		if p.resume {
			in = instruction{op: opEnd}
		}
		add(in)
	}
	if g.jumps {
		add(instruction{op: opEnd})
	}
	add(instruction{op: opUnreachable})
	if calls {
		add(instruction{op: opEnd}, instruction{op: opI32Const, value: 1})
	}
	add(instruction{op: opEnd})
	return f
}
