package gen

import (
	"slices"
	"strings"
	"unicode"
)

// mixed are the words that break the rule of capitals.
var mixed = []string{"GitHub", "GraphQL", "IPv", "MySQL", "OAuth", "PostgreSQL", "SQLite"}

// Snake returns the stored form of a Go name: its words in lower case with
// underscores between them. A run of capitals is one word, with the s of a
// plural; digits belong to the word before them. Stored data depends on this
// function: what it returns for a name may never change.
func Snake(name string) string { return strings.ToLower(strings.Join(words(name), "_")) }

// Plural returns the plural of a model's name, in the spelling of English.
func Plural(name string) string {
	low := strings.ToLower(name)
	switch {
	case len(low) > 1 && strings.HasSuffix(low, "y") && !strings.ContainsRune("aeiou", rune(low[len(low)-2])):
		return name[:len(name)-1] + "ies"
	case strings.HasSuffix(low, "s"), strings.HasSuffix(low, "x"), strings.HasSuffix(low, "z"),
		strings.HasSuffix(low, "ch"), strings.HasSuffix(low, "sh"):
		return name + "es"
	}
	return name + "s"
}

// unexported returns name with its first word in lower case.
func unexported(name string) string {
	ws := words(name)
	if len(ws) == 0 {
		return name
	}
	k := strings.Index(name, ws[0])
	return name[:k] + strings.ToLower(ws[0]) + name[k+len(ws[0]):]
}

// words splits a Go identifier.
func words(name string) (out []string) {
	r := []rune(name)
	for k := 0; k < len(r); {
		if r[k] == '_' {
			k++
			continue
		}
		end := wordEnd(r, k)
		out = append(out, string(r[k:end]))
		k = end
	}
	return out
}

func isUpper(r []rune, k int) bool { return k < len(r) && unicode.IsUpper(r[k]) }
func isDigit(r []rune, k int) bool { return k < len(r) && unicode.IsDigit(r[k]) }
func isSmall(r []rune, k int) bool {
	return k < len(r) && r[k] != '_' && !isUpper(r, k) && !isDigit(r, k)
}

// wordEnd returns where the word ends that begins at k.
func wordEnd(r []rune, k int) int {
	end := k + max(mixedAt(r, k), capitals(r, k))
	if end == k {
		if isUpper(r, end) {
			end++
		}
		for isSmall(r, end) {
			end++
		}
	}
	for isDigit(r, end) {
		for isDigit(r, end) {
			end++
		}
		for isSmall(r, end) {
			end++
		}
		// A lone capital clings to the digits before it: B2B, 3D.
		if capitals(r, end) == 1 {
			end++
		}
	}
	return end
}

// capitals returns how many runes at k are one word in capitals. The capital
// that begins a word in small letters is none of them.
func capitals(r []rune, k int) int {
	end := k
	for isUpper(r, end) {
		end++
	}
	switch run := end - k; {
	case run == 0 || !isSmall(r, end):
		return run
	case run > 1 && r[end] == 's' && !isSmall(r, end+1):
		return run + 1
	default:
		return run - 1
	}
}

// mixedAt returns the length of the mixed word at k, 0 where none stands.
func mixedAt(r []rune, k int) int {
	for _, w := range mixed {
		n := len(w)
		if k+n <= len(r) && slices.Equal(r[k:k+n], []rune(w)) && !isSmall(r, k+n) {
			return n
		}
	}
	return 0
}
