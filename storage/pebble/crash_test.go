package pebble_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/kv"
	"github.com/ankurah/ankurah-go/storage/pebble"
	"github.com/ankurah/ankurah-go/storage/storagetest"
)

func openOn(t *testing.T, fs vfs.FS) (*kv.Engine, error) {
	o := &pebble.Options{FS: fs, Index: kv.IndexOptions{Chunk: 1}}
	o.SetMemTable(16 << 10)
	return pebble.Open(t.Context(), "data/store", o)
}

// syncs reports whether an operation makes something durable.
func syncs(op errorfs.Op) bool {
	switch op.Kind {
	case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
		return true
	}
	return false
}

// crashFS is a file system that can be cloned while it is in use, which
// MemFS.ReuseForWrite does not stand: it takes a lock for reading twice.
type crashFS struct{ *vfs.MemFS }

func (f crashFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.Rename(oldname, newname); err != nil {
		return nil, err
	}
	return f.OpenReadWrite(newname, category)
}

// clone is a file system as a crash left it.
type clone struct {
	fs    vfs.FS
	acked int // transactions whose Commit had returned
}

// TestCrash cuts the power at every sync of a run, before it and after it, with
// none or some of what was not synced on disk: what was acknowledged is there,
// nothing is there in part (S9, S23).
func TestCrash(t *testing.T) {
	disk := vfs.NewCrashableMem()
	random := rand.New(rand.NewPCG(1, 2))
	var mu sync.Mutex // guards random and clones; Pebble syncs in the background, too
	var clones []clone
	var acked atomic.Int64
	crash := func() {
		mu.Lock()
		defer mu.Unlock()
		n := int(acked.Load())
		clones = append(clones, clone{disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: random.IntN(3) * 50, RNG: random}), n})
	}
	var after atomic.Bool
	fs := errorfs.Wrap(crashFS{disk}, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if after.Swap(syncs(op)) || syncs(op) {
			crash()
		}
		return nil
	}))
	e, err := openOn(t, fs)
	if err != nil {
		t.Fatal(err)
	}
	l := storagetest.NewLedger(t, 1)
	for range 60 {
		if acked.Load() == 20 {
			if err := e.EnsureIndex(t.Context(), "ledger", storagetest.LedgerIndex); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Step(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		acked.Add(1)
		crash()
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	crash()
	for _, c := range clones {
		checkClone(t, l, c)
	}
	t.Log(len(clones), "crashes")
}

func checkClone(t *testing.T, l *storagetest.Ledger, c clone) {
	t.Helper()
	e, err := openOn(t, c.fs)
	if err != nil {
		t.Fatalf("after %d transactions: %v", c.acked, err)
	}
	defer e.Close()
	if err := e.WaitIndexes(t.Context()); err != nil {
		t.Fatal(err)
	}
	snap, err := e.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	l.Check(t, snap, c.acked)
}

// TestWriteErrors lets the n-th sync or write of the log fail, for many n. The
// engine reports it and takes no further commit; the store opens again with
// all that was acknowledged.
func TestWriteErrors(t *testing.T) {
	injected := errors.New("injected")
	failed := 0
	for n := 1; n < 220; n += 3 {
		disk := vfs.NewCrashableMem()
		var left atomic.Int64
		left.Store(int64(n))
		fs := errorfs.Wrap(crashFS{disk}, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if (syncs(op) || op.Kind == errorfs.OpFileWrite) && strings.HasSuffix(op.Path, ".log") && left.Add(-1) <= 0 {
				return injected
			}
			return nil
		}))
		l, acked := storagetest.NewLedger(t, 1), 0
		e, err := pebble.Open(t.Context(), "data/store", &pebble.Options{FS: fs, NoSync: n%2 == 0})
		for ; err == nil && acked < 60; acked++ {
			if err = l.Step(t.Context(), e); err != nil {
				break
			}
		}
		if err != nil {
			failed++
			if e != nil {
				if err := l.Step(t.Context(), e); err == nil {
					t.Fatalf("write %d: a commit was accepted after a failure", n)
				}
			}
		}
		if n%2 == 0 {
			acked = 0 // nothing was promised
		}
		crashed := clone{disk.CrashClone(vfs.CrashCloneCfg{}), acked}
		if e != nil {
			_ = e.Close() // it may fail, too
		}
		checkClone(t, l, crashed)
	}
	if failed < 20 {
		t.Errorf("only %d failures", failed)
	}
}

// TestDamagedFiles flips bytes in every file of a store, cuts and removes
// files. Errors say that the store is damaged. What is read all the same is
// right, but that an end may be missing: of a log or of the MANIFEST a damaged
// end looks like a write that was cut off.
func TestDamagedFiles(t *testing.T) {
	t.Run("tables", func(t *testing.T) { damage(t, 16<<10, "sst") })
	t.Run("log", func(t *testing.T) { damage(t, 0, "log") })
}

func damage(t *testing.T, memTable uint64, kind string) {
	disk := vfs.NewMem()
	l := storagetest.NewLedger(t, 1)
	o := &pebble.Options{FS: disk}
	o.SetMemTable(memTable)
	e, err := pebble.Open(t.Context(), "data/store", o)
	if err != nil {
		t.Fatal(err)
	}
	steps := 200
	if storagetest.Slow {
		steps = 120
	}
	for range steps {
		if err := l.Step(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	names, err := disk.List("data/store")
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	tries := 12
	if storagetest.Slow {
		tries = 6
	}
	found := map[string]int{}
	for _, name := range names {
		path := "data/store/" + name
		data := readFile(t, disk, path)
		kind := strings.TrimPrefix(filepath.Ext(name), ".")
		if strings.HasPrefix(name, "MANIFEST") {
			kind = "MANIFEST"
		}
		if kind == "log" && memTable != 0 {
			continue // one of several: what it lost is no end
		}
		for try := range tries {
			fs := copyFS(t, disk, names)
			damaged := append([]byte(nil), data...)
			switch {
			case try == 0 && kind == "log":
				continue // Pebble has no list of its logs
			case try == 0:
				if err := fs.Remove(path); err != nil {
					t.Fatal(err)
				}
			case try == 1:
				writeFile(t, fs, path, damaged[:len(damaged)/2])
			case len(damaged) > 0:
				for range try {
					damaged[random.IntN(len(damaged)*2/3)] ^= 1 << random.IntN(8)
				}
				writeFile(t, fs, path, damaged)
			}
			t.Run(fmt.Sprint(name, " ", try), func(t *testing.T) {
				err := readLedger(t, fs, l, kind, steps)
				switch {
				case err == nil:
				case storage.IsCorrupt(err):
					found[kind]++
				case !strings.Contains(err.Error(), "not an ankurah store"): // its first record is lost
					t.Errorf("%v is not about damage", err)
				}
				if err != nil && !strings.Contains(err.Error(), "data/store") {
					t.Errorf("the error does not say where: %v", err)
				}
			})
		}
	}
	t.Log("errors by kind of file:", found)
	if found[kind] == 0 {
		t.Errorf("no damage of a %s was found", kind)
	}
}

// readLedger opens a store and checks all of it. Errors of opening and reading
// are returned, wrong data fails the test.
func readLedger(t *testing.T, fs vfs.FS, l *storagetest.Ledger, kind string, steps int) error {
	t.Helper()
	e, err := openOn(t, fs)
	if err != nil {
		return err
	}
	defer e.Close()
	snap, err := e.Snapshot()
	if err != nil {
		return err
	}
	defer snap.Close()
	for _, err := range snap.MetaRange(t.Context(), nil, nil) {
		if err != nil {
			return err
		}
	}
	for st, err := range snap.All(t.Context(), "ledger") {
		if err != nil {
			return err
		}
		for ev, err := range snap.Events(t.Context(), "ledger", st.ID(), 1, st.Rev()) {
			if err != nil {
				return err
			}
			if _, _, err := snap.Find(t.Context(), ev.ID); err != nil {
				return err
			}
		}
	}
	for _, tx := range l.Txs() {
		if _, _, err := snap.Tx(t.Context(), tx); err != nil {
			return err
		}
	}
	switch kind {
	case "MANIFEST":
	case "log":
		l.Check(t, snap, 0)
	default:
		l.Check(t, snap, steps)
	}
	return nil
}

func readFile(t *testing.T, fs vfs.FS, path string) []byte {
	t.Helper()
	f, err := fs.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func writeFile(t *testing.T, fs vfs.FS, path string, data []byte) {
	t.Helper()
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func copyFS(t *testing.T, from vfs.FS, names []string) vfs.FS {
	t.Helper()
	to := vfs.NewMem()
	if err := to.MkdirAll("data/store", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		writeFile(t, to, "data/store/"+name, readFile(t, from, "data/store/"+name))
	}
	return to
}
