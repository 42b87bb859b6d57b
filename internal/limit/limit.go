// Package limit holds what errors about limits have in common (S33): one
// sentinel under all of them, and a message that names the limit.
package limit

import (
	"context"
	"errors"
	"strconv"
)

// Err is wrapped by every error about something beyond a limit.
var Err = errors.New("limit exceeded")

var (
	// ErrTooLarge is wrapped where the same thing will always be beyond the
	// limit.
	ErrTooLarge error = kind("too large")
	// ErrOverloaded is wrapped where there may be room another time.
	ErrOverloaded error = kind("overloaded")
	// ErrDeadline is wrapped where something took longer than it may. It wraps
	// [context.DeadlineExceeded].
	ErrDeadline error = deadline{}
)

type kind string

func (k kind) Error() string { return string(k) }
func (k kind) Unwrap() error { return Err }

type deadline struct{}

func (deadline) Error() string   { return "it took too long" }
func (deadline) Unwrap() []error { return []error{Err, context.DeadlineExceeded} }

// Error says what is beyond which limit.
type Error struct {
	What string // "the query has", may be ""
	N    int
	Unit string // "bytes"
	Max  int
	Name string // of the field that sets it, "" when none does
	Hint string // what to do, may be ""
	Kind error  // nil is [ErrTooLarge]
}

func (e *Error) Error() string {
	s := strconv.Itoa(e.N) + " " + e.Unit + ", the limit is " + strconv.Itoa(e.Max)
	if e.What != "" {
		s = e.What + " " + s
	}
	if e.Name != "" {
		s += " (Limits." + e.Name + ")"
	}
	if e.Hint != "" {
		s += ": " + e.Hint
	}
	return s
}

func (e *Error) Unwrap() error {
	if e.Kind == nil {
		return ErrTooLarge
	}
	return e.Kind
}
