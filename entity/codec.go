package entity

import (
	"slices"
	"strconv"

	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/pb"
	"github.com/ankurah/ankurah-go/property"
	"github.com/ankurah/ankurah-go/value"
)

// MaxEntries is how many properties an entity may have.
const MaxEntries = 1 << 14

// Limits of a state's encoding.
const (
	MaxTips  = 1 << 16
	tipSize  = id.Size + len(event.Digest{})
	minEntry = 2 + id.Size // bytes of an entry, at least
)

// Append appends the state's encoding: rev (1), tips (2, repeated: event ID
// and digest), properties (3, repeated). Entity ID and collection stand in the
// key or the message that holds it.
func (s *State) Append(b []byte) []byte {
	b = slices.Grow(b, s.encodedSize())
	b = pb.AppendUint64(b, 1, s.rev)
	for k := range s.head {
		t := &s.head[k]
		b = pb.AppendLength(b, 2, tipSize)
		b = append(append(b, t.ID[:]...), t.Digest[:]...)
	}
	for k := range s.entries {
		e := &s.entries[k]
		var state []byte
		if e.State != nil {
			state = e.State.Append(nil)
		}
		n := value.EncodedSize(e.Value)
		size := pb.SizeBytes(1, len(e.Key)) + pb.SizeBytes(2, len(e.Kind)) + pb.SizeBytes(3, id.Size) + pb.SizeBytes(4, n)
		if e.State != nil {
			size += pb.SizeBytes(5, len(state))
		}
		b = pb.AppendLength(b, 3, size)
		b = pb.AppendBytes(b, 1, e.Key)
		b = pb.AppendBytes(b, 2, e.Kind)
		b = pb.AppendBytes(b, 3, e.Last[:])
		b = value.Append(pb.AppendLength(b, 4, n), e.Value)
		if e.State != nil {
			b = pb.AppendBytes(b, 5, state)
		}
	}
	return b
}

// encodedSize returns about how long the encoding is, rather more than less.
func (s *State) encodedSize() int {
	n := 12 + len(s.head)*(tipSize+2)
	for k := range s.entries {
		e := &s.entries[k]
		n += id.Size + 16 + len(e.Key) + len(e.Kind) + e.Value.Size()
	}
	return n
}

// Decode reads what [State.Append] wrote. Kinds decode their own part when
// they need it, so no registry is wanted. The state does not alias b.
func Decode(collection string, entity id.ID, b []byte) (*State, error) {
	one := &struct {
		State
		tip [1]event.Tip // nearly all heads have one
	}{}
	s := &one.State
	s.id, s.collection, s.head = entity, collection, one.tip[:0]
	s.entries = make([]Entry, 0, min(pb.Count(b, 3), len(b)/minEntry))
	r := pb.NewReader("state", b)
	for r.Next() {
		switch r.Num {
		case 1:
			if s.rev = r.Uint64(); s.rev == 0 {
				r.Fail("rev 0 is left out")
			}
		case 2:
			r.Repeated()
			s.decodeTip(r)
		case 3:
			r.Repeated()
			s.decodeEntry(r)
		default:
			r.Unknown()
		}
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *State) decodeTip(r *pb.Reader) {
	var t event.Tip
	if b := r.Bytes(); len(b) == tipSize {
		t.ID, t.Digest = id.ID(b[:id.Size]), event.Digest(b[id.Size:])
	} else {
		r.Fail(strconv.Itoa(len(b)) + " bytes where " + strconv.Itoa(tipSize) + " are due")
	}
	switch n := len(s.head); {
	case n == MaxTips:
		r.Fail("more than " + strconv.Itoa(MaxTips) + " tips")
	case n > 0 && !s.head[n-1].ID.Less(t.ID):
		r.Fail("tips are not sorted and unique")
	}
	s.head = append(s.head, t)
}

func (s *State) decodeEntry(outer *pb.Reader) {
	n := len(s.entries)
	if n == MaxEntries {
		outer.Fail("more than " + strconv.Itoa(MaxEntries) + " properties")
		return
	}
	s.entries = append(s.entries, Entry{})
	e, b := &s.entries[n], outer.Bytes()
	if n > 0 && e.read(b, &s.entries[n-1]) || n == 0 && e.read(b, nil) {
		s.checkOrder(outer)
		return
	}
	*e = Entry{}
	r := pb.NewReader("property", b)
	for r.Next() {
		switch r.Num {
		case 1:
			e.Key = intern(r.Bytes())
		case 2:
			e.Kind = intern(r.Bytes())
		case 3:
			r.Fixed(e.Last[:])
		case 4:
			v, err := value.Decode(r.Bytes())
			if err != nil {
				r.FailWith(err)
			}
			e.Value = v
		case 5:
			e.State = property.Raw(append([]byte(nil), r.Bytes()...))
		default:
			r.Unknown()
		}
	}
	r.Require(1, 2, 3, 4)
	if err := r.Err(); err != nil {
		outer.FailWith(err)
		return
	}
	s.checkOrder(outer)
}

// checkOrder fails unless the last entry is greater than the one before.
func (s *State) checkOrder(r *pb.Reader) {
	if n := len(s.entries) - 1; n > 0 && s.entries[n-1].compare(s.entries[n].Key, s.entries[n].Kind) >= 0 {
		r.Fail("properties are not sorted and unique")
	}
}

// read is decodeEntry for what nearly every entry is: four fields and short
// names. It returns false for everything else, of which e may hold a part.
func (e *Entry) read(b []byte, before *Entry) bool {
	if len(b) < 2 || b[0] != 1<<3|2 || b[1] >= 0x80 || len(b) < 4+int(b[1]) {
		return false
	}
	key, b := b[2:2+b[1]], b[2+b[1]:]
	if b[0] != 2<<3|2 || b[1] >= 0x80 || len(b) < 6+int(b[1])+id.Size {
		return false
	}
	kind, b := b[2:2+b[1]], b[2+b[1]:]
	if b[0] != 3<<3|2 || b[1] != id.Size {
		return false
	}
	copy(e.Last[:], b[2:])
	b = b[2+id.Size:]
	if b[0] != 4<<3|2 || b[1] >= 0x80 || len(b) != 2+int(b[1]) {
		return false
	}
	var err error
	if e.Value, err = value.Decode(b[2:]); err != nil {
		return false
	}
	if before != nil && string(kind) == before.Kind {
		e.Kind = before.Kind
	} else {
		e.Kind = intern(kind)
	}
	e.Key = intern(key)
	return true
}
