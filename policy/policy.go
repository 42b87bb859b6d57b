// Package policy is the contract of policy agents, which decide who a request
// comes from, what it may read and what it may write (S60), with two agents:
// [Permissive], which allows everything, and [Rules], which are declared.
package policy

import (
	"context"
	"errors"
	"strconv"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/schema"
)

var (
	// ErrDenied is wrapped by every refusal of an agent.
	ErrDenied = errors.New("denied")
	// ErrUnauthenticated is wrapped when a credential is missing, wrong or
	// expired.
	ErrUnauthenticated = errors.New("unauthenticated")
	// ErrConstraint is wrapped by every violation of a [Constraint].
	ErrConstraint = errors.New("constraint violated")
)

// Principal is who a request comes from. The zero Principal is anonymous.
type Principal struct {
	Subject string            // name or ID; it becomes the actor of events
	Roles   []string          // what rules are written for
	Claims  map[string]string // further facts; rules see them as :name parameters
}

// HasRole reports whether p has role r.
func (p Principal) HasRole(r string) bool {
	for _, have := range p.Roles {
		if have == r {
			return true
		}
	}
	return false
}

// Agent decides for a node. Its methods run while a commit or a query waits
// for them, several at once: they must be quick, safe for concurrent use, and
// must not call the node. A panic in one counts as a denial.
type Agent interface {
	// Authenticate turns a connection's credential, nil when there was none,
	// into a principal. Errors wrap [ErrUnauthenticated].
	Authenticate(ctx context.Context, credential []byte) (Principal, error)

	// ReadFilter returns the predicate that p's reads of a collection are
	// narrowed by; nil allows every row. The node binds it to the types that
	// it knows. An error that wraps [ErrDenied] means
	// that p reads nothing there, which looks like absence.
	ReadFilter(p Principal, collection string) (ankql.Expr, error)

	// CheckWrite decides whether p may make the change. Errors wrap
	// [ErrDenied] and name the rule.
	CheckWrite(p Principal, w Write) error
}

// EntityReader is an [Agent] that also decides on each entity that the filter
// let through.
type EntityReader interface {
	// CheckRead returns an error that wraps [ErrDenied] if p may not read e.
	CheckRead(p Principal, e *entity.State) error
}

// Write is a change of one entity by one event, before it is made. Before is
// nil for a creation. After is the state merged from everything known, not
// only from what the writer knew.
type Write struct {
	Before, After *entity.State
	Event         *event.Event
	Model         *schema.Model // what is known of the collection, nil for nothing
}

// Constraint is a rule on data, whoever writes it. Check runs on every event
// of a transaction before anything is stored; before is nil for a creation.
// The duties of an [Agent]'s methods hold for it too.
type Constraint interface {
	Check(ctx context.Context, before, after *entity.State) error
}

// ConstraintFunc lets a function be a [Constraint].
type ConstraintFunc func(ctx context.Context, before, after *entity.State) error

// Check calls f.
func (f ConstraintFunc) Check(ctx context.Context, before, after *entity.State) error {
	return f(ctx, before, after)
}

// Permissive allows everything to everybody. It is the only agent that gives
// access without a credential.
type Permissive struct{}

// Authenticate returns a principal whose subject is the credential's text.
func (Permissive) Authenticate(_ context.Context, credential []byte) (Principal, error) {
	return Principal{Subject: string(credential)}, nil
}

// ReadFilter allows every row.
func (Permissive) ReadFilter(Principal, string) (ankql.Expr, error) { return nil, nil }

// CheckWrite allows every change.
func (Permissive) CheckWrite(Principal, Write) error { return nil }

// DeniedError is a refusal with the rule that made it.
type DeniedError struct {
	Subject, Collection, Rule string
}

func (e *DeniedError) Error() string {
	who := "anonymous"
	if e.Subject != "" {
		who = strconv.Quote(e.Subject)
	}
	return "ankurah: denied: " + who + " in " + e.Collection + ": " + e.Rule
}
func (e *DeniedError) Unwrap() error { return ErrDenied }
