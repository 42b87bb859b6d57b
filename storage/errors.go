package storage

import (
	"errors"

	"github.com/ankurah/ankurah-go/id"
)

var (
	// ErrConflict is wrapped by a [ConflictError].
	ErrConflict = errors.New("storage conflict")
	// ErrCorrupt is wrapped by every error about stored bytes that cannot be
	// right.
	ErrCorrupt = errors.New("store is corrupt")
	// ErrLocked is wrapped when another process has the store open.
	ErrLocked = errors.New("store is in use by another process")
	// ErrUnfinished is wrapped when a store was being restored and is not whole.
	ErrUnfinished = errors.New("store is not whole")
	// ErrFull is wrapped when there is no room for what is to be stored.
	ErrFull = errors.New("store is full")
	// ErrClosed is wrapped by every use of a closed engine.
	ErrClosed = errors.New("store is closed")
	// ErrInterrupted: a snapshot was lost while it was read, with a connection
	// to a server. Another one can be taken, and read.
	ErrInterrupted = errors.New("the store's snapshot was lost")
)

// IsCorrupt reports whether err says that stored bytes cannot be right.
func IsCorrupt(err error) bool { return errors.Is(err, ErrCorrupt) }

// ConflictError says why a transaction was left out of a batch.
type ConflictError struct {
	Collection string
	Entity     id.ID
	Why        string
}

func (e *ConflictError) Error() string {
	return "ankurah: " + e.Collection + " " + e.Entity.String() + ": " + e.Why
}
func (e *ConflictError) Unwrap() error { return ErrConflict }

// CorruptError says which stored record cannot be right.
type CorruptError struct {
	What string // the record, with its key
	Err  error
}

func (e *CorruptError) Error() string {
	return "ankurah: the store is damaged: " + e.What + ": " + e.Err.Error() + ": restore it from a backup"
}
func (e *CorruptError) Unwrap() []error { return []error{ErrCorrupt, e.Err} }

// UnfinishedError says that restoring a store was begun and not finished.
type UnfinishedError struct{ Location string }

func (e *UnfinishedError) Error() string {
	at := e.Location
	if at == "" {
		at = "this store"
	}
	return "ankurah: " + at + " is not whole: restoring it was not finished: remove it and restore again"
}
func (e *UnfinishedError) Unwrap() error { return ErrUnfinished }
