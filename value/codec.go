package value

import (
	"errors"
	"math"
	"strconv"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/ankurah/ankurah-go/internal/pb"
)

// MaxSize is the greatest size of a value in bytes of its encoding.
const MaxSize = 256 << 10

// Instants that a time value can hold: years 1 to 9999.
const (
	minMicros = -62135596800 * 1_000_000
	maxMicros = 253402300800*1_000_000 - 1
)

var (
	// ErrUnknownKind is wrapped by the error of [Decode] about a kind of value
	// that a newer version may have written.
	ErrUnknownKind = errors.New("unknown kind of value")
	// ErrInvalid is wrapped by the errors of [Validate] and by those of
	// [Decode] about a value that cannot be.
	ErrInvalid = errors.New("invalid value")
)

type invalid string

func (e invalid) Error() string { return string(e) }
func (e invalid) Unwrap() error { return ErrInvalid }

// Validate reports what is wrong with v: text that is not UTF-8 or holds
// U+0000, a time outside the years 1 to 9999, a list of mixed kinds or of
// something else than scalars, a value above [MaxSize].
func Validate(v Value) error {
	switch v.kind {
	case KindString:
		if !utf8.ValidString(v.s) {
			return invalid("text is not UTF-8")
		}
		for k := range len(v.s) {
			if v.s[k] == 0 {
				return invalid("text holds U+0000 at byte " + strconv.Itoa(k))
			}
		}
	case KindTime:
		if us := int64(v.n); us < minMicros || us > maxMicros {
			return invalid("time is outside the years 1 to 9999")
		}
	case KindList:
		if v.elem != KindNull && !v.elem.Scalar() || v.elem == KindNull && len(v.list) > 0 {
			return invalid("a list holds scalars, not " + v.elem.String())
		}
		for k, e := range v.list {
			if e.kind != v.elem {
				return invalid("element " + strconv.Itoa(k+1) + " is " + e.kind.String() + " in a list of " + v.elem.String())
			}
			if err := Validate(e); err != nil {
				return invalid("element " + strconv.Itoa(k+1) + ": " + err.Error())
			}
		}
	}
	if n := encodedSize(v); n > MaxSize {
		return invalid(strconv.Itoa(n) + " bytes, the limit is " + strconv.Itoa(MaxSize))
	}
	return nil
}

// encodedSize returns about how many bytes Append writes, never too few.
func encodedSize(v Value) int {
	n := 16 + len(v.s)
	for _, e := range v.list {
		n += 2 + encodedSize(e)
	}
	if v.kind != KindList {
		return n - 16
	}
	return n
}

// Append appends the encoding of v: a message with one field, whose number is
// the kind; no field is null.
func Append(b []byte, v Value) []byte {
	num := protowire.Number(v.kind)
	switch v.kind {
	case KindNull:
	case KindString, KindBytes, KindID, KindJSON:
		b = pb.AppendBytes(b, num, v.s)
	case KindBool:
		b = protowire.AppendTag(b, num, protowire.VarintType)
		b = protowire.AppendVarint(b, v.n)
	case KindInt32, KindInt64, KindTime:
		b = protowire.AppendTag(b, num, protowire.VarintType)
		b = protowire.AppendVarint(b, protowire.EncodeZigZag(int64(v.n)))
	case KindFloat64:
		b = protowire.AppendTag(b, num, protowire.Fixed64Type)
		b = protowire.AppendFixed64(b, v.n)
	case KindList:
		inner := pb.AppendUint64(nil, 1, uint64(v.elem))
		for _, e := range v.list {
			inner = pb.AppendBytes(inner, 2, Append(nil, e))
		}
		b = pb.AppendBytes(b, num, inner)
	}
	return b
}

// Decode reads what [Append] wrote. It accepts nothing else: Append of the
// result gives b again. The value does not alias b.
func Decode(b []byte) (Value, error) { return decode(b, false) }

func decode(b []byte, element bool) (Value, error) {
	r := pb.NewReader("value", b)
	var v Value
	if !r.Next() {
		return v, r.Err()
	}
	v.kind = KindNull
	if r.Num < kindEnd {
		v.kind = Kind(r.Num)
	}
	switch v.kind {
	case KindString, KindBytes:
		v.s = string(r.Bytes())
	case KindBool:
		if v.n = r.Uint64(); v.n > 1 {
			r.FailWith(invalid("a bool is 0 or 1"))
		}
	case KindInt32, KindInt64, KindTime:
		n := protowire.DecodeZigZag(r.Uint64())
		if v.kind == KindInt32 && (n < math.MinInt32 || n > math.MaxInt32) {
			r.FailWith(invalid("int32 out of range"))
		}
		v.n = uint64(n)
	case KindFloat64:
		v.n = r.Fixed64()
		if Float64(math.Float64frombits(v.n)).n != v.n {
			r.FailWith(invalid("a float not in its canonical form"))
		}
	case KindID:
		var i [16]byte
		r.Fixed(i[:])
		v.s = string(i[:])
	case KindJSON:
		v = decodeJSON(r)
	case KindList:
		if element {
			r.FailWith(invalid("a list in a list"))
			break
		}
		v = decodeList(r)
	default:
		r.FailWith(ErrUnknownKind)
	}
	if r.Next() {
		r.FailWith(ErrUnknownKind)
	}
	if err := r.Err(); err != nil {
		return Null, err
	}
	return v, Validate(v)
}

func decodeJSON(r *pb.Reader) Value {
	text := r.Bytes()
	v, err := ParseJSON(string(text))
	switch {
	case r.Err() != nil:
	case err != nil:
		r.FailWith(err)
	case v.s != string(text):
		r.FailWith(invalid("JSON not in its canonical form"))
	}
	return v
}

func decodeList(outer *pb.Reader) Value {
	v := Value{kind: KindList}
	r := pb.NewReader("list", outer.Bytes())
	for r.Next() {
		switch r.Num {
		case 1:
			n := r.Uint64()
			if n == 0 || n >= kindEnd || !Kind(n).Scalar() {
				r.FailWith(invalid("a list of something else than scalars"))
				break
			}
			v.elem = Kind(n)
		case 2:
			r.Repeated()
			e, err := decode(r.Bytes(), true)
			if err != nil {
				r.FailWith(err)
			}
			v.list = append(v.list, e)
		default:
			r.Unknown()
		}
	}
	if err := r.Err(); err != nil {
		outer.FailWith(err)
	}
	return v
}
