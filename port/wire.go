package port

import (
	"errors"
	"slices"
	"strconv"

	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/pb"
	"github.com/ankurah/ankurah-go/internal/protowire"
	"github.com/ankurah/ankurah-go/internal/wire"
	"github.com/ankurah/ankurah-go/transport"
	"github.com/ankurah/ankurah-go/value"
)

// Versions of the protocol that this program speaks.
const (
	minVersion = 1
	maxVersion = 1
)

const (
	maxText      = 16 << 10 // of a query
	maxArgs      = 1024
	maxOps       = 10_000 // of a transaction
	maxKeyLength = event.MaxName
)

// message is one message: a pointer to one of the types of this file.
type message interface {
	kind() protowire.Number
	append(b []byte) []byte
	decode(r *pb.Reader)
}

// Kinds of messages.
const (
	kHello protowire.Number = iota + 1
	kOpen
	kClose
	kMore
	kCommit
	kTook
	kPing
	kPong
	kWelcome
	kBye
	kUpdate
	kAck
	kRefuse
	kState
)

var fresh = [...]func() message{
	kHello:   func() message { return new(hello) },
	kOpen:    func() message { return new(open) },
	kClose:   func() message { return new(closeQuery) },
	kMore:    func() message { return new(more) },
	kCommit:  func() message { return new(commit) },
	kTook:    func() message { return new(took) },
	kPing:    func() message { return new(ping) },
	kPong:    func() message { return new(pong) },
	kWelcome: func() message { return new(welcome) },
	kBye:     func() message { return new(bye) },
	kUpdate:  func() message { return new(update) },
	kAck:     func() message { return new(ack) },
	kRefuse:  func() message { return new(refuse) },
	kState:   func() message { return new(state) },
}

// hello begins a connection.
type hello struct {
	min, max   uint64
	credential []byte
	app        uint64 // version of the application
}

func (*hello) kind() protowire.Number { return kHello }

func (m *hello) append(b []byte) []byte {
	b = pb.AppendUint64(b, 1, m.min)
	b = pb.AppendUint64(b, 2, m.max)
	b = appendSome(b, 3, m.credential)
	return pb.AppendUint64(b, 4, m.app)
}

func (m *hello) decode(r *pb.Reader) {
	for r.Next() {
		switch r.Num {
		case 1:
			m.min = number(r)
		case 2:
			m.max = number(r)
		case 3:
			m.credential = r.Bytes()
		case 4:
			m.app = r.Uint64()
		default:
			r.Unknown()
		}
	}
	r.Require(1, 2)
}

// open asks for the rows of a query, or the groups of an aggregate one, now and
// from now on.
type open struct {
	query      uint64 // the page's number for it
	collection string // or the name of its model
	text       string
	args       []arg
}

// arg is a parameter's value: of the next ? where it has no name.
type arg struct {
	name  string
	value []byte // as pageValue reads it
}

func (*open) kind() protowire.Number { return kOpen }

func (m *open) append(b []byte) []byte {
	b = pb.AppendUint64(b, 1, m.query)
	b = pb.AppendBytes(b, 2, m.collection)
	b = appendSome(b, 3, m.text)
	for _, a := range m.args {
		body := appendSome(nil, 1, a.name)
		b = pb.AppendBytes(b, 4, pb.AppendBytes(body, 2, a.value))
	}
	return b
}

func (m *open) decode(r *pb.Reader) {
	for r.Next() {
		switch r.Num {
		case 1:
			m.query = number(r)
		case 2:
			m.collection = r.Text(maxKeyLength)
		case 3:
			m.text = r.Text(maxText)
		case 4:
			r.Repeated()
			if len(m.args) == maxArgs {
				r.Fail("too many parameters")
				return
			}
			m.args = append(m.args, decodeArg(r))
		default:
			r.Unknown()
		}
	}
	r.Require(1, 2)
}

func decodeArg(outer *pb.Reader) (a arg) {
	r := pb.NewReader("parameter", outer.Bytes())
	for r.Next() {
		switch r.Num {
		case 1:
			a.name = r.Text(maxKeyLength)
		case 2:
			a.value = r.Bytes()
		default:
			r.Unknown()
		}
	}
	r.Require(2)
	adopt(outer, r)
	return a
}

// closeQuery ends a query.
type closeQuery struct{ query uint64 }

func (*closeQuery) kind() protowire.Number   { return kClose }
func (m *closeQuery) append(b []byte) []byte { return pb.AppendUint64(b, 1, m.query) }

func (m *closeQuery) decode(r *pb.Reader) {
	for r.Next() {
		switch r.Num {
		case 1:
			m.query = number(r)
		default:
			r.Unknown()
		}
	}
	r.Require(1)
}

// more makes a query's LIMIT longer.
type more struct{ query, rows uint64 }

func (*more) kind() protowire.Number { return kMore }

func (m *more) append(b []byte) []byte {
	return pb.AppendUint64(pb.AppendUint64(b, 1, m.query), 2, m.rows)
}

func (m *more) decode(r *pb.Reader) {
	for r.Next() {
		switch r.Num {
		case 1:
			m.query = number(r)
		case 2:
			m.rows = number(r)
		default:
			r.Unknown()
		}
	}
	r.Require(1, 2)
}

// opKind is what a transaction does to an entity.
type opKind uint64

const (
	opCreate opKind = iota + 1
	opEdit
	opDelete
	opRestore
)

// commit is a transaction.
type commit struct {
	tx  event.TxID
	ops []op
}

type op struct {
	kind       opKind
	collection string
	entity     id.ID // zero for a creation
	fields     []field
}

// field is a property's new value.
type field struct {
	key   string
	value []byte // as pageValue reads it
	made  uint64 // not 0: a reference to what the transaction created as its made-th entity
}

func (*commit) kind() protowire.Number { return kCommit }

func (m *commit) append(b []byte) []byte {
	b = pb.AppendBytes(b, 1, m.tx[:])
	for k := range m.ops {
		b = pb.AppendBytes(b, 2, m.ops[k].append(nil))
	}
	return b
}

func (o *op) append(b []byte) []byte {
	b = pb.AppendUint64(b, 1, uint64(o.kind))
	b = pb.AppendBytes(b, 2, o.collection)
	if !o.entity.IsZero() {
		b = pb.AppendBytes(b, 3, o.entity[:])
	}
	for _, f := range o.fields {
		body := pb.AppendBytes(nil, 1, f.key)
		if f.made == 0 {
			body = pb.AppendBytes(body, 2, f.value)
		}
		b = pb.AppendBytes(b, 4, pb.AppendUint64(body, 3, f.made))
	}
	return b
}

func (m *commit) decode(r *pb.Reader) {
	for r.Next() {
		switch r.Num {
		case 1:
			r.Fixed(m.tx[:])
			if m.tx.IsZero() {
				r.Fail("a zero transaction ID")
			}
		case 2:
			r.Repeated()
			if len(m.ops) == maxOps {
				r.Fail("more than " + strconv.Itoa(maxOps) + " entities")
				return
			}
			m.ops = append(m.ops, decodeOp(r))
		default:
			r.Unknown()
		}
	}
	r.Require(1)
}

func decodeOp(outer *pb.Reader) (o op) {
	r := pb.NewReader("entity of a transaction", outer.Bytes())
	for r.Next() {
		switch r.Num {
		case 1:
			if o.kind = opKind(r.Uint64()); o.kind < opCreate || o.kind > opRestore {
				r.FailWith(pb.ErrUnknownField)
			}
		case 2:
			o.collection = r.Text(maxKeyLength)
		case 3:
			r.Fixed(o.entity[:])
		case 4:
			r.Repeated()
			if len(o.fields) == event.MaxOperations {
				r.Fail("too many properties")
				return o
			}
			o.fields = append(o.fields, decodeField(r))
		default:
			r.Unknown()
		}
	}
	r.Require(1, 2)
	if (o.kind == opCreate) != o.entity.IsZero() {
		r.Fail("what is created has no ID yet, and everything else has one")
	}
	if len(o.fields) > 0 && o.kind > opEdit {
		r.Fail("only creations and edits have properties")
	}
	adopt(outer, r)
	return o
}

func decodeField(outer *pb.Reader) (f field) {
	r := pb.NewReader("property", outer.Bytes())
	for r.Next() {
		switch r.Num {
		case 1:
			f.key = r.Text(maxKeyLength)
		case 2:
			f.value = r.Bytes()
		case 3:
			f.made = r.Uint64()
		default:
			r.Unknown()
		}
	}
	r.Require(1)
	if f.made != 0 && len(f.value) > 0 {
		r.Fail("a value and a reference in one")
	}
	adopt(outer, r)
	return f
}

// welcome answers a hello.
type welcome struct{ version uint64 }

func (*welcome) kind() protowire.Number   { return kWelcome }
func (m *welcome) append(b []byte) []byte { return pb.AppendUint64(b, 1, m.version) }

func (m *welcome) decode(r *pb.Reader) {
	for r.Next() {
		switch r.Num {
		case 1:
			m.version = number(r)
		default:
			r.Unknown()
		}
	}
	r.Require(1)
}

// bye ends a connection.
type bye struct {
	code wire.Code
	text string
}

func (*bye) kind() protowire.Number   { return kBye }
func (m *bye) append(b []byte) []byte { return appendFailure(b, 1, m.code, m.text) }

func (m *bye) decode(r *pb.Reader) {
	for r.Next() {
		switch r.Num {
		case 1:
			m.code = wire.Code(r.Text(maxKeyLength))
		case 2:
			m.text = r.Text(wire.MaxText)
		default:
			r.Unknown()
		}
	}
	r.Require(1)
}

// state is what the node is to the page.
type state struct {
	durable   bool
	connected bool // to a durable node
	pending   uint64
	subject   string
	system    id.ID // zero: none yet
}

func (*state) kind() protowire.Number { return kState }

func (m *state) append(b []byte) []byte {
	b = appendBool(b, 1, m.durable)
	b = appendBool(b, 2, m.connected)
	b = pb.AppendUint64(b, 3, m.pending)
	b = appendSome(b, 4, m.subject)
	if !m.system.IsZero() {
		b = pb.AppendBytes(b, 5, m.system[:])
	}
	return b
}

func (m *state) decode(r *pb.Reader) {
	for r.Next() {
		switch r.Num {
		case 1:
			m.durable = r.Uint64() == 1
		case 2:
			m.connected = r.Uint64() == 1
		case 3:
			m.pending = r.Uint64()
		case 4:
			m.subject = r.Text(wire.MaxSubject)
		case 5:
			r.Fixed(m.system[:])
		default:
			r.Unknown()
		}
	}
}

// ack says that a transaction was committed, and with confirmed set that a
// durable node has it.
type ack struct {
	tx        event.TxID
	created   []id.ID
	confirmed bool
}

func (*ack) kind() protowire.Number { return kAck }

func (m *ack) append(b []byte) []byte {
	b = pb.AppendBytes(b, 1, m.tx[:])
	return appendBool(appendIDs(b, 2, m.created), 3, m.confirmed)
}

func (m *ack) decode(r *pb.Reader) {
	for r.Next() {
		switch r.Num {
		case 1:
			r.Fixed(m.tx[:])
		case 2:
			m.created = decodeIDs(r)
		case 3:
			m.confirmed = r.Uint64() == 1
		default:
			r.Unknown()
		}
	}
	r.Require(1)
}

// refuse says that a transaction was not committed, or was taken back because a
// durable node did not accept it.
type refuse struct {
	tx   event.TxID
	code wire.Code
	text string
}

func (*refuse) kind() protowire.Number { return kRefuse }

func (m *refuse) append(b []byte) []byte {
	return appendFailure(pb.AppendBytes(b, 1, m.tx[:]), 2, m.code, m.text)
}

func (m *refuse) decode(r *pb.Reader) {
	for r.Next() {
		switch r.Num {
		case 1:
			r.Fixed(m.tx[:])
		case 2:
			m.code = wire.Code(r.Text(maxKeyLength))
		case 3:
			m.text = r.Text(wire.MaxText)
		default:
			r.Unknown()
		}
	}
	r.Require(1, 2)
}

// empty is a message that says all by its kind.
type empty struct{}

func (empty) append(b []byte) []byte { return b }

func (empty) decode(r *pb.Reader) {
	for r.Next() {
		r.Unknown()
	}
}

type (
	took struct{ empty } // an update was taken
	ping struct{ empty } // asks for a pong
	pong struct{ empty }
)

func (*took) kind() protowire.Number { return kTook }
func (*ping) kind() protowire.Number { return kPing }
func (*pong) kind() protowire.Number { return kPong }

var errMalformed = errors.New("malformed message")

type malformed struct{ err error }

func (e *malformed) Error() string   { return "ankurah: malformed message: " + e.err.Error() }
func (e *malformed) Unwrap() []error { return []error{errMalformed, e.err} }

// appendFrame appends the frame of m: a message with one field, whose number is
// the kind.
func appendFrame(b []byte, m message) []byte {
	start := len(b)
	b = m.append(b)
	var head [16]byte
	return slices.Insert(b, start, pb.AppendLength(head[:0], m.kind(), len(b)-start)...)
}

// decodeFrame reads a frame. What is allocated is in proportion to it.
func decodeFrame(frame []byte) (message, error) {
	r := pb.NewReader("frame", frame)
	var m message
	switch {
	case len(frame) > transport.MaxFrame:
		r.Fail(strconv.Itoa(len(frame)) + " bytes, the limit is " + strconv.Itoa(transport.MaxFrame))
	case !r.Next():
		r.Fail("no message")
	case int(r.Num) >= len(fresh):
		r.FailWith(pb.ErrUnknownField)
	default:
		m = fresh[r.Num]()
		body := pb.NewReader("message", r.Bytes())
		m.decode(body)
		adopt(r, body)
		if r.Next() {
			r.Fail("two messages in one frame")
		}
	}
	if err := r.Err(); err != nil {
		return nil, &malformed{err}
	}
	return m, nil
}

// adopt makes an error of a message inside one of the message around it.
func adopt(outer, inner *pb.Reader) {
	if err := inner.Err(); err != nil {
		outer.FailWith(err)
	}
}

// pageValue reads a value that a page has sent. JSON need not be in its
// canonical form, which is much to ask of a page.
func pageValue(b []byte) (value.Value, error) {
	r := pb.NewReader("value", b)
	if r.Next() && value.Kind(r.Num) == value.KindJSON {
		text := string(r.Bytes())
		if !r.Next() && r.Err() == nil {
			return value.ParseJSON(text)
		}
	}
	v, err := value.Decode(b)
	if err != nil {
		return value.Null, &malformed{err}
	}
	return v, nil
}

func decodeValue(r *pb.Reader) value.Value {
	v, err := value.Decode(r.Bytes())
	if err != nil {
		r.FailWith(err)
	}
	return v
}

func appendSome[T string | []byte](b []byte, num protowire.Number, v T) []byte {
	if len(v) == 0 {
		return b
	}
	return pb.AppendBytes(b, num, v)
}

func appendBool(b []byte, num protowire.Number, v bool) []byte {
	if !v {
		return b
	}
	return pb.AppendUint64(b, num, 1)
}

// number reads a number that has to be there, and that is never zero.
func number(r *pb.Reader) uint64 {
	n := r.Uint64()
	if n == 0 {
		r.Fail("a zero is left out")
	}
	return n
}

func appendFailure(b []byte, num protowire.Number, code wire.Code, text string) []byte {
	return appendSome(pb.AppendBytes(b, num, string(code)), num+1, text)
}

func appendIDs(b []byte, num protowire.Number, list []id.ID) []byte {
	if len(list) == 0 {
		return b
	}
	b = pb.AppendLength(b, num, len(list)*id.Size)
	for _, i := range list {
		b = append(b, i[:]...)
	}
	return b
}

func decodeIDs(r *pb.Reader) []id.ID {
	b := r.Bytes()
	if len(b)%id.Size != 0 {
		r.Fail("not a whole number of IDs")
		return nil
	}
	out := make([]id.ID, len(b)/id.Size)
	for k := range out {
		copy(out[k][:], b[k*id.Size:])
	}
	return out
}
