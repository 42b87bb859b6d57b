package ankql

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxPattern is the greatest length of a LIKE pattern in bytes. It bounds the
// work that a pattern can ask for on one row.
const MaxPattern = 4 << 10

// matcher is a compiled LIKE pattern: what stands between its % signs. The
// first segment holds at the beginning of the text, the last at its end (one
// segment alone at both), and those between are searched for from left to
// right, each behind the one before. Taking the leftmost place for each is
// right, since that leaves the most text for those behind it; so nothing is
// ever tried twice.
type matcher struct {
	segments []segment
	least    int // characters that a text has to have, and so bytes
	fold     bool
}

// segment is a stretch of a pattern without %.
type segment struct {
	text  string // its characters when it has no _ and does not fold: found by the strings package
	runes []rune // its characters otherwise, folded if need be; any for _
	find  *shiftAnd
}

// anyRune stands for _ in a segment.
const anyRune rune = -1

// compileLike compiles a pattern. A backslash takes the character behind it
// literally; at the end of the pattern it stands for itself.
func compileLike(pattern string, fold bool) *matcher {
	m := &matcher{fold: fold}
	var runes []rune
	general := fold
	end := func() {
		s := segment{}
		if general {
			s.runes = runes
		} else {
			s.text = string(runes)
		}
		m.segments = append(m.segments, s)
		runes, general = nil, fold
	}
	for k := 0; k < len(pattern); {
		r, n := utf8.DecodeRuneInString(pattern[k:])
		k += n
		switch {
		case r == '%':
			end()
			continue
		case r == '_':
			r, general = anyRune, true
		case r == '\\' && k < len(pattern):
			r, n = utf8.DecodeRuneInString(pattern[k:])
			k += n
			fallthrough
		default:
			if fold {
				r = foldRune(r)
			}
		}
		runes = append(runes, r)
		m.least++
	}
	end()
	for k := 1; k < len(m.segments)-1; k++ {
		if s := &m.segments[k]; len(s.runes) > 0 {
			s.find = newShiftAnd(s.runes)
		}
	}
	return m
}

// match reports whether the pattern matches all of s.
func (m *matcher) match(s string) bool {
	if len(s) < m.least {
		return false
	}
	last := len(m.segments) - 1
	s, ok := m.segments[0].prefix(s, m.fold)
	if !ok || last == 0 {
		return ok && s == ""
	}
	if s, ok = m.segments[last].suffix(s, m.fold); !ok {
		return false
	}
	for k := 1; k < last; k++ {
		if s, ok = m.segments[k].search(s, m.fold); !ok {
			return false
		}
	}
	return true
}

func (g *segment) prefix(s string, fold bool) (string, bool) {
	if g.runes == nil {
		return strings.CutPrefix(s, g.text)
	}
	for _, want := range g.runes {
		r, n := utf8.DecodeRuneInString(s)
		if n == 0 || !same(want, r, fold) {
			return "", false
		}
		s = s[n:]
	}
	return s, true
}

func (g *segment) suffix(s string, fold bool) (string, bool) {
	if g.runes == nil {
		return strings.CutSuffix(s, g.text)
	}
	for k := len(g.runes) - 1; k >= 0; k-- {
		r, n := utf8.DecodeLastRuneInString(s)
		if n == 0 || !same(g.runes[k], r, fold) {
			return "", false
		}
		s = s[:len(s)-n]
	}
	return s, true
}

// search returns what is behind the leftmost occurrence of g in s.
func (g *segment) search(s string, fold bool) (string, bool) {
	if g.runes == nil {
		k := strings.Index(s, g.text)
		if k < 0 {
			return "", false
		}
		return s[k+len(g.text):], true
	}
	return g.find.search(s, fold)
}

func same(want, r rune, fold bool) bool {
	if fold && want != r {
		r = foldRune(r)
	}
	return want == anyRune || want == r
}

// foldRune returns the least of the characters that are equal under Unicode's
// simple case folding: upper case for ASCII letters.
func foldRune(r rune) rune {
	if r < utf8.RuneSelf {
		if 'a' <= r && r <= 'z' {
			r -= 'a' - 'A'
		}
		return r
	}
	least := r
	for c := unicode.SimpleFold(r); c != r; c = unicode.SimpleFold(c) {
		least = min(least, c)
	}
	return least
}

// shiftAnd finds a segment by the Shift-And algorithm (Baeza-Yates, Gonnet: "A
// New Approach to Text Searching", CACM 35(10), 1992): bit k of the state says
// that the last k+1 characters match the first k+1 of the segment. Each
// character of the text costs one word for every 64 of the segment, whatever
// both hold, where trying every place could cost one step for each.
type shiftAnd struct {
	size  int
	words int
	wild  []uint64 // where any character may stand
	masks map[rune][]uint64
}

func newShiftAnd(runes []rune) *shiftAnd {
	f := &shiftAnd{size: len(runes), words: (len(runes) + 63) / 64, masks: map[rune][]uint64{}}
	f.wild = make([]uint64, f.words)
	for k, r := range runes {
		if r == anyRune {
			f.wild[k/64] |= 1 << (k % 64)
		}
	}
	for k, r := range runes {
		if r == anyRune {
			continue
		}
		if f.masks[r] == nil {
			f.masks[r] = append([]uint64(nil), f.wild...)
		}
		f.masks[r][k/64] |= 1 << (k % 64)
	}
	return f
}

func (f *shiftAnd) search(s string, fold bool) (string, bool) {
	var small [8]uint64
	state := small[:]
	if f.words > len(small) {
		state = make([]uint64, f.words)
	}
	state = state[:f.words]
	accept := uint64(1) << ((f.size - 1) % 64)
	for k, r := range s {
		if fold {
			r = foldRune(r)
		}
		mask := f.masks[r]
		if mask == nil {
			mask = f.wild
		}
		carry := uint64(1)
		for w := range state {
			next := state[w] >> 63
			state[w] = (state[w]<<1 | carry) & mask[w]
			carry = next
		}
		if state[f.words-1]&accept != 0 {
			_, n := utf8.DecodeRuneInString(s[k:])
			return s[k+n:], true
		}
	}
	return "", false
}
