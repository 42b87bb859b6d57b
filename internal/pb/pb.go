// Package pb reads messages in the Protocol Buffers wire format strictly:
// fields ascending, varints minimal, nothing beyond the end. What it accepts
// has one encoding only, so that bytes can be hashed (rule S2).
//
// The wire format: https://protobuf.dev/programming-guides/encoding/
package pb

import (
	"errors"
	"strconv"

	"github.com/ankurah/ankurah-go/internal/protowire"
)

// Annotation is the first field number that a reader may not know: such a
// field is kept and never affects state. An unknown field below it refuses the
// message (S2).
const Annotation = 1000

// ErrUnknownField is wrapped by the error for an unknown field below
// [Annotation]: the sender is newer than the reader.
var ErrUnknownField = errors.New("unknown field")

// Reader walks the fields of one message. Use:
//
//	r := pb.NewReader("event header", b)
//	for r.Next() {
//		switch r.Num { case 1: x = r.Uint64() … default: r.Unknown() }
//	}
//	return r.Err()
//
// After an error every method returns zero values and Next returns false.
type Reader struct {
	Num      protowire.Number // number of the current field
	what     string
	b        []byte
	at       int // what was read of b: moving on writes no pointer, which would cost a barrier
	typ      protowire.Type
	read     bool // the current field's value was consumed
	repeated bool // the previous field may come again
	seen     uint64
	err      error
}

// NewReader returns a reader of message b; what names it in errors.
func NewReader(what string, b []byte) *Reader {
	return &Reader{what: what, b: b, read: true}
}

// Err returns the first error, nil when the message was well formed.
func (r *Reader) Err() error { return r.err }

// Fail records an error about the current field; the first one stays.
func (r *Reader) Fail(why string) { r.FailWith(errors.New(why)) }

// FailWith is Fail with an error to wrap.
func (r *Reader) FailWith(err error) {
	if r.err == nil {
		r.err = &Error{What: r.what, Field: int(r.Num), Offset: r.at, Err: err}
	}
}

// Error says where a message is malformed.
type Error struct {
	What   string // the message
	Field  int    // field number, 0 before the first
	Offset int    // byte offset behind what was read
	Err    error
}

func (e *Error) Error() string {
	return e.What + ", field " + strconv.Itoa(e.Field) + " at byte " + strconv.Itoa(e.Offset) + ": " + e.Err.Error()
}
func (e *Error) Unwrap() error { return e.Err }

// Next moves to the next field and reports whether there is one.
func (r *Reader) Next() bool {
	if r.err == nil && !r.read {
		r.Fail("its value was not read")
	}
	if r.err != nil || r.at == len(r.b) {
		return false
	}
	tag := r.varint()
	if r.err != nil {
		return false
	}
	num, typ := protowire.DecodeTag(tag)
	if num < 1 || num > protowire.MaxValidNumber {
		r.Fail("bad field number")
		return false
	}
	if num < r.Num || num == r.Num && !r.repeated {
		r.Fail("field " + strconv.Itoa(int(num)) + " is repeated or out of order")
		return false
	}
	r.Num, r.typ, r.read, r.repeated = num, typ, false, false
	if num < 64 {
		r.seen |= 1 << num
	}
	return true
}

// Require makes it an error that one of the fields, each below 64, did not
// come. It is called when Next has returned false.
func (r *Reader) Require(fields ...protowire.Number) {
	for _, f := range fields {
		if r.seen&(1<<f) == 0 {
			r.Fail("field " + strconv.Itoa(int(f)) + " is missing")
		}
	}
}

func (r *Reader) varint() uint64 {
	if r.at < len(r.b) && r.b[r.at] < 0x80 {
		r.at++
		return uint64(r.b[r.at-1])
	}
	v, n := protowire.ConsumeVarint(r.b[r.at:])
	switch {
	case n < 0:
		r.Fail("truncated or oversized number")
		return 0
	case n != protowire.SizeVarint(v):
		r.Fail("number not in its shortest form")
		return 0
	}
	r.at += n
	return v
}

func (r *Reader) expect(t protowire.Type) bool {
	if r.err != nil || r.read {
		return false
	}
	r.read = true
	if r.typ != t {
		r.Fail("wrong wire type " + strconv.Itoa(int(r.typ)))
		return false
	}
	return true
}

// Repeated lets the current field come again.
func (r *Reader) Repeated() { r.repeated = true }

// Uint64 reads a varint field.
func (r *Reader) Uint64() uint64 {
	if !r.expect(protowire.VarintType) {
		return 0
	}
	return r.varint()
}

// Fixed64 reads a 64-bit field.
func (r *Reader) Fixed64() uint64 {
	if !r.expect(protowire.Fixed64Type) {
		return 0
	}
	v, n := protowire.ConsumeFixed64(r.b[r.at:])
	if n < 0 {
		r.Fail("truncated")
		return 0
	}
	r.at += n
	return v
}

// Bytes reads a length-delimited field; the result aliases the message.
func (r *Reader) Bytes() []byte {
	if !r.expect(protowire.BytesType) {
		return nil
	}
	n := r.varint()
	if r.err == nil && n > uint64(len(r.b)-r.at) {
		r.Fail("truncated")
	}
	if r.err != nil {
		return nil
	}
	start := r.at
	r.at += int(n)
	return r.b[start:r.at:r.at]
}

// Count returns how often a length-delimited field of that number comes in b,
// so that what holds them can be made once. It looks no further than what is
// malformed.
func Count(b []byte, num protowire.Number) (n int) {
	for len(b) > 0 {
		if short := byte(num)<<3 | 2; num < 16 && len(b) > 2 && b[0] == short && b[1] < 0x80 && int(b[1])+2 <= len(b) {
			n++
			b = b[2+b[1]:]
			continue
		}
		got, typ, k := protowire.ConsumeTag(b)
		if k < 0 || got > num {
			return n
		}
		v := protowire.ConsumeFieldValue(typ, b[k:])
		if v < 0 {
			return n
		}
		if got == num {
			n++
		}
		b = b[k+v:]
	}
	return n
}

// Rest returns what follows the current field, which was read; it aliases the
// message.
func (r *Reader) Rest() []byte { return r.b[r.at:] }

// Text reads a length-delimited field of at most limit bytes as a string.
func (r *Reader) Text(limit int) string {
	b := r.Bytes()
	if len(b) > limit {
		r.Fail(strconv.Itoa(len(b)) + " bytes where " + strconv.Itoa(limit) + " are allowed")
		return ""
	}
	return string(b)
}

// Fixed reads a length-delimited field of exactly len(dst) bytes into dst.
func (r *Reader) Fixed(dst []byte) {
	b := r.Bytes()
	if r.err == nil && len(b) != len(dst) {
		r.Fail(strconv.Itoa(len(b)) + " bytes where " + strconv.Itoa(len(dst)) + " are due")
		return
	}
	copy(dst, b)
}

// Unknown skips a field that the reader does not know: an annotation, or an
// error that wraps [ErrUnknownField].
func (r *Reader) Unknown() {
	if r.err != nil || r.read {
		return
	}
	if r.Num < Annotation {
		r.FailWith(ErrUnknownField)
		return
	}
	r.read, r.repeated = true, true
	switch r.typ {
	case protowire.VarintType:
		r.varint()
	case protowire.BytesType:
		r.read = false
		r.Bytes()
	case protowire.Fixed32Type, protowire.Fixed64Type:
		n := protowire.ConsumeFieldValue(r.typ, r.b[r.at:])
		if n < 0 {
			r.Fail("truncated")
			return
		}
		r.at += n
	default:
		r.Fail("groups are not allowed")
	}
}

// AppendBytes appends a length-delimited field, also when it is empty.
func AppendBytes[T string | []byte](b []byte, num protowire.Number, v T) []byte {
	return append(AppendLength(b, num, len(v)), v...)
}

// AppendUint64 appends a varint field unless v is zero.
func AppendUint64(b []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	b = protowire.AppendTag(b, num, protowire.VarintType)
	return protowire.AppendVarint(b, v)
}

// AppendLength appends the head of a length-delimited field whose size bytes of
// content the caller appends next.
func AppendLength(b []byte, num protowire.Number, size int) []byte {
	b = protowire.AppendTag(b, num, protowire.BytesType)
	return protowire.AppendVarint(b, uint64(size))
}

// SizeBytes returns how many bytes a length-delimited field of size bytes of
// content takes.
func SizeBytes(num protowire.Number, size int) int {
	return protowire.SizeTag(num) + protowire.SizeBytes(size)
}

// SizeUint64 returns how many bytes AppendUint64 appends.
func SizeUint64(num protowire.Number, v uint64) int {
	if v == 0 {
		return 0
	}
	return protowire.SizeTag(num) + protowire.SizeVarint(v)
}
