// Package property is the contract of property kinds: how an operation of an
// event changes a property, and how two copies of a property are joined.
//
// A kind's Apply and Join must be idempotent per event, commutative and
// associative (S15): a property's value is a function of the set of operations
// applied to it, whatever their order and grouping.
package property

import (
	"errors"
	"slices"
	"strconv"

	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/value"
)

// ErrUnknownKind is wrapped by errors about a kind, or a version of a kind's
// operations, that this program does not have. A durable node answers "retry"
// to an event with such an operation (S15).
var ErrUnknownKind = errors.New("unknown property kind")

// ErrOperation is wrapped by errors about an operation that its kind cannot
// read.
var ErrOperation = errors.New("malformed operation")

// Property is a property's state at one moment. It is immutable.
type Property struct {
	Last  id.ID       // the greatest event that wrote it
	Value value.Value // what queries see
	State State       // what else the kind keeps, nil when Last and Value are all
}

// State is what a kind keeps of a property beside its query value.
type State interface {
	// Append appends the state's encoding.
	Append(b []byte) []byte
}

// Raw is a state that was read and not yet decoded by its kind.
type Raw []byte

// Append appends r itself.
func (r Raw) Append(b []byte) []byte { return append(b, r...) }

// Kind is one kind of property.
type Kind interface {
	// Name returns the name that operations carry, such as "lww".
	Name() string
	// Apply returns p with the operation of event at applied. The zero
	// Property is one that was never written. Errors wrap [ErrOperation] or,
	// for a newer version of the operation, [ErrUnknownKind].
	Apply(p Property, op event.Operation, at id.ID) (Property, error)
	// Join returns what p and q hold together.
	Join(p, q Property) (Property, error)
}

// Registry is a set of kinds. It is immutable.
type Registry struct{ kinds []Kind }

// NewRegistry returns a registry of kinds; of two with one name the later one
// counts.
func NewRegistry(kinds ...Kind) *Registry {
	r := &Registry{}
	for _, k := range kinds {
		r.kinds = slices.DeleteFunc(r.kinds, func(o Kind) bool { return o.Name() == k.Name() })
		r.kinds = append(r.kinds, k)
	}
	return r
}

// Kind returns the kind called name, or an error that wraps [ErrUnknownKind].
func (r *Registry) Kind(name string) (Kind, error) {
	for _, k := range r.kinds {
		if k.Name() == name {
			return k, nil
		}
	}
	return nil, &kindError{name}
}

type kindError struct{ name string }

func (e *kindError) Error() string {
	return "ankurah: unknown property kind " + strconv.Quote(e.name) + ": this program is older than the one that wrote it, or does not list the kind in its node options"
}
func (e *kindError) Unwrap() error { return ErrUnknownKind }
