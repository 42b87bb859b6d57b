package ankurah_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/signal"
	"github.com/ankurah/ankurah-go/storage/memory"
)

// move gives an entity another year.
func move(t *testing.T, s *ankurah.Session, id ankurah.ID, year int) {
	t.Helper()
	err := s.Update(t.Context(), func(tx *ankurah.Tx) error {
		e, err := albums.Edit(tx, id)
		if err != nil {
			return err
		}
		return e.Set("year", year)
	})
	if err != nil {
		t.Error(err)
	}
}

func length(rows []ankurah.Record) int { return len(rows) }

// old and young show every album between them, and no album twice.
func halves(t *testing.T, s *ankurah.Session) (old, young *ankurah.LiveQuery[ankurah.Record]) {
	t.Helper()
	old, err := albums.Query(t.Context(), s, "year < 2000")
	if err != nil {
		t.Fatal(err)
	}
	if young, err = albums.Query(t.Context(), s, "NOT year < 2000 ORDER BY year LIMIT 100"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(old.Close)
	t.Cleanup(young.Close)
	return old, young
}

// S22: what is derived of several live queries is told of each commit once, and
// sees all of it.
func TestSignalsChangeOnceForACommit(t *testing.T) {
	s := memorySession(t)
	id := create(t, s, ankurah.Fields{"name": "a", "year": 1990})
	create(t, s, ankurah.Fields{"name": "b", "year": 2010})
	old, young := halves(t, s)
	named := signal.Filter(old, func(r ankurah.Record) bool { return r.Fields()["name"] == "a" })
	counts := signal.Combine(signal.Count(named), signal.Map(young, length), func(a, b int) [2]int { return [2]int{a, b} })
	seen := make(chan [2]int, 100)
	e := signal.Effect(func(t *signal.Tracker) { seen <- counts.Get(t) })
	expect := func(want [2]int) {
		t.Helper()
		if got := <-seen; got != want {
			t.Fatalf("%v, want %v", got, want)
		}
	}
	expect([2]int{1, 1})
	for range 50 {
		move(t, s, id, 2005)
		expect([2]int{0, 2})
		move(t, s, id, 1985)
		expect([2]int{1, 1})
	}
	create(t, s, ankurah.Fields{"name": "c", "year": 1960}) // it changes nothing that is derived
	e.Close()
	<-e.Done()
	move(t, s, id, 2005)
	if n := len(seen); n > 0 {
		t.Errorf("%d runs too many, the first with %v", n, <-seen)
	}
}

// The values that Combine reads are of one moment, whoever commits meanwhile.
func TestCombinedSignalsAreOfOneMoment(t *testing.T) {
	s := memorySession(t)
	old, young := halves(t, s)
	var ids []ankurah.ID
	for range 4 {
		ids = append(ids, create(t, s, ankurah.Fields{"name": "a", "year": 1990}))
	}
	slowly := func(rows []ankurah.Record) int {
		time.Sleep(20 * time.Microsecond) // commits come between the two reads
		return len(rows)
	}
	sum := signal.Combine(signal.Map(old, slowly), young, func(n int, rows []ankurah.Record) int { return n + len(rows) })
	var torn, reads atomic.Int32
	e := signal.Effect(func(t *signal.Tracker) {
		if reads.Add(1); sum.Get(t) != len(ids) {
			torn.Add(1)
		}
	})
	defer e.Close()
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				if reads.Add(1); sum.Get(nil) != len(ids) {
					torn.Add(1)
				}
			}
		}
	})
	var writers sync.WaitGroup
	for k, id := range ids {
		writers.Go(func() {
			for n := range 150 {
				move(t, s, id, 1990+(n+k)%2*20)
			}
		})
	}
	writers.Wait()
	close(done)
	wg.Wait()
	if torn.Load() > 0 {
		t.Errorf("%d of %d reads saw a commit in part", torn.Load(), reads.Load())
	}
}

// What is derived costs nothing and keeps nothing once its owner is closed, and
// an effect that blocks holds up no other.
func TestSignalsEndWithTheirOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := openNode(t, memory.New(), nil)
		s := n.Session(policy.Principal{})
		old, _ := halves(t, s)
		var evaluations, runs atomic.Int32
		count := signal.Map(old, func(rows []ankurah.Record) int { evaluations.Add(1); return len(rows) })
		release := make(chan struct{})
		var first *signal.EffectHandle
		blocked := false
		first = signal.Effect(func(t *signal.Tracker) {
			if old.Get(t); blocked {
				<-release
			}
			blocked = true
		})
		second := signal.Effect(func(t *signal.Tracker) { count.Get(t); runs.Add(1) })
		create(t, s, ankurah.Fields{"name": "a", "year": 1990})
		synctest.Wait()
		if runs.Load() != 2 {
			t.Errorf("an effect ran %d times, not twice: one that blocks holds it up", runs.Load())
		}
		second.Close()
		<-second.Done()
		before := evaluations.Load()
		create(t, s, ankurah.Fields{"name": "b", "year": 1990})
		synctest.Wait()
		if runs.Load() != 2 || evaluations.Load() != before {
			t.Error("something is computed for an effect that is closed")
		}
		close(release)
		first.Close()
		<-first.Done()
	})
}

// Another order of the same rows is a change, too.
func TestSignalsHearOfAnotherOrder(t *testing.T) {
	s := memorySession(t)
	for year := range 3 {
		create(t, s, ankurah.Fields{"name": "a", "year": year})
	}
	q, err := albums.Query(t.Context(), s, "ORDER BY year")
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	first := signal.Map(q, func(rows []ankurah.Record) any { return rows[0].Fields()["year"] })
	seen := make(chan any, 10)
	e := signal.Effect(func(t *signal.Tracker) { seen <- first.Get(t) })
	defer e.Close()
	if err := q.SetSelection(t.Context(), "ORDER BY year DESC"); err != nil {
		t.Fatal(err)
	}
	if a, b := <-seen, <-seen; a != int64(0) || b != int64(2) {
		t.Errorf("the first row was %v, then %v", a, b)
	}
}

// A live aggregate and a live query change at once.
func TestSignalsOfAggregates(t *testing.T) {
	s := memorySession(t)
	all, err := albums.Query(t.Context(), s, "")
	if err != nil {
		t.Fatal(err)
	}
	defer all.Close()
	n, err := albums.QueryAggregate(t.Context(), s, "SELECT COUNT(*)")
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	count := signal.Map(n, func(g []ankurah.Group) any { return g[0].Values()[0] })
	seen := make(chan string, 100)
	e := signal.Effect(func(t *signal.Tracker) { seen <- fmt.Sprint(count.Get(t), len(all.Get(t))) })
	for k := range 20 {
		if k > 0 {
			create(t, s, ankurah.Fields{"name": "a", "year": k})
		}
		if got, want := <-seen, fmt.Sprint(k, k); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	}
	n.Close()
	e.Close()
	<-e.Done()
	if len(seen) > 0 {
		t.Errorf("%d runs too many", len(seen))
	}
}

// S55: of 1,000 subscribers one blocks for ever and one panics each time; the
// others, and who commits, do not notice.
func TestSubscribersDoNotNoticeEachOther(t *testing.T) {
	const subscribers, blocker, thrower, commits = 1000, 7, 8, 20
	log := &notebook{}
	s := openNode(t, memory.New(), &ankurah.NodeOptions{Logger: log, Policy: policy.Permissive{}}).Session(policy.Principal{Subject: "alice"})
	release := make(chan struct{})
	t.Cleanup(func() { close(release) }) // before the node is closed
	var got [subscribers]atomic.Int32    // rows that it was told of
	var effects [subscribers]atomic.Int32
	misbehave := func(k int) {
		switch k {
		case blocker:
			<-release
		case thrower:
			panic("a bug of subscriber 8")
		}
	}
	for k := range subscribers {
		// Every tenth has a query, and so a result, of its own.
		q, err := albums.Query(t.Context(), s, "year >= ?", -(k%10/9)*k)
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		q.OnChange(func(cs ankurah.ChangeSet[ankurah.Record]) {
			misbehave(k)
			got[k].Add(int32(len(cs.Changes)))
		})
		e := signal.Effect(func(t *signal.Tracker) {
			rows := q.Get(t)
			if len(rows) > 0 {
				misbehave(k)
			}
			effects[k].Store(int32(len(rows)))
		})
		defer e.Close()
	}
	for year := range commits {
		create(t, s, ankurah.Fields{"name": "a", "year": year})
	}
	told := func(counts *[subscribers]atomic.Int32) bool {
		for k := range counts {
			if k != blocker && k != thrower && counts[k].Load() != commits {
				return false
			}
		}
		return true
	}
	within(t, "all others have every row, once", func() bool { return told(&got) })
	within(t, "the effects of all others have seen the last commit", func() bool { return told(&effects) })
	within(t, "panics are logged", func() bool {
		return log.has("a live query's callback panicked", "subscriber 8") && log.has("an effect on a live query panicked", "subscriber 8")
	})
	for _, k := range []int{blocker, thrower} {
		if got[k].Load() != 0 || effects[k].Load() != 0 {
			t.Errorf("subscriber %d went on", k)
		}
	}
}

// A live query is a signal, of which others are derived.
func ExampleLiveQuery_Get() {
	ctx := context.Background()
	node, err := ankurah.OpenNode(ctx, memory.New(), &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}})
	if err != nil {
		panic(err)
	}
	defer node.Close()
	if err := node.EnsureSystem(ctx); err != nil {
		panic(err)
	}
	s := node.Session(policy.Principal{Subject: "alice"})
	albums := ankurah.Dynamic("album")
	all, err := albums.Query(ctx, s, "")
	if err != nil {
		panic(err)
	}
	defer all.Close()
	loved, err := albums.Query(ctx, s, "loved = TRUE")
	if err != nil {
		panic(err)
	}
	defer loved.Close()

	share := signal.Combine(signal.Count(loved), signal.Count(all), func(n, of int) string {
		return fmt.Sprintf("%d of %d", n, of)
	})
	lines := make(chan string, 1)
	e := signal.Effect(func(t *signal.Tracker) { lines <- share.Get(t) }) // runs once for each commit
	defer e.Close()
	fmt.Println(<-lines)
	for _, name := range []string{"Showbiz", "Absolution"} {
		err := s.Update(ctx, func(tx *ankurah.Tx) error {
			_, err := albums.Create(tx, &ankurah.Fields{"name": name, "loved": name == "Absolution"})
			return err
		})
		if err != nil {
			panic(err)
		}
		fmt.Println(<-lines)
	}
	// Output:
	// 0 of 0
	// 0 of 1
	// 1 of 2
}
