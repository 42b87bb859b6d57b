package kv

import (
	"bytes"
	"context"
	"iter"

	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/storage"
)

var _ storage.Lister = (*snapshot)(nil)

// walk calls f with each key of a space, what of it follows the space, and its
// value with its seal, until f returns false. They are valid until f returns.
// What is damaged does not end it.
func (s *snapshot) walk(ctx context.Context, space byte, f func(key, rest, stored []byte) bool) error {
	lo := s.e.keys.space(nil, space)
	c := s.openRaw(ctx, lo, s.e.keys.space(nil, space+1))
	defer c.close()
	for c.next() {
		if !f(c.key(), c.key()[len(lo):], c.value()) {
			return nil
		}
	}
	return c.err
}

func (s *snapshot) keyError(key []byte) error {
	return &storage.CorruptError{What: s.e.keys.name(key), Err: errKey}
}

// Entities lists what has a state.
func (s *snapshot) Entities(ctx context.Context) iter.Seq2[storage.EntityKey, error] {
	return func(yield func(storage.EntityKey, error) bool) {
		var k storage.EntityKey
		ended := false
		err := s.walk(ctx, spaceState, func(key, rest, _ []byte) bool {
			name, i, _ := bytes.Cut(rest, []byte{0})
			if len(i) != id.Size || string(name) != k.Collection && !event.ValidName(string(name)) {
				ended = !yield(k, s.keyError(key))
				return !ended
			}
			if string(name) != k.Collection {
				k.Collection = string(name)
			}
			k.Entity = id.ID(i)
			ended = !yield(k, nil)
			return !ended
		})
		if err != nil && !ended {
			yield(k, err)
		}
	}
}

// Histories lists what has events.
func (s *snapshot) Histories(ctx context.Context) iter.Seq2[id.ID, error] {
	return func(yield func(id.ID, error) bool) {
		var last id.ID
		ended := false
		err := s.walk(ctx, spaceEvent, func(key, rest, _ []byte) bool {
			owner, _, ok := parseEventKey(rest)
			switch {
			case !ok:
				ended = !yield(last, s.keyError(key))
			case owner != last:
				last = owner
				ended = !yield(last, nil)
			}
			return !ended
		})
		if err != nil && !ended {
			yield(last, err)
		}
	}
}

// Txs lists the records of transactions.
func (s *snapshot) Txs(ctx context.Context) iter.Seq2[storage.TxRecord, error] {
	return func(yield func(storage.TxRecord, error) bool) {
		ended := false
		err := s.walk(ctx, spaceTx, func(key, rest, stored []byte) bool {
			b, err := s.e.keys.unseal(key, stored)
			switch {
			case len(rest) != len(event.TxID{}):
				ended = !yield(storage.TxRecord{}, s.keyError(key))
			case err != nil:
				ended = !yield(storage.TxRecord{}, err)
			default:
				ended = !yield(storage.TxRecord{Tx: event.TxID(rest), Record: bytes.Clone(b)}, nil)
			}
			return !ended
		})
		if err != nil && !ended {
			yield(storage.TxRecord{}, err)
		}
	}
}

// Claims lists the claims that are bound.
func (s *snapshot) Claims(ctx context.Context) iter.Seq2[storage.Claim, error] {
	return func(yield func(storage.Claim, error) bool) {
		ended := false
		err := s.walk(ctx, spaceClaim, func(key, rest, stored []byte) bool {
			var holder id.ID
			b, err := s.e.keys.unseal(key, stored)
			if err == nil {
				holder, err = parseClaim(rest, b)
			}
			ended = !yield(storage.Claim{Key: bytes.Clone(rest), Entity: holder}, err)
			return !ended
		})
		if err != nil && !ended {
			yield(storage.Claim{}, err)
		}
	}
}
