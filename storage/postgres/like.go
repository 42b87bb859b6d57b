package postgres

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/value"
)

// maxRegexp is the length of an ILIKE pattern, in bytes, above which it is left
// to the evaluator.
const maxRegexp = 256

// like compiles LIKE and ILIKE with a constant pattern.
func (c *compiler) like(e *ankql.Like) (string, bool) {
	x, ok := c.operand(e.X)
	if !ok || x.lit != nil || !isConstant(e.Pattern) {
		return "", false
	}
	v := ankql.Operand(e.Pattern, nil).Unwrap()
	switch {
	case v.IsNull():
		return "NULL::boolean", true
	case v.Kind() != value.KindString || x.typ.Kind != value.KindString && x.typ.Kind != value.KindJSON:
		return unless(x, "FALSE"), true
	case !storable(v.Text()) || len(v.Text()) > ankql.MaxPattern || e.Fold && len(v.Text()) > maxRegexp:
		return "", false
	}
	pattern := v.Text()
	match := func(text string) string {
		if e.Fold {
			return text + " ~ " + c.arg(foldedRegexp(pattern), "text")
		}
		return text + " LIKE " + c.arg(closed(pattern), "text")
	}
	if x.typ.Kind == value.KindJSON {
		return "CASE jsonb_typeof(" + x.sql + ") WHEN 'string' THEN " + match(textIn(x)) + " ELSE " + unless(x, "FALSE") + " END", true
	}
	if x.col != nil && !e.Fold && c.c.prefixed(x.col.key) {
		// The range that an index can serve says nothing new, or all.
		if lo, hi, whole := literalPrefix(pattern); lo != "" {
			sql := prefixOf(x.col) + " >= " + c.arg(lo, "text")
			if hi != "" {
				sql += " AND " + prefixOf(x.col) + " < " + c.arg(hi, "text")
			}
			if !whole {
				sql += " AND " + match(x.sql)
			}
			return "(" + sql + ")", true
		}
	}
	return "(" + match(x.sql) + ")", true
}

// closed returns a pattern in which a backslash at the end stands for itself,
// which PostgreSQL refuses.
func closed(pattern string) string {
	n := len(pattern) - len(strings.TrimRight(pattern, `\`))
	if n%2 == 1 {
		return pattern + `\`
	}
	return pattern
}

// tokens calls f for each character of a pattern; wild says that it is % or _.
func tokens(pattern string, f func(r rune, wild bool) bool) {
	for k := 0; k < len(pattern); {
		r, n := utf8.DecodeRuneInString(pattern[k:])
		k += n
		wild := r == '%' || r == '_'
		if r == '\\' && k < len(pattern) {
			r, n = utf8.DecodeRuneInString(pattern[k:])
			k += n
		}
		if !f(r, wild) {
			return
		}
	}
}

// foldedRegexp returns the regular expression that ILIKE is: PostgreSQL's own
// ILIKE folds as the locale does.
func foldedRegexp(pattern string) string {
	var b strings.Builder
	b.WriteString("^")
	tokens(pattern, func(r rune, wild bool) bool {
		switch {
		case wild && r == '%':
			b.WriteString(".*")
		case wild:
			b.WriteString(".")
		default:
			b.WriteString("[")
			fmt.Fprintf(&b, `\U%08x`, r)
			for c := unicode.SimpleFold(r); c != r; c = unicode.SimpleFold(c) {
				fmt.Fprintf(&b, `\U%08x`, c)
			}
			b.WriteString("]")
		}
		return true
	})
	return b.String() + "$"
}

// literalPrefix returns the range of what a pattern's beginning allows, of the
// beginnings that indexes hold: from lo on, below hi if that is not empty. whole
// says that it is all that the pattern asks for.
func literalPrefix(pattern string) (lo, hi string, whole bool) {
	var head []rune
	any := false // a % came
	whole = true
	tokens(pattern, func(r rune, wild bool) bool {
		switch {
		case wild && r == '%':
			any = true
		case wild || any || len(head) == prefixLen:
			whole = false
			return false
		default:
			head = append(head, r)
		}
		return true
	})
	whole = whole && any
	for k := len(head) - 1; k >= 0; k-- {
		next := head[k] + 1
		if next == 0xD800 { // surrogates are no characters
			next = 0xE000
		}
		if next <= unicode.MaxRune {
			return string(head), string(append(append([]rune{}, head[:k]...), next)), whole
		}
	}
	return string(head), "", whole
}
