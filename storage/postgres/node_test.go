package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/ankurahtest"
	"github.com/ankurah/ankurah-go/ankurahtest/pgtest"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/dump"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/storage/postgres"
	"github.com/ankurah/ankurah-go/storage/storagetest"
)

var albums = ankurah.Dynamic("album")

// node opens a durable node and returns a session of it.
func node(t *testing.T, e storage.Engine) *ankurah.Session {
	t.Helper()
	n, err := ankurah.OpenNode(t.Context(), e, &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := n.EnsureSystem(t.Context()); err != nil {
		t.Fatal(err)
	}
	return n.Session(policy.Principal{Subject: "tester"})
}

// work creates, edits and deletes albums.
func work(t *testing.T, s *ankurah.Session, n int) {
	t.Helper()
	for k := range n {
		var id ankurah.ID
		err := s.Update(t.Context(), func(tx *ankurah.Tx) error {
			e, err := albums.Create(tx, &ankurah.Fields{"name": fmt.Sprint("album ", k), "year": 1950 + k%70, "rating": float64(k) / 7, "live": k%3 == 0, "tags": []string{"a", fmt.Sprint(k % 5)}})
			if err == nil {
				id = e.ID()
			}
			return err
		})
		if err == nil && k%4 == 0 {
			err = s.Update(t.Context(), func(tx *ankurah.Tx) error {
				e, err := albums.Edit(tx, id)
				if err == nil {
					err = e.Set("year", 2000)
				}
				return err
			})
		}
		if err == nil && k%10 == 9 {
			err = s.Update(t.Context(), func(tx *ankurah.Tx) error { return albums.Delete(tx, id) })
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func contents(t *testing.T, s *ankurah.Session, query string) []string {
	t.Helper()
	rows, err := albums.Fetch(t.Context(), s, query)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range rows {
		out = append(out, fmt.Sprint(r.ID(), r.Fields()))
	}
	return out
}

// A store goes from one engine to another and back, and holds the same.
func TestDump(t *testing.T) {
	e := memory.New()
	defer e.Close()
	s := node(t, e)
	work(t, s, 300)
	queries := []string{"", "year = 2000 ORDER BY rating DESC LIMIT 7", "live AND tags CONTAINS '3' ORDER BY name"}
	var want [][]string
	for _, q := range queries {
		want = append(want, contents(t, s, q))
	}
	compare := func(s *ankurah.Session) {
		t.Helper()
		for k, q := range queries {
			if got := contents(t, s, q); fmt.Sprint(got) != fmt.Sprint(want[k]) {
				t.Errorf("%q: %d rows, want %d", q, len(got), len(want[k]))
			}
		}
	}
	move := func(from, to storage.Engine) {
		t.Helper()
		var b bytes.Buffer
		if _, err := dump.Write(t.Context(), from, &b, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := dump.Restore(t.Context(), to, &b, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := dump.Verify(t.Context(), to, &dump.Options{Damage: func(err error) { t.Error(err) }}); err != nil {
			t.Fatal(err)
		}
	}
	pg, back := open(t, pgtest.New(t), nil), memory.New()
	defer back.Close()
	move(e, pg)
	move(pg, back)
	there := node(t, pg)
	compare(there)
	compare(node(t, back))
	work(t, there, 20) // a restored store goes on
	storagetest.CheckWhole(t, pg, storagetest.NewWriter(t, 1).Kinds)
}

// Clients of a durable node on PostgreSQL see what is committed, and commit.
func TestCluster(t *testing.T) {
	url := pgtest.New(t)
	e := open(t, url, nil)
	c := ankurahtest.New(t, &ankurahtest.Options{Engine: e})
	one, two := c.Client("one"), c.Client("two")
	for _, client := range []*ankurahtest.Client{one, two} {
		work(t, client.Session, 25)
	}
	for _, client := range []*ankurahtest.Client{one, two} {
		if err := client.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	q := "year = 2000 ORDER BY name"
	if a, b := contents(t, one.Session, q), contents(t, two.Session, q); fmt.Sprint(a) != fmt.Sprint(b) || len(a) == 0 {
		t.Errorf("%d and %d rows", len(a), len(b))
	}
	if _, err := postgres.Open(context.Background(), url, nil); !errors.Is(err, storage.ErrLocked) {
		t.Errorf("a second server: %v", err)
	}
}
