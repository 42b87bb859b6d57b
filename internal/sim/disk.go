package sim

import (
	"context"
	"errors"

	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/core"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/kv"
	"github.com/ankurah/ankurah-go/storage/memory"
)

var (
	errFull = errors.New("no space left on device")
	errIO   = errors.New("input/output error")
)

// disk is a store that outlives the processes on it, and that can fail.
type disk struct {
	storage.Engine // of the process that runs
	store          *memory.Store
	shared         bool // several processes have it open

	high id.Stamp // greatest of what is stored
	late uint64   // that the clock of a process on it has shown

	full    bool
	badRead bool // the next read fails
	badSync fault
}

// fault is how the next write fails.
type fault uint8

const (
	none    fault = iota
	unsaved       // nothing was written
	saved         // everything was, and the disk says it was not
)

func newDisk() *disk { return &disk{store: memory.NewStore()} }

// open makes the engine of a new process.
func (d *disk) open() (err error) {
	if d.shared && d.Engine != nil {
		return nil
	}
	d.Engine, err = kv.New(d.store, &kv.Options{Name: "disk", Shared: d.shared, KeepStore: true, Index: kv.IndexOptions{NoAuto: true}})
	return err
}

// copied returns a disk with the same content.
func (d *disk) copied() *disk { return &disk{store: d.store.Clone(), high: d.high, late: d.late} }

// Commit writes, or fails.
func (d *disk) Commit(ctx context.Context, b *storage.Batch) (storage.Result, error) {
	how := d.badSync
	d.badSync = none
	switch {
	case d.full:
		return storage.Result{}, errFull
	case how == unsaved:
		return storage.Result{}, errIO
	}
	res, err := d.Engine.Commit(ctx, b)
	if how == saved {
		err = errIO
	}
	return res, err
}

// read fails if the disk is to fail.
func (d *disk) read() error {
	if d.badRead {
		d.badRead = false
		return errIO
	}
	return nil
}

// checkClock checks what a server is about to store: what it made itself is
// later than everything that it has, across restarts too (S3), and nothing is
// further ahead of its clock than is allowed, or than what it has (S4).
func (n *node) checkClock(b *storage.Batch) {
	d := n.disk
	d.late = max(d.late, n.late)
	for _, t := range b.Txs {
		for _, w := range t.Entities {
			for _, e := range w.Events {
				if e.Author == event.NodeAuthor(n.core.Node()) && e.Stamp <= n.high() {
					n.w.failf("the server made %s, which is not later than what it has, of %s", e.ID, n.high())
				}
				if ms := e.Stamp.Millis(); ms > d.late+core.MaxClockSkew && ms > d.high.Millis()+1 {
					n.w.failf("the server takes %s, which is %d ms ahead of its clock", e.ID, ms-d.late)
				}
			}
		}
		for _, w := range t.Entities {
			for _, e := range w.Events {
				d.high = max(d.high, e.Stamp)
				if n.session != nil && e.Author == event.NodeAuthor(n.core.Node()) {
					n.session.high = max(n.session.high, e.Stamp)
				}
			}
		}
	}
}
