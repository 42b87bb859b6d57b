package id

import (
	"cmp"
	"encoding/binary"
	"errors"
	"strconv"
	"time"
)

// Size is the length of an ID in bytes.
const Size = 16

// TextSize is the length of an ID's text form in characters.
const TextSize = 26

// alphabet is Crockford's base32: digits and upper-case letters without I, L,
// O and U.
const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// ErrText is wrapped by every error of [Parse] and [ID.UnmarshalText].
var ErrText = errors.New("not an ID")

// ID is a 128-bit identifier, big-endian: a [Stamp] and 64 bits of hash. IDs
// order bytewise, which is first by time, then by counter, then by hash. The
// zero ID stands for "none".
type ID [Size]byte

// New joins a clock reading and a content hash.
func New(s Stamp, hash [8]byte) ID {
	var i ID
	binary.BigEndian.PutUint64(i[:8], uint64(s))
	copy(i[8:], hash[:])
	return i
}

// FromBytes copies an ID out of exactly [Size] bytes.
func FromBytes(b []byte) (ID, error) {
	if len(b) != Size {
		return ID{}, errors.New("ankurah: an ID has " + strconv.Itoa(Size) + " bytes, not " + strconv.Itoa(len(b)))
	}
	return ID(b), nil
}

// ID returns i, so that an ID can stand wherever a view or a reference can.
func (i ID) ID() ID { return i }

// IsZero reports whether i is the zero ID.
func (i ID) IsZero() bool { return i == ID{} }

// Stamp returns the clock reading in i.
func (i ID) Stamp() Stamp { return Stamp(binary.BigEndian.Uint64(i[:8])) }

// Hash returns the hash part of i.
func (i ID) Hash() [8]byte { return [8]byte(i[8:]) }

// Time returns the wall-clock part of i, in UTC with millisecond precision.
func (i ID) Time() time.Time { return i.Stamp().Time() }

// Compare orders IDs: -1, 0 or 1.
func (i ID) Compare(o ID) int {
	if c := cmp.Compare(i.Stamp(), o.Stamp()); c != 0 {
		return c
	}
	return cmp.Compare(binary.BigEndian.Uint64(i[8:]), binary.BigEndian.Uint64(o[8:]))
}

// Less reports whether i orders before o.
func (i ID) Less(o ID) bool { return i.Compare(o) < 0 }

// String returns the 26 characters of i.
func (i ID) String() string {
	b, _ := i.AppendText(make([]byte, 0, TextSize))
	return string(b)
}

// AppendText appends the 26 characters of i. It never fails.
func (i ID) AppendText(b []byte) ([]byte, error) {
	hi, lo := binary.BigEndian.Uint64(i[:8]), binary.BigEndian.Uint64(i[8:])
	n := len(b)
	b = append(b, make([]byte, TextSize)...)
	for k := TextSize - 1; k >= 0; k-- {
		b[n+k] = alphabet[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return b, nil
}

// MarshalText implements encoding.TextMarshaler.
func (i ID) MarshalText() ([]byte, error) { return i.AppendText(nil) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (i *ID) UnmarshalText(b []byte) error {
	v, err := Parse(string(b))
	if err == nil {
		*i = v
	}
	return err
}

// Parse reads the 26 characters of an ID. Letters may be of either case, and
// I and L are read as 1 and O as 0, as Crockford's base32 asks.
func Parse(s string) (ID, error) {
	if len(s) != TextSize {
		return ID{}, textError(s, "it has "+strconv.Itoa(len(s))+" characters, not "+strconv.Itoa(TextSize))
	}
	if d := decode[s[0]]; d != bad && d > 7 {
		return ID{}, textError(s, "its first character is greater than 7")
	}
	var hi, lo uint64
	for k := range TextSize {
		d := decode[s[k]]
		if d == bad {
			return ID{}, textError(s, "character "+strconv.Quote(s[k:k+1])+" at "+strconv.Itoa(k+1)+" is not base32")
		}
		hi = hi<<5 | lo>>59
		lo = lo<<5 | uint64(d)
	}
	var i ID
	binary.BigEndian.PutUint64(i[:8], hi)
	binary.BigEndian.PutUint64(i[8:], lo)
	return i, nil
}

type parseError struct{ text, why string }

func (e *parseError) Error() string {
	return "ankurah: " + strconv.Quote(e.text) + " is not an ID: " + e.why
}
func (e *parseError) Unwrap() error { return ErrText }

func textError(s, why string) error {
	if len(s) > 40 {
		s = s[:40] + "…"
	}
	return &parseError{s, why}
}

const bad = 0xFF

var decode = func() (t [256]byte) {
	for k := range t {
		t[k] = bad
	}
	for k := range len(alphabet) {
		t[alphabet[k]] = byte(k)
		if c := alphabet[k]; c >= 'A' {
			t[c+'a'-'A'] = byte(k)
		}
	}
	for _, c := range "iIlL" {
		t[c] = 1
	}
	for _, c := range "oO" {
		t[c] = 0
	}
	return t
}()
