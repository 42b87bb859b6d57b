package event

import (
	"errors"
	"strconv"
	"unicode/utf8"

	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/limit"
)

type malformed struct {
	id  id.ID
	err error
}

func (e *malformed) Error() string {
	if e.id.IsZero() {
		return "ankurah: malformed event: " + e.err.Error()
	}
	return "ankurah: malformed event " + e.id.String() + ": " + e.err.Error()
}
func (e *malformed) Unwrap() []error { return []error{ErrMalformed, e.err} }

func (e *Event) malformed(why string) error { return &malformed{e.ID, errors.New(why)} }

func tooMuch(n int, unit string, most int) error {
	return &limit.Error{What: "an event has", N: n, Unit: unit, Max: most}
}

// check verifies what S2, S3, S5 and S6 say of one event alone.
func (e *Event) check() error {
	switch {
	case e.Size() > MaxSize:
		return &malformed{e.ID, tooMuch(e.Size(), "bytes", MaxSize)}
	case !ValidName(e.Collection):
		return e.malformed("bad collection name " + strconv.Quote(e.Collection))
	case e.Author.Kind == 0 || e.Author.Key == "" || len(e.Author.Key) > MaxAuthor:
		return e.malformed("bad author")
	case e.Author.Kind == AuthorNode && len(e.Author.Key) != id.Size:
		return e.malformed("bad node ID as author")
	case len(e.Actor) > MaxActor || !utf8.ValidString(e.Actor):
		return e.malformed("bad actor")
	case e.Tx.IsZero():
		return e.malformed("no transaction ID")
	case (e.Birth == nil) == (len(e.Parents) == 0):
		return e.malformed("a genesis has a birth record and no parents, any other event parents and no birth record")
	case len(e.Parents) > MaxParents:
		return &malformed{e.ID, tooMuch(len(e.Parents), "parents", MaxParents)}
	case len(e.Ops) > MaxOperations:
		return &malformed{e.ID, tooMuch(len(e.Ops), "operations", MaxOperations)}
	}
	for k, p := range e.Parents {
		if k > 0 && !e.Parents[k-1].Less(p) {
			return e.malformed("parents are not sorted and unique")
		}
		if p.Stamp() >= e.Stamp {
			return e.malformed("not later than its parent " + p.String())
		}
	}
	if e.Birth != nil && e.Birth.EntityID(e.Root, e.Collection, e.Author) != e.Entity {
		return e.malformed("the entity ID does not follow from the birth record")
	}
	for k, o := range e.Ops {
		if k > 0 && e.Ops[k-1].Compare(o) >= 0 {
			return e.malformed("operations are not sorted and unique")
		}
		if !validKey(o.Property) || !ValidName(o.Kind) {
			return e.malformed("bad property " + strconv.Quote(o.Property) + " of kind " + strconv.Quote(o.Kind))
		}
	}
	return nil
}

// ValidName reports whether s can name a collection or a property kind: 1 to
// 128 lower-case letters, digits and underscores, no digit first.
func ValidName(s string) bool {
	for k := range len(s) {
		c := s[k]
		if !(c == '_' || 'a' <= c && c <= 'z' || k > 0 && '0' <= c && c <= '9') {
			return false
		}
	}
	return s != "" && len(s) <= MaxName
}

// validKey reports whether s can be a property key: 1 to 128 bytes of UTF-8
// without control characters, so that keys can come from elsewhere than Go.
func validKey(s string) bool {
	if s == "" || len(s) > MaxName || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if r < ' ' || r == 0x7F {
			return false
		}
	}
	return true
}
