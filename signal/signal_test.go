package signal_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ankurah/ankurah-go/signal"
)

// record returns an effect that appends what read returns, and the record.
func record[T any](t *testing.T, read func(*signal.Tracker) T) *[]T {
	t.Helper()
	seen := new([]T)
	h := signal.Effect(func(tr *signal.Tracker) { *seen = append(*seen, read(tr)) })
	t.Cleanup(h.Close)
	return seen
}

func want[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func TestEffectRunsAtOnceAndAfterEachChange(t *testing.T) {
	v := signal.New(1)
	seen := record(t, v.Get)
	want(t, "at once", *seen, []int{1})
	v.Set(2)
	v.Update(func(n int) int { return n + 1 })
	want(t, "after changes", *seen, []int{1, 2, 3})
}

func TestUpdateStartsAgainIfTheValueWasSetMeanwhile(t *testing.T) {
	v := signal.New(1)
	var given []int
	v.Update(func(n int) int {
		given = append(given, n)
		if len(given) == 1 {
			v.Set(5)
		}
		return n + 1
	})
	want(t, "values given to the function", given, []int{1, 5})
	want(t, "value", v.Get(nil), 6)
}

func TestUntrackedReadDependsOnNothing(t *testing.T) {
	tracked, untracked := signal.New(1), signal.New(1)
	seen := record(t, func(tr *signal.Tracker) int { return tracked.Get(tr) + untracked.Get(nil) })
	untracked.Set(10)
	want(t, "after an untracked change", *seen, []int{2})
	tracked.Set(2)
	want(t, "after a tracked change", *seen, []int{2, 12})
}

func TestTrackerRecordsNothingAfterItsFunctionHasReturned(t *testing.T) {
	v := signal.New(1)
	c := signal.Computed(v.Get)
	var kept *signal.Tracker
	runs := record(t, func(tr *signal.Tracker) int { kept = tr; return 0 })
	want(t, "late read of a value", v.Get(kept), 1)
	want(t, "late read of a computed value", c.Get(kept), 1)
	v.Set(2)
	want(t, "runs", len(*runs), 1)
}

func TestSettingAnEqualValueNotifiesNobody(t *testing.T) {
	sameParity := func(a, b int) bool { return a%2 == b%2 }
	for _, tc := range []struct {
		name  string
		value *signal.Value[int]
		sets  []int
		seen  []int
	}{
		{"New", signal.New(1), []int{1, 3, 3, 4}, []int{1, 1, 3, 3, 4}},
		{"NewComparable", signal.NewComparable(1), []int{1, 3, 3, 4}, []int{1, 3, 4}},
		{"NewEqual keeps the present value", signal.NewEqual(1, sameParity), []int{1, 3, 3, 4}, []int{1, 4}},
		{"NewEqual with nil", signal.NewEqual[int](1, nil), []int{1}, []int{1, 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			seen := record(t, tc.value.Get)
			for _, v := range tc.sets {
				tc.value.Set(v)
			}
			want(t, "seen", *seen, tc.seen)
		})
	}
}

func TestComputedIsLazyAndMemoised(t *testing.T) {
	v, other := signal.New(1), signal.New(0)
	evaluations := 0
	c := signal.Computed(func(tr *signal.Tracker) int { evaluations++; return 10 * v.Get(tr) })
	v.Set(2)
	want(t, "evaluations before the first read", evaluations, 0)
	want(t, "first read", c.Get(nil), 20)
	want(t, "second read", c.Get(nil), 20)
	other.Set(1)
	want(t, "read after an unrelated change", c.Get(nil), 20)
	want(t, "evaluations", evaluations, 1)
	v.Set(3)
	v.Set(4)
	want(t, "evaluations before it is read again", evaluations, 1)
	want(t, "read after the changes", c.Get(nil), 40)
	want(t, "evaluations", evaluations, 2)
}

func TestComputedOfAnInterfaceTypeMayBeNil(t *testing.T) {
	c := signal.Computed(func(*signal.Tracker) error { return nil })
	want(t, "value", c.Get(nil), nil)
}

func TestDependenciesAreCollectedInEachEvaluation(t *testing.T) {
	useA, a, b := signal.New(true), signal.New("a1"), signal.New("b1")
	evaluations := 0
	c := signal.Computed(func(tr *signal.Tracker) string {
		evaluations++
		if useA.Get(tr) {
			return a.Get(tr)
		}
		return b.Get(tr)
	})
	seen := record(t, c.Get)
	b.Set("b2")
	want(t, "after a change of what was not read", evaluations, 1)
	useA.Set(false)
	a.Set("a2")
	want(t, "after a change of what is no longer read", evaluations, 2)
	b.Set("b3")
	want(t, "seen", *seen, []string{"a1", "b2", "b3"})
}

func TestDiamondIsEvaluatedOncePerChange(t *testing.T) {
	v := signal.New(1)
	var order []string
	named := func(name string, f func(*signal.Tracker) int) *signal.ComputedValue[int] {
		return signal.Computed(func(tr *signal.Tracker) int {
			n := f(tr)
			order = append(order, name)
			return n
		})
	}
	left := named("left", func(tr *signal.Tracker) int { return v.Get(tr) })
	right := named("right", func(tr *signal.Tracker) int { return -v.Get(tr) })
	long := named("long", func(tr *signal.Tracker) int { return right.Get(tr) })
	join := named("join", func(tr *signal.Tracker) int { return left.Get(tr) + long.Get(tr) })
	seen := record(t, func(tr *signal.Tracker) int { return join.Get(tr) + left.Get(tr) })
	order = nil
	v.Set(2)
	want(t, "seen", *seen, []int{1, 2})
	want(t, "evaluations", order, []string{"left", "right", "long", "join"})
}

func TestEqualResultStopsPropagation(t *testing.T) {
	v := signal.New(1)
	parities, above := 0, 0
	for _, tc := range []struct {
		name   string
		parity *signal.ComputedValue[int]
	}{
		{"ComputedComparable", signal.ComputedComparable(func(tr *signal.Tracker) int { parities++; return v.Get(tr) % 2 })},
		{"ComputedEqual", signal.ComputedEqual(func(tr *signal.Tracker) int { parities++; return v.Get(tr) },
			func(a, b int) bool { return a%2 == b%2 })},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v.Set(1)
			parities, above = 0, 0
			text := signal.Computed(func(tr *signal.Tracker) bool { above++; return tc.parity.Get(tr)%2 == 0 })
			seen := record(t, text.Get)
			v.Set(3)
			v.Set(5)
			want(t, "evaluations of the parity", parities, 3)
			want(t, "evaluations of what depends on it", above, 1)
			v.Set(6)
			want(t, "seen", *seen, []bool{false, true})
			want(t, "evaluations of what depends on it", above, 2)
		})
	}
}

// Each diamond doubles the number of paths from the value to the effect.
func TestCostOfAChangeGrowsWithTheGraphNotWithItsPaths(t *testing.T) {
	v := signal.New(1)
	var top signal.Readable[uint64] = signal.Map(v, func(n int) uint64 { return uint64(n) })
	for range 60 {
		left := signal.Map(top, func(n uint64) uint64 { return n })
		right := signal.Map(top, func(n uint64) uint64 { return n })
		top = signal.Combine(left, right, func(a, b uint64) uint64 { return a + b })
	}
	seen := record(t, top.Get)
	v.Set(3)
	want(t, "untracked", signal.Map(top, func(n uint64) uint64 { return n }).Get(nil), 3<<60)
	want(t, "seen", *seen, []uint64{1 << 60, 3 << 60})
}

func TestDeepAndWideGraphs(t *testing.T) {
	const n = 2000
	v := signal.New(0)
	var top signal.Readable[int] = v
	for range n {
		top = signal.Map(top, func(n int) int { return n + 1 })
	}
	sum := signal.Computed(func(tr *signal.Tracker) int {
		sum := 0
		for range 3 {
			sum += top.Get(tr)
		}
		return sum
	})
	wide := make([]*signal.Value[int], n)
	for i := range wide {
		wide[i] = signal.New(i)
	}
	total := signal.Computed(func(tr *signal.Tracker) int {
		total := 0
		for _, v := range slices.Concat(wide, wide) {
			total += v.Get(tr)
		}
		return total
	})
	seen := record(t, signal.Combine(sum, total, func(a, b int) int { return a + b }).Get)
	v.Set(1)
	wide[n-1].Set(0)
	want(t, "seen", *seen, []int{
		3*n + n*(n-1),
		3*(n+1) + n*(n-1),
		3*(n+1) + (n-1)*(n-2),
	})
}

func TestMapFilterCombine(t *testing.T) {
	rows := signal.New([]int{5, 2, 8, 1})
	limit := signal.New(3)
	small := signal.Filter(rows, func(n int) bool { return n < 5 })
	count := signal.Map(small, func(rows []int) int { return len(rows) })
	missing := signal.Combine(count, limit, func(n, limit int) int { return limit - n })
	want(t, "Filter", small.Get(nil), []int{2, 1})
	want(t, "source of Filter", rows.Get(nil), []int{5, 2, 8, 1})
	seen := record(t, missing.Get)
	rows.Set([]int{1, 2, 3})
	limit.Set(5)
	want(t, "Combine", *seen, []int{1, 0, 2})
}

// A table is what another package builds on Source.
type table struct {
	signal.Source
	rows []string
}

func (q *table) Get(t *signal.Tracker) []string {
	q.Track(t)
	return q.rows
}

func (q *table) add(row string) {
	q.rows = append(slices.Clip(q.rows), row)
	q.Notify()
}

func TestSourceMakesOtherTypesSignals(t *testing.T) {
	q := new(table)
	seen := record(t, signal.Map(q, func(rows []string) int { return len(rows) }).Get)
	q.add("a")
	q.add("b")
	want(t, "seen", *seen, []int{0, 1, 2})
}

// Changes that are marked together are seen together, by effects that run when
// they are told to.
func TestMarkBelongsTogether(t *testing.T) {
	var a, b table
	both := signal.Combine(signal.Count(&a), signal.Count(&b), func(n, m int) [2]int { return [2]int{n, m} })
	seen := record(t, both.Get)
	rows := record(t, a.Get)
	a.rows, b.rows = []string{"x"}, []string{"y", "z"}
	want(t, "effects that are woken", signal.Mark(&a.Source, &b.Source), 2)
	want(t, "before they run", len(*seen)+len(*rows), 2)
	want(t, "read meanwhile", both.Get(nil), [2]int{1, 2})
	signal.Run()
	want(t, "seen", *seen, [][2]int{{0, 0}, {1, 2}})
	signal.Batch(func() {
		want(t, "effects that are woken in a batch", signal.Mark(&a.Source), 0)
		want(t, "runs in a batch", len(*rows), 2)
	})
	want(t, "runs after it", len(*rows), 3)
	want(t, "counts that stay the same", len(*seen), 2)
	signal.Mark(&a.Source)
	a.Source.Forget()
	signal.Run()
	want(t, "runs after changes that were taken back", len(*rows), 3)
	a.add("w")
	want(t, "runs after the next change", len(*rows), 4)
}
