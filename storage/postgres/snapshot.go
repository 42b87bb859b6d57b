package postgres

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/storage"
)

// pageSize is how many rows are read at a time where rows are read in the
// order of a key, and how many of a scan are held before its connection is
// taken out of the pool.
const pageSize = 256

// pinTimeout bounds the ending of a transaction that only read.
const pinTimeout = 5 * time.Second

// snapshot is a [storage.Snapshot].
type snapshot struct {
	e       *Engine
	catalog *catalog
	pin     *pin // under state.mu: set when a commit begins
	closed  bool // under state.mu
}

// pin is a moment in the database: an open transaction, which exports its
// snapshot when it is wanted. Snapshots of the same moment share one.
type pin struct {
	conn  *pgxpool.Conn
	users int // under state.mu

	mu   sync.Mutex // guards what follows, and the use of conn
	name string     // of what was exported
}

// Snapshot returns a view of everything whose Commit has returned.
func (e *Engine) Snapshot() (storage.Snapshot, error) {
	if err := e.checkOpen(); err != nil {
		return nil, err
	}
	s := &snapshot{e: e, catalog: e.catalog.Load()}
	if e.join(s) {
		return s, nil
	}
	err := e.patiently(e.life, func() error {
		p, err := e.newPin(e.life)
		if err != nil {
			return err
		}
		p.users = 1
		e.state.mu.Lock()
		s.pin = p
		e.state.mu.Unlock()
		if err = e.readPinned(s); err != nil {
			e.release(p)
		}
		return err
	})
	if err != nil {
		return nil, e.explain(err)
	}
	return s, nil
}

// join makes s one of the snapshots of the present moment; false when it has to
// have a pin of its own: on a shared store, and while a commit is under way
// that pinned nothing.
func (e *Engine) join(s *snapshot) bool {
	e.state.mu.Lock()
	defer e.state.mu.Unlock()
	switch {
	case e.opts.Shared || e.opts.ReadOnly:
		return false
	case !e.state.committing:
		e.state.open[s] = struct{}{}
		return true
	case e.state.before != nil && e.state.before.users > 0:
		s.pin = e.state.before
		s.pin.users++
		return true
	}
	return false
}

// readPinned reads the catalog that a pinned snapshot sees: on a shared store
// others change it.
func (e *Engine) readPinned(s *snapshot) error {
	if !e.opts.Shared && !e.opts.ReadOnly {
		return nil
	}
	return s.run(e.life, func(q querier) (err error) {
		if s.catalog, err = e.readCatalog(e.life, q, e.catalog.Load()); err == nil {
			e.publish(s.catalog)
		}
		return err
	})
}

// publish takes up a catalog that is newer than the one known.
func (e *Engine) publish(c *catalog) {
	for {
		old := e.catalog.Load()
		if old.version >= c.version || e.catalog.CompareAndSwap(old, c) {
			return
		}
	}
}

// newPin opens a transaction that sees what is committed now.
func (e *Engine) newPin(ctx context.Context) (p *pin, err error) {
	sql, conn := "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT 1", e.takeIdle()
	if conn != nil {
		sql = "COMMIT; " + sql
	} else if conn, err = e.pins.Acquire(ctx); err != nil {
		return nil, err
	}
	if err := conn.Conn().PgConn().Exec(ctx, sql).Close(); err != nil {
		conn.Release() // which closes it if it is in a transaction
		if lost(err) {
			e.pins.Reset()
		}
		return nil, err
	}
	return &pin{conn: conn}, nil
}

// exported returns the name by which other connections see what the pin does.
func (p *pin) exported(ctx context.Context) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.name != "" {
		return p.name, nil
	}
	results, err := p.conn.Conn().PgConn().Exec(ctx, "SELECT pg_export_snapshot()").ReadAll()
	if err != nil {
		return "", err
	}
	if len(results) != 1 || len(results[0].Rows) != 1 {
		return "", errors.New("ankurah: the server exported no snapshot")
	}
	p.name = string(results[0].Rows[0][0])
	return p.name, nil
}

// idlePin is how long a connection stays in the transaction of a pin that
// nobody uses: while commits follow each other, the next one has use for it,
// and ending the old transaction and beginning the new one is one message.
const idlePin = 20 * time.Millisecond

// takeIdle returns the connection of a pin that nobody uses, nil if there is
// none.
func (e *Engine) takeIdle() *pgxpool.Conn {
	e.state.mu.Lock()
	defer e.state.mu.Unlock()
	conn := e.state.idle
	e.state.idle = nil
	if conn != nil {
		e.state.idleEnd.Stop()
	}
	return conn
}

// retire keeps the connection of a pin that nobody uses for a moment.
func (e *Engine) retire(p *pin) {
	e.state.mu.Lock()
	keep := e.state.idle == nil && !e.closed.Load()
	if keep {
		e.state.idle = p.conn
		e.state.idleEnd = time.AfterFunc(idlePin, e.endIdle)
	}
	e.state.mu.Unlock()
	if !keep {
		end(p.conn)
	}
}

// endIdle ends what retire kept.
func (e *Engine) endIdle() {
	if conn := e.takeIdle(); conn != nil {
		end(conn)
	}
}

// pinOpen pins the snapshots that were taken since the last commit began; e.mu
// is held, and no commit is under way.
func (e *Engine) pinOpen(ctx context.Context) error {
	e.state.mu.Lock()
	wanted := len(e.state.open) > 0
	e.state.mu.Unlock()
	var p *pin
	if wanted {
		var err error
		if p, err = e.newPin(ctx); err != nil {
			return err
		}
	}
	e.state.mu.Lock()
	if p == nil && len(e.state.open) > 0 { // taken in between
		e.state.mu.Unlock()
		return e.pinOpen(ctx)
	}
	for s := range e.state.open {
		s.pin = p
		p.users++
	}
	clear(e.state.open)
	e.state.committing, e.state.before = true, p
	unused := p != nil && p.users == 0 // all were closed in between
	e.state.mu.Unlock()
	if unused {
		e.retire(p)
	}
	return nil
}

// committed says that what the last commit wrote is what snapshots see.
func (e *Engine) committed() {
	e.state.mu.Lock()
	defer e.state.mu.Unlock()
	e.state.committing, e.state.before = false, nil
}

// end ends the transaction of a pin.
func end(conn *pgxpool.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), pinTimeout)
	defer cancel()
	_ = conn.Conn().PgConn().Exec(ctx, "COMMIT").Close() // a connection in a transaction is closed by Release
	conn.Release()
}

// release gives up one use of a pin.
func (e *Engine) release(p *pin) {
	e.state.mu.Lock()
	p.users--
	last := p.users == 0
	e.state.mu.Unlock()
	if last {
		e.retire(p)
	}
}

// Close releases the snapshot.
func (s *snapshot) Close() error {
	s.e.state.mu.Lock()
	p := s.pin
	again := s.closed
	s.closed, s.pin = true, nil
	delete(s.e.state.open, s)
	s.e.state.mu.Unlock()
	if p != nil && !again {
		s.e.release(p)
	}
	return nil
}

// pinned returns the snapshot's pin; nil when it needs none.
func (s *snapshot) pinned() *pin {
	s.e.state.mu.Lock()
	defer s.e.state.mu.Unlock()
	return s.pin
}

// errMoved says that a commit began before a statement's view was known to be
// the snapshot's.
var errMoved = errors.New("a commit has begun")

// open starts a statement that sees what the snapshot does, and reads its first
// row. The caller closes the result.
func (s *snapshot) open(ctx context.Context, sql string, args []any) (*rows, error) {
	var r *rows
	var gone error
	err := s.e.patiently(ctx, func() (err error) {
		if err = s.e.checkOpen(); err != nil {
			return err
		}
		r, err = s.try(ctx, sql, args)
		if err == errMoved {
			r, err = s.try(ctx, sql, args)
		}
		switch {
		case errors.Is(err, storage.ErrInterrupted):
			gone, err = err, nil // for good
		case lost(err):
			s.e.reads.Reset() // its other connections are lost, too
		}
		return err
	})
	if err = cmp.Or(gone, s.e.explain(err)); err != nil {
		return nil, err
	}
	return r, nil
}

// ended explains the error that ended a result before its last row.
func (e *Engine) ended(err error) error {
	if lost(err) {
		return &interrupted{err}
	}
	return e.explain(err)
}

// interrupted says that a connection was lost with what it saw.
type interrupted struct{ err error }

func (e *interrupted) Error() string   { return "ankurah: a read was interrupted: " + e.err.Error() }
func (e *interrupted) Unwrap() []error { return []error{storage.ErrInterrupted, e.err} }

func (s *snapshot) try(ctx context.Context, sql string, args []any) (*rows, error) {
	p := s.pinned()
	conn, err := s.e.reads.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	r := &rows{conn: conn, joined: p != nil}
	if p != nil {
		if err = p.join(ctx, conn.Conn()); err != nil {
			conn.Release()
			return nil, err
		}
	}
	if r.rows, err = conn.Query(ctx, sql, args...); err != nil {
		r.close()
		return nil, err
	}
	r.more = r.rows.Next()
	if !r.more {
		err = r.rows.Err()
	}
	// The server took the statement's view before it sent the first row.
	if err == nil && p == nil && s.pinned() != nil {
		err = errMoved
	}
	if err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

// join makes conn see what the pin does.
func (p *pin) join(ctx context.Context, conn *pgx.Conn) error {
	// Who ends early must not end the transaction for the others.
	name, err := p.exported(context.WithoutCancel(ctx))
	if lost(err) {
		return &interrupted{err}
	}
	if err != nil {
		return err
	}
	err = conn.PgConn().Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '"+name+"'").Close()
	if state := stateOf(err); state != "" && !lost(err) { // the server has no such snapshot any more
		return &interrupted{err}
	}
	return err
}

// run calls f with a connection that sees what the pin does.
func (s *snapshot) run(ctx context.Context, f func(querier) error) error {
	conn, err := s.e.reads.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	if err := s.pinned().join(ctx, conn.Conn()); err != nil {
		return err
	}
	return errors.Join(f(conn), conn.Conn().PgConn().Exec(ctx, "COMMIT").Close())
}

// rows is a result being read.
type rows struct {
	conn   *pgxpool.Conn
	own    *pgx.Conn // instead of conn, when it was taken out of the pool
	rows   pgx.Rows
	joined bool // the connection is in a transaction
	more   bool // a row is there to be read
}

// next goes to the next row.
func (r *rows) next() { r.more = r.rows.Next() }

// keep takes the connection out of the pool: who reads on slowly must not keep
// others waiting, who may be the same one.
func (r *rows) keep() {
	if r.conn != nil {
		r.own, r.conn = r.conn.Hijack(), nil
	}
}

// close ends the result. What was not read is not fetched from the server if
// it may be much.
func (r *rows) close() {
	ctx, cancel := context.WithTimeout(context.Background(), pinTimeout)
	defer cancel()
	if r.own != nil {
		_ = r.own.Close(ctx) // nothing was written on it
		return
	}
	if r.rows != nil {
		r.rows.Close()
	}
	if r.joined {
		_ = r.conn.Conn().PgConn().Exec(ctx, "COMMIT").Close() // a connection in a transaction is closed by Release
	}
	r.conn.Release()
}

// each reads a whole result.
func (s *snapshot) each(ctx context.Context, sql string, args []any, scan func(pgx.Rows) error) error {
	r, err := s.open(ctx, sql, args)
	if err != nil {
		return err
	}
	defer r.close()
	for ; r.more; r.next() {
		if err := scan(r.rows); err != nil {
			return err
		}
	}
	return s.e.ended(r.rows.Err())
}

// pages reads the rows of a table in the order of a key, some at a time, so
// that no connection is held while they are handed out. sql takes a limit as
// its first parameter, and args behind it; scan reads a row and returns the
// args for those after it.
func pages[T any](s *snapshot, ctx context.Context, sql string, args []any, scan func(pgx.Rows) (T, []any, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		for {
			var page []T
			err := s.each(ctx, sql, append([]any{pageSize}, args...), func(r pgx.Rows) error {
				v, next, err := scan(r)
				if err == nil {
					page, args = append(page, v), next
				}
				return err
			})
			for _, v := range page {
				if ctx.Err() != nil && err == nil {
					err = ctx.Err()
					break
				}
				if !yield(v, nil) {
					return
				}
			}
			if err != nil {
				yield(zero, err)
				return
			}
			if len(page) < pageSize {
				return
			}
		}
	}
}

func (s *snapshot) State(ctx context.Context, collection string, i id.ID) (st *entity.State, err error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	c := s.catalog.collections[collection]
	if c == nil {
		return nil, nil
	}
	err = s.each(ctx, "SELECT _state FROM "+c.table+" WHERE id = $1", []any{[16]byte(i)}, func(r pgx.Rows) (err error) {
		st, err = storage.DecodeState(collection, i, r.RawValues()[0])
		return err
	})
	return st, err
}

// check returns an error when nothing can be read.
func (s *snapshot) check(ctx context.Context) error {
	if err := s.e.checkOpen(); err != nil {
		return err
	}
	return ctx.Err()
}

func (s *snapshot) Find(ctx context.Context, ev id.ID) (p storage.Position, ok bool, err error) {
	if err := s.check(ctx); err != nil {
		return p, false, err
	}
	names := s.catalog.names()
	if len(names) == 0 {
		return p, false, nil
	}
	var sql strings.Builder
	for k, name := range names {
		if k > 0 {
			sql.WriteString(" UNION ALL ")
		}
		sql.WriteString("SELECT " + itoa(k) + ", entity, rev FROM " + s.catalog.collections[name].events + " WHERE event = $1")
	}
	err = s.each(ctx, sql.String(), []any{[16]byte(ev)}, func(r pgx.Rows) error {
		var k int
		var i [16]byte
		var rev int64
		err := r.Scan(&k, &i, &rev)
		if err == nil {
			p, ok = storage.Position{Collection: names[k], Entity: i, Rev: uint64(rev)}, true
		}
		return err
	})
	return p, ok, err
}

func (s *snapshot) Events(ctx context.Context, collection string, i id.ID, first, last uint64) iter.Seq2[*event.Event, error] {
	return func(yield func(*event.Event, error) bool) {
		next := max(first, 1)
		missing := func() error {
			return &storage.CorruptError{What: "event of " + collection + " " + i.String() + " at rev " + strconv.FormatUint(next, 10), Err: errors.New("it is missing")}
		}
		for x, err := range s.revs(ctx, collection, i, first, last) {
			if err == nil && x.rev != next {
				err = missing()
			}
			if !yield(x.event, err) || err != nil {
				return
			}
			next++
		}
		if next > last {
			return
		}
		st, err := s.State(ctx, collection, i)
		if err == nil && st.Rev() >= next {
			err = missing()
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

// revEvent is an event and where it stands.
type revEvent struct {
	rev   uint64
	event *event.Event
}

// revs reads the events that there are from rev first to last.
func (s *snapshot) revs(ctx context.Context, collection string, i id.ID, first, last uint64) iter.Seq2[revEvent, error] {
	c := s.catalog.collections[collection]
	if c == nil || first > last {
		return func(func(revEvent, error) bool) {}
	}
	const most = 1<<63 - 1
	sql := "SELECT rev, body FROM " + c.events + " WHERE entity = $2 AND rev >= $3 AND rev <= $4 ORDER BY rev LIMIT $1"
	end := int64(min(last, most))
	return pages(s, ctx, sql, []any{[16]byte(i), int64(min(first, most)), end}, func(r pgx.Rows) (revEvent, []any, error) {
		var rev int64
		var body []byte
		if err := r.Scan(&rev, &body); err != nil {
			return revEvent{}, nil, err
		}
		ev, err := event.Decode(body)
		if err == nil && (ev.Entity != i || ev.Collection != collection) {
			err = errors.New("it is of another entity")
		}
		if err != nil {
			return revEvent{}, nil, &storage.CorruptError{What: "event of " + collection + " " + i.String() + " at rev " + strconv.FormatInt(rev, 10), Err: err}
		}
		return revEvent{uint64(rev), ev}, []any{[16]byte(i), rev + 1, end}, nil
	})
}

func (s *snapshot) All(ctx context.Context, collection string) iter.Seq2[*entity.State, error] {
	c := s.catalog.collections[collection]
	if c == nil {
		return func(func(*entity.State, error) bool) {}
	}
	sql := "SELECT id, _state FROM " + c.table + " WHERE id > $2 ORDER BY id LIMIT $1"
	start := [16]byte{} // no entity has the zero ID
	return pages(s, ctx, sql, []any{start}, func(r pgx.Rows) (*entity.State, []any, error) {
		raw := r.RawValues()
		i := [16]byte(raw[0])
		st, err := storage.DecodeState(collection, i, raw[1])
		return st, []any{i}, err
	})
}

func (s *snapshot) Collections(ctx context.Context) ([]string, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	var out []string
	for chunk := range slices.Chunk(s.catalog.names(), pageSize) {
		var sql strings.Builder
		for k, name := range chunk {
			if k > 0 {
				sql.WriteString(" UNION ALL ")
			}
			sql.WriteString("SELECT " + itoa(k) + " WHERE EXISTS (SELECT 1 FROM " + s.catalog.collections[name].table + ")")
		}
		err := s.each(ctx, sql.String(), nil, func(r pgx.Rows) error {
			var k int
			err := r.Scan(&k)
			out = append(out, chunk[k])
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(out)
	return out, nil
}

// bytesOf reads one value of one row; false when there is none.
func (s *snapshot) bytesOf(ctx context.Context, sql string, key any) (b []byte, ok bool, err error) {
	if err := s.check(ctx); err != nil {
		return nil, false, err
	}
	err = s.each(ctx, sql, []any{key}, func(r pgx.Rows) error {
		b, ok = append([]byte{}, r.RawValues()[0]...), true
		return nil
	})
	return b, ok, err
}

func (s *snapshot) Tx(ctx context.Context, tx event.TxID) ([]byte, bool, error) {
	return s.bytesOf(ctx, "SELECT record FROM "+s.e.own("txs")+" WHERE tx = $1", [16]byte(tx))
}

func (s *snapshot) Claimed(ctx context.Context, key []byte) (id.ID, bool, error) {
	b, ok, err := s.bytesOf(ctx, "SELECT entity FROM "+s.e.own("claims")+" WHERE hash = $1", claimHash(key))
	if err != nil || !ok {
		return id.ID{}, false, err
	}
	i, err := id.FromBytes(b)
	return i, err == nil, err
}

func (s *snapshot) Meta(ctx context.Context, key []byte) ([]byte, bool, error) {
	return s.bytesOf(ctx, "SELECT value FROM "+s.e.own("meta")+" WHERE key = $1", nonNil(key))
}

func (s *snapshot) MetaRange(ctx context.Context, lo, hi []byte) iter.Seq2[storage.MetaWrite, error] {
	sql := "SELECT key, value FROM " + s.e.own("meta") + " WHERE key >= $2 AND ($3::bytea IS NULL OR key < $3) ORDER BY key LIMIT $1"
	var end any
	if hi != nil {
		end = hi
	}
	return pages(s, ctx, sql, []any{nonNil(lo), end}, func(r pgx.Rows) (storage.MetaWrite, []any, error) {
		raw := r.RawValues()
		m := storage.MetaWrite{Key: bytes.Clone(nonNil(raw[0])), Value: append([]byte{}, raw[1]...)}
		return m, []any{append(bytes.Clone(m.Key), 0), end}, nil
	})
}
