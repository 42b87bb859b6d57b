package pebble_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/kv"
	"github.com/ankurah/ankurah-go/storage/pebble"
	"github.com/ankurah/ankurah-go/storage/storagetest"
)

// place is a folder.
type place struct {
	t    *testing.T
	dir  string
	opts pebble.Options
}

func (p place) Open() (storage.Engine, error) {
	e, err := pebble.Open(p.t.Context(), p.dir, &p.opts)
	if err != nil {
		return nil, err
	}
	return e, nil
}

func TestEngine(t *testing.T) {
	storagetest.Run(t, storagetest.Config{
		New: func(t *testing.T) storagetest.Place {
			return place{t, t.TempDir(), pebble.Options{NoSync: true}}
		},
		Exclusive: true,
	})
}

// TestEngineOnTables runs the suite with memtables so small that most of what
// is read comes from tables, on the file system that the crash tests use.
func TestEngineOnTables(t *testing.T) {
	if storagetest.Slow {
		t.Skip("the other run has the same goroutines")
	}
	storagetest.Run(t, storagetest.Config{
		New: func(t *testing.T) storagetest.Place {
			p := place{t, "store", pebble.Options{FS: crashFS{vfs.NewCrashableMem()}}}
			p.opts.SetMemTable(64 << 10)
			return p
		},
		Exclusive: true,
		Pairs:     3000,
	})
}

func TestStore(t *testing.T) {
	storagetest.RunStore(t, func(t *testing.T) kv.Store {
		s, err := pebble.OpenStore(t.Context(), "store", &pebble.Options{FS: vfs.NewMem()})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

func TestURLs(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for url, want := range map[string]string{
		"pebble:./data":            dir + "/data",
		"pebble:data":              dir + "/data",
		"pebble://" + dir + "/two": dir + "/two",
		"pebble:" + dir + "/three": dir + "/three",
	} {
		e, err := storage.Open(t.Context(), url)
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		if got := e.Info(); got != (storage.Info{Name: "pebble", Location: want, Durability: "fsync"}) {
			t.Errorf("%s: %+v", url, got)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, url := range []string{"pebble:", "pebble://host/data"} {
		if _, err := storage.Open(t.Context(), url); err == nil || !strings.Contains(err.Error(), "./folder") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// TestLocked opens a folder by several names, and from another process.
func TestLocked(t *testing.T) {
	if dir := os.Getenv("ANKURAH_TEST_LOCKED"); dir != "" { // the other process
		_, err := pebble.Open(t.Context(), dir, nil)
		fmt.Println("locked:", errors.Is(err, storage.ErrLocked), err)
		return
	}
	dir := filepath.Join(t.TempDir(), "data")
	e, err := pebble.Open(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{dir, link, filepath.Dir(dir) + "/../" + filepath.Base(filepath.Dir(dir)) + "/data"} {
		if _, err := pebble.Open(t.Context(), name, nil); !errors.Is(err, storage.ErrLocked) || !strings.Contains(err.Error(), "stop that one") {
			t.Errorf("%s: %v", name, err)
		}
	}
	other := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestLocked$")
	other.Env = append(os.Environ(), "ANKURAH_TEST_LOCKED="+dir)
	out, err := other.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("locked: true")) {
		t.Errorf("another process: %s %v", out, err)
	}
}

func TestFolders(t *testing.T) {
	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "letter.txt"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(foreign, "letter.txt")
	missing := filepath.Join(t.TempDir(), "missing")
	cases := []struct {
		name, dir string
		opts      pebble.Options
		want      string
	}{
		{"other files", foreign, pebble.Options{}, "letter.txt"},
		{"a file", file, pebble.Options{}, "letter.txt"},
		{"missing, to be read", missing, pebble.Options{ReadOnly: true}, "missing"},
		{"empty, to be read", t.TempDir(), pebble.Options{ReadOnly: true}, ""},
	}
	for _, c := range cases {
		e, err := pebble.Open(t.Context(), c.dir, &c.opts)
		if err == nil {
			e.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.dir) || storage.IsCorrupt(err) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, err := os.Stat(missing); err == nil {
		t.Error("opening for reading made a folder")
	}
	if names, _ := os.ReadDir(foreign); len(names) != 1 {
		t.Errorf("the foreign folder holds %v", names)
	}
	deep := filepath.Join(t.TempDir(), "a", "b", "c")
	e, err := pebble.Open(t.Context(), deep, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestReadOnly tests that reading changes no file.
func TestReadOnly(t *testing.T) {
	dir := t.TempDir()
	e, err := pebble.Open(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	l := storagetest.NewLedger(t, 1)
	for range 10 {
		if err := l.Step(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	before := files(t, dir)
	for range 2 {
		e, err := pebble.Open(t.Context(), dir, &pebble.Options{ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		snap, err := e.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		l.Check(t, snap, 10)
		snap.Close()
		if err := l.Step(t.Context(), e); err == nil {
			t.Error("a commit was accepted")
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if after := files(t, dir); after != before {
		t.Errorf("files before: %s\nafter: %s", before, after)
	}
}

// files describes the files in a folder but for its lock.
func files(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			t.Fatal(err)
		}
		if entry.Name() != "LOCK" {
			fmt.Fprintf(&out, "%s %d %v; ", entry.Name(), info.Size(), info.ModTime())
		}
	}
	return out.String()
}

// TestSharedStore runs two engines over one folder, each under its prefix, and
// opens them one at a time after.
func TestSharedStore(t *testing.T) {
	dir := t.TempDir()
	store, err := pebble.OpenStore(t.Context(), dir, &pebble.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	var ls []*storagetest.Ledger
	var es []*kv.Engine
	for k := range 2 {
		opts := store.EngineOptions([]byte{byte('a' + k)}, kv.IndexOptions{})
		opts.KeepStore = true
		e, err := kv.New(store, opts)
		if err != nil {
			t.Fatal(err)
		}
		es = append(es, e)
		ls = append(ls, storagetest.NewLedger(t, uint64(k)))
	}
	for k := range 40 {
		if err := ls[k%2].Step(t.Context(), es[k%2]); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(es[0].Close(), es[1].Close(), store.Close()); err != nil {
		t.Fatal(err)
	}
	for k, l := range ls {
		e, err := pebble.Open(t.Context(), dir, &pebble.Options{Prefix: []byte{byte('a' + k)}})
		if err != nil {
			t.Fatal(err)
		}
		snap, err := e.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		l.Check(t, snap, 20)
		if err := errors.Join(snap.Close(), e.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLogger tests that Pebble's messages go where they are wanted, and
// nowhere else.
func TestLogger(t *testing.T) {
	var out bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&out, nil))
	e, err := pebble.Open(t.Context(), "store", &pebble.Options{FS: vfs.NewMem(), Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "pebble: ") {
		t.Errorf("logged %q", out.String())
	}
}
