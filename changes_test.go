package ankurah_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/memory"
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
	<-ctx.Done()
}

// S62: a server that has nothing to commit stays in the list of those that the
// others listen to, as long as it hears of them; one that is gone leaves it. A
// server that has heard of nothing for so long that the feeds no longer say what
// it has missed stops, and as it begins anew it knows everything.
func TestServersThatAreSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &common{Engine: memory.New()}
		defer store.Close()
		begin := func() *ankurah.Session {
			n, err := ankurah.OpenNode(t.Context(), store, &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}, FeedRetention: 5 * time.Hour, CacheSize: 1})
			if err != nil {
				t.Fatal(err)
			}
			if err := n.EnsureSystem(t.Context()); err != nil {
				t.Fatal(err)
			}
			return n.Session(policy.Principal{Subject: "tester"})
		}
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
		a, b, gone := begin(), begin(), begin()
		create(t, b, ankurah.Fields{"name": "of b"})
		create(t, gone, ankurah.Fields{"name": "of another"})
		synctest.Wait()
		if err := gone.Node().Close(); err != nil {
			t.Fatal(err)
		}
		work := func(hours int) {
			for range 4 * hours {
				time.Sleep(15 * time.Minute)
				create(t, a, ankurah.Fields{"name": "of a"})
				synctest.Wait()
			}
		}
		work(20)
		if n := listed(); n != 2 {
			t.Errorf("%d servers are listed", n)
		}
		create(t, b, ankurah.Fields{"name": "of b again"})
		synctest.Wait()
		if n, err := albums.Count(t.Context(), a, "name LIKE 'of b%'"); err != nil || n != 2 {
			t.Errorf("the other server shows %d, %v", n, err)
		}

		store.mu.Lock()
		store.deaf = true
		store.mu.Unlock()
		work(20)
		tx := b.Begin()
		if _, err := albums.Create(tx, &ankurah.Fields{"name": "of b, late"}); err != nil {
			t.Fatal(err)
		}
		if err := tx.Commit(t.Context()); err == nil || !strings.Contains(err.Error(), "has not heard for so long of others") {
			t.Errorf("a commit of who has missed much: %v", err)
		}
		<-b.Node().Failed()
		if b.Node().Err() == nil {
			t.Error("it has failed and does not say why")
		}
		late := begin()
		all, err := albums.Count(t.Context(), a, "")
		if err != nil {
			t.Fatal(err)
		}
		if n, err := albums.Count(t.Context(), late, ""); err != nil || n < all {
			t.Errorf("a new server shows %d of %d, %v", n, all, err)
		}
		for _, s := range []*ankurah.Session{a, b, late} {
			if err := s.Node().Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
