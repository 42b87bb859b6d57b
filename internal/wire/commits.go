package wire

import (
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/pb"
	"github.com/ankurah/ankurah-go/internal/protowire"
)

// Messages about commits: what they did, and what is to be one.

// Window says what came into the window of a live query and what left it,
// because of its own change or of another row's (S53).
type Window struct {
	Query   uint64
	In, Out []id.ID
}

// Push is what one commit did to the rows of the live queries of a connection
// (S37).
type Push struct {
	Changes []Change
	Windows []Window
	More    bool // the next message goes on with it
	Results []Result
}

func (*Push) kind() protowire.Number { return kPush }
func (m *Push) append(b []byte) []byte {
	b = appendWindows(appendChanges(b, 1, m.Changes), 2, m.Windows)
	return appendResults(appendBool(b, 3, m.More), 4, m.Results)
}
func (m *Push) decode(r *pb.Reader) {
	for r.Next() {
		switch r.Num {
		case 1:
			r.Repeated()
			m.Changes = moreChanges(r, m.Changes)
		case 2:
			r.Repeated()
			m.Windows = append(m.Windows, window(r))
		case 3:
			m.More = boolean(r)
		case 4:
			r.Repeated()
			m.Results = append(m.Results, result(r))
		default:
			r.Unknown()
		}
	}
}

func appendWindows(b []byte, num protowire.Number, list []Window) []byte {
	for k := range list {
		w := &list[k]
		body := appendIDs(pb.AppendUint64(nil, 1, w.Query), 2, w.In)
		b = pb.AppendBytes(b, num, appendIDs(body, 3, w.Out))
	}
	return b
}

func window(outer *pb.Reader) (w Window) {
	r := pb.NewReader("window", outer.Bytes())
	for r.Next() {
		switch r.Num {
		case 1:
			w.Query = number(r)
		case 2:
			w.In = ids(r)
		case 3:
			w.Out = ids(r)
		default:
			r.Unknown()
		}
	}
	r.Require(1)
	if err := r.Err(); err != nil {
		outer.FailWith(err)
	}
	return w
}

// Require is a head that a transaction wants to find (S21).
type Require struct {
	Collection string
	Entity     id.ID
	Head       event.Head
}

// Fields of [Submit] that servers pass over which do not know them.
const (
	fAgain = pb.Annotation + iota
	fAlone
)

// Submit is a transaction to decide on.
type Submit struct {
	Tx       event.TxID
	Events   [][]byte // encoded events
	Requires []Require
	// After are transactions that it refers to or is upon, sent before it on the
	// same connection: it falls with them (S29), and waits with them.
	After []event.TxID
	// Again says that another server may have been sent it before, which has not
	// told what became of it: who refuses it sees to it first that no server of
	// the same store stores it later.
	Again bool
	// Alone says of such a one that nothing is sent before it: what is not stored
	// of what it is upon will not be, so there is no better time for it.
	Alone bool
}

func (*Submit) kind() protowire.Number { return kSubmit }
func (m *Submit) append(b []byte) []byte {
	b = pb.AppendBytes(b, 1, m.Tx[:])
	for _, e := range m.Events {
		b = pb.AppendBytes(b, 2, e)
	}
	for k := range m.Requires {
		q := &m.Requires[k]
		body := pb.AppendBytes(pb.AppendBytes(nil, 1, q.Collection), 2, q.Entity[:])
		b = pb.AppendBytes(b, 3, appendHead(body, 3, q.Head))
	}
	for k := range m.After {
		b = pb.AppendBytes(b, 4, m.After[k][:])
	}
	return appendBool(appendBool(b, fAgain, m.Again), fAlone, m.Alone)
}
func (m *Submit) decode(r *pb.Reader) {
	for r.Next() {
		switch r.Num {
		case 1:
			r.Fixed(m.Tx[:])
		case 2:
			r.Repeated()
			m.Events = append(m.Events, raw(r))
		case 3:
			r.Repeated()
			m.Requires = append(m.Requires, require(r))
		case 4:
			r.Repeated()
			var t event.TxID
			r.Fixed(t[:])
			m.After = append(m.After, t)
		case fAgain:
			m.Again = boolean(r)
		case fAlone:
			m.Alone = boolean(r)
		default:
			r.Unknown()
		}
	}
	r.Require(1)
}

func require(outer *pb.Reader) (q Require) {
	r := pb.NewReader("requirement", outer.Bytes())
	for r.Next() {
		switch r.Num {
		case 1:
			q.Collection = text(r, maxName)
		case 2:
			fixedID(r, &q.Entity)
		case 3:
			r.Repeated()
			tip(r, &q.Head)
		default:
			r.Unknown()
		}
	}
	r.Require(1, 2)
	if err := r.Err(); err != nil {
		outer.FailWith(err)
	}
	return q
}

// Ack says that a transaction is stored, and what it made of its entities.
type Ack struct {
	Tx      event.TxID
	Changes []Change // its own without the events, which the sender has; and of others that enter results with it
	Windows []Window // what it did to the sender's windows
	More    bool     // the next message goes on with it
	Results []Result // what it did to the sender's aggregates
	Held    bool     // it is applied together with the next Ack: both are told of commits that come in one piece
}

func (*Ack) kind() protowire.Number { return kAck }
func (m *Ack) append(b []byte) []byte {
	b = appendChanges(pb.AppendBytes(b, 1, m.Tx[:]), 2, m.Changes)
	b = appendBool(appendWindows(b, 3, m.Windows), 4, m.More)
	return appendBool(appendResults(b, 5, m.Results), 6, m.Held)
}
func (m *Ack) decode(r *pb.Reader) {
	for r.Next() {
		switch r.Num {
		case 1:
			r.Fixed(m.Tx[:])
		case 2:
			r.Repeated()
			m.Changes = moreChanges(r, m.Changes)
		case 3:
			r.Repeated()
			m.Windows = append(m.Windows, window(r))
		case 4:
			m.More = boolean(r)
		case 5:
			r.Repeated()
			m.Results = append(m.Results, result(r))
		case 6:
			m.Held = boolean(r)
		default:
			r.Unknown()
		}
	}
	r.Require(1)
}

// Refuse says that a transaction was not stored, and whether it ever can be
// (S28: the code says).
type Refuse struct {
	Tx   event.TxID
	Code Code
	Text string
	Now  uint64 // the server's clock in Unix milliseconds
}

func (*Refuse) kind() protowire.Number { return kRefuse }
func (m *Refuse) append(b []byte) []byte {
	b = pb.AppendBytes(b, 1, m.Tx[:])
	b = appendText(b, 2, string(m.Code))
	b = appendText(b, 3, m.Text)
	return pb.AppendUint64(b, 4, m.Now)
}
func (m *Refuse) decode(r *pb.Reader) {
	for r.Next() {
		switch r.Num {
		case 1:
			r.Fixed(m.Tx[:])
		case 2:
			m.Code = Code(text(r, maxName))
		case 3:
			m.Text = text(r, MaxText)
		case 4:
			m.Now = number(r)
		default:
			r.Unknown()
		}
	}
	r.Require(1, 2)
}
