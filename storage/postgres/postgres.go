package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/ankurah/ankurah-go/storage"
)

func init() {
	open := func(ctx context.Context, url string) (storage.Engine, error) {
		e, err := Open(ctx, url, nil)
		if err != nil {
			return nil, err
		}
		return e, nil
	}
	storage.Register("postgres", open)
	storage.Register("postgresql", open)
}

// Oldest is the oldest version of PostgreSQL that is supported.
const Oldest = 15

// Options configures an engine; nil is the zero value. What the URL says of a
// pool (pool_max_conns, pool_max_conn_lifetime and so on) holds for reads.
type Options struct {
	// ConnectTimeout bounds the making of a connection. 0 means what the URL
	// says (connect_timeout), else 10 seconds.
	ConnectTimeout time.Duration
	// Outage is how long commits and reads wait for a database that went away,
	// before they fail. 0 means a minute. A node whose commit failed commits
	// nothing more.
	Outage time.Duration
	// Patience is how long a commit that needs a new column waits for who reads
	// the table. After that it does without: such values are found, more
	// slowly. On a shared store it waits again. 0 means a second.
	Patience time.Duration
	// MaxPins is the number of snapshots from different moments that can be
	// open at once. 0 means 32.
	MaxPins int32
	// Shared lets other processes write to the schema, too: all of them have to
	// be opened so.
	Shared bool
	// ReadOnly refuses everything that writes. The store may be in use.
	ReadOnly bool
}

// Engine is a [storage.Engine], a [storage.Indexer], a [storage.Modeler] and a
// [storage.Pinger] on a PostgreSQL schema.
type Engine struct {
	opts     Options
	config   *pgx.ConnConfig // of connections that are of no pool
	location string          // without password
	schema   string
	reads    *pgxpool.Pool
	pins     *pgxpool.Pool // whose transactions export snapshots
	catalog  atomic.Pointer[catalog]
	closed   atomic.Bool
	stop     context.CancelFunc // ends life
	life     context.Context    // as long as the engine is open

	building sync.Mutex // serialises index builds

	mu          sync.Mutex // serialises what writes, and guards what follows
	writer      *pgx.Conn  // nil or closed when it was lost
	ghost       uint32     // backend of the writer before
	incarnation [16]byte
	batch       int64 // number of the last batch in _ankurah_servers
	enlisted    bool  // the row there is known to be, as long as the writer is

	state struct {
		mu         sync.Mutex
		open       map[*snapshot]struct{} // taken since the last commit, so not pinned
		committing bool                   // a commit is under way
		before     *pin                   // of the moment before it; nil when it pinned nothing
		idle       *pgxpool.Conn          // of a pin that nobody uses
		idleEnd    *time.Timer            // ends its transaction
	}
}

var (
	_ storage.Engine  = (*Engine)(nil)
	_ storage.Indexer = (*Engine)(nil)
	_ storage.Modeler = (*Engine)(nil)
	_ storage.Pinger  = (*Engine)(nil)
	_ storage.Watcher = (*Engine)(nil)
)

// Classes of advisory locks; the second half is a hash of the schema's name.
const (
	lockWriter = 0x616e6b75 // the session that writes
	lockDefine = 0x616e6b76 // a transaction that changes tables
	lockBuild  = 0x616e6b77 // the session that builds indexes
	lockServer = 0x616e6b78 // the session that writes for one process; the other half is of its incarnation
)

// Open opens the store in the first schema of the URL's search_path and makes
// it one where it is none. Its errors wrap [storage.ErrLocked] when another
// process writes there.
func Open(ctx context.Context, url string, opts *Options) (*Engine, error) {
	e := &Engine{}
	if opts != nil {
		e.opts = *opts
	}
	if e.opts.Outage <= 0 {
		e.opts.Outage = time.Minute
	}
	if e.opts.Patience <= 0 {
		e.opts.Patience = time.Second
	}
	if e.opts.MaxPins <= 0 {
		e.opts.MaxPins = 32
	}
	if _, err := rand.Read(e.incarnation[:]); err != nil {
		return nil, err
	}
	e.state.open = map[*snapshot]struct{}{}
	e.life, e.stop = context.WithCancel(context.Background())
	if err := e.open(ctx, url); err != nil {
		return nil, errors.Join(e.explain(err), e.Close())
	}
	return e, nil
}

func (e *Engine) open(ctx context.Context, url string) error {
	if err := e.configure(url); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	conn, err := e.connect(ctx)
	if err != nil {
		return err
	}
	e.writer = conn
	if err := e.inspect(ctx, conn); err != nil {
		return err
	}
	if e.opts.ReadOnly {
		return e.openReadOnly(ctx, conn)
	}
	if err := e.lock(ctx, conn); err != nil {
		return err
	}
	if err := e.layOut(ctx, conn); err != nil {
		return err
	}
	if !e.opts.Shared { // nobody else writes, so nobody asks how far others came
		if _, err := conn.Exec(ctx, "DELETE FROM "+e.own("servers")); err != nil {
			return err
		}
	}
	if err := e.enlist(ctx, conn); err != nil {
		return err
	}
	if err := e.sweep(ctx, conn); err != nil {
		return err
	}
	return e.reload(ctx, conn)
}

// openReadOnly opens a store that is there.
func (e *Engine) openReadOnly(ctx context.Context, conn *pgx.Conn) error {
	version := 0
	if err := e.format(ctx, conn, &version); err != nil {
		return err
	}
	if version == 0 {
		return fmt.Errorf("ankurah: %s: schema %s holds no store: it cannot be opened for reading only", e.location, e.schema)
	}
	if err := e.checkFormat(version); err != nil {
		return err
	}
	return e.reload(ctx, conn)
}

// Info describes the engine.
func (e *Engine) Info() storage.Info {
	return storage.Info{Name: "postgres", Location: e.location, Shared: e.opts.Shared, Durability: "as synchronous_commit of the server says"}
}

// Ping returns nil when the database answers.
func (e *Engine) Ping(ctx context.Context) error {
	if err := e.checkOpen(); err != nil {
		return err
	}
	if err := e.reads.Ping(ctx); err != nil {
		return e.explain(err)
	}
	return nil
}

// Close ends index builds and closes the connections.
func (e *Engine) Close() error {
	if e.closed.Swap(true) {
		return nil
	}
	e.stop()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.building.Lock() // a build that was under way has ended
	defer e.building.Unlock()
	var err error
	if e.writer != nil && !e.writer.IsClosed() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if e.enlisted {
			_ = e.delist(ctx, e.writer) // else somebody who starts later does it
		}
		err = e.writer.Close(ctx)
	}
	if e.pins != nil {
		e.endIdle()
		e.pins.Close()
	}
	if e.reads != nil {
		e.reads.Close()
	}
	return err
}

type closedError struct{ location string }

func (e *closedError) Error() string {
	return "ankurah: " + e.location + ": " + storage.ErrClosed.Error()
}
func (e *closedError) Unwrap() error { return storage.ErrClosed }

func (e *Engine) checkOpen() error {
	if e.closed.Load() {
		return &closedError{e.location}
	}
	return nil
}

// checkWritable returns an error when nothing can be written.
func (e *Engine) checkWritable() error {
	if e.opts.ReadOnly {
		return errors.New("ankurah: " + e.location + " is open for reading only")
	}
	return e.checkOpen()
}

func itoa(n int) string { return strconv.Itoa(n) }

// errName is the cause of a corruption error about a catalog that nobody wrote
// so.
var errName = errors.New("it does not fit")

// inspect refuses what the engine cannot work with, and finds the schema.
func (e *Engine) inspect(ctx context.Context, conn *pgx.Conn) error {
	var version int
	var encoding string
	var schema *string
	err := conn.QueryRow(ctx, "SELECT current_setting('server_version_num')::int, current_setting('server_encoding'), current_schema()").Scan(&version, &encoding, &schema)
	switch {
	case err != nil:
		return err
	case version < Oldest*10000:
		return fmt.Errorf("ankurah: %s is PostgreSQL %d: version %d is the oldest that is supported: upgrade the server", e.location, version/10000, Oldest)
	case encoding != "UTF8":
		return fmt.Errorf("ankurah: %s has encoding %s: make a database with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0", e.location, encoding)
	case schema == nil:
		return fmt.Errorf("ankurah: %s: no schema of search_path %q exists: make one with CREATE SCHEMA, or name another with ?search_path=", e.location, conn.Config().RuntimeParams["search_path"])
	}
	e.schema = *schema
	return nil
}
