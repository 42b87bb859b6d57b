package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/value"
)

// Limits of an index. PostgreSQL's entries hold 2700 bytes, of which the
// beginning of a text can take 512.
const (
	maxIndexColumns = 16
	maxWide         = 5 // columns of texts, byte strings and what is in documents
)

// prefixOf returns the beginning of a column's values that indexes hold.
func prefixOf(col *column) string { return prefixExpr(col.name, col.typ) }

func prefixExpr(sql string, t value.Type) string {
	if t.Kind == value.KindBytes {
		return "substring(" + sql + " FROM 1 FOR " + itoa(prefixLen) + ")"
	}
	return `left(` + sql + `, ` + itoa(prefixLen) + `)`
}

// layout returns the index's columns in SQL. It ends where a column cannot be
// indexed: what is before still serves.
func (x *index) layout(c *collection) []string {
	x.prefixed, x.paths = map[string]bool{}, map[string]string{}
	var out []string
	wide := 0
	for _, def := range x.def.Columns {
		col := c.byKey[def.Path[0]]
		if col == nil || col.typ.Kind == value.KindList || col.typ.Kind != value.KindJSON && len(def.Path) > 1 {
			break
		}
		sql := col.name
		switch col.typ.Kind {
		case value.KindString, value.KindBytes:
			x.prefixed[col.key] = true
			sql = prefixOf(col)
			wide++
		case value.KindJSON:
			if sql = pathLiteral(col, def.Path[1:]); sql == "" {
				return out
			}
			x.paths[joinPath(def.Path)] = sql
			sql = shortOnly(sql)
			wide++
		}
		if wide > maxWide {
			delete(x.prefixed, col.key)
			delete(x.paths, joinPath(def.Path))
			break
		}
		if def.Desc {
			sql += " DESC"
		}
		out = append(out, sql)
	}
	return out
}

// pathLiteral returns the expression of a path into a document, written so that
// an index and a query have the same; "" when there is none.
func pathLiteral(col *column, path []string) string {
	if len(path) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("(" + col.name + " #> ARRAY[")
	for k, key := range path {
		if !storable(key) || countsFromEnd(key) {
			return ""
		}
		if k > 0 {
			b.WriteString(",")
		}
		b.WriteString("'" + strings.ReplaceAll(key, "'", "''") + "'")
	}
	return b.String() + "]::text[])"
}

// heldLen is the length up to which an index holds what stands in a document;
// numbers it holds all.
const heldLen = 200

// shortOnly returns what an index holds of a path into a document.
func shortOnly(sql string) string {
	return "(CASE WHEN jsonb_typeof(" + sql + ") = 'number' OR octet_length(" + sql + " #>> '{}') <= " + itoa(heldLen) + " THEN NULLIF(" + sql + ", 'null'::jsonb) END)"
}

// Indexes returns the complete indexes of a collection.
func (e *Engine) Indexes(collection string) []schema.Index {
	c := e.catalog.Load().collections[collection]
	if c == nil {
		return nil
	}
	var out []schema.Index
	for _, x := range c.indexes {
		if x.complete {
			out = append(out, x.def)
		}
	}
	return out
}

// Generation changes when an index becomes complete, and with every other
// change of the tables.
func (e *Engine) Generation() any { return e.catalog.Load().version }

// EnsureIndex builds the index unless it exists. Commits go on meanwhile.
func (e *Engine) EnsureIndex(ctx context.Context, collection string, def schema.Index) error {
	if err := e.checkWritable(); err != nil {
		return err
	}
	if err := checkIndex(collection, def); err != nil {
		return err
	}
	e.building.Lock()
	defer e.building.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.life, cancel)()
	err := e.patiently(ctx, func() error { return e.build(ctx, collection, def) })
	if closing := e.checkOpen(); err != nil && closing != nil {
		return closing
	}
	if err != nil {
		return e.explain(err)
	}
	return nil
}

func checkIndex(collection string, def schema.Index) error {
	if n := len(def.Columns); n == 0 || n > maxIndexColumns {
		return fmt.Errorf("ankurah: an index has 1 to %d columns, not %d", maxIndexColumns, n)
	}
	if !event.ValidName(collection) {
		return errors.New("ankurah: " + collection + " cannot name a collection")
	}
	for _, c := range def.Columns {
		switch {
		case len(c.Path) == 0:
			return errors.New("ankurah: index " + def.Name() + ": a column has no path")
		case c.Path[0] == "id":
			return errors.New("ankurah: index " + def.Name() + ": entities are in the order of their IDs as they are")
		case !slices.ContainsFunc(c.Path, func(p string) bool { return !storable(p) }):
		default:
			return errors.New("ankurah: index " + def.Name() + ": PostgreSQL cannot hold the name")
		}
	}
	return nil
}

// build builds one index, on a connection of its own.
func (e *Engine) build(ctx context.Context, collection string, def schema.Index) error {
	if e.find(collection, def) {
		return nil
	}
	conn, err := e.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	// One process builds at a time. Who waited inside a statement would hold
	// a snapshot, which the build of another waits for in turn.
	for ok := false; !ok; {
		if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1, hashtext($2))", lockBuild, e.schema).Scan(&ok); err != nil {
			return err
		}
		if !ok {
			if err := pause(ctx, 20*time.Millisecond); err != nil {
				return err
			}
		}
	}
	x, c, err := e.declare(ctx, conn, collection, def)
	if err != nil || x.complete {
		return err
	}
	if columns := x.layout(c); len(columns) > 0 {
		// What an interrupted build left behind is not valid.
		if _, err := conn.Exec(ctx, "DROP INDEX IF EXISTS "+e.in(x.name)); err != nil {
			return err
		}
		if _, err := conn.Exec(ctx, "CREATE INDEX CONCURRENTLY "+x.sql(c, columns)); err != nil {
			return err
		}
		for _, sql := range x.statistics(e, c) {
			if _, err := conn.Exec(ctx, sql); err != nil {
				return err
			}
		}
		// Of beginnings of texts the planner knows nothing before.
		if _, err := conn.Exec(ctx, "ANALYZE "+c.table); err != nil {
			return err
		}
	}
	err = e.define(ctx, conn, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "UPDATE "+e.own("indexes")+" SET complete = true, columns = $2 WHERE name = $1", x.name, len(x.layout(c)))
		return err
	})
	if err != nil {
		return err
	}
	now, err := e.catalogNow(ctx, conn, nil)
	if err == nil {
		e.publish(now)
	}
	return err
}

// sql returns what stands behind CREATE INDEX.
func (x *index) sql(c *collection, columns []string) string {
	return quote(x.name) + " ON " + c.table + " (" + strings.Join(columns, ", ") + ", id) WHERE NOT _deleted"
}

// statistics returns what has the planner know how often values of the index's
// expressions come: it does not look at what it knows of a partial index, and
// would take each value for one of 200.
func (x *index) statistics(e *Engine, c *collection) []string {
	var out []string
	for _, column := range x.layout(c) {
		column = strings.TrimSuffix(column, " DESC")
		if !strings.HasSuffix(column, ")") { // a column itself
			continue
		}
		sum := sha256.Sum256([]byte(c.table + column))
		out = append(out, "CREATE STATISTICS IF NOT EXISTS "+e.in("_ankurah_"+hex.EncodeToString(sum[:8]))+" ON ("+column+") FROM "+c.table)
	}
	return out
}

// extend builds the indexes again that were declared when some of their columns
// were missing. It is part of adding columns, as a rule to an empty table.
func (e *Engine) extend(ctx context.Context, tx pgx.Tx, c *collection) error {
	for _, x := range c.indexes {
		columns := x.layout(c)
		if !x.complete || len(columns) == x.columns {
			continue
		}
		for _, sql := range append([]string{"DROP INDEX IF EXISTS " + e.in(x.name), "CREATE INDEX " + x.sql(c, columns)}, x.statistics(e, c)...) {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, "UPDATE "+e.own("indexes")+" SET columns = $2 WHERE name = $1", x.name, len(columns)); err != nil {
			return err
		}
	}
	return nil
}

// find reports whether an index is complete.
func (e *Engine) find(collection string, def schema.Index) bool {
	return slices.ContainsFunc(e.Indexes(collection), func(x schema.Index) bool { return x.Name() == def.Name() })
}

// declare notes that an index is to be built, and makes the collection if
// there is none.
func (e *Engine) declare(ctx context.Context, conn *pgx.Conn, collection string, def schema.Index) (x *index, c *collection, err error) {
	definition, err := json.Marshal(def.Columns)
	if err != nil {
		return nil, nil, err
	}
	err = e.define(ctx, conn, func(tx pgx.Tx) error {
		for range 2 {
			now, err := e.readCatalog(ctx, tx, nil)
			if err != nil {
				return err
			}
			if c = now.collections[collection]; c == nil {
				if err := e.grantOne(ctx, tx, now, collection, &wish{}); err != nil {
					return err
				}
				continue
			}
			at := slices.IndexFunc(c.indexes, func(o *index) bool { return o.def.Name() == def.Name() })
			if at >= 0 {
				x = c.indexes[at]
				return nil
			}
			position, names := len(c.indexes), map[string]bool{}
			err = all(ctx, tx, "SELECT relname FROM pg_class WHERE relnamespace = $1::regnamespace", []any{quote(e.schema)}, func(r pgx.Rows) error {
				var used string
				err := r.Scan(&used)
				names[used] = true
				return err
			})
			if err != nil {
				return err
			}
			name := shorten(collection+"_by_"+strings.ReplaceAll(def.Name(), "\x00", ""), func(s string) bool { return names[s] })
			x = &index{def: def, name: name}
			_, err = tx.Exec(ctx, "INSERT INTO "+e.own("indexes")+" VALUES ($1, $2, $3, $4, false, 0)", name, collection, position, string(definition))
			return err
		}
		return &storage.CorruptError{What: "catalog: collection " + collection, Err: errName}
	})
	return x, c, err
}
