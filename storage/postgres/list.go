package postgres

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/value"
)

var (
	_ storage.Lister  = (*snapshot)(nil)
	_ storage.Checker = (*snapshot)(nil)
)

// ids lists the IDs in a column that an index begins with.
func (s *snapshot) ids(ctx context.Context, column, table string) iter.Seq2[id.ID, error] {
	sql := "SELECT DISTINCT " + column + " FROM " + table + " WHERE " + column + " > $2 ORDER BY " + column + " LIMIT $1"
	return pages(s, ctx, sql, []any{[16]byte{}}, func(r pgx.Rows) (id.ID, []any, error) {
		i := [16]byte(r.RawValues()[0])
		return i, []any{i}, nil
	})
}

// Entities lists what has a state.
func (s *snapshot) Entities(ctx context.Context) iter.Seq2[storage.EntityKey, error] {
	return func(yield func(storage.EntityKey, error) bool) {
		for _, name := range s.catalog.names() {
			for i, err := range s.ids(ctx, "id", s.catalog.collections[name].table) {
				if !yield(storage.EntityKey{Collection: name, Entity: i}, err) || err != nil {
					return
				}
			}
		}
	}
}

// Histories lists what has events: those of all collections in one order.
func (s *snapshot) Histories(ctx context.Context) iter.Seq2[id.ID, error] {
	return func(yield func(id.ID, error) bool) {
		var heads []id.ID
		var nexts []func() (id.ID, error, bool)
		for _, name := range s.catalog.names() {
			next, stop := iter.Pull2(s.ids(ctx, "entity", s.catalog.collections[name].events))
			defer stop()
			i, err, ok := next()
			if err != nil {
				yield(i, err)
				return
			}
			if ok {
				heads, nexts = append(heads, i), append(nexts, next)
			}
		}
		for len(heads) > 0 {
			least := slices.MinFunc(heads, id.ID.Compare)
			if !yield(least, nil) {
				return
			}
			for k := len(heads) - 1; k >= 0; k-- {
				if heads[k] != least {
					continue
				}
				i, err, ok := nexts[k]()
				if err != nil {
					yield(i, err)
					return
				}
				if heads[k] = i; !ok {
					heads, nexts = slices.Delete(heads, k, k+1), slices.Delete(nexts, k, k+1)
				}
			}
		}
	}
}

// Txs lists the records of transactions.
func (s *snapshot) Txs(ctx context.Context) iter.Seq2[storage.TxRecord, error] {
	sql := "SELECT tx, record FROM " + s.e.own("txs") + " WHERE tx > $2 ORDER BY tx LIMIT $1"
	return pages(s, ctx, sql, []any{[16]byte{}}, func(r pgx.Rows) (storage.TxRecord, []any, error) {
		raw := r.RawValues()
		tx := [16]byte(raw[0])
		return storage.TxRecord{Tx: tx, Record: bytes.Clone(raw[1])}, []any{tx}, nil
	})
}

// Claims lists the claims that are bound. It holds all of them: their keys may
// be longer than what an index takes, so they are sorted once.
func (s *snapshot) Claims(ctx context.Context) iter.Seq2[storage.Claim, error] {
	return func(yield func(storage.Claim, error) bool) {
		var claims []storage.Claim
		err := s.each(ctx, "SELECT key, entity FROM "+s.e.own("claims")+" ORDER BY key", nil, func(r pgx.Rows) error {
			raw := r.RawValues()
			claims = append(claims, storage.Claim{Key: append([]byte{}, raw[0]...), Entity: id.ID(raw[1])})
			return nil
		})
		for _, c := range claims {
			if !yield(c, nil) {
				return
			}
		}
		if err != nil {
			yield(storage.Claim{}, err)
		}
	}
}

// Check compares columns with states and with events.
func (s *snapshot) Check(ctx context.Context) iter.Seq[error] {
	return func(yield func(error) bool) {
		for _, name := range s.catalog.names() {
			c := s.catalog.collections[name]
			for faults, err := range s.checkRows(ctx, c) {
				if !yieldAll(yield, faults, err) {
					return
				}
			}
			for faults, err := range s.checkEvents(ctx, c) {
				if !yieldAll(yield, faults, err) {
					return
				}
			}
		}
	}
}

// yieldAll yields faults, or what ended the search for them. It reports whether
// to go on.
func yieldAll(yield func(error) bool, faults []error, err error) bool {
	if err != nil {
		yield(err)
		return false
	}
	for _, fault := range faults {
		if !yield(fault) {
			return false
		}
	}
	return true
}

// checkRows yields for each row what is wrong with its columns.
func (s *snapshot) checkRows(ctx context.Context, c *collection) iter.Seq2[[]error, error] {
	sql := "SELECT id, _state, _rev, _head, _deleted, _odd"
	for _, col := range c.columns {
		sql += ", " + col.name
		if col.typ.Kind == value.KindJSON {
			sql += "::text"
		}
	}
	sql += " FROM " + c.table + " WHERE id > $2 ORDER BY id LIMIT $1"
	return pages(s, ctx, sql, []any{[16]byte{}}, func(r pgx.Rows) ([]error, []any, error) {
		row, err := r.Values()
		if err != nil {
			return nil, nil, err
		}
		i := row[0].([16]byte)
		var faults []error
		fault := func(what string) {
			faults = append(faults, &storage.CorruptError{What: "row " + id.ID(i).String() + " of " + c.name, Err: errors.New(what)})
		}
		st, err := storage.DecodeState(c.name, i, row[1].([]byte))
		if err != nil {
			return []error{err}, []any{i}, nil
		}
		if row[2].(int64) != int64(st.Rev()) || !bytes.Equal(row[3].([]byte), appendHead(st.Head())) || row[4].(bool) == st.Exists() {
			fault("its rev, head or deletion is not that of its state")
		}
		var odd []string
		for _, key := range list(row[5]) {
			odd = append(odd, key.(string))
		}
		for k, col := range c.columns {
			if !col.holds(row[6+k], st, slices.Contains(odd, col.key)) {
				fault("column " + col.name + " is not what its state says")
			}
		}
		return faults, []any{i}, nil
	})
}

// list returns the elements of an array, none of null.
func list(x any) []any {
	out, _ := x.([]any)
	return out
}

// holds reports whether what was read of the column is what a state says; odd
// says that the row notes it as not held.
func (col *column) holds(x any, st *entity.State, odd bool) bool {
	want := st.Value(col.key)
	if _, ok := encode(want, col.typ); !ok {
		return x == nil && odd && !col.exact
	}
	if odd && col.exact {
		return false
	}
	if odd { // stored when there was no column
		return x == nil
	}
	return value.Equal(columnValue(x, col.typ), want)
}

// columnValue returns what was read of a column of type t.
func columnValue(x any, t value.Type) value.Value {
	if x == nil {
		return value.Null
	}
	switch t.Kind {
	case value.KindList:
		elements := []value.Value{}
		for _, e := range list(x) {
			elements = append(elements, columnValue(e, value.Type{Kind: t.Elem}))
		}
		return value.List(t.Elem, elements)
	case value.KindID:
		return value.ID(x.([16]byte))
	case value.KindJSON:
		doc, err := value.ParseJSON(x.(string))
		if err != nil {
			return value.Bytes(nil) // equal to no document
		}
		return doc
	}
	v, err := value.FromGo(x)
	if err != nil {
		return value.Null
	}
	return v
}

// checkEvents yields for each event what is wrong with its columns.
func (s *snapshot) checkEvents(ctx context.Context, c *collection) iter.Seq2[[]error, error] {
	sql := "SELECT entity, rev, event, tx, body FROM " + c.events + " WHERE (entity, rev) > ($2, $3) ORDER BY entity, rev LIMIT $1"
	return pages(s, ctx, sql, []any{[16]byte{}, int64(0)}, func(r pgx.Rows) ([]error, []any, error) {
		var i, ev, tx [16]byte
		var rev int64
		var body []byte
		if err := r.Scan(&i, &rev, &ev, &tx, &body); err != nil {
			return nil, nil, err
		}
		next := []any{i, rev}
		e, err := event.Decode(body)
		if err == nil && (e.ID != ev || e.Tx != tx || e.Entity != i) {
			err = errors.New("its columns are not those of the event")
		}
		if err != nil {
			return []error{&storage.CorruptError{What: "event " + strconv.FormatInt(rev, 10) + " of " + c.name + " " + id.ID(i).String(), Err: err}}, next, nil
		}
		return nil, next, nil
	})
}
