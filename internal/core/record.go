package core

import (
	"encoding/binary"
	"slices"

	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/pb"
)

// Touched is what a transaction did to one entity: the events at revs First to
// Last.
type Touched struct {
	Collection  string
	Entity      id.ID
	First, Last uint64
}

// appendRecord encodes what is kept of a transaction: for each entity (1,
// repeated) collection (1), entity (2), first rev (3) and last rev (4).
func appendRecord(b []byte, t *tx) []byte {
	for k := range t.writes {
		w := &t.writes[k]
		entityID, first, last := w.After.ID(), w.Before.Rev()+1, w.After.Rev()
		b = pb.AppendLength(b, 1, pb.SizeBytes(1, len(w.After.Collection()))+pb.SizeBytes(2, id.Size)+pb.SizeUint64(3, first)+pb.SizeUint64(4, last))
		b = pb.AppendBytes(b, 1, w.After.Collection())
		b = pb.AppendBytes(b, 2, entityID[:])
		b = pb.AppendUint64(b, 3, first)
		b = pb.AppendUint64(b, 4, last)
	}
	return b
}

// DecodeRecord reads what is kept of a transaction.
func DecodeRecord(b []byte) ([]Touched, error) {
	var out []Touched
	r := pb.NewReader("transaction record", b)
	for r.Next() {
		if r.Num != 1 {
			r.Unknown()
			continue
		}
		r.Repeated()
		var t Touched
		x := pb.NewReader("entity of a transaction", r.Bytes())
		for x.Next() {
			switch x.Num {
			case 1:
				t.Collection = x.Text(event.MaxName)
			case 2:
				x.Fixed(t.Entity[:])
			case 3:
				t.First = x.Uint64()
			case 4:
				t.Last = x.Uint64()
			default:
				x.Unknown()
			}
		}
		if err := x.Err(); err != nil {
			r.FailWith(err)
		}
		out = append(out, t)
	}
	return out, r.Err()
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
