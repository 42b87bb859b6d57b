package reactor_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go/ankql/ankqltest"
	"github.com/ankurah/ankurah-go/internal/reactor"
	"github.com/ankurah/ankurah-go/schema"
)

var oraclePairs = flag.Int("oracle.pairs", 200_000, "(query, commit) pairs of the reactor's oracle")

// history is what happens in one run: which of the seed's queries are there,
// and which of its commits are made. Every one follows from the seed and its
// number alone, so that others can be left out.
type history struct {
	seed             uint64
	queries, commits []int
}

func numbers(n int) []int {
	out := make([]int, n)
	for k := range out {
		out[k] = k
	}
	return out
}

// trial makes a failed check a panic, which ends the run and not the test.
type trial struct{ testing.TB }

type failure string

func (trial) Helper()                      {}
func (trial) Fatal(args ...any)            { panic(failure(fmt.Sprint(args...))) }
func (trial) Fatalf(text string, a ...any) { panic(failure(fmt.Sprintf(text, a...))) }
func (trial) Errorf(text string, a ...any) { panic(failure(fmt.Sprintf(text, a...))) }
func (h history) stream(of, n int) *rand.Rand {
	return rand.New(rand.NewPCG(h.seed, uint64(of)<<32+uint64(n)))
}

// run returns how the rows of a query were not those of a fresh read after a
// commit, or what its report got wrong (S22, S51, S52), "" when all was right.
// An endless or panicking run is a failure, too.
func (h history) run(t testing.TB) (why string) {
	defer func() {
		if p := recover(); p != nil {
			why = fmt.Sprint(p)
		}
	}()
	m := ankqltest.Model()
	w, rx := newWorld(trial{t}), reactor.New()
	for n := range 10 {
		w.mutate(h.stream(0, n), m)
	}
	var st stats
	watchers := make([]*watcher, len(h.queries))
	at := map[reactor.Subscriber]*watcher{}
	for k, n := range h.queries {
		r := h.stream(1, n)
		watchers[k] = watch(w, w.selection(r, m), allowance(r), &st)
		rx.Add(watchers[k].q)
		at[watchers[k].q] = watchers[k]
	}
	for _, n := range h.commits {
		h.commit(w, rx, m, n, watchers, at)
	}
	return ""
}

func (h history) commit(w *world, rx *reactor.Reactor, m *schema.Model, n int, watchers []*watcher, at map[reactor.Subscriber]*watcher) {
	changes := w.mutate(h.stream(2, n), m)
	touched := map[*watcher]bool{}
	rx.Apply(changes, func(q reactor.Subscriber) { touched[at[q]] = true }, unfailing(w.t))
	for _, x := range watchers {
		x.since = [][]reactor.Change{changes}
		x.refill()
		x.fresh()
		reports := x.q.Take()
		if len(reports) > 0 && !touched[x] {
			w.t.Fatalf("%v changed and is not touched", x.q.Selection())
		}
		x.take(reports)
	}
}

func (h history) String() string {
	lit := func(n []int) string { return strings.ReplaceAll(strings.Trim(fmt.Sprint(n), "[]"), " ", ", ") }
	return fmt.Sprintf("{%d, []int{%s}, []int{%s}}", h.seed, lit(h.queries), lit(h.commits))
}

// shrink leaves queries and commits out of a history as long as it fails, more
// of them at a time first.
func shrink(h history, fails func(history) bool) history {
	less := func(all []int, with func([]int) history) []int {
		for size := (len(all) + 1) / 2; size > 0; size /= 2 {
			for k := 0; k < len(all); {
				fewer := slices.Delete(slices.Clone(all), k, min(k+size, len(all)))
				if fails(with(fewer)) {
					all = fewer
				} else {
					k += size
				}
			}
		}
		return all
	}
	for {
		before := len(h.queries) + len(h.commits)
		h.queries = less(h.queries, func(q []int) history { return history{h.seed, q, h.commits} })
		h.commits = less(h.commits, func(c []int) history { return history{h.seed, h.queries, c} })
		if len(h.queries)+len(h.commits) == before {
			return h
		}
	}
}

// S50–S53, over many (query, commit) pairs: a history that fails is shrunk to
// what it takes, and belongs into TestRegressions.
func TestHistories(t *testing.T) {
	const queries, commits = 100, 50
	pairs := *oraclePairs
	if testing.Short() {
		pairs /= 10
	}
	for seed := range uint64((pairs + queries*commits - 1) / (queries * commits)) {
		h := history{seed, numbers(queries), numbers(commits)}
		if h.run(t) == "" {
			continue
		}
		h = shrink(h, func(h history) bool { return h.run(t) != "" })
		t.Fatalf("%v: %s", h, h.run(t))
	}
}

// Histories that failed once, most of them with a fault of the router in place
// (TestMutantsAreCaught).
func TestRegressions(t *testing.T) {
	for _, h := range []history{
		{0, []int{94}, []int{48}},     // a branch of a disjunction was skipped, or the new value not looked up
		{0, []int{94}, []int{22}},     // the old value was not looked up
		{0, []int{91}, []int{47}},     // NOT was taken for its operand
		{0, []int{99}, []int{48}},     // residual queries were dropped
		{0, []int{88, 93}, []int{48}}, // half of the intervals were not looked at
		{0, []int{38}, []int{47}},     // elements of lists were not looked up
		{0, []int{94}, []int{47}},     // what came before a gap in a run of changes was forgotten
		{0, []int{97}, []int{38, 41}}, // a window was not refilled
	} {
		if why := h.run(t); why != "" {
			t.Errorf("%v: %s", h, why)
		}
	}
}

func TestShrink(t *testing.T) {
	tried := 0
	h := shrink(history{7, numbers(100), numbers(50)}, func(h history) bool {
		tried++
		return slices.Contains(h.queries, 41) && slices.Contains(h.commits, 3) && slices.Contains(h.commits, 30)
	})
	if h.String() != "{7, []int{41}, []int{3, 30}}" || tried > 100 {
		t.Errorf("%v after %d tries", h, tried)
	}
}
