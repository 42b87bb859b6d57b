package value

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ankurah/ankurah-go/internal/limit"
)

// MaxSize is the greatest size in bytes of a text, a byte string or a JSON
// document, and of the encoding of a list's elements.
const MaxSize = 256 << 10

// Instants that a time value can hold: years 1 to 9999, in microseconds.
const (
	minMicros = -62135596800 * 1_000_000
	maxMicros = 253402300800*1_000_000 - 1
)

// ErrInvalid is wrapped by the errors of [Validate] and by those of [Decode]
// about a value that cannot be.
var ErrInvalid = errors.New("invalid value")

type invalid string

func (e invalid) Error() string { return string(e) }
func (e invalid) Unwrap() error { return ErrInvalid }

// tooLarge is an invalid value of n bytes.
type tooLarge struct{ err error }

func newTooLarge(n, most int) error {
	return &tooLarge{&limit.Error{N: n, Unit: "bytes", Max: most}}
}

func (e *tooLarge) Error() string   { return e.err.Error() }
func (e *tooLarge) Unwrap() []error { return []error{ErrInvalid, e.err} }

// Validate reports what is wrong with v, and where: text that is not UTF-8 or
// holds U+0000, a time outside the years 1 to 9999, a list of mixed kinds or of
// something else than scalars, a value above [MaxSize].
func Validate(v Value) error {
	if n := contentSize(v); n > MaxSize {
		return newTooLarge(n, MaxSize)
	}
	switch v.kind {
	case KindString:
		return validateText(v.s)
	case KindTime:
		if us := int64(v.n); us < minMicros || us > maxMicros {
			return invalid("time is outside the years 1 to 9999")
		}
	case KindList:
		return validateList(v)
	}
	return nil
}

func validateText(s string) error {
	if k := strings.IndexByte(s, 0); k >= 0 {
		return invalid("text holds U+0000 at byte " + strconv.Itoa(k))
	}
	if utf8.ValidString(s) {
		return nil
	}
	for k, r := range s {
		if _, n := utf8.DecodeRuneInString(s[k:]); r == utf8.RuneError && n == 1 {
			return invalid("text is not UTF-8 at byte " + strconv.Itoa(k))
		}
	}
	return nil
}

func validateList(v Value) error {
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
	return nil
}
