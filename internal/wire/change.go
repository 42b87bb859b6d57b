package wire

import (
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/pb"
	"github.com/ankurah/ankurah-go/internal/protowire"
)

// Change is what happened to an entity: events (S25 b), a state (S25 a), or
// that it may not be read any more. With neither it says that the receiver's
// rev is the newest.
type Change struct {
	Collection string
	Entity     id.ID
	Before     uint64     // rev before the events
	Events     [][]byte   // encoded, by rev; none in an [Ack], whose receiver has them
	After      uint64     // rev after the events, or that of the state
	Head       event.Head // after the events
	State      []byte     // encoded
	Removed    bool       // absent, or not readable
}

const tipSize = id.Size + len(event.Digest{})

func appendChanges(b []byte, num protowire.Number, list []Change) []byte {
	var body []byte
	for k := range list {
		body = list[k].append(body[:0])
		b = pb.AppendBytes(b, num, body)
	}
	return b
}

func (c *Change) append(b []byte) []byte {
	b = appendText(b, 1, c.Collection)
	b = appendID(b, 2, c.Entity)
	b = pb.AppendUint64(b, 3, c.Before)
	for _, e := range c.Events {
		b = pb.AppendBytes(b, 4, e)
	}
	b = pb.AppendUint64(b, 5, c.After)
	b = appendHead(b, 6, c.Head)
	b = appendRaw(b, 7, c.State)
	return appendBool(b, 8, c.Removed)
}

// minChange is the least that a change takes.
const minChange = 20

// moreChanges reads one more change of a list.
func moreChanges(r *pb.Reader, list []Change) []Change {
	next := change(r)
	if list == nil {
		list = make([]Change, 0, 1+min(pb.Count(r.Rest(), r.Num), len(r.Rest())/minChange))
	}
	return append(list, next)
}

func change(outer *pb.Reader) (c Change) {
	r := pb.NewReader("change", outer.Bytes())
	for r.Next() {
		switch r.Num {
		case 1:
			c.Collection = text(r, maxName)
		case 2:
			fixedID(r, &c.Entity)
		case 3:
			c.Before = number(r)
		case 4:
			r.Repeated()
			c.Events = append(c.Events, raw(r))
		case 5:
			c.After = number(r)
		case 6:
			r.Repeated()
			tip(r, &c.Head)
		case 7:
			c.State = raw(r)
		case 8:
			c.Removed = boolean(r)
		default:
			r.Unknown()
		}
	}
	r.Require(1, 2)
	if err := r.Err(); err != nil {
		outer.FailWith(err)
	}
	return c
}

func appendHead(b []byte, num protowire.Number, h event.Head) []byte {
	for k := range h {
		b = pb.AppendLength(b, num, tipSize)
		b = append(append(b, h[k].ID[:]...), h[k].Digest[:]...)
	}
	return b
}

// tip reads one more tip of a head.
func tip(r *pb.Reader, h *event.Head) {
	var b [tipSize]byte
	r.Fixed(b[:])
	t := event.Tip{ID: id.ID(b[:id.Size]), Digest: event.Digest(b[id.Size:])}
	if n := len(*h); n > 0 && !(*h)[n-1].ID.Less(t.ID) {
		r.Fail("tips are not sorted and unique")
	}
	*h = append(*h, t)
}
