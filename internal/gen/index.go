package gen

import (
	"go/token"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of the engines.
const (
	maxColumns = 16
	maxParts   = 32
)

// column is one column of an index.
type column struct {
	path []string
	desc bool
}

// index is an index of a model, by tag or by directive.
type index struct{ columns []column }

// text returns the index as its directive spells it.
func (x index) text() string {
	var b strings.Builder
	for k, c := range x.columns {
		if k > 0 {
			b.WriteString(", ")
		}
		b.WriteString(c.text())
		if c.desc {
			b.WriteString(" desc")
		}
	}
	return b.String()
}

func (c column) text() string {
	parts := make([]string, len(c.path))
	for k, p := range c.path {
		parts[k] = p
		if wordLen(p) != len(p) {
			parts[k] = `"` + strings.ReplaceAll(p, `"`, `""`) + `"`
		}
	}
	return strings.Join(parts, ".")
}

// parseIndex reads the columns of an index directive: paths with asc or desc
// behind them, separated by commas.
func parseIndex(text string) (x index, problem string) {
	rest := strings.TrimSpace(text)
	if rest == "" {
		return x, "an index names its columns: //ankurah:index artist, year desc"
	}
	for {
		var c column
		if c.path, rest, problem = parsePath(rest); problem != "" {
			return x, problem
		}
		word := rest[:wordLen(rest)]
		switch strings.ToLower(word) {
		case "desc":
			c.desc = true
		case "asc", "":
		default:
			return x, strconv.Quote(word) + " is neither asc nor desc"
		}
		x.columns = append(x.columns, c)
		rest = strings.TrimSpace(rest[len(word):])
		if rest == "" {
			return x, ""
		}
		if rest[0] != ',' {
			return x, "a comma is missing before " + strconv.Quote(rest)
		}
		rest = strings.TrimSpace(rest[1:])
	}
}

// parsePath reads words or "quoted words" with dots between them.
func parsePath(text string) (path []string, rest, problem string) {
	for {
		part, n := "", wordLen(text)
		switch {
		case n > 0:
			part = text[:n]
		case strings.HasPrefix(text, `"`):
			part, n = quotedWord(text)
			if n == 0 {
				return nil, text, `a " has no end`
			}
		case text == "":
			return nil, text, "the list of columns ends too early"
		default:
			return nil, text, "a column is a property key or a path into JSON, not " + strconv.Quote(text)
		}
		path = append(path, part)
		if text = text[n:]; !strings.HasPrefix(text, ".") {
			return path, strings.TrimSpace(text), ""
		}
		text = text[1:]
	}
}

// wordLen returns the length of the word that s begins with.
func wordLen(s string) int {
	for k, r := range s {
		if r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return k
		}
	}
	return len(s)
}

// quotedWord returns the word in quotes that s begins with, and the length of
// what spells it; 0 when it has no end.
func quotedWord(s string) (word string, n int) {
	var b strings.Builder
	for k := 1; k < len(s); k++ {
		if s[k] != '"' {
			b.WriteByte(s[k])
			continue
		}
		if k+1 == len(s) || s[k+1] != '"' {
			return b.String(), k + 1
		}
		b.WriteByte('"')
		k++
	}
	return "", 0
}

// addIndex adds x to m if it can be built.
func (g *generator) addIndex(m *model, pos token.Pos, x index) {
	if n := len(x.columns); n > maxColumns {
		g.errorf(pos, "an index has at most %d columns, not %d", maxColumns, n)
		return
	}
	seen := map[string]bool{}
	for _, c := range x.columns {
		text := c.text()
		if problem := m.columnProblem(c); problem != "" {
			g.errorf(pos, "index on %s: %s", text, problem)
			return
		}
		if seen[text] {
			g.errorf(pos, "the index names %s twice", text)
			return
		}
		seen[text] = true
	}
	for _, y := range m.indexes {
		if y.text() == x.text() {
			g.errorf(pos, "the index on %s is declared twice", x.text())
			return
		}
	}
	m.indexes = append(m.indexes, x)
}

func (m *model) columnProblem(c column) string {
	for _, p := range c.path {
		if p == "" || !utf8.ValidString(p) || len(p) > maxName {
			return "a part of a path has 1 to " + strconv.Itoa(maxName) + " bytes"
		}
	}
	if len(c.path) > maxParts {
		return "a path has at most " + strconv.Itoa(maxParts) + " parts"
	}
	if c.path[0] == "id" {
		return "every index ends with the entity's ID as it is"
	}
	for _, f := range m.fields {
		if f.key == c.path[0] {
			if len(c.path) > 1 && f.shape.kind != kindJSON {
				return f.key + " is not JSON and has nothing inside"
			}
			return ""
		}
	}
	if m.broken[c.path[0]] {
		return ""
	}
	for _, f := range m.fields {
		if f.name == c.path[0] {
			return "indexes name stored keys: " + strconv.Quote(f.key)
		}
	}
	return m.name + " has no such property"
}
