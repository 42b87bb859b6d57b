package gen

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// tag is what the tag of a field says.
type tag struct {
	skip  bool
	key   string // "" when the name decides
	index bool
	def   *string // nil without default
	enum  []string
}

const tagOptions = "the options are key=, index, default= and enum="

// parseTag reads the tag of a field as it stands in the source.
func parseTag(literal string) (t tag, problems []string) {
	text, err := strconv.Unquote(literal)
	if err != nil {
		return t, []string{"the tag is not a string"}
	}
	value, ok := reflect.StructTag(text).Lookup("ankurah")
	if !ok {
		if strings.Contains(text, "ankurah") {
			problems = append(problems, "the tag is not well formed: write `ankurah:\"key,option,option\"`")
		}
		return t, problems
	}
	fail := func(msg string) { problems = append(problems, msg) }
	parts, ok := split(value, ',')
	if !ok {
		return t, []string{"the tag has a ' without its end"}
	}
	first, rest := strings.TrimSpace(parts[0]), parts[1:]
	name, _, isOption := strings.Cut(first, "=")
	switch {
	case first == "-" && len(rest) == 0:
		return tag{skip: true}, nil
	case first == "-":
		fail("a skipped field has no options")
	case isOption && name == "key":
		rest = parts
	case isOption:
		fail("the first part of a tag is the key: write `ankurah:\"," + first + "\"`")
	case first == "index" || first == "text":
		fail("the first part of a tag is the key: write `ankurah:\"," + first + "\"` for the option, `ankurah:\"key=" + first + "\"` for the key")
	default:
		t.key = unquote(first)
	}
	seen := map[string]bool{"key": t.key != ""}
	for _, part := range rest {
		name, value, has := strings.Cut(strings.TrimSpace(part), "=")
		if seen[name] && name != "" {
			fail("the tag gives " + name + " twice")
			continue
		}
		seen[name] = true
		switch {
		case name == "text":
			fail("collaborative text is not supported yet; use a plain string register")
		case name == "index" && !has:
			t.index = true
		case name == "index":
			fail("the option index takes no value")
		case name == "key" && value != "":
			t.key = unquote(value)
		case name == "default" && has:
			value = unquote(value)
			t.def = &value
		case name == "enum" && value != "":
			if t.enum, ok = parseEnum(value); !ok {
				fail("an enum lists texts that differ and are not empty: enum=a|b|c")
			}
		case name == "key" || name == "default" || name == "enum":
			fail("the option " + name + " needs a value: " + name + "=…")
		case name == "":
			fail("the tag has an empty option")
		default:
			fail("unknown option " + strconv.Quote(name) + ": " + tagOptions)
		}
	}
	return t, problems
}

func parseEnum(value string) (enum []string, ok bool) {
	parts, ok := split(value, '|')
	for _, e := range parts {
		e = unquote(e)
		if e == "" || slices.Contains(enum, e) {
			return nil, false
		}
		enum = append(enum, e)
	}
	return enum, ok
}

// split cuts s at sep. Text in single quotes is not cut; a quote opens only
// where a value begins. It reports false when a quote stays open.
func split(s string, sep byte) (parts []string, ok bool) {
	start := 0
	for k := 0; k < len(s); k++ {
		switch {
		case s[k] == '\'' && (k == start || s[k-1] == '=' || s[k-1] == '|'):
			n := quoted(s[k:])
			if n == 0 {
				return nil, false
			}
			k += n - 1
		case s[k] == sep:
			parts = append(parts, s[start:k])
			start = k + 1
		}
	}
	return append(parts, s[start:]), true
}

// quoted returns the length of the text in single quotes that s begins with, 0
// when it has no end. Two quotes inside stand for one.
func quoted(s string) int {
	for k := 1; k < len(s); k++ {
		if s[k] != '\'' {
			continue
		}
		if k+1 == len(s) || s[k+1] != '\'' {
			return k + 1
		}
		k++
	}
	return 0
}

// unquote returns what stands in single quotes when they enclose all of s, and
// any other text as it is.
func unquote(s string) string {
	if s == "" || s[0] != '\'' || quoted(s) != len(s) {
		return s
	}
	return strings.ReplaceAll(s[1:len(s)-1], "''", "'")
}
