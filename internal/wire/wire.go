// Package wire holds the messages of the sync protocol (S34–S39). A frame is
// one message: a Protocol Buffers message with one field, whose number is the
// kind of message. docs/FORMAT.md describes them; golden files pin them.
//
// Decoding is total: what is allocated is in proportion to the frame, and every
// frame gives a message or an error that says where it is malformed. Byte
// slices of a decoded message alias its frame.
package wire

import (
	"errors"
	"slices"

	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/limit"
	"github.com/ankurah/ankurah-go/internal/pb"
	"github.com/ankurah/ankurah-go/internal/protowire"
)

// Versions of the protocol that this program speaks.
const (
	MinVersion = 1
	MaxVersion = 1
)

// Limits on messages.
const (
	MaxFrame   = 8 << 20
	MaxText    = 64 << 10 // of a reason
	maxName    = 128
	MaxSubject = 1024 // of a principal's subject
	// MaxChunk is about how many bytes of changes go into one frame.
	MaxChunk = 256 << 10
)

// Message is one message: a pointer to one of the types of this package.
type Message interface {
	kind() protowire.Number
	append(b []byte) []byte
	decode(r *pb.Reader)
}

// Kinds of messages.
const (
	kHello protowire.Number = iota + 1
	kReject
	kQuery
	kCancel
	kRows
	kPush
	kSubmit
	kAck
	kRefuse
	kSync
	kCredential
	kPing
	kPong
	kWant
	kHistory
	kEvents
	kFail
	kBye
	kCounted
	kDescribe
	kDescribed
	kGroups
)

var fresh = map[protowire.Number]func() Message{
	kHello:      func() Message { return new(Hello) },
	kReject:     func() Message { return new(Reject) },
	kQuery:      func() Message { return new(Query) },
	kCancel:     func() Message { return new(Cancel) },
	kRows:       func() Message { return new(Rows) },
	kPush:       func() Message { return new(Push) },
	kSubmit:     func() Message { return new(Submit) },
	kAck:        func() Message { return new(Ack) },
	kRefuse:     func() Message { return new(Refuse) },
	kSync:       func() Message { return new(Sync) },
	kCredential: func() Message { return new(Credential) },
	kPing:       func() Message { return new(Ping) },
	kPong:       func() Message { return new(Pong) },
	kWant:       func() Message { return new(Want) },
	kHistory:    func() Message { return new(History) },
	kEvents:     func() Message { return new(Events) },
	kFail:       func() Message { return new(Fail) },
	kBye:        func() Message { return new(Bye) },
	kCounted:    func() Message { return new(Counted) },
	kDescribe:   func() Message { return new(Describe) },
	kDescribed:  func() Message { return new(Described) },
	kGroups:     func() Message { return new(Groups) },
}

// ErrMalformed is wrapped by the errors of [Decode].
var ErrMalformed = errors.New("malformed message")

type malformed struct{ err error }

func (e *malformed) Error() string   { return "ankurah: malformed message: " + e.err.Error() }
func (e *malformed) Unwrap() []error { return []error{ErrMalformed, e.err} }

// Append appends the frame of m.
func Append(b []byte, m Message) []byte {
	start := len(b)
	b = m.append(b)
	var head [16]byte
	return slices.Insert(b, start, pb.AppendLength(head[:0], m.kind(), len(b)-start)...)
}

// Decode reads a frame.
func Decode(frame []byte) (Message, error) {
	if len(frame) > MaxFrame {
		return nil, &malformed{&limit.Error{What: "a message has", N: len(frame), Unit: "bytes", Max: MaxFrame}}
	}
	r := pb.NewReader("frame", frame)
	var m Message
	for r.Next() {
		if m != nil {
			r.Fail("two messages in one frame")
			break
		}
		make := fresh[r.Num]
		if make == nil {
			r.FailWith(pb.ErrUnknownField)
			break
		}
		m = make()
		body := pb.NewReader("message", r.Bytes())
		m.decode(body)
		if err := body.Err(); err != nil {
			r.FailWith(err)
		}
	}
	if r.Err() == nil && m == nil {
		r.Fail("no message")
	}
	if err := r.Err(); err != nil {
		return nil, &malformed{err}
	}
	return m, nil
}

// ids reads IDs one behind the other, without a list's overhead.
func ids(r *pb.Reader) []id.ID {
	b := r.Bytes()
	if len(b) == 0 || len(b)%id.Size != 0 {
		r.Fail("not a whole number of IDs")
		return nil
	}
	out := make([]id.ID, len(b)/id.Size)
	for k := range out {
		copy(out[k][:], b[k*id.Size:])
	}
	return out
}

func appendIDs(b []byte, num protowire.Number, list []id.ID) []byte {
	if len(list) == 0 {
		return b
	}
	b = pb.AppendLength(b, num, len(list)*id.Size)
	for k := range list {
		b = append(b, list[k][:]...)
	}
	return b
}

// appendID appends an ID unless it is zero.
func appendID(b []byte, num protowire.Number, i id.ID) []byte {
	if i.IsZero() {
		return b
	}
	return pb.AppendBytes(b, num, i[:])
}

func appendText(b []byte, num protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return pb.AppendBytes(b, num, s)
}

func appendRaw(b []byte, num protowire.Number, s []byte) []byte {
	if len(s) == 0 {
		return b
	}
	return pb.AppendBytes(b, num, s)
}

func appendBool(b []byte, num protowire.Number, v bool) []byte {
	if !v {
		return b
	}
	return pb.AppendUint64(b, num, 1)
}

func boolean(r *pb.Reader) bool {
	n := r.Uint64()
	if n != 1 {
		r.Fail("a truth value is 1 or left out")
	}
	return n == 1
}

// number reads a number, which is left out when it is zero.
func number(r *pb.Reader) uint64 {
	n := r.Uint64()
	if n == 0 {
		r.Fail("a zero is left out")
	}
	return n
}

// text reads a text, which is left out when it is empty.
func text(r *pb.Reader, limit int) string {
	s := r.Text(limit)
	if s == "" {
		r.Fail("an empty text is left out")
	}
	return s
}

func raw(r *pb.Reader) []byte {
	b := r.Bytes()
	if len(b) == 0 {
		r.Fail("an empty field is left out")
	}
	return b
}
