package core

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"iter"
	"maps"
	"slices"

	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/book"
	"github.com/ankurah/ankurah-go/storage"
)

// Each process writes a feed of its own. One store's feeds are read as one line:
// in the order of the stamps at which transactions were committed, which has
// causes before effects (S62). A position in the line is one place in each feed,
// so that it means the same to every process, whatever each has heard of; what
// is before it is never more than others have read, and what a snapshot has
// behind it is all that follows.
//
// A store that only ever had one process at a time has the feeds one behind the
// other, and one place says it all.

var (
	// ErrTrimmed is wrapped when the feed has lost what follows a position.
	ErrTrimmed = errors.New("feed trimmed")
	// ErrPosition is wrapped when a position was made by nobody.
	ErrPosition = errors.New("no position of a feed")
)

type trimmedError struct{}

func (trimmedError) Error() string {
	return "ankurah: the feed no longer has what follows this position: take Node.FeedPosition, read everything anew, and follow from there"
}
func (trimmedError) Unwrap() error { return ErrTrimmed }

type positionError struct{}

func (positionError) Error() string {
	return "ankurah: this is no position of this store's feed: take one from a Commit or from Node.FeedPosition"
}
func (positionError) Unwrap() error { return ErrPosition }

// maxFeedRead bounds what is read of a feed upon one snapshot, and feedChunk
// what is held of each.
const (
	maxFeedRead = 1024
	feedChunk   = 128
)

// ReadFeed yields what the line holds behind a position, as long as yield
// returns true. It returns the position of the last transaction, and whether
// there is more.
func ReadFeed(ctx context.Context, snap storage.Snapshot, after []byte, yield func(position []byte, tx event.TxID) bool) (last []byte, more bool, err error) {
	now, trim, err := readProgress(ctx, snap)
	if err != nil {
		return after, false, err
	}
	if len(now) == 0 {
		return readOneFeed(ctx, snap, trim, after, yield)
	}
	p, err := decodePosition(after, now, trim)
	if err != nil || p.gone > trim.Dropped { // this snapshot is older than the position
		return after, false, err
	}
	places, _ := trim.Since(p.gone)
	for i, seq := range p.at {
		places = append(slices.Clip(places), book.Place{Incarnation: i, Seq: seq})
	}
	if now, err = beside(ctx, snap, now, places); err != nil {
		return after, false, err
	}
	if err := p.catch(now, trim); err != nil {
		return after, false, err
	}
	var sources []*feedSource
	for _, pos := range now {
		if at := p.at[pos.Incarnation]; pos.Seq > at {
			sources = append(sources, &feedSource{at: book.Place{Incarnation: pos.Incarnation, Seq: at}})
		}
	}
	last = after
	for range maxFeedRead {
		e, err := firstOf(ctx, snap, &sources)
		if e == nil || err != nil {
			return last, false, err
		}
		p.at[e.Incarnation] = e.Seq
		last = p.encode()
		if !yield(last, e.Tx) {
			return last, false, nil
		}
	}
	return last, true, nil
}

// readOneFeed is [ReadFeed] where nobody is listed.
func readOneFeed(ctx context.Context, snap storage.Snapshot, trim *book.Trim, after []byte, yield func([]byte, event.TxID) bool) (last []byte, more bool, err error) {
	var at book.Place
	if len(after) > 0 {
		if at, err = book.DecodePlace(after); err != nil {
			return after, false, positionError{}
		}
	}
	for _, lost := range trim.Feeds {
		if at.Compare(lost) < 0 {
			return after, false, trimmedError{}
		}
	}
	last = after
	n := 0
	lo, hi := book.FeedRange(at)
	for e, err := range entries(ctx, snap, lo, hi) {
		if err != nil {
			return last, false, err
		}
		if n++; n > maxFeedRead {
			return last, true, nil
		}
		last = e.Append(nil)
		if !yield(last, e.Tx) {
			return last, false, nil
		}
	}
	return last, false, nil
}

// FeedEnd returns the position behind everything that a snapshot has.
func (c *Core) FeedEnd(ctx context.Context, snap storage.Snapshot) ([]byte, error) {
	now, trim, err := readProgress(ctx, snap)
	if err != nil {
		return nil, err
	}
	if len(now) == 0 {
		e, err := lastEntry(ctx, snap, c.incarnation)
		return book.Place{Incarnation: c.incarnation, Seq: e.Seq}.Append(nil), err
	}
	p := &feedPosition{gone: trim.Dropped, at: map[id.ID]uint64{}}
	if now, err = besideAll(ctx, snap, now); err != nil {
		return nil, err
	}
	for _, pos := range now {
		p.at[pos.Incarnation] = pos.Seq
	}
	return p.encode(), nil
}

// feedPosition is a place in each feed.
type feedPosition struct {
	gone uint64 // how many processes were in no feed any more: all of theirs is before it
	at   map[id.ID]uint64
}

func (p *feedPosition) encode() []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 8+24*len(p.at)), p.gone)
	for _, i := range slices.SortedFunc(maps.Keys(p.at), id.ID.Compare) {
		b = book.Place{Incarnation: i, Seq: p.at[i]}.Append(b)
	}
	return b
}

func decodePosition(b []byte, now []book.Progress, trim *book.Trim) (*feedPosition, error) {
	p := &feedPosition{at: map[id.ID]uint64{}}
	if one, err := book.DecodePlace(b); err == nil {
		// It is of a time when the feeds were one behind the other.
		for _, pos := range now {
			if pos.Incarnation.Less(one.Incarnation) {
				p.at[pos.Incarnation] = pos.Seq
			}
		}
		for _, lost := range slices.Concat(trim.Feeds, trim.Gone) {
			if lost.Incarnation.Less(one.Incarnation) {
				p.at[lost.Incarnation] = max(p.at[lost.Incarnation], lost.Seq)
			}
		}
		p.at[one.Incarnation] = one.Seq
		return p, nil
	}
	switch {
	case len(b) == 0:
		return p, nil
	case len(b)%24 != 8:
		return nil, positionError{}
	}
	p.gone = binary.BigEndian.Uint64(b)
	for b = b[8:]; len(b) > 0; b = b[24:] {
		one, err := book.DecodePlace(b[:24])
		if err != nil {
			return nil, positionError{}
		}
		p.at[one.Incarnation] = one.Seq
	}
	return p, nil
}

// catch brings a position up to what the feeds have lost meanwhile.
func (p *feedPosition) catch(now []book.Progress, trim *book.Trim) error {
	gone, all := trim.Since(p.gone)
	if !all {
		return trimmedError{}
	}
	for _, g := range trim.Gone[:len(trim.Gone)-len(gone)] {
		p.at[g.Incarnation] = max(p.at[g.Incarnation], g.Seq)
	}
	for _, g := range gone {
		if p.at[g.Incarnation] < g.Seq {
			return trimmedError{}
		}
	}
	p.gone = trim.Dropped
	for _, g := range trim.Gone {
		if isListed(now, g.Incarnation) {
			p.at[g.Incarnation] = max(p.at[g.Incarnation], g.Seq) // it was only silent, and goes on behind that
		} else if p.at[g.Incarnation] <= g.Seq {
			delete(p.at, g.Incarnation)
		}
	}
	for _, lost := range trim.Feeds {
		if p.at[lost.Incarnation] < lost.Seq {
			return trimmedError{}
		}
	}
	return nil
}

// A process that is taken out of the list may be writing just then: it lives, has
// entries, and is not listed until it writes again. What it has written is in the
// snapshot that shows it as gone first, and what it writes after that lists it.

// beside returns the progress of listed processes, and of those whose feeds go on
// behind places all the same.
func beside(ctx context.Context, snap storage.Snapshot, now []book.Progress, places []book.Place) ([]book.Progress, error) {
	for _, p := range places {
		if isListed(now, p.Incarnation) {
			continue
		}
		last, err := lastEntry(ctx, snap, p.Incarnation)
		if err != nil {
			return nil, err
		}
		if last.Seq > p.Seq {
			now = append(now, book.Progress{Incarnation: p.Incarnation, Seq: last.Seq, Clock: last.Stamp})
		}
	}
	return now, nil
}

// besideAll is beside for all feeds that there are.
func besideAll(ctx context.Context, snap storage.Snapshot, now []book.Progress) ([]book.Progress, error) {
	var places []book.Place
	for first, err := range feeds(ctx, snap) {
		if err != nil {
			return nil, err
		}
		places = append(places, book.Place{Incarnation: first.Incarnation})
	}
	return beside(ctx, snap, now, places)
}

func isListed(now []book.Progress, incarnation id.ID) bool {
	return slices.ContainsFunc(now, func(p book.Progress) bool { return p.Incarnation == incarnation })
}

// feedSource is what was read ahead of one feed.
type feedSource struct {
	at    book.Place
	ahead []book.Entry
}

// firstOf takes the first entry of all sources, nil when there is none.
func firstOf(ctx context.Context, snap storage.Snapshot, sources *[]*feedSource) (*book.Entry, error) {
	var first *feedSource
	for k := 0; k < len(*sources); k++ {
		s := (*sources)[k]
		if len(s.ahead) == 0 {
			if err := s.read(ctx, snap); err != nil {
				return nil, err
			}
		}
		if len(s.ahead) == 0 {
			*sources = slices.Delete(*sources, k, k+1)
			k--
			continue
		}
		if first == nil || compareEntries(&s.ahead[0], &first.ahead[0]) < 0 {
			first = s
		}
	}
	if first == nil {
		return nil, nil
	}
	e := first.ahead[0]
	first.ahead = first.ahead[1:]
	return &e, nil
}

func (s *feedSource) read(ctx context.Context, snap storage.Snapshot) error {
	for e, err := range entriesOf(ctx, snap, s.at) {
		if err != nil {
			return err
		}
		s.ahead, s.at = append(s.ahead, e), e.Place
		if len(s.ahead) == feedChunk {
			break
		}
	}
	return nil
}

// compareEntries orders entries of several feeds.
func compareEntries(a, b *book.Entry) int {
	return cmp.Or(cmp.Compare(a.Stamp, b.Stamp), a.Place.Compare(b.Place))
}

// entriesOf yields what one feed has behind a place.
func entriesOf(ctx context.Context, snap storage.Snapshot, after book.Place) iter.Seq2[book.Entry, error] {
	lo, hi := book.FeedOf(after)
	return entries(ctx, snap, lo, hi)
}

func entries(ctx context.Context, snap storage.Snapshot, lo, hi []byte) iter.Seq2[book.Entry, error] {
	return func(yield func(book.Entry, error) bool) {
		for w, err := range snap.MetaRange(ctx, lo, hi) {
			var e book.Entry
			if err == nil {
				if e, err = book.DecodeEntry(w.Key, w.Value); err != nil {
					err = corruptMeta(w.Key, err)
				}
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// feeds yields the first entry of each feed.
func feeds(ctx context.Context, snap storage.Snapshot) iter.Seq2[book.Entry, error] {
	return func(yield func(book.Entry, error) bool) {
		lo, hi := book.FeedRange(book.Place{})
		for bytes.Compare(lo, hi) < 0 {
			next := hi
			for e, err := range entries(ctx, snap, lo, hi) {
				if !yield(e, err) || err != nil {
					return
				}
				_, next = book.FeedOf(e.Place)
				break
			}
			lo = next
		}
	}
}

// lastEntry returns the last entry of a feed, the zero one when it is empty. The
// store has no way from the end: so it is looked for, by halves.
func lastEntry(ctx context.Context, snap storage.Snapshot, incarnation id.ID) (last book.Entry, err error) {
	behind := func(seq uint64) (found bool, err error) {
		for e, err := range entriesOf(ctx, snap, book.Place{Incarnation: incarnation, Seq: seq}) {
			if err == nil && e.Seq > last.Seq {
				last = e
			}
			return err == nil, err
		}
		return false, nil
	}
	step := uint64(1)
	for step > 0 {
		found, err := behind(last.Seq + step - 1)
		switch {
		case err != nil:
			return last, err
		case found:
			step *= 2
		default:
			step /= 2
		}
	}
	return last, nil
}
