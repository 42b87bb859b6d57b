package entity

import (
	"errors"
	"strconv"
	"strings"

	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/sorting"
	"github.com/ankurah/ankurah-go/property"
	"github.com/ankurah/ankurah-go/property/lww"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/value"
)

// Deleted is the key of the register that holds whether an entity is deleted
// (S16). Keys that begin with an underscore belong to the system.
const Deleted = "_deleted"

// ErrGenesis is wrapped by errors about an event that would create an entity
// twice, or change one that was never created.
var ErrGenesis = errors.New("wrong place for a genesis")

// Entry is one property of a state.
type Entry struct {
	Key  string
	Kind string
	property.Property
}

func (e *Entry) compare(key, kind string) int {
	if c := strings.Compare(e.Key, key); c != 0 {
		return c
	}
	return strings.Compare(e.Kind, kind)
}

// State is an entity at one head. It is immutable and safe to share. A nil
// State is an entity without events.
type State struct {
	id         id.ID
	collection string
	head       event.Head
	rev        uint64
	entries    []Entry // sorted by (Key, Kind)
}

// ID returns the entity's ID.
func (s *State) ID() id.ID { return s.id }

// Collection returns the name of the entity's collection.
func (s *State) Collection() string { return s.collection }

// Head returns the entity's tips. It must not be changed.
func (s *State) Head() event.Head {
	if s == nil {
		return nil
	}
	return s.head
}

// Rev returns the number of events in the entity's history (S8), 0 of nil.
func (s *State) Rev() uint64 {
	if s == nil {
		return 0
	}
	return s.rev
}

// Entries returns the properties, sorted by key and kind. They must not be
// changed.
func (s *State) Entries() []Entry { return s.entries }

// Exists reports whether the entity was created and is not deleted.
func (s *State) Exists() bool {
	return s != nil && !s.Value(Deleted).Bool()
}

// Value returns the query value of the property stored under key, null when it
// is missing. Where several kinds wrote one key, the one with the greatest
// event counts (S15).
func (s *State) Value(key string) value.Value {
	e := s.Entry(key)
	if e == nil {
		return value.Null
	}
	return e.Value
}

// Entry returns the property stored under key, nil when it was never written.
func (s *State) Entry(key string) *Entry {
	lo, hi := 0, len(s.entries)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if s.entries[mid].Key < key {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	var best *Entry
	for k := lo; k < len(s.entries) && s.entries[k].Key == key; k++ {
		if best == nil || best.Last.Less(s.entries[k].Last) {
			best = &s.entries[k]
		}
	}
	return best
}

// Size estimates the bytes that s holds in memory.
func (s *State) Size() int {
	n := 160 + 48*len(s.head)
	for k := range s.entries {
		e := &s.entries[k]
		n += 144 + e.Value.Size()
	}
	return n
}

// Apply returns the state after event e, whose parents must all be in the
// entity's history and which itself must not (S10, S11: the caller looks both
// up by key). On a nil state e must be the genesis. On error the state is
// unchanged; errors wrap [ErrGenesis], [property.ErrUnknownKind] or
// [property.ErrOperation].
func (s *State) Apply(kinds *property.Registry, e *event.Event) (*State, error) {
	if (s == nil) != e.IsGenesis() {
		if s == nil {
			return nil, &genesisError{e, "the entity is not known"}
		}
		return nil, &genesisError{e, "the entity was created before"}
	}
	next := &State{id: e.Entity, collection: e.Collection, head: s.Head().Advance(e), rev: s.Rev() + 1}
	var err error
	if next.entries, err = s.applyOps(kinds, e.Ops, e.ID); err != nil {
		return nil, err
	}
	return next, nil
}

// overlay is the event ID under which uncommitted operations are seen: greater
// than every real one.
var overlay = id.New(id.MaxStamp, [8]byte{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF})

// Overlay returns s with uncommitted operations on top, as a transaction sees
// its own edits: head and rev stay. The operations are sorted and unique.
func (s *State) Overlay(kinds *property.Registry, ops []event.Operation) (*State, error) {
	entries, err := s.applyOps(kinds, ops, overlay)
	if err != nil {
		return nil, err
	}
	return &State{id: s.id, collection: s.collection, head: s.head, rev: s.rev, entries: entries}, nil
}

// New returns the state of an entity that a transaction has created and not
// yet committed: no head, rev 0.
func New(kinds *property.Registry, collection string, entity id.ID, ops []event.Operation) (*State, error) {
	s := &State{id: entity, collection: collection}
	return s.Overlay(kinds, ops)
}

func (s *State) applyOps(kinds *property.Registry, ops []event.Operation, at id.ID) ([]Entry, error) {
	var old []Entry
	if s != nil {
		old = s.entries
	}
	out := make([]Entry, 0, len(old)+len(ops))
	k := 0
	for _, op := range ops {
		for k < len(old) && old[k].compare(op.Property, op.Kind) < 0 {
			out = append(out, old[k])
			k++
		}
		entry := Entry{Key: op.Property, Kind: op.Kind}
		if k < len(old) && old[k].compare(op.Property, op.Kind) == 0 {
			entry.Property = old[k].Property
			k++
		}
		kind, err := kinds.Kind(op.Kind)
		if err != nil {
			return nil, err
		}
		if entry.Property, err = kind.Apply(entry.Property, op, at); err != nil {
			return nil, err
		}
		out = append(out, entry)
	}
	return append(out, old[k:]...), nil
}

// Join returns what two copies of one entity's properties hold together, with
// head and rev of s. Heads are never joined (architecture, idea 4).
func (s *State) Join(kinds *property.Registry, o *State) (*State, error) {
	out := make([]Entry, 0, len(s.entries)+len(o.entries))
	a, b := s.entries, o.entries
	for len(a) > 0 && len(b) > 0 {
		switch c := a[0].compare(b[0].Key, b[0].Kind); {
		case c < 0:
			out, a = append(out, a[0]), a[1:]
		case c > 0:
			out, b = append(out, b[0]), b[1:]
		default:
			kind, err := kinds.Kind(a[0].Kind)
			if err != nil {
				return nil, err
			}
			joined, err := kind.Join(a[0].Property, b[0].Property)
			if err != nil {
				return nil, err
			}
			out = append(out, Entry{a[0].Key, a[0].Kind, joined})
			a, b = a[1:], b[1:]
		}
	}
	out = append(append(out, a...), b...)
	return &State{id: s.id, collection: s.collection, head: s.head, rev: s.rev, entries: out}, nil
}

// Changed returns the keys whose value differs between two states of an
// entity, sorted. Either may be nil.
func Changed(before, after *State) []string {
	var a, b []Entry
	if before != nil {
		a = before.entries
	}
	if after != nil {
		b = after.entries
	}
	var keys []string
	add := func(key string) {
		if len(keys) == 0 || keys[len(keys)-1] != key {
			keys = append(keys, key)
		}
	}
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0].compare(b[0].Key, b[0].Kind) < 0:
			add(a[0].Key)
			a = a[1:]
		case len(a) == 0 || a[0].compare(b[0].Key, b[0].Kind) > 0:
			add(b[0].Key)
			b = b[1:]
		default:
			if !value.Equal(a[0].Value, b[0].Value) || a[0].Last != b[0].Last && a[0].State != nil {
				add(a[0].Key)
			}
			a, b = a[1:], b[1:]
		}
	}
	return keys
}

// Gone returns what stands for an entity that a node does not hold any more: it
// does not exist and has no events.
func Gone(collection string, entity id.ID) *State {
	deleted := property.Property{Last: overlay, Value: value.Bool(true)}
	return &State{id: entity, collection: collection, entries: []Entry{{Deleted, schema.LWW, deleted}}}
}

// IsGone reports whether s is what [Gone] returns, or nil.
func (s *State) IsGone() bool { return s == nil || s.rev == 0 && !s.Exists() }

// SetDeleted returns the operation that deletes (true) or restores an entity.
func SetDeleted(deleted bool) event.Operation { return lww.Set(Deleted, value.Bool(deleted)) }

// SortOps sorts operations as events hold them.
func SortOps(ops []event.Operation) {
	sorting.Sort(ops, event.Operation.Compare)
}

type genesisError struct {
	e   *event.Event
	why string
}

func (e *genesisError) Error() string {
	return "ankurah: event " + e.e.ID.String() + " of entity " + e.e.Entity.String() + " in " + strconv.Quote(e.e.Collection) + ": " + e.why
}
func (e *genesisError) Unwrap() error { return ErrGenesis }
