package book

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/pb"
)

// Place is a place in the feed of one process: behind entry Seq.
type Place struct {
	Incarnation id.ID
	Seq         uint64
}

// placeSize is the size of an encoded Place.
const placeSize = id.Size + 8

// Append appends a place: 16 bytes and 8.
func (p Place) Append(b []byte) []byte {
	return binary.BigEndian.AppendUint64(append(b, p.Incarnation[:]...), p.Seq)
}

// DecodePlace reads what Append wrote, and nothing else.
func DecodePlace(b []byte) (p Place, err error) {
	if len(b) != placeSize {
		return p, errors.New("it does not have 24 bytes")
	}
	copy(p.Incarnation[:], b)
	p.Seq = binary.BigEndian.Uint64(b[id.Size:])
	return p, nil
}

// Compare orders places by incarnation and then by sequence, as their keys are.
func (p Place) Compare(o Place) int {
	if c := p.Incarnation.Compare(o.Incarnation); c != 0 {
		return c
	}
	switch {
	case p.Seq < o.Seq:
		return -1
	case p.Seq > o.Seq:
		return 1
	}
	return 0
}

// AppendFeedKey appends the key of a feed entry.
func AppendFeedKey(b []byte, p Place) []byte { return p.Append(append(b, Feed...)) }

// FeedRange returns the bounds of the feed entries of all processes behind a
// place; the zero place is before all of them.
func FeedRange(after Place) (lo, hi []byte) {
	hi = []byte(Feed)
	hi[len(hi)-1]++
	if after == (Place{}) {
		return []byte(Feed), hi
	}
	return append(AppendFeedKey(nil, after), 0), hi
}

// FeedOf returns the bounds of the entries of one process behind a place.
func FeedOf(after Place) (lo, hi []byte) {
	last := AppendFeedKey(nil, Place{after.Incarnation, ^uint64(0)})
	return append(AppendFeedKey(nil, after), 0), append(last, 0)
}

// Entry is one transaction in the feed of a process: transaction ID (16 bytes)
// and the stamp (8) that it was committed at. Stores that were never shared did
// not always have stamps: that of the incarnation stands for them.
type Entry struct {
	Place
	Tx    event.TxID
	Stamp id.Stamp
}

// AppendEntry appends the value of a feed entry.
func AppendEntry(b []byte, tx event.TxID, stamp id.Stamp) []byte {
	return binary.BigEndian.AppendUint64(append(b, tx[:]...), uint64(stamp))
}

// DecodeEntry reads a feed entry.
func DecodeEntry(key, val []byte) (e Entry, err error) {
	const size = len(event.TxID{})
	if len(val) != size+8 && len(val) != size || len(key) < len(Feed) {
		return e, errors.New("it is no feed entry")
	}
	e.Tx = event.TxID(val[:size])
	e.Place, err = DecodePlace(key[len(Feed):])
	if e.Stamp = e.Incarnation.Stamp(); len(val) > size {
		e.Stamp = id.Stamp(binary.BigEndian.Uint64(val[size:]))
	}
	return e, err
}

// Trim is what the feeds have lost.
type Trim struct {
	Dropped uint64  // how many processes are in no feed any more
	Feeds   []Place // the last entry that was removed of the others, by incarnation
	Gone    []Place // and of those that are in no feed any more: the latest, in the order in which they went
}

// MaxGone is how many Gone places are kept.
const MaxGone = 256

// Lost returns the last entry that was removed of a process's feed that is
// still there.
func (t *Trim) Lost(incarnation id.ID) uint64 {
	if k, ok := t.find(incarnation); ok {
		return t.Feeds[k].Seq
	}
	return 0
}

func (t *Trim) find(incarnation id.ID) (int, bool) {
	return slices.BinarySearchFunc(t.Feeds, incarnation, func(p Place, i id.ID) int { return p.Incarnation.Compare(i) })
}

// Set notes that a feed has lost what is up to a place.
func (t *Trim) Set(p Place) {
	k, ok := t.find(p.Incarnation)
	if !ok {
		t.Feeds = slices.Insert(t.Feeds, k, p)
	}
	t.Feeds[k].Seq = max(t.Feeds[k].Seq, p.Seq)
}

// Drop notes that a process is in no feed any more, which had come as far as a
// place.
func (t *Trim) Drop(p Place) {
	if k, ok := t.find(p.Incarnation); ok {
		p.Seq = max(p.Seq, t.Feeds[k].Seq)
		t.Feeds = slices.Delete(t.Feeds, k, k+1)
	}
	t.Dropped++
	t.Gone = append(t.Gone, p)
	t.Gone = t.Gone[max(0, len(t.Gone)-MaxGone):]
}

// Since returns the Gone places since so many had been dropped, false when there
// are more than are kept.
func (t *Trim) Since(dropped uint64) ([]Place, bool) {
	n := t.Dropped - dropped
	if n > uint64(len(t.Gone)) {
		return nil, false
	}
	return t.Gone[uint64(len(t.Gone))-n:], true
}

// Append appends the value of the Trimmed record: dropped (1), feeds (2,
// repeated), gone (3, repeated).
func (t *Trim) Append(b []byte) []byte {
	b = pb.AppendUint64(b, 1, t.Dropped)
	for _, p := range t.Feeds {
		b = pb.AppendBytes(b, 2, p.Append(nil))
	}
	for _, p := range t.Gone {
		b = pb.AppendBytes(b, 3, p.Append(nil))
	}
	return b
}

// DecodeTrim reads the Trimmed record.
func DecodeTrim(b []byte) (*Trim, error) {
	t := &Trim{}
	r := pb.NewReader("trimmed feeds", b)
	place := func() Place {
		r.Repeated()
		p, err := DecodePlace(r.Bytes())
		if err != nil {
			r.FailWith(err)
		}
		return p
	}
	for r.Next() {
		switch r.Num {
		case 1:
			t.Dropped = r.Uint64()
		case 2:
			t.Feeds = append(t.Feeds, place())
		case 3:
			t.Gone = append(t.Gone, place())
		default:
			r.Unknown()
		}
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	if t.Dropped < uint64(len(t.Gone)) || !slices.IsSortedFunc(t.Feeds, func(a, b Place) int { return a.Incarnation.Compare(b.Incarnation) }) {
		return nil, errors.New("trimmed feeds: they do not fit together")
	}
	return t, nil
}
