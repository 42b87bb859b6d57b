package pebble

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/kv"
)

// Sizes that suit two cores and small machines.
const (
	defaultCache    = 64 << 20
	defaultMemTable = 32 << 20
	bloomBits       = 10
	indexBlockSize  = 256 << 10 // large enough that few tables need a second level
)

// Store is a [kv.Store] in a folder.
type Store struct {
	dir   string
	opts  Options
	db    *pebble.DB
	write *pebble.WriteOptions
	log   *log
	disk  *disk

	backlog backlog

	mu   sync.Mutex // one Apply at a time, so that preconditions hold
	left chan error // gets the result of a commit that was not awaited, if it ends

	floor floor
}

// floor holds a snapshot that is older than the newest ones. Closing the oldest
// snapshot of a store makes Pebble look for a compaction, which costs as much
// as a small commit; above a floor closing is a matter of unlinking. What it
// keeps from being dropped is the few versions since it was taken.
type floor struct {
	mu    sync.Mutex
	under *pebble.Snapshot
	taken int // snapshots since
}

// maxAboveFloor is how many snapshots are taken above one floor.
const maxAboveFloor = 64

// rise replaces the floor when enough snapshots were taken above it.
func (f *floor) rise(db *pebble.DB) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.taken++; f.under != nil && f.taken < maxAboveFloor {
		return nil
	}
	old := f.under
	f.under, f.taken = db.NewSnapshot(), 0
	if old == nil {
		return nil
	}
	return old.Close()
}

// drop closes the floor.
func (f *floor) drop() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.under == nil {
		return nil
	}
	defer func() { f.under = nil }()
	return f.under.Close()
}

// OpenStore opens the bytes under an engine. Several engines may live over one
// store, each with a prefix of its own and kv.Options.KeepStore set.
func OpenStore(ctx context.Context, dir string, opts *Options) (*Store, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s := &Store{dir: dir, opts: opts.orDefault(), write: pebble.Sync, log: newLog()}
	if s.opts.NoSync {
		s.write = pebble.NoSync
	}
	s.log.to = s.opts.Logger
	if s.opts.FS == nil {
		s.opts.FS = vfs.Default
		abs, err := absolute(dir)
		if err != nil {
			return nil, s.failed("open", err)
		}
		s.dir = abs
	}
	exists, err := s.checkFolder()
	if err != nil {
		return nil, err
	}
	s.disk = newDisk(s.opts.FS, s.dir, s.log)
	if err := s.open(); err != nil {
		return nil, err
	}
	if !exists {
		// The first log of a store is in an old format, in which damage in the
		// middle looks like the end. Opening it again begins another.
		if err := s.db.Close(); err != nil {
			return nil, s.failed("open", err)
		}
		if err := s.open(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// open opens the files. Pebble waits for what it writes meanwhile, and for ever
// if that fails, so it is left behind then, without the folder.
func (s *Store) open() error {
	type opened struct {
		db  *pebble.DB
		err error
	}
	done := make(chan opened, 1)
	go func() {
		db, err := pebble.Open(s.dir, s.options())
		done <- opened{db, err}
	}()
	var o opened
	select {
	case o = <-done:
	case <-s.disk.stuck:
		return s.failed("open", errors.Join(s.log.fatal(), s.disk.unlock()))
	}
	fatal := s.log.fatal()
	switch {
	case o.err != nil && fatal != nil:
		return s.failed("open", fatal)
	case o.err != nil:
		return s.failedOpen(o.err)
	case fatal != nil: // of which Pebble was not told
		s.disk.end()
		return s.failed("open", errors.Join(fatal, o.db.Close()))
	}
	s.db = o.db
	s.backlog.settle()
	return nil
}

func (s *Store) options() *pebble.Options {
	o := &pebble.Options{
		FS:                          s.disk,
		CacheSize:                   s.opts.CacheSize,
		FormatMajorVersion:          pebble.FormatValueSeparation,
		ReadOnly:                    s.opts.ReadOnly,
		ErrorIfNotExists:            s.opts.ReadOnly,
		MemTableSize:                s.opts.memTable,
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       24,
		LBaseMaxBytes:               64 << 20,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
		Logger:                      s.log,
		// Left to itself Pebble ends the process when it meets a damaged file.
		EventListener: &pebble.EventListener{
			DataCorruption:  func(info pebble.DataCorruptionInfo) { s.log.Errorf("%s", info) },
			BackgroundError: func(err error) { s.log.Errorf("background: %s", err) },
		},
	}
	s.backlog.listen(o.EventListener)
	if o.CacheSize <= 0 {
		o.CacheSize = defaultCache
	}
	if o.MemTableSize == 0 {
		o.MemTableSize = defaultMemTable
	}
	o.CacheSize += int64(o.MemTableSize) // which Pebble takes from the cache's size
	for k := range o.Levels {
		o.Levels[k].FilterPolicy = bloom.FilterPolicy(bloomBits)
		o.Levels[k].IndexBlockSize = indexBlockSize
	}
	return o
}

// checkFolder reports whether there is a store in the folder, and refuses to
// make one among files of something else.
func (s *Store) checkFolder() (exists bool, err error) {
	names, err := s.opts.FS.List(s.dir)
	if errors.Is(err, fs.ErrNotExist) && !s.opts.ReadOnly {
		return false, nil
	}
	if err != nil {
		return false, s.failed("open", err)
	}
	if len(names) == 0 {
		return false, nil
	}
	desc, err := pebble.Peek(s.dir, s.opts.FS)
	if err != nil {
		return false, s.failed("open", err)
	}
	k := slices.IndexFunc(names, func(n string) bool { return !ours(n) })
	switch {
	case desc.Exists || k < 0:
		return desc.Exists, nil
	case strings.HasSuffix(names[k], ".sst"), strings.HasSuffix(names[k], ".blob"):
		return false, &storage.CorruptError{What: s.dir, Err: errors.New("it has tables and no MANIFEST")}
	}
	return false, errors.New("ankurah: " + s.dir + " is not an ankurah store: it holds other files, such as " + names[k])
}

// ours reports whether a file of that name can be left over from a process
// that ended while it made a store.
func ours(name string) bool {
	if name == "LOCK" || name == "lost+found" || name == "CURRENT" {
		return true
	}
	for _, p := range []string{"MANIFEST-", "OPTIONS-", "marker.", "temporary."} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	for _, p := range []string{".log", ".dbtmp"} {
		if strings.HasSuffix(name, p) {
			return true
		}
	}
	return false
}

// failedOpen describes why files that are there could not be opened. What is
// no fault of the operating system's is one of the files.
func (s *Store) failedOpen(err error) error {
	var path *fs.PathError
	var number syscall.Errno
	switch {
	case strings.Contains(err.Error(), "unknown format major version"):
		return errors.New("ankurah: " + s.dir + " was written by a newer version of the program: use that one (" + err.Error() + ")")
	case errors.Is(err, pebble.ErrDBDoesNotExist):
		return errors.New("ankurah: there is no store in " + s.dir)
	case errors.Is(err, storage.ErrLocked), !errors.Is(err, fs.ErrNotExist) && (errors.As(err, &path) || errors.As(err, &number)):
		return s.failed("open", err)
	}
	return &storage.CorruptError{What: s.dir, Err: err}
}

// failed describes an error of Pebble's.
func (s *Store) failed(doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, storage.ErrLocked) || errors.Is(err, storage.ErrCorrupt):
		return err
	case pebble.IsCorruptionError(err):
		return &storage.CorruptError{What: s.dir, Err: err}
	}
	return fmt.Errorf("ankurah: %s %s: %w", doing, s.dir, err)
}

// Snapshot returns a view of everything that Apply has returned from.
// After a failed write there is none, since Pebble would show what is not on
// disk; those taken before stay readable.
func (s *Store) Snapshot() (kv.Snapshot, error) {
	if err := s.log.fatal(); err != nil {
		return nil, s.failed("read", err)
	}
	if err := s.floor.rise(s.db); err != nil {
		return nil, s.failed("read", err)
	}
	return snapshot{s, s.db.NewSnapshot()}, nil
}

// Apply makes the batch's writes if its preconditions hold, and returns when
// they are on disk unless the store was opened with NoSync. After a failed
// write every further one fails.
func (s *Store) Apply(ctx context.Context, b *kv.Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	behind := s.backlog.any() // before the error of what it was behind with
	if err := s.log.fatal(); err != nil {
		return s.failed("write", err)
	}
	for k := range b.Preconditions {
		if holds, err := s.holds(&b.Preconditions[k]); err != nil || !holds {
			if err == nil {
				err = &kv.PreconditionError{Index: k}
			}
			return err
		}
	}
	if len(b.Writes) == 0 {
		return nil
	}
	if behind {
		return s.failed("write", s.applyBehind(b.Writes))
	}
	return s.failed("write", s.apply(b.Writes))
}

// applyBehind is apply while Pebble may let writes wait until a flush or a
// compaction ends: it does not wait for one that failed.
func (s *Store) applyBehind(writes []kv.Write) error {
	b, err := s.batch(writes)
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- s.commit(b) }()
	select {
	case err := <-done:
		return err
	case <-s.log.failed:
		s.left = done // it may wait for ever, and may be through all the same
		return s.log.fatal()
	}
}

func (s *Store) holds(p *kv.Precondition) (bool, error) {
	v, closer, err := s.db.Get(p.Key)
	if errors.Is(err, pebble.ErrNotFound) {
		return p.Value == nil, nil
	}
	if err != nil {
		return false, s.failed("read", err)
	}
	defer closer.Close()
	return p.Value != nil && bytes.Equal(v, p.Value), nil
}

func (s *Store) apply(writes []kv.Write) error {
	b, err := s.batch(writes)
	if err != nil {
		return err
	}
	return s.commit(b)
}

// batch copies writes into one of Pebble's batches.
func (s *Store) batch(writes []kv.Write) (*pebble.Batch, error) {
	size := 64
	for k := range writes {
		size += len(writes[k].Key) + len(writes[k].Value) + 16
	}
	b := s.db.NewBatchWithSize(size)
	for k := range writes {
		w, err := &writes[k], error(nil)
		if w.Delete {
			err = b.Delete(w.Key, nil)
		} else {
			err = b.Set(w.Key, w.Value, nil)
		}
		if err != nil {
			return nil, errors.Join(err, b.Close())
		}
	}
	return b, nil
}

func (s *Store) commit(b *pebble.Batch) (err error) {
	// Pebble panics when it cannot write its log, with a lock held that nobody
	// will release: the store is of no use from then on.
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
			s.log.Fatalf("%v", p)
			s.log.jam()
		}
	}()
	if err := b.Commit(s.write); err != nil {
		return err
	}
	// Pebble is not told of a failed write of its log.
	if err := s.log.fatal(); err != nil {
		return err
	}
	return b.Close()
}

// Close closes the store. Snapshots must be closed before.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left != nil {
		select {
		case <-s.left:
		default:
			s.log.jam()
		}
	}
	if s.log.jammed() {
		return s.leave()
	}
	s.disk.end()
	err := s.closing(func() error { return errors.Join(s.floor.drop(), s.db.Close()) })
	select {
	case <-s.disk.held:
		return s.leave()
	default:
		return err
	}
}

// closing closes something, for which Pebble may wait for the MANIFEST. Nobody
// waits for one that was not written.
func (s *Store) closing(what func() error) error {
	done := make(chan error, 1)
	go func() { done <- what() }()
	select {
	case err := <-done:
		return s.failed("close", err)
	case <-s.disk.held:
		return nil
	}
}

// leave lets the folder go. Closing would wait for ever, as what runs in the
// background does.
func (s *Store) leave() error {
	return s.failed("close", errors.Join(s.log.fatal(), s.disk.unlock()))
}

type snapshot struct {
	s *Store
	p *pebble.Snapshot
}

func (s snapshot) Get(ctx context.Context, key []byte) ([]byte, bool, error) {
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	v, closer, err := s.p.Get(key)
	if err != nil {
		if errors.Is(err, pebble.ErrNotFound) {
			return nil, false, nil
		}
		return nil, false, s.s.failed("read", err)
	}
	v = append(make([]byte, 0, len(v)), v...)
	return v, true, s.s.failed("read", closer.Close())
}

func (s snapshot) Scan(ctx context.Context, lo, hi []byte, reverse bool) (kv.Iterator, error) {
	if len(lo) == 0 {
		lo = nil // Pebble knows no bound by that only
	}
	it, err := s.p.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: lo, UpperBound: hi})
	if err != nil {
		return nil, s.s.failed("read", err)
	}
	return &iterator{s: s.s, it: it, reverse: reverse}, nil
}

func (s snapshot) Close() error {
	if s.s.log.fatal() == nil {
		return s.s.failed("close", s.p.Close())
	}
	return s.s.closing(s.p.Close)
}

type iterator struct {
	s       *Store
	it      *pebble.Iterator
	reverse bool
	begun   bool
}

func (i *iterator) Next() bool {
	begun := i.begun
	i.begun = true
	switch {
	case begun && i.reverse:
		return i.it.Prev()
	case begun:
		// Every key is its own prefix. Next would walk through all versions of a
		// key that is written often; this seeks past them.
		return i.it.NextPrefix()
	case i.reverse:
		return i.it.Last()
	}
	return i.it.First()
}

func (i *iterator) Key() []byte   { return i.it.Key() }
func (i *iterator) Value() []byte { return i.it.Value() }
func (i *iterator) Err() error    { return i.s.failed("read", i.it.Error()) }
func (i *iterator) Close() error  { return i.s.failed("read", i.it.Close()) }

type lockedError struct {
	dir string
	err error
}

func (e *lockedError) Error() string {
	return "ankurah: " + e.dir + " is in use by another process, or by another node of this one (" + e.err.Error() +
		"): stop that one, or connect to it instead of opening its folder"
}
func (e *lockedError) Unwrap() []error { return []error{storage.ErrLocked, e.err} }
