package main

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go/ankurahtest/pgtest"
)

// The commands work on a database: beside its server what reads, through it
// what writes; and a store goes to a folder and back.
func TestPostgres(t *testing.T) {
	s := newShell(t)
	s.write("albums.ndjson", albums)
	db := pgtest.New(t)
	said(t, s.run("--store", db, "import", "albums.ndjson", "--collection", "album", "--type", "year=int32"), "imported 3 rows")
	said(t, s.run("--storage", db, "query", "album", "year > ?", "--arg", "2000"), "Absolution", "Drones")
	said(t, s.run("--store", db, "explain", "album", "year > 2000"), `"year" >`)

	url, end := s.serve("--permissive", "--store", db)
	said(t, s.run("--server", url, "query", "album"), "Showbiz")
	if o := s.run("--store", db, "query", "album"); o.code != exitStore || !strings.Contains(o.err, "another process") {
		t.Errorf("beside a server: %+v", o)
	}
	said(t, s.run("--store", db, "verify"))
	s.must("--store", db, "dump", "--out", "albums.dump")
	r, err := http.Get("http" + strings.TrimSuffix(strings.TrimPrefix(url, "ws"), "/ankurah") + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK || string(body) != "ok\n" {
		t.Errorf("health: %d %q %v", r.StatusCode, body, err)
	}
	r.Body.Close()
	end()

	s.must("--data", "copy", "restore", "--in", "albums.dump")
	said(t, s.run("--data", "copy", "query", "album"), "Showbiz", "Absolution", "Drones")
	s.must("--data", "copy", "dump", "--out", "again.dump")
	other := pgtest.New(t)
	s.must("--store", other, "restore", "--in", "again.dump")
	said(t, s.run("--store", other, "query", "album", "tags CONTAINS 'prog'"), "Absolution")

	o := s.run("--store", strings.Replace(db, "://postgres:", "://postgres:wrong", 1), "query", "album")
	if o.code == 0 || !strings.Contains(o.err, "check user and password") || strings.Count(o.err, "\n") != 1 {
		t.Errorf("a wrong password: %+v", o)
	}
}
