package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/ankurahtest/pgtest"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/storage/postgres"
	"github.com/ankurah/ankurah-go/transport/wsclient"
)

var things = ankurah.Dynamic("thing")

// member is one of several servers of a database, each a process.
type member struct {
	cmd  *exec.Cmd
	url  string
	errs strings.Builder // what it said, when it has ended
}

func (s *shell) member(db, listen string, more ...string) *member {
	s.t.Helper()
	m := &member{cmd: s.command(append([]string{"serve", "--permissive", "--shared", "--store", db, "--listen", listen}, more...)...)}
	out, err := m.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	m.cmd.Stderr = &m.errs
	if err := m.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		s.t.Fatal(err, m.cmd.Wait(), m.errs.String())
	}
	_, m.url, _ = strings.Cut(strings.TrimSpace(line), " at ")
	return m
}

// kill ends the process at once.
func (m *member) kill(t *testing.T) {
	if err := m.cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = m.cmd.Wait() // it was killed
}

// user is a client node with a live query.
type user struct {
	node *ankurah.Node
	conn *wsclient.Conn
	sess *ankurah.Session
	live *ankurah.LiveQuery[ankurah.Record]
}

// newUser makes one that knows the addresses of all servers, beginning with one.
func newUser(ctx context.Context, t *testing.T, first int, servers []*member) *user {
	t.Helper()
	engine := memory.New()
	u := &user{}
	var err error
	if u.node, err = ankurah.OpenNode(ctx, engine, nil); err != nil {
		t.Fatal(err)
	}
	var urls []string
	for k := range servers {
		urls = append(urls, servers[(first+k)%len(servers)].url)
	}
	u.conn, err = wsclient.Dial(u.node, urls[0], &wsclient.Options{Addresses: urls[1:], Credential: []byte("alice"), MinBackoff: 5 * time.Millisecond, MaxBackoff: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if err := u.node.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	u.sess = u.node.Session(policy.Principal{Subject: "alice"})
	if u.live, err = things.Query(ctx, u.sess, "ORDER BY id"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		u.conn.Close()
		if err := u.node.Close(); err != nil {
			t.Error(err)
		}
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	})
	return u
}

// rows returns what the live query holds.
func (u *user) rows() string {
	var b strings.Builder
	for _, r := range u.live.Rows() {
		fmt.Fprintln(&b, r.ID(), r.Fields())
	}
	return b.String()
}

// terminateAll ends every connection that others have to a database, and returns
// how many there were.
func terminateAll(ctx context.Context, t *testing.T, db string) int {
	t.Helper()
	conn, err := pgx.Connect(ctx, db)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	tag, err := conn.Exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
	if err != nil {
		t.Fatal(err)
	}
	return int(tag.RowsAffected())
}

// follow reads the feed of a shared store until it has told of n creations, and
// counts those of each entity.
func follow(ctx context.Context, t *testing.T, db string, n int) map[ankurah.ID]int {
	t.Helper()
	engine, err := postgres.Open(ctx, db, &postgres.Options{Shared: true})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	node, err := ankurah.OpenNode(ctx, engine, &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}})
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	told, events := map[ankurah.ID]int{}, map[ankurah.ID]bool{}
	for c, err := range node.Changes(ctx, "") {
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range c.Entities {
			for _, ev := range e.Events {
				if events[ev.ID] {
					t.Errorf("event %s is told twice", ev.ID)
				}
				events[ev.ID] = true
				for _, p := range ev.Parents {
					if !events[p] {
						t.Errorf("event %s comes before its parent %s", ev.ID, p)
					}
				}
				if ev.Kind == ankurah.EventCreated && e.Collection == "thing" {
					told[e.ID]++
					n--
				}
			}
		}
		if n == 0 {
			break
		}
	}
	return told
}

// S62, S23, S27: clients of three servers on one database write while one server
// after the other is killed and started again, while the database ends all
// connections of all servers at once, time and again, and while PostgreSQL itself
// is stopped and killed and started again. They move on to another, nothing that
// was acknowledged is lost, nothing is made twice, and all see the same, as does
// who follows the feed on a server of its own.
func TestServersKilled(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	s := newShell(t)
	database, err := pgtest.Start(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := database.Close(); err != nil {
			t.Error(err)
		}
	}()
	db := database.URL("postgres")
	servers := make([]*member, 3)
	var begun sync.WaitGroup
	for k := range servers {
		begun.Go(func() { servers[k] = s.member(db, "127.0.0.1:0") }) // they race to begin the system
	}
	begun.Wait()
	defer func() {
		for _, m := range servers {
			m.kill(t)
		}
	}()
	var users []*user
	for k := range 6 {
		users = append(users, newUser(ctx, t, k, servers))
	}
	var shared ankurah.ID
	err = users[0].sess.UpdateConfirmed(ctx, func(tx *ankurah.Tx) error {
		e, err := things.Create(tx, &ankurah.Fields{"name": "shared"})
		if err == nil {
			shared = e.ID()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range users {
		for len(u.live.Rows()) == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	stop := make(chan struct{})
	acked := make([]int64, len(users))
	var work sync.WaitGroup
	for k, u := range users {
		work.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				err := u.sess.UpdateConfirmed(ctx, func(tx *ankurah.Tx) error {
					if _, err := things.Create(tx, &ankurah.Fields{"of": k, "n": acked[k] + 1}); err != nil {
						return err
					}
					e, err := things.Edit(tx, shared)
					if err == nil {
						err = e.Set(fmt.Sprint("last", k), acked[k]+1)
					}
					return err
				})
				if err != nil {
					t.Errorf("user %d: %v", k, err)
					return
				}
				acked[k]++
			}
		})
	}
	ended := 0
	for k := range servers {
		time.Sleep(700 * time.Millisecond)
		servers[k].kill(t)
		time.Sleep(300 * time.Millisecond)
		listen := strings.TrimSuffix(strings.TrimPrefix(servers[k].url, "ws://"), "/ankurah")
		servers[k] = s.member(db, listen)
		ended += terminateAll(ctx, t, db)
	}
	for k := 0; k < 5 || ended < 20; k++ { // ctx ends what takes too long
		time.Sleep(100 * time.Millisecond)
		ended += terminateAll(ctx, t, db)
	}
	for _, end := range []func() error{database.Stop, database.Kill} {
		time.Sleep(300 * time.Millisecond)
		if err := errors.Join(end(), database.Start()); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(500 * time.Millisecond)
	close(stop)
	work.Wait()

	late := newUser(ctx, t, 1, servers)
	if err := late.live.WaitSynced(ctx); err != nil {
		t.Fatal(err)
	}
	want := late.rows()
	for k, u := range users {
		for deadline := time.Now().Add(time.Minute); u.rows() != want; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("user %d holds %d rows, a new one %d", k, len(u.live.Rows()), len(late.live.Rows()))
			}
		}
	}
	made := map[string]int{}
	for _, r := range late.live.Rows() {
		made[fmt.Sprint(r.Fields()["of"], " ", r.Fields()["n"])]++
	}
	total := int64(0)
	for k := range users {
		total += acked[k]
		for n := range acked[k] {
			if c := made[fmt.Sprint(k, " ", n+1)]; c != 1 {
				t.Errorf("what user %d made as number %d is there %d times", k, n+1, c)
			}
		}
		row, err := things.Get(ctx, late.sess, shared)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(row.Fields()[fmt.Sprint("last", k)]); got != fmt.Sprint(acked[k]) {
			t.Errorf("the shared entity has %s of user %d, want %d", got, k, acked[k])
		}
	}
	if len(late.live.Rows()) != int(total)+1 {
		t.Errorf("%d rows, want %d", len(late.live.Rows()), total+1)
	}
	t.Log(total, "transactions were acknowledged")
	told := follow(ctx, t, db, int(total)+1)
	for _, r := range late.live.Rows() {
		if told[r.ID()] != 1 {
			t.Errorf("the feed has %d creations of %s", told[r.ID()], r.ID())
		}
	}
	said(t, s.run("--store", db, "verify"))
}

// S62: a server whose database is away for longer than it waits ends, and says
// why, so that its clients move on and whoever watches over it starts it again.
func TestServerGivesUp(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	s := newShell(t)
	database, err := pgtest.Start(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := database.Close(); err != nil {
			t.Error(err)
		}
	}()
	m := s.member(database.URL("postgres"), "127.0.0.1:0", "--outage", "300ms")
	u := newUser(ctx, t, 0, []*member{m})
	if err := u.live.WaitSynced(ctx); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- m.cmd.Wait() }()
	stop, stopped := make(chan struct{}), make(chan int)
	go func() { // so that a commit is under way
		for n := 0; ; n++ {
			select {
			case <-stop:
				stopped <- n
				return
			case <-time.After(time.Millisecond):
			}
			err := u.sess.Update(ctx, func(tx *ankurah.Tx) error {
				_, err := things.Create(tx, &ankurah.Fields{"n": n})
				return err
			})
			if err != nil {
				t.Error(err)
			}
		}
	}()
	for over := false; !over; { // ctx ends what takes too long
		time.Sleep(200 * time.Millisecond)
		if err := database.Stop(); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-ended:
			if over = true; err == nil || !strings.Contains(m.errs.String(), "has stopped committing") {
				t.Errorf("it ended with %v and said %s", err, m.errs.String())
			}
		case <-time.After(2 * time.Second): // no commit was under way
		}
		if err := errors.Join(database.Start(), ctx.Err()); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	made := <-stopped
	m = s.member(database.URL("postgres"), strings.TrimSuffix(strings.TrimPrefix(m.url, "ws://"), "/ankurah"))
	defer m.kill(t)
	for u.node.Stats().Pending > 0 {
		if err := ctx.Err(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond)
	}
	if err := u.live.WaitSynced(ctx); err != nil || len(u.live.Rows()) != made {
		t.Errorf("%d rows, %d were made, %v", len(u.live.Rows()), made, err)
	}
}
