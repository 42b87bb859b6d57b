package ankurah_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage/memory"
)

func ends(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { f(); close(done) }()
	select {
	case <-done:
	case <-time.After(2 * time.Second):
		t.Errorf("%s: still waits two seconds after the node was closed", what)
	}
}

// S56, S26: what waits on a node is told when it is closed.
func TestNodeCloseTellsWaiters(t *testing.T) {
	server := openNode(t, memory.New(), nil)
	client, err := ankurah.OpenNode(t.Context(), memory.New(), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, end := tapped(t, client, server, "alice", nil)
	if err := client.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	end() // offline
	s := client.Session(policy.Principal{Subject: "alice"})
	tx := s.Begin()
	if _, err := albums.Create(tx, &ankurah.Fields{"name": "x"}); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	q, err := albums.Query(t.Context(), s, "")
	if err != nil {
		t.Fatal(err)
	}
	confirmed, synced := make(chan error, 1), make(chan error, 1)
	go func() { confirmed <- tx.Confirmed(context.Background()) }()
	go func() { synced <- q.WaitSynced(context.Background()) }()
	time.Sleep(50 * time.Millisecond)
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	ends(t, "Tx.Confirmed", func() { <-confirmed })
	ends(t, "LiveQuery.WaitSynced", func() { <-synced })
	ends(t, "LiveQuery.Done", func() { <-q.Done() })
}

// S26: a transaction that was rolled back is not confirmed.
func TestConfirmedAfterRollback(t *testing.T) {
	server := openNode(t, memory.New(), nil)
	client := openClient(t)
	_, end := tapped(t, client, server, "alice", nil)
	defer end()
	if err := client.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	tx := client.Session(policy.Principal{Subject: "alice"}).Begin()
	tx.Rollback()
	if err := tx.Confirmed(t.Context()); err == nil {
		t.Error("a durable node is said to have accepted what was rolled back")
	}
}

type hidingAgent struct{ policy.Permissive }

func (hidingAgent) ReadFilter(p policy.Principal, _ string) (ankql.Expr, error) {
	if p.Subject == "root" {
		return nil, nil
	}
	return ankql.ParseExpr("hidden IS NULL")
}

// S16, S38: the history of an entity that could not always be read; and of one
// that is not there.
func TestHistoryOfWhatWasHidden(t *testing.T) {
	server := openNode(t, memory.New(), &ankurah.NodeOptions{Policy: hidingAgent{}})
	root := server.Session(policy.Principal{Subject: "root"})
	id := create(t, root, ankurah.Fields{"name": "x", "hidden": "secret"})
	update(t, root, id, ankurah.Fields{"hidden": nil})
	update(t, root, id, ankurah.Fields{"name": "y"})
	client := openClient(t)
	_, end := tapped(t, client, server, "alice", nil)
	defer end()
	if err := client.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := client.Session(policy.Principal{Subject: "alice"})
	if rows, err := albums.Fetch(t.Context(), s, ""); err != nil || len(rows) != 1 {
		t.Fatal(rows, err)
	}
	for _, err := range albums.History(t.Context(), s, id) {
		if err != nil {
			t.Errorf("at the client: %v", err)
		}
	}
	// The same on the server, by a session of the same principal.
	for e, err := range albums.History(t.Context(), server.Session(policy.Principal{Subject: "alice"}), id) {
		if err != nil {
			t.Errorf("at the server: %v", err)
		}
		for _, c := range e.Changes {
			if c.Before == "secret" || c.After == "secret" {
				t.Errorf("the server's own History shows alice %s = %v, then %v, which was hidden from her", c.Key, c.Before, c.After)
			}
		}
	}
	for _, err := range albums.History(t.Context(), s, ankurah.ID{1}) {
		if !errors.Is(err, ankurah.ErrNotFound) {
			t.Errorf("the history of nothing: %v", err)
		}
	}
}
