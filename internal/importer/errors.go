package importer

import (
	"fmt"
	"strings"
)

// Reason says what is wrong with a source, for those who know what to do
// about it.
type Reason uint8

// The reasons of an [Error].
const (
	BadJSON   Reason = iota + 1 // not JSON, or not objects
	BadCSV                      // ragged, badly quoted, or without a header
	BadValue                    // no value, or none of the field's type
	Unfit                       // a value that the collection's property does not take
	BadName                     // a field's name that no property can have
	TwoFields                   // two fields of a row become one property
	NoField                     // an option names a field that no row has
	Changed                     // somebody wrote to the source while it was read
	OtherType                   // the options name a type, and the collection has another
)

// Error says what of a source cannot be imported.
type Error struct {
	Reason Reason
	Row    int    // counted from 1, 0 when it is no row
	Field  string // as the source calls it, "" when it is no field
	Err    error
}

func (e *Error) Error() string {
	var where []string
	if e.Row > 0 {
		where = append(where, fmt.Sprint("row ", e.Row))
	}
	if e.Field != "" {
		where = append(where, "field "+e.Field)
	}
	if len(where) == 0 {
		return e.Err.Error()
	}
	return strings.Join(where, ", ") + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// ReplacedError says that a source of this name was imported in part, and was
// another then.
type ReplacedError struct {
	Source string
	Rows   int // imported of the other
}

func (e *ReplacedError) Error() string {
	return fmt.Sprintf("%s changed after its first %d rows were imported", e.Source, e.Rows)
}

// OptionsError says that a part of a source was imported with options that
// make other entities of its rows.
type OptionsError struct {
	Rows    int    // imported with them
	Options string // those of the earlier run
}

func (e *OptionsError) Error() string {
	return fmt.Sprintf("it was imported up to row %d with other options (%s)", e.Rows, e.Options)
}
