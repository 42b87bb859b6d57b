package kv

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"strconv"

	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/keyset"
	"github.com/ankurah/ankurah-go/storage"
)

var (
	_ storage.Lister  = (*snapshot)(nil)
	_ storage.Checker = (*snapshot)(nil)
)

// walk calls f with each key of a space, without the space, and its value,
// until f returns false. Both are valid until f returns.
func (s *snapshot) walk(ctx context.Context, space byte, f func(key, value []byte) bool) error {
	lo := s.e.keys.space(nil, space)
	c := s.open(ctx, lo, s.e.keys.space(nil, space+1), false)
	defer c.close()
	for c.next() {
		if !f(c.key()[len(lo):], c.value()) {
			return nil
		}
	}
	return c.err
}

func keyError(what string, key []byte) error {
	return &storage.CorruptError{What: what + " under key " + strconv.QuoteToASCII(string(key)), Err: errKey}
}

// Entities lists what has a state.
func (s *snapshot) Entities(ctx context.Context) iter.Seq2[storage.EntityKey, error] {
	return func(yield func(storage.EntityKey, error) bool) {
		var k storage.EntityKey
		ended := false
		err := s.walk(ctx, spaceState, func(key, _ []byte) bool {
			name, rest, _ := bytes.Cut(key, []byte{0})
			if len(rest) != id.Size || string(name) != k.Collection && !event.ValidName(string(name)) {
				ended = !yield(k, keyError("state", key))
				return !ended
			}
			if string(name) != k.Collection {
				k.Collection = string(name)
			}
			k.Entity = id.ID(rest)
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
		err := s.walk(ctx, spaceEvent, func(key, _ []byte) bool {
			switch {
			case len(key) != id.Size+8:
				ended = !yield(last, keyError("event", key))
			case id.ID(key[:id.Size]) != last:
				last = id.ID(key[:id.Size])
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
		err := s.walk(ctx, spaceTx, func(key, value []byte) bool {
			if len(key) != len(event.TxID{}) {
				ended = !yield(storage.TxRecord{}, keyError("record", key))
			} else {
				ended = !yield(storage.TxRecord{Tx: event.TxID(key), Record: bytes.Clone(value)}, nil)
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
		err := s.walk(ctx, spaceClaim, func(key, value []byte) bool {
			holder, err := parseClaim(key, value)
			ended = !yield(storage.Claim{Key: bytes.Clone(key), Entity: holder}, err)
			return !ended
		})
		if err != nil && !ended {
			yield(storage.Claim{}, err)
		}
	}
}

// Check compares positions with events, and indexes with states.
func (s *snapshot) Check(ctx context.Context) iter.Seq[error] {
	return func(yield func(error) bool) {
		if s.checkPositions(ctx, yield) {
			s.checkIndexes(ctx, yield)
		}
	}
}

// checkPositions finds positions of events that are not there. Who knows that
// every event has its position needs to look only when there are more of them.
// It reports whether to go on.
func (s *snapshot) checkPositions(ctx context.Context, yield func(error) bool) bool {
	events, positions := 0, 0
	err := s.walk(ctx, spaceEvent, func(_, _ []byte) bool { events++; return true })
	if err == nil {
		err = s.walk(ctx, spacePosition, func(_, _ []byte) bool { positions++; return true })
	}
	if err != nil {
		return yield(err)
	}
	if events == positions {
		return true
	}
	more := true
	err = s.walk(ctx, spacePosition, func(key, value []byte) bool {
		entity, rev, collection, ok := parsePosition(value)
		if len(key) != id.Size || !ok {
			more = yield(keyError("position", key))
			return more
		}
		there := false
		for ev, err := range s.Events(ctx, collection, entity, rev, rev) {
			there = err != nil || ev.ID == id.ID(key) // a damaged one is reported elsewhere
		}
		if !there {
			more = yield(&storage.CorruptError{What: "position of event " + id.ID(key).String(), Err: errDangling})
		}
		return more
	})
	if err != nil && more {
		return yield(err)
	}
	return more
}

// checkIndexes finds index entries that are missing, and those that are of no
// entity. It reports whether to go on.
func (s *snapshot) checkIndexes(ctx context.Context, yield func(error) bool) bool {
	for collection, xs := range s.catalog.indexes {
		for _, x := range xs {
			if x.complete && !s.checkIndex(ctx, collection, x, yield) {
				return false
			}
		}
	}
	return true
}

func (s *snapshot) checkIndex(ctx context.Context, collection string, x *index, yield func(error) bool) bool {
	name := "index " + x.name + " of " + collection
	var want, have int
	var key []byte
	for st, err := range s.All(ctx, collection) {
		if err != nil {
			return yield(err)
		}
		if !st.Exists() {
			continue
		}
		want++
		key = x.appendEntry(key[:0], st)
		_, ok, err := s.get(ctx, key)
		if err != nil {
			return yield(err)
		}
		if !ok && !yield(&storage.CorruptError{What: name, Err: &entryError{st.ID(), " has no entry"}}) {
			return false
		}
		if ok {
			have++
		}
	}
	c := s.open(ctx, x.prefix, keyset.Successor(bytes.Clone(x.prefix)), false)
	defer c.close()
	for c.next() {
		if have--; have >= 0 {
			continue
		}
		// There are more entries than entities: find those too many.
		c.close()
		return s.checkEntries(ctx, collection, x, name, yield)
	}
	if c.err != nil {
		return yield(c.err)
	}
	return true
}

// checkEntries finds entries that are not those of their entities.
func (s *snapshot) checkEntries(ctx context.Context, collection string, x *index, name string, yield func(error) bool) bool {
	c := s.open(ctx, x.prefix, keyset.Successor(bytes.Clone(x.prefix)), false)
	defer c.close()
	for c.next() {
		i, err := entityOf(c.key(), len(x.prefix))
		if err != nil {
			if !yield(keyError(name, c.key())) {
				return false
			}
			continue
		}
		st, err := s.State(ctx, collection, i)
		if err != nil {
			return yield(err)
		}
		if st != nil && st.Exists() && bytes.Equal(x.appendEntry(nil, st), c.key()) {
			continue
		}
		if !yield(&storage.CorruptError{What: name, Err: &entryError{i, " has an entry that is not its own"}}) {
			return false
		}
	}
	if c.err != nil {
		return yield(c.err)
	}
	return true
}

// errDangling is the cause of a corruption error about a key that leads
// nowhere.
var errDangling = errors.New("there is no such event")

// entryError says what is wrong with an entity's entry of an index.
type entryError struct {
	entity id.ID
	why    string
}

func (e *entryError) Error() string { return e.entity.String() + e.why }
