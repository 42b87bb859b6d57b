package kv

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"strconv"

	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/storage"
)

// sealSize is how many bytes the seal of a record has.
const sealSize = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errSeal is the cause of a corruption error about a record whose bytes are
// not those that were written, or are under another key.
var errSeal = errors.New("its checksum does not fit")

// appendSeal ends a record: key is whole, b[value:] is what it says so far.
func (k keyspace) appendSeal(b, key []byte, value int) []byte {
	return binary.BigEndian.AppendUint32(b, k.checksum(key, b[value:]))
}

// sealed returns a record's value for the store.
func (k keyspace) sealed(key, value []byte) []byte {
	b := make([]byte, 0, len(value)+sealSize)
	return k.appendSeal(append(b, value...), key, 0)
}

// unseal returns what a record says. The error names it.
func (k keyspace) unseal(key, stored []byte) ([]byte, error) {
	n := len(stored) - sealSize
	if n < 0 || binary.BigEndian.Uint32(stored[n:]) != k.checksum(key, stored[:n]) {
		return nil, &storage.CorruptError{What: k.name(key), Err: errSeal}
	}
	return stored[:n:n], nil
}

// checksum is over the key as well, so that a record under another key is
// found out. The engine's prefix is not in it: a store may be moved.
func (k keyspace) checksum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key[len(k.prefix):], castagnoli), castagnoli, value)
}

// name says for people which record is under a key.
func (k keyspace) name(key []byte) string {
	if len(key) <= len(k.prefix) {
		return "record under key " + strconv.QuoteToASCII(string(key))
	}
	space, rest := key[len(k.prefix)], key[len(k.prefix)+1:]
	switch {
	case space == spaceFormat && len(rest) == 0:
		return "record of the format"
	case space == spaceState:
		if name, i, err := parseStateKey(rest); err == nil {
			return "state of " + name + " " + i.String()
		}
	case space == spaceEvent:
		if owner, rev, ok := parseEventKey(rest); ok {
			return "event of " + owner.String() + " at rev " + strconv.FormatUint(rev, 10)
		}
	case space == spacePosition && len(rest) == id.Size:
		return "position of event " + id.ID(rest).String()
	case space == spaceTx && len(rest) == len(event.TxID{}):
		return "record of transaction " + event.TxID(rest).String()
	case space == spaceClaim:
		return "claim " + strconv.QuoteToASCII(string(rest))
	case space == spaceMeta:
		return "meta record " + strconv.QuoteToASCII(string(rest))
	case space == spaceCatalog:
		return "index catalog " + strconv.QuoteToASCII(string(rest))
	case space == spaceIndex:
		return "index entry " + strconv.QuoteToASCII(string(rest))
	}
	return "record under key " + strconv.QuoteToASCII(string(key))
}
