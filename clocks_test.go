package ankurah_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/storage/pebble"
	"github.com/ankurah/ankurah-go/transport/local"
)

const (
	aDay  = 24 * time.Hour
	aYear = 365 * aDay
)

// wrongClock is a wall clock that is off, or that stands still.
type wrongClock struct {
	off   atomic.Int64 // nanoseconds
	still atomic.Int64 // Unix milliseconds, 0: it runs
}

func (c *wrongClock) set(off time.Duration) { c.off.Store(int64(off)) }

func (c *wrongClock) now() time.Time {
	if ms := c.still.Load(); ms != 0 {
		return time.UnixMilli(ms)
	}
	return time.Now().Add(time.Duration(c.off.Load()))
}

// process is a node on a folder, with a clock of its own.
type process struct {
	*ankurah.Node
	s   *ankurah.Session
	eng storage.Engine
}

// open starts a process, a client unless opts say durable.
func open(t *testing.T, dir string, opts *ankurah.NodeOptions) *process {
	t.Helper()
	eng, err := pebble.Open(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	n, err := ankurah.OpenNode(t.Context(), eng, opts)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{n, n.Session(policy.Principal{Subject: "alice"}), eng}
	t.Cleanup(func() { p.close(t) })
	if opts.Durable {
		if err := n.EnsureSystem(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func (p *process) close(t *testing.T) {
	t.Helper()
	if err := errors.Join(p.Node.Close(), p.eng.Close()); err != nil && !errors.Is(err, storage.ErrClosed) {
		t.Error(err)
	}
}

func serverOptions(c *wrongClock) *ankurah.NodeOptions {
	return &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}, Clock: c.now}
}

func clientOptions(c *wrongClock) *ankurah.NodeOptions { return &ankurah.NodeOptions{Clock: c.now} }

// dial connects a client until what is returned is called.
func dial(t *testing.T, client, server *process) (cut func()) {
	t.Helper()
	c := local.Dial(client, server, []byte("alice"))
	t.Cleanup(c.Close)
	if err := c.WaitConnected(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := client.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c.Close
}

// history returns the IDs of an album's events, in the order of their arrival,
// and its name.
func (p *process) history(t *testing.T, id ankurah.ID) (events []ankurah.ID, name any) {
	t.Helper()
	for e, err := range albums.History(t.Context(), p.s, id) {
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, e.ID)
	}
	a, err := albums.Get(t.Context(), p.s, id)
	if err != nil {
		t.Fatal(err)
	}
	name, _ = a.Get("name")
	return events, name
}

// accepted waits until everything that a client did is accepted.
func (p *process) accepted(t *testing.T) {
	t.Helper()
	within(t, "the server accepts everything", func() bool { return p.Pending() == 0 })
}

// S4: the clock of a client is a day off when it first connects. What it makes
// has the server's time.
func TestClientClockOffByADay(t *testing.T) {
	for _, off := range []time.Duration{aDay, -aDay} {
		t.Run(off.String(), func(t *testing.T) {
			clock := &wrongClock{}
			clock.set(off)
			server := open(t, t.TempDir(), serverOptions(&wrongClock{}))
			client := open(t, t.TempDir(), clientOptions(clock))
			dial(t, client, server)
			id := create(t, client.s, ankurah.Fields{"name": "a"})
			client.accepted(t)
			events, name := server.history(t, id)
			if away := time.Since(events[0].Stamp().Time()).Abs(); away > time.Minute {
				t.Errorf("the event is %v away from the server's time", away)
			}
			if name != "a" {
				t.Errorf("name %v", name)
			}
		})
	}
}

// S4: a client's clock goes wrong while it is away. What it made offline is
// accepted with its ID and its order; what was too early is made again.
func TestClientClockGoesWrongOffline(t *testing.T) {
	for _, off := range []time.Duration{aDay, -aDay, aYear, -aYear} {
		t.Run(off.String(), func(t *testing.T) {
			clock := &wrongClock{}
			server := open(t, t.TempDir(), serverOptions(&wrongClock{}))
			dir := t.TempDir()
			client := open(t, dir, clientOptions(clock))
			cut := dial(t, client, server)
			old := create(t, client.s, ankurah.Fields{"name": "before"})
			client.accepted(t)
			cut()
			client.close(t)

			clock.set(off)
			client = open(t, dir, clientOptions(clock))
			fresh := create(t, client.s, ankurah.Fields{"name": "offline"})
			update(t, client.s, fresh, ankurah.Fields{"name": "offline, later"})
			update(t, client.s, old, ankurah.Fields{"name": "after"})
			dial(t, client, server)
			client.accepted(t)
			for id, want := range map[ankurah.ID]string{fresh: "offline, later", old: "after"} {
				events, name := server.history(t, id)
				if name != want {
					t.Errorf("name %v, want %s", name, want)
				}
				if len(events) != 2 || !slices.IsSortedFunc(events, ankurah.ID.Compare) {
					t.Errorf("events %v", events)
				}
				if ahead := time.Until(events[1].Stamp().Time()); ahead > 2*time.Minute {
					t.Errorf("the server holds an event that is %v ahead", ahead)
				}
			}
			// The next writer wins, whoever it is (S3).
			update(t, server.s, old, ankurah.Fields{"name": "the server's"})
			if _, name := server.history(t, old); name != "the server's" {
				t.Errorf("name %v", name)
			}
		})
	}
}

// S30: a client that was never connected cannot know the time, or the system:
// it says so, and works once it was.
func TestOfflineAtFirstStart(t *testing.T) {
	clock := &wrongClock{}
	clock.set(-aDay)
	client := open(t, t.TempDir(), clientOptions(clock))
	tx := client.s.Begin()
	if _, err := albums.Create(tx, &ankurah.Fields{"name": "a"}); !errors.Is(err, ankurah.ErrNotReady) && !errors.Is(err, ankurah.ErrNoSystem) {
		t.Errorf("a creation before the first connection: %v", err)
	}
	tx.Rollback()
	server := open(t, t.TempDir(), serverOptions(&wrongClock{}))
	dial(t, client, server)
	create(t, client.s, ankurah.Fields{"name": "a"})
	client.accepted(t)
}

// S4: a server's clock jumps a year ahead and back, with and without a restart.
// Nobody is refused, and order stays.
func TestServerClockJumpsAYearAndBack(t *testing.T) {
	for _, restart := range []bool{false, true} {
		clock, dir := &wrongClock{}, t.TempDir()
		server := open(t, dir, serverOptions(clock))
		client := open(t, t.TempDir(), clientOptions(&wrongClock{}))
		cut := dial(t, client, server)
		id := create(t, client.s, ankurah.Fields{"name": "0"})
		client.accepted(t)
		jump := func(off time.Duration) {
			clock.set(off)
			if restart {
				cut()
				server.close(t)
				server = open(t, dir, serverOptions(clock))
				cut = dial(t, client, server)
			}
		}
		for k, off := range []time.Duration{aYear, 0, -aYear, 0} {
			jump(off)
			update(t, server.s, id, ankurah.Fields{"name": "the server's"})
			if !restart {
				within(t, "the client hears", func() bool {
					a, err := albums.Get(t.Context(), client.s, id)
					if err != nil {
						return false
					}
					name, _ := a.Get("name")
					return name == "the server's"
				})
			} else if _, err := albums.Get(t.Context(), client.s, id); err != nil {
				t.Fatal(err)
			}
			update(t, client.s, id, ankurah.Fields{"name": "the client's"})
			client.accepted(t)
			events, name := server.history(t, id)
			if name != "the client's" || len(events) != 3+2*k || !slices.IsSortedFunc(events, ankurah.ID.Compare) {
				t.Fatalf("restart %t, the clock is off by %v: name %v, events %v", restart, off, name, events)
			}
		}
	}
}

// S1: a clock that stands still: more IDs than the counter has readings for
// carry into the milliseconds, and all are different and in order.
func TestCounterOverflow(t *testing.T) {
	clock := &wrongClock{}
	const ms = 1_700_000_000_000
	clock.still.Store(ms)
	opts := serverOptions(clock)
	server := openNode(t, memory.New(), opts).Session(policy.Principal{Subject: "alice"})
	seen := map[ankurah.ID]bool{}
	var last ankurah.ID
	for range 4 {
		err := server.Update(t.Context(), func(tx *ankurah.Tx) error {
			for range 10_000 {
				a, err := albums.Create(tx, &ankurah.Fields{})
				if err != nil {
					return err
				}
				if id := a.ID(); seen[id] || id.Compare(last) <= 0 {
					t.Fatalf("%s comes after %s", id, last)
				}
				last = a.ID()
				seen[last] = true
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := last.Stamp().Millis(); got != ms+1 {
		t.Errorf("80,000 readings of a clock that stands at %d lead to %d, not to the next millisecond", uint64(ms), got)
	}
}

// S3: a clock that was stepped back while the process was down changes nothing:
// what comes later has the greater ID.
func TestRestartWithTheClockSteppedBack(t *testing.T) {
	clock, dir := &wrongClock{}, t.TempDir()
	clock.set(time.Hour)
	server := open(t, dir, serverOptions(clock))
	first := create(t, server.s, ankurah.Fields{"name": "a"})
	other := create(t, server.s, ankurah.Fields{"name": "b"})
	server.close(t)
	clock.set(-time.Hour)
	server = open(t, dir, serverOptions(clock))
	if third := create(t, server.s, ankurah.Fields{"name": "c"}); third.Compare(other) <= 0 {
		t.Errorf("%s, made later, is before %s", third, other)
	}
	update(t, server.s, first, ankurah.Fields{"name": "later"})
	if events, name := server.history(t, first); name != "later" || !slices.IsSortedFunc(events, ankurah.ID.Compare) {
		t.Errorf("name %v, events %v", name, events)
	}
}

// S3: one process owns a store. That this holds for another process too is
// tested in storage/pebble.
func TestTwoProcessesOnOneStore(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, serverOptions(&wrongClock{}))
	if _, err := pebble.Open(t.Context(), dir, nil); !errors.Is(err, storage.ErrLocked) {
		t.Errorf("the second: %v", err)
	}
}

// S3, S8: a copy made by Backup is a store of its own; a plain copy of a folder
// is one when it is opened as restored. Either way clients that know newer
// things take what it has.
func TestCopiedServerStore(t *testing.T) {
	for _, plain := range []bool{false, true} {
		clock, dir := &wrongClock{}, t.TempDir()
		server := open(t, dir, serverOptions(clock))
		client := open(t, t.TempDir(), clientOptions(clock))
		cut := dial(t, client, server)
		id := create(t, server.s, ankurah.Fields{"name": "copied"})
		copied := filepath.Join(t.TempDir(), "copy")
		opts := serverOptions(clock)
		if plain {
			cut()
			server.close(t)
			if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			server = open(t, dir, serverOptions(clock))
			cut = dial(t, client, server)
			opts.Restored = true
		} else if err := server.Backup(t.Context(), copied); err != nil {
			t.Fatal(err)
		}
		was := server.ID()
		for range 3 {
			update(t, server.s, id, ankurah.Fields{"name": "lost"})
		}
		q, err := albums.Query(t.Context(), client.s, "")
		if err != nil {
			t.Fatal(err)
		}
		if err := q.WaitSynced(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := names(q.Rows()); !slices.Equal(got, []string{"lost"}) {
			t.Fatalf("rows %v", got)
		}
		cut()
		server.close(t)

		server = open(t, copied, opts)
		if !plain && server.ID() == was {
			t.Error("the copy has the node ID of the original")
		}
		dial(t, client, server)
		within(t, "the client has what the copy has", func() bool { return slices.Equal(names(q.Rows()), []string{"copied"}) })
		update(t, client.s, id, ankurah.Fields{"name": "goes on"})
		client.accepted(t)
		if events, name := server.history(t, id); name != "goes on" || len(events) != 2 {
			t.Errorf("name %v, events %v", name, events)
		}
		q.Close()
	}
}

// S27: of a client's folder that was copied with transactions in its outbox,
// both send those; they are stored once. What each makes afterwards is its own.
func TestCopiedClientStore(t *testing.T) {
	clock, dir := &wrongClock{}, t.TempDir()
	server := open(t, t.TempDir(), serverOptions(clock))
	client := open(t, dir, clientOptions(clock))
	dial(t, client, server)()
	shared := create(t, client.s, ankurah.Fields{"name": "shared"})
	client.close(t)
	copied := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	ids := map[ankurah.ID]bool{shared: true}
	for _, d := range []string{dir, copied} {
		c := open(t, d, clientOptions(clock))
		dial(t, c, server)
		ids[create(t, c.s, ankurah.Fields{"name": "own"})] = true
		c.accepted(t)
	}
	rows, err := albums.Fetch(t.Context(), server.s, "")
	if err != nil || len(rows) != 3 || len(ids) != 3 {
		t.Errorf("%d rows of %d IDs: %v", len(rows), len(ids), err)
	}
	if events, _ := server.history(t, shared); len(events) != 1 {
		t.Errorf("events %v", events)
	}
}
