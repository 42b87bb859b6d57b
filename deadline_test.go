package ankurah_test

import (
	"context"
	"errors"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/internal/wire"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/transport"
	"github.com/ankurah/ankurah-go/transport/local"
)

// deafConn loses what a client asks, but not that it is alive.
type deafConn struct{ transport.Conn }

func (d deafConn) Receive(ctx context.Context) ([]byte, error) {
	for synced := false; ; {
		frame, err := d.Conn.Receive(ctx)
		if err != nil {
			return nil, err
		}
		m, err := wire.Decode(frame)
		if err != nil {
			return nil, err
		}
		switch m.(type) {
		case *wire.Hello, *wire.Ping, *wire.Pong:
			return frame, nil
		case *wire.Sync: // the first ends the resynchronisation
			if !synced {
				return frame, nil
			}
			synced = true
		}
	}
}

// linked runs a connection between two nodes whose server's end is wrapped.
func linked(t *testing.T, client, server *ankurah.Node, wrap func(transport.Conn) transport.Conn) (ended <-chan error, cut func()) {
	t.Helper()
	there, here := local.Pipe()
	var both sync.WaitGroup
	out := make(chan error, 1)
	ready := make(chan struct{})
	both.Go(func() { _ = server.Accept(context.Background(), wrap(there)) })
	both.Go(func() {
		out <- client.Connect(context.Background(), here, transport.Hello{Credential: []byte("alice"), Ready: func() { close(ready) }})
	})
	<-ready
	return out, func() {
		_ = here.Close()
		both.Wait()
	}
}

// S33: whatever a client asks ends by itself, with or without a deadline of the
// caller's.
func TestUnansweredRequests(t *testing.T) {
	alice := policy.Principal{Subject: "alice"}
	var seen ankurah.ID
	for name, ask := range map[string]func(ctx context.Context, s *ankurah.Session, n *ankurah.Node) error{
		"fetch": func(ctx context.Context, s *ankurah.Session, _ *ankurah.Node) error {
			_, err := albums.Fetch(ctx, s, "")
			return err
		},
		"count": func(ctx context.Context, s *ankurah.Session, _ *ankurah.Node) error {
			_, err := albums.Count(ctx, s, "")
			return err
		},
		"get": func(ctx context.Context, s *ankurah.Session, _ *ankurah.Node) error {
			_, err := albums.Get(ctx, s, seen)
			return err
		},
		"history": func(ctx context.Context, s *ankurah.Session, _ *ankurah.Node) error {
			for _, err := range albums.History(ctx, s, seen) {
				return err
			}
			return nil
		},
		"describe": func(ctx context.Context, _ *ankurah.Session, n *ankurah.Node) error { return n.Describe(ctx) },
		"edit of what has not come": func(_ context.Context, s *ankurah.Session, _ *ankurah.Node) error {
			return s.Update(context.Background(), func(tx *ankurah.Tx) error {
				_, err := albums.Edit(tx, seen)
				return err
			})
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			server := openNode(t, memory.New(), nil)
			err := server.Session(alice).Update(t.Context(), func(tx *ankurah.Tx) error {
				e, err := albums.Create(tx, &ankurah.Fields{"name": "x"})
				seen = e.ID()
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			client := openClient(t)
			if name != "describe" { // it knows the schema, else it would ask for it first
				if err := connect(t, client, server, "alice"); err != nil {
					t.Fatal(err)
				}
			}
			_, cut := linked(t, client, server, func(c transport.Conn) transport.Conn { return deafConn{c} })
			defer cut()
			s := client.Session(alice)
			begun := time.Now()
			err = ask(t.Context(), s, client)
			if took := time.Since(begun); took != 30*time.Second || !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ankurah.ErrLimit) || !strings.Contains(err.Error(), "RequestTimeout") {
				t.Errorf("%s: after %v: %v", name, took, err)
			}
			if name == "edit of what has not come" {
				return
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // the caller's counts
			defer cancel()
			begun = time.Now()
			if err := ask(ctx, s, client); time.Since(begun) != 20*time.Second || !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ankurah.ErrLimit) {
				t.Errorf("%s: with a deadline, after %v: %v", name, time.Since(begun), err)
			}
		})
	}
}

// S27, S32, S33: a server that is there and answers nothing is left, whatever
// it owes, so that the client finds another; one that owes nothing is not.
func TestServerThatAnswersNothing(t *testing.T) {
	for name, owe := range map[string]func(t *testing.T, s *ankurah.Session){
		"": func(*testing.T, *ankurah.Session) {},
		"a submission": func(t *testing.T, s *ankurah.Session) {
			err := s.Update(t.Context(), func(tx *ankurah.Tx) error {
				_, err := albums.Create(tx, &ankurah.Fields{"name": "x"})
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		},
		"a live query": func(t *testing.T, s *ankurah.Session) {
			if _, err := albums.Query(t.Context(), s, ""); err != nil {
				t.Fatal(err)
			}
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			server := openNode(t, memory.New(), nil)
			client := openClient(t)
			alice := policy.Principal{Subject: "alice"}
			if err := connect(t, client, server, "alice"); err != nil {
				t.Fatal(err)
			}
			err := client.Session(alice).Update(t.Context(), func(tx *ankurah.Tx) error { // so that it knows the schema
				_, err := albums.Create(tx, &ankurah.Fields{"name": "x"})
				return err
			})
			if err == nil {
				c := local.Dial(client, server, []byte("alice"))
				err = client.Settle(t.Context())
				c.Close()
			}
			if err != nil {
				t.Fatal(err)
			}
			ended, cut := linked(t, client, server, func(c transport.Conn) transport.Conn { return deafConn{c} })
			defer cut()
			time.Sleep(10 * time.Minute)
			owe(t, client.Session(alice))
			begun := time.Now()
			select {
			case err := <-ended:
				if took := time.Since(begun); name == "" || took < 60*time.Second || took > 62*time.Second || !errors.Is(err, ankurah.ErrLimit) {
					t.Errorf("%q owed: after %v: %v", name, took, err)
				}
			case <-time.After(10 * time.Minute):
				if name != "" {
					t.Errorf("%q is owed for ever", name)
				}
			}
		})
	}
}

// stuckEngine has scans that last until nobody waits for them.
type stuckEngine struct {
	storage.Engine
	stuck *atomic.Bool
}

func (e stuckEngine) Snapshot() (storage.Snapshot, error) {
	s, err := e.Engine.Snapshot()
	return stuckSnapshot{s, e.stuck}, err
}

type stuckSnapshot struct {
	storage.Snapshot
	stuck *atomic.Bool
}

func (s stuckSnapshot) Scan(ctx context.Context, sel *ankql.Selection) iter.Seq2[*entity.State, error] {
	if !s.stuck.Load() {
		return s.Snapshot.Scan(ctx, sel)
	}
	return func(yield func(*entity.State, error) bool) {
		<-ctx.Done()
		yield(nil, ctx.Err())
	}
}

// S33, S61: what a server reads for a peer has a deadline, and says so on the
// other side; others go on meanwhile.
func TestReadsForPeersEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stuck atomic.Bool
		server := openNode(t, stuckEngine{memory.New(), &stuck}, nil)
		alice := policy.Principal{Subject: "alice"}
		client := openClient(t)
		c := local.Dial(client, server, []byte("alice"))
		defer c.Close()
		if err := client.WaitReady(t.Context()); err != nil {
			t.Fatal(err)
		}
		stuck.Store(true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begun := time.Now()
		_, err := albums.Fetch(ctx, client.Session(alice), "name = 'x'")
		if took := time.Since(begun); took != 30*time.Second || !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ankurah.ErrLimit) || !strings.Contains(err.Error(), "RequestTimeout") {
			t.Errorf("after %v: %v", took, err)
		}
		q, err := albums.Query(t.Context(), client.Session(alice), "name = 'x'")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(40 * time.Second)
		stuck.Store(false)
		if err := q.WaitSynced(t.Context()); err != nil { // it was asked again
			t.Errorf("a live query whose first read was too slow: %v", err)
		}
	})
}

// stalledConn stops to take frames while it is stalled.
type stalledConn struct {
	transport.Conn
	stalled *atomic.Bool
}

func (s stalledConn) Receive(ctx context.Context) ([]byte, error) {
	if s.stalled.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.Conn.Receive(ctx)
}

// S33, S36: a reader that takes nothing is cut, by time or by what waits for
// it, and has all of it when it comes again. Nobody else waits for it.
func TestSlowReaderComesBack(t *testing.T) {
	for name, c := range map[string]struct {
		commits, bytes int
		least, most    time.Duration
		why            string
	}{
		"by time":  {100, 100 << 10, 30 * time.Second, 30 * time.Second, "(Limits.SendTimeout)"},
		"by bytes": {200, 200 << 10, 0, 10 * time.Second, ""}, // it would be told, if it took anything
	} {
		synctest.Test(t, func(t *testing.T) {
			server := openNode(t, memory.New(), nil)
			own := server.Session(policy.Principal{})
			client := openClient(t)
			var stalled atomic.Bool
			there, here := local.Pipe()
			var both sync.WaitGroup
			gone := make(chan error, 1)
			both.Go(func() { gone <- server.Accept(t.Context(), there) })
			both.Go(func() { _ = client.Connect(t.Context(), stalledConn{here, &stalled}, transport.Hello{}) })
			if err := client.WaitReady(t.Context()); err != nil {
				t.Fatal(err)
			}
			q, err := albums.Query(t.Context(), client.Session(policy.Principal{}), "")
			if err == nil {
				err = q.WaitSynced(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
			stalled.Store(true)
			begun := time.Now()
			for range c.commits {
				err := own.Update(t.Context(), func(tx *ankurah.Tx) error {
					_, err := albums.Create(tx, &ankurah.Fields{"name": filler(c.bytes)})
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			if time.Since(begun) > 0 {
				t.Errorf("%s: commits waited %v for a reader", name, time.Since(begun))
			}
			if err := <-gone; c.why != "" && (!errors.Is(err, ankurah.ErrLimit) || !strings.Contains(err.Error(), c.why)) {
				t.Errorf("%s: it was cut with %v", name, err)
			}
			if took := time.Since(begun); took < c.least || took > c.most {
				t.Errorf("%s: it was cut after %v", name, took)
			}
			both.Wait()
			again := local.Dial(client, server, nil)
			defer again.Close()
			if err := errors.Join(again.WaitConnected(t.Context()), q.WaitSynced(t.Context())); err != nil || len(q.Rows()) != c.commits {
				t.Errorf("%s: %d rows when it is there again, %v", name, len(q.Rows()), err)
			}
		})
	}
}

// S56: a callback that closes its node hears that it cannot; the node lives on
// and can be closed. What a callback may close is another node.
func TestCloseInACallback(t *testing.T) {
	n := openNode(t, memory.New(), nil)
	other := openNode(t, memory.New(), nil)
	s := n.Session(policy.Principal{})
	said := make(chan error, 10)
	q, err := albums.Query(t.Context(), s, "")
	if err != nil {
		t.Fatal(err)
	}
	q.OnChange(func(ankurah.ChangeSet[ankurah.Record]) {
		said <- func() error { return n.Close() }() // by whatever way
		said <- other.Close()
	})
	if err := <-said; err == nil || !strings.Contains(err.Error(), "a callback cannot close the node") {
		t.Errorf("Close in a callback: %v", err)
	}
	if err := <-said; err != nil {
		t.Errorf("Close of another node: %v", err)
	}
	if _, err := albums.Fetch(t.Context(), s, ""); err != nil {
		t.Error(err)
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
}
