package signal_test

import (
	"errors"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go/signal"
)

func TestPanicOfAComputedFunctionIsItsOutcome(t *testing.T) {
	v := signal.New(0)
	evaluations := 0
	c := signal.Computed(func(tr *signal.Tracker) int {
		evaluations++
		if v.Get(tr) == 0 {
			panic("zero")
		}
		return 10 / v.Get(tr)
	})
	want(t, "panic", panicOf(func() { c.Get(nil) }), any("zero"))
	want(t, "panic again", panicOf(func() { c.Get(nil) }), any("zero"))
	want(t, "evaluations", evaluations, 1)
	v.Set(5)
	want(t, "value after the change", c.Get(nil), 2)
}

func TestPanicInAnEqualityIsAPanicOfTheFunction(t *testing.T) {
	v := signal.New(0)
	c := signal.ComputedEqual(v.Get, func(a, b int) bool { panic("equality") })
	want(t, "first value, compared with none", c.Get(nil), 0)
	v.Set(1)
	want(t, "panic", panicOf(func() { c.Get(nil) }), any("equality"))
	v.Set(2)
	want(t, "next value, compared with none", c.Get(nil), 2)
}

func TestPanicInSetOrUpdateChangesNothing(t *testing.T) {
	v := signal.NewEqual(1, func(a, b int) bool { panic("equality") })
	seen := record(t, v.Get)
	want(t, "Set", panicOf(func() { v.Set(2) }), any("equality"))
	want(t, "Update", panicOf(func() { v.Update(func(int) int { panic("update") }) }), any("update"))
	want(t, "value", v.Get(nil), 1)
	want(t, "seen", *seen, []int{1})
}

func TestPanicInAnEffectReachesTheWriterAfterTheOtherEffects(t *testing.T) {
	v := signal.New(0)
	fail := func(tr *signal.Tracker) int {
		if n := v.Get(tr); n%2 == 1 {
			panic(n)
		}
		return v.Get(nil)
	}
	before := record(t, v.Get)
	failing := record(t, fail)
	failingToo := record(t, func(tr *signal.Tracker) int { return 10 * fail(tr) })
	after := record(t, v.Get)
	want(t, "first panic", panicOf(func() { v.Set(1) }), any(1))
	v.Set(2)
	want(t, "panic in a batch", panicOf(func() { signal.Batch(func() { v.Set(3) }) }), any(3))
	v.Set(4)
	want(t, "seen before", *before, []int{0, 1, 2, 3, 4})
	want(t, "seen by the failing effect", *failing, []int{0, 2, 4})
	want(t, "seen by the other failing effect", *failingToo, []int{0, 20, 40})
	want(t, "seen after", *after, []int{0, 1, 2, 3, 4})
}

func TestPanicInTheFirstRunClosesTheEffect(t *testing.T) {
	v := signal.New(0)
	runs := 0
	got := panicOf(func() {
		signal.Effect(func(tr *signal.Tracker) {
			runs++
			v.Get(tr)
			panic("first")
		})
	})
	want(t, "panic", got, any("first"))
	v.Set(1)
	want(t, "runs", runs, 1)
}

func TestPanicInABatchRunsTheEffectsAndContinues(t *testing.T) {
	v := signal.New(0)
	seen := record(t, v.Get)
	got := panicOf(func() {
		signal.Batch(func() {
			defer signal.Batch(func() { v.Set(2) })
			v.Set(1)
			panic("batch")
		})
	})
	want(t, "panic", got, any("batch"))
	want(t, "seen", *seen, []int{0, 2})
	v.Set(3)
	want(t, "seen later", *seen, []int{0, 2, 3})
}

// An effect that handles the failure of a value it reads is told when the value
// recovers, and not told when nothing has changed.
func TestReaderMayRecoverFromThePanicOfAComputedValue(t *testing.T) {
	v, n := signal.NewComparable(1), signal.NewComparable(0)
	half := signal.ComputedComparable(func(tr *signal.Tracker) int { return n.Get(tr) / 2 })
	evaluations := 0
	c := signal.ComputedComparable(func(tr *signal.Tracker) int {
		evaluations++
		if v.Get(tr) < 0 {
			panic("negative")
		}
		return v.Get(tr)
	})
	read := func(tr *signal.Tracker) (got any) {
		defer func() {
			if p := recover(); p != nil {
				got = p
			}
		}()
		half.Get(tr)
		return c.Get(tr)
	}
	direct := record(t, read)
	derived := record(t, signal.Computed(read).Get)
	v.Set(-1)
	n.Set(1)
	v.Set(1)
	n.Set(2)
	want(t, "seen directly", *direct, []any{1, "negative", 1, 1})
	want(t, "seen through a computed value", *derived, []any{1, "negative", 1, 1})
	// Once to find out that it fails, once to let the reader have the panic.
	want(t, "evaluations", evaluations, 4)
}

// The panic starts in the function even if a check found out first that it fails.
func TestPanicOfAComputedFunctionHasItsStack(t *testing.T) {
	v := signal.New(0)
	c := signal.Computed(func(tr *signal.Tracker) int { return failOn(1, v.Get(tr)) })
	var stack string
	h := signal.Effect(func(tr *signal.Tracker) {
		defer func() {
			if recover() != nil {
				stack = string(debug.Stack())
			}
		}()
		c.Get(tr)
	})
	defer h.Close()
	v.Set(1)
	if !strings.Contains(stack, "failOn") {
		t.Errorf("the stack does not show the function that panicked:\n%s", stack)
	}
}

//go:noinline
func failOn(bad, n int) int {
	if n == bad {
		panic("bad")
	}
	return n
}

func TestCycle(t *testing.T) {
	isCycle := func(t *testing.T, f func()) {
		t.Helper()
		if err, _ := panicOf(f).(error); !errors.Is(err, signal.ErrCycle) {
			t.Errorf("got panic %v, want ErrCycle", err)
		}
	}
	t.Run("self", func(t *testing.T) {
		var c *signal.ComputedValue[int]
		c = signal.Computed(func(tr *signal.Tracker) int { return c.Get(tr) + 1 })
		isCycle(t, func() { c.Get(nil) })
		isCycle(t, func() { signal.Effect(func(tr *signal.Tracker) { c.Get(tr) }) })
	})
	t.Run("comes and goes", func(t *testing.T) {
		closed := signal.New(false)
		var a, b *signal.ComputedValue[int]
		a = signal.Computed(func(tr *signal.Tracker) int {
			if closed.Get(tr) {
				return b.Get(tr)
			}
			return 1
		})
		b = signal.Computed(func(tr *signal.Tracker) int { return a.Get(tr) + 1 })
		seen := record(t, b.Get)
		isCycle(t, func() { closed.Set(true) })
		isCycle(t, func() { a.Get(nil) })
		closed.Set(false)
		want(t, "seen", *seen, []int{2, 2})
		want(t, "a", a.Get(nil), 1)
	})
	t.Run("only among reads of different times", func(t *testing.T) {
		aReadsB, v, evaluations := true, signal.New(0), 0
		var a, b *signal.ComputedValue[int]
		a = signal.Computed(func(tr *signal.Tracker) int {
			if aReadsB {
				return b.Get(tr)
			}
			return 1
		})
		b = signal.Computed(func(tr *signal.Tracker) int {
			evaluations++
			n := v.Get(tr)
			if !aReadsB {
				n += a.Get(tr)
			}
			return n
		})
		want(t, "a", a.Get(nil), 0)
		aReadsB = false
		v.Set(10)
		want(t, "b", b.Get(nil), 11)
		want(t, "evaluations of b", evaluations, 2)
	})
	t.Run("no cycle at any time", func(t *testing.T) {
		aFirst := signal.New(true)
		var a, b *signal.ComputedValue[int]
		a = signal.Computed(func(tr *signal.Tracker) int {
			if aFirst.Get(tr) {
				return 1
			}
			return b.Get(tr) + 1
		})
		b = signal.Computed(func(tr *signal.Tracker) int {
			if aFirst.Get(tr) {
				return a.Get(tr) + 1
			}
			return 1
		})
		seen := record(t, func(tr *signal.Tracker) [2]int { return [2]int{a.Get(tr), b.Get(tr)} })
		aFirst.Set(false)
		aFirst.Set(true)
		want(t, "seen", *seen, [][2]int{{1, 2}, {2, 1}, {1, 2}})
	})
}

// runtime.Goexit, which t.FailNow calls, ends user functions too.
func TestGoexitLeavesTheGraphUsable(t *testing.T) {
	inGoroutine := func(f func()) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			f()
		}()
		<-done
	}
	t.Run("effect", func(t *testing.T) {
		v := signal.New(0)
		seen := record(t, func(tr *signal.Tracker) int {
			if v.Get(tr) == 1 {
				runtime.Goexit()
			}
			return v.Get(tr)
		})
		later := record(t, v.Get)
		inGoroutine(func() { v.Set(1) })
		want(t, "seen by the other effect", *later, []int{0})
		v.Set(2)
		want(t, "seen", *seen, []int{0, 2})
		want(t, "seen by the other effect", *later, []int{0, 2})
	})
	t.Run("computed", func(t *testing.T) {
		v := signal.New(0)
		c := signal.Computed(func(tr *signal.Tracker) int {
			if v.Get(tr) == 1 {
				runtime.Goexit()
			}
			return v.Get(tr)
		})
		seen := record(t, c.Get)
		inGoroutine(func() { v.Set(1) })
		want(t, "later reads panic", panicOf(func() { c.Get(nil) }) != nil, true)
		v.Set(2)
		want(t, "value", c.Get(nil), 2)
		want(t, "seen", *seen, []int{0, 2})
	})
}
