package ankql

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ankurah/ankurah-go/internal/limit"
)

var (
	// ErrQuery is wrapped by every error about a query's text, [ErrSyntax] and
	// [ErrBind] alike.
	ErrQuery = errors.New("query")
	// ErrSyntax is wrapped by every error of [Parse] and [ParseExpr].
	ErrSyntax = errors.New("query syntax")
	// ErrBind is wrapped by every error of [Bind] and [BindExpr].
	ErrBind = errors.New("query binding")
	// ErrReferencePath is wrapped, beside [ErrBind], by the error for a path
	// that goes through a reference.
	ErrReferencePath = errors.New("path through a reference")
	// ErrCursor is wrapped by every error of [ParseCursor].
	ErrCursor = errors.New("not a cursor")
)

// SyntaxError says where a text is not AnkQL, and what was expected there. It
// wraps [ErrSyntax].
type SyntaxError struct {
	Text string // the whole query
	Pos  int    // byte offset into Text
	Line int    // from 1
	Col  int    // from 1, in code points
	Msg  string // what was expected, and what was found
	Err  error  // the limit that it is about, nil for none
}

func (e *SyntaxError) Error() string {
	return "ankurah: " + place(e.Line, e.Col) + e.Msg + ": " + excerpt(e.Text, e.Pos)
}

func (e *SyntaxError) Unwrap() []error {
	if e.Err == nil {
		return []error{ErrSyntax, ErrQuery}
	}
	return []error{ErrSyntax, ErrQuery, e.Err}
}

// tooMuch is a syntax error about a limit.
func tooMuch(text string, pos int, err *limit.Error) *SyntaxError {
	e := syntaxError(text, pos, err.Error())
	e.Err = err
	return e
}

func syntaxError(text string, pos int, msg string) *SyntaxError {
	line, col := position(text, pos)
	return &SyntaxError{Text: text, Pos: pos, Line: line, Col: col, Msg: msg}
}

// BindError says why a query does not fit a model or its arguments. It wraps
// [ErrBind], and Err when there is one.
type BindError struct {
	Pos   int    // byte offset into the query, -1 when the error is of no place in it
	Line  int    // from 1; 0 when the text is not known or Pos is -1
	Col   int    // from 1, in code points; 0 when Line is
	Param string // the parameter at fault, such as "2" or ":name"; "" when none is
	Msg   string
	Err   error // nil, [ErrReferencePath], or what a conversion reported
}

func (e *BindError) Error() string {
	s := "ankurah: " + place(e.Line, e.Col)
	if e.Param != "" {
		s += "parameter " + e.Param + ": "
	}
	return s + e.Msg
}

func (e *BindError) Unwrap() []error {
	if e.Err == nil {
		return []error{ErrBind, ErrQuery}
	}
	return []error{ErrBind, ErrQuery, e.Err}
}

func place(line, col int) string {
	if line == 0 {
		return ""
	}
	return "line " + strconv.Itoa(line) + ", column " + strconv.Itoa(col) + ": "
}

// position returns the line and the column, in code points, of a byte offset.
func position(text string, pos int) (line, col int) {
	pos = min(pos, len(text))
	start := strings.LastIndexByte(text[:pos], '\n') + 1
	return 1 + strings.Count(text[:pos], "\n"), 1 + utf8.RuneCountInString(text[start:pos])
}

// excerptRunes is how much of a query an error shows on each side.
const excerptRunes = 20

// excerpt quotes the text around pos, with ▸ at pos.
func excerpt(text string, pos int) string {
	pos = min(pos, len(text))
	from, to := pos, pos
	for range excerptRunes {
		_, n := utf8.DecodeLastRuneInString(text[:from])
		from -= n
		_, n = utf8.DecodeRuneInString(text[to:])
		to += n
	}
	var b strings.Builder
	if from > 0 {
		b.WriteString("…")
	}
	b.WriteString(printable(text[from:pos]))
	b.WriteString("▸")
	b.WriteString(printable(text[pos:to]))
	if to < len(text) {
		b.WriteString("…")
	}
	return b.String()
}

// printable keeps an error on one line.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7F {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// shorten cuts names and texts that appear in errors.
func shorten(s string) string {
	const most = 40
	n := 0
	for k := range s {
		if n == most {
			return s[:k] + "…"
		}
		n++
	}
	return s
}
