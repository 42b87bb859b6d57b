package pgtest

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
)

// shared is the cluster of a package's tests. It is started when the first
// test wants it.
var shared struct {
	sync.Mutex
	running bool // Run is
	server  *Server
	err     error // of starting it
}

var databases atomic.Int64

// Run runs a package's tests and ends their cluster. It returns the exit code.
func Run(m *testing.M) int {
	shared.Lock()
	shared.running = true
	shared.Unlock()
	code := m.Run()
	shared.Lock()
	defer shared.Unlock()
	shared.running = false
	if shared.server != nil {
		if err := shared.server.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
		shared.server = nil
	}
	return code
}

// Shared returns the cluster of the package's tests. Who stops it must start
// it again. The test fails where there is no PostgreSQL.
func Shared(t testing.TB) *Server {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if !shared.running {
		t.Fatal("ankurah: nobody would end the PostgreSQL server: write func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }")
	}
	if shared.server == nil && shared.err == nil {
		shared.server, shared.err = Start(nil)
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.server
}

// New returns the address of a fresh, empty database of the package's cluster.
// It is dropped when the test ends, connections that are left are cut.
func New(t testing.TB) string {
	t.Helper()
	return Shared(t).New(t)
}

// New returns the address of a fresh, empty database, see [New].
func (s *Server) New(t testing.TB) string {
	t.Helper()
	name := "test_" + strconv.FormatInt(databases.Add(1), 10)
	s.Exec(t, "CREATE DATABASE "+name)
	t.Cleanup(func() { s.Exec(t, "DROP DATABASE "+name+" WITH (FORCE)") })
	return s.URL(name)
}

// Exec runs a statement as the superuser, in the database postgres.
func (s *Server) Exec(t testing.TB, sql string) {
	t.Helper()
	ctx := context.Background() // a test's own has ended when it cleans up
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}
