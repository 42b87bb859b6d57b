// Package protowire reads and writes the Protocol Buffers wire format, as far
// as this module uses it: no groups.
//
// The wire format: https://protobuf.dev/programming-guides/encoding/
package protowire

import (
	"encoding/binary"
	"math/bits"
)

// Number is a field's number.
type Number int32

// MaxValidNumber is the greatest number that a field may have.
const MaxValidNumber Number = 1<<29 - 1

// Type says how a field's value is encoded.
type Type int8

// The types of values. Groups are known, to be refused.
const (
	VarintType     Type = 0
	Fixed64Type    Type = 1
	BytesType      Type = 2
	StartGroupType Type = 3
	EndGroupType   Type = 4
	Fixed32Type    Type = 5
)

// AppendTag appends what stands before a field's value.
func AppendTag(b []byte, num Number, typ Type) []byte {
	return AppendVarint(b, uint64(num)<<3|uint64(typ))
}

// AppendVarint appends a number of variable length.
func AppendVarint(b []byte, v uint64) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

// AppendFixed64 appends a number of 8 bytes.
func AppendFixed64(b []byte, v uint64) []byte { return binary.LittleEndian.AppendUint64(b, v) }

// AppendBytes appends bytes behind their length.
func AppendBytes(b, v []byte) []byte { return append(AppendVarint(b, uint64(len(v))), v...) }

// SizeVarint returns how many bytes AppendVarint appends.
func SizeVarint(v uint64) int { return int(9*uint32(bits.Len64(v))+64) / 64 }

// SizeTag returns how many bytes AppendTag appends.
func SizeTag(num Number) int { return SizeVarint(uint64(num) << 3) }

// SizeBytes returns how many bytes AppendBytes appends of n bytes.
func SizeBytes(n int) int { return SizeVarint(uint64(n)) + n }

// EncodeZigZag makes numbers near zero small, whatever their sign.
func EncodeZigZag(v int64) uint64 { return uint64(v<<1) ^ uint64(v>>63) }

// DecodeZigZag is the inverse of EncodeZigZag.
func DecodeZigZag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }

// ConsumeVarint reads a number; n is how many bytes it has, below zero if it
// is cut off or does not fit 64 bits.
func ConsumeVarint(b []byte) (v uint64, n int) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), 1
	}
	if v, n = binary.Uvarint(b); n <= 0 {
		return 0, -1
	}
	return v, n
}

// DecodeTag takes a tag apart. The number is below zero if it does not fit.
func DecodeTag(v uint64) (Number, Type) {
	if v>>3 > uint64(1<<31-1) {
		return -1, 0
	}
	return Number(v >> 3), Type(v & 7)
}

// ConsumeTag reads a tag; n is below zero if it is cut off or names no field
// that there can be.
func ConsumeTag(b []byte) (num Number, typ Type, n int) {
	v, n := ConsumeVarint(b)
	if n < 0 {
		return 0, 0, n
	}
	if num, typ = DecodeTag(v); num < 1 {
		return 0, 0, -1
	}
	return num, typ, n
}

// ConsumeFixed64 reads a number of 8 bytes.
func ConsumeFixed64(b []byte) (v uint64, n int) {
	if len(b) < 8 {
		return 0, -1
	}
	return binary.LittleEndian.Uint64(b), 8
}

// ConsumeBytes reads bytes behind their length; they alias b.
func ConsumeBytes(b []byte) (v []byte, n int) {
	size, n := ConsumeVarint(b)
	if n < 0 || size > uint64(len(b)-n) {
		return nil, -1
	}
	return b[n:][:size], n + int(size)
}

// ConsumeFieldValue returns how many bytes a field's value has, below zero if
// it is cut off or of no known type.
func ConsumeFieldValue(typ Type, b []byte) (n int) {
	size := 0
	switch typ {
	case VarintType:
		_, n = ConsumeVarint(b)
		return n
	case BytesType:
		_, n = ConsumeBytes(b)
		return n
	case Fixed32Type:
		size = 4
	case Fixed64Type:
		size = 8
	default:
		return -1
	}
	if len(b) < size {
		return -1
	}
	return size
}
