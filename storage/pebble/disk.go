package pebble

import (
	"errors"
	"io"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// disk is the file system under Pebble. It tells a folder in use from other
// errors of locking it, has what a marker names in the folder before the
// marker, and freezes at the first write that fails: from then on the files
// stay what they are, and the store takes no further commit.
//
// Pebble ends the process when it cannot write, close or replace its log, by
// unlocking a mutex that it does not hold, which nobody can recover from. So it
// is not told: writes of a log and syncs of the folder seem to succeed, and
// [Store] reports the error that is kept in log. Nothing is built on them,
// since everything else fails, the MANIFEST above all. Pebble tries a failed
// flush again at once, for ever; so after some failures those who write wait
// for the store to be closed. And what is in memory is out of order once the
// MANIFEST could not be written, so that the next compaction panics: who writes
// that never hears of it, and closing the store leaves it behind. None of this
// is for other folders, which a copy is made in: failing there is the copy's.
type disk struct {
	vfs.FS
	dir string
	log *log

	told    atomic.Int32
	waits   sync.Once
	stuck   chan struct{} // closed when the waiting begins
	holds   sync.Once
	held    chan struct{} // closed when somebody waits for ever
	ends    sync.Once
	closing chan struct{}

	mu   sync.Mutex // guards lock
	lock io.Closer  // of the folder
}

// maxTold is how many writes fail before they wait. It takes fewer to tell
// whoever writes in the foreground.
const maxTold = 16

func newDisk(fs vfs.FS, dir string, log *log) *disk {
	return &disk{FS: fs, dir: dir, log: log, stuck: make(chan struct{}), held: make(chan struct{}), closing: make(chan struct{})}
}

// end lets those go on who wait for the store to be closed.
func (d *disk) end() { d.ends.Do(func() { close(d.closing) }) }

// frozen returns what made the disk freeze.
func (d *disk) frozen() error {
	err := d.log.fatal()
	if err == nil {
		return nil
	}
	if d.told.Add(1) >= maxTold {
		d.waits.Do(func() { close(d.stuck) })
		<-d.closing
	}
	return err
}

// writes makes a write that may be told of, unless the disk is frozen.
func (d *disk) writes(name string, write func() error) error {
	of := d.PathBase(name)
	manifest := strings.HasPrefix(of, "MANIFEST-") || strings.HasPrefix(of, "marker.")
	if !manifest {
		if err := d.frozen(); err != nil {
			return err
		}
		return d.wrote(write())
	}
	if d.log.fatal() == nil && d.wrote(write()) == nil {
		return nil
	}
	d.waits.Do(func() { close(d.stuck) })
	d.holds.Do(func() { close(d.held) })
	select {}
}

// foreign reports whether a file or folder is none of the store's, nor a folder
// that holds the store.
func (d *disk) foreign(name string) bool {
	return name != d.dir && d.PathDir(name) != d.dir && name != "" && name != "." && !strings.HasPrefix(d.dir, name)
}

// wrote takes the result of a write.
func (d *disk) wrote(err error) error {
	if err != nil {
		d.log.fail(err)
	}
	return err
}

func (d *disk) Lock(name string) (io.Closer, error) {
	c, err := d.FS.Lock(name)
	if err == nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.lock = c
		return c, nil
	}
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		return nil, err
	}
	return nil, &lockedError{d.dir, err}
}

// unlock lets the folder go.
func (d *disk) unlock() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lock.Close()
}

// Create creates a file. Pebble creates a MANIFEST and then the marker that
// names it, and syncs the folder once, behind both: after a crash the marker
// could be there alone.
func (d *disk) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(d.PathBase(name), "marker.") && !d.foreign(name) {
		if err := d.writes(name, d.syncFolder); err != nil {
			return nil, err
		}
	}
	return d.create(name, func() (vfs.File, error) { return d.FS.Create(name, category) })
}

func (d *disk) syncFolder() error {
	dir, err := d.FS.OpenDir(d.dir)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func (d *disk) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return d.create(newname, func() (vfs.File, error) { return d.FS.ReuseForWrite(oldname, newname, category) })
}

func (d *disk) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return d.create(name, func() (vfs.File, error) { return d.FS.OpenReadWrite(name, category, opts...) })
}

func (d *disk) create(name string, how func() (vfs.File, error)) (vfs.File, error) {
	if d.foreign(name) {
		return how()
	}
	if !strings.HasSuffix(name, ".log") {
		var f vfs.File
		if err := d.writes(name, func() (err error) { f, err = how(); return err }); err != nil {
			return nil, err
		}
		return &file{f, d, name, false}, nil
	}
	if d.log.fatal() == nil {
		if f, err := how(); d.wrote(err) == nil {
			return &file{f, d, name, true}, nil
		}
	}
	return vfs.NewMem().Create("log", vfs.WriteCategoryUnspecified)
}

func (d *disk) OpenDir(name string) (vfs.File, error) {
	f, err := d.FS.OpenDir(name)
	if err != nil || d.foreign(name) {
		return f, err
	}
	return &file{f, d, name, true}, nil
}

func (d *disk) Rename(oldname, newname string) error {
	if d.foreign(newname) {
		return d.FS.Rename(oldname, newname)
	}
	return d.writes(newname, func() error { return d.FS.Rename(oldname, newname) })
}

func (d *disk) Link(oldname, newname string) error {
	if d.foreign(newname) {
		return d.FS.Link(oldname, newname)
	}
	return d.writes(newname, func() error { return d.FS.Link(oldname, newname) })
}

// Remove removes a file, which Pebble needs no more. Failing does no harm, but
// that Pebble takes an old marker that stays for a new one that failed.
func (d *disk) Remove(name string) error {
	if d.foreign(name) {
		return d.FS.Remove(name)
	}
	if strings.HasPrefix(d.PathBase(name), "marker.") {
		return d.writes(name, func() error { return d.FS.Remove(name) })
	}
	if err := d.log.fatal(); err != nil {
		return err
	}
	return d.FS.Remove(name)
}

// Unwrap returns the file system itself.
func (d *disk) Unwrap() vfs.FS { return d.FS }

// file is a file being written, or the folder.
type file struct {
	vfs.File
	disk  *disk
	name  string
	quiet bool // it seems to succeed
}

// do writes unless the disk is frozen.
func (f *file) do(write func() error) error {
	if f.quiet {
		if f.disk.log.fatal() == nil {
			_ = f.disk.wrote(write()) // which is kept
		}
		return nil
	}
	return f.disk.writes(f.name, write)
}

func (f *file) Write(b []byte) (int, error) {
	return len(b), f.do(func() error { _, err := f.File.Write(b); return err })
}

func (f *file) WriteAt(b []byte, at int64) (int, error) {
	return len(b), f.do(func() error { _, err := f.File.WriteAt(b, at); return err })
}

func (f *file) Preallocate(offset, length int64) error {
	if f.disk.log.fatal() != nil {
		return nil
	}
	return f.File.Preallocate(offset, length) // which only makes writing faster
}

func (f *file) Sync() error { return f.do(f.File.Sync) }

func (f *file) SyncData() error { return f.do(f.File.SyncData) }

func (f *file) SyncTo(length int64) (full bool, err error) {
	err = f.do(func() (err error) { full, err = f.File.SyncTo(length); return err })
	return full, err
}

// Close closes the file whatever happened: its handle is to be released. What
// was to be on disk has been synced before.
func (f *file) Close() error {
	err := f.disk.wrote(f.File.Close())
	if f.quiet {
		return nil
	}
	return err
}
