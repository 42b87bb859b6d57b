package ankql

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// kind says what a token is. Symbols are kinds of their own.
type kind uint8

const (
	tEnd    kind = iota
	tWord        // identifier or keyword, as written
	tQuoted      // "identifier", decoded
	tText        // 'text', decoded
	tInt         // digits
	tFloat       // digits with a point or an exponent
	tMark        // ?
	tNamed       // :name, without the colon
	tLParen
	tRParen
	tComma
	tDot
	tPlus
	tMinus
	tStar
	tSlash
	tEq
	tNe
	tLt
	tLe
	tGt
	tGe
)

// keyword is a word with a meaning of its own.
type keyword uint8

const (
	notKeyword keyword = iota
	// Reserved: a field of this name needs quotes.
	kwAnd
	kwBetween
	kwContains
	kwFalse
	kwILike
	kwIn
	kwIs
	kwLike
	kwNot
	kwNull
	kwOr
	kwTrue
	// Not reserved: these words mean something only where no field can stand.
	kwAfter
	kwAsc
	kwBy
	kwDesc
	kwFirst
	kwGroup
	kwLast
	kwLimit
	kwNulls
	kwOrder
	kwSelect
	kwWhere
)

var keywords = [...]string{
	kwAnd: "AND", kwBetween: "BETWEEN", kwContains: "CONTAINS", kwFalse: "FALSE", kwILike: "ILIKE", kwIn: "IN",
	kwIs: "IS", kwLike: "LIKE", kwNot: "NOT", kwNull: "NULL", kwOr: "OR", kwTrue: "TRUE",
	kwAfter: "AFTER", kwAsc: "ASC", kwBy: "BY", kwDesc: "DESC", kwFirst: "FIRST", kwGroup: "GROUP", kwLast: "LAST",
	kwLimit: "LIMIT", kwNulls: "NULLS", kwOrder: "ORDER", kwSelect: "SELECT", kwWhere: "WHERE",
}

func (k keyword) reserved() bool { return k != notKeyword && k < kwAfter }

// lookup returns the keyword that word is in any case of its letters. Only
// ASCII letters fold, so that no other letter turns into a keyword.
func lookup(word string) keyword {
	if len(word) < 2 || len(word) > len("CONTAINS") {
		return notKeyword
	}
next:
	for k := kwAnd; int(k) < len(keywords); k++ {
		if len(keywords[k]) != len(word) {
			continue
		}
		for j := range len(word) {
			if word[j]&^0x20 != keywords[k][j] {
				continue next
			}
		}
		return k
	}
	return notKeyword
}

type token struct {
	kind kind
	kw   keyword // of a tWord
	pos  int     // byte offset of its first byte
	end  int     // byte offset behind its last byte
	text string  // words, quoted identifiers, texts, numbers and names
}

// lexer cuts text into tokens on demand, so that the first error in reading
// order is the one that is reported. It is a value: a copy looks ahead.
type lexer struct {
	text string
	pos  int
}

func isStart(r rune) bool { return r == '_' || unicode.IsLetter(r) }
func isPart(r rune) bool  { return isStart(r) || unicode.IsDigit(r) }

// space moves past white space and returns the character there and its size,
// which is 0 at the end of the text.
func (l *lexer) space() (r rune, n int) {
	for {
		r, n = utf8.DecodeRuneInString(l.text[l.pos:])
		if n == 0 || !unicode.IsSpace(r) {
			return r, n
		}
		l.pos += n
	}
}

// key returns the next token where a key can stand: behind a dot a word may
// begin with a digit, since keys are also indexes into arrays.
func (l *lexer) key() (token, *SyntaxError) {
	if r, _ := l.space(); !isPart(r) {
		return l.next()
	}
	start := l.pos
	word := l.word()
	return token{kind: tWord, pos: start, end: l.pos, text: word}, nil
}

// next returns the next token; at the end of the text it returns tEnd forever.
func (l *lexer) next() (token, *SyntaxError) {
	r, n := l.space()
	start := l.pos
	switch {
	case n == 0:
		return token{kind: tEnd, pos: start, end: start}, nil
	case r == utf8.RuneError && n == 1:
		return token{}, syntaxError(l.text, start, "the query is not valid UTF-8")
	case isStart(r):
		word := l.word()
		return token{kind: tWord, kw: lookup(word), pos: start, end: l.pos, text: word}, nil
	case r >= '0' && r <= '9':
		return l.number()
	case r == '\'':
		text, err := l.quoted('\'', "text")
		return token{kind: tText, pos: start, end: l.pos, text: text}, err
	case r == '"':
		text, err := l.quoted('"', "name")
		return token{kind: tQuoted, pos: start, end: l.pos, text: text}, err
	case r == ':':
		l.pos++
		if r, _ := utf8.DecodeRuneInString(l.text[l.pos:]); !isStart(r) {
			return token{}, syntaxError(l.text, start, "expected a parameter's name after the colon")
		}
		name := l.word()
		return token{kind: tNamed, pos: start, end: l.pos, text: name}, nil
	}
	k, size := symbol(l.text[start:])
	if size == 0 {
		return token{}, syntaxError(l.text, start, unknown(l.text[start:], r))
	}
	l.pos += size
	return token{kind: k, pos: start, end: l.pos}, nil
}

func (l *lexer) word() string {
	start := l.pos
	for l.pos < len(l.text) {
		r, n := utf8.DecodeRuneInString(l.text[l.pos:])
		if !isPart(r) {
			break
		}
		l.pos += n
	}
	return l.text[start:l.pos]
}

func (l *lexer) digits() int {
	start := l.pos
	for l.pos < len(l.text) && l.text[l.pos] >= '0' && l.text[l.pos] <= '9' {
		l.pos++
	}
	return l.pos - start
}

func (l *lexer) number() (token, *SyntaxError) {
	start, k := l.pos, tInt
	l.digits()
	if strings.HasPrefix(l.text[l.pos:], ".") {
		k = tFloat
		l.pos++
		if l.digits() == 0 {
			return token{}, syntaxError(l.text, l.pos, "expected digits after the decimal point")
		}
	}
	if l.pos < len(l.text) && l.text[l.pos]|0x20 == 'e' {
		k = tFloat
		l.pos++
		if l.pos < len(l.text) && (l.text[l.pos] == '+' || l.text[l.pos] == '-') {
			l.pos++
		}
		if l.digits() == 0 {
			return token{}, syntaxError(l.text, l.pos, "expected digits in the exponent")
		}
	}
	if r, _ := utf8.DecodeRuneInString(l.text[l.pos:]); isPart(r) {
		return token{}, syntaxError(l.text, l.pos, "expected the end of a number, found "+strconv.QuoteRune(r))
	}
	return token{kind: k, pos: start, end: l.pos, text: l.text[start:l.pos]}, nil
}

// quoted reads a text or a quoted identifier: a doubled quote stands for one.
func (l *lexer) quoted(quote byte, what string) (string, *SyntaxError) {
	open := l.pos
	body := open + 1
	doubled := false
	for k := body; k < len(l.text); k++ {
		switch c := l.text[k]; {
		case c == 0:
			return "", syntaxError(l.text, k, "a "+what+" cannot hold U+0000")
		case c == quote && k+1 < len(l.text) && l.text[k+1] == quote:
			doubled = true
			k++
		case c == quote:
			l.pos = k + 1
			s := l.text[body:k]
			if !utf8.ValidString(s) {
				return "", syntaxError(l.text, open, "this "+what+" is not valid UTF-8")
			}
			if doubled {
				q := string(quote)
				s = strings.ReplaceAll(s, q+q, q)
			}
			return s, nil
		}
	}
	return "", syntaxError(l.text, open, "the "+what+" that begins here has no closing "+string(quote))
}

// symbol returns the kind and the size of the symbol that s begins with.
func symbol(s string) (kind, int) {
	second := byte(0)
	if len(s) > 1 {
		second = s[1]
	}
	switch s[0] {
	case '?':
		return tMark, 1
	case '(':
		return tLParen, 1
	case ')':
		return tRParen, 1
	case ',':
		return tComma, 1
	case '.':
		return tDot, 1
	case '+':
		return tPlus, 1
	case '-':
		return tMinus, 1
	case '*':
		return tStar, 1
	case '/':
		return tSlash, 1
	case '=':
		if second != '=' {
			return tEq, 1
		}
	case '!':
		if second == '=' {
			return tNe, 2
		}
	case '<':
		switch second {
		case '>':
			return tNe, 2
		case '=':
			return tLe, 2
		}
		return tLt, 1
	case '>':
		if second == '=' {
			return tGe, 2
		}
		return tGt, 1
	}
	return 0, 0
}

// unknown says that s begins with no token, and what to write in place of an
// operator of other languages.
func unknown(s string, r rune) string {
	for _, h := range [...][2]string{{"==", "="}, {"&&", "AND"}, {"||", "OR"}, {"!", "NOT or !="}, {"≠", "!="}, {"≤", "<="}, {"≥", ">="}} {
		if strings.HasPrefix(s, h[0]) {
			return h[0] + " is not an operator: use " + h[1]
		}
	}
	return "unexpected character " + strconv.QuoteRune(r)
}
