package postgres_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/ankurahtest/pgtest"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/property"
	"github.com/ankurah/ankurah-go/property/lww"
	"github.com/ankurah/ankurah-go/storage/postgres"
	"github.com/ankurah/ankurah-go/storage/storagetest"
)

// follower is a server, and a live query whose change sets are folded.
type follower struct {
	node    *ankurah.Node
	engine  *postgres.Engine
	session *ankurah.Session
	query   *ankurah.LiveQuery[ankurah.Record]

	mu     sync.Mutex
	folded map[ankurah.ID]ankurah.Record
	wrong  string
	sets   int
}

func (f *follower) fold(cs ankurah.ChangeSet[ankurah.Record]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sets++
	for _, c := range cs.Changes {
		before, there := f.folded[c.ID()]
		switch {
		case c.Kind == ankurah.Removed && there:
			delete(f.folded, c.ID())
		case (c.Kind == ankurah.Initial || c.Kind == ankurah.Added) && !there:
			f.folded[c.ID()] = c.After
		case c.Kind == ankurah.Updated && there && fmt.Sprint(before.Fields()) == fmt.Sprint(c.Before.Fields()) && len(c.Events) > 0:
			f.folded[c.ID()] = c.After
		default:
			f.wrong = fmt.Sprintf("%v of %s, there: %v, before %v, was %v", c.Kind, c.ID(), there, c.Before, before)
		}
	}
}

// holds reports whether the live query, what its change sets lead to, and a
// fresh query say the same as want.
func (f *follower) holds(t *testing.T, want map[ankurah.ID]string) error {
	fresh, err := albums.Fetch(t.Context(), f.session, "")
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.wrong != "" {
		t.Fatal(f.wrong)
	}
	if len(fresh) != len(want) || len(f.query.Rows()) != len(want) || len(f.folded) != len(want) {
		return fmt.Errorf("%d rows, live %d, folded %d, want %d", len(fresh), len(f.query.Rows()), len(f.folded), len(want))
	}
	for k, r := range fresh {
		live := f.query.Rows()[k]
		for _, x := range []ankurah.Record{r, live, f.folded[r.ID()]} {
			if fmt.Sprint(x.Fields()) != want[r.ID()] {
				return fmt.Errorf("%s is %v, want %s", r.ID(), x.Fields(), want[r.ID()])
			}
		}
	}
	return nil
}

func serve(t testing.TB, url string) *follower {
	t.Helper()
	f := &follower{folded: map[ankurah.ID]ankurah.Record{}, engine: open(t, url, &postgres.Options{Shared: true})}
	var err error
	if f.node, err = ankurah.OpenNode(t.Context(), f.engine, &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}}); err != nil {
		t.Fatal(err)
	}
	f.session = f.node.Session(policy.Principal{Subject: "tester"})
	return f
}

func (f *follower) watch(t *testing.T) {
	t.Helper()
	var err error
	if f.query, err = albums.Query(t.Context(), f.session, "ORDER BY id"); err != nil {
		t.Fatal(err)
	}
	f.query.OnChange(f.fold)
}

// S62, S21, S52: several servers begin one system at once and write to the same
// entities. No update is lost, each hears of all commits of the others, in an
// order in which each change fits the one before, and in the end all are alike.
func TestServers(t *testing.T) {
	url := pgtest.New(t)
	var servers []*follower
	for range 3 {
		servers = append(servers, serve(t, url))
	}
	var begun sync.WaitGroup
	for _, s := range servers {
		begun.Go(func() {
			if err := s.node.EnsureSystem(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	begun.Wait()
	for _, s := range servers {
		if s.node.System() != servers[0].node.System() {
			t.Fatalf("the servers began more than one system: %s, %s", s.node.System(), servers[0].node.System())
		}
		defer s.node.Close()
		s.watch(t)
	}
	var shared []ankurah.ID
	err := servers[0].session.Update(t.Context(), func(tx *ankurah.Tx) error {
		for range 5 {
			e, err := albums.Create(tx, &ankurah.Fields{"name": "shared"})
			if err != nil {
				return err
			}
			shared = append(shared, e.ID())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	agree(t, url, servers)
	const workers = 3
	var work sync.WaitGroup
	last := make([]map[ankurah.ID]int64, len(servers)*workers) // what each worker's property has to hold
	for k := range last {
		last[k] = map[ankurah.ID]int64{}
		work.Go(func() {
			s := servers[k/workers]
			r := rand.New(rand.NewPCG(uint64(k), 3))
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
			defer cancel()
			for n := range int64(40) {
				one, two := shared[r.IntN(len(shared))], shared[r.IntN(len(shared))]
				err := s.session.Update(ctx, func(tx *ankurah.Tx) error {
					if n%8 == 7 {
						if _, err := albums.Create(tx, &ankurah.Fields{"name": fmt.Sprint("of ", k), "n": n}); err != nil {
							return err
						}
					}
					for _, i := range []ankurah.ID{one, two} {
						e, err := albums.Edit(tx, i)
						if err == nil {
							err = e.Set(fmt.Sprint("w", k), n)
						}
						if err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					t.Error(err)
					return
				}
				last[k][one], last[k][two] = n, n
			}
		})
	}
	work.Wait()
	agree(t, url, servers)
	rows, err := albums.Fetch(t.Context(), servers[0].session, "")
	if err != nil {
		t.Fatal(err)
	}
	if want := len(shared) + len(last)*5; len(rows) != want {
		t.Errorf("%d rows, want %d", len(rows), want)
	}
	for _, r := range rows {
		for k := range last {
			if want, wrote := last[k][r.ID()]; wrote && fmt.Sprint(r.Fields()[fmt.Sprint("w", k)]) != fmt.Sprint(want) {
				t.Errorf("%s: w%d is %v, want %d", r.ID(), k, r.Fields()[fmt.Sprint("w", k)], want)
			}
		}
	}
	for _, s := range servers {
		t.Log(s.sets, "change sets")
	}
	storagetest.CheckWhole(t, servers[0].engine, property.NewRegistry(lww.Kind))
}

// agree waits until all servers hold what a new one finds in the database.
func agree(t *testing.T, url string, servers []*follower) {
	t.Helper()
	fresh := serve(t, url)
	defer fresh.node.Close()
	rows, err := albums.Fetch(t.Context(), fresh.session, "")
	if err != nil {
		t.Fatal(err)
	}
	want := map[ankurah.ID]string{}
	for _, r := range rows {
		want[r.ID()] = fmt.Sprint(r.Fields())
	}
	for _, s := range servers {
		deadline := time.Now().Add(time.Minute)
		for err = s.holds(t, want); err != nil && time.Now().Before(deadline); err = s.holds(t, want) {
			time.Sleep(5 * time.Millisecond)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
