package event

import (
	"slices"
	"strings"

	"github.com/ankurah/ankurah-go/id"
)

// Tip is one event in a head: its ID and the full digest of its header.
type Tip struct {
	ID     id.ID
	Digest Digest
}

// Head is the set of an entity's tips: sorted by ID, unique, an antichain
// (S8). A nil head is that of an entity without events. Heads are immutable:
// their methods return new ones.
type Head []Tip

// Contains reports whether i is one of the tips.
func (h Head) Contains(i id.ID) bool {
	_, ok := h.find(i)
	return ok
}

func (h Head) find(i id.ID) (int, bool) {
	return slices.BinarySearchFunc(h, i, func(t Tip, i id.ID) int { return t.ID.Compare(i) })
}

// Advance returns the head after event e, all of whose parents are known:
// head − parents + event (S10). It costs O(len(h) + len(parents)).
func (h Head) Advance(e *Event) Head {
	out := make(Head, 0, len(h)+1)
	for _, t := range h {
		if _, superseded := slices.BinarySearchFunc(e.Parents, t.ID, id.ID.Compare); !superseded {
			out = append(out, t)
		}
	}
	k, found := out.find(e.ID)
	if found {
		return out
	}
	return slices.Insert(out, k, e.Tip())
}

// Parents returns the parents of an event made upon h: its tips, and of more
// than [MaxParents] the greatest ones; the rest stay tips (S6).
func (h Head) Parents() []id.ID {
	if len(h) > MaxParents {
		h = h[len(h)-MaxParents:]
	}
	out := make([]id.ID, len(h))
	for k, t := range h {
		out[k] = t.ID
	}
	return out
}

// Last returns the greatest tip's ID, the zero ID of a nil head.
func (h Head) Last() id.ID {
	if len(h) == 0 {
		return id.ID{}
	}
	return h[len(h)-1].ID
}

// Equal reports whether both heads have the same tips.
func (h Head) Equal(o Head) bool { return slices.Equal(h, o) }

// String lists the tips' IDs, separated by spaces.
func (h Head) String() string {
	var b strings.Builder
	for k, t := range h {
		if k > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(t.ID.String())
	}
	return b.String()
}
