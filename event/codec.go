package event

import (
	"errors"
	"slices"
	"strconv"

	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/pb"
	"github.com/ankurah/ankurah-go/internal/sha256"
)

// Field numbers of the header message.
const (
	hVersion    = 1
	hSuite      = 2
	hRoot       = 3
	hEntity     = 4
	hCollection = 5
	hParents    = 6
	hAuthorKind = 7
	hAuthor     = 8
	hActor      = 9
	hTx         = 10
	hMillis     = 11
	hCounter    = 12
	hEncoding   = 13 // absent: plain; 1: sealed, reserved
	hPayload    = 14
	hBirth      = 15
)

func appendHeader(b []byte, h *Header) []byte {
	b = pb.AppendUint64(b, hVersion, version)
	b = pb.AppendUint64(b, hSuite, suite)
	if !h.Root.IsZero() {
		b = pb.AppendBytes(b, hRoot, h.Root[:])
	}
	b = pb.AppendBytes(b, hEntity, h.Entity[:])
	b = pb.AppendBytes(b, hCollection, h.Collection)
	for _, p := range h.Parents {
		b = pb.AppendBytes(b, hParents, p[:])
	}
	b = pb.AppendUint64(b, hAuthorKind, uint64(h.Author.Kind))
	b = pb.AppendBytes(b, hAuthor, h.Author.Key)
	if h.Actor != "" {
		b = pb.AppendBytes(b, hActor, h.Actor)
	}
	b = pb.AppendBytes(b, hTx, h.Tx[:])
	b = pb.AppendUint64(b, hMillis, h.Stamp.Millis())
	b = pb.AppendUint64(b, hCounter, uint64(h.Stamp.Counter()))
	b = pb.AppendBytes(b, hPayload, h.Payload[:])
	if h.Birth != nil {
		var birth []byte
		birth = pb.AppendUint64(birth, 1, h.Birth.Stamp.Millis())
		birth = pb.AppendUint64(birth, 2, uint64(h.Birth.Stamp.Counter()))
		birth = pb.AppendBytes(birth, 3, h.Birth.Nonce[:])
		b = pb.AppendBytes(b, hBirth, birth)
	}
	return b
}

// headerSize returns about how many bytes appendHeader appends, not too few.
func headerSize(h *Header) int {
	const fixed = 200 // everything but text and parents
	return fixed + len(h.Collection) + len(h.Author.Key) + len(h.Actor) + len(h.Parents)*(id.Size+2)
}

func decodeHeader(b []byte, h *Header) error {
	r := pb.NewReader("event header", b)
	var millis, counter, kind uint64
	for r.Next() {
		switch r.Num {
		case hVersion:
			if v := r.Uint64(); v != version {
				r.FailWith(&unsupported{"event format", v})
			}
		case hSuite:
			if v := r.Uint64(); v != suite {
				r.FailWith(&unsupported{"hash suite", v})
			}
		case hRoot:
			r.Fixed(h.Root[:])
			if h.Root.IsZero() {
				r.Fail("a zero root is left out")
			}
		case hEntity:
			r.Fixed(h.Entity[:])
		case hCollection:
			h.Collection = r.Text(MaxName)
		case hParents:
			r.Repeated()
			var p id.ID
			r.Fixed(p[:])
			if len(h.Parents) == MaxParents {
				r.FailWith(tooMuch(MaxParents+1, "parents", MaxParents))
			}
			h.Parents = append(h.Parents, p)
		case hAuthorKind:
			if kind = r.Uint64(); kind == 0 || kind > 255 {
				r.Fail("bad author kind")
			}
		case hAuthor:
			h.Author.Key = r.Text(MaxAuthor)
		case hActor:
			if h.Actor = r.Text(MaxActor); h.Actor == "" {
				r.Fail("an empty actor is left out")
			}
		case hTx:
			r.Fixed(h.Tx[:])
		case hMillis:
			millis = stampField(r, 1<<48)
		case hCounter:
			counter = stampField(r, 1<<16)
		case hEncoding:
			r.FailWith(&unsupported{"payload encoding", r.Uint64()})
		case hPayload:
			r.Fixed(h.Payload[:])
		case hBirth:
			h.Birth = decodeBirth(r)
		default:
			r.Unknown()
		}
	}
	r.Require(hVersion, hSuite, hEntity, hCollection, hAuthorKind, hAuthor, hTx, hPayload)
	h.Author.Kind = uint8(kind)
	h.Stamp = id.NewStamp(millis, uint16(counter))
	return r.Err()
}

// stampField reads a part of a clock reading: present means not zero.
func stampField(r *pb.Reader, limit uint64) uint64 {
	v := r.Uint64()
	if r.Err() == nil && (v == 0 || v >= limit) {
		r.Fail("clock reading out of range")
		return 0
	}
	return v
}

func decodeBirth(outer *pb.Reader) *Birth {
	var birth Birth
	var millis, counter uint64
	r := pb.NewReader("birth record", outer.Bytes())
	for r.Next() {
		switch r.Num {
		case 1:
			millis = stampField(r, 1<<48)
		case 2:
			counter = stampField(r, 1<<16)
		case 3:
			r.Fixed(birth.Nonce[:])
		default:
			r.Unknown()
		}
	}
	r.Require(3)
	if err := r.Err(); err != nil {
		outer.FailWith(err)
	}
	birth.Stamp = id.NewStamp(millis, uint16(counter))
	return &birth
}

// ErrUnsupported is wrapped by errors about events that a newer version made.
var ErrUnsupported = errors.New("made by a newer version")

type unsupported struct {
	what  string
	value uint64
}

func (e *unsupported) Error() string {
	return e.what + " " + strconv.FormatUint(e.value, 10) + " is not known here"
}
func (e *unsupported) Unwrap() error { return ErrUnsupported }

// Field numbers of the payload message and of its operations.
const (
	pSalt = 1
	pOp   = 2

	oProperty = 1
	oKind     = 2
	oVersion  = 3
	oData     = 4
)

func appendPayload(b []byte, salt [16]byte, ops []Operation) []byte {
	b = pb.AppendBytes(b, pSalt, salt[:])
	for k := range ops {
		o := &ops[k]
		b = pb.AppendLength(b, pOp, o.size())
		b = pb.AppendBytes(b, oProperty, o.Property)
		b = pb.AppendBytes(b, oKind, o.Kind)
		b = pb.AppendUint64(b, oVersion, o.Version)
		b = pb.AppendBytes(b, oData, o.Data)
	}
	return b
}

// payloadSize returns how many bytes appendPayload appends.
func payloadSize(ops []Operation) int {
	n := pb.SizeBytes(pSalt, 16)
	for k := range ops {
		n += pb.SizeBytes(pOp, ops[k].size())
	}
	return n
}

func (o *Operation) size() int {
	return pb.SizeBytes(oProperty, len(o.Property)) + pb.SizeBytes(oKind, len(o.Kind)) +
		pb.SizeUint64(oVersion, o.Version) + pb.SizeBytes(oData, len(o.Data))
}

func decodePayload(b []byte) ([]Operation, error) {
	var ops []Operation
	var salt [16]byte
	r := pb.NewReader("event payload", b)
	for r.Next() {
		switch r.Num {
		case pSalt:
			r.Fixed(salt[:])
		case pOp:
			r.Repeated()
			if len(ops) == MaxOperations {
				r.FailWith(tooMuch(MaxOperations+1, "operations", MaxOperations))
			}
			ops = append(ops, decodeOperation(r))
		default:
			r.Unknown()
		}
	}
	r.Require(pSalt)
	return ops, r.Err()
}

func decodeOperation(outer *pb.Reader) Operation {
	var o Operation
	r := pb.NewReader("operation", outer.Bytes())
	for r.Next() {
		switch r.Num {
		case oProperty:
			o.Property = r.Text(MaxName)
		case oKind:
			o.Kind = r.Text(MaxName)
		case oVersion:
			if o.Version = r.Uint64(); o.Version == 0 {
				r.Fail("version 0 is left out")
			}
		case oData:
			o.Data = r.Bytes()
		default:
			r.Unknown()
		}
	}
	r.Require(oProperty, oKind, oData)
	if err := r.Err(); err != nil {
		outer.FailWith(err)
	}
	return o
}

// Append appends the form in which e is stored and sent: a message of header
// bytes (1) and payload bytes (2), then the annotations that came with it.
func (e *Event) Append(b []byte) []byte {
	b = slices.Grow(b, e.Size()+16)
	b = pb.AppendBytes(b, 1, e.header)
	b = pb.AppendBytes(b, 2, e.payload)
	return append(b, e.annotations...)
}

// Decode reads what [Event.Append] wrote and verifies it: hashes, birth
// record, parents, order of operations. The event aliases b, which must not
// change afterwards. Every error wraps [ErrMalformed].
func Decode(b []byte) (*Event, error) {
	e := &Event{}
	r := pb.NewReader("event", b)
	for r.Next() {
		switch r.Num {
		case 1:
			e.header = r.Bytes()
		case 2:
			e.payload = r.Bytes()
			e.annotations = r.Rest()
		default:
			r.Unknown()
		}
	}
	r.Require(1, 2)
	err := r.Err()
	if err == nil && e.Size() > MaxSize {
		err = tooMuch(e.Size(), "bytes", MaxSize)
	}
	if err == nil {
		err = decodeHeader(e.header, &e.Header)
	}
	if err == nil {
		e.Ops, err = decodePayload(e.payload)
	}
	if err != nil {
		return nil, &malformed{err: err}
	}
	e.Digest = sha256.Sum256(e.header)
	e.ID = id.New(e.Stamp, [8]byte(e.Digest[:8]))
	if sha256.Sum256(e.payload) != e.Header.Payload {
		return nil, e.malformed("the payload does not have the digest that the header names")
	}
	if err := e.check(); err != nil {
		return nil, err
	}
	return e, nil
}
