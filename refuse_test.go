package ankurah_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/storage/pebble"
	"github.com/ankurah/ankurah-go/transport"
	"github.com/ankurah/ankurah-go/transport/local"
)

// connect connects a client in its turn and returns what came of it.
func connect(t *testing.T, client, server *ankurah.Node, credential string) error {
	t.Helper()
	c := local.Dial(client, server, []byte(credential))
	defer c.Close()
	return c.WaitConnected(t.Context())
}

// Connections that cannot be are refused by an error that says why, keeps its
// identity, and says whether trying again helps (S30, S31, S34, S61).
func TestRefusedConnections(t *testing.T) {
	ctx := t.Context()
	server := openNode(t, memory.New(), &ankurah.NodeOptions{Policy: policy.Permissive{}, LeastAppVersion: 3})
	app := func(version uint64) *ankurah.Node {
		n, err := ankurah.OpenNode(ctx, memory.New(), &ankurah.NodeOptions{AppVersion: version})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { n.Close() })
		return n
	}
	expect := func(what string, err, kind error, permanent bool, words ...string) {
		t.Helper()
		if !errors.Is(err, kind) || errors.Is(err, transport.ErrPermanent) != permanent {
			t.Errorf("%s: %v; is %v: %t, permanent: %t", what, err, kind, errors.Is(err, kind), errors.Is(err, transport.ErrPermanent))
			return
		}
		for _, w := range words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v does not say %q", what, err, w)
			}
		}
	}
	expect("an old application", connect(t, app(2), server, "alice"), ankurah.ErrVersion, true, "update")

	client := app(3)
	s := client.Session(policy.Principal{Subject: "alice"})
	if _, err := albums.Fetch(ctx, s, ""); !errors.Is(err, ankurah.ErrNotReady) || !strings.Contains(err.Error(), "WaitReady") {
		t.Errorf("before the first connection: %v", err)
	}
	if err := connect(t, client, server, "alice"); err != nil {
		t.Fatal(err)
	}
	expect("another principal", connect(t, client, server, "bob"), ankurah.ErrPrincipal, true, "alice", "bob", "store")
	foreign := openNode(t, memory.New(), nil)
	expect("another system", connect(t, client, foreign, "alice"), ankurah.ErrSystem, true, "system")
	if rows, err := albums.Fetch(ctx, s, ""); err != nil || len(rows) != 0 {
		t.Errorf("the client's own data after it was refused: %v, %v", rows, err)
	}

	agent, err := policy.Rules{Credentials: func(_ context.Context, credential []byte) (policy.Principal, error) {
		if string(credential) != "sesame" {
			return policy.Principal{}, errors.New("wrong password")
		}
		return policy.Principal{Subject: "alice"}, nil
	}}.Agent()
	if err != nil {
		t.Fatal(err)
	}
	strict := openNode(t, memory.New(), &ankurah.NodeOptions{Policy: agent})
	expect("no credential", connect(t, app(0), strict, ""), ankurah.ErrUnauthenticated, false, "wrong password")
	if err := connect(t, app(0), strict, "sesame"); err != nil {
		t.Errorf("the right credential: %v", err)
	}
	empty, err := ankurah.OpenNode(ctx, memory.New(), &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}})
	if err != nil {
		t.Fatal(err)
	}
	defer empty.Close()
	expect("a server without a system", connect(t, app(0), empty, ""), ankurah.ErrNoSystem, false)
}

// A server restored from a backup knows less than its clients. They replace
// what they have by what it has, keep what they have not sent, and go on (S8,
// S25).
func TestRestoredServer(t *testing.T) {
	ctx := t.Context()
	dir, backup := t.TempDir(), t.TempDir()
	start := func(dir string, restored bool) (*ankurah.Node, func()) {
		eng, err := pebble.Open(ctx, dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		n, err := ankurah.OpenNode(ctx, eng, &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}, Restored: restored})
		if err == nil {
			err = n.EnsureSystem(ctx)
		}
		if err != nil {
			t.Fatal(err)
		}
		return n, func() {
			if err := errors.Join(n.Close(), eng.Close()); err != nil {
				t.Error(err)
			}
		}
	}
	server, stop := start(dir, false)
	ss := server.Session(policy.Principal{Subject: "x"})
	kept := create(t, ss, ankurah.Fields{"name": "kept", "year": 1})
	rename := func(s *ankurah.Session, id ankurah.ID, name string) error {
		return s.Update(ctx, func(tx *ankurah.Tx) error {
			e, err := albums.Edit(tx, id)
			if err != nil {
				return err
			}
			return e.Set("name", name)
		})
	}
	stop()
	if err := os.CopyFS(filepath.Join(backup, "store"), os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	server, stop = start(dir, false)
	ss = server.Session(policy.Principal{Subject: "x"})
	if err := rename(ss, kept, "lost"); err != nil {
		t.Fatal(err)
	}
	create(t, ss, ankurah.Fields{"name": "lost too", "year": 1})

	client := openClient(t)
	cs := client.Session(policy.Principal{Subject: "alice"})
	link := local.Dial(client, server, []byte("alice"))
	if err := link.WaitConnected(ctx); err != nil {
		t.Fatal(err)
	}
	q, err := albums.Query(ctx, cs, "year = 1 ORDER BY name")
	if err == nil {
		err = q.WaitSynced(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if got := strings.Join(names(q.Rows()), ", "); got != "lost, lost too" {
		t.Fatalf("rows: %s", got)
	}
	link.Close()
	stop()
	own := create(t, cs, ankurah.Fields{"name": "made offline", "year": 1})

	server, stop = start(filepath.Join(backup, "store"), true)
	defer stop()
	link = local.Dial(client, server, []byte("alice"))
	defer link.Close()
	if err := link.WaitConnected(ctx); err != nil {
		t.Fatal(err)
	}
	if err := client.Settle(ctx); err != nil {
		t.Fatal(err)
	}
	if err := q.WaitSynced(ctx); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(names(q.Rows()), ", "); got != "kept, made offline" {
		t.Errorf("rows after the restore: %s", got)
	}
	if _, err := albums.Get(ctx, server.Session(policy.Principal{Subject: "x"}), own); err != nil {
		t.Errorf("what was made offline did not arrive: %v", err)
	}
	if err := rename(cs, kept, "again"); err != nil {
		t.Fatal(err)
	}
	if err := client.Settle(ctx); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(names(q.Rows()), ", "); got != "again, made offline" {
		t.Errorf("rows at the end: %s", got)
	}
}

// S56: connections that have ended leave nothing behind.
func TestConnectionsLeaveNothing(t *testing.T) {
	server := openNode(t, memory.New(), nil)
	before := runtime.NumGoroutine()
	for range 200 {
		n, err := ankurah.OpenNode(t.Context(), memory.New(), nil)
		if err != nil {
			t.Fatal(err)
		}
		c := local.Dial(n, server, []byte("alice"))
		if err := c.WaitConnected(t.Context()); err != nil {
			t.Fatal(err)
		}
		s := n.Session(policy.Principal{Subject: "alice"})
		q, err := albums.Query(t.Context(), s, "year > 0")
		if err == nil {
			err = q.WaitSynced(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
	}
	within(t, "the goroutines end", func() bool { return runtime.NumGoroutine() <= before && server.Connections() == 0 })
}
