package postgres

import (
	"context"
	"errors"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/storage"
)

var _ storage.Batcher = (*snapshot)(nil)

// Records reads the records of transactions.
func (s *snapshot) Records(ctx context.Context, txs []event.TxID) (map[event.TxID][]byte, error) {
	keys := make([][16]byte, len(txs))
	for k, tx := range txs {
		keys[k] = tx
	}
	out := make(map[event.TxID][]byte, len(txs))
	return out, s.each(ctx, "SELECT tx, record FROM "+s.e.own("txs")+" WHERE tx = ANY($1)", []any{keys}, func(r pgx.Rows) error {
		var tx [16]byte
		var record []byte
		err := r.Scan(&tx, &record)
		out[tx] = record
		return err
	})
}

// EventsAt reads parts of histories.
func (s *snapshot) EventsAt(ctx context.Context, collection string, spans []storage.Span) (map[id.ID][]*event.Event, error) {
	out := make(map[id.ID][]*event.Event, len(spans))
	ids := make([][16]byte, len(spans))
	firsts, lasts := make([]int64, len(spans)), make([]int64, len(spans))
	for k, x := range spans {
		ids[k], firsts[k], lasts[k] = x.Entity, int64(x.First), int64(x.Last)
	}
	if c := s.catalog.collections[collection]; c != nil {
		sql := "SELECT e.entity, e.rev, e.body FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS s(entity, first, last)" +
			" JOIN " + c.events + " AS e ON e.entity = s.entity AND e.rev BETWEEN s.first AND s.last ORDER BY e.entity, e.rev"
		err := s.each(ctx, sql, []any{ids, firsts, lasts}, func(r pgx.Rows) error {
			var entity [16]byte
			var rev int64
			var body []byte
			if err := r.Scan(&entity, &rev, &body); err != nil {
				return err
			}
			ev, err := event.Decode(body)
			if err == nil && (ev.Entity != id.ID(entity) || ev.Collection != collection) {
				err = errors.New("it is of another entity")
			}
			if err != nil {
				return corruptEvent(collection, entity, uint64(rev), err)
			}
			out[entity] = append(out[entity], ev)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	for _, x := range spans { // revs are unique, so what is whole is consecutive
		if n := uint64(len(out[x.Entity])); n != x.Last-x.First+1 {
			return nil, corruptEvent(collection, x.Entity, x.First+n, errors.New("it, or one before it, is missing"))
		}
	}
	return out, nil
}

func corruptEvent(collection string, entity id.ID, rev uint64, err error) error {
	return &storage.CorruptError{What: "event of " + collection + " " + entity.String() + " at rev " + strconv.FormatUint(rev, 10), Err: err}
}
