package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage/kv"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/storage/pebble"
	"github.com/ankurah/ankurah-go/transport/wsclient"
)

func (s *shell) read(name string) []byte {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

// fails fails the test unless a command ended with a code and one line that has
// all of the words.
func (s *shell) fails(o outcome, code int, words ...string) {
	s.t.Helper()
	if o.code != code || strings.Count(o.err, "\n") != 1 {
		s.t.Errorf("exit %d, want %d: %s%s", o.code, code, o.out, o.err)
	}
	for _, w := range words {
		if !strings.Contains(o.err, w) {
			s.t.Errorf("%q is not in %q", w, o.err)
		}
	}
}

// A dump is restored into a store that holds the same, whichever way it goes.
func TestDumpRestore(t *testing.T) {
	s := withAlbums(t)
	s.fails(s.run("--data", "nowhere", "dump", "--out", "x"), exitNotFound, "nowhere")
	if out := s.must("dump", "--out", "a.dump", "-q"); !strings.HasPrefix(out, "dumped 5 entities, ") {
		t.Error(out)
	}
	if out := s.must("--data", "two", "restore", "--in", "a.dump", "-q"); !strings.HasPrefix(out, "restored 5 entities, ") {
		t.Error(out)
	}
	piped := s.pipe(s.must("dump", "-q"), "--data", "three", "restore", "-q")
	said(t, piped, "restored 5 entities")
	want := s.must("query", "album", "ORDER BY year")
	for _, data := range []string{"data", "two", "three"} {
		if got := s.must("--data", data, "query", "album", "ORDER BY year"); got != want {
			t.Errorf("%s holds\n%s, want\n%s", data, got, want)
		}
		if out := s.must("--data", data, "verify", "-q"); !strings.HasPrefix(out, "verified 5 entities, ") || !strings.Contains(out, "no difference") {
			t.Error(out)
		}
		s.must("--data", data, "dump", "--out", data+".dump", "-q")
		if !bytes.Equal(s.read(data+".dump"), s.read("a.dump")) {
			t.Errorf("%s has another dump", data)
		}
		if out := s.must("--data", data, "explain", "album", "year = 1999"); !strings.Contains(out, "index year") {
			t.Errorf("%s has no index: %s", data, out)
		}
	}
	s.fails(s.run("--data", "two", "restore", "--in", "a.dump"), exitUsage, "not empty", "--data")
	s.fails(s.run("--data", "new", "restore", "--in", "albums.ndjson"), exitInput, "no dump")
	s.fails(s.run("--data", "new", "restore", "--in", "nope"), exitUsage, "nope")
	if _, err := os.Stat(filepath.Join(s.dir, "new")); !os.IsNotExist(err) {
		t.Errorf("what is no dump left a folder: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(s.dir, "*.unfinished")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// refused fails unless the store in a folder is one that a restore left, which
// nothing opens.
func (s *shell) refused(data string) {
	s.t.Helper()
	for _, args := range [][]string{{"query", "album"}, {"verify"}, {"dump", "--out", "x"}, {"import", "albums.ndjson", "--collection", "album"}, {"backup", "--out", "copy"}} {
		s.fails(s.run(append([]string{"--data", data}, args...)...), exitStore, "not whole", "remove it and restore again")
	}
}

// A damaged dump is called so, and what it left is no store.
func TestDamagedDump(t *testing.T) {
	s := withAlbums(t)
	s.must("dump", "--out", "a.dump", "-q")
	sound := s.read("a.dump")
	flipped := bytes.Clone(sound)
	flipped[len(flipped)*2/3] ^= 1
	for name, b := range map[string][]byte{"flipped": flipped, "cut": sound[:len(sound)-1]} {
		s.write(name, string(b))
		s.fails(s.run("--data", name+".data", "restore", "--in", name, "-q"), exitInput, "the dump is ", "at byte ", "take another copy of it")
		s.refused(name + ".data")
		s.fails(s.run("--data", name+".data", "restore", "--in", "a.dump", "-q"), exitStore, "not whole")
	}
}

// A restore that is stopped leaves no store, however it is stopped.
func TestStoppedRestore(t *testing.T) {
	s := newShell(t)
	s.write("albums.ndjson", albums)
	var rows strings.Builder
	for k := range 3000 {
		fmt.Fprintf(&rows, "{\"name\":\"album %d\"}\n", k)
	}
	s.write("rows.ndjson", rows.String())
	s.must("import", "rows.ndjson", "--collection", "album", "-q")
	s.must("dump", "--out", "a.dump", "-q")
	b := s.read("a.dump")
	if len(b) < 1<<19 {
		t.Fatalf("a dump of %d bytes fits into a pipe", len(b))
	}
	for _, how := range []os.Signal{os.Kill, os.Interrupt} {
		data := how.String()
		cmd := s.command("--data", data, "restore", "-q")
		in, err := cmd.StdinPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err == nil {
			_, err = in.Write(b[:len(b)-1]) // pipes are small: most of it has been read then
		}
		if err == nil {
			err = cmd.Process.Signal(how)
		}
		if err != nil {
			t.Fatal(err)
		}
		if how == os.Interrupt {
			if err := in.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := cmd.Wait(); err == nil {
			t.Error("the restore was through before it was stopped")
		}
		s.refused(data)
	}
}

// Verifying names the record that is damaged, and so does reading it.
func TestVerifyDamage(t *testing.T) {
	s := withAlbums(t)
	store, err := pebble.OpenStore(t.Context(), filepath.Join(s.dir, "data"), nil)
	if err != nil {
		t.Fatal(err)
	}
	snap, err := store.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	it, err := snap.Scan(t.Context(), []byte("\x01album\x00"), []byte("\x01album\x01"), false)
	if err != nil || !it.Next() {
		t.Fatal(err)
	}
	key, value := bytes.Clone(it.Key()), bytes.Replace(it.Value(), []byte("Showbiz"), []byte("Showbuz"), 1)
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	if err := snap.Close(); err != nil {
		t.Fatal(err)
	}
	if err := store.Apply(t.Context(), &kv.Batch{Writes: []kv.Write{{Key: key, Value: value}}}); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	o := s.run("verify", "-q")
	if o.code != exitStore || o.out != "" || !strings.Contains(o.err, "state of album 0") || !strings.Contains(o.err, "1 difference found") {
		t.Errorf("verify: %+v", o)
	}
	s.fails(s.run("query", "album"), exitStore, "state of album 0", "restore it from a backup")
	s.fails(s.run("dump", "--out", "x"), exitStore, "state of album 0")
	if left, err := filepath.Glob(filepath.Join(s.dir, "x*")); err != nil || len(left) > 0 {
		t.Errorf("a dump that failed left %v, %v", left, err)
	}
}

// A server is backed up while it serves. Who saw what came after the backup
// and meets the server that went on from it has what that one has.
func TestBackupWhileServing(t *testing.T) {
	s := withAlbums(t)
	url, end := s.serve("--permissive")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	engine := memory.New()
	node, err := ankurah.OpenNode(ctx, engine, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := node.Close(); err != nil {
			t.Error(err)
		}
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	}()
	conn, err := wsclient.Dial(node, url, &wsclient.Options{Credential: []byte("alice")})
	if err != nil {
		t.Fatal(err)
	}
	if err := node.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	sess, album := node.Session(policy.Principal{Subject: "alice"}), ankurah.Dynamic("album")
	live, err := album.Query(ctx, sess, "")
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	names := func() string {
		if err := live.WaitSynced(ctx); err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, v := range live.Rows() {
			name, _ := v.Get("name")
			out = append(out, fmt.Sprint(name))
		}
		return strings.Join(out, ", ")
	}
	was := names()
	rename := func(to string) {
		t.Helper()
		err := sess.UpdateConfirmed(ctx, func(tx *ankurah.Tx) error {
			a, err := album.Edit(tx, live.Rows()[0])
			if err != nil {
				return err
			}
			return a.Set("name", to)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if out := s.must("backup", "--out", "copy"); !strings.HasPrefix(out, "backed up data to copy in ") {
		t.Error(out)
	}
	s.fails(s.run("backup", "--out", "copy"), exitFailed, "not empty")
	rename("newer")
	if got := names(); got == was || !strings.Contains(got, "newer") {
		t.Fatalf("after the edit: %s", got)
	}
	conn.Close()
	end()

	s.must("--data", "copy", "verify", "-q")
	url, end = s.serve("--permissive", "--data", "copy")
	defer end() // the test's context, which its processes end with, ends before Cleanup
	conn, err = wsclient.Dial(node, url, &wsclient.Options{Credential: []byte("alice")})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.WaitConnected(ctx); err != nil {
		t.Fatal(err)
	}
	if got := names(); got != was {
		t.Errorf("after the backup: %s, want %s", got, was)
	}
	rename("again")
	if got := names(); !strings.Contains(got, "again") {
		t.Errorf("after another edit: %s", got)
	}
}
