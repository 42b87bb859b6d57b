package ankurah_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/transport/local"
)

// entriesLeft counts the feed entries of a store.
func entriesLeft(t *testing.T, e storage.Engine) (n int) {
	t.Helper()
	snap, err := e.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	for _, err := range snap.MetaRange(t.Context(), []byte("feed/"), []byte("feed0")) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// told reads what the feed has behind a position.
func told(t *testing.T, n *ankurah.Node, after ankurah.Position) (all []ankurah.Commit, err error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	end, err := n.FeedPosition(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if end == after {
		return nil, nil
	}
	for c, err := range n.Changes(ctx, after) {
		if err != nil {
			return all, err
		}
		all = append(all, c)
		if c.Position == end {
			break
		}
	}
	return all, nil
}

// The feed is kept for the retention, across restarts and whatever the store's
// age. Who comes later is told so, and can go on from where the feed ends.
func TestFeedIsTrimmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		defer store.Close()
		const keep = 10 * time.Hour
		begin := func() *ankurah.Session {
			n, err := ankurah.OpenNode(t.Context(), store, &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}, FeedRetention: keep})
			if err != nil {
				t.Fatal(err)
			}
			if err := n.EnsureSystem(t.Context()); err != nil {
				t.Fatal(err)
			}
			return n.Session(policy.Principal{Subject: "tester"})
		}
		s := begin()
		var middle ankurah.Position
		for k := range 60 { // an hour each
			if k == 20 || k == 41 {
				if err := s.Node().Close(); err != nil {
					t.Fatal(err)
				}
				s = begin()
			}
			time.Sleep(time.Hour)
			create(t, s, ankurah.Fields{"name": fmt.Sprint(k)})
			synctest.Wait()
			if k == 30 {
				var err error
				if middle, err = s.Node().FeedPosition(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if left := entriesLeft(t, store); k > 12 && (left < 10 || left > 14) {
				t.Errorf("after %d hours %d entries are left", k, left)
			}
		}
		n := s.Node()
		for _, pos := range []ankurah.Position{"", middle} {
			if all, err := told(t, n, pos); !errors.Is(err, ankurah.ErrTrimmed) || len(all) > 0 {
				t.Errorf("from %x: %d commits, %v", pos, len(all), err)
			}
		}
		if _, err := told(t, n, "nowhere"); !errors.Is(err, ankurah.ErrPosition) {
			t.Errorf("from nowhere: %v", err)
		}
		end, err := n.FeedPosition(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		who := create(t, s, ankurah.Fields{"name": "last"})
		all, err := told(t, n, end)
		if err != nil || len(all) != 1 || all[0].Entities[0].ID != who {
			t.Errorf("from the end: %+v, %v", all, err)
		}
		if all, err := told(t, n, all[0].Position); err != nil || len(all) > 0 {
			t.Errorf("behind the last: %+v, %v", all, err)
		}
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// A clock that jumps ahead makes everything old at once; what has just come is
// told all the same.
func TestFeedOutlivesAJumpOfTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		defer store.Close()
		ahead := time.Duration(0)
		n, err := ankurah.OpenNode(t.Context(), store, &ankurah.NodeOptions{
			Durable: true, Policy: policy.Permissive{}, Clock: func() time.Time { return time.Now().Add(ahead) },
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := n.EnsureSystem(t.Context()); err != nil {
			t.Fatal(err)
		}
		s := n.Session(policy.Principal{Subject: "tester"})
		create(t, s, ankurah.Fields{"name": "first"})
		time.Sleep(time.Hour)
		pos, err := n.FeedPosition(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		create(t, s, ankurah.Fields{"name": "before"})
		ahead = 365 * 24 * time.Hour
		create(t, s, ankurah.Fields{"name": "after"})
		create(t, s, ankurah.Fields{"name": "and again"})
		synctest.Wait()
		if all, err := told(t, n, pos); err != nil || len(all) != 3 {
			t.Errorf("%d commits, %v", len(all), err)
		}
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// What is told of an event holds what was there before it, however long the
// entity's history is, and however many snapshots the reading takes.
func TestFeedTellsWhatWasBefore(t *testing.T) {
	s := memorySession(t)
	who := create(t, s, ankurah.Fields{"n": 0})
	const edits = 3000
	for k := range edits {
		err := s.Update(t.Context(), func(tx *ankurah.Tx) error {
			e, err := albums.Edit(tx, who)
			if err == nil {
				err = e.Set("n", k+1)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	all, err := told(t, s.Node(), "")
	if err != nil || len(all) != edits+2 { // and the system
		t.Fatalf("%d commits, %v", len(all), err)
	}
	for k, c := range all[2:] {
		got := c.Entities[0].Events
		if len(got) != 1 || fmt.Sprint(got[0].Changes) != fmt.Sprintf("[{n %d %d}]", k, k+1) {
			t.Fatalf("edit %d: %+v", k, got)
		}
	}
}

// common is a store that several nodes have open; they hear of each other when
// it says so.
type common struct {
	storage.Engine
	mu    sync.Mutex
	hears []func()
	deaf  bool
}

func (c *common) Info() storage.Info {
	info := c.Engine.Info()
	info.Shared = true
	return info
}

func (c *common) Commit(ctx context.Context, b *storage.Batch) (storage.Result, error) {
	res, err := c.Engine.Commit(ctx, b)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.hears {
		if !c.deaf {
			go f()
		}
	}
	return res, err
}

func (c *common) Watch(ctx context.Context, news func()) {
	c.mu.Lock()
	c.hears = append(c.hears, news)
	c.mu.Unlock()
	news() // of what came before
	<-ctx.Done()
}

// server opens a node on the store.
func (c *common) server(t *testing.T, keep time.Duration) *ankurah.Session {
	t.Helper()
	n, err := ankurah.OpenNode(t.Context(), c, &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}, FeedRetention: keep, CacheSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.EnsureSystem(t.Context()); err != nil {
		t.Fatal(err)
	}
	return n.Session(policy.Principal{Subject: "tester"})
}

func (c *common) setDeaf(deaf bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deaf = deaf
}

// S62: a server that has nothing to commit stays in the list of those that the
// others listen to, as long as it hears of them; one that is gone leaves it.
func TestServersThatAreSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &common{Engine: memory.New()}
		defer store.Close()
		listed := func() (n int) {
			snap, err := store.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			defer snap.Close()
			for _, err := range snap.MetaRange(t.Context(), []byte("position/\x00"), []byte("position0")) {
				if err != nil {
					t.Fatal(err)
				}
				n++
			}
			return n
		}
		const keep = 5 * time.Hour
		a, b, gone := store.server(t, keep), store.server(t, keep), store.server(t, keep)
		create(t, b, ankurah.Fields{"name": "of b"})
		create(t, gone, ankurah.Fields{"name": "of another"})
		synctest.Wait()
		if err := gone.Node().Close(); err != nil {
			t.Fatal(err)
		}
		for range 80 {
			time.Sleep(15 * time.Minute)
			create(t, a, ankurah.Fields{"name": "of a"})
			synctest.Wait()
		}
		if n := listed(); n != 2 {
			t.Errorf("%d servers are listed", n)
		}
		create(t, b, ankurah.Fields{"name": "of b again"})
		synctest.Wait()
		if n, err := albums.Count(t.Context(), a, "name LIKE 'of b%'"); err != nil || n != 2 {
			t.Errorf("the other server shows %d, %v", n, err)
		}
		for _, s := range []*ankurah.Session{a, b} {
			if err := s.Node().Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// S62: a server that has heard of nothing for so long that the feeds no longer
// say what it has missed goes on all the same: it publishes what is stored, its
// live queries get the difference as one change set with its causes, and its
// clients come again. Nothing that it acknowledged is lost.
func TestServerBehindTheTrim(t *testing.T) {
	for _, commits := range []bool{false, true} { // it finds out as it hears of the others, or as it commits
		t.Run(fmt.Sprint("commits ", commits), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { behindTheTrim(t, commits) })
		})
	}
}

func behindTheTrim(t *testing.T, commits bool) {
	store := &common{Engine: memory.New()}
	defer store.Close()
	const keep = 5 * time.Hour
	a, b := store.server(t, keep), store.server(t, keep)
	var old []ankurah.ID
	for k := range 8 {
		old = append(old, create(t, a, ankurah.Fields{"name": fmt.Sprint("album ", k), "year": 1960 + k}))
	}
	mine := create(t, b, ankurah.Fields{"name": "of b", "year": 2001})
	synctest.Wait()

	client := openClient(t)
	c := local.Dial(client, b.Node(), []byte("tester")) // it does not connect again by itself
	if err := client.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	queries := []string{"", "year > 1963", "ORDER BY year DESC LIMIT 3", "year < 1970 ORDER BY name LIMIT 2"}
	var watched []*folded
	for _, s := range []*ankurah.Session{b, client.Session(policy.Principal{Subject: "tester"})} {
		for _, text := range queries {
			watched = append(watched, watch(t, s, text))
		}
	}
	totals, err := albums.QueryAggregate(t.Context(), b, "SELECT COUNT(*), SUM(year)")
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	totals.OnChange(func([]ankurah.GroupChange) { told++ })
	synctest.Wait()
	early, err := b.Node().FeedPosition(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	store.setDeaf(true)
	for k := range 80 {
		time.Sleep(15 * time.Minute)
		err := a.Update(t.Context(), func(tx *ankurah.Tx) error {
			e, err := albums.Edit(tx, old[k%5])
			if err == nil {
				err = errors.Join(e.Set("year", 1950+k), e.Set("late", k))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		switch k {
		case 10:
			create(t, a, ankurah.Fields{"name": "a new one", "year": 2010})
		case 20:
			if err := a.Update(t.Context(), func(tx *ankurah.Tx) error { return albums.Delete(tx, old[7]) }); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
	}
	for _, f := range watched {
		f.sets, f.events = 0, 0
	}
	told = 0
	store.setDeaf(false)
	if commits { // upon what it knows
		err := b.Update(t.Context(), func(tx *ankurah.Tx) error {
			one, err := albums.Edit(tx, mine)
			if err == nil {
				err = one.Set("year", 2002)
			}
			two, failed := albums.Edit(tx, old[0])
			if failed == nil {
				failed = two.Set("of b", true)
			}
			return errors.Join(err, failed)
		})
		if err != nil {
			t.Fatal(err)
		}
	} else {
		create(t, a, ankurah.Fields{"name": "heard of", "year": 2020})
	}
	synctest.Wait()
	if err := b.Node().Err(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-c.Done():
	default:
		t.Fatal("the client is not cut")
	}
	c = local.Dial(client, b.Node(), []byte("tester"))
	synctest.Wait()

	want := map[string][]string{}
	fresh := store.server(t, keep)
	for _, text := range queries {
		want[text] = rowsOf(t, fresh, text)
	}
	for k, f := range watched {
		if got := rowsOf(t, f.s, f.text); !slices.Equal(got, want[f.text]) {
			t.Errorf("%q: %q, stored is %q", f.text, got, want[f.text])
		}
		var live, sums []string
		for _, r := range f.q.Rows() {
			live, sums = append(live, fmt.Sprint(r.ID(), r.Fields())), append(sums, f.rows[r.ID()])
		}
		if !slices.Equal(live, want[f.text]) || !slices.Equal(sums, want[f.text]) || len(f.rows) != len(sums) {
			t.Errorf("%q: live %q, told %q, stored is %q", f.text, live, f.rows, want[f.text])
		}
		if local := k < len(queries); local && f.sets > 1 && !commits {
			t.Errorf("%q hears of %d change sets", f.text, f.sets)
		} else if local && f.text == "" && f.events < 80 {
			t.Errorf("only %d events are told as causes", f.events)
		}
	}
	if got, want := fmt.Sprint(totals.Value().Values()...), aggregate(t, fresh, "SELECT COUNT(*), SUM(year)"); got != want || told != 1 && !commits {
		t.Errorf("the aggregate is %s, told in %d steps, want %s", got, told, want)
	}
	if commits {
		if n, err := albums.Count(t.Context(), fresh, `year = 2002 AND name = 'of b'`); err != nil || n != 1 {
			t.Errorf("what it acknowledged is there %d times, %v", n, err)
		}
	}
	for _, err := range b.Node().Changes(t.Context(), early) {
		if !errors.Is(err, ankurah.ErrTrimmed) {
			t.Errorf("who follows its feed from before: %v", err)
		}
		break
	}

	create(t, a, ankurah.Fields{"name": "the last", "year": 2030}) // it hears of others as before
	synctest.Wait()
	for _, f := range watched {
		want := rowsOf(t, fresh, f.text)
		var live []string
		for _, r := range f.q.Rows() {
			live = append(live, fmt.Sprint(r.ID(), r.Fields()))
		}
		if !slices.Equal(live, want) {
			t.Errorf("%q later: %q, stored is %q", f.text, live, want)
		}
	}
	c.Close()
	if err := errors.Join(a.Node().Close(), b.Node().Close(), fresh.Node().Close()); err != nil {
		t.Fatal(err)
	}
}

// folded is a live query, and what its change sets lead to.
type folded struct {
	s            *ankurah.Session
	q            *ankurah.LiveQuery[ankurah.Record]
	text         string
	rows         map[ankurah.ID]string
	sets, events int
}

func watch(t *testing.T, s *ankurah.Session, text string) *folded {
	t.Helper()
	q, err := albums.Query(t.Context(), s, text)
	if err == nil {
		err = q.WaitSynced(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	f := &folded{s: s, q: q, text: text, rows: map[ankurah.ID]string{}}
	q.OnChange(func(cs ankurah.ChangeSet[ankurah.Record]) {
		f.sets++
		for _, c := range cs.Changes {
			f.events += len(c.Events)
			if c.Kind == ankurah.Removed {
				delete(f.rows, c.ID())
			} else {
				f.rows[c.ID()] = fmt.Sprint(c.ID(), c.After.Fields())
			}
		}
	})
	return f
}

func rowsOf(t *testing.T, s *ankurah.Session, text string) (out []string) {
	t.Helper()
	rows, err := albums.Fetch(t.Context(), s, text)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		out = append(out, fmt.Sprint(r.ID(), r.Fields()))
	}
	return out
}
