package ankurah

import (
	"errors"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/internal/core"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/storage"
)

// Errors that callers branch on, with errors.Is.
var (
	ErrNotFound         = errors.New("not found")
	ErrTxDone           = errors.New("transaction is over")
	ErrClosed           = core.ErrClosed
	ErrConflict         = core.ErrConflict
	ErrNoSystem         = core.ErrNoSystem
	ErrSystemExists     = core.ErrSystemExists
	ErrReserved         = core.ErrReserved
	ErrLimit            = core.ErrLimit
	ErrTooLarge         = core.ErrTooLarge
	ErrSchema           = core.ErrSchema
	ErrIncompatible     = schema.ErrIncompatible
	ErrDenied           = policy.ErrDenied
	ErrUnauthenticated  = policy.ErrUnauthenticated
	ErrConstraint       = policy.ErrConstraint
	ErrQuery            = ankql.ErrQuery
	ErrStoreLocked      = storage.ErrLocked
	ErrStoreCorrupt     = storage.ErrCorrupt
	ErrStoreUnfinished  = storage.ErrUnfinished
	ErrReferencePath    = ankql.ErrReferencePath
	ErrNotReady         = errors.New("not ready")
	ErrSystem           = core.ErrSystem
	ErrPrincipal        = core.ErrPrincipal
	ErrVersion          = core.ErrVersion
	ErrOverloaded       = core.ErrOverloaded
	ErrDisconnected     = core.ErrDisconnected
	ErrDependsOnRefused = core.ErrDependsOnRefused
	ErrRemote           = core.ErrRemote
	ErrTrimmed          = core.ErrTrimmed
	ErrPosition         = core.ErrPosition
	errEphemeral        = errors.New("ankurah: systems are created on durable nodes: set NodeOptions.Durable, or connect to one")
	errRestoredShared   = errors.New("ankurah: a store that was brought back from a copy cannot be opened so while others may have it open: open it alone once, then shared")
	errNoPolicy         = errors.New("ankurah: a durable node needs a policy: set NodeOptions.Policy, to policy.Permissive{} if everybody may do everything")
	errAfterCommit      = errors.New("ankurah: the transaction was committed: begin another one")
	errQueryClosed      = errors.New("ankurah: the live query is closed: make another one")
	errNotCommitted     = errors.New("ankurah: the transaction was not committed: call Commit first")
	errCloseInCallback  = errors.New("ankurah: a callback cannot close the node, which would wait for the callback: close it on a goroutine that nothing waits for")
	errAfterRollback    = errors.New("ankurah: the transaction was rolled back: begin another one")
)

// NotFoundError says which entity is not there, or not readable.
type NotFoundError struct {
	Collection string
	ID         ID
}

func (e *NotFoundError) Error() string {
	if e.ID.IsZero() {
		return "ankurah: no " + e.Collection
	}
	return "ankurah: no " + e.Collection + " " + e.ID.String()
}
func (e *NotFoundError) Unwrap() error { return ErrNotFound }

// FieldError says which property a value does not fit.
type FieldError struct {
	Collection, Property string
	Err                  error
}

func (e *FieldError) Error() string {
	return "ankurah: " + e.Collection + "." + e.Property + ": " + e.Err.Error()
}
func (e *FieldError) Unwrap() error { return e.Err }

type txDone struct{ why error }

func (e txDone) Error() string   { return e.why.Error() }
func (e txDone) Unwrap() []error { return []error{ErrTxDone, e.why} }

// errStopped ends an iteration whose consumer has had enough.
var errStopped = errors.New("ankurah: stopped")
