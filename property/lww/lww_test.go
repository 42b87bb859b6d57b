package lww

import (
	"errors"
	"testing"

	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/property"
	"github.com/ankurah/ankurah-go/value"
)

func at(n uint64) id.ID { return id.New(id.Stamp(n), [8]byte{}) }

// S13, S15: the greater event wins, in whatever order and however often the
// operations come, and however copies are joined.
func TestLastWriterWins(t *testing.T) {
	apply := func(p property.Property, n uint64) property.Property {
		t.Helper()
		p, err := Kind.Apply(p, Set("x", value.Int64(int64(n))), at(n))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	var forward, backward, none property.Property
	for n := range uint64(5) {
		forward = apply(apply(forward, n+1), n+1)
		backward = apply(apply(backward, 5-n), 5-n)
	}
	left, err := Kind.Join(apply(none, 5), apply(none, 2))
	right, err2 := Kind.Join(apply(none, 2), apply(none, 5))
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	for what, p := range map[string]property.Property{"forward": forward, "backward": backward, "left": left, "right": right} {
		if p.Last != at(5) || p.Value.Int() != 5 {
			t.Errorf("%s: %v of %s", what, p.Value, p.Last)
		}
	}
}

// FuzzApply: no operation panics; what cannot be read is malformed or of a
// newer program (S15), and leaves the property as it was.
func FuzzApply(f *testing.F) {
	f.Add(value.Append(nil, value.String("x")), uint64(0), uint64(3))
	f.Add(value.Append(nil, value.Int64(-1)), uint64(1), uint64(9))
	f.Add([]byte{0xFF}, uint64(0), uint64(9))
	f.Fuzz(func(t *testing.T, data []byte, version, n uint64) {
		before, err := Kind.Apply(property.Property{}, Set("x", value.Bool(true)), at(5))
		if err != nil {
			t.Fatal(err)
		}
		op := event.Operation{Property: "x", Kind: Kind.Name(), Version: version, Data: data}
		after, err := Kind.Apply(before, op, at(n))
		if err != nil {
			if errors.Is(err, property.ErrOperation) == errors.Is(err, property.ErrUnknownKind) {
				t.Errorf("%v is of neither kind, or of both", err)
			}
		} else if again, err := Kind.Apply(after, op, at(n)); err != nil || again.Last != after.Last || !value.Equal(again.Value, after.Value) {
			t.Errorf("the second time: %v, %v", again, err)
		}
		if (err != nil || n <= 5) && (after.Last != before.Last || !value.Equal(after.Value, before.Value)) {
			t.Errorf("changed to %v", after)
		}
	})
}
