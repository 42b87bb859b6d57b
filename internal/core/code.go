package core

import (
	"context"
	"errors"
	"strings"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/internal/limit"
	"github.com/ankurah/ankurah-go/internal/wire"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/property"
	"github.com/ankurah/ankurah-go/storage"
)

var (
	// ErrVersion is wrapped when two nodes speak no common version, or the
	// client's application is too old for the server.
	ErrVersion = errors.New("versions do not fit")
	// ErrSystem is wrapped when a client meets a node of another system (S31).
	ErrSystem = errors.New("another system")
	// ErrPrincipal is wrapped when a store belongs to another principal (S30).
	ErrPrincipal = errors.New("another principal")
	// ErrOverloaded is wrapped when a node has too much to do for a peer.
	ErrOverloaded = limit.ErrOverloaded
	// ErrDependsOnRefused is wrapped when a transaction was dropped because it
	// builds on one that was refused (S29).
	ErrDependsOnRefused = errors.New("builds on a refused transaction")
	// ErrDisconnected is wrapped by what needs a durable node while there is
	// none.
	ErrDisconnected = errors.New("no connection to a durable node")
	// ErrRemote is wrapped by errors of another node that have no other
	// identity here.
	ErrRemote = errors.New("the other node failed")
)

// codes gives errors the code under which they cross the wire (S61). The first
// that fits counts.
var codes = []struct {
	err  error
	code wire.Code
}{
	{ErrTooLarge, wire.TooLarge},
	{ErrUnknownParent, wire.UnknownParent},
	{ErrTooEarly, wire.TooEarly},
	{ErrConflict, wire.Conflict},
	{ErrDependsOnRefused, wire.Depends},
	{policy.ErrUnauthenticated, wire.Unauthenticated},
	{policy.ErrConstraint, wire.Constraint},
	{policy.ErrDenied, wire.Denied},
	{property.ErrUnknownKind, wire.UnknownKind},
	{event.ErrUnsupported, wire.UnknownKind},
	{event.ErrMalformed, wire.Malformed},
	{property.ErrOperation, wire.Malformed},
	{wire.ErrMalformed, wire.Malformed},
	{entity.ErrGenesis, wire.Malformed},
	{ErrAbsent, wire.NotFound},
	{ErrReserved, wire.Reserved},
	{ErrSchema, wire.Schema},
	{ErrNoSystem, wire.NoSystem},
	{ErrSystem, wire.System},
	{ErrVersion, wire.Version},
	{ErrOverloaded, wire.Overloaded},
	{ankql.ErrBind, wire.BadQuery},
	{ankql.ErrSyntax, wire.BadQuery},
	{ErrClosed, wire.Closing},
	{limit.ErrDeadline, wire.Deadline},
	{context.DeadlineExceeded, wire.Deadline},
	{storage.ErrCorrupt, wire.Storage},
	{storage.ErrClosed, wire.Storage},
	{storage.ErrInterrupted, wire.Storage},
}

// Code returns the code under which an error crosses the wire, and its text.
func Code(err error) (wire.Code, string) { return codeOf(err), textOf(err) }

func codeOf(err error) wire.Code {
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	return wire.Internal
}

func textOf(err error) string {
	s := strings.TrimPrefix(err.Error(), "ankurah: ")
	return s[:min(len(s), wire.MaxText)]
}

// remoteError is an error of another node. It keeps its identity.
type remoteError struct {
	code wire.Code
	text string
}

func (e *remoteError) Error() string {
	if e.text == "" {
		return "ankurah: " + string(e.code)
	}
	return "ankurah: " + e.text
}

func (e *remoteError) Unwrap() error {
	for _, c := range codes {
		if c.code == e.code {
			return c.err
		}
	}
	if e.code == wire.Update {
		return ErrVersion
	}
	return ErrRemote
}
