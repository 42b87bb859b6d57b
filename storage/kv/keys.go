package kv

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
)

// formatVersion is the version of the key layout that this package writes.
const formatVersion = 2

// formatMagic begins the value of the format key.
const formatMagic = "ankurah"

// The spaces of keys; package documentation has the table.
const (
	spaceFormat   = 0x00
	spaceState    = 0x01
	spaceEvent    = 0x02
	spacePosition = 0x03
	spaceTx       = 0x04
	spaceClaim    = 0x05
	spaceMeta     = 0x06
	spaceCatalog  = 0x07
	spaceIndex    = 0x08
)

// keyspace builds the keys of one engine in its store.
type keyspace struct{ prefix []byte }

func (k keyspace) space(b []byte, space byte) []byte {
	return append(append(b, k.prefix...), space)
}

func (k keyspace) collection(b []byte, space byte, name string) []byte {
	b = append(k.space(b, space), name...)
	return append(b, 0)
}

func (k keyspace) state(b []byte, collection string, entity id.ID) []byte {
	return append(k.collection(b, spaceState, collection), entity[:]...)
}

func (k keyspace) event(b []byte, entity id.ID, rev uint64) []byte {
	b = append(k.space(b, spaceEvent), entity[:]...)
	return binary.BigEndian.AppendUint64(b, rev)
}

func (k keyspace) position(b []byte, e id.ID) []byte {
	return append(k.space(b, spacePosition), e[:]...)
}

func (k keyspace) tx(b []byte, tx event.TxID) []byte {
	return append(k.space(b, spaceTx), tx[:]...)
}

func (k keyspace) claim(b []byte, key []byte) []byte {
	return append(k.space(b, spaceClaim), key...)
}

func (k keyspace) meta(b []byte, key []byte) []byte {
	return append(k.space(b, spaceMeta), key...)
}

func (k keyspace) catalog(b []byte, collection, index string) []byte {
	return append(k.collection(b, spaceCatalog, collection), index...)
}

func (k keyspace) index(b []byte, id uint64) []byte {
	return binary.AppendUvarint(k.space(b, spaceIndex), id)
}

// errKey is the cause of a corruption error about a key that no commit writes.
var errKey = errors.New("malformed key")

// entityOf returns the entity at the end of a state's or an index entry's key.
func entityOf(key []byte, prefix int) (id.ID, error) {
	if len(key) < prefix+id.Size {
		return id.ID{}, errKey
	}
	return id.ID(key[len(key)-id.Size:]), nil
}

// parseStateKey reads what follows the space in the key of a state.
func parseStateKey(rest []byte) (collection string, entity id.ID, err error) {
	name, i, ok := bytes.Cut(rest, []byte{0})
	if !ok || len(i) != id.Size || !event.ValidName(string(name)) {
		return "", id.ID{}, errKey
	}
	return string(name), id.ID(i), nil
}

// parseEventKey reads what follows the space in the key of an event.
func parseEventKey(rest []byte) (entity id.ID, rev uint64, ok bool) {
	if len(rest) != id.Size+8 {
		return
	}
	rev = binary.BigEndian.Uint64(rest[id.Size:])
	return id.ID(rest[:id.Size]), rev, rev > 0
}

func appendFormat(b []byte) []byte {
	return binary.AppendUvarint(append(b, formatMagic...), formatVersion)
}

// format returns the version in a stored format record; false when it is none.
// Before version 2 records had no seal; all newer ones keep this one.
func (k keyspace) format(key, stored []byte) (uint64, bool) {
	if string(stored) == formatMagic+"\x01" {
		return 1, true
	}
	b, err := k.unseal(key, stored)
	if err != nil {
		return 0, false
	}
	return parseFormat(b)
}

// parseFormat returns the version in a format record; false when it is none.
func parseFormat(b []byte) (uint64, bool) {
	if len(b) < len(formatMagic) || string(b[:len(formatMagic)]) != formatMagic {
		return 0, false
	}
	v, n := binary.Uvarint(b[len(formatMagic):])
	return v, n > 0 && len(formatMagic)+n == len(b)
}

func appendPosition(b []byte, entity id.ID, rev uint64, collection string) []byte {
	b = append(b, entity[:]...)
	b = binary.AppendUvarint(b, rev)
	return append(b, collection...)
}

func parsePosition(b []byte) (entity id.ID, rev uint64, collection string, ok bool) {
	if len(b) < id.Size {
		return
	}
	entity = id.ID(b[:id.Size])
	rev, n := binary.Uvarint(b[id.Size:])
	if n <= 0 {
		return
	}
	collection = string(b[id.Size+n:])
	return entity, rev, collection, rev > 0 && event.ValidName(collection)
}
