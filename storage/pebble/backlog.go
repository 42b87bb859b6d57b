package pebble

import (
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// backlog knows whether Pebble has work in the background that a write may have
// to wait for. If that work fails, it waits for ever.
type backlog struct {
	rotated     atomic.Int64 // memtables that got full, one log each
	begun       atomic.Int64 // of them when the last flush began
	flushed     atomic.Int64 // of them when the last one that succeeded began
	compactions atomic.Int64 // under way
}

func (b *backlog) listen(l *pebble.EventListener) {
	l.WALCreated = func(pebble.WALCreateInfo) { b.rotated.Add(1) }
	l.FlushBegin = func(pebble.FlushInfo) { b.begun.Store(b.rotated.Load()) }
	l.FlushEnd = func(info pebble.FlushInfo) {
		if info.Err == nil {
			b.flushed.Store(b.begun.Load())
		}
	}
	l.CompactionBegin = func(pebble.CompactionInfo) { b.compactions.Add(1) }
	l.CompactionEnd = func(pebble.CompactionInfo) { b.compactions.Add(-1) }
}

// settle takes what was done so far, as when a store was opened, for done.
func (b *backlog) settle() { b.flushed.Store(b.rotated.Load()) }

func (b *backlog) any() bool {
	return b.rotated.Load() != b.flushed.Load() || b.compactions.Load() > 0
}
