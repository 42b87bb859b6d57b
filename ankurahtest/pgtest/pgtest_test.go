package pgtest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func TestMain(m *testing.M) { os.Exit(Run(m)) }

// query runs statements and returns the text that the last one yields.
func query(t *testing.T, url string, sql ...string) (out string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	last := len(sql) - 1
	for _, s := range sql[:last] {
		if _, err := conn.Exec(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.QueryRow(t.Context(), sql[last]).Scan(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

// Each test has a database of its own, and it is gone afterwards.
func TestDatabases(t *testing.T) {
	var one, two string
	t.Run("tests", func(t *testing.T) {
		one, two = New(t), New(t)
		query(t, one, "CREATE TABLE x AS SELECT 1", "SELECT 'made'")
		if got := query(t, two, "SELECT count(*)::text FROM pg_tables WHERE schemaname = 'public'"); got != "0" {
			t.Errorf("%s tables in a fresh database", got)
		}
		if got := query(t, one, "SHOW server_encoding"); got != "UTF8" {
			t.Errorf("encoding %s", got)
		}
	})
	if _, err := pgx.Connect(t.Context(), one); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("after the test: %v", err)
	}
}

// What is stored is there after a stop and after a crash.
func TestRestart(t *testing.T) {
	s := Shared(t)
	url := New(t)
	query(t, url, "CREATE TABLE x (n text)", "INSERT INTO x VALUES ('stays')", "SELECT n FROM x")
	for _, end := range []func() error{s.Stop, s.Kill} {
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if _, err := pgx.Connect(t.Context(), url); err == nil {
			t.Fatal("a stopped server answers")
		}
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		if got := query(t, url, "SELECT n FROM x"); got != "stays" {
			t.Errorf("found %q", got)
		}
	}
}

// A closed cluster leaves no process and no file.
func TestClose(t *testing.T) {
	s, err := Start(&Options{Sync: true, Settings: map[string]string{"work_mem": "1MB"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := query(t, s.URL("postgres"), "SHOW fsync") + query(t, s.URL("postgres"), "SHOW work_mem"); got != "on1MB" {
		t.Errorf("settings %s", got)
	}
	p := s.process
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.ended:
	case <-time.After(time.Minute):
		t.Error("the process has not ended")
	}
	if _, err := os.Stat(s.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its folder: %v", err)
	}
}

// Where the programs are missing the error says how to install them.
func TestMissing(t *testing.T) {
	old := places
	defer func() { places = old }()
	places = nil
	t.Setenv("PATH", t.TempDir())
	t.Setenv("PGBIN", "")
	if _, err := Binaries(); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "apt-get install") {
		t.Errorf("%v", err)
	}
	t.Setenv("PGBIN", t.TempDir())
	if _, err := Binaries(); err == nil || !strings.Contains(err.Error(), "PGBIN") {
		t.Errorf("%v", err)
	}
	dir := t.TempDir()
	for _, v := range []string{"9", "15", "16", "17-without"} {
		bin := filepath.Join(dir, v, "bin")
		if err := os.MkdirAll(bin, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"initdb", "postgres"} {
			if strings.HasSuffix(v, "without") {
				continue
			}
			if err := os.WriteFile(filepath.Join(bin, name), nil, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Setenv("PGBIN", "")
	places = []string{filepath.Join(dir, "*", "bin")}
	if got, err := Binaries(); err != nil || got != filepath.Join(dir, "16", "bin") {
		t.Errorf("the newest is %s, %v", got, err)
	}
}
