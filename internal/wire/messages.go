package wire

import (
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/pb"
	"github.com/ankurah/ankurah-go/internal/protowire"
)

// Hello is the first message each way (S34).
type Hello struct {
	Min, Max    uint64   // versions of the protocol
	Node        id.ID    // who sends it
	Incarnation id.ID    // its process
	Root        id.ID    // its system, zero while it has none
	Epoch       id.ID    // a server's: of its store
	Now         uint64   // its wall clock in Unix milliseconds
	High        id.Stamp // a server's: the high-water mark of its clock
	Credential  []byte   // a client's
	Subject     string   // a server's: the principal that the credential stands for
	App         uint64   // version of the client's application; a server's: the least that it takes
}

func (*Hello) kind() protowire.Number { return kHello }
func (m *Hello) append(b []byte) []byte {
	b = pb.AppendUint64(b, 1, m.Min)
	b = pb.AppendUint64(b, 2, m.Max)
	b = appendID(b, 3, m.Node)
	b = appendID(b, 4, m.Incarnation)
	b = appendID(b, 5, m.Root)
	b = appendID(b, 6, m.Epoch)
	b = pb.AppendUint64(b, 7, m.Now)
	b = pb.AppendUint64(b, 8, uint64(m.High))
	b = appendRaw(b, 9, m.Credential)
	b = appendText(b, 10, m.Subject)
	return pb.AppendUint64(b, 11, m.App)
}
func (m *Hello) decode(r *pb.Reader) {
	for r.Next() {
		switch r.Num {
		case 1:
			m.Min = number(r)
		case 2:
			m.Max = number(r)
		case 3:
			fixedID(r, &m.Node)
		case 4:
			fixedID(r, &m.Incarnation)
		case 5:
			fixedID(r, &m.Root)
		case 6:
			fixedID(r, &m.Epoch)
		case 7:
			m.Now = number(r)
		case 8:
			m.High = id.Stamp(number(r))
		case 9:
			m.Credential = raw(r)
		case 10:
			m.Subject = text(r, MaxSubject)
		case 11:
			m.App = number(r)
		default:
			r.Unknown()
		}
	}
	r.Require(1, 2, 3, 4)
}

// Reject ends a connection that was not accepted.
type Reject struct {
	Code  Code
	Text  string
	Retry uint64 // milliseconds; 0 says nothing
}

func (*Reject) kind() protowire.Number { return kReject }
func (m *Reject) append(b []byte) []byte {
	return pb.AppendUint64(appendReason(b, m.Code, m.Text), 3, m.Retry)
}
func (m *Reject) decode(r *pb.Reader) { reason(r, &m.Code, &m.Text, &m.Retry) }

// Bye ends a connection that was accepted; the client is to move on.
type Bye struct {
	Code  Code
	Text  string
	Retry uint64 // milliseconds; 0 says nothing
}

func (*Bye) kind() protowire.Number { return kBye }
func (m *Bye) append(b []byte) []byte {
	return pb.AppendUint64(appendReason(b, m.Code, m.Text), 3, m.Retry)
}
func (m *Bye) decode(r *pb.Reader) { reason(r, &m.Code, &m.Text, &m.Retry) }

func appendReason(b []byte, code Code, s string) []byte {
	return appendText(appendText(b, 1, string(code)), 2, s)
}

// reason reads code (1), text (2) and a number (3).
func reason(r *pb.Reader, code *Code, s *string, n *uint64) {
	for r.Next() {
		switch r.Num {
		case 1:
			*code = Code(text(r, maxName))
		case 2:
			*s = text(r, MaxText)
		case 3:
			*n = number(r)
		default:
			r.Unknown()
		}
	}
	r.Require(1)
}

// Known is what a client has of an entity (S35).
type Known struct {
	Entity id.ID
	Rev    uint64
}

// Query asks for the rows of a selection, once or with what happens to them
// from then on, or for their number. A text that begins with SELECT asks for
// groups, which a [Groups] answers.
type Query struct {
	ID         uint64
	Collection string
	Text       string   // a template of the query language
	Params     [][]byte // encoded values
	Live       bool     // pushes follow until Cancel
	Count      bool     // only the number is wanted
	Lenient    bool     // fields that the server does not know are missing, not errors
	Known      []Known  // sorted by entity
}

func (*Query) kind() protowire.Number { return kQuery }
func (m *Query) append(b []byte) []byte {
	b = pb.AppendUint64(b, 1, m.ID)
	b = appendText(b, 2, m.Collection)
	b = appendText(b, 3, m.Text)
	for _, p := range m.Params {
		b = pb.AppendBytes(b, 4, p)
	}
	b = appendBool(b, 5, m.Live)
	b = appendBool(b, 6, m.Count)
	b = appendBool(b, 7, m.Lenient)
	return appendKnown(b, 8, m.Known)
}
func (m *Query) decode(r *pb.Reader) {
	for r.Next() {
		switch r.Num {
		case 1:
			m.ID = number(r)
		case 2:
			m.Collection = text(r, maxName)
		case 3:
			m.Text = text(r, 1<<20)
		case 4:
			r.Repeated()
			m.Params = append(m.Params, r.Bytes())
		case 5:
			m.Live = boolean(r)
		case 6:
			m.Count = boolean(r)
		case 7:
			m.Lenient = boolean(r)
		case 8:
			m.Known = known(r)
		default:
			r.Unknown()
		}
	}
	r.Require(1, 2)
}

// appendKnown appends entities, each as 16 bytes and a varint.
func appendKnown(b []byte, num protowire.Number, list []Known) []byte {
	if len(list) == 0 {
		return b
	}
	size := len(list) * id.Size
	for k := range list {
		size += protowire.SizeVarint(list[k].Rev)
	}
	b = pb.AppendLength(b, num, size)
	for k := range list {
		b = protowire.AppendVarint(append(b, list[k].Entity[:]...), list[k].Rev)
	}
	return b
}

func known(r *pb.Reader) []Known {
	b := raw(r)
	out := make([]Known, 0, len(b)/(id.Size+1))
	for len(b) > 0 && r.Err() == nil {
		var k Known
		n := copy(k.Entity[:], b)
		if n < id.Size {
			r.Fail("truncated list of known entities")
			return nil
		}
		rev, size := protowire.ConsumeVarint(b[n:])
		if size < 0 || size != protowire.SizeVarint(rev) {
			r.Fail("bad rev in the list of known entities")
			return nil
		}
		k.Rev = rev
		if len(out) > 0 && !out[len(out)-1].Entity.Less(k.Entity) {
			r.Fail("known entities are not sorted and unique")
			return nil
		}
		out = append(out, k)
		b = b[n+size:]
	}
	return out
}

// Cancel ends a query.
type Cancel struct{ ID uint64 }

func (*Cancel) kind() protowire.Number   { return kCancel }
func (m *Cancel) append(b []byte) []byte { return pb.AppendUint64(b, 1, m.ID) }
func (m *Cancel) decode(r *pb.Reader)    { only(r, &m.ID) }

// Sync asks for, and is, the answer that everything asked for before it has
// been answered (S36).
type Sync struct{ ID uint64 }

func (*Sync) kind() protowire.Number   { return kSync }
func (m *Sync) append(b []byte) []byte { return pb.AppendUint64(b, 1, m.ID) }
func (m *Sync) decode(r *pb.Reader)    { only(r, &m.ID) }

// Ping asks for a [Pong] with the same number.
type Ping struct{ N uint64 }

func (*Ping) kind() protowire.Number   { return kPing }
func (m *Ping) append(b []byte) []byte { return pb.AppendUint64(b, 1, m.N) }
func (m *Ping) decode(r *pb.Reader)    { only(r, &m.N) }

// Pong answers a [Ping].
type Pong struct{ N uint64 }

func (*Pong) kind() protowire.Number   { return kPong }
func (m *Pong) append(b []byte) []byte { return pb.AppendUint64(b, 1, m.N) }
func (m *Pong) decode(r *pb.Reader)    { only(r, &m.N) }

// only reads a message of one number.
func only(r *pb.Reader, n *uint64) {
	for r.Next() {
		if r.Num == 1 {
			*n = number(r)
		} else {
			r.Unknown()
		}
	}
	r.Require(1)
}

// Rows is a part of the answer to a [Query] or a [Want].
type Rows struct {
	ID      uint64
	Changes []Change
	Result  []id.ID // the rows, in no order
	Done    bool    // the last part
}

func (*Rows) kind() protowire.Number { return kRows }
func (m *Rows) append(b []byte) []byte {
	b = pb.AppendUint64(b, 1, m.ID)
	b = appendChanges(b, 2, m.Changes)
	b = appendIDs(b, 3, m.Result)
	return appendBool(b, 4, m.Done)
}
func (m *Rows) decode(r *pb.Reader) {
	for r.Next() {
		switch r.Num {
		case 1:
			m.ID = number(r)
		case 2:
			r.Repeated()
			m.Changes = moreChanges(r, m.Changes)
		case 3:
			m.Result = ids(r)
		case 4:
			m.Done = boolean(r)
		default:
			r.Unknown()
		}
	}
	r.Require(1)
}

// Counted answers a [Query] for a number.
type Counted struct{ ID, N uint64 }

func (*Counted) kind() protowire.Number { return kCounted }
func (m *Counted) append(b []byte) []byte {
	return pb.AppendUint64(pb.AppendUint64(b, 1, m.ID), 2, m.N)
}
func (m *Counted) decode(r *pb.Reader) {
	for r.Next() {
		switch r.Num {
		case 1:
			m.ID = number(r)
		case 2:
			m.N = number(r)
		default:
			r.Unknown()
		}
	}
	r.Require(1)
}

// Credential replaces a client's credential while the connection lasts.
type Credential struct{ Credential []byte }

func (*Credential) kind() protowire.Number   { return kCredential }
func (m *Credential) append(b []byte) []byte { return appendRaw(b, 1, m.Credential) }
func (m *Credential) decode(r *pb.Reader) {
	for r.Next() {
		if r.Num == 1 {
			m.Credential = raw(r)
		} else {
			r.Unknown()
		}
	}
}

// Fail answers a request that failed, or ends a live query.
type Fail struct {
	ID   uint64
	Code Code
	Text string
}

func (*Fail) kind() protowire.Number { return kFail }
func (m *Fail) append(b []byte) []byte {
	b = appendReason(b, m.Code, m.Text)
	return pb.AppendUint64(b, 3, m.ID)
}
func (m *Fail) decode(r *pb.Reader) {
	reason(r, &m.Code, &m.Text, &m.ID)
	r.Require(3)
}

func fixedID(r *pb.Reader, i *id.ID) {
	r.Fixed(i[:])
	if i.IsZero() {
		r.Fail("a zero ID is left out")
	}
}
