package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/ankurahtest/pgtest"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage/dump"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/storage/postgres"
)

// teller is a server that keeps its feed for some time.
func teller(t *testing.T, url string, shared bool, keep time.Duration) *follower {
	t.Helper()
	f := &follower{engine: open(t, url, &postgres.Options{Shared: shared})}
	var err error
	f.node, err = ankurah.OpenNode(t.Context(), f.engine, &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}, FeedRetention: keep})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.node.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := f.node.EnsureSystem(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.session = f.node.Session(policy.Principal{Subject: "tester"})
	return f
}

// create commits albums one by one and returns their transactions.
func (f *follower) create(t *testing.T, n int) (txs []ankurah.TxID) {
	t.Helper()
	for k := range n {
		tx := f.session.Begin()
		if _, err := albums.Create(tx, &ankurah.Fields{"n": k}); err != nil {
			t.Fatal(err)
		}
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		txs = append(txs, tx.ID())
	}
	return txs
}

// tell follows the feed for n commits and returns the position behind them.
func (f *follower) tell(t *testing.T, pos ankurah.Position, n int, each func(ankurah.Commit)) ankurah.Position {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if n == 0 {
		return pos
	}
	for c, err := range f.node.Changes(ctx, pos) {
		if err != nil {
			t.Fatal(err)
		}
		if c.Entities[0].Collection[0] == '_' {
			pos = c.Position
			continue // the system's beginning
		}
		each(c)
		if pos, n = c.Position, n-1; n == 0 {
			break
		}
	}
	return pos
}

// S62: the feeds of three servers are one line to who follows them, now on one
// server and now on another: each commit once, causes first. One of the servers
// is replaced by another meanwhile.
func TestFeedOfServers(t *testing.T) {
	url := pgtest.New(t)
	const each = 60
	var servers []*follower
	for range 3 {
		servers = append(servers, teller(t, url, true, 0))
	}
	servers[0].create(t, 1)
	rows, err := albums.Fetch(t.Context(), servers[0].session, "")
	if err != nil {
		t.Fatal(err)
	}
	shared := rows[0].ID()
	for _, s := range servers {
		s.tell(t, "", 1, func(ankurah.Commit) {}) // so it has heard of that
	}
	late := teller(t, url, true, 0)
	var mu sync.Mutex
	committed := map[ankurah.TxID]bool{}
	var work sync.WaitGroup
	for k, s := range servers {
		work.Go(func() {
			for n := range each {
				if k == 2 && n == each/2 {
					if err := s.node.Close(); err != nil {
						t.Error(err)
					}
					s = late // which has been there for a while
				}
				tx := s.session.Begin()
				e, err := albums.Edit(tx, shared)
				if err == nil {
					err = errors.Join(e.Set(fmt.Sprint("w", k), n), tx.Commit(context.Background()))
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				committed[tx.ID()] = true
				mu.Unlock()
			}
		})
	}
	told, events := map[ankurah.TxID]int{}, map[ankurah.ID]bool{}
	pos := ankurah.Position("")
	for left, k := 1+3*each, 0; left > 0; k++ {
		n := min(left, 1+k%7)
		pos = servers[k%2].tell(t, pos, n, func(c ankurah.Commit) {
			told[c.Tx]++
			for _, e := range c.Entities {
				for _, ev := range e.Events {
					for _, p := range ev.Parents {
						if !events[p] {
							t.Errorf("event %s of %s comes before its parent %s", ev.ID, c.Tx, p)
						}
					}
					if ev.Kind == ankurah.EventEdited && len(ev.Changes) != 1 {
						t.Errorf("event %s: %+v", ev.ID, ev.Changes)
					}
					events[ev.ID] = true
				}
			}
		})
		left -= n
	}
	work.Wait()
	for tx := range committed {
		if told[tx] != 1 {
			t.Errorf("%s was told %d times", tx, told[tx])
		}
	}
	if end, err := servers[0].node.FeedPosition(t.Context()); err != nil || len(told) != 1+3*each {
		t.Errorf("%d commits were told, %v", len(told), err)
	} else if end != pos {
		t.Errorf("the feed ends at %x, and was read up to %x", end, pos)
	}
}

// What was written while a store was not shared is told before what several
// servers have written since, and a position of then is good still.
func TestFeedOfAStoreThatGetsShared(t *testing.T) {
	url := pgtest.New(t)
	alone := teller(t, url, false, 0)
	want := alone.create(t, 5)
	var got []ankurah.TxID
	note := func(c ankurah.Commit) { got = append(got, c.Tx) }
	pos := alone.tell(t, "", 3, note)
	if err := errors.Join(alone.node.Close(), alone.engine.Close()); err != nil {
		t.Fatal(err)
	}
	alone = teller(t, url, false, 0) // another incarnation
	want = append(want, alone.create(t, 2)...)
	if err := errors.Join(alone.node.Close(), alone.engine.Close()); err != nil {
		t.Fatal(err)
	}
	a, b := teller(t, url, true, 0), teller(t, url, true, 0)
	for range 3 {
		want = append(append(want, a.create(t, 1)...), b.create(t, 1)...)
		b.tell(t, pos, len(want)-3, func(ankurah.Commit) {}) // it has heard of a
		a.tell(t, pos, len(want)-3, func(ankurah.Commit) {})
	}
	b.tell(t, pos, len(want)-3, note)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("told %s, want %s", got, want)
	}
	got = nil
	a.tell(t, "", len(want), note)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("from the beginning: told %s, want %s", got, want)
	}
}

// Feeds do not grow for ever: what is older than the retention goes, of all
// servers, and servers that are gone leave the list. Who follows too late hears
// of it, reads everything anew and goes on.
func TestFeedsAreTrimmed(t *testing.T) {
	url := pgtest.New(t)
	const keep = 300 * time.Millisecond
	db, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(context.Background())
	count := func(prefix string) (n int) {
		if err := db.QueryRow(t.Context(), "SELECT count(*) FROM _ankurah_meta WHERE starts_with(encode(key, 'escape'), $1)", prefix).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	gone := teller(t, url, true, keep)
	gone.create(t, 20)
	if err := gone.node.Close(); err != nil {
		t.Fatal(err)
	}
	a, b := teller(t, url, true, keep), teller(t, url, true, keep)
	b.create(t, 1)
	early, err := b.node.FeedPosition(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	begins := func(f *follower, pos ankurah.Position) error {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		for _, err := range f.node.Changes(ctx, pos) {
			return err
		}
		return nil
	}
	deadline := time.Now().Add(30 * time.Second)
	for !errors.Is(begins(a, early), ankurah.ErrTrimmed) || count("position/") != 3 { // what is trimmed, and the two that go on
		if time.Now().After(deadline) {
			t.Fatalf("%d positions and %d entries are left", count("position/"), count("feed/"))
		}
		a.create(t, 1)
		b.create(t, 1)
	}
	if n := count("feed/"); n > 500 {
		t.Errorf("%d entries are left", n)
	}
	if err := begins(b, ""); !errors.Is(err, ankurah.ErrTrimmed) {
		t.Errorf("from the beginning: %v", err)
	}
	if err := begins(b, "of something else"); !errors.Is(err, ankurah.ErrPosition) {
		t.Errorf("from no position: %v", err)
	}
	a.hears(t, b)
}

// The feeds of several servers go with a dump: in a store of one process they
// are told as one line, too, from a position that was taken before, and go on.
func TestFeedOfADump(t *testing.T) {
	url := pgtest.New(t)
	a, b := teller(t, url, true, 0), teller(t, url, true, 0)
	var want []ankurah.TxID
	for range 4 {
		want = append(want, a.create(t, 1)...)
		b.tell(t, "", len(want), func(ankurah.Commit) {}) // it has heard of that
		want = append(want, b.create(t, 1)...)
		a.tell(t, "", len(want), func(ankurah.Commit) {})
	}
	pos := b.tell(t, "", 3, func(ankurah.Commit) {})
	var stream bytes.Buffer
	if _, err := dump.Write(t.Context(), a.engine, &stream, nil); err != nil {
		t.Fatal(err)
	}
	copied := memory.New()
	defer copied.Close()
	if _, err := dump.Restore(t.Context(), copied, &stream, nil); err != nil {
		t.Fatal(err)
	}
	for range 2 { // it is opened twice, by processes one after the other
		s := node(t, copied)
		one := &follower{node: s.Node(), session: s}
		want = append(want, one.create(t, 2)...)
		var got []ankurah.TxID
		one.tell(t, pos, len(want)-3, func(c ankurah.Commit) { got = append(got, c.Tx) })
		if fmt.Sprint(got) != fmt.Sprint(want[3:]) {
			t.Errorf("told %s, want %s", got, want[3:])
		}
		if err := s.Node().Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := dump.Verify(t.Context(), copied, &dump.Options{Damage: func(err error) { t.Error(err) }}); err != nil {
		t.Fatal(err)
	}
}

// hears sees to it that the feed which f follows has what another server commits
// next, and nothing before it.
func (f *follower) hears(t *testing.T, other *follower) {
	t.Helper()
	now, err := other.node.FeedPosition(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := other.create(t, 1)
	f.tell(t, now, 1, func(c ankurah.Commit) {
		if c.Tx != want[0] {
			t.Errorf("told %s, want %s", c.Tx, want[0])
		}
	})
}
