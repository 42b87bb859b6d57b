package main

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"syscall"
	"testing"
)

// said fails unless a command did and says all of the words.
func said(t *testing.T, o outcome, words ...string) outcome {
	t.Helper()
	if o.code != 0 {
		t.Fatalf("exit %d: %s%s", o.code, o.out, o.err)
	}
	for _, w := range words {
		if !strings.Contains(o.out, w) {
			t.Fatalf("%q is not in %q", w, o.out)
		}
	}
	return o
}

// serve starts a server and returns its URL. It ends in good order with the
// test.
func (s *shell) serve(args ...string) (url string, end func()) {
	s.t.Helper()
	url, _, end = s.logging(args...)
	return url, end
}

// logging is serve, with what the server logs, which may be read at its end.
func (s *shell) logging(args ...string) (url string, log *bytes.Buffer, end func()) {
	t := s.t
	t.Helper()
	cmd := s.command(append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err, errs.String())
	}
	_, url, _ = strings.Cut(strings.TrimSpace(line), " at ")
	var ended bool
	end = func() {
		if ended {
			return
		}
		ended = true
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server: %v: %s", err, errs.String())
		}
	}
	t.Cleanup(end)
	return url, &errs, end
}

// What a server logs has the keys that docs/ARCHITECTURE.md names.
func TestServerLog(t *testing.T) {
	s := withAlbums(t)
	s.write("rules.json", `{"credentials": {"sesame": {"Subject": "alice"}}, "collections": {}}`)
	url, log, end := s.logging("--rules", "rules.json", "--restored")
	if resp, err := http.Get("http" + strings.TrimPrefix(url, "ws")); err != nil {
		t.Error(err)
	} else if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
	s.must("backup", "--out", "copy")
	s.fails(s.run("backup", "--out", "copy"), exitFailed, "not empty")
	end()
	for _, line := range []string{
		`level=INFO msg=restored store=`,
		`level=WARN msg="connection refused" remote=127.0.0.1:`,
		`level=INFO msg="backed up" folder=`,
		`level=WARN msg="backup failed" folder=`,
	} {
		if !strings.Contains(log.String(), line) {
			t.Errorf("no %s in\n%s", line, log)
		}
	}
}

// The same commands work on a server; its rules hold; its store cannot be
// opened by a second process.
func TestServer(t *testing.T) {
	s := newShell(t)
	s.write("rules.json", `{
		"credentials": {"sesame": {"Subject": "alice", "Roles": ["editor"]}, "guest": {"Subject": "bob"}},
		"collections": {
			"album": [{"Role": "editor", "Read": "TRUE", "Write": "TRUE"}, {"Role": "*", "Read": "year < 2010"}],
			"ankurah_import": [{"Role": "editor", "Read": "TRUE", "Write": "TRUE"}]
		}}`)
	s.write("albums.ndjson", albums)
	url, end := s.serve("--rules", "rules.json")
	alice := []string{"--server", url, "--credential", "sesame"}
	with := func(flags []string, args ...string) []string { return append(append([]string{}, flags...), args...) }
	said(t, s.run(with(alice, "import", "albums.ndjson", "--collection", "album", "--type", "year=int32")...), "imported 3 rows")
	said(t, s.run(with(alice, "import", "albums.ndjson", "--collection", "album", "--type", "year=int32")...), "nothing to do")
	said(t, s.run(with(alice, "query", "album", "year > ?", "--arg", "2000")...), "Absolution", "Drones")
	o := said(t, s.run(with(alice, "--json", "query", "album", "year = 1999")...))
	_, rest, _ := strings.Cut(o.out, `"id":"`)
	said(t, s.run(with(alice, "history", rest[:26])...), "created", "alice", "Showbiz")

	bob := []string{"--server", url, "--credential", "guest"}
	if o := said(t, s.run(with(bob, "query", "album", "--count")...)); o.out != "2\n" {
		t.Errorf("bob counts %q", o.out)
	}
	o = s.pipe(`{"set":{"name":"Bob's","year":2000}}`+"\n", with(bob, "watch", "album", "--feed", "-")...)
	if o.code == 0 || !strings.Contains(o.err, "denied") {
		t.Errorf("bob writes: exit %d, %q %q", o.code, o.out, o.err)
	}
	if o := s.run("--server", url, "query", "album"); o.code != exitServer || !strings.Contains(o.err, "--credential") {
		t.Errorf("nobody: exit %d, %q", o.code, o.err)
	}
	if o := s.run("query", "album"); o.code != exitStore || !strings.Contains(o.err, "process") || strings.Count(o.err, "\n") != 1 {
		t.Errorf("a second process: exit %d, %q", o.code, o.err)
	}
	end()
	if o := said(t, s.run("query", "album", "--count")); o.out != "3\n" {
		t.Errorf("after the server: %q", o.out)
	}
}

// What goes wrong between a user and a server is one line, too.
func TestServerMistakes(t *testing.T) {
	s := newShell(t)
	for _, c := range []struct {
		code int
		word string
		args []string
	}{
		{exitUsage, "--permissive", []string{"serve"}},
		{exitUsage, "choose one", []string{"serve", "--permissive", "--rules", "x.json"}},
		{exitServer, "--server", []string{"--server", "ws://127.0.0.1:1/ankurah", "query", "album"}},
		{exitUsage, "ws", []string{"--server", "ftp://x", "query", "album"}},
	} {
		o := s.run(c.args...)
		if o.code != c.code || !strings.Contains(o.err, c.word) || strings.Count(o.err, "\n") != 1 {
			t.Errorf("%q: exit %d, %q", c.args, o.code, o.err)
		}
	}
}
