package value

import (
	"math"
	"strconv"
	"strings"

	"github.com/ankurah/ankurah-go/internal/hex"
)

// plain returns the text of a scalar without quotes.
func (v Value) plain() string {
	switch v.kind {
	case KindBytes:
		return hex.Encode(v.s)
	case KindTime:
		return v.Time().Format("2006-01-02T15:04:05.999999Z")
	case KindID:
		return v.ID().String()
	}
	return v.s
}

// String returns v as a literal of the query language: 2001, 1.5, TRUE, NULL,
// text in single quotes with those inside doubled, ('a', 'b'). What has no
// literal of its own is the quoted text that [Convert] reads: times in RFC 3339
// with at most six decimals, IDs in 26 characters, bytes in hexadecimal, JSON
// documents, NaN and the infinities.
func (v Value) String() string {
	switch v.kind {
	case KindNull:
		return "NULL"
	case KindBool:
		if v.Bool() {
			return "TRUE"
		}
		return "FALSE"
	case KindInt32, KindInt64:
		return strconv.FormatInt(int64(v.n), 10)
	case KindFloat64:
		return floatLiteral(v.Float())
	case KindList:
		var b strings.Builder
		b.WriteByte('(')
		for k, e := range v.list {
			if k > 0 {
				b.WriteString(", ")
			}
			b.WriteString(e.String())
		}
		b.WriteByte(')')
		return b.String()
	}
	return "'" + strings.ReplaceAll(v.plain(), "'", "''") + "'"
}

// floatLiteral always has a point or an exponent where it is a number, so that
// it reads back as a float.
func floatLiteral(f float64) string {
	switch {
	case f != f:
		return "'NaN'"
	case math.IsInf(f, 1):
		return "'Infinity'"
	case math.IsInf(f, -1):
		return "'-Infinity'"
	}
	s := strconv.FormatFloat(f, 'g', -1, 64)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return s
}
