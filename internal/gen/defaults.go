package gen

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// bits are the sizes of the numbers; those of unsigned ones are negative.
var bits = map[string]int{
	"int8": 8, "int16": 16, "int32": 32, "rune": 32, "int": 64, "int64": 64,
	"uint8": -8, "byte": -8, "uint16": -16, "uint32": -32,
	"float32": 32, "float64": 64,
}

// literal returns the Go expression of a default, which is checked as a value
// of the property would be (S46), or what is wrong with it.
func (s *shape) literal(text string) (expr, problem string) {
	noun := ""
	switch s.kind {
	case kindString:
		if utf8.ValidString(text) && strings.IndexByte(text, 0) < 0 {
			return strconv.Quote(text), ""
		}
		noun = "UTF-8 without U+0000"
	case kindBool:
		if text == "true" || text == "false" {
			return text, ""
		}
		noun = "true or false"
	case kindInt32, kindInt64:
		if n, ok := parseInt(text, bits[s.basic]); ok {
			if n < math.MinInt32 || n > math.MaxInt32 {
				return "int64(" + strconv.FormatInt(n, 10) + ")", ""
			}
			return strconv.FormatInt(n, 10), ""
		}
		noun = "a value of " + s.basic
	case kindFloat64:
		x, err := strconv.ParseFloat(text, bits[s.basic])
		if err == nil && !math.IsNaN(x) && !math.IsInf(x, 0) {
			x, _ = strconv.ParseFloat(text, 64)
			expr = strconv.FormatFloat(x, 'g', -1, 64)
			if !strings.ContainsAny(expr, ".e") {
				expr += ".0"
			}
			return expr, ""
		}
		noun = "a value of " + s.basic
	case kindTime:
		for _, layout := range [...]string{time.RFC3339Nano, time.DateOnly} {
			if t, err := time.Parse(layout, text); err == nil && t.UTC().Year() >= 1 && t.UTC().Year() <= 9999 {
				return strconv.Quote(text), ""
			}
		}
		noun = "a time such as 2006-01-02T15:04:05Z"
	default:
		return "", "only strings, bools, numbers and times have defaults"
	}
	return "", "the default " + strconv.Quote(text) + " is not " + noun
}

func parseInt(text string, size int) (int64, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	if size < 0 {
		return n, err == nil && n >= 0 && n < 1<<-size
	}
	return n, err == nil && n>>(size-1) == n>>63
}
