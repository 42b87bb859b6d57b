package ankurah_test

import (
	"context"
	"errors"
	"testing"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/memory"
)

// gated is an engine whose commits are readable at once, as Pebble's are, but
// durable only when the test says so.
type gated struct {
	storage.Engine
	applied chan struct{} // a commit is readable
	durable chan error    // lets it return
}

func (g *gated) Commit(ctx context.Context, b *storage.Batch) (storage.Result, error) {
	res, err := g.Engine.Commit(ctx, b)
	if err != nil || g.applied == nil {
		return res, err
	}
	g.applied <- struct{}{}
	return res, <-g.durable
}

// S23: nothing of a commit leaves the node before it is durable, though the
// engine would show it.
func TestNothingLeavesBeforeItIsDurable(t *testing.T) {
	g := &gated{Engine: memory.New()}
	n := openNode(t, g, nil)
	s, ctx := n.Session(policy.Principal{}), t.Context()
	id := create(t, s, ankurah.Fields{"name": "old"})
	q, err := albums.Query(ctx, s, "")
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	look := func(want string, rows int) {
		t.Helper()
		v, err := albums.Get(ctx, s, id)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := v.Get("name"); got != want {
			t.Errorf("Get shows %v, want %s", got, want)
		}
		if fetched, err := albums.Fetch(ctx, s, "name = ?", want); err != nil || len(fetched) != 1 {
			t.Errorf("Fetch: %v, %v", names(fetched), err)
		}
		if k, err := albums.Count(ctx, s, ""); err != nil || k != int64(rows) {
			t.Errorf("Count = %d, %v, want %d", k, err, rows)
		}
		if got := len(q.Rows()); got != rows {
			t.Errorf("the live query has %d rows, want %d", got, rows)
		}
	}
	g.applied, g.durable = make(chan struct{}), make(chan error)
	done := make(chan error)
	go func() {
		done <- s.Update(ctx, func(tx *ankurah.Tx) error {
			e, err := albums.Edit(tx, id)
			if err != nil {
				return err
			}
			_, err = albums.Create(tx, &ankurah.Fields{"name": "second"})
			return errors.Join(err, e.Set("name", "new"))
		})
	}()
	<-g.applied
	look("old", 1)
	g.durable <- nil
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	look("new", 2)
}

// S23: a failed sync discards what was built on it, and the node says so from
// then on.
func TestFailedSyncStopsTheNode(t *testing.T) {
	g := &gated{Engine: memory.New()}
	n := openNode(t, g, nil)
	s, ctx := n.Session(policy.Principal{}), t.Context()
	id := create(t, s, ankurah.Fields{"name": "old"})
	g.applied, g.durable = make(chan struct{}), make(chan error)
	broken := errors.New("disk on fire")
	edit := func(name string) error {
		return s.Update(ctx, func(tx *ankurah.Tx) error {
			e, err := albums.Edit(tx, id)
			if err != nil {
				return err
			}
			return e.Set("name", name)
		})
	}
	first, second := make(chan error), make(chan error)
	go func() { first <- edit("lost") }()
	<-g.applied
	go func() { second <- edit("built on what is lost") }()
	g.durable <- broken
	for _, done := range []chan error{first, second} {
		// The second may have begun before or after the failure.
		if err := <-done; !errors.Is(err, broken) {
			t.Errorf("commit: %v", err)
		}
	}
	if err := edit("later"); !errors.Is(err, broken) {
		t.Errorf("commit after the failure: %v", err)
	}
	v, err := albums.Get(ctx, s, id)
	if err != nil {
		t.Fatal(err)
	}
	if name, _ := v.Get("name"); name != "old" {
		t.Errorf("a lost commit shows: %v", name)
	}
}

// behind is an engine that says later what is durable.
type behind struct {
	storage.Engine
	asked   chan struct{}
	durable chan error
}

func (b *behind) Flush(context.Context) error {
	if b.asked == nil {
		return nil
	}
	b.asked <- struct{}{}
	return <-b.durable
}

// S23, S26: on an engine that is durable later, a durable node publishes later
// too, an ephemeral one at once; Commit returns when it is durable, and says so
// if it will not be.
func TestCommitWaitsForTheFlush(t *testing.T) {
	broken := errors.New("no room")
	for _, durable := range []bool{true, false} {
		b := &behind{Engine: memory.New()}
		var n *ankurah.Node
		if durable {
			n = openNode(t, b, nil)
		} else {
			server := openNode(t, memory.New(), nil)
			client, err := ankurah.OpenNode(t.Context(), b, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = client.Close() })
			revDial(t, client, server).Close()
			n = client
		}
		s := n.Session(alice)
		q, err := albums.Query(t.Context(), s, "")
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		b.asked, b.durable = make(chan struct{}), make(chan error)
		for k, fails := range []error{nil, broken} {
			done := make(chan error)
			go func() {
				done <- s.Update(t.Context(), func(tx *ankurah.Tx) error {
					_, err := albums.Create(tx, &ankurah.Fields{"name": "a"})
					return err
				})
			}()
			<-b.asked
			want := k
			if !durable {
				want++
			}
			if got := len(q.Rows()); got != want {
				t.Errorf("durable %v: %d rows before it is durable, want %d", durable, got, want)
			}
			b.durable <- fails
			if err := <-done; !errors.Is(err, fails) {
				t.Errorf("durable %v: Commit says %v, want %v", durable, err, fails)
			}
		}
		b.asked = nil
	}
}
