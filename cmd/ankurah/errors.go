package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/ankql"
)

// The exit codes; --help and README.md list them.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitStore       = 4
	exitInput       = 5
	exitServer      = 6
	exitInterrupted = 130
)

// failure is an error with an exit code and a hint at what to do.
type failure struct {
	code int
	hint string // "" when the error says it
	err  error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func usage(err error, hint string) error { return &failure{exitUsage, hint, err} }

func missing(what, hint string) error { return &failure{exitNotFound, hint, errors.New(what)} }

func badInput(err error, hint string) error { return &failure{exitInput, hint, err} }

// classify finds the exit code and the hint of an error.
func classify(err error) (code int, hint string) {
	var f *failure
	var misfit *ankurah.FieldError
	switch {
	case errors.As(err, &f):
		return f.code, f.hint
	case errors.Is(err, context.Canceled):
		return exitInterrupted, ""
	case errors.Is(err, ankurah.ErrStoreLocked), errors.Is(err, ankurah.ErrStoreCorrupt), errors.Is(err, ankurah.ErrStoreUnfinished):
		return exitStore, "" // the store's error says what to do
	case errors.Is(err, ankql.ErrSyntax):
		return exitUsage, "queries look like: country = 'IS' ORDER BY name LIMIT 10"
	case errors.Is(err, ankurah.ErrQuery), errors.Is(err, ankql.ErrCursor):
		return exitUsage, ""
	case errors.As(err, &misfit):
		return exitInput, "the collection stores another type there"
	case errors.Is(err, ankurah.ErrNotFound):
		return exitNotFound, "look for it with ankurah query"
	case errors.Is(err, ankurah.ErrNoSystem):
		return exitNotFound, "nothing was ever stored here: import something, or name another store with --data"
	case errors.Is(err, ankurah.ErrUnauthenticated):
		return exitServer, "name yourself with --credential, or --user"
	case errors.Is(err, ankurah.ErrDenied):
		return exitFailed, "act as somebody else with --user or --credential"
	case errors.Is(err, ankurah.ErrDisconnected):
		return exitServer, "look whether the server runs"
	case errors.Is(err, ankurah.ErrTooLarge):
		return exitFailed, "write less in one transaction, with a smaller --batch"
	}
	return exitFailed, ""
}

// report prints an error in one line and returns the exit code.
func report(w io.Writer, err error) int {
	if err == nil {
		return 0
	}
	code, hint := classify(err)
	text := strings.TrimPrefix(err.Error(), "ankurah: ")
	if code == exitInterrupted && hint == "" {
		text = strings.Replace(text, context.Canceled.Error(), "interrupted", 1)
	}
	text = strings.ReplaceAll(text, ": ankurah: ", ": ")
	if hint != "" {
		text += ": " + hint
	}
	text = strings.ReplaceAll(strings.TrimSpace(text), "\n", "; ")
	fmt.Fprintln(w, "ankurah: "+plain(strings.Join(strings.Fields(text), " ")))
	return code
}
