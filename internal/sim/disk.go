package sim

import (
	"context"
	"errors"

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
	d.Engine, err = kv.New(d.store, &kv.Options{Name: "disk", KeepStore: true, Index: kv.IndexOptions{NoAuto: true}})
	return err
}

// copied returns a disk with the same content.
func (d *disk) copied() *disk { return &disk{store: d.store.Clone()} }

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
