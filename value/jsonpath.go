package value

import (
	"iter"
	"strconv"
	"strings"
)

// Unwrap returns the scalar that a JSON value holds, and any other value as it
// is. Integers that fit int64 come as such, other numbers as float64.
func (v Value) Unwrap() Value {
	if v.kind != KindJSON || v.s == "" || v.s[0] == '{' || v.s[0] == '[' {
		return v
	}
	return jsonScalar(v.s)
}

// jsonScalar returns the value that canonical text holds.
func jsonScalar(s string) Value {
	switch s[0] {
	case '{', '[':
		return Value{kind: KindJSON, s: s}
	case '"':
		return String(unquote(s))
	case 't':
		return Bool(true)
	case 'f':
		return Bool(false)
	case 'n':
		return Null
	}
	// Canonical text was parsed before, so there are no errors; and an integer
	// is what has neither point nor exponent. Trying ParseInt on the others
	// would allocate its error.
	if strings.ContainsAny(s, ".e") {
		f, _ := strconv.ParseFloat(s, 64)
		return Float64(f)
	}
	n, _ := strconv.ParseInt(s, 10, 64)
	return Int64(n)
}

// unquote returns the text of a canonical JSON string.
func unquote(s string) string {
	inner := s[1 : len(s)-1]
	if strings.IndexByte(inner, '\\') < 0 {
		return inner
	}
	p := jsonParser{text: s}
	text, _ := p.str()
	return text
}

// skip returns the end of the value that begins at s[k] of canonical text.
func skip(s string, k int) int {
	depth := 0
	for k < len(s) {
		switch s[k] {
		case '"':
			k = skipString(s, k)
			if depth == 0 {
				return k
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return k
			}
			if depth--; depth == 0 {
				return k + 1
			}
		case ',':
			if depth == 0 {
				return k
			}
		}
		k++
	}
	return k
}

// skipString returns the end of the string that begins at s[k].
func skipString(s string, k int) int {
	for k++; k < len(s); k++ {
		switch s[k] {
		case '\\':
			k++
		case '"':
			return k + 1
		}
	}
	return len(s)
}

// Lookup returns what stands at a path inside a JSON value: scalars as in
// [Value.Unwrap], objects and arrays as JSON values, null where nothing is. A
// key that is a decimal number selects an element of an array, counted from 0.
// It walks the text and builds no tree.
func (v Value) Lookup(keys ...string) Value {
	if v.kind != KindJSON {
		return Null
	}
	s := v.s
	for _, key := range keys {
		var ok bool
		if s, ok = member(s, key); !ok {
			return Null
		}
	}
	if s == "" {
		return Null
	}
	return jsonScalar(s)
}

// member returns the text under key in an object, or at an index of an array.
func member(s, key string) (string, bool) {
	if s == "" {
		return "", false
	}
	switch s[0] {
	case '{':
		for k := 1; k < len(s) && s[k] != '}'; {
			end := skipString(s, k)
			stop := skip(s, end+1)
			if unquote(s[k:end]) == key {
				return s[end+1 : stop], true
			}
			k = stop
			if k < len(s) && s[k] == ',' {
				k++
			}
		}
	case '[':
		n, ok := index(key)
		if !ok {
			return "", false
		}
		for k := 1; k < len(s) && s[k] != ']'; n-- {
			stop := skip(s, k)
			if n == 0 {
				return s[k:stop], true
			}
			if k = stop; k < len(s) && s[k] == ',' {
				k++
			}
		}
	}
	return "", false
}

// index reads a decimal number below [MaxSize], beyond which no array reaches.
func index(key string) (n int, ok bool) {
	for _, c := range []byte(key) {
		if n = n*10 + int(c-'0'); c < '0' || c > '9' || n > MaxSize {
			return 0, false
		}
	}
	return n, key != ""
}

// Elements yields the elements of a list, or of a JSON array as in
// [Value.Unwrap]; nothing of any other value.
func (v Value) Elements() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		for _, e := range v.list {
			if !yield(e) {
				return
			}
		}
		s := v.s
		if v.kind != KindJSON || s == "" || s[0] != '[' {
			return
		}
		for k := 1; k < len(s) && s[k] != ']'; {
			stop := skip(s, k)
			if !yield(jsonScalar(s[k:stop])) {
				return
			}
			if k = stop; k < len(s) && s[k] == ',' {
				k++
			}
		}
	}
}

// fields yields keys and values of a JSON object.
func (v Value) fields() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		s := v.s
		for k := 1; k < len(s) && s[k] != '}'; {
			end := skipString(s, k)
			stop := skip(s, end+1)
			if !yield(unquote(s[k:end]), jsonScalar(s[end+1:stop])) {
				return
			}
			if k = stop; k < len(s) && s[k] == ',' {
				k++
			}
		}
	}
}
