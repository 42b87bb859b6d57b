package signal

import (
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A rule computes an outcome from the outcomes of other nodes.
type rule struct {
	kind   int
	inputs []int
}

func (r rule) eval(read func(int) int) int {
	switch r.kind {
	case 0: // all of them
		sum := 0
		for _, i := range r.inputs {
			sum += read(i)
		}
		return sum % 5
	case 1: // one or the other
		if read(r.inputs[0])%2 == 0 {
			return read(r.inputs[1])
		}
		return read(r.inputs[2])
	case 2: // up to the first zero
		for _, i := range r.inputs {
			if read(i) == 0 {
				return i
			}
		}
		return -1
	case 3: // few outcomes
		return min(read(r.inputs[0]), 1)
	default: // fails at times
		n := read(r.inputs[1])
		if read(r.inputs[0]) == 4 {
			panic("four")
		}
		return n
	}
}

// outcome is what f returns or panics with.
func outcome(f func() int) (o any) {
	defer func() {
		if p := recover(); p != nil {
			o = p
		}
	}()
	return f()
}

// node is a value, a computed value or an effect, and what the test knows of it.
type node struct {
	rule     rule // unless it is a value
	value    *Value[int]
	computed *ComputedValue[int]
	effect   *EffectHandle // nil while closed
	runs     int           // evaluations since the operation began
	seen     any           // outcome of the effect's last run
	reads    map[int]int   // what the last evaluation read, and its version then

	outcome any // by recomputing everything
	version int // changes of outcome, or notifications of a value
}

// world is a random graph: values, then computed values, then effects, each
// reading only earlier nodes.
type world struct {
	t     *testing.T
	rng   *rand.Rand
	nodes []*node

	exact      bool // equal outcomes stop propagation, and no rule panics
	concurrent bool // several goroutines at once, so evaluations are not counted

	values, computed int
}

func newWorld(t *testing.T, rng *rand.Rand, exact bool) *world {
	w := &world{t: t, rng: rng, exact: exact, values: 1 + rng.IntN(4), computed: rng.IntN(12)}
	for i := range w.values {
		n := &node{value: New(i), outcome: i}
		if exact {
			n.value = NewComparable(i)
		}
		w.nodes = append(w.nodes, n)
	}
	equal := func(a, b int) bool { return a == b }
	if !exact {
		equal = nil
	}
	for range w.computed {
		n := &node{rule: w.randomRule()}
		n.computed = ComputedEqual(func(t *Tracker) int { return w.evaluate(n, t) }, equal)
		w.nodes = append(w.nodes, n)
	}
	for range 1 + rng.IntN(4) {
		n := &node{rule: w.randomRule()}
		w.nodes = append(w.nodes, n)
	}
	w.recompute()
	return w
}

func (w *world) randomRule() rule {
	kinds := 4
	if !w.exact {
		kinds = 5
	}
	r := rule{kind: w.rng.IntN(kinds)}
	for range 3 {
		r.inputs = append(r.inputs, w.rng.IntN(min(len(w.nodes), w.values+w.computed)))
	}
	return r
}

// evaluate is the function of the computed value or effect n.
func (w *world) evaluate(n *node, t *Tracker) int {
	if !w.concurrent {
		n.runs++
		n.reads = make(map[int]int)
	}
	return n.rule.eval(func(i int) int {
		m := w.nodes[i]
		if !w.concurrent {
			n.reads[i] = m.version
		}
		if m.value != nil {
			return m.value.Get(t)
		}
		return m.computed.Get(t)
	})
}

// open starts the effect n.
func (w *world) open(n *node) {
	n.effect = Effect(func(t *Tracker) { n.seen = outcome(func() int { return w.evaluate(n, t) }) })
}

// closeAll closes the effects and checks that nothing stays connected.
func (w *world) closeAll() {
	for _, n := range w.nodes {
		if n.effect != nil {
			n.effect.Close()
			n.effect = nil
		}
	}
	w.checkEdges()
}

// recompute is the oracle: it knows no dependencies and remembers nothing.
func (w *world) recompute() {
	for _, n := range w.nodes[w.values:] {
		o := outcome(func() int {
			return n.rule.eval(func(i int) int {
				if v, ok := w.nodes[i].outcome.(int); ok {
					return v
				}
				panic(w.nodes[i].outcome)
			})
		})
		if o != n.outcome {
			n.version++
		}
		n.outcome = o
	}
}

// step does one random operation and checks what it has to have done.
func (w *world) step() {
	before := make([]map[int]int, len(w.nodes))
	for i, n := range w.nodes {
		n.runs = 0
		before[i] = n.reads
	}
	opened := -1
	effects := w.nodes[w.values+w.computed:]
	switch op := w.rng.IntN(8); {
	case op < 3:
		w.write(1)
	case op < 5:
		w.write(2 + w.rng.IntN(3))
	case op < 7:
		i := w.values + w.computed + w.rng.IntN(len(effects))
		n := w.nodes[i]
		if n.effect != nil {
			n.effect.Close()
			n.effect = nil
			break
		}
		opened = i
		w.open(n)
	case w.computed > 0:
		n := w.nodes[w.values+w.rng.IntN(w.computed)]
		if got := outcome(func() int { return n.computed.Get(nil) }); got != n.outcome {
			w.t.Errorf("untracked read of %v: got %v, want %v", n.rule, got, n.outcome)
		}
	}
	for i, n := range w.nodes[w.values:] {
		i += w.values
		if n.effect != nil && n.seen != n.outcome {
			w.t.Errorf("effect %v saw %v, want %v", n.rule, n.seen, n.outcome)
		}
		if !w.exact {
			continue
		}
		changed := before[i] == nil || i == opened
		for input, version := range before[i] {
			changed = changed || w.nodes[input].version != version
		}
		switch {
		case n.runs > 1:
			w.t.Errorf("%v was evaluated %d times in one operation", n.rule, n.runs)
		case n.runs == 1 && !changed:
			w.t.Errorf("%v was evaluated although all it had read was unchanged", n.rule)
		case n.runs == 0 && changed && n.effect != nil:
			w.t.Errorf("effect %v did not run although what it had read has changed", n.rule)
		}
	}
	w.checkEdges()
}

// write sets random values, in a batch if there are several. The oracle goes
// first, so that evaluations record the versions to come.
func (w *world) write(sets int) {
	type set struct {
		node *node
		to   int
	}
	var plan []set
	for range sets {
		s := set{w.nodes[w.rng.IntN(w.values)], w.rng.IntN(6)}
		if !w.exact || s.node.outcome != s.to {
			s.node.version++
		}
		s.node.outcome = s.to
		plan = append(plan, s)
	}
	w.recompute()
	if sets == 1 {
		plan[0].node.value.Set(plan[0].to)
		return
	}
	Batch(func() {
		plan[0].node.value.Set(plan[0].to)
		Batch(func() {
			for _, s := range plan[1:] {
				s.node.value.Set(s.to)
			}
		})
	})
}

// checkEdges verifies the lists of a graph at rest: exactly what an open effect
// depends on is connected, and nothing connected is stale.
func (w *world) checkEdges() {
	w.t.Helper()
	wanted := make(map[*Source]map[*Tracker]bool)
	var visit func(t *Tracker)
	visit = func(t *Tracker) {
		if t.stale {
			w.t.Errorf("evaluation of %v is connected and stale", t)
		}
		for _, e := range t.edges {
			if !e.linked {
				w.t.Errorf("edge of a connected evaluation is not linked")
			}
			if wanted[e.src] == nil {
				wanted[e.src] = make(map[*Tracker]bool)
			}
			if wanted[e.src][t] {
				continue
			}
			wanted[e.src][t] = true
			if c := e.src.owner; c != nil {
				visit(c.current)
			}
		}
	}
	for _, n := range w.nodes {
		if n.effect != nil {
			visit(n.effect.current)
		}
	}
	for i, n := range w.nodes[:w.values+w.computed] {
		var s *Source
		if n.value != nil {
			s = &n.value.source
		} else {
			s = &n.computed.core.source
			if f := n.computed.core.flights; f != 0 {
				w.t.Errorf("node %d: %d evaluations under way at rest", i, f)
			}
		}
		observers := observersOf(w.t, s)
		for to := range wanted[s] {
			if !observers[to] {
				w.t.Errorf("node %d does not know an observer", i)
			}
		}
		if len(observers) != len(wanted[s]) {
			w.t.Errorf("node %d has %d observers, want %d", i, len(observers), len(wanted[s]))
		}
	}
}

// observersOf returns the observers of s and verifies its list.
func observersOf(t *testing.T, s *Source) map[*Tracker]bool {
	t.Helper()
	observers := make(map[*Tracker]bool)
	var last *edge
	for e := s.first; e != nil; last, e = e, e.next {
		if e.prev != last || !e.linked || e.src != s || observers[e.to] {
			t.Errorf("list of observers is damaged")
		}
		observers[e.to] = true
	}
	if s.last != last || s.watched.Load() != (s.first != nil) {
		t.Errorf("ends of the list of observers are wrong")
	}
	return observers
}

func TestRandomGraphsAgreeWithRecomputingEverything(t *testing.T) {
	for _, exact := range []bool{true, false} {
		for seed := range uint64(150) {
			w := newWorld(t, rand.New(rand.NewPCG(seed, 0)), exact)
			for range 60 {
				w.step()
				if t.Failed() {
					t.Fatalf("exact %v, seed %d", exact, seed)
				}
			}
			w.closeAll()
		}
	}
}

func TestRandomGraphsSettleAfterConcurrentOperations(t *testing.T) {
	for _, exact := range []bool{true, false} {
		for seed := range uint64(40) {
			w := newWorld(t, rand.New(rand.NewPCG(seed, 1)), exact)
			w.concurrent = true
			readable := w.nodes[w.values : w.values+w.computed]
			effects := w.nodes[w.values+w.computed:]
			for _, n := range effects {
				w.open(n)
			}
			var wg sync.WaitGroup
			for g := range uint64(3) {
				wg.Go(func() {
					rng := rand.New(rand.NewPCG(seed, 2+g))
					set := func() { w.nodes[rng.IntN(w.values)].value.Set(rng.IntN(6)) }
					for range 60 {
						switch op := rng.IntN(6); {
						case op < 3:
							set()
						case op == 3:
							Batch(func() { set(); set() })
						case len(readable) == 0:
						case op == 4:
							c := readable[rng.IntN(len(readable))].computed
							outcome(func() int { return c.Get(nil) })
						default:
							c := readable[rng.IntN(len(readable))].computed
							Effect(func(t *Tracker) { outcome(func() int { return c.Get(t) }) }).Close()
						}
					}
				})
			}
			wg.Wait()
			for _, n := range w.nodes[:w.values] {
				n.outcome = n.value.Get(nil)
			}
			w.recompute()
			for _, n := range effects {
				if n.seen != n.outcome {
					t.Errorf("effect %v saw %v, want %v", n.rule, n.seen, n.outcome)
				}
			}
			w.checkEdges()
			w.closeAll()
			if t.Failed() {
				t.Fatalf("exact %v, seed %d", exact, seed)
			}
		}
	}
}

// Closing the effect at the end of a chain is enough to disconnect the chain.
func TestNothingIsRetainedByASource(t *testing.T) {
	rows := New([]int{1, 2, 3})
	var selfClosing *ComputedValue[int]
	selfClosing = Computed(func(t *Tracker) int { selfClosing.Close(); return len(rows.Get(t)) })
	chain := Map(Filter(rows, func(n int) bool { return n > 1 }), func(rows []int) int { return len(rows) })
	observers := func() int { return len(observersOf(t, &rows.source)) }
	steps := []struct {
		name string
		do   func()
		want int
	}{
		{"untracked read", func() { chain.Get(nil) }, 0},
		{"effect and its end", func() { Effect(func(t *Tracker) { chain.Get(t) }).Close() }, 0},
		{"effect that panics at once", func() {
			outcome(func() int {
				Effect(func(t *Tracker) { chain.Get(t); rows.Get(t); panic("first run") })
				return 0
			})
		}, 0},
		{"computed value that closes itself", func() { Effect(func(t *Tracker) { selfClosing.Get(t) }) }, 0},
		{"effect that closes itself", func() {
			again := New(0)
			var h *EffectHandle
			h = Effect(func(t *Tracker) {
				if again.Get(t) == 1 {
					rows.Get(t)
					h.Close()
					chain.Get(t)
				}
			})
			again.Set(1)
		}, 0},
		{"effect that stays", func() { Effect(func(t *Tracker) { chain.Get(t); rows.Get(t) }) }, 2},
		{"computed value closed under it", chain.Close, 1},
	}
	for _, s := range steps {
		s.do()
		if d := cmp.Diff(s.want, observers()); d != "" {
			t.Errorf("observers after %s (-want +got):\n%s", s.name, d)
		}
	}
}

// A lock would make readers of what seldom changes wait for each other.
func TestReadOfAnUnchangedValueTakesNoLock(t *testing.T) {
	v, other := New(1), New(1)
	c := ComputedComparable(v.Get)
	read := func(what string) {
		t.Helper()
		c.Get(nil)
		graph.mu.Lock()
		defer graph.mu.Unlock()
		if got := c.Get(nil) + v.Get(nil); got != 2 {
			t.Errorf("%s: got %d, want 2", what, got)
		}
	}
	read("after the evaluation")
	other.Set(2)
	read("after an unrelated change")
}

func TestNothingIsQueuedAtRest(t *testing.T) {
	v := New(0)
	h := Effect(func(t *Tracker) {
		if v.Get(t) == 1 {
			panic("effect")
		}
	})
	outcome(func() int { v.Set(1); return 0 })
	Batch(func() { v.Set(2); h.Close() })
	if len(graph.ready) != 0 || graph.newest != nil {
		t.Errorf("%d effects are ready, newest open batch %v", len(graph.ready), graph.newest)
	}
}

func TestGoroutineIDTellsGoroutinesApart(t *testing.T) {
	here := goroutineID()
	there := make(chan uint64)
	go func() { there <- goroutineID() }()
	if other := <-there; here == 0 || other == 0 || here == other || here != goroutineID() {
		t.Errorf("this goroutine is %d and then %d, another one %d", here, goroutineID(), other)
	}
}
