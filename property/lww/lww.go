// Package lww provides registers: properties whose last writer wins, where
// "last" is the order of event IDs (S13). By S3 a causal descendant has a
// greater ID than its ancestor, so only concurrent writes are decided by clock
// and hash.
package lww

import (
	"errors"
	"strconv"

	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/property"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/value"
)

// Kind is the register kind. Its operation data is one encoded value.
var Kind property.Kind = kind{}

type kind struct{}

func (kind) Name() string { return schema.LWW }

func (kind) Apply(p property.Property, op event.Operation, at id.ID) (property.Property, error) {
	if op.Version != 0 {
		return p, &opError{op, errors.New("version " + strconv.FormatUint(op.Version, 10) + " is not known here"), property.ErrUnknownKind}
	}
	v, err := value.Decode(op.Data)
	if errors.Is(err, value.ErrUnknownKind) {
		return p, &opError{op, err, property.ErrUnknownKind}
	}
	if err != nil {
		return p, &opError{op, err, property.ErrOperation}
	}
	if at.Compare(p.Last) <= 0 {
		return p, nil
	}
	return property.Property{Last: at, Value: v}, nil
}

func (kind) Join(p, q property.Property) (property.Property, error) {
	if q.Last.Compare(p.Last) > 0 {
		return q, nil
	}
	return p, nil
}

// Set returns the operation that writes v to property key.
func Set(key string, v value.Value) event.Operation {
	return event.Operation{Property: key, Kind: schema.LWW, Data: value.Append(nil, v)}
}

type opError struct {
	op   event.Operation
	err  error
	kind error
}

func (e *opError) Error() string {
	return "ankurah: register operation on " + strconv.Quote(e.op.Property) + ": " + e.err.Error()
}
func (e *opError) Unwrap() []error { return []error{e.kind, e.err} }
