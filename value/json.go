package value

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/ankurah/ankurah-go/internal/limit"
	"github.com/ankurah/ankurah-go/internal/sorting"
)

// MaxNesting is how deep arrays and objects of a JSON document may nest.
const MaxNesting = 64

// ErrJSON is wrapped by every error of [ParseJSON].
var ErrJSON = errors.New("not JSON")

type jsonError struct {
	pos int
	why string
	err error // a limit; nil when it is about none
}

func (e *jsonError) Error() string {
	return "not JSON: " + e.why + " at byte " + strconv.Itoa(e.pos)
}

func (e *jsonError) Unwrap() []error {
	if e.err == nil {
		return []error{ErrJSON}
	}
	return []error{ErrJSON, e.err}
}

func jsonLimit(pos int, err *limit.Error) error { return &jsonError{pos, err.Error(), err} }

// ParseJSON reads a JSON document (RFC 8259) and returns it in canonical form:
// compact, object keys sorted and unique, strings minimally escaped, integers
// that fit int64 as integers and other numbers as the shortest float64. Text
// with U+0000, invalid UTF-8 or lone surrogates, duplicate keys, numbers beyond
// float64, nesting beyond [MaxNesting], and documents that are longer than
// [MaxSize] in either form, are refused with the byte offset in text.
// A document that is just null is the null value.
func ParseJSON(text string) (Value, error) {
	if len(text) > MaxSize {
		return Null, tooLong(text)
	}
	p := jsonParser{text: text}
	out, err := p.value(make([]byte, 0, len(text)), 0)
	if err != nil {
		return Null, err
	}
	p.space()
	switch {
	case p.pos < len(text):
		return Null, p.fail("more text after the document")
	case len(out) > MaxSize: // 1e9 is written as 1000000000
		return Null, tooLong(out)
	case string(out) == "null":
		return Null, nil
	case string(out) != text:
		text = string(out)
	}
	return Value{kind: KindJSON, s: text}, nil
}

func tooLong[T string | []byte](text T) error {
	return jsonLimit(MaxSize, &limit.Error{What: "the document has", N: len(text), Unit: "bytes", Max: MaxSize})
}

type jsonParser struct {
	text string
	pos  int
}

func (p *jsonParser) fail(why string) error { return &jsonError{p.pos, why, nil} }

func (p *jsonParser) space() {
	for p.pos < len(p.text) {
		switch p.text[p.pos] {
		case ' ', '\t', '\n', '\r':
			p.pos++
		default:
			return
		}
	}
}

// value appends the canonical form of the value at p to out.
func (p *jsonParser) value(out []byte, depth int) ([]byte, error) {
	p.space()
	if p.pos == len(p.text) {
		return nil, p.fail("the text ends where a value is due")
	}
	switch c := p.text[p.pos]; {
	case c == '{' || c == '[':
		if depth == MaxNesting {
			return nil, jsonLimit(p.pos, &limit.Error{What: "the document has", N: depth + 1, Unit: "levels of nesting", Max: MaxNesting})
		}
		p.pos++
		if c == '{' {
			return p.object(out, depth+1)
		}
		return p.array(out, depth+1)
	case c == '"':
		s, err := p.str()
		if err != nil {
			return nil, err
		}
		return appendJSONString(out, s), nil
	case c == '-' || '0' <= c && c <= '9':
		return p.number(out)
	}
	for _, word := range [...]string{"true", "false", "null"} {
		if strings.HasPrefix(p.text[p.pos:], word) {
			p.pos += len(word)
			return append(out, word...), nil
		}
	}
	return nil, p.fail("unexpected " + strconv.QuoteRune(p.rune()))
}

func (p *jsonParser) rune() rune {
	r, _ := utf8.DecodeRuneInString(p.text[p.pos:])
	return r
}

// next consumes c and reports whether it was there, after white space.
func (p *jsonParser) next(c byte) bool {
	p.space()
	if p.pos < len(p.text) && p.text[p.pos] == c {
		p.pos++
		return true
	}
	return false
}

func (p *jsonParser) array(out []byte, depth int) (_ []byte, err error) {
	out = append(out, '[')
	if p.next(']') {
		return append(out, ']'), nil
	}
	for {
		if out, err = p.value(out, depth); err != nil {
			return nil, err
		}
		if p.next(']') {
			return append(out, ']'), nil
		}
		if !p.next(',') {
			return nil, p.fail("expected , or ] in an array")
		}
		out = append(out, ',')
	}
}

func (p *jsonParser) object(out []byte, depth int) ([]byte, error) {
	type member struct {
		key        string
		start, end int // of its value in values
		pos        int
	}
	var members []member
	var values []byte
	if !p.next('}') {
		for {
			p.space()
			m := member{pos: p.pos, start: len(values)}
			if p.pos == len(p.text) || p.text[p.pos] != '"' {
				return nil, p.fail("expected a key in an object")
			}
			var err error
			if m.key, err = p.str(); err != nil {
				return nil, err
			}
			if !p.next(':') {
				return nil, p.fail("expected : after a key")
			}
			if values, err = p.value(values, depth); err != nil {
				return nil, err
			}
			m.end = len(values)
			members = append(members, m)
			if p.next('}') {
				break
			}
			if !p.next(',') {
				return nil, p.fail("expected , or } in an object")
			}
		}
	}
	sorting.Stable(members, func(a, b member) int { return strings.Compare(a.key, b.key) })
	out = append(out, '{')
	for k, m := range members {
		if k > 0 {
			if members[k-1].key == m.key {
				return nil, &jsonError{m.pos, "key " + strconv.Quote(m.key) + " stands twice in an object", nil}
			}
			out = append(out, ',')
		}
		out = append(appendJSONString(out, m.key), ':')
		out = append(out, values[m.start:m.end]...)
	}
	return append(out, '}'), nil
}

func (p *jsonParser) number(out []byte) ([]byte, error) {
	start, integer := p.pos, true
	digits := func() bool {
		from := p.pos
		for p.pos < len(p.text) && '0' <= p.text[p.pos] && p.text[p.pos] <= '9' {
			p.pos++
		}
		return p.pos > from
	}
	if p.text[p.pos] == '-' {
		p.pos++
	}
	first := p.pos
	if !digits() {
		return nil, p.fail("expected a digit")
	}
	if p.text[first] == '0' && p.pos > first+1 {
		return nil, &jsonError{first, "a number begins with a superfluous 0", nil}
	}
	if p.pos < len(p.text) && p.text[p.pos] == '.' {
		integer = false
		p.pos++
		if !digits() {
			return nil, p.fail("expected a digit after the point")
		}
	}
	if p.pos < len(p.text) && (p.text[p.pos] == 'e' || p.text[p.pos] == 'E') {
		integer = false
		p.pos++
		if p.pos < len(p.text) && (p.text[p.pos] == '+' || p.text[p.pos] == '-') {
			p.pos++
		}
		if !digits() {
			return nil, p.fail("expected a digit in the exponent")
		}
	}
	text := p.text[start:p.pos]
	if integer {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return strconv.AppendInt(out, n, 10), nil
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, &jsonError{start, "number " + clip(text) + " is too large", nil}
	}
	return appendJSONFloat(out, f), nil
}

// appendJSONFloat appends f so that equal numbers read the same: as an integer
// where an int64 holds it exactly.
func appendJSONFloat(out []byte, f float64) []byte {
	if f == math.Trunc(f) && f >= -1<<63 && f < 1<<63 {
		return strconv.AppendInt(out, int64(f), 10)
	}
	return strconv.AppendFloat(out, f, 'g', -1, 64)
}

// str reads the string at p, its quotes included.
func (p *jsonParser) str() (string, error) {
	p.pos++
	start := p.pos
	for p.pos < len(p.text) {
		switch c := p.text[p.pos]; {
		case c == '"':
			s := p.text[start:p.pos]
			p.pos++
			if !utf8.ValidString(s) {
				return "", &jsonError{start, "a string is not UTF-8", nil}
			}
			return s, nil
		case c == '\\':
			return p.escaped(start)
		case c < ' ':
			return "", p.fail("a control character in a string")
		}
		p.pos++
	}
	return "", p.fail("a string does not end")
}

// escaped reads on a string that began at start from its first backslash.
func (p *jsonParser) escaped(start int) (string, error) {
	out := []byte(p.text[start:p.pos])
	for p.pos < len(p.text) {
		c := p.text[p.pos]
		switch {
		case c == '"':
			p.pos++
			if !utf8.Valid(out) {
				return "", &jsonError{start, "a string is not UTF-8", nil}
			}
			return string(out), nil
		case c < ' ':
			return "", p.fail("a control character in a string")
		case c != '\\':
			out = append(out, c)
			p.pos++
			continue
		}
		if p.pos+1 == len(p.text) {
			break
		}
		c = p.text[p.pos+1]
		if k := strings.IndexByte(`"\/bfnrt`, c); k >= 0 {
			out = append(out, "\"\\/\b\f\n\r\t"[k])
			p.pos += 2
			continue
		}
		if c != 'u' {
			return "", p.fail("unknown escape \\" + string(rune(c)))
		}
		r, err := p.unicode()
		if err != nil {
			return "", err
		}
		out = utf8.AppendRune(out, r)
	}
	return "", p.fail("a string does not end")
}

// unicode reads \uXXXX, or two of them for a surrogate pair.
func (p *jsonParser) unicode() (rune, error) {
	hex := func() (rune, bool) {
		if p.pos+6 > len(p.text) || p.text[p.pos] != '\\' || p.text[p.pos+1] != 'u' {
			return 0, false
		}
		for _, c := range []byte(p.text[p.pos+2 : p.pos+6]) {
			if !('0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f') {
				return 0, false
			}
		}
		n, err := strconv.ParseUint(p.text[p.pos+2:p.pos+6], 16, 32)
		return rune(n), err == nil
	}
	at := p.pos
	r, ok := hex()
	if !ok {
		return 0, p.fail("bad \\u escape")
	}
	p.pos += 6
	if r == 0 {
		return 0, &jsonError{at, "U+0000 is not allowed in text", nil}
	}
	if !utf16.IsSurrogate(r) {
		return r, nil
	}
	low, ok := hex()
	if r = utf16.DecodeRune(r, low); !ok || r == utf8.RuneError {
		return 0, &jsonError{at, "half of a surrogate pair", nil}
	}
	p.pos += 6
	return r, nil
}

func appendJSONString(out []byte, s string) []byte {
	const hex = "0123456789abcdef"
	out = append(out, '"')
	for k := range len(s) {
		switch c := s[k]; {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c >= ' ':
			out = append(out, c)
		default:
			if j := strings.IndexByte("\b\f\n\r\t", c); j >= 0 {
				out = append(out, '\\', "bfnrt"[j])
			} else {
				out = append(out, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			}
		}
	}
	return append(out, '"')
}

func clip(s string) string {
	if len(s) > 40 {
		s = s[:40]
		for !utf8.ValidString(s) && len(s) > 36 {
			s = s[:len(s)-1]
		}
		return s + "…"
	}
	return s
}
