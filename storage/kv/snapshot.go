package kv

import (
	"bytes"
	"context"
	"iter"
	"strconv"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/keyset"
	"github.com/ankurah/ankurah-go/storage"
)

// snapshot is a [storage.Snapshot].
type snapshot struct {
	e       *Engine
	kv      Snapshot
	catalog *catalog // of it only complete indexes are read
}

func (s *snapshot) Close() error { return s.kv.Close() }

func (s *snapshot) get(ctx context.Context, key []byte) ([]byte, bool, error) {
	if err := s.e.checkOpen(); err != nil {
		return nil, false, err
	}
	b, ok, err := s.kv.Get(ctx, key)
	if !ok || err != nil {
		return nil, false, err
	}
	b, err = s.e.keys.unseal(key, b)
	return b, err == nil, err
}

func (s *snapshot) State(ctx context.Context, collection string, i id.ID) (*entity.State, error) {
	var buf [64]byte
	b, ok, err := s.get(ctx, s.e.keys.state(buf[:0], collection, i))
	if err != nil || !ok {
		return nil, err
	}
	return storage.DecodeState(collection, i, b)
}

func (s *snapshot) Find(ctx context.Context, e id.ID) (storage.Position, bool, error) {
	b, ok, err := s.get(ctx, s.e.keys.position(nil, e))
	if err != nil || !ok {
		return storage.Position{}, false, err
	}
	var p storage.Position
	if p.Entity, p.Rev, p.Collection, ok = parsePosition(b); !ok {
		return p, false, &storage.CorruptError{What: "position of event " + e.String(), Err: errKey}
	}
	return p, true, nil
}

func (s *snapshot) Events(ctx context.Context, collection string, i id.ID, first, last uint64) iter.Seq2[*event.Event, error] {
	return func(yield func(*event.Event, error) bool) {
		if first > last {
			return
		}
		lo := s.e.keys.event(nil, i, first)
		hi := append(s.e.keys.event(nil, i, last), 0)
		c := s.open(ctx, lo, hi, false)
		defer c.close()
		next := max(first, 1)
		for c.next() {
			ev, err := s.eventAt(c, collection, i, next)
			if !yield(ev, err) || err != nil {
				return
			}
			next++
		}
		err := c.err
		if err == nil && next-1 < last {
			err = s.checkEnd(ctx, collection, i, next)
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

// eventAt reads the event that c is at, which has to be the one at rev.
func (s *snapshot) eventAt(c *cursor, collection string, i id.ID, rev uint64) (*event.Event, error) {
	key := c.key()
	ev, err := event.Decode(bytes.Clone(c.value()))
	switch _, at, ok := parseEventKey(key[len(s.e.keys.prefix)+1:]); {
	case !ok:
		err = errKey
	case at != rev:
		key, err = s.e.keys.event(nil, i, rev), errMissing
	case err == nil && (ev.Entity != i || ev.Collection != collection):
		err = errForeign
	}
	if err != nil {
		return nil, &storage.CorruptError{What: s.e.keys.name(key), Err: err}
	}
	return ev, nil
}

// checkEnd returns an error when an entity whose events end before rev should
// have that one too.
func (s *snapshot) checkEnd(ctx context.Context, collection string, i id.ID, rev uint64) error {
	st, err := s.State(ctx, collection, i)
	if err != nil || st.Rev() < rev {
		return err
	}
	return &storage.CorruptError{What: s.e.keys.name(s.e.keys.event(nil, i, rev)), Err: errMissing}
}

func (s *snapshot) All(ctx context.Context, collection string) iter.Seq2[*entity.State, error] {
	return func(yield func(*entity.State, error) bool) {
		lo := s.e.keys.collection(nil, spaceState, collection)
		c := s.open(ctx, lo, keyset.Successor(bytes.Clone(lo)), false)
		defer c.close()
		for c.next() {
			st, err := stateAt(collection, c.key(), len(lo), c.value())
			if !yield(st, err) || err != nil {
				return
			}
		}
		if c.err != nil {
			yield(nil, c.err)
		}
	}
}

// stateAt reads the state under a key with a prefix of that length.
func stateAt(collection string, key []byte, prefix int, b []byte) (*entity.State, error) {
	if len(key) != prefix+id.Size {
		return nil, &storage.CorruptError{What: "state under key " + strconv.QuoteToASCII(string(key)), Err: errKey}
	}
	return storage.DecodeState(collection, id.ID(key[prefix:]), b)
}

func (s *snapshot) Collections(ctx context.Context) ([]string, error) {
	var names []string
	lo := s.e.keys.space(nil, spaceState)
	skip, end := len(lo), s.e.keys.space(nil, spaceState+1)
	for {
		name, err := s.firstCollection(ctx, lo, end, skip)
		if err != nil || name == "" {
			return names, err
		}
		names = append(names, name)
		lo = keyset.Successor(s.e.keys.collection(nil, spaceState, name))
	}
}

// firstCollection returns the collection of the first state from lo on.
func (s *snapshot) firstCollection(ctx context.Context, lo, hi []byte, skip int) (string, error) {
	c := s.openRaw(ctx, lo, hi)
	defer c.close()
	if !c.next() {
		return "", c.err
	}
	name, _, _ := bytes.Cut(c.key()[skip:], []byte{0})
	if !event.ValidName(string(name)) {
		return "", s.keyError(c.key())
	}
	return string(name), nil
}

func (s *snapshot) Tx(ctx context.Context, tx event.TxID) ([]byte, bool, error) {
	return s.get(ctx, s.e.keys.tx(nil, tx))
}

func (s *snapshot) Claimed(ctx context.Context, key []byte) (id.ID, bool, error) {
	b, ok, err := s.get(ctx, s.e.keys.claim(nil, key))
	if err != nil || !ok {
		return id.ID{}, false, err
	}
	i, err := parseClaim(key, b)
	return i, err == nil, err
}

func (s *snapshot) Meta(ctx context.Context, key []byte) ([]byte, bool, error) {
	return s.get(ctx, s.e.keys.meta(nil, key))
}

func (s *snapshot) MetaRange(ctx context.Context, lo, hi []byte) iter.Seq2[storage.MetaWrite, error] {
	return func(yield func(storage.MetaWrite, error) bool) {
		from := s.e.keys.meta(nil, lo)
		skip := len(from) - len(lo)
		to := s.e.keys.space(nil, spaceMeta+1)
		if hi != nil {
			to = s.e.keys.meta(nil, hi)
		}
		c := s.open(ctx, from, to, false)
		defer c.close()
		for c.next() {
			if !yield(storage.MetaWrite{Key: bytes.Clone(c.key()[skip:]), Value: append([]byte{}, c.value()...)}, nil) {
				return
			}
		}
		if c.err != nil {
			yield(storage.MetaWrite{}, c.err)
		}
	}
}
