package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/ankurahtest/pgtest"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/property"
	"github.com/ankurah/ankurah-go/property/lww"
	"github.com/ankurah/ankurah-go/storage/postgres"
	"github.com/ankurah/ankurah-go/storage/storagetest"
)

// held is an engine whose process hears of no other while it is held.
type held struct {
	*postgres.Engine
	mu     sync.Mutex
	holds  bool
	missed []func()
}

func (h *held) Watch(ctx context.Context, news func()) {
	h.Engine.Watch(ctx, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.holds {
			h.missed = append(h.missed, news)
			return
		}
		news()
	})
}

func (h *held) hold() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.holds = true
}

func (h *held) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.holds = false
	for _, news := range h.missed {
		news()
	}
	h.missed = nil
}

// S62: a server that has not heard of the others until the feed no longer has
// what they committed goes on: its live query gets the difference with its
// causes, it writes and hears as before, and nothing is lost. It finds out as it
// hears of them again, or as it commits, with the connections that it had or
// without.
func TestServerBehindTheTrim(t *testing.T) {
	for _, commits := range []bool{false, true} {
		for _, loses := range []bool{false, true} {
			t.Run(fmt.Sprintf("commits %t, loses its connections %t", commits, loses), func(t *testing.T) {
				behindTheTrim(t, commits, loses)
			})
		}
	}
}

func behindTheTrim(t *testing.T, commits, loses bool) {
	url := pgtest.New(t)
	const keep = 100 * time.Millisecond
	a := teller(t, url, true, keep)
	late := &held{Engine: open(t, url, &postgres.Options{Shared: true})}
	node, err := ankurah.OpenNode(t.Context(), late, &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}, FeedRetention: keep})
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	if err := node.EnsureSystem(t.Context()); err != nil {
		t.Fatal(err)
	}
	b := &follower{node: node, engine: late.Engine, session: node.Session(policy.Principal{Subject: "tester"}), folded: map[ankurah.ID]ankurah.Record{}}
	a.create(t, 5)
	b.create(t, 5)
	b.watch(t)
	agree(t, url, []*follower{b})
	here, err := node.FeedPosition(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rows, err := albums.Fetch(t.Context(), a.session, "")
	if err != nil {
		t.Fatal(err)
	}

	late.hold()
	trimmed := func() (err error) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		for _, err = range a.node.Changes(ctx, here) {
			break
		}
		return err
	}
	for n := 0; !errors.Is(trimmed(), ankurah.ErrTrimmed); n++ {
		if n == 3000 {
			t.Fatal("the feed is not trimmed")
		}
		err := a.session.Update(t.Context(), func(tx *ankurah.Tx) error {
			e, err := albums.Edit(tx, rows[n%len(rows)])
			if err == nil {
				err = e.Set("late", n)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	a.create(t, 3)
	if err := a.session.Update(t.Context(), func(tx *ankurah.Tx) error { return albums.Delete(tx, rows[0]) }); err != nil {
		t.Fatal(err)
	}
	if loses {
		if _, err := connect(t, url).Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"); err != nil {
			t.Fatal(err)
		}
	}
	if !commits {
		late.release()
	}
	err = b.session.Update(t.Context(), func(tx *ankurah.Tx) error { // when it does not hear of it, upon what it knows
		e, err := albums.Edit(tx, rows[1])
		if err == nil {
			err = e.Set("of b", true)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	agree(t, url, []*follower{b})
	if commits {
		late.release()
	}
	a.create(t, 2)
	agree(t, url, []*follower{b})
	a.hears(t, b)
	for _, s := range []*ankurah.Session{a.session, b.session} {
		if n, err := albums.Count(t.Context(), s, `"of b" = true`); err != nil || n != 1 {
			t.Errorf("what was acknowledged is there %d times, %v", n, err)
		}
	}
	if err := node.Err(); err != nil {
		t.Error(err)
	}
	storagetest.CheckWhole(t, a.engine, property.NewRegistry(lww.Kind))
}
