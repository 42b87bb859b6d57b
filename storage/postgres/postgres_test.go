package postgres_test

import (
	"context"
	"flag"
	"os"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/ankurah/ankurah-go/ankurahtest/pgtest"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/postgres"
	"github.com/ankurah/ankurah-go/storage/storagetest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

// place is a schema.
type place struct {
	url  string
	opts *postgres.Options
}

func (p place) Open() (storage.Engine, error) {
	e, err := postgres.Open(context.Background(), p.url, p.opts)
	if err != nil {
		return nil, err
	}
	return e, nil
}

// schemas returns what makes fresh schemas of one database.
func schemas(t *testing.T) func(t *testing.T) string {
	url, n := pgtest.New(t), 0
	conn := connect(t, url)
	return func(t *testing.T) string {
		n++
		name := "s" + strconv.Itoa(n)
		exec(t, conn, "CREATE SCHEMA "+name)
		return url + "&search_path=" + name
	}
}

func connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return conn
}

func exec(t testing.TB, conn *pgx.Conn, sql string, args ...any) {
	t.Helper()
	if _, err := conn.Exec(context.Background(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// oracle is the number of generated queries that are compared with the
// evaluator; with -short it is a tenth.
var oracle = flag.Int("oracle", 10_000, "number of generated queries")

// suite runs the whole suite against schemas.
func suite(t *testing.T, opts *postgres.Options) {
	pairs := *oracle
	if testing.Short() {
		pairs /= 10
	}
	fresh := schemas(t)
	storagetest.Run(t, storagetest.Config{
		New:       func(t *testing.T) storagetest.Place { return place{fresh(t), opts} },
		Exclusive: opts == nil || !opts.Shared,
		Pairs:     pairs,
	})
}

func TestEngine(t *testing.T) { suite(t, nil) }

// The suite holds as well where others may write to the store.
func TestEngineShared(t *testing.T) { suite(t, &postgres.Options{Shared: true}) }
