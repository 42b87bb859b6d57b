package postgres

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/value"
)

// maxColumns bounds the properties of a collection that get columns;
// PostgreSQL's limit is 1600 columns of a table.
const maxColumns = 1000

// catalog says how collections lie in tables. It is immutable.
type catalog struct {
	version     int64
	collections map[string]*collection
}

// collection is one collection's tables. It is immutable.
type collection struct {
	name                string
	table, events, view string // quoted, with the schema
	columns             []*column
	byKey               map[string]*column
	indexes             []*index // the incomplete ones too

	insert, update, remove, hold, absent string // statements upon one row
	addEvents                            string
}

// column is one property's column.
type column struct {
	key   string
	name  string // quoted
	typ   value.Type
	sql   string // its type
	exact bool   // no entity has a value that the column cannot hold
}

// index is a secondary index.
type index struct {
	def      schema.Index
	name     string // in the database; "" where no column can be indexed
	complete bool
	columns  int               // that were built
	prefixed map[string]bool   // property keys of which it holds the beginning
	paths    map[string]string // expressions of paths into JSON, by joinPath
}

// full reports whether no property gets a column any more.
func (c *collection) full() bool { return len(c.columns) >= maxColumns }

// prefixed reports whether an index holds the beginnings of a column's values.
func (c *collection) prefixed(key string) bool {
	return slices.ContainsFunc(c.indexes, func(x *index) bool { return x.complete && x.prefixed[key] })
}

// pathExpr returns the expression by which an index has a path into JSON, ""
// when none has it.
func (c *collection) pathExpr(path []string) string {
	for _, x := range c.indexes {
		if sql := x.paths[joinPath(path)]; sql != "" && x.complete {
			return sql
		}
	}
	return ""
}

func joinPath(path []string) string { return strings.Join(path, "\x00") }

// names returns the names of the collections, sorted.
func (c *catalog) names() []string {
	var out []string
	for name := range c.collections {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// querier is a connection, a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// all reads every row with scan.
func all(ctx context.Context, q querier, sql string, args []any, scan func(pgx.Rows) error) error {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// readCatalog reads the catalog as q sees it; known is returned when it is
// still that.
func (e *Engine) readCatalog(ctx context.Context, q querier, known *catalog) (*catalog, error) {
	c := &catalog{collections: map[string]*collection{}}
	err := all(ctx, q, "SELECT catalog FROM "+e.own("format"), nil, func(r pgx.Rows) error { return r.Scan(&c.version) })
	if err != nil || known != nil && c.version == known.version {
		return known, err
	}
	err = all(ctx, q, "SELECT name, tab, events, view FROM "+e.own("collections"), nil, func(r pgx.Rows) error {
		var name, table, events, view string
		if err := r.Scan(&name, &table, &events, &view); err != nil {
			return err
		}
		if !event.ValidName(name) {
			return &storage.CorruptError{What: "catalog: collection " + name, Err: errName}
		}
		c.collections[name] = &collection{name: name, table: e.in(table), events: e.in(events), view: e.in(view), byKey: map[string]*column{}}
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = all(ctx, q, "SELECT collection, key, name, type, exact FROM "+e.own("columns")+" ORDER BY collection, position", nil, func(r pgx.Rows) error {
		var in string
		col := &column{}
		if err := r.Scan(&in, &col.key, &col.name, &col.sql, &col.exact); err != nil {
			return err
		}
		to, ok := c.collections[in]
		if ok {
			col.typ, ok = typeOf(col.sql)
		}
		if !ok {
			return &storage.CorruptError{What: "catalog: column " + col.key + " of " + in, Err: errName}
		}
		col.name = quote(col.name)
		to.columns = append(to.columns, col)
		to.byKey[col.key] = col
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := e.readIndexes(ctx, q, c); err != nil {
		return nil, err
	}
	for _, col := range c.collections {
		col.prepare()
	}
	return c, nil
}

func (e *Engine) readIndexes(ctx context.Context, q querier, c *catalog) error {
	return all(ctx, q, "SELECT collection, name, definition, complete, columns FROM "+e.own("indexes")+" ORDER BY collection, position", nil, func(r pgx.Rows) error {
		var in, name, definition string
		var complete bool
		var columns int
		if err := r.Scan(&in, &name, &definition, &complete, &columns); err != nil {
			return err
		}
		to, ok := c.collections[in]
		if !ok {
			return &storage.CorruptError{What: "catalog: index " + name, Err: errName}
		}
		x, err := readIndex(in, name, definition)
		if err != nil {
			return &storage.CorruptError{What: "catalog: index " + name, Err: err}
		}
		x.complete, x.columns = complete, columns
		to.indexes = append(to.indexes, x)
		x.layout(to)
		return nil
	})
}

// readIndex reads the definition of an index.
func readIndex(collection, name, definition string) (*index, error) {
	x := &index{name: name}
	if err := json.Unmarshal([]byte(definition), &x.def.Columns); err != nil {
		return nil, err
	}
	return x, checkIndex(collection, x.def)
}

// prepare makes the statements that write one row.
func (c *collection) prepare() {
	var names, params, sets strings.Builder
	n := 7 // after what every row has
	for _, col := range c.columns {
		p := ", $" + itoa(n)
		names.WriteString(", " + col.name)
		params.WriteString(p)
		sets.WriteString(", " + col.name + " =" + p[1:])
		n++
	}
	// 1/count(*) fails the whole batch when no row was as it had to be.
	c.insert = "INSERT INTO " + c.table + " (id, _head, _rev, _deleted, _odd, _state" + names.String() + ") VALUES ($1, $2, $3, $4, $5, $6" + params.String() + ")"
	last := "$" + itoa(n)
	c.update = "WITH done AS (UPDATE " + c.table + " SET _head = $2, _rev = $3, _deleted = $4, _odd = $5, _state = $6" + sets.String() +
		" WHERE id = $1 AND _head = " + last + " RETURNING 1) SELECT 1/count(*) FROM done"
	c.remove = "WITH done AS (DELETE FROM " + c.table + " WHERE id = $1 AND _head = $2 RETURNING 1) SELECT 1/count(*) FROM done"
	c.hold = "WITH held AS (SELECT 1 FROM " + c.table + " WHERE id = $1 AND _head = $2 FOR UPDATE) SELECT 1/count(*) FROM held"
	c.absent = "SELECT 1/(1-count(*)) FROM " + c.table + " WHERE id = $1"
	c.addEvents = "INSERT INTO " + c.events + " (entity, rev, event, tx, made_at, body)" +
		" SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::uuid[], $5::timestamptz[], $6::bytea[])" +
		" ON CONFLICT (entity, rev) DO UPDATE SET event = EXCLUDED.event, tx = EXCLUDED.tx, made_at = EXCLUDED.made_at, body = EXCLUDED.body"
}
