package signal_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/ankurah/ankurah-go/signal"
)

// S55: callbacks of one effect run one at a time. The effects here write plain
// variables, so the race detector proves it.
func TestNoEffectRunsTwiceAtOnceAndNoneMissesTheLastChange(t *testing.T) {
	const goroutines, changes = 4, 300
	values := make([]*signal.Value[int], 4)
	for i := range values {
		values[i] = signal.NewComparable(0)
	}
	sum := signal.ComputedComparable(func(tr *signal.Tracker) int {
		sum := 0
		for _, v := range values {
			sum += v.Get(tr)
		}
		return sum
	})
	double := signal.Map(sum, func(n int) int { return 2 * n })
	total := signal.New(0)
	var last [3]int
	for i, read := range []func(*signal.Tracker) int{
		sum.Get,
		func(tr *signal.Tracker) int { return sum.Get(tr) + double.Get(tr) },
		func(tr *signal.Tracker) int { n := double.Get(tr); total.Set(n); return n },
	} {
		h := signal.Effect(func(tr *signal.Tracker) { last[i] = read(tr) })
		defer h.Close()
	}
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(g)))
			pick := func() *signal.Value[int] { return values[rng.IntN(len(values))] }
			for range changes {
				switch rng.IntN(4) {
				case 0:
					pick().Set(rng.IntN(100))
				case 1:
					pick().Update(func(n int) int { return n + 1 })
				case 2:
					signal.Batch(func() {
						pick().Set(rng.IntN(100))
						pick().Set(rng.IntN(100))
					})
				case 3:
					double.Get(nil)
					h := signal.Effect(func(tr *signal.Tracker) { double.Get(tr) })
					pick().Set(rng.IntN(100))
					h.Close()
				}
			}
		})
	}
	wg.Wait()
	n := 0
	for _, v := range values {
		n += v.Get(nil)
	}
	want(t, "last runs", last, [3]int{n, 3 * n, 2 * n})
	want(t, "written by an effect", total.Get(nil), 2*n)
}

func TestUpdateLosesNoChange(t *testing.T) {
	const goroutines, changes = 4, 500
	v := signal.New(0)
	seen := record(t, v.Get)
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for range changes {
				v.Update(func(n int) int { return n + 1 })
			}
		})
	}
	wg.Wait()
	want(t, "value", v.Get(nil), goroutines*changes)
	want(t, "last seen", (*seen)[len(*seen)-1], goroutines*changes)
}

func TestGetCoversEveryCompleteChangeAndNeverGoesBack(t *testing.T) {
	for _, observed := range []bool{false, true} {
		v := signal.New(0)
		plus := signal.Map(v, func(n int) int { return n + 1 })
		same := signal.ComputedComparable(func(tr *signal.Tracker) int { return plus.Get(tr) - 1 })
		if observed {
			h := signal.Effect(func(tr *signal.Tracker) { same.Get(tr) })
			defer h.Close()
		}
		var complete atomic.Int64
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				for last := 0; last < 500; {
					least := int(complete.Load())
					n := same.Get(nil)
					if n < least || n < last {
						t.Errorf("observed %v: read %d after %d was complete and %d had been read", observed, n, least, last)
						return
					}
					last = n
				}
			})
		}
		for n := 1; n <= 500; n++ {
			v.Set(n)
			complete.Store(int64(n))
		}
		wg.Wait()
	}
}

func TestUntrackedReadersShareOneEvaluation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var evaluations atomic.Int32
		release := make(chan struct{})
		v := signal.New(1)
		c := signal.Computed(func(tr *signal.Tracker) int {
			evaluations.Add(1)
			<-release
			return v.Get(tr)
		})
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { want(t, "value", c.Get(nil), 1) })
		}
		synctest.Wait()
		close(release)
		wg.Wait()
		want(t, "evaluations", evaluations.Load(), 1)
	})
}

// An evaluation that began before a change is not enough for a read after it.
func TestWaitingReaderSeesTheChangeMadeBeforeItsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := signal.New(1)
		release := make(chan struct{})
		c := signal.Computed(func(tr *signal.Tracker) int {
			n := v.Get(tr)
			<-release
			return n
		})
		var wg sync.WaitGroup
		wg.Go(func() { c.Get(nil) })
		synctest.Wait()
		v.Set(2)
		wg.Go(func() { want(t, "value", c.Get(nil), 2) })
		synctest.Wait()
		close(release)
		wg.Wait()
	})
}

// A tracked reader may hold an evaluation that the other goroutine waits for. It
// computes the value itself, and the older result does not replace the newer.
func TestTrackedReaderDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := signal.New(1)
		slow := make(chan struct{})
		release := make(chan struct{})
		first := true
		c := signal.Computed(func(tr *signal.Tracker) int {
			n := v.Get(tr)
			if first {
				first = false
				close(slow)
				<-release
			}
			return n
		})
		var wg sync.WaitGroup
		wg.Go(func() { want(t, "value for the slow reader", c.Get(nil), 2) })
		<-slow
		v.Set(2)
		seen := record(t, c.Get)
		want(t, "seen while the slow reader is at it", *seen, []int{2})
		close(release)
		wg.Wait()
		want(t, "value", c.Get(nil), 2)
		v.Set(3)
		want(t, "seen", *seen, []int{2, 3})
	})
}

func TestWaitingReadersSurviveAPanicOfTheEvaluation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		c := signal.Computed(func(*signal.Tracker) int {
			<-release
			panic("evaluation")
		})
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { want(t, "panic", panicOf(func() { c.Get(nil) }), any("evaluation")) })
		}
		synctest.Wait()
		close(release)
		wg.Wait()
	})
}

// S55: a slow callback delays itself only. S56: Done waits for a running one.
func TestSlowEffectDelaysItselfOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := signal.New(0)
		release := make(chan struct{})
		var slow []int
		h := signal.Effect(func(tr *signal.Tracker) {
			n := v.Get(tr)
			if n == 1 {
				<-release
			}
			slow = append(slow, n)
		})
		fast := record(t, v.Get)
		var wg sync.WaitGroup
		wg.Go(func() { v.Set(1) })
		synctest.Wait()
		for n := 2; n < 5; n++ {
			v.Set(n)
		}
		want(t, "seen meanwhile by another effect", *fast, []int{0, 2, 3, 4})
		close(release)
		wg.Wait()
		want(t, "seen by the slow effect", slow, []int{0, 1, 4})
		h.Close()
	})
}

func TestCloseDuringARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := signal.New(0)
		release := make(chan struct{})
		var seen []int
		h := signal.Effect(func(tr *signal.Tracker) {
			n := v.Get(tr)
			if n == 1 {
				<-release
			}
			seen = append(seen, n)
		})
		go v.Set(1)
		synctest.Wait()
		h.Close()
		v.Set(2)
		select {
		case <-h.Done():
			t.Error("Done while the run is under way")
		default:
		}
		close(release)
		<-h.Done()
		v.Set(3)
		want(t, "seen", seen, []int{0, 1})
	})
}

// The bound on effects that undo their own work counts the runs that they outdate
// themselves. What others change while an effect runs is no loop, however often.
func TestOnlyChangesByTheEffectItselfMakeALoop(t *testing.T) {
	const manyRuns = 350
	for _, tc := range []struct {
		name string
		// run is one run of the effect, the n-th; set and elsewhere set a value on
		// the effect's goroutine and on another one.
		run  func(n int, read func(i int), set, elsewhere func(i int))
		loop bool
	}{
		{"changes by others", func(n int, read func(int), _, elsewhere func(int)) {
			read(0)
			elsewhere(0)
		}, false},
		{"changes by others first and by itself", func(n int, read func(int), set, elsewhere func(int)) {
			read(0)
			elsewhere(0)
			set(0)
		}, false},
		{"changes by itself first and by others", func(n int, read func(int), set, elsewhere func(int)) {
			read(0)
			set(0)
			elsewhere(0)
		}, true},
		{"changes by others and by itself in turn", func(n int, read func(int), set, elsewhere func(int)) {
			read(0)
			if n%50 == 0 {
				elsewhere(0)
			} else {
				set(0)
			}
		}, false},
		{"at first changes by others, then by itself", func(n int, read func(int), set, elsewhere func(int)) {
			read(0)
			if n < 10 {
				elsewhere(0)
			} else {
				set(0)
			}
		}, true},
		{"changes by others of what it does not read any more", func(n int, read func(int), set, elsewhere func(int)) {
			read(n % 2)
			set(n % 2)
			elsewhere(1 - n%2)
		}, true},
	} {
		for _, derived := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, derived %v", tc.name, derived), func(t *testing.T) {
				values := []*signal.Value[int]{signal.New(0), signal.New(0)}
				sources := []signal.Readable[int]{values[0], values[1]}
				if derived {
					for i, v := range values {
						sources[i] = signal.Map(v, func(n int) int { return n })
					}
				}
				asked, done := make(chan int), make(chan struct{})
				go func() {
					for i := range asked {
						values[i].Set(0)
						done <- struct{}{}
					}
				}()
				defer close(asked)
				n := 0
				p := panicOf(func() {
					signal.Effect(func(tr *signal.Tracker) {
						if n++; n == manyRuns {
							return
						}
						tc.run(n,
							func(i int) { sources[i].Get(tr) },
							func(i int) { values[i].Set(0) },
							func(i int) { asked <- i; <-done })
					}).Close()
				})
				want(t, "ends with ErrLoop", p == any(signal.ErrLoop), tc.loop)
				want(t, "runs all the times", n == manyRuns, !tc.loop)
			})
		}
	}
}

// Batches of other goroutines delay an effect by those open when it is woken.
func TestEffectWaitsForEarlierBatchesOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, w := signal.New(0), signal.New(0)
		seenV, seenW := record(t, v.Get), record(t, w.Get)
		firstEnds, secondEnds := make(chan struct{}), make(chan struct{})
		go signal.Batch(func() {
			<-firstEnds
		})
		synctest.Wait()
		v.Set(1)
		want(t, "change during the first batch", *seenV, []int{0})
		go signal.Batch(func() {
			w.Set(1)
			<-secondEnds
		})
		synctest.Wait()
		close(firstEnds)
		synctest.Wait()
		want(t, "after the first batch", *seenV, []int{0, 1})
		want(t, "change in the second batch", *seenW, []int{0})
		close(secondEnds)
		synctest.Wait()
		want(t, "after the second batch", *seenW, []int{0, 1})
	})
}

func TestTrackerMayBeUsedFromSeveralGoroutines(t *testing.T) {
	values := make([]*signal.Value[int], 50)
	for i := range values {
		values[i] = signal.New(0)
	}
	seen := record(t, func(tr *signal.Tracker) int {
		var sum atomic.Int64
		var wg sync.WaitGroup
		for _, v := range values {
			wg.Go(func() { sum.Add(int64(v.Get(tr))) })
		}
		wg.Wait()
		return int(sum.Load())
	})
	for _, v := range values {
		v.Set(1)
	}
	want(t, "runs", len(*seen), len(values)+1)
	want(t, "last", (*seen)[len(*seen)-1], len(values))
}

// A check for changes releases the lock to compute values. What changes in
// between counts even if the values turn out to be equal.
func TestChangeDuringACheckIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		checked, v := signal.New(0), signal.New(0)
		entered, release := make(chan struct{}), make(chan struct{})
		constant := signal.ComputedComparable(func(tr *signal.Tracker) int {
			if checked.Get(tr) == 1 {
				close(entered)
				<-release
			}
			return 0
		})
		seen := record(t, func(tr *signal.Tracker) int { return v.Get(tr) + constant.Get(tr) })
		var wg sync.WaitGroup
		wg.Go(func() { checked.Set(1) })
		<-entered
		v.Set(1)
		close(release)
		wg.Wait()
		want(t, "seen", *seen, []int{0, 1})
	})
}

// Of two evaluations at once the one that started last decides, also if it finds
// the value that was there before the other one.
func TestLaterEvaluationDecidesEvenIfItChangesNothing(t *testing.T) {
	v := signal.New(0)
	slow, release, landed := make(chan struct{}), make(chan struct{}), make(chan struct{})
	c := signal.ComputedComparable(func(tr *signal.Tracker) int {
		n := v.Get(tr)
		switch {
		case n == 1:
			close(slow)
			<-release
		case release != nil:
			close(release)
			<-landed
			release = nil
		}
		return n
	})
	keep := release
	release = nil
	want(t, "value", c.Get(nil), 0)
	release = keep
	v.Set(1)
	go func() {
		defer close(landed)
		c.Get(nil)
	}()
	<-slow
	v.Set(0)
	seen := record(t, c.Get)
	want(t, "seen", *seen, []int{0})
	want(t, "value", c.Get(nil), 0)
}

// A Tracker kept beyond its function is like nil, not a part of an evaluation.
func TestKeptTrackerIsNotMistakenForACycle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := signal.New(0)
		var kept *signal.Tracker
		release := make(chan struct{})
		c := signal.Computed(func(tr *signal.Tracker) int {
			n := v.Get(tr)
			if n == 0 {
				kept = tr
			} else {
				<-release
			}
			return n
		})
		c.Get(nil)
		v.Set(1)
		go c.Get(nil)
		synctest.Wait()
		go func() { want(t, "value", c.Get(kept), 1) }()
		synctest.Wait()
		close(release)
		synctest.Wait()
	})
}
