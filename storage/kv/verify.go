package kv

import (
	"bytes"
	"context"
	"errors"
	"strconv"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/keyset"
	"github.com/ankurah/ankurah-go/storage"
)

// Verify reads every key of the store and returns the first record that cannot
// be right, as a [storage.CorruptError]: a key that no commit writes, a value
// that is none of its space, an event and a position that do not name each
// other, an index entry that is not its entity's, and an entity that has none.
// What the values of states should be it does not know: that is for whoever
// can apply the events.
func (e *Engine) Verify(ctx context.Context) error {
	if err := e.checkOpen(); err != nil {
		return err
	}
	snap, err := e.store.Snapshot()
	if err != nil {
		return err
	}
	v := &verifier{snapshot: &snapshot{e: e, kv: snap}, existing: map[string]int{}, entries: map[uint64]int{}, byID: map[uint64]*index{}}
	return errors.Join(v.run(ctx), snap.Close())
}

type verifier struct {
	*snapshot
	existing map[string]int // entities that exist, by collection
	entries  map[uint64]int // entries, by index ID
	byID     map[uint64]*index
}

func (v *verifier) run(ctx context.Context) (err error) {
	if v.catalog, err = readCatalog(ctx, v.e.keys, v.kv); err != nil {
		return err
	}
	for _, xs := range v.catalog.indexes {
		for _, x := range xs {
			if v.byID[x.id] != nil {
				return &storage.CorruptError{What: "index catalog", Err: errors.New("two indexes have the number " + strconv.FormatUint(x.id, 10))}
			}
			v.byID[x.id] = x
		}
	}
	prefix := v.e.keys.prefix
	c := v.open(ctx, prefix, keyset.Successor(bytes.Clone(prefix)), false)
	defer c.close()
	for c.next() {
		key := c.key()[len(prefix):]
		if len(key) == 0 {
			err = errKey
		} else {
			err = v.record(ctx, key[0], key[1:], c.key(), c.value())
		}
		if err != nil && !storage.IsCorrupt(err) && ctx.Err() == nil {
			err = &storage.CorruptError{What: "record under key " + strconv.QuoteToASCII(string(c.key())), Err: err}
		}
		if err != nil {
			return err
		}
	}
	if c.err != nil {
		return c.err
	}
	for _, x := range v.byID {
		// Each entry was its entity's, so equal numbers mean that none lacks.
		if have, want := v.entries[x.id], v.existing[x.collection]; x.complete && have != want {
			return &storage.CorruptError{What: "index " + strconv.Quote(x.name) + " of " + x.collection, Err: errors.New("it has " + strconv.Itoa(have) + " entries of " + strconv.Itoa(want) + " entities")}
		}
	}
	return nil
}

// record checks one record; key is whole, rest what follows its space.
func (v *verifier) record(ctx context.Context, space byte, rest, key, value []byte) error {
	switch space {
	case spaceFormat:
		if _, ok := parseFormat(value); !ok || len(rest) > 0 {
			return errors.New("it is no record of the format")
		}
	case spaceState:
		return v.state(rest, value)
	case spaceEvent:
		return v.event(ctx, rest, value)
	case spacePosition:
		return v.position(ctx, rest, value)
	case spaceTx:
		if len(rest) != len(event.TxID{}) {
			return errKey
		}
	case spaceClaim:
		_, err := parseClaim(rest, value)
		return err
	case spaceMeta, spaceCatalog: // the node's own, and read already
	case spaceIndex:
		return v.entry(ctx, key)
	default:
		return errKey
	}
	return nil
}

func (v *verifier) state(rest, value []byte) error {
	name, i, ok := bytes.Cut(rest, []byte{0})
	if !ok || len(i) != id.Size || !event.ValidName(string(name)) {
		return errKey
	}
	st, err := decodeState(string(name), id.ID(i), value)
	if err == nil && st.Exists() {
		v.existing[string(name)]++
	}
	return err
}

func (v *verifier) event(ctx context.Context, rest, value []byte) error {
	owner, rev, ok := parseEventKey(rest)
	if !ok {
		return errKey
	}
	ev, err := event.Decode(bytes.Clone(value))
	if err != nil {
		return err
	}
	at, found, err := v.Find(ctx, ev.ID)
	if err == nil && (!found || ev.Entity != owner || at != storage.Position{Collection: ev.Collection, Entity: owner, Rev: rev}) {
		err = errors.New("the position of event " + ev.ID.String() + " is another one")
	}
	return err
}

func (v *verifier) position(ctx context.Context, rest, value []byte) error {
	owner, rev, name, ok := parsePosition(value)
	if !ok || len(rest) != id.Size {
		return errKey
	}
	for ev, err := range v.Events(ctx, name, owner, rev, rev) {
		if err != nil || ev.ID == id.ID(rest) {
			return err
		}
	}
	return errors.New("the event is not at rev " + strconv.FormatUint(rev, 10) + " of " + name + " " + owner.String())
}

// entry checks that an index entry is what its entity's state makes.
func (v *verifier) entry(ctx context.Context, key []byte) error {
	x := v.indexOf(key)
	if x == nil {
		return errors.New("it is of an index that the catalog does not have")
	}
	i, err := entityOf(key, len(x.prefix))
	if err != nil {
		return err
	}
	st, err := v.State(ctx, x.collection, i)
	if err != nil {
		return err
	}
	if err := x.check(key, st, i); err != nil {
		return err
	}
	v.entries[x.id]++
	return nil
}

func (v *verifier) indexOf(key []byte) *index {
	for _, x := range v.byID {
		if bytes.HasPrefix(key, x.prefix) {
			return x
		}
	}
	return nil
}

// check returns what is wrong with an entry of an entity that has that state.
func (x *index) check(key []byte, st *entity.State, i id.ID) error {
	var err error
	switch {
	case st == nil:
		err = &danglingError{i}
	case !st.Exists() || !bytes.Equal(x.appendEntry(nil, st), key):
		err = errors.New("the entry under key " + strconv.QuoteToASCII(string(key)) + " does not fit the state of " + i.String())
	default:
		return nil
	}
	return &storage.CorruptError{What: "index " + strconv.Quote(x.name) + " of " + x.collection, Err: err}
}
