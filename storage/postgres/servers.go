package postgres

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Each process has a row in _ankurah_servers, which says whether its last batch
// was applied. Nobody else reads it, so it can go when the process has gone: who
// closes takes it along, and who starts on a shared store removes those of
// processes that were killed. A process is taken for gone while no session holds
// its lock, which the one that writes does. That may also be between two
// connections, when it may have to look what became of a batch, for as long as
// an outage is borne. So a row is only removed when it was without a session an
// hour ago, too. A process that finds its row gone and has no batch in doubt
// makes it anew; one that has a batch in doubt says that it cannot know.

// goneFor is how long rows of processes stay that have no session.
const goneFor = time.Hour

// maxSweep bounds the rows that are looked at in one go, each of which takes a
// lock.
const maxSweep = 1000

// layOutServers adds what a table of an earlier version lacks.
func (e *Engine) layOutServers(ctx context.Context, conn *pgx.Conn) error {
	there := false
	err := conn.QueryRow(ctx, "SELECT count(*) = 2 FROM pg_attribute WHERE attrelid = $1::regclass AND attname IN ('key', 'gone') AND NOT attisdropped", e.own("servers")).Scan(&there)
	if err != nil || there {
		return err
	}
	_, err = conn.Exec(ctx, fmt.Sprintf("ALTER TABLE %s ADD COLUMN IF NOT EXISTS key integer, ADD COLUMN IF NOT EXISTS gone timestamptz", e.own("servers")))
	return err
}

// key is this process's half of its lock.
func (e *Engine) key() int32 { return int32(binary.BigEndian.Uint32(e.incarnation[:])) }

// lockServer makes conn's session one that shows that this process lives. It
// waits for who is removing its row, and not for the session before, whose end
// the server may not have noticed.
func (e *Engine) lockServer(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, "SELECT pg_advisory_lock_shared($1, $2)", lockServer, e.key())
	return err
}

// enlist makes this process's row where it is missing; no batch is in doubt.
func (e *Engine) enlist(ctx context.Context, conn *pgx.Conn) error {
	if e.enlisted {
		return nil
	}
	_, err := conn.Exec(ctx, "INSERT INTO "+e.own("servers")+" (incarnation, batch, key) VALUES ($1, $2, $3) ON CONFLICT (incarnation) DO UPDATE SET gone = NULL", e.incarnation, e.batch, e.key())
	e.enlisted = err == nil
	return err
}

// delist removes this process's row.
func (e *Engine) delist(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, "DELETE FROM "+e.own("servers")+" WHERE incarnation = $1", e.incarnation)
	return err
}

// sweep removes the rows of processes that have gone. Rows without a key are of
// versions whose sessions hold no such lock; they stay.
func (e *Engine) sweep(ctx context.Context, conn *pgx.Conn) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		free := "(SELECT incarnation FROM " + e.own("servers") + " WHERE key IS NOT NULL AND incarnation <> $1 AND CASE WHEN %s THEN pg_try_advisory_xact_lock($2, key) END LIMIT " + itoa(maxSweep) + " FOR UPDATE SKIP LOCKED)"
		for _, sql := range []string{
			"DELETE FROM " + e.own("servers") + " WHERE incarnation IN " + fmt.Sprintf(free, "gone < now() - $3::interval"),
			"UPDATE " + e.own("servers") + " SET gone = now() WHERE incarnation IN " + fmt.Sprintf(free, "gone IS NULL AND $3::interval IS NOT NULL"),
		} {
			if _, err := tx.Exec(ctx, sql, e.incarnation, lockServer, goneFor); err != nil {
				return err
			}
		}
		return nil
	})
}
