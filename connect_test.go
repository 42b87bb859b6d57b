package ankurah_test

import (
	"testing"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/transport/local"
)

// openClient returns an ephemeral node on a fresh store.
func openClient(t testing.TB) *ankurah.Node {
	t.Helper()
	eng := memory.New()
	n, err := ankurah.OpenNode(t.Context(), eng, &ankurah.NodeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// patience is how long tests wait for what has to happen: it says what is
// missing, and not how quick the machine is.
const patience = time.Minute

func within(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not within " + patience.String() + ": " + what)
		}
	}
}

func TestTwoNodes(t *testing.T) {
	ctx := t.Context()
	server := openNode(t, memory.New(), nil)
	ss := server.Session(policy.Principal{Subject: "alice"})
	old := create(t, ss, ankurah.Fields{"name": "old", "year": 1990})
	client := openClient(t)
	c := local.Dial(client, server, []byte("alice"))
	defer c.Close()
	if err := c.WaitConnected(ctx); err != nil {
		t.Fatal(err)
	}
	if err := client.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	cs := client.Session(policy.Principal{Subject: "alice"})
	q, err := albums.Query(ctx, cs, "year > 1980 ORDER BY name LIMIT 3")
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if err := q.WaitSynced(ctx); err != nil {
		t.Fatal(err)
	}
	if got := names(q.Rows()); len(got) != 1 || got[0] != "old" {
		t.Fatalf("rows: %v", got)
	}
	var id ankurah.ID
	err = cs.UpdateConfirmed(ctx, func(tx *ankurah.Tx) error {
		a, err := albums.Create(tx, &ankurah.Fields{"name": "new", "year": 2001})
		if err == nil {
			id = a.ID()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if v, err := albums.Get(ctx, ss, id); err != nil {
		t.Fatal(err)
	} else if n, _ := v.Get("name"); n != "new" {
		t.Fatalf("on the server: %v", n)
	}
	if got := names(q.Rows()); len(got) != 2 || got[0] != "new" {
		t.Fatalf("rows: %v", got)
	}
	err = ss.Update(ctx, func(tx *ankurah.Tx) error {
		e, err := albums.Edit(tx, old)
		if err != nil {
			return err
		}
		return e.Set("name", "aged")
	})
	if err != nil {
		t.Fatal(err)
	}
	within(t, "the server's edit shows", func() bool { g := names(q.Rows()); return len(g) == 2 && g[0] == "aged" })
	rows, err := albums.Fetch(ctx, cs, "year < ?", 2000)
	if err != nil || len(rows) != 1 {
		t.Fatalf("fetch: %v %v", rows, err)
	}
	if n, err := albums.Count(ctx, cs, ""); err != nil || n != 2 {
		t.Fatalf("count: %v %v", n, err)
	}
	events := 0
	for _, err := range albums.History(ctx, cs, old) {
		if err != nil {
			t.Fatal(err)
		}
		events++
	}
	if events != 2 {
		t.Fatalf("%d events", events)
	}
}
