package postgres_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ankurah/ankurah-go/ankurahtest/pgtest"
	"github.com/ankurah/ankurah-go/storage/postgres"
	"github.com/ankurah/ankurah-go/storage/storagetest"
)

// Servers that start, close, are killed, lose their connections and are idle:
// what they commit is stored once, whoever has a session keeps its row, and who
// has had none for an hour has none after the next start, so the table does not
// grow with starts.
func TestServersSwept(t *testing.T) {
	type server struct {
		name      string
		e         *postgres.Engine
		row       [16]byte
		alive     bool
		connected bool          // its writing session has not been ended
		idle      time.Duration // since it was first seen without one; below 0: not seen
	}
	url := pgtest.New(t)
	conn := connect(t, url)
	r := rand.New(rand.NewPCG(7, 8))
	l := storagetest.NewLedger(t, 1)
	acked, removed := 0, 0
	var servers []*server
	rows := func() map[[16]byte]bool {
		out := map[[16]byte]bool{}
		found, err := conn.Query(t.Context(), "SELECT incarnation FROM _ankurah_servers")
		if err != nil {
			t.Fatal(err)
		}
		ids, err := pgx.CollectRows(found, pgx.RowTo[[16]byte])
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range ids {
			out[i] = true
		}
		return out
	}
	// seen does to the model what a start does to the table.
	seen := func() {
		for _, s := range servers {
			switch {
			case s.connected:
			case s.idle < 0:
				s.idle = 0
			case s.idle >= time.Hour:
				if s.row != [16]byte{} {
					removed++
				}
				s.row = [16]byte{}
			}
		}
	}
	check := func(after string) {
		t.Helper()
		there := rows()
		want := 0
		for _, s := range servers {
			if s.row == ([16]byte{}) {
				continue
			}
			if want++; !there[s.row] {
				t.Fatalf("after %s: the row of %s is gone: alive %t, connected %t, without a session for %v", after, s.name, s.alive, s.connected, s.idle)
			}
		}
		if len(there) != want {
			t.Fatalf("after %s: %d rows, want %d", after, len(there), want)
		}
	}
	start := func() {
		known := map[[16]byte]bool{}
		if len(servers) > 0 { // there is a table
			known = rows()
		}
		s := &server{name: fmt.Sprintf("server%d", len(servers)), alive: true, connected: true, idle: -1}
		s.e = open(t, url+"&application_name="+s.name, &postgres.Options{Shared: true})
		seen()
		for row := range rows() {
			if !known[row] {
				s.row = row
			}
		}
		servers = append(servers, s)
		check("the start of " + s.name)
	}
	// end ends the sessions of s and waits until they are.
	end := func(s *server) {
		for left := 1; left > 0; {
			err := conn.QueryRow(t.Context(), "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = $1", s.name).Scan(&left)
			if err != nil {
				t.Fatal(err)
			}
		}
		if s.connected {
			s.connected, s.idle = false, -1
		}
	}
	living := func() *server {
		alive := slices.DeleteFunc(slices.Clone(servers), func(s *server) bool { return !s.alive })
		if len(alive) == 0 {
			return nil
		}
		return alive[r.IntN(len(alive))]
	}
	commit := func(s *server) {
		if err := l.Step(context.Background(), s.e); err != nil {
			t.Fatalf("%s, which was without a session for %v: %v", s.name, s.idle, err)
		}
		acked++
		s.connected, s.idle = true, -1
		if s.row == ([16]byte{}) { // it made its row again
			known := map[[16]byte]bool{}
			for _, o := range servers {
				known[o.row] = true
			}
			for row := range rows() {
				if !known[row] {
					s.row = row
				}
			}
		}
	}
	start()
	for range 150 {
		s := living()
		switch n := r.IntN(10); {
		case n < 2 || s == nil:
			start()
		case n == 2: // it closes, when it has a session
			commit(s)
			if err := s.e.Close(); err != nil {
				t.Fatal(err)
			}
			s.alive, s.connected, s.row = false, false, [16]byte{}
			check("the end of " + s.name)
		case n == 3: // killed
			end(s)
			s.alive = false
		case n == 4:
			end(s)
		case n == 5: // time goes by
			d := time.Duration(r.IntN(50)) * time.Minute
			exec(t, conn, "UPDATE _ankurah_servers SET gone = gone - $1::interval", d)
			for _, s := range servers {
				if s.idle >= 0 {
					s.idle += d
				}
			}
		default:
			commit(s)
			check("a commit of " + s.name)
		}
	}
	for _, s := range servers {
		if s.alive {
			commit(s)
		}
	}
	for range 2 { // seen without a session, and an hour later
		start()
		exec(t, conn, "UPDATE _ankurah_servers SET gone = gone - interval '2 hours'")
		for _, s := range servers {
			if s.idle >= 0 {
				s.idle += 2 * time.Hour
			}
		}
	}
	start()
	alive := 0
	for _, s := range servers {
		if s.alive {
			alive++
		}
	}
	if n := len(rows()); n != alive {
		t.Errorf("%d rows for %d servers", n, alive)
	}
	snap, err := servers[len(servers)-1].e.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	if n := l.Check(t, snap, acked); n != acked {
		t.Errorf("%d transactions are stored, %d were acknowledged", n, acked)
	}
	if removed < 3 {
		t.Errorf("only %d rows were removed at starts", removed)
	}
	t.Log(len(servers), "starts,", removed, "rows removed")
}

// A store of a version that had no such rule opens, and keeps the rows of which
// nobody can say whether their processes live.
func TestServersOfBefore(t *testing.T) {
	url := pgtest.New(t)
	conn := connect(t, url)
	if err := open(t, url, &postgres.Options{Shared: true}).Close(); err != nil {
		t.Fatal(err)
	}
	exec(t, conn, "ALTER TABLE _ankurah_servers DROP COLUMN key, DROP COLUMN gone")
	exec(t, conn, "INSERT INTO _ankurah_servers VALUES (gen_random_uuid(), 7)")
	for range 2 {
		if err := open(t, url, &postgres.Options{Shared: true}).Close(); err != nil {
			t.Fatal(err)
		}
	}
	var n int
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM _ankurah_servers WHERE batch = 7 AND gone IS NULL").Scan(&n); err != nil || n != 1 {
		t.Errorf("%d rows, %v", n, err)
	}
}
