package signal_test

import (
	"errors"
	"strconv"
	"testing"

	"github.com/ankurah/ankurah-go/signal"
)

func TestBatchNotifiesOnceAtTheEnd(t *testing.T) {
	a, b := signal.New(1), signal.New(1)
	sum := signal.Combine(a, b, func(a, b int) int { return a + b })
	seen := record(t, sum.Get)
	signal.Batch(func() {
		a.Set(2)
		signal.Batch(func() {
			b.Set(2)
			a.Set(3)
		})
		want(t, "after the inner batch", *seen, []int{2})
		want(t, "read inside the batch", sum.Get(nil), 5)
		b.Set(3)
	})
	want(t, "after the outer batch", *seen, []int{2, 6})
	a.Set(4)
	want(t, "without a batch", *seen, []int{2, 6, 7})
}

func TestBatchThatRestoresTheValueWakesNobody(t *testing.T) {
	v := signal.New(1)
	same := signal.ComputedComparable(v.Get)
	seen := record(t, same.Get)
	signal.Batch(func() {
		v.Set(2)
		v.Set(1)
	})
	want(t, "seen", *seen, []int{1})
}

func TestEffectCreatedInABatchRunsAtOnce(t *testing.T) {
	v := signal.New(1)
	signal.Batch(func() {
		v.Set(2)
		seen := record(t, v.Get)
		v.Set(3)
		want(t, "inside", *seen, []int{2})
		t.Cleanup(func() { want(t, "in the end", *seen, []int{2, 3}) })
	})
}

func TestEffectsOfOneChangeRunInOrderOfCreation(t *testing.T) {
	first, second := signal.New(0), signal.New(0)
	var order []string
	for i := range 6 {
		name := strconv.Itoa(i)
		h := signal.Effect(func(tr *signal.Tracker) {
			// Different subscriptions, so that theirs is not the same order.
			if i%2 == 0 {
				first.Get(tr)
			}
			second.Get(tr)
			order = append(order, name)
		})
		defer h.Close()
	}
	order = nil
	signal.Batch(func() {
		first.Set(1)
		second.Set(1)
	})
	want(t, "order", order, []string{"0", "1", "2", "3", "4", "5"})
}

func TestChangeInAnEffectRunsItsEffectsBeforeItReturns(t *testing.T) {
	in, out := signal.New(0), signal.New(0)
	var order []string
	later := signal.Effect(func(tr *signal.Tracker) { order = append(order, "out "+strconv.Itoa(out.Get(tr))) })
	defer later.Close()
	h := signal.Effect(func(tr *signal.Tracker) {
		n := in.Get(tr)
		order = append(order, "begin "+strconv.Itoa(n))
		out.Set(n)
		order = append(order, "end "+strconv.Itoa(n))
	})
	defer h.Close()
	order = nil
	in.Set(1)
	want(t, "order", order, []string{"begin 1", "out 1", "end 1"})
}

func TestBatchInAnEffectShowsNobodyHalfOfIt(t *testing.T) {
	in, a, b := signal.New(0), signal.New(0), signal.New(0)
	h := signal.Effect(func(tr *signal.Tracker) {
		n := in.Get(tr)
		signal.Batch(func() {
			a.Set(n)
			signal.Effect(func(*signal.Tracker) {}).Close()
			b.Set(n)
		})
	})
	defer h.Close()
	// Woken by the same change, and so ready while the batch is open.
	seen := record(t, func(tr *signal.Tracker) [3]int { return [3]int{in.Get(tr), a.Get(tr), b.Get(tr)} })
	in.Set(1)
	want(t, "seen", *seen, [][3]int{{0, 0, 0}, {1, 1, 1}})
}

func TestEffectMayCreateAndCloseEffects(t *testing.T) {
	v := signal.New(1)
	var inner *signal.EffectHandle
	var seen []int
	outer := signal.Effect(func(tr *signal.Tracker) {
		n := v.Get(tr)
		if inner != nil {
			inner.Close()
		}
		inner = signal.Effect(func(tr *signal.Tracker) { seen = append(seen, 10*n+v.Get(tr)) })
	})
	v.Set(2)
	outer.Close()
	inner.Close()
	v.Set(3)
	want(t, "seen by the inner effects", seen, []int{11, 22})
}

func TestEffectThatWritesWhatItReadsComesToRest(t *testing.T) {
	v := signal.NewComparable(280)
	runs := 0
	h := signal.Effect(func(tr *signal.Tracker) {
		runs++
		if n := v.Get(tr); n > 200 {
			v.Set(n - 1)
		}
	})
	defer h.Close()
	want(t, "value", v.Get(nil), 200)
	want(t, "runs", runs, 81)
	v.Set(280)
	want(t, "value", v.Get(nil), 200)
	want(t, "runs", runs, 2*81)
}

// panicOf returns what f panics with.
func panicOf(f func()) (p any) {
	defer func() { p = recover() }()
	f()
	return nil
}

func TestEffectThatUndoesItsWorkIsStopped(t *testing.T) {
	// Each returns an effect that loops once on is set.
	loops := map[string]func(on *signal.Value[bool]) *signal.EffectHandle{
		"value": func(on *signal.Value[bool]) *signal.EffectHandle {
			v := signal.New(0)
			return signal.Effect(func(tr *signal.Tracker) {
				if on.Get(tr) {
					v.Set(v.Get(tr) + 1)
				}
			})
		},
		"value written before it is read": func(on *signal.Value[bool]) *signal.EffectHandle {
			v := signal.New(0)
			return signal.Effect(func(tr *signal.Tracker) {
				v.Get(tr)
				if on.Get(tr) {
					signal.Batch(func() { v.Set(0) })
				}
			})
		},
		"alternating values": func(on *signal.Value[bool]) *signal.EffectHandle {
			vs := [2]*signal.Value[int]{signal.New(0), signal.New(0)}
			i := 0
			return signal.Effect(func(tr *signal.Tracker) {
				if on.Get(tr) {
					i++
					vs[i%2].Get(tr)
					vs[i%2].Set(i)
				}
			})
		},
		"through a computed value": func(on *signal.Value[bool]) *signal.EffectHandle {
			v := signal.New(0)
			c := signal.Map(v, func(n int) int { return n })
			return signal.Effect(func(tr *signal.Tracker) {
				if on.Get(tr) {
					v.Set(c.Get(tr) + 1)
				}
			})
		},
		"through another effect": func(on *signal.Value[bool]) *signal.EffectHandle {
			a, b := signal.New(0), signal.New(0)
			signal.Effect(func(tr *signal.Tracker) { a.Set(b.Get(tr)) })
			return signal.Effect(func(tr *signal.Tracker) {
				if n := a.Get(tr); on.Get(tr) {
					b.Set(n + 1)
				}
			})
		},
		"computed value that writes what it reads": func(on *signal.Value[bool]) *signal.EffectHandle {
			v := signal.New(0)
			c := signal.Computed(func(tr *signal.Tracker) int {
				n := v.Get(tr)
				if on.Get(tr) {
					v.Set(n + 1)
				}
				return n
			})
			return signal.Effect(func(tr *signal.Tracker) { c.Get(tr) })
		},
	}
	for name, loop := range loops {
		t.Run(name, func(t *testing.T) {
			on := signal.New(false)
			h := loop(on)
			witness := record(t, on.Get)
			err, _ := panicOf(func() { on.Set(true) }).(error)
			if !errors.Is(err, signal.ErrLoop) {
				t.Fatalf("Set panicked with %v, want ErrLoop", err)
			}
			<-h.Done()
			want(t, "the other effect", *witness, []bool{false, true})
			want(t, "panic of the next Set", panicOf(func() { on.Set(true) }), nil)
		})
	}
}

func TestLoopInTheFirstRunPanicsOutOfEffect(t *testing.T) {
	v := signal.New(0)
	got := panicOf(func() { signal.Effect(func(tr *signal.Tracker) { v.Set(v.Get(tr) + 1) }) })
	want(t, "panic", got == any(signal.ErrLoop), true)
}

// S56: after Close no callback starts.
func TestEffectDoesNotRunAfterClose(t *testing.T) {
	t.Run("idle", func(t *testing.T) {
		v := signal.New(1)
		var seen []int
		h := signal.Effect(func(tr *signal.Tracker) { seen = append(seen, v.Get(tr)) })
		h.Close()
		h.Close()
		<-h.Done()
		v.Set(2)
		want(t, "seen", seen, []int{1})
	})
	t.Run("woken", func(t *testing.T) {
		v := signal.New(1)
		var seen []int
		h := signal.Effect(func(tr *signal.Tracker) { seen = append(seen, v.Get(tr)) })
		signal.Batch(func() {
			v.Set(2)
			h.Close()
			<-h.Done()
		})
		want(t, "seen", seen, []int{1})
	})
	t.Run("closed by its own run", func(t *testing.T) {
		v := signal.New(1)
		var h *signal.EffectHandle
		var seen []int
		h = signal.Effect(func(tr *signal.Tracker) {
			seen = append(seen, v.Get(tr))
			if len(seen) == 2 {
				h.Close()
				select {
				case <-h.Done():
					t.Error("Done before the run has ended")
				default:
				}
				v.Set(9)
				v.Get(tr)
			}
		})
		v.Set(2)
		<-h.Done()
		v.Set(3)
		want(t, "seen", seen, []int{1, 2})
	})
	t.Run("closed by an earlier effect of the same change", func(t *testing.T) {
		v := signal.New(1)
		var later *signal.EffectHandle
		earlier := signal.Effect(func(tr *signal.Tracker) {
			if v.Get(tr) == 2 {
				later.Close()
			}
		})
		defer earlier.Close()
		var seen []int
		later = signal.Effect(func(tr *signal.Tracker) { seen = append(seen, v.Get(tr)) })
		v.Set(2)
		want(t, "seen", seen, []int{1})
	})
	t.Run("closed by the computed value it waits for", func(t *testing.T) {
		v := signal.New(1)
		var h *signal.EffectHandle
		c := signal.Computed(func(tr *signal.Tracker) int {
			if v.Get(tr) == 2 {
				h.Close()
			}
			return v.Get(tr)
		})
		var seen []int
		h = signal.Effect(func(tr *signal.Tracker) { seen = append(seen, c.Get(tr)) })
		v.Set(2)
		<-h.Done()
		want(t, "seen", seen, []int{1})
	})
}

func TestComputedIsFrozenByClose(t *testing.T) {
	v := signal.New(1)
	c := signal.Map(v, func(n int) int { return 10 * n })
	never := signal.Map(v, func(n int) int { return 10 * n })
	seen := record(t, c.Get)
	v.Set(2)
	c.Close()
	c.Close()
	never.Close()
	v.Set(3)
	want(t, "last value", c.Get(nil), 20)
	want(t, "value of one that was never read", never.Get(nil), 0)
	want(t, "seen by an effect", *seen, []int{10, 20})

	woken := signal.Map(v, func(n int) int { return n })
	seen = record(t, woken.Get)
	signal.Batch(func() { v.Set(4); woken.Close() })
	want(t, "seen by an effect of a value closed before it could run", *seen, []int{3})

	var late *signal.ComputedValue[int]
	closer := signal.Computed(func(tr *signal.Tracker) int {
		if v.Get(tr) == 5 {
			late.Close()
		}
		return v.Get(tr)
	})
	late = signal.Map(closer, func(n int) int { return n })
	want(t, "value", late.Get(nil), 4)
	v.Set(5)
	want(t, "value of one that is closed while it looks for changes", late.Get(nil), 4)

	var self *signal.ComputedValue[int]
	self = signal.Computed(func(tr *signal.Tracker) int { self.Close(); return v.Get(tr) })
	want(t, "value of one that closes itself", self.Get(nil), 5)
	v.Set(6)
	want(t, "and later", self.Get(nil), 5)
}
