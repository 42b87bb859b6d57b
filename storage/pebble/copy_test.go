package pebble_test

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/kv"
	"github.com/ankurah/ankurah-go/storage/pebble"
	"github.com/ankurah/ankurah-go/storage/storagetest"
)

var marks = []storage.MetaWrite{{Key: []byte("k0"), Value: []byte("copied")}}

// openAt opens a folder of a disk.
func openAt(t *testing.T, disk vfs.FS, dir string) (*kv.Engine, error) {
	t.Helper()
	o := &pebble.Options{FS: disk, CacheSize: 1 << 20}
	o.SetMemTable(16 << 10)
	return pebble.Open(t.Context(), dir, o)
}

func closed(t *testing.T, e *kv.Engine) {
	t.Helper()
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}

// scripted returns a store in folder db with a script's transactions.
func scripted(t *testing.T, disk vfs.FS, n int) (*kv.Engine, *storagetest.Script) {
	t.Helper()
	e, err := openAt(t, disk, "db")
	if err != nil {
		t.Fatal(err)
	}
	s := storagetest.NewScript(t, 5)
	for range n {
		if err := s.Step(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	return e, s
}

// checkCopy fails unless a folder is a whole store with the marks.
func checkCopy(t *testing.T, disk vfs.FS, dir string, s *storagetest.Script) {
	t.Helper()
	e, err := openAt(t, disk, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, e)
	if err := storagetest.Whole(t.Context(), e, s.Writer().Kinds); err != nil {
		t.Error(err)
	}
	snap, err := e.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	if b, ok, err := snap.Meta(t.Context(), marks[0].Key); err != nil || !ok || string(b) != "copied" {
		t.Errorf("the mark is %q, %v", b, err)
	}
	if names, err := snap.Collections(t.Context()); err != nil || len(names) == 0 {
		t.Errorf("the copy holds %v, %v", names, err)
	}
}

// A copy is a whole store whatever is committed meanwhile, and takes only a
// folder that is not there or empty.
func TestCopy(t *testing.T) {
	disk := vfs.NewMem()
	e, s := scripted(t, disk, 60)
	defer closed(t, e)
	ended := make(chan error)
	stop := make(chan struct{})
	go func() {
		for {
			select {
			case <-stop:
				ended <- nil
				return
			default:
			}
			if err := s.Step(context.Background(), e); err != nil {
				ended <- err
				return
			}
		}
	}()
	if err := disk.MkdirAll("empty", 0o700); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"new", "empty"} {
		if err := e.Copy(t.Context(), dir, marks...); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"new", "empty"} {
		checkCopy(t, disk, dir, s)
		before, err := disk.List(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Copy(t.Context(), dir, marks...); err == nil || !strings.Contains(err.Error(), "not empty") {
			t.Errorf("over a store: %v", err)
		}
		after, err := disk.List(dir)
		if err != nil || len(after) != len(before) {
			t.Errorf("the refused copy left %v of %v: %v", after, before, err)
		}
	}
	if err := e.Copy(t.Context(), "db", marks...); err == nil {
		t.Error("a store was copied over itself")
	}
}

// A copy that is interrupted, by its caller, by a disk that fails or by a
// crash, leaves no folder of that name, and the next one takes its place.
func TestCopyInterrupted(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	disk := vfs.NewMem()
	e, s := scripted(t, disk, 20)
	if err := e.Copy(ended, "copy", marks...); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := disk.Stat("copy"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a cancelled copy is there: %v", err)
	}
	closed(t, e)

	whole, failed := false, 0
	for n := 1; !whole; n++ {
		disk := vfs.NewCrashableMem()
		e, source := scripted(t, disk, 20)
		closed(t, e)
		left := 0
		injected := errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if left > 0 && changes(op) && strings.HasPrefix(op.Path, "copy") {
				if left--; left == 0 {
					left = 1 // and all behind it
					return errorfs.ErrInjected
				}
			}
			return nil
		}))
		e, err := openAt(t, injected, "db")
		if err != nil {
			t.Fatal(err)
		}
		left = n
		err = e.Copy(t.Context(), "copy", marks...)
		left = 0
		if whole = err == nil; !whole {
			failed++
		}
		if err := source.Step(t.Context(), e); err != nil {
			t.Fatalf("the store takes no commit after a copy failed at %d: %v", n, err)
		}
		closed(t, e)
		// What is on disk is a whole copy or none, for who reads on and for who
		// comes back after a crash.
		for _, disk := range []vfs.FS{disk, disk.CrashClone(vfs.CrashCloneCfg{})} {
			if names, err := disk.List("copy"); err == nil && len(names) > 0 {
				checkCopy(t, disk, "copy", s)
			} else if whole {
				t.Errorf("the copy is gone: %v", err)
			}
		}
		if whole {
			break
		}
		again, err := openAt(t, disk, "db")
		if err != nil {
			t.Fatal(err)
		}
		if names, _ := disk.List("copy"); len(names) == 0 {
			if err := again.Copy(t.Context(), "copy", marks...); err != nil {
				t.Errorf("again after failure %d: %v", n, err)
			}
			checkCopy(t, disk, "copy", s)
		}
		closed(t, again)
	}
	if failed < 10 {
		t.Errorf("only %d points were tried", failed)
	}
}
