package value

import (
	"errors"
	"math"

	"github.com/ankurah/ankurah-go/internal/pb"
	"github.com/ankurah/ankurah-go/internal/protowire"
)

// ErrUnknownKind is wrapped by the error of [Decode] about a kind of value, or
// a field of one, that a newer version may have written.
var ErrUnknownKind = errors.New("unknown kind of value")

// maxEncoded is how long an encoding can be whose content is as long as
// allowed: a tag of one byte and a length of three come before it.
const maxEncoded = MaxSize + 4

// Append appends the encoding of v: a message with one field, whose number is
// the kind; no field is null. It does not check v; see [Validate].
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
		b = protowire.AppendTag(b, num, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(contentSize(v)))
		b = pb.AppendUint64(b, 1, uint64(v.elem))
		for _, e := range v.list {
			b = protowire.AppendTag(b, 2, protowire.BytesType)
			b = protowire.AppendVarint(b, uint64(EncodedSize(e)))
			b = Append(b, e)
		}
	}
	return b
}

// EncodedSize returns how many bytes [Append] appends.
func EncodedSize(v Value) int {
	switch v.kind {
	case KindNull:
		return 0
	case KindBool:
		return 2
	case KindInt32, KindInt64, KindTime:
		return 1 + protowire.SizeVarint(protowire.EncodeZigZag(int64(v.n)))
	case KindFloat64:
		return 9
	}
	return 1 + protowire.SizeBytes(contentSize(v))
}

// contentSize returns the length of the content of a length-delimited value.
func contentSize(v Value) int {
	n := len(v.s)
	if v.elem != KindNull {
		n += 2
	}
	for _, e := range v.list {
		n += 1 + protowire.SizeBytes(EncodedSize(e))
	}
	return n
}

// Decode reads what [Append] wrote of a value that [Validate] finds nothing
// wrong with. It accepts nothing else: Append of the result gives b again. The
// value does not alias b. Errors wrap [ErrUnknownKind] where a newer version
// may have written b, and [ErrInvalid] or [ErrJSON] where the bytes are well
// formed but what they hold is not.
func Decode(b []byte) (Value, error) {
	if v, ok := decodeShort(b); ok {
		return v, nil
	}
	v, err := decode(b, KindNull)
	if err == nil {
		err = Validate(v)
	}
	if err != nil {
		return Null, err
	}
	return v, nil
}

// decodeShort is Decode for what most values are, text of up to 127 bytes and
// numbers. It returns false for everything else, and for what is malformed.
func decodeShort(b []byte) (v Value, ok bool) {
	if len(b) < 2 {
		return Null, false
	}
	v.kind = Kind(b[0] >> 3)
	switch typ := protowire.Type(b[0] & 7); {
	case v.kind == KindString && typ == protowire.BytesType:
		if b[1] >= 0x80 || int(b[1]) != len(b)-2 {
			return Null, false
		}
		v.s = string(b[2:])
		return v, validateText(v.s) == nil
	case (v.kind == KindInt32 || v.kind == KindInt64) && typ == protowire.VarintType:
		n, size := protowire.ConsumeVarint(b[1:])
		x := protowire.DecodeZigZag(n)
		v.n = uint64(x)
		return v, size == len(b)-1 && size == protowire.SizeVarint(n) && (v.kind == KindInt64 || int64(int32(x)) == x)
	case v.kind == KindFloat64 && typ == protowire.Fixed64Type && len(b) == 9:
		v.n, _ = protowire.ConsumeFixed64(b[1:])
		return v, Float64(math.Float64frombits(v.n)).n == v.n
	}
	return Null, false
}

// decode reads a value, or with elem not null an element of a list. What is
// allocated is in proportion to b.
func decode(b []byte, elem Kind) (v Value, err error) {
	r := pb.NewReader("value", b)
	if r.Next() {
		switch {
		case r.Num >= kindEnd:
			r.FailWith(ErrUnknownKind)
		case len(b) > maxEncoded:
			r.FailWith(newTooLarge(len(b), maxEncoded))
		case elem != KindNull && elem != Kind(r.Num):
			r.FailWith(invalid(Kind(r.Num).String() + " in a list of " + elem.String()))
		default:
			v = decodeField(r, Kind(r.Num))
		}
	} else if elem != KindNull {
		r.FailWith(invalid("null in a list of " + elem.String()))
	}
	if r.Next() {
		if r.Num >= kindEnd {
			r.FailWith(ErrUnknownKind)
		}
		r.FailWith(invalid("two values in one"))
	}
	return v, r.Err()
}

// decodeField reads the current field as a value of kind k.
func decodeField(r *pb.Reader, k Kind) Value {
	v := Value{kind: k}
	switch k {
	case KindString, KindBytes:
		v.s = string(r.Bytes())
	case KindBool:
		if v.n = r.Uint64(); v.n > 1 {
			r.FailWith(invalid("a bool is 0 or 1"))
		}
	case KindInt32, KindInt64, KindTime:
		n := protowire.DecodeZigZag(r.Uint64())
		if k == KindInt32 && (n < math.MinInt32 || n > math.MaxInt32) {
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
		return decodeJSON(r)
	case KindList:
		return decodeList(r)
	}
	return v
}

func decodeJSON(r *pb.Reader) Value {
	text := string(r.Bytes())
	if r.Err() != nil {
		return Null
	}
	v, err := ParseJSON(text)
	if err != nil {
		r.FailWith(err)
	} else if v.s != text {
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
			v.elem = Kind(n)
			if n >= kindEnd {
				r.FailWith(ErrUnknownKind)
			} else if !v.elem.Scalar() {
				r.FailWith(invalid("a list holds scalars, not " + v.elem.String()))
			}
		case 2:
			r.Repeated()
			if v.elem == KindNull {
				r.FailWith(invalid("a list with elements and no kind of elements"))
				break
			}
			e, err := decode(r.Bytes(), v.elem)
			if err != nil {
				r.FailWith(err)
				break
			}
			v.list = append(v.list, e)
		default:
			// Also an annotation: a value that dropped it would be written
			// with other bytes than were read.
			r.FailWith(ErrUnknownKind)
		}
	}
	if err := r.Err(); err != nil {
		outer.FailWith(err)
	}
	return v
}
