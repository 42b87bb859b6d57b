package value

import (
	"encoding/binary"
	"errors"
	"math"
)

// KeyLimit is how many bytes of a text, a byte string, a list or a JSON
// document an index key holds. Longer values share the key of their prefix and
// are told apart by looking at the entity (S46).
const KeyLimit = 256

// Key tags, in the order of classes; null is greatest.
const (
	tagBool     = 0x10
	tagNumber   = 0x20
	tagText     = 0x30
	tagBytes    = 0x40
	tagTime     = 0x50
	tagID       = 0x60
	tagList     = 0x70
	tagDocument = 0x80
	tagNull     = 0xF0
)

var classTag = [...]byte{classBool: tagBool, classNumber: tagNumber, classText: tagText, classBytes: tagBytes,
	classTime: tagTime, classID: tagID, classList: tagList, classDocument: tagDocument, classNull: tagNull}

// What follows the 0x00 that ends a variable part. A 0x00 inside it is
// followed by escaped.
const (
	endExact = 0x01
	endCut   = 0x02
	escaped  = 0xFF
)

// AppendKey appends an encoding of v whose bytes order as [Compare] does,
// reversed when desc is set. It is self-delimiting, so that keys of several
// values can be strung together. Values longer than [KeyLimit] are cut: two of
// them may share a key but never stand in the wrong order.
func AppendKey(b []byte, v Value, desc bool) []byte {
	n := len(b)
	b = appendKey(b, v)
	if desc {
		complement(b[n:])
	}
	return b
}

func complement(b []byte) {
	for k := range b {
		b[k] = ^b[k]
	}
}

func appendKey(b []byte, v Value) []byte {
	v = v.Unwrap()
	c := v.class()
	b = append(b, classTag[c])
	switch c {
	case classNull:
		return b
	case classBool:
		return append(b, byte(v.n))
	case classNumber:
		f, diff := nearest(v)
		bits := math.Float64bits(f)
		if bits>>63 != 0 {
			bits = ^bits
		} else {
			bits |= 1 << 63
		}
		b = binary.BigEndian.AppendUint64(b, bits)
		return binary.BigEndian.AppendUint16(b, uint16(diff+0x8000))
	case classTime:
		return binary.BigEndian.AppendUint64(b, v.n^1<<63)
	case classID:
		return append(b, v.s...)
	case classList:
		var space [2 * KeyLimit]byte // on the stack; enough for most
		inner := space[:0]
		for _, e := range v.list {
			if inner = appendKey(inner, e); len(inner) > KeyLimit {
				break
			}
		}
		return appendEnd(appendVariable(b, inner), len(inner))
	}
	return appendEnd(appendVariable(b, v.s), len(v.s))
}

// appendVariable appends at most KeyLimit bytes of s with 0x00 escaped.
func appendVariable[T string | []byte](b []byte, s T) []byte {
	s = s[:min(len(s), KeyLimit)]
	from := 0
	for k := range len(s) {
		if s[k] == 0 {
			b = append(append(b, s[from:k+1]...), escaped)
			from = k + 1
		}
	}
	return append(b, s[from:]...)
}

func appendEnd(b []byte, length int) []byte {
	if length > KeyLimit {
		return append(b, 0, endCut)
	}
	return append(b, 0, endExact)
}

// AppendKeyPrefix appends what the keys of all texts that begin with text have
// in common, and, up to [KeyLimit] bytes, no other key has.
func AppendKeyPrefix(b []byte, text string, desc bool) []byte {
	n := len(b)
	b = appendVariable(append(b, tagText), text)
	if desc {
		complement(b[n:])
	}
	return b
}

// KeyExact reports whether v's key holds all of v.
func KeyExact(v Value) bool {
	v = v.Unwrap()
	switch v.class() {
	case classText, classBytes, classDocument:
		return len(v.s) <= KeyLimit
	case classList:
		return !KeyTruncated(AppendKey(nil, v, false), false)
	}
	return true
}

var errKey = errors.New("ankurah: damaged index key")

// SkipKey returns what follows the first encoded value in b.
func SkipKey(b []byte, desc bool) (rest []byte, err error) {
	n, _, ok := keyEnd(b, desc)
	if !ok {
		return nil, errKey
	}
	return b[n:], nil
}

// KeyTruncated reports whether the first encoded value in b was cut.
func KeyTruncated(b []byte, desc bool) bool {
	_, cut, ok := keyEnd(b, desc)
	return ok && cut
}

func keyEnd(b []byte, desc bool) (n int, cut, ok bool) {
	var flip byte
	if desc {
		flip = 0xFF
	}
	if len(b) == 0 {
		return 0, false, false
	}
	switch b[0] ^ flip {
	case tagNull:
		n = 1
	case tagBool:
		n = 2
	case tagTime:
		n = 9
	case tagNumber:
		n = 11
	case tagID:
		n = 17
	case tagText, tagBytes, tagList, tagDocument:
		for k := 1; k+1 < len(b); k++ {
			if b[k]^flip != 0 {
				continue
			}
			switch b[k+1] ^ flip {
			case endExact:
				return k + 2, false, true
			case endCut:
				return k + 2, true, true
			case escaped:
				k++
			default:
				return 0, false, false
			}
		}
		return 0, false, false
	default:
		return 0, false, false
	}
	return n, false, n <= len(b)
}
