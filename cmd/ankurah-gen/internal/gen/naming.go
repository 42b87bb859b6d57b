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

func isSmall(r []rune, k int) bool {
	return k < len(r) && r[k] != '_' && !unicode.IsUpper(r[k]) && !unicode.IsDigit(r[k])
}

func isDigit(r []rune, k int) bool { return k < len(r) && unicode.IsDigit(r[k]) }

// wordEnd returns where the word ends that begins at k.
func wordEnd(r []rune, k int) int {
	end := k
	if w := mixedAt(r, k); w > 0 {
		end += w
	} else if run := capitals(r, k); run > 0 {
		end += run
	} else if unicode.IsUpper(r[k]) {
		end++
	}
	for {
		for isSmall(r, end) && !(end > k && capitals(r, k) == end-k && capitals(r, k) > 1) {
			end++
		}
		if !isDigit(r, end) {
			return end
		}
		for isDigit(r, end) {
			end++
		}
		// A lone capital after digits ends the word: B2B, 3D.
		if capitals(r, end) == 1 {
			end++
		}
	}
}
