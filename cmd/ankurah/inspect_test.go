package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/transport/wsclient"
)

// A running server says what is open, on its machine; its metrics agree.
func TestInspect(t *testing.T) {
	s := withAlbums(t)
	s.fails(s.run("inspect"), exitStore, "no server to inspect")
	s.fails(s.run("inspect", "--server", "ws://127.0.0.1:1/ankurah"), exitUsage, "--server does not go with inspect")
	url, end := s.serve("--permissive")
	said(t, s.run("inspect"), "0 connections", "0 live queries show 0 results")
	node := dial(t, url, "bob")
	q, err := ankurah.Dynamic("album").Query(t.Context(), node, "year > 2000")
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if err := q.WaitSynced(t.Context()); err != nil {
		t.Fatal(err)
	}
	sum, err := ankurah.Dynamic("album").QueryAggregate(t.Context(), node, "SELECT COUNT(*) GROUP BY year")
	if err != nil {
		t.Fatal(err)
	}
	defer sum.Close()
	if err := sum.WaitSynced(t.Context()); err != nil {
		t.Fatal(err)
	}
	err = node.UpdateConfirmed(t.Context(), func(tx *ankurah.Tx) error {
		_, err := ankurah.Dynamic("album").Create(tx, &ankurah.Fields{"year": int32(2020)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	said(t, s.run("inspect"), "1 connections", "2 live queries show 2 results, 1 of them looked at in every commit", "2 changes evaluated, 2 matched",
		"album       year > 2000                    year > ?                       bob  a client     3       1  year by range          1        1  2",
		"album       SELECT COUNT(*) GROUP BY year  SELECT COUNT(*) GROUP BY year  bob  a client     4       1  everything             1        1  2")
	got := s.lines("inspect")[0]
	if first := got["queries"].([]any)[0].(map[string]any); first["subject"] != "bob" || first["shape"] != "year > ?" || first["touched"] != 1.0 || first["rows"] != 3.0 {
		t.Errorf("%v", first)
	}
	resp, err := http.Get("http" + strings.TrimSuffix(strings.TrimPrefix(url, "ws"), "/ankurah") + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"ankurah_connections 1", "ankurah_live_queries 2", "ankurah_live_matches_total 2", "ankurah_commits_total 1", "go_goroutines "} {
		if !strings.Contains("\n"+string(text), "\n"+line) {
			t.Errorf("%q is not in\n%s", line, text)
		}
	}
	end()
	s.fails(s.run("inspect"), exitStore, "no server to inspect")
}

// What could not be evaluated is told with the reason.
func TestInspectFailed(t *testing.T) {
	var out bytes.Buffer
	said := inspection{Failed: []ankurah.FailedQueryInfo{{Collection: "album", Query: "year > 2000", Subject: "bob", Shared: 3, Reason: "no", At: time.UnixMilli(0).UTC()}}}
	if err := said.print(&app{out: &out}); err != nil {
		t.Fatal(err)
	}
	want := "1970-01-01T00:00:00Z: year > 2000 of \"bob\" in album could not be evaluated, 3 live queries have ended: no\n"
	if !strings.Contains(out.String(), want) {
		t.Errorf("%s", out.String())
	}
}

// dial returns the session of a user's node that is connected to a server.
func dial(t *testing.T, url, user string) *ankurah.Session {
	t.Helper()
	node, err := ankurah.OpenNode(t.Context(), memory.New(), nil)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := wsclient.Dial(node, url, &wsclient.Options{Credential: []byte(user)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		if err := node.Close(); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := node.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	return node.Session(policy.Principal{Subject: user})
}
