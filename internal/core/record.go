package core

import (
	"encoding/binary"
	"slices"

	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/book"
)

// appendRecord encodes what is kept of a transaction.
func appendRecord(b []byte, t *tx) []byte {
	for k := range t.writes {
		w := &t.writes[k]
		b = book.AppendTouched(b, book.Touched{Collection: w.After.Collection(), Entity: w.After.ID(), First: w.Before.Rev() + 1, Last: w.After.Rev()})
	}
	return b
}

// appendFeedKey appends the meta key of an entry of a process's feed (S62).
func appendFeedKey(b []byte, incarnation id.ID, seq uint64) []byte {
	b = append(append(b, metaFeed...), incarnation[:]...)
	return binary.BigEndian.AppendUint64(b, seq)
}

// FeedRange returns the bounds of the feed entries after a position; the zero
// position is before all of them.
func FeedRange(after []byte) (lo, hi []byte) {
	hi = slices.Clone(metaFeed)
	hi[len(hi)-1]++
	if len(after) == 0 {
		return metaFeed, hi
	}
	return append(slices.Concat(metaFeed, after), 0), hi
}

// FeedPosition returns the position that a feed entry's key stands for.
func FeedPosition(key []byte) []byte { return slices.Clone(key[len(metaFeed):]) }
