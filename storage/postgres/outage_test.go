package postgres_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ankurah/ankurah-go/ankurahtest/pgtest"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/postgres"
	"github.com/ankurah/ankurah-go/storage/storagetest"
)

func open(t testing.TB, url string, opts *postgres.Options) *postgres.Engine {
	t.Helper()
	e, err := postgres.Open(t.Context(), url, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// While backends are terminated all the time, no commit is lost and none is
// made twice: the ledger would notice either (S9, S23).
func TestTerminated(t *testing.T) {
	for name, opts := range map[string]*postgres.Options{"exclusive": {}, "shared": {Shared: true}} {
		t.Run(name, func(t *testing.T) {
			url := pgtest.New(t)
			e := open(t, url, opts)
			killer := connect(t, url)
			var killed atomic.Int64
			stop, ended := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(ended)
				for n := int64(0); ; n = killed.Load() {
					select {
					case <-stop:
						return
					case <-time.After(time.Duration(20+n%7*20) * time.Millisecond):
					}
					tag, err := killer.Exec(context.Background(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'")
					if err != nil {
						t.Error(err)
						return
					}
					killed.Add(tag.RowsAffected())
				}
			}()
			l := storagetest.NewLedger(t, 1)
			acked := 0
			// Some seconds, and until enough has happened on a slow machine.
			for start := time.Now(); time.Since(start) < 5*time.Second || (killed.Load() < 10 || acked < 20) && time.Since(start) < time.Minute; {
				if err := l.Step(t.Context(), e); err != nil {
					t.Error(err)
					break
				}
				acked++
			}
			close(stop)
			<-ended
			snap, err := e.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			defer snap.Close()
			if n := l.Check(t, snap, acked); n != acked {
				t.Errorf("%d transactions are stored, %d were acknowledged", n, acked)
			}
			if killed.Load() < 10 || acked < 20 {
				t.Errorf("only %d backends were terminated during %d commits", killed.Load(), acked)
			}
			t.Log(killed.Load(), "backends terminated during", acked, "commits")
		})
	}
}

// A commit and a read wait for a server that is away, and go on when it is
// back; after the time of an outage they fail and say why.
func TestGoneAndBack(t *testing.T) {
	server, err := pgtest.Start(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	}()
	e := open(t, server.URL("postgres"), nil)
	l := storagetest.NewLedger(t, 1)
	for range 10 {
		if err := l.Step(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	for k, end := range []func() error{server.Stop, server.Kill} {
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if err := e.Ping(t.Context()); err == nil {
			t.Error("a server that is away is well")
		}
		done := make(chan error)
		go func() { done <- l.Step(context.Background(), e) }()
		select {
		case err := <-done:
			t.Fatalf("a commit without a server: %v", err)
		case <-time.After(50 * time.Millisecond):
		}
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if err := e.Ping(t.Context()); err != nil {
			t.Error(err)
		}
		snap, err := e.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		l.Check(t, snap, 11+k)
		if err := snap.Close(); err != nil {
			t.Error(err)
		}
	}
}

// An outage that lasts is an error that says what is wrong.
func TestGone(t *testing.T) {
	server, err := pgtest.Start(nil)
	if err != nil {
		t.Fatal(err)
	}
	url := server.URL("postgres")
	e := open(t, url, &postgres.Options{Outage: 100 * time.Millisecond})
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = e.Commit(t.Context(), &storage.Batch{Meta: []storage.MetaWrite{{Key: []byte("k"), Value: []byte("v")}}})
	if err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("a commit: %v", err)
	}
	snap, err := e.Snapshot()
	if err == nil {
		_, _, err = snap.Meta(t.Context(), []byte("k"))
		snap.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("a read: %v", err)
	}
	if _, err := postgres.Open(t.Context(), url, nil); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("opening: %v", err)
	}
}

// One process writes to a schema; another one is told, and may read.
func TestLocked(t *testing.T) {
	url := pgtest.New(t)
	e := open(t, url, nil)
	l := storagetest.NewLedger(t, 1)
	if err := l.Step(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if _, err := postgres.Open(t.Context(), url, nil); !errors.Is(err, storage.ErrLocked) || !strings.Contains(err.Error(), "server process") {
		t.Errorf("opened twice: %v", err)
	}
	reader := open(t, url, &postgres.Options{ReadOnly: true})
	if err := l.Step(t.Context(), reader); err == nil || !strings.Contains(err.Error(), "reading only") {
		t.Errorf("a commit of a reader: %v", err)
	}
	snap, err := reader.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	if names, err := snap.Collections(t.Context()); err != nil || len(names) != 1 {
		t.Errorf("a reader sees %v, %v", names, err)
	}
}
