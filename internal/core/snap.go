package core

import (
	"sync/atomic"

	"github.com/ankurah/ankurah-go/storage"
)

// Snap is a published snapshot shared by counted readers. Seq is the number of
// publications it contains.
type Snap struct {
	storage.Snapshot
	Seq  uint64
	refs atomic.Int64
}

// NewSnap returns s with one reference, the caller's.
func NewSnap(s storage.Snapshot, seq uint64) *Snap {
	n := &Snap{Snapshot: s, Seq: seq}
	n.refs.Store(1)
	return n
}

// retain takes a reference unless the snapshot is gone already.
func (s *Snap) retain() bool {
	for {
		n := s.refs.Load()
		if n == 0 {
			return false
		}
		if s.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Release gives a reference back; the last one closes the snapshot.
func (s *Snap) Release() {
	if s.refs.Add(-1) == 0 {
		// Closing a snapshot frees memory; nothing can be done about an error.
		_ = s.Snapshot.Close()
	}
}
