package pebble_test

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/kv"
	"github.com/ankurah/ankurah-go/storage/storagetest"
)

var everyFault = flag.Bool("faults.all", false, "crash and fail at every point, with more seeds")

// scriptSteps is the number of transactions in one run; with memtables of
// 16 KiB they are enough for flushes, compactions and rotated logs.
const scriptSteps = 90

// runScript commits the whole script and builds indexes meanwhile. The engine
// is closed, and all errors are returned together, that of a commit first.
func runScript(t *testing.T, disk vfs.FS, s *storagetest.Script, acked *atomic.Int64) (e *kv.Engine, err error) {
	if e, err = openOn(t, disk); err != nil {
		return nil, err
	}
	for k := range scriptSteps {
		if k == scriptSteps/3 || k == 2*scriptSteps/3 {
			for name, indexes := range storagetest.ScriptIndexes() {
				for n, x := range indexes {
					if (n == 0) == (k == scriptSteps/3) {
						if err := e.EnsureIndex(t.Context(), name, x); err != nil {
							return e, err
						}
					}
				}
			}
		}
		if err := s.Step(t.Context(), e); err != nil {
			return e, err
		}
		acked.Add(1)
	}
	return e, nil
}

// checkScript opens what a crash or a fault left and checks all of it.
func checkScript(disk vfs.FS, acked int, s *storagetest.Script, t *testing.T) int {
	t.Helper()
	e, err := openOn(t, disk)
	if err != nil {
		t.Fatalf("after %d transactions: %v", acked, err)
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := e.WaitIndexes(t.Context()); err != nil {
		t.Fatal(err)
	}
	n := s.Check(t, e, acked)
	// The store goes on: the next commit is upon what was found.
	if err := storagetest.NewLedger(t, 77).Step(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	return n
}

// changes reports whether an operation changes what a crash leaves.
func changes(op errorfs.Op) bool {
	return op.Kind.ReadOrWrite() == errorfs.OpIsWrite && op.Kind != errorfs.OpLock && op.Kind != errorfs.OpFileClose
}

// TestCrashAtEveryWrite cuts the power before each write, sync, creation,
// renaming and removal of a run, with none, some or all of what was not synced
// on disk: the store is whole and holds what was acknowledged (S9, S23).
func TestCrashAtEveryWrite(t *testing.T) {
	seeds, every := 1, int64(4)
	if testing.Short() || storagetest.Slow {
		every = 40
	}
	if *everyFault {
		seeds, every = 8, 1
	}
	for seed := range seeds {
		disk := vfs.NewCrashableMem()
		random := rand.New(rand.NewPCG(uint64(seed), 1))
		var mu sync.Mutex // guards random and points, and keeps the order
		var points int64
		var acked atomic.Int64
		s := storagetest.NewScript(t, uint64(seed))
		var clones []clone
		injected := errorfs.Wrap(crashFS{disk}, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if !changes(op) {
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			if points++; (points+int64(seed))%every == 0 {
				n := int(acked.Load())
				clones = append(clones, clone{disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: []int{0, 20, 50, 80, 100}[random.IntN(5)], RNG: random}), n})
			}
			return nil
		}))
		e, err := runScript(t, injected, s, &acked)
		if err == nil {
			err = e.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		more := 0
		for _, c := range clones {
			if checkScript(c.fs, c.acked, s, t) > c.acked {
				more++
			}
		}
		t.Logf("seed %d: %d crashes at %d points; %d times more was there than acknowledged", seed, len(clones), points, more)
	}
}

// fault fails operations from the n-th that counts on, or only that one.
type fault struct {
	kind  error
	once  bool
	log   bool // only those of the log count
	after int64
}

func (f fault) String() string {
	return fmt.Sprintf("%v at %d, once %v, log only %v", f.kind, f.after, f.once, f.log)
}

// TestFailingWrites has the disk fail, once or from then on, at each operation
// that changes it: the commit says so, none is accepted after it, what was read
// stays readable, and a later process finds a whole store with all that was
// acknowledged (S23).
func TestFailingWrites(t *testing.T) {
	every := int64(9)
	if testing.Short() {
		every = 90
	}
	if storagetest.Slow { // Pebble itself is slower by much with the race detector
		every = 250
	}
	if *everyFault {
		every = 1
	}
	failed, faults := 0, 0
	for _, f := range []fault{{kind: syscall.ENOSPC}, {kind: syscall.EIO, once: true}, {kind: syscall.EIO}, {kind: syscall.ENOSPC, once: true, log: true}} {
		for f.after = 1; ; f.after += every {
			faults++
			met, stopped := runFault(t, f)
			if t.Failed() {
				t.Fatalf("%v", f)
			}
			if stopped {
				failed++
			}
			if !met {
				break
			}
		}
	}
	t.Logf("%d faults, %d stopped the engine", faults, failed)
	if failed*2 < faults {
		t.Error("most faults were not noticed")
	}
}

// runFault reports whether the run was long enough for the fault to happen,
// and whether the engine stopped.
func runFault(t *testing.T, f fault) (met, stopped bool) {
	t.Helper()
	disk := vfs.NewCrashableMem()
	var count atomic.Int64
	injected := errorfs.Wrap(crashFS{disk}, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if !changes(op) || f.log && !strings.HasSuffix(op.Path, ".log") {
			return nil
		}
		if n := count.Add(1); n == f.after || n > f.after && !f.once {
			return &fs.PathError{Op: "write", Path: op.Path, Err: f.kind}
		}
		return nil
	}))
	s := storagetest.NewScript(t, 1)
	var acked atomic.Int64
	e, err := runScript(t, injected, s, &acked)
	if err != nil {
		stopped = true
		checkStopped(t, e, s, err, f.kind)
	}
	crashed := disk.CrashClone(vfs.CrashCloneCfg{})
	if e != nil {
		_ = e.Close() // it may fail, too
	}
	checkScript(crashed, int(acked.Load()), s, t)
	checkScript(disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))}), int(acked.Load()), s, t)
	return count.Load() >= f.after, stopped
}

// checkStopped checks an engine after its first error.
func checkStopped(t *testing.T, e *kv.Engine, s *storagetest.Script, err, cause error) {
	t.Helper()
	if !errors.Is(err, cause) || storage.IsCorrupt(err) || !strings.HasPrefix(err.Error(), "ankurah: ") || !strings.Contains(err.Error(), "data/store") {
		t.Errorf("the error is %v", err)
	}
	if e == nil {
		return
	}
	w := s.Writer()
	if _, err := e.Commit(t.Context(), &storage.Batch{Txs: []storage.Tx{w.Tx(w.Create("album"))}}); !errors.Is(err, cause) {
		t.Errorf("a commit after a failure: %v", err)
	}
	if snap, err := e.Snapshot(); err == nil {
		t.Errorf("a snapshot after a failure")
		snap.Close()
	} else if !errors.Is(err, cause) {
		t.Errorf("a snapshot after a failure: %v", err)
	}
}
