package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/value"
)

// formatVersion is the version of the tables that this package writes.
const formatVersion = 1

// ownTables make the engine's own tables and functions, in schema %[1]s. Each
// is written so that it may run again.
var ownTables = []string{
	`CREATE TABLE IF NOT EXISTS %[1]s._ankurah_format (version integer NOT NULL, catalog bigint NOT NULL)`,
	`CREATE TABLE IF NOT EXISTS %[1]s._ankurah_servers (incarnation uuid PRIMARY KEY, batch bigint NOT NULL, started timestamptz NOT NULL DEFAULT now())`,
	`ALTER TABLE %[1]s._ankurah_servers ADD COLUMN IF NOT EXISTS key integer, ADD COLUMN IF NOT EXISTS gone timestamptz`,
	`CREATE TABLE IF NOT EXISTS %[1]s._ankurah_txs (tx uuid PRIMARY KEY, record bytea NOT NULL)`,
	`CREATE TABLE IF NOT EXISTS %[1]s._ankurah_claims (hash bytea PRIMARY KEY, key bytea NOT NULL, entity uuid NOT NULL)`,
	`CREATE TABLE IF NOT EXISTS %[1]s._ankurah_meta (key bytea PRIMARY KEY, value bytea NOT NULL)`,
	`CREATE TABLE IF NOT EXISTS %[1]s._ankurah_collections (name text PRIMARY KEY, tab text NOT NULL UNIQUE, events text NOT NULL UNIQUE, view text NOT NULL UNIQUE)`,
	`CREATE TABLE IF NOT EXISTS %[1]s._ankurah_columns (collection text NOT NULL, key text NOT NULL, position integer NOT NULL, name text NOT NULL, type text NOT NULL, exact boolean NOT NULL, PRIMARY KEY (collection, key))`,
	`CREATE TABLE IF NOT EXISTS %[1]s._ankurah_indexes (name text PRIMARY KEY, collection text NOT NULL, position integer NOT NULL, definition text NOT NULL, complete boolean NOT NULL, columns integer NOT NULL)`,
	`COMMENT ON TABLE %[1]s._ankurah_txs IS 'Transactions that were applied, or refused for good; to be read only'`,
	`COMMENT ON TABLE %[1]s._ankurah_servers IS 'Processes that wrote here, and how many batches'`,
	`COMMENT ON TABLE %[1]s._ankurah_collections IS 'Which table, events table and view a collection has'`,
	`COMMENT ON TABLE %[1]s._ankurah_columns IS 'Which column a property has; exact: every value is in it'`,
	// The 26 characters of an ID: two zero bits and its 128, five at a time, in
	// Crockford's base32.
	`CREATE OR REPLACE FUNCTION %[1]s.ankurah_id(id uuid) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
		SELECT string_agg(substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', substring(bits FROM 5*k+1 FOR 5)::bit(5)::integer + 1, 1), '' ORDER BY k)
		FROM (SELECT B'00' || ('x' || replace(id::text, '-', ''))::bit(128) AS bits) AS b, generate_series(0, 25) AS k $$`,
	// What does not fit 64 bits is null, as the evaluator has it.
	`CREATE OR REPLACE FUNCTION %[1]s._ankurah_int(n numeric) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
		SELECT CASE WHEN n BETWEEN -9223372036854775808 AND 9223372036854775807 THEN n END $$`,
}

// own returns one of the engine's own tables.
func (e *Engine) own(name string) string { return e.in("_ankurah_" + name) }

// in returns a name in the engine's schema.
func (e *Engine) in(name string) string { return quote(e.schema) + "." + quote(name) }

// layOut makes the engine's own tables where they are missing.
func (e *Engine) layOut(ctx context.Context, conn *pgx.Conn) error {
	var version int
	err := e.format(ctx, conn, &version)
	if err != nil {
		return err
	}
	if version == 0 {
		err = e.define(ctx, conn, func(tx pgx.Tx) error {
			if err := e.format(ctx, tx, &version); err != nil || version > 0 {
				return err // another process was faster
			}
			for _, sql := range ownTables {
				if _, err := tx.Exec(ctx, fmt.Sprintf(sql, quote(e.schema))); err != nil {
					return err
				}
			}
			version = formatVersion
			_, err := tx.Exec(ctx, "INSERT INTO "+e.own("format")+" VALUES ($1, 0)", formatVersion)
			return err
		})
	}
	if err != nil {
		return err
	}
	if err := e.checkFormat(version); err != nil {
		return err
	}
	return e.layOutServers(ctx, conn)
}

func (e *Engine) checkFormat(version int) error {
	if version > formatVersion {
		return fmt.Errorf("ankurah: %s has storage format %d, this program reads up to %d: use a newer version of the program", e.location, version, formatVersion)
	}
	return nil
}

// format reads the version of the tables, 0 when there are none.
func (e *Engine) format(ctx context.Context, q querier, version *int) error {
	there := false
	err := all(ctx, q, "SELECT to_regclass($1) IS NOT NULL", []any{e.own("format")}, func(r pgx.Rows) error { return r.Scan(&there) })
	if err != nil || !there {
		return err
	}
	return all(ctx, q, "SELECT version FROM "+e.own("format"), nil, func(r pgx.Rows) error { return r.Scan(version) })
}

// define runs f in a transaction that alone changes tables. It bumps the
// catalog's version.
func (e *Engine) define(ctx context.Context, conn *pgx.Conn, f func(tx pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1, hashtext($2))", lockDefine, e.schema); err != nil {
			return err
		}
		if err := f(tx); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "UPDATE "+e.own("format")+" SET catalog = catalog + 1")
		return err
	})
}

// wish is what a collection's tables should have.
type wish struct {
	columns map[string]value.Type // new ones, by property key
	inexact map[string]bool       // columns that have to hold what they cannot
}

// wishes are wishes by collection.
type wishes map[string]*wish

func (w wishes) of(collection string) *wish {
	if w[collection] == nil {
		w[collection] = &wish{columns: map[string]value.Type{}, inexact: map[string]bool{}}
	}
	return w[collection]
}

// add notes what it takes to store a state.
func (w wishes) add(c *catalog, st *entity.State) {
	col := c.collections[st.Collection()]
	if col == nil {
		w.of(st.Collection())
	}
	for _, entry := range st.Entries() {
		v := st.Value(entry.Key)
		if v.IsNull() || !hasColumn(entry.Key) {
			continue
		}
		var known *column
		if col != nil {
			known = col.byKey[entry.Key]
		}
		switch {
		case known != nil:
			if _, ok := encode(v, known.typ); !ok && known.exact {
				w.of(st.Collection()).inexact[entry.Key] = true
			}
		case col == nil || !col.full():
			wanted := w.of(st.Collection()).columns
			if old, twice := wanted[entry.Key]; !twice {
				if _, ok := sqlType(v.Type()); ok {
					wanted[entry.Key] = v.Type()
				}
			} else if _, ok := encode(v, old); !ok {
				w.of(st.Collection()).inexact[entry.Key] = true
			}
		}
	}
}

// withoutColumns drops the wishes for new columns in tables that there are.
func (w wishes) withoutColumns(c *catalog) {
	for name, wish := range w {
		if c.collections[name] == nil {
			continue
		}
		for key := range wish.columns {
			delete(wish.inexact, key)
		}
		clear(wish.columns)
		if len(wish.inexact) == 0 {
			delete(w, name)
		}
	}
}

// hasColumn reports whether a property of that key gets a column. Keys that
// begin with an underscore are the system's.
func hasColumn(key string) bool { return storable(key) && !strings.HasPrefix(key, "_") }

// reserved are the names of the columns that every table has.
var reserved = []string{"id", "_rev", "_head", "_deleted", "_odd", "_state", "tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"}

// grant makes the tables have what is wished and publishes the catalog; e.mu
// is held. Tables are locked for a moment only, but for that they wait for who
// reads them, not longer than [Options.Patience].
func (e *Engine) grant(ctx context.Context, w wishes) error {
	if len(w) == 0 {
		return nil
	}
	return e.writing(ctx, func(conn *pgx.Conn) error {
		err := e.define(ctx, conn, func(tx pgx.Tx) error { return e.grantAll(ctx, tx, w) })
		if err != nil {
			return err
		}
		return e.reload(ctx, conn)
	})
}

func (e *Engine) grantAll(ctx context.Context, tx pgx.Tx, w wishes) error {
	if _, err := tx.Exec(ctx, fmt.Sprintf("SET LOCAL lock_timeout = %d", e.opts.Patience.Milliseconds())); err != nil {
		return err
	}
	now, err := e.readCatalog(ctx, tx, nil) // another process may have granted it
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(w)) {
		if err := e.grantOne(ctx, tx, now, name, w[name]); err != nil {
			return err
		}
	}
	return nil
}

// reload publishes the catalog that is stored.
func (e *Engine) reload(ctx context.Context, conn *pgx.Conn) error {
	c, err := e.catalogNow(ctx, conn, e.catalog.Load())
	if err == nil {
		e.catalog.Store(c)
	}
	return err
}

// catalogNow is [Engine.readCatalog] at one moment: another process may be
// adding to its tables one after the other.
func (e *Engine) catalogNow(ctx context.Context, conn *pgx.Conn, known *catalog) (*catalog, error) {
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, err
	}
	c, err := e.readCatalog(ctx, tx, known)
	return c, errors.Join(err, tx.Rollback(ctx))
}

func (e *Engine) grantOne(ctx context.Context, tx pgx.Tx, c *catalog, name string, w *wish) error {
	col := c.collections[name]
	taken := map[string]bool{}
	for _, r := range reserved {
		taken[r] = true
	}
	there := 0
	if col != nil {
		there = len(col.columns)
		for _, k := range col.columns {
			taken[k.name] = true
		}
	}
	var added []*column // their names not quoted
	for _, key := range slices.Sorted(maps.Keys(w.columns)) {
		typ, ok := sqlType(w.columns[key])
		if col != nil && col.byKey[key] != nil || there+len(added) >= maxColumns || !ok {
			continue
		}
		plain := shorten(key, func(s string) bool { return taken[s] || taken[quote(s)] })
		taken[plain] = true
		added = append(added, &column{key: key, name: plain, typ: w.columns[key], sql: typ})
	}
	var err error
	if col == nil {
		col, err = e.create(ctx, tx, c, name, added)
	} else {
		for _, k := range added {
			if _, err = tx.Exec(ctx, "ALTER TABLE "+col.table+" ADD COLUMN "+k.definition()); err != nil {
				break
			}
		}
	}
	if err != nil {
		return err
	}
	for n, k := range added {
		// Entities that hold the property already were stored while no column
		// could be added.
		sql := "INSERT INTO " + e.own("columns") + " SELECT $1, $2, $3, $4, $5, NOT EXISTS (SELECT 1 FROM " + col.table + " WHERE _odd IS NOT NULL AND _odd @> ARRAY[$2::text])"
		if _, err := tx.Exec(ctx, sql, name, k.key, there+n, k.name, k.sql); err != nil {
			return err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(w.inexact)) {
		if _, err := tx.Exec(ctx, "UPDATE "+e.own("columns")+" SET exact = false WHERE collection = $1 AND key = $2", name, key); err != nil {
			return err
		}
	}
	if len(added) == 0 && len(col.columns) > 0 {
		return nil
	}
	now, err := e.readCatalog(ctx, tx, nil)
	if err == nil {
		err = e.makeView(ctx, tx, now.collections[name])
	}
	if err == nil {
		err = e.extend(ctx, tx, now.collections[name])
	}
	return err
}

// definition returns what makes a column whose name is not quoted yet.
func (col *column) definition() string { return quote(col.name) + " " + col.sql + collated(col.typ) }

// create makes a collection's tables. What a query reads of each row stands
// before the head and the state, which are long: what is behind them takes a
// quarter more time to scan. Values of one size come first, at the same place
// in each row.
func (e *Engine) create(ctx context.Context, tx pgx.Tx, c *catalog, name string, columns []*column) (*collection, error) {
	taken := map[string]bool{}
	err := all(ctx, tx, "SELECT relname FROM pg_class WHERE relnamespace = $1::regnamespace", []any{quote(e.schema)}, func(r pgx.Rows) error {
		var used string
		err := r.Scan(&used)
		taken[used] = true
		return err
	})
	if err != nil {
		return nil, err
	}
	pick := func(s string) string {
		s = shorten(s, func(s string) bool { return taken[s] })
		taken[s] = true
		return s
	}
	table, events, view := pick(name), pick(name+"_events"), pick(name+"_view")
	col := &collection{name: name, table: e.in(table), events: e.in(events), view: e.in(view), byKey: map[string]*column{}}
	definitions := ""
	for _, first := range []bool{true, false} {
		for _, k := range columns {
			if sized(k.typ) == first {
				definitions += k.definition() + ", "
			}
		}
	}
	for _, sql := range []string{
		"CREATE TABLE " + col.table + " (id uuid PRIMARY KEY, _rev bigint NOT NULL, _deleted boolean NOT NULL, " + definitions +
			`_odd text[] COLLATE "C", _head bytea NOT NULL, _state bytea NOT NULL) WITH (fillfactor = 85)`,
		"CREATE INDEX ON " + col.table + " (id) WHERE _odd IS NOT NULL",
		"CREATE TABLE " + col.events + " (entity uuid, rev bigint, event uuid NOT NULL UNIQUE, tx uuid NOT NULL, made_at timestamptz NOT NULL, body bytea NOT NULL, PRIMARY KEY (entity, rev))",
		"COMMENT ON TABLE " + col.table + " IS 'Entities of the collection, also the deleted ones; to be read only'",
		"COMMENT ON COLUMN " + col.table + ".id IS 'The entity; ankurah_id(id) is its text'",
		"COMMENT ON COLUMN " + col.table + "._rev IS 'Number of events in the history'",
		"COMMENT ON COLUMN " + col.table + "._head IS 'The last events: 16 bytes ID and 32 bytes digest each'",
		"COMMENT ON COLUMN " + col.table + "._deleted IS 'Whether the entity is deleted'",
		"COMMENT ON COLUMN " + col.table + "._odd IS 'Properties whose value is not in their column, but in the state only'",
		"COMMENT ON COLUMN " + col.table + "._state IS 'The whole state: the truth, of which the columns are a copy'",
		"COMMENT ON TABLE " + col.events + " IS 'Events of the collection''s entities, in the order of their arrival'",
	} {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return nil, err
		}
	}
	_, err = tx.Exec(ctx, "INSERT INTO "+e.own("collections")+" VALUES ($1, $2, $3, $4)", name, table, events, view)
	c.collections[name] = col
	return col, err
}

// makeView makes the view for people again, with all columns.
func (e *Engine) makeView(ctx context.Context, tx pgx.Tx, col *collection) error {
	f := e.in("ankurah_id")
	sql := "CREATE OR REPLACE VIEW " + col.view + " AS SELECT " + f + "(id) AS id, _rev"
	for _, k := range col.columns {
		switch {
		case k.typ.Kind == value.KindID:
			sql += ", " + f + "(" + k.name + ") AS " + k.name
		case k.typ.Elem == value.KindID:
			sql += ", ARRAY(SELECT " + f + "(x) FROM unnest(" + k.name + ") WITH ORDINALITY AS u(x, n) ORDER BY n) AS " + k.name
		default:
			sql += ", " + k.name
		}
	}
	if _, err := tx.Exec(ctx, sql+" FROM "+col.table+" WHERE NOT _deleted"); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, "COMMENT ON VIEW "+col.view+" IS 'Entities that exist, IDs as text'")
	return err
}

// EnsureModel gives a model's properties columns.
func (e *Engine) EnsureModel(ctx context.Context, m *schema.Model) error {
	if !event.ValidName(m.Collection) {
		return errors.New("ankurah: " + m.Collection + " cannot name a collection")
	}
	for {
		err := e.patiently(ctx, func() error { return e.ensureModel(ctx, m) })
		if stateOf(err) != stateLockTimeout {
			return e.explain(err)
		}
		// Somebody reads the table, who may wait for a commit: let it go on.
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
}

func (e *Engine) ensureModel(ctx context.Context, m *schema.Model) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.checkWritable(); err != nil {
		return err
	}
	w := wishes{}
	col := e.catalog.Load().collections[m.Collection]
	if col == nil {
		w.of(m.Collection)
	}
	for _, p := range m.Properties {
		if hasColumn(p.Key) && (col == nil || col.byKey[p.Key] == nil && !col.full()) {
			w.of(m.Collection).columns[p.Key] = p.Type
		}
	}
	return e.grant(ctx, w)
}
