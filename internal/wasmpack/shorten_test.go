package wasmpack

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// activation runs a function to its end, which goes on where what it called
// unwound the stack, and tells what there is to see of it. Places in it have
// the numbers that old tells, if any.
func activation(p *program, f *function, seed uint64, pc int64, old []int64, steps int) (seen []string, m *machine, err error) {
	r := rand.New(rand.NewPCG(seed, 1))
	m = &machine{memory: make([]byte, memorySize), steps: steps}
	for k := range m.memory {
		m.memory[k] = byte(r.Uint64())
	}
	m.globals = [8]uint64{frames - 8*r.Uint64N(40), r.Uint64N(50), frames + r.Uint64N(100), r.Uint64(), 0, 3, 0x100, 12}
	goOn := int64(-1) // after unwinding
	callee := func(callee int64, args []uint64) (uint64, error) {
		sp := m.globals[globalSP]
		if sp < 512 || sp > memorySize-1024 {
			return 0, errTrap
		}
		address := binary.LittleEndian.Uint64(m.memory[sp:])
		binary.LittleEndian.PutUint64(m.memory[sp:], 0)
		place := int64(address & pcBits)
		switch {
		case callee == calledSigpanic:
			address |= pcBits // it does not matter where that was
		case old != nil && place > 0:
			address = address&^pcBits | uint64(old[place-1])
		}
		seen = append(seen, fmt.Sprintf("%d called with %v from %x at %d, variables %v", callee, args, address, sp, m.globals))
		if callee > calledMorestack {
			return 1, nil // and never goes on
		}
		if callee == calledMorestack {
			goOn, m.globals[globalSP] = place, frames
			return 1, nil
		}
		// It returns, and the stack may have moved meanwhile.
		m.globals[1+r.IntN(6)] = r.Uint64N(100)
		m.memory[sp+8+r.Uint64N(64)] = byte(r.Uint64())
		moved := sp + 64*r.Uint64N(3) - 64
		copy(m.memory[moved:moved+512], bytes.Clone(m.memory[sp:sp+512]))
		m.globals[globalSP] = moved + 8
		if r.IntN(3) == 0 {
			goOn = place
			return 1, nil
		}
		return 0, nil
	}
	m.indirect = func(number uint64, args []uint64) (uint64, error) { return callee(int64(number), args) }
	m.call = func(number int64, args []uint64) (uint64, error) {
		if number < called {
			return callee(number, args)
		}
		helper, err := readFunction(p.bodies[number])
		if err != nil {
			return 0, err
		}
		return m.run(helper, args[0])
	}
	for range 20 {
		goOn = -1
		result, err := m.run(f, uint64(pc))
		if err != nil {
			return seen, m, err
		}
		seen = append(seen, fmt.Sprint("returned ", result))
		if goOn < 0 {
			break
		}
		pc = goOn
	}
	return seen, m, nil
}

func randomOf(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

// helpers returns a program that has what random functions call, and what
// they call instead once they are short.
func helpers(t testing.TB) (*program, *calls) {
	t.Helper()
	p := &program{bodies: make([][]byte, called)}
	calls, err := p.reports(calledNames, false)
	if err != nil {
		t.Fatal(err)
	}
	return p, calls
}

// Shorter functions do what they did, wherever they are entered: they call the
// same with the same arguments, stack and memory, and leave the same.
func TestShorterFunctionsDoTheSame(t *testing.T) {
	p, calls := helpers(t)
	before, after, ended := 0, 0, 0
	const runs = 8000
	for seed := range uint64(runs) {
		compare(t, p, calls, seed, &before, &after, &ended)
		if t.Failed() {
			return
		}
	}
	if after >= before*9/10 {
		t.Errorf("%d bytes became %d", before, after)
	}
	if ended < runs {
		t.Errorf("of %d functions entered at two places, %d activations ended", runs, ended)
	}
}

func FuzzShorter(f *testing.F) {
	p, calls := helpers(f)
	f.Add(uint64(1 << 40))
	f.Fuzz(func(t *testing.T, seed uint64) {
		var before, after, ended int
		compare(t, p, calls, seed, &before, &after, &ended)
	})
}

func compare(t *testing.T, p *program, calls *calls, seed uint64, before, after, ended *int) {
	t.Helper()
	r := randomOf(seed)
	made, resumes := randomFunction(r)
	body, err := made.append(nil)
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	long, err := readFunction(body)
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	short, _ := readFunction(body)
	var old []int64
	if r.IntN(3) > 0 {
		deferReturn := int64(0)
		if len(resumes) > 0 && r.IntN(2) == 0 {
			deferReturn = resumes[r.IntN(len(resumes))]
		}
		old = short.renumber(calls, functionPC, deferReturn)
	}
	short.shorten(calls)
	shortBody, err := short.append(nil)
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	if short, err = readFunction(shortBody); err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	*before, *after = *before+len(body), *after+len(shortBody)
	for _, pc := range []int64{0, append(resumes, 0)[r.IntN(len(resumes)+1)]} {
		const steps = 100000
		now := pc
		if old != nil && pc != 0 {
			at, found := slices.BinarySearch(old, pc)
			if !found {
				continue // nothing goes on there
			}
			now = int64(at) + 1
		}
		want, wantState, wantErr := activation(p, long, seed, pc, nil, steps)
		if wantErr == errSteps {
			continue
		}
		got, gotState, gotErr := activation(p, short, seed, now, old, steps)
		if gotErr != wantErr {
			t.Fatalf("seed %d at %d: %v, want %v", seed, pc, gotErr, wantErr)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d at %d: seen were\n%q\nwant\n%q", seed, pc, got, want)
		}
		if gotState.globals != wantState.globals || !bytes.Equal(gotState.memory, wantState.memory) {
			t.Fatalf("seed %d at %d: it left %v, want %v, or other memory", seed, pc, gotState.globals, wantState.globals)
		}
		if wantErr == nil {
			*ended++
		}
	}
}
