package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/ankurahtest/pgtest"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/postgres"
)

// postgresLane compares the PostgreSQL engine with statements that a program
// without it would write, on one server, whose commits wait for the disk.
func postgresLane(ctx context.Context, runs int) (out []result, err error) {
	server, err := pgtest.Start(&pgtest.Options{Sync: true})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	eng, err := postgres.Open(ctx, server.URL("postgres"), nil)
	if err != nil {
		return nil, err
	}
	s, done, err := openOn(ctx, eng)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	pool, err := pgxpool.New(ctx, server.URL("postgres")+"&pool_max_conns=64")
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	for _, c := range []struct{ writers, each int }{{1, 300}, {64, 40}} {
		r, err := postgresCommits(ctx, runs, s, pool, c.writers, c.each)
		if err != nil {
			return nil, err
		}
		out = append(out, r...)
	}
	reads, err := postgresQueries(ctx, runs, s, pool)
	return append(out, reads...), err
}

// byHand are the statements of a commit as the engine has them: the event, the
// entity if nobody else changed it, the transaction, the bookkeeping.
type byHand struct {
	sql  [4]string
	args func(w, k int) [4][]any
}

func (h *byHand) transaction(ctx context.Context, pool *pgxpool.Pool, w, k int) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		args := h.args(w, k)
		for j, sql := range h.sql {
			tag, err := tx.Exec(ctx, sql, args[j]...)
			if err == nil && tag.RowsAffected() != 1 {
				err = errors.New("a row was changed by another one")
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// batch sends the statements at once; what changed cannot be looked at before
// they are committed.
func (h *byHand) batch(ctx context.Context, pool *pgxpool.Pool, w, k int) error {
	b, args := &pgx.Batch{}, h.args(w, k)
	for j, sql := range h.sql {
		b.Queue(sql, args[j]...)
	}
	return pool.SendBatch(ctx, b).Close()
}

// newByHand makes the tables and a row for each writer.
func newByHand(ctx context.Context, pool *pgxpool.Pool, writers int) (*byHand, error) {
	for _, sql := range []string{
		"DROP TABLE IF EXISTS h_city, h_events, h_txs, h_meta",
		`CREATE TABLE h_city (id uuid PRIMARY KEY, name text COLLATE "C", population bigint, _rev bigint, _head bytea, _state bytea) WITH (fillfactor = 85)`,
		"CREATE TABLE h_events (entity uuid, rev bigint, event uuid NOT NULL UNIQUE, tx uuid, made_at timestamptz, body bytea, PRIMARY KEY (entity, rev))",
		"CREATE TABLE h_txs (tx uuid PRIMARY KEY, record bytea)",
		"CREATE TABLE h_meta (key bytea PRIMARY KEY, value bytea)",
	} {
		if _, err := pool.Exec(ctx, sql); err != nil {
			return nil, err
		}
	}
	id := func(a, w, k int) (out [16]byte) {
		out[0], out[1], out[2], out[3], out[4], out[5] = byte(a), byte(w), byte(k>>24), byte(k>>16), byte(k>>8), byte(k)
		return out
	}
	for w := range writers {
		if _, err := pool.Exec(ctx, "INSERT INTO h_city VALUES ($1, 'Reykjavik', 0, 1, $2, $3)", id(1, w, 0), headOf(0), make([]byte, 160)); err != nil {
			return nil, err
		}
		if _, err := pool.Exec(ctx, "INSERT INTO h_meta VALUES ($1, $2)", []byte{byte(w)}, make([]byte, 8)); err != nil {
			return nil, err
		}
	}
	return &byHand{
		sql: [4]string{
			"INSERT INTO h_events VALUES ($1, $2, $3, $4, $5, $6)",
			"UPDATE h_city SET name = $2, population = $3, _rev = $4, _head = $5, _state = $6 WHERE id = $1 AND _head = $7",
			"INSERT INTO h_txs VALUES ($1, $2)",
			"UPDATE h_meta SET value = $2 WHERE key = $1",
		},
		args: func(w, k int) [4][]any {
			return [4][]any{
				{id(1, w, 0), int64(k + 2), id(2, w, k), id(3, w, k), time.Now(), make([]byte, 260)},
				{id(1, w, 0), "Reykjavik", int64(k), int64(k + 2), headOf(k + 1), make([]byte, 160), headOf(k)},
				{id(3, w, k), make([]byte, 40)},
				{[]byte{byte(w)}, headOf(k)[:8]},
			}
		},
	}, nil
}

// headOf returns 48 bytes that tell k.
func headOf(k int) []byte {
	b := make([]byte, 48)
	b[0], b[1], b[2] = byte(k>>16), byte(k>>8), byte(k)
	return b
}

func postgresCommits(ctx context.Context, runs int, s *ankurah.Session, pool *pgxpool.Pool, writers, each int) ([]result, error) {
	ids := make([]ankurah.ID, writers)
	for w := range ids {
		var err error
		if ids[w], err = createOne(ctx, s); err != nil {
			return nil, err
		}
	}
	timed := func(f func(w, k int) error) (float64, error) {
		var wg sync.WaitGroup
		errs := make([]error, writers)
		start := time.Now()
		for w := range writers {
			wg.Go(func() {
				for k := 0; k < each && errs[w] == nil; k++ {
					errs[w] = f(w, k)
				}
			})
		}
		wg.Wait()
		return float64(writers*each) / time.Since(start).Seconds(), errors.Join(errs...)
	}
	params := "writers:" + itoa(writers) + ",each:" + itoa(each) + ",fsync:on,hand:same_statements"
	name := itoa(writers) + "_writers"
	tx := result{name: name, unit: "commits/s", rate: true, peer: "pgx_transaction", params: params}
	batch := result{name: name, unit: "commits/s", rate: true, peer: "pgx_batch", params: params}
	for range runs + 1 {
		ours, err := timed(func(w, k int) error { return setOne(ctx, s, ids[w], k) })
		if err != nil {
			return nil, err
		}
		var theirs [2]float64
		for j := range theirs {
			h, err := newByHand(ctx, pool, writers)
			if err != nil {
				return nil, err
			}
			send := h.transaction
			if j == 1 {
				send = h.batch
			}
			if theirs[j], err = timed(func(w, k int) error { return send(ctx, pool, w, k) }); err != nil {
				return nil, err
			}
		}
		tx.ours, tx.theirs = append(tx.ours, ours), append(tx.theirs, theirs[0])
		batch.ours, batch.theirs = append(batch.ours, ours), append(batch.theirs, theirs[1])
	}
	for _, r := range []*result{&tx, &batch} {
		r.ours, r.theirs = r.ours[1:], r.theirs[1:]
	}
	return []result{tx, batch}, nil
}

// postgresRows is the size of the collection that queries run on.
const postgresRows = 100_000

func postgresQueries(ctx context.Context, runs int, s *ankurah.Session, pool *pgxpool.Pool) ([]result, error) {
	if err := fill(ctx, s, postgresRows); err != nil {
		return nil, err
	}
	eng := s.Node().Engine()
	for _, columns := range [][]schema.Column{{{Path: []string{"name"}}}, {{Path: []string{"population"}, Desc: true}}} {
		if err := eng.(storage.Indexer).EnsureIndex(ctx, "city", schema.Index{Columns: columns}); err != nil {
			return nil, err
		}
	}
	snap, err := eng.Snapshot()
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	// The hand-written statements are what a table of its own would be asked, and
	// the engine's own table.
	for _, sql := range []string{
		"CREATE TABLE h_rows AS SELECT id, name, country, population FROM city WHERE NOT _deleted",
		"CREATE INDEX ON h_rows (name)", "CREATE INDEX ON h_rows (population DESC)", "ALTER TABLE h_rows ADD PRIMARY KEY (id)", "VACUUM ANALYZE h_rows", "VACUUM ANALYZE city",
	} {
		if _, err := pool.Exec(ctx, sql); err != nil {
			return nil, err
		}
	}
	var out []result
	for _, c := range []struct {
		name, query string
		where, same string // on the slim table, and on the engine's
		args        []any  // of the query and of both statements
		n           int
	}{
		{"equality", "name = ?", "WHERE name = $1", "AND left(name, 128) = $1", []any{"city 50000"}, 500},
		{"order_limit_50", "ORDER BY population DESC LIMIT 50", "ORDER BY population DESC, id LIMIT 50", "ORDER BY population DESC, id LIMIT 50", nil, 200},
		{"prefix_limit_50", "name LIKE 'city 55%' ORDER BY name LIMIT 50", "WHERE name LIKE 'city 55%' ORDER BY name, id LIMIT 50",
			"AND left(name, 128) >= 'city 55' AND left(name, 128) < 'city 56' ORDER BY left(name, 128), id LIMIT 50", nil, 200},
		{"prefix_parameter_limit_50", "name LIKE ? ORDER BY name LIMIT 50", "WHERE name LIKE $1 ORDER BY name, id LIMIT 50",
			"AND left(name, 128) >= rtrim($1, '%') AND left(name, 128) < rtrim($1, '%') || chr(1114111) ORDER BY left(name, 128), id LIMIT 50", []any{"city 55%"}, 200},
		{"expression", "population / 7 = 3", "WHERE population / 7 = 3", "AND population / 7 = 3", nil, 10},
		{"no_index", "country = ?", "WHERE country = $1", "AND country = $1", []any{"QQ"}, 10},
		{"no_index_expression", "population / 7 = population / 8", "WHERE population / 7 = population / 8", "AND population / 7 = population / 8", nil, 10},
	} {
		q, err := ankql.Parse(c.query)
		if err != nil {
			return nil, err
		}
		sel, err := ankql.Bind(q, s.Node().Model("city"), "city", c.args...)
		if err != nil {
			return nil, err
		}
		ways := []func() (int, error){
			func() (n int, err error) {
				for _, err := range snap.Scan(ctx, sel) {
					if err != nil {
						return n, err
					}
					n++
				}
				return n, nil
			},
			func() (int, error) {
				return countRows(ctx, pool, "SELECT id, name, country, population FROM h_rows "+c.where, c.args, func(rows pgx.Rows) error {
					var id [16]byte
					var name, country *string
					var population *int64
					return rows.Scan(&id, &name, &country, &population)
				})
			},
			func() (int, error) {
				return countRows(ctx, pool, "SELECT id, _state FROM city WHERE NOT _deleted "+c.same, c.args, func(rows pgx.Rows) error {
					raw := rows.RawValues()
					_, err := storage.DecodeState("city", [16]byte(raw[0]), raw[1])
					return err
				})
			},
		}
		times, err := turns(ways, runs+1, c.n)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		params := fmt.Sprintf("rows:%d,n:%d", postgresRows, c.n)
		for k, peer := range []string{"pgx_slim_table", "pgx_same_table"} {
			out = append(out, result{name: "query_" + c.name, unit: "us", ours: times[0][1:], theirs: times[k+1][1:], peer: peer, params: params})
		}
	}
	return out, nil
}

// countRows reads a result with scan and returns how many rows it has.
func countRows(ctx context.Context, pool *pgxpool.Pool, sql string, args []any, scan func(pgx.Rows) error) (n int, err error) {
	rows, err := pool.Query(ctx, sql, args...)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for ; rows.Next(); n++ {
		if err := scan(rows); err != nil {
			return n, err
		}
	}
	return n, rows.Err()
}

// turns times several ways to the same rows in turn, ten times n/10 of each in
// a run, so that what else the machine does falls on all of them. It returns
// microseconds per call by way and run.
func turns(ways []func() (int, error), runs, n int) ([][]float64, error) {
	times, want := make([][]float64, len(ways)), -1
	for range runs {
		sums := make([]time.Duration, len(ways))
		for range 10 {
			for k, way := range ways {
				start := time.Now()
				for range n / 10 {
					got, err := way()
					if err != nil {
						return nil, err
					}
					if want < 0 {
						want = got
					}
					if got != want {
						return nil, fmt.Errorf("%d rows one way, %d another", got, want)
					}
				}
				sums[k] += time.Since(start)
			}
		}
		for k, sum := range sums {
			times[k] = append(times[k], micros(sum)/float64(n/10*10))
		}
	}
	return times, nil
}
