package ankql

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"
)

// naiveLike is LIKE as it is defined: % is any text, tried at every length.
func naiveLike(pattern, s []rune, fold bool) bool {
	if len(pattern) == 0 {
		return len(s) == 0
	}
	p := pattern[0]
	switch {
	case p == '%':
		for k := range len(s) + 1 {
			if naiveLike(pattern[1:], s[k:], fold) {
				return true
			}
		}
		return false
	case len(s) == 0:
		return false
	case p == '_':
		return naiveLike(pattern[1:], s[1:], fold)
	case p == '\\' && len(pattern) > 1:
		pattern = pattern[1:]
		p = pattern[0]
	}
	if p != s[0] && !(fold && strings.EqualFold(string(p), string(s[0]))) {
		return false
	}
	return naiveLike(pattern[1:], s[1:], fold)
}

// likeRegexp translates a pattern to a regular expression.
func likeRegexp(pattern string, fold bool) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`(?s`)
	if fold {
		b.WriteString(`i`)
	}
	b.WriteString(`)\A`)
	escaped := false
	runes := []rune(pattern)
	for k, r := range runes {
		switch {
		case escaped:
			b.WriteString(regexp.QuoteMeta(string(r)))
			escaped = false
		case r == '\\' && k < len(runes)-1:
			escaped = true
		case r == '%':
			b.WriteString(".*")
		case r == '_':
			b.WriteString(".")
		default:
			b.WriteString(regexp.QuoteMeta(string(r)))
		}
	}
	b.WriteString(`\z`)
	return regexp.MustCompile(b.String())
}

// TestLike against the definition and against regular expressions (S42).
func TestLike(t *testing.T) {
	r := rand.New(rand.NewPCG(42, 1))
	random := func(most int, from ...string) string {
		var b strings.Builder
		for range r.IntN(most + 1) {
			b.WriteString(oneOf(r, from...))
		}
		return b.String()
	}
	matches := [2]int{}
	for k := range 60000 {
		fold := k%2 == 0
		pattern := random(7, "%", "_", "%", "a", "b", "A", `\`, `\%`, `\_`, "é", "É", "k", "ſ", "日", ".", "𝄞")
		s := random(8, "a", "b", "a", "A", "B", `\`, "%", "_", "é", "É", "K", "\u212A", "S", "日", ".", "\n", "𝄞")
		want := naiveLike([]rune(pattern), []rune(s), fold)
		if got := compileLike(pattern, fold).match(s); got != want {
			t.Fatalf("%q LIKE %q (fold %v): got %v, want %v", s, pattern, fold, got, want)
		}
		if k%8 < 2 {
			if got := likeRegexp(pattern, fold).MatchString(s); got != want {
				t.Fatalf("%q LIKE %q (fold %v): regexp says %v, the definition %v", s, pattern, fold, got, want)
			}
		}
		if want {
			matches[k%2]++
		}
	}
	if min(matches[0], matches[1]) < 1000 {
		t.Fatalf("too few matches to mean much: %v", matches)
	}
}

// TestLikeLong: segments longer than a machine word, and than what the search
// keeps on the stack.
func TestLikeLong(t *testing.T) {
	r := rand.New(rand.NewPCG(42, 2))
	for _, n := range []int{1, 63, 64, 65, 127, 128, 129, 511, 512, 513, 700} {
		for range 50 {
			seg := make([]byte, n)
			for k := range seg {
				seg[k] = "ab_"[r.IntN(3)]
			}
			seg[r.IntN(n)] = '_'
			hit := strings.Map(func(c rune) rune {
				if c == '_' {
					return oneOf(r, 'a', 'b', 'é')
				}
				return c
			}, string(seg))
			pad := strings.Repeat(oneOf(r, "a", "b", "ab"), r.IntN(40))
			pattern := "%" + string(seg) + "%"
			if !compileLike(pattern, false).match(pad + hit + pad) {
				t.Fatalf("%q does not match %q", pattern, pad+hit+pad)
			}
			miss := strings.NewReplacer("a", "c", "b", "c", "é", "c").Replace(hit)
			want := strings.Trim(string(seg), "_") == ""
			if got := compileLike(pattern, false).match(pad + miss); got != want {
				t.Fatalf("%q on %q: %v", pattern, pad+miss, got)
			}
		}
	}
}

// TestLikeHostile: patterns that make a backtracking matcher try everything,
// for longer than anybody waits.
func TestLikeHostile(t *testing.T) {
	s := strings.Repeat("a", 64<<10)
	begin := time.Now()
	for _, pattern := range []string{
		strings.Repeat("%a", MaxPattern/2) + "%b",
		"%" + strings.Repeat("a", MaxPattern-10) + "b%",
		"%" + strings.Repeat("a_", MaxPattern/2-2) + "b%",
		strings.Repeat("%_", MaxPattern/2) + "b%",
		strings.Repeat("%_a_b", MaxPattern/5) + "%",
	} {
		for _, fold := range []bool{false, true} {
			if compileLike(pattern, fold).match(s) {
				t.Errorf("%.20q… matches", pattern)
			}
		}
	}
	if d := time.Since(begin); d > time.Minute {
		t.Errorf("took %v", d)
	}
}
