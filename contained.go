package ankurah

import (
	"strconv"
	"time"

	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/property"
	"github.com/ankurah/ankurah-go/property/lww"
)

// contain takes what users gave that is called in the middle of the node's own
// work, where a panic would leave half of it.
func (n *Node) contain(opts *NodeOptions) {
	if opts.Logger != nil {
		n.log = containedLogger{opts.Logger}
	}
	if opts.Metrics != nil {
		n.metrics = containedMetrics{n, opts.Metrics}
	}
	if opts.Clock != nil {
		n.clock = func() (now time.Time) {
			defer func() {
				if r := recover(); r != nil {
					n.panicked("the clock", r)
					now = time.Now()
				}
			}()
			return opts.Clock()
		}
	}
	kinds := []property.Kind{lww.Kind}
	for _, k := range opts.PropertyKinds {
		kinds = append(kinds, containedKind{n, k})
	}
	n.kinds = property.NewRegistry(kinds...)
}

// containedKind is a user's kind of property. An operation at which it panics
// is one that this program does not know (S15): it is kept by who made it, and
// a program without the fault takes it.
type containedKind struct {
	n *Node
	property.Kind
}

func (k containedKind) Apply(p property.Property, op event.Operation, at id.ID) (out property.Property, err error) {
	defer k.contain(&err)
	return k.Kind.Apply(p, op, at)
}

func (k containedKind) Join(p, q property.Property) (out property.Property, err error) {
	defer k.contain(&err)
	return k.Kind.Join(p, q)
}

func (k containedKind) contain(err *error) {
	if r := recover(); r != nil {
		k.n.panicked("a property kind", r)
		*err = &kindPanic{k.Name()}
	}
}

type kindPanic struct{ name string }

func (e *kindPanic) Error() string {
	return "ankurah: the property kind " + strconv.Quote(e.name) + " panicked"
}
func (e *kindPanic) Unwrap() error { return property.ErrUnknownKind }
