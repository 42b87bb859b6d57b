package kv

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"iter"
	"strconv"

	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/keyset"
	"github.com/ankurah/ankurah-go/storage"
)

// Check reads every record under the engine's prefix, and yields each that
// cannot be right: a key that no commit writes, a seal that does not fit, a
// value that is none of its space, a rev without an event, an event and a
// position that do not name each other, an index entry that is not its
// entity's, and an entity that has none. What the values of states should be it
// does not know: that is for whoever can apply the events.
func (s *snapshot) Check(ctx context.Context) iter.Seq[error] {
	return func(yield func(error) bool) {
		v := &verifier{snapshot: s, ctx: ctx, yield: yield, byID: map[uint64]*tally{}}
		if err := v.run(); err != nil && err != errEnough {
			yield(err)
		}
	}
}

var _ storage.Checker = (*snapshot)(nil)

// errEnough ends a verification that nobody listens to.
var errEnough = errors.New("enough")

// verifier goes once through all records. What it finds wrong with two records
// that belong together it says of the one, unless that one says it of itself.
type verifier struct {
	*snapshot
	ctx   context.Context
	yield func(error) bool

	indexes map[string][]*tally // by collection
	byID    map[uint64]*tally

	owner             id.ID  // of the last event
	rev               uint64 // of it
	placed, positions int    // events whose position is theirs, and positions
}

// tally counts the entries of an index: those that entities have, and all.
type tally struct {
	*index
	have, entries int
}

// fault yields what is wrong with the record under a key.
func (v *verifier) fault(key []byte, err error) error {
	if !storage.IsCorrupt(err) {
		err = &storage.CorruptError{What: v.e.keys.name(key), Err: err}
	}
	return v.say(err)
}

func (v *verifier) say(err error) error {
	if v.yield(err) {
		return nil
	}
	return errEnough
}

func (v *verifier) run() error {
	if err := v.readIndexes(); err != nil {
		return err
	}
	prefix := v.e.keys.prefix
	c := v.openRaw(v.ctx, prefix, keyset.Successor(bytes.Clone(prefix)))
	defer c.close()
	for c.next() {
		if err := v.record(c.key(), c.value()); err != nil {
			return err
		}
	}
	if c.err != nil {
		return c.err
	}
	if v.positions > v.placed {
		if err := v.findDangling(); err != nil {
			return err
		}
	}
	for _, x := range v.byID {
		if x.complete && x.entries == x.have {
			continue // one for each entity, and no other
		}
		if err := v.checkEntries(x); err != nil {
			return err
		}
	}
	return nil
}

// readIndexes reads the catalog. When it is damaged, what the engine knows of
// it has to do: its records name themselves.
func (v *verifier) readIndexes() error {
	c, err := readCatalog(v.ctx, v.e.keys, v.kv)
	if storage.IsCorrupt(err) {
		c, err = v.catalog, nil
	}
	if err != nil {
		return err
	}
	if len(c.indexes) > 0 && c.version == nil {
		if err := v.fault(v.e.keys.space(nil, spaceCatalog), errMissing); err != nil {
			return err
		}
	}
	v.indexes = make(map[string][]*tally, len(c.indexes))
	for collection, xs := range c.indexes {
		for _, x := range xs {
			if v.byID[x.id] != nil {
				if err := v.fault(v.e.keys.catalog(nil, collection, x.name), errors.New("another index has the number "+strconv.FormatUint(x.id, 10)+" too")); err != nil {
					return err
				}
				continue
			}
			v.byID[x.id] = &tally{index: x}
			v.indexes[collection] = append(v.indexes[collection], v.byID[x.id])
		}
	}
	return nil
}

// record checks one record.
func (v *verifier) record(key, stored []byte) error {
	if len(key) == len(v.e.keys.prefix) {
		return v.fault(key, errKey)
	}
	space, rest := key[len(v.e.keys.prefix)], key[len(v.e.keys.prefix)+1:]
	value, err := v.e.keys.unseal(key, stored)
	if err != nil {
		v.count(space, key, rest)
		return v.fault(key, err)
	}
	switch space {
	case spaceFormat:
		if _, ok := parseFormat(value); !ok || len(rest) > 0 {
			err = errKey
		}
	case spaceState:
		return v.state(key, rest, value)
	case spaceEvent:
		return v.event(key, rest, value)
	case spacePosition:
		if _, _, _, ok := parsePosition(value); !ok || len(rest) != id.Size {
			err = errKey
		}
	case spaceTx:
		if len(rest) != len(event.TxID{}) {
			err = errKey
		}
	case spaceClaim:
		_, err = parseClaim(rest, value)
	case spaceMeta: // the node's own
	case spaceCatalog:
		if collection, name, ok := bytes.Cut(rest, []byte{0}); ok {
			_, err = parseIndex(v.e.keys, string(collection), string(name), value)
		} else if len(rest) > 0 {
			err = errKey
		}
	case spaceIndex:
		if v.indexOf(key) == nil {
			err = errors.New("it is of an index that the catalog does not have")
		}
	default:
		err = errKey
	}
	v.count(space, key, rest)
	if err != nil {
		return v.fault(key, err)
	}
	return nil
}

// count counts a record that others are compared with, a damaged one too: it
// says so of itself, and is there.
func (v *verifier) count(space byte, key, rest []byte) {
	switch space {
	case spaceEvent:
		if owner, rev, ok := parseEventKey(rest); ok {
			v.owner, v.rev = owner, rev
		}
	case spacePosition:
		v.positions++
	case spaceIndex:
		if x := v.indexOf(key); x != nil {
			x.entries++
		}
	}
}

func (v *verifier) indexOf(key []byte) *tally {
	n, size := binary.Uvarint(key[len(v.e.keys.prefix)+1:])
	if x := v.byID[n]; size > 0 && x != nil && bytes.HasPrefix(key, x.prefix) {
		return x
	}
	return nil
}

// state checks that a state can be read and has its index entries.
func (v *verifier) state(key, rest, value []byte) error {
	name, i, err := parseStateKey(rest)
	if err != nil {
		return v.fault(key, err)
	}
	st, err := storage.DecodeState(name, i, value)
	if err != nil {
		return v.fault(key, err)
	}
	if !st.Exists() {
		return nil
	}
	for _, x := range v.indexes[name] {
		if !x.complete {
			continue
		}
		_, ok, err := v.get(v.ctx, x.appendEntry(nil, st))
		switch {
		case err != nil && !storage.IsCorrupt(err):
			return err
		case ok || err != nil:
			x.have++
		default:
			if err := v.say(x.fault(i, " has no entry")); err != nil {
				return err
			}
		}
	}
	return nil
}

// event checks that an event follows the one before it, and is where its
// position says.
func (v *verifier) event(key, rest, value []byte) error {
	owner, rev, ok := parseEventKey(rest)
	if !ok {
		return v.fault(key, errKey)
	}
	want := uint64(1)
	if owner == v.owner {
		want = v.rev + 1
	}
	v.owner, v.rev = owner, rev
	if rev != want {
		if err := v.fault(v.e.keys.event(nil, owner, want), errMissing); err != nil {
			return err
		}
	}
	ev, err := event.Decode(bytes.Clone(value))
	if err == nil && ev.Entity != owner {
		err = errForeign
	}
	if err != nil {
		return v.fault(key, err)
	}
	at, found, err := v.Find(v.ctx, ev.ID)
	switch {
	case storage.IsCorrupt(err):
		v.placed++
		return nil
	case err != nil:
		return err
	case !found:
		return v.fault(v.e.keys.position(nil, ev.ID), errMissing)
	case at != storage.Position{Collection: ev.Collection, Entity: owner, Rev: rev}:
		return v.fault(v.e.keys.position(nil, ev.ID), errors.New("the event is at rev "+strconv.FormatUint(rev, 10)+" of "+owner.String()))
	}
	v.placed++
	return nil
}

// findDangling finds positions of events that are not there.
func (v *verifier) findDangling() error {
	lo := v.e.keys.space(nil, spacePosition)
	c := v.openRaw(v.ctx, lo, v.e.keys.space(nil, spacePosition+1))
	defer c.close()
	for c.next() {
		b, err := v.e.keys.unseal(c.key(), c.value())
		if err != nil {
			continue // it has said so
		}
		owner, rev, _, ok := parsePosition(b)
		if rest := c.key()[len(lo):]; !ok || len(rest) != id.Size {
			continue
		}
		stored, there, err := v.kv.Get(v.ctx, v.e.keys.event(nil, owner, rev))
		if err != nil {
			return err
		}
		if there && v.holds(v.e.keys.event(nil, owner, rev), stored, id.ID(c.key()[len(lo):])) {
			continue
		}
		if err := v.fault(c.key(), errors.New("there is no such event")); err != nil {
			return err
		}
	}
	return c.err
}

// holds reports whether a record may be that of an event: what cannot be read
// may.
func (v *verifier) holds(key, stored []byte, want id.ID) bool {
	b, err := v.e.keys.unseal(key, stored)
	if err != nil {
		return true
	}
	ev, err := event.Decode(b)
	return err != nil || ev.ID == want
}

// checkEntries finds entries that are not those of their entities.
func (v *verifier) checkEntries(x *tally) error {
	c := v.openRaw(v.ctx, x.prefix, keyset.Successor(bytes.Clone(x.prefix)))
	defer c.close()
	for c.next() {
		if _, err := v.e.keys.unseal(c.key(), c.value()); err != nil {
			continue // it has said so
		}
		i, err := entityOf(c.key(), len(x.prefix))
		if err != nil {
			if err := v.fault(c.key(), err); err != nil {
				return err
			}
			continue
		}
		st, err := v.State(v.ctx, x.collection, i)
		if storage.IsCorrupt(err) || err == nil && st.Exists() && bytes.Equal(x.appendEntry(nil, st), c.key()) {
			continue
		}
		if err == nil {
			err = v.say(x.fault(i, " has an entry that is not its own"))
		}
		if err != nil {
			return err
		}
	}
	return c.err
}

func (x *tally) fault(entity id.ID, why string) error {
	return &storage.CorruptError{What: "index " + strconv.Quote(x.name) + " of " + x.collection, Err: &entryError{entity, why}}
}

var (
	errMissing = errors.New("it is missing")
	errForeign = errors.New("it is of another entity")
)

// entryError says what is wrong with an entity's entry of an index.
type entryError struct {
	entity id.ID
	why    string
}

func (e *entryError) Error() string { return e.entity.String() + e.why }
