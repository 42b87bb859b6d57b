package pebble

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ankurah/ankurah-go/storage/kv"
)

var _ kv.Copier = (*Store)(nil)

// unfinished ends the name of a folder that is being filled.
const unfinished = ".unfinished"

// Copy makes folder dir a store with what was applied, on disk, and with the
// writes upon that. On one file system tables are linked, not copied. What is
// applied meanwhile waits for nothing.
func (s *Store) Copy(ctx context.Context, dir string, writes []kv.Write) error {
	if err := s.log.fatal(); err != nil {
		return s.failed("read", err)
	}
	if s.opts.ReadOnly {
		return errors.New("ankurah: " + s.dir + " is open for reading only: it cannot be copied")
	}
	if vfs.Root(s.opts.FS) == vfs.Default {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return s.failed("copy", err)
		}
		dir = abs
	}
	names, err := s.opts.FS.List(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return s.failed("copy", err)
	case len(names) > 0:
		return errors.New("ankurah: " + dir + " is not empty: name a folder that does not exist yet")
	default:
		if err := s.opts.FS.Remove(dir); err != nil {
			return s.failed("copy", err)
		}
	}
	// What an earlier copy left there that was interrupted is of no use.
	temporary := dir + unfinished
	if err := s.opts.FS.RemoveAll(temporary); err != nil {
		return s.failed("copy", err)
	}
	err = s.fill(ctx, temporary, writes)
	if err == nil {
		err = s.named(temporary, dir)
	}
	if err != nil {
		return errors.Join(s.failed("copy", err), s.opts.FS.RemoveAll(temporary))
	}
	return nil
}

// fill makes a folder a copy.
func (s *Store) fill(ctx context.Context, dir string, writes []kv.Write) error {
	if err := s.checkpoint(dir); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	opts := Options{FS: s.opts.FS, CacheSize: 1 << 20, memTable: 1 << 20, Logger: s.opts.Logger}
	c, err := OpenStore(ctx, dir, &opts)
	if err != nil {
		return err
	}
	return errors.Join(c.Apply(ctx, &kv.Batch{Writes: writes}), c.Close())
}

// checkpoint has Pebble make a folder. Where the folder cannot be synced Pebble
// panics, in this goroutine and with no lock held: that is an error of the
// copy's and no reason to end the process.
func (s *Store) checkpoint(dir string) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case error:
			err = p
		default:
			err = fmt.Errorf("%v", p)
		}
	}()
	return s.db.Checkpoint(dir, pebble.WithFlushedWAL())
}

// named gives a folder its name.
func (s *Store) named(from, to string) error {
	if err := s.opts.FS.Rename(from, to); err != nil {
		return err
	}
	parent, err := s.opts.FS.OpenDir(s.opts.FS.PathDir(to))
	if err != nil {
		return err
	}
	return errors.Join(parent.Sync(), parent.Close())
}
