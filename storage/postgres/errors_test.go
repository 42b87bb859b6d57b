package postgres_test

import (
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/ankurah/ankurah-go/ankurahtest/pgtest"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/postgres"
	"github.com/ankurah/ankurah-go/storage/storagetest"
	"github.com/ankurah/ankurah-go/value"
)

// Each thing that can be wrong with a database has an error that says what to
// do, and none holds the password.
func TestErrors(t *testing.T) {
	base := pgtest.New(t)
	change := func(f func(u *url.URL)) string {
		u, err := url.Parse(base)
		if err != nil {
			t.Fatal(err)
		}
		f(u)
		return u.String()
	}
	conn := connect(t, base)
	exec(t, conn, "CREATE ROLE reader LOGIN PASSWORD 'secret'")
	t.Cleanup(func() { exec(t, conn, "DROP OWNED BY reader; DROP ROLE reader") })
	exec(t, conn, "CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
	t.Cleanup(func() { exec(t, conn, "DROP DATABASE latin WITH (FORCE)") })
	exec(t, conn, "CREATE SCHEMA newer; CREATE TABLE newer._ankurah_format (version integer, catalog bigint); INSERT INTO newer._ankurah_format VALUES (99, 0)")
	for name, c := range map[string]struct{ url, want string }{
		"wrong password": {change(func(u *url.URL) { u.User = url.UserPassword("postgres", "hunter2") }), "check user and password"},
		"no rights":      {change(func(u *url.URL) { u.User = url.UserPassword("reader", "secret") }), `GRANT USAGE, CREATE ON SCHEMA "public" TO "reader"`},
		"no database":    {change(func(u *url.URL) { u.Path = "/nothing" }), "CREATE DATABASE"},
		"no schema":      {base + "&search_path=nowhere", "CREATE SCHEMA"},
		"encoding":       {change(func(u *url.URL) { u.Path = "/latin" }), "ENCODING 'UTF8'"},
		"newer format":   {base + "&search_path=newer", "newer version of the program"},
		"no TLS":         {strings.Replace(base, "sslmode=disable", "sslmode=require", 1), "TLS"},
		"not a URL":      {"postgres://host:nothing/x", "cannot parse"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := postgres.Open(t.Context(), c.url, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v, want something with %q", err, c.want)
			}
			if u, _ := url.Parse(c.url); u != nil && u.User != nil {
				if password, _ := u.User.Password(); strings.Contains(err.Error(), password) {
					t.Errorf("the password is in %v", err)
				}
			}
		})
	}
}

// Servers that start at once on an empty schema make one store, and each has
// the columns and indexes of its own models.
func TestStartTogether(t *testing.T) {
	url := pgtest.New(t)
	const servers = 4
	var wg sync.WaitGroup
	for k := range servers {
		wg.Go(func() {
			e, err := postgres.Open(t.Context(), url, &postgres.Options{Shared: true})
			if err != nil {
				t.Error(err)
				return
			}
			defer e.Close()
			own := schema.Property{Key: "own_" + string(rune('a'+k)), Type: value.Type{Kind: value.KindInt64}}
			m := schema.NewModel("Album", "album", []schema.Property{{Key: "name", Type: value.Type{Kind: value.KindString}}, own})
			if err := e.EnsureModel(t.Context(), m); err != nil {
				t.Error(err)
			}
			for _, key := range []string{"name", own.Key} {
				if err := e.EnsureIndex(t.Context(), "album", schema.Index{Columns: []schema.Column{{Path: []string{key}}}}); err != nil {
					t.Error(err)
				}
			}
			w := storagetest.NewWriter(t, uint64(k))
			for range 20 {
				tx := w.Tx(w.Create("album", storagetest.Set("name", value.String("x")), storagetest.Set(own.Key, value.Int64(1))))
				if r, err := e.Commit(t.Context(), &storage.Batch{Txs: []storage.Tx{tx}}); err != nil || r.Conflicts != nil {
					t.Error(err, r.Conflicts)
				}
			}
		})
	}
	wg.Wait()
	e := open(t, url, nil)
	if n := len(e.Indexes("album")); n != servers+1 {
		t.Errorf("%d indexes, want %d", n, servers+1)
	}
	snap, err := e.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	for err := range snap.(storage.Checker).Check(t.Context()) {
		t.Error(err)
	}
	rows := 0
	for _, err := range snap.All(t.Context(), "album") {
		if err != nil {
			t.Fatal(err)
		}
		rows++
	}
	if rows != servers*20 {
		t.Errorf("%d rows", rows)
	}
}
