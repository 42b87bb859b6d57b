package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/ankurah/ankurah-go/storage"
)

// SQLSTATEs that mean something to the engine.
const (
	stateDivisionByZero = "22012" // 1/count(*): a row was not as it had to be
	stateUnique         = "23505"
	stateSerialization  = "40001"
	stateDeadlock       = "40P01"
	stateLockTimeout    = "55P03"
	stateWrongPassword  = "28P01"
	stateWrongUser      = "28000"
	stateNoDatabase     = "3D000"
	stateNoRights       = "42501"
	stateNoConnection   = "53300" // too many
)

// stateOf returns the SQLSTATE of an error, "" of one that is not the server's.
func stateOf(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// lost reports whether err says that there is no connection any more, or none
// to be had yet. Whether what was sent took effect is then not known.
func lost(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	var refused *pgconn.ConnectError
	var network net.Error
	var doubt *doubtError
	switch state := stateOf(err); {
	case errors.As(err, &doubt):
		return false
	case errors.Is(err, storage.ErrInterrupted):
		return true
	case state != "":
		return strings.HasPrefix(state, "57P") || strings.HasPrefix(state, "08") || state == stateNoConnection
	case errors.As(err, &refused), errors.As(err, &network):
		return true
	}
	// What pgx says of a connection that ended is of many kinds.
	return !errors.Is(err, storage.ErrClosed) && !errors.Is(err, storage.ErrLocked) && !errors.Is(err, storage.ErrCorrupt) &&
		(pgconn.SafeToRetry(err) || errors.Is(err, net.ErrClosed) || isEOF(err))
}

func isEOF(err error) bool {
	text := err.Error()
	for _, says := range []string{"EOF", "conn closed", "closed pool", "connection reset", "broken pipe"} {
		if strings.Contains(text, says) {
			return true
		}
	}
	return false
}

// configure reads the URL.
func (e *Engine) configure(url string) error {
	pool, err := pgxpool.ParseConfig(url)
	if err != nil {
		return err // it hides the password
	}
	c := pool.ConnConfig
	e.location = "postgres://" + net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))) + "/" + c.Database
	if path := c.RuntimeParams["search_path"]; path != "" {
		e.location += "?search_path=" + path
	}
	switch {
	case e.opts.ConnectTimeout > 0:
		c.ConnectTimeout = e.opts.ConnectTimeout
	case c.ConnectTimeout == 0:
		c.ConnectTimeout = 10 * time.Second
	}
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = "ankurah"
	}
	// What statements mean must not hang on the server's settings.
	for name, value := range map[string]string{"standard_conforming_strings": "on", "default_transaction_isolation": "read committed",
		"timezone": "UTC", "client_encoding": "UTF8", "extra_float_digits": "1"} {
		c.RuntimeParams[name] = value
	}
	c.DefaultQueryExecMode = pgx.QueryExecModeCacheStatement // results in binary
	e.config = c.Copy()
	if e.reads, err = pgxpool.NewWithConfig(e.life, pool); err != nil {
		return err
	}
	holders := pool.Copy()
	holders.MaxConns, holders.MinConns, holders.MinIdleConns = e.opts.MaxPins, 0, 0
	e.pins, err = pgxpool.NewWithConfig(e.life, holders)
	return err
}

// connect makes a connection that is of no pool.
func (e *Engine) connect(ctx context.Context) (*pgx.Conn, error) {
	return pgx.ConnectConfig(ctx, e.config.Copy())
}

// lock makes conn the one that writes, or on a shared store one of those that
// write so. It ends the connection that wrote
// before, whose end the server may not have noticed.
func (e *Engine) lock(ctx context.Context, conn *pgx.Conn) error {
	try := "SELECT pg_try_advisory_lock($1, hashtext($2))"
	if e.opts.Shared {
		try = "SELECT pg_try_advisory_lock_shared($1, hashtext($2))"
	}
	for attempt := 0; ; attempt++ {
		var ok bool
		if err := conn.QueryRow(ctx, try, lockWriter, e.schema).Scan(&ok); err != nil {
			return err
		}
		if ok {
			return e.lockServer(ctx, conn)
		}
		var holder uint32
		err := all(ctx, conn, "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"+
			" AND classid::bigint = $1 AND objid::bigint = hashtext($2)::bigint & 4294967295", []any{int64(lockWriter), e.schema}, func(r pgx.Rows) error { return r.Scan(&holder) })
		if err != nil {
			return err
		}
		// The server frees what an ended session held a moment after its end.
		if holder != 0 && holder != e.ghost && attempt >= 20 {
			return fmt.Errorf("ankurah: %s: %w (server process %d): stop it, or use another schema with ?search_path=", e.location, storage.ErrLocked, holder)
		}
		if holder != 0 && holder == e.ghost {
			if _, err := conn.Exec(ctx, "SELECT pg_terminate_backend($1)", int32(holder)); err != nil {
				return err
			}
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
}

// connected returns the writer, a new one if it was lost; e.mu is held.
func (e *Engine) connected(ctx context.Context) (*pgx.Conn, error) {
	if e.writer != nil && !e.writer.IsClosed() {
		return e.writer, nil
	}
	e.drop()
	conn, err := e.connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := e.lock(ctx, conn); err != nil {
		return nil, errors.Join(err, conn.Close(ctx))
	}
	e.writer = conn
	return conn, nil
}

// drop gives up the writer; e.mu is held. An error of a connection does not
// always close it.
func (e *Engine) drop() {
	if e.writer == nil {
		return
	}
	e.ghost = e.writer.PgConn().PID()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = e.writer.Close(ctx) // what was on it is looked for
	e.writer, e.enlisted = nil, false
}

// writing calls f with the writer; e.mu is held.
func (e *Engine) writing(ctx context.Context, f func(conn *pgx.Conn) error) error {
	conn, err := e.connected(ctx)
	if err == nil {
		err = f(conn)
	}
	if lost(err) {
		e.drop()
	}
	return err
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// patiently calls f until it does not fail for want of a connection, at most
// for the time that an outage may last.
func (e *Engine) patiently(ctx context.Context, f func() error) error {
	start, wait := time.Now(), 10*time.Millisecond
	for {
		err := f()
		if !lost(err) || ctx.Err() != nil || time.Since(start) > e.opts.Outage || e.closed.Load() {
			return err
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
		wait = min(2*wait, time.Second)
	}
}

// explain says what to do about an error of the server.
func (e *Engine) explain(err error) error {
	user := ""
	if e.config != nil {
		user = e.config.User
	}
	hint := ""
	switch state := stateOf(err); {
	case err == nil:
		return nil
	case state == stateWrongPassword || state == stateWrongUser:
		hint = "the server does not let user " + user + " in: check user and password in the URL, PGPASSWORD or ~/.pgpass"
	case state == stateNoDatabase:
		hint = "make the database with CREATE DATABASE, or name another in the URL"
	case state == stateNoRights:
		hint = "user " + user + " lacks rights: GRANT USAGE, CREATE ON SCHEMA " + quote(e.schema) + " TO " + quote(user) + ", whose tables must be its own"
	case state == stateNoConnection:
		hint = "the server has no connection left: raise its max_connections, or lower pool_max_conns in the URL"
	case state == "" && lost(err):
		hint = "the database does not answer: see whether it runs and listens there"
	default:
		return err
	}
	return &explained{"ankurah: " + e.location + ": " + strings.Join(strings.Fields(err.Error()), " ") + ": " + hint, err}
}

// explained is an error in one line, with what to do.
type explained struct {
	text string
	err  error
}

func (e *explained) Error() string { return e.text }
func (e *explained) Unwrap() error { return e.err }
