package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const asProgram = "ANKURAH_TEST_PROGRAM"

// The test binary stands in for the program, so that processes, signals and
// exit codes are real.
func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

type outcome struct {
	out, err string
	code     int
}

func command(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1", "ANKURAH_DATA="+filepath.Join(dir, "data"))
	cmd.Dir = dir
	return cmd
}

func cli(t *testing.T, dir, input string, args ...string) outcome {
	t.Helper()
	cmd := command(t, dir, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Stdin = &out, &errs, strings.NewReader(input)
	_ = cmd.Run() // the exit code says it
	return outcome{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// must fails unless the command did and says all of the words.
func must(t *testing.T, o outcome, words ...string) outcome {
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

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

const albums = `{"name":"Showbiz","year":"1999","tags":["rock"]}
{"name":"Absolution","year":"2003","tags":["rock","prog"]}
{"name":"Drones","year":"2015","tags":[]}
`

func TestOneStore(t *testing.T) {
	dir := t.TempDir()
	file := write(t, dir, "albums.ndjson", albums)
	args := []string{"import", file, "--collection", "album", "--type", "year=int32", "--rename", "name=title", "--index", "year"}
	must(t, cli(t, dir, "", args...), "imported 3 rows into album")
	must(t, cli(t, dir, "", args...), "nothing to do")
	if o := must(t, cli(t, dir, "", "query", "album", "--count")); o.out != "3\n" {
		t.Errorf("count: %q", o.out)
	}
	o := must(t, cli(t, dir, "", "--json", "query", "album", "year > ? ORDER BY year DESC LIMIT 1", "--arg", "2000"), `"title":"Drones"`)
	if strings.Count(o.out, "\n") != 1 {
		t.Errorf("more than a line: %q", o.out)
	}
	must(t, cli(t, dir, "", "query", "album", "tags CONTAINS 'prog'"), "title", "Absolution")
	must(t, cli(t, dir, "", "query", "album", "--csv", "year = 1999"), "title", "Showbiz")
	must(t, cli(t, dir, "", "explain", "album", "year = 2003"), "index", "year")
	_, rest, _ := strings.Cut(o.out, `"id":"`)
	id := rest[:26]
	edits := fmt.Sprintf("{\"id\":%q,\"set\":{\"year\":2016}}\n{\"set\":{\"title\":\"Will of the People\",\"year\":2022}}\n{\"id\":%q,\"delete\":true}\n", id, id)
	must(t, cli(t, dir, edits, "--user", "alice", "watch", "album", "year > 2014", "--feed", "-"), "2016", "Will of the People", "removed")
	must(t, cli(t, dir, "", "history", id), "2015", "2016", "deleted", "alice")
	must(t, cli(t, dir, "", "--json", "history", id), `"kind":"deleted"`, `"actor":"alice"`)
	must(t, cli(t, dir, "", "version"), "ankurah ", "go1.")
	must(t, cli(t, dir, "", "--json", "version"), `"go":"go1.`)

	array := write(t, dir, "cities.json", `[{"name":"Bern","lat":"46.9"},{"name":"Roma","lat":"41.9"}]`)
	must(t, cli(t, dir, "", "import", array, "--collection", "city", "--type", "lat=float64"), "2 rows")
	table := write(t, dir, "cities.csv", "name,lat\nOslo,59.9\n")
	must(t, cli(t, dir, "", "import", table, "--collection", "city", "--type", "lat=float64"), "1 row")
	if o := must(t, cli(t, dir, "", "query", "city", "lat > 45.0", "--count")); o.out != "2\n" {
		t.Errorf("cities: %q", o.out)
	}
}

// Every error is one line that says what to do, and has its exit code.
func TestErrors(t *testing.T) {
	dir := t.TempDir()
	good := write(t, dir, "a.ndjson", albums)
	bad := write(t, dir, "b.ndjson", "{\"year\":\"1999\"}\n{\"year\":\"soon\"}\n")
	object := write(t, dir, "c.json", `{"year":`)
	must(t, cli(t, dir, "", "import", good, "--collection", "album", "--type", "year=int32"))
	for name, c := range map[string]struct {
		args  []string
		code  int
		words []string
		not   string
	}{
		"no command":          {nil, exitUsage, []string{"--help"}, ""},
		"unknown flag":        {[]string{"query", "album", "--frob"}, exitUsage, []string{"--frob"}, ""},
		"no store":            {[]string{"--data", "nowhere", "query", "album"}, exitNotFound, []string{"nowhere"}, ""},
		"unknown collection":  {[]string{"query", "albun"}, exitNotFound, []string{"albun", "the store has album"}, ""},
		"unknown entity":      {[]string{"history", "01ARZ3NDEK0000000000000000"}, exitNotFound, []string{"01ARZ3NDEK"}, ""},
		"no ID":               {[]string{"history", "x"}, exitUsage, []string{"26 characters"}, ""},
		"unknown field":       {[]string{"query", "album", "yaer = 1"}, exitUsage, []string{`did you mean "year"`}, "--arg"},
		"syntax":              {[]string{"query", "album", "year = "}, exitUsage, []string{"column"}, ""},
		"missing parameter":   {[]string{"query", "album", "year = ?"}, exitUsage, []string{"parameter 1"}, ""},
		"wrong parameter":     {[]string{"query", "album", "year = ?", "--arg", "soon"}, exitUsage, []string{"'soon' is not a number"}, ""},
		"bad value":           {[]string{"import", bad, "--collection", "other", "--type", "year=int32"}, exitInput, []string{"row 2", "field year", "'soon' is not a number"}, ""},
		"broken JSON":         {[]string{"import", object, "--collection", "other"}, exitInput, []string{"row 1"}, ""},
		"unknown type":        {[]string{"import", good, "--collection", "other", "--type", "year=int"}, exitUsage, []string{"int32"}, ""},
		"reserved collection": {[]string{"import", good, "--collection", "_x"}, exitUsage, []string{"reserved"}, ""},
		"no file":             {[]string{"import", "nothing.csv", "--collection", "x"}, exitUsage, []string{"nothing.csv"}, ""},
		"no policy":           {[]string{"serve"}, exitUsage, []string{"--permissive"}, ""},
		"no server":           {[]string{"--server", "ws://127.0.0.1:1/ankurah", "query", "album"}, exitServer, []string{"--server"}, ""},
		"bad server":          {[]string{"--server", "ftp://x", "query", "album"}, exitUsage, []string{"ws"}, ""},
	} {
		o := cli(t, dir, "", c.args...)
		if o.code != c.code || strings.Count(o.err, "\n") != 1 || strings.Contains(o.err, "goroutine") || c.not != "" && strings.Contains(o.err, c.not) {
			t.Errorf("%s: exit %d, %q; want exit %d", name, o.code, o.err, c.code)
		}
		for _, w := range c.words {
			if !strings.Contains(o.err, w) {
				t.Errorf("%s: %q does not say %q", name, o.err, w)
			}
		}
	}
	if o := must(t, cli(t, dir, "", "query", "album", "--count")); o.out != "3\n" {
		t.Errorf("count: %q", o.out)
	}

	manifests, err := filepath.Glob(filepath.Join(dir, "data", "MANIFEST-*"))
	if err != nil || len(manifests) == 0 {
		t.Fatal("no MANIFEST", err)
	}
	for _, name := range manifests {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/3] ^= 0xFF
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if o := cli(t, dir, "", "query", "album"); o.code != exitStore || !strings.Contains(o.err, "damaged") || strings.Count(o.err, "\n") != 1 {
		t.Errorf("a damaged store: exit %d, %q", o.code, o.err)
	}
}

// An import that is killed with -9 goes on where it was: no row is missing,
// none is there twice.
func TestKilledImportGoesOn(t *testing.T) {
	dir := t.TempDir()
	var b strings.Builder
	b.WriteString("name,number\n")
	const n = 3000
	for k := range n {
		fmt.Fprintf(&b, "row %d,%d\n", k, k)
	}
	file := write(t, dir, "rows.csv", b.String())
	args := []string{"import", file, "--collection", "row", "--type", "number=int64", "--batch", "10"}
	first := command(t, dir, args...)
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	for size := int64(0); size < 100_000; { // until it has written something
		size = 0
		_ = filepath.WalkDir(filepath.Join(dir, "data"), func(_ string, d fs.DirEntry, err error) error {
			if err == nil {
				if i, err := d.Info(); err == nil {
					size += i.Size()
				}
			}
			return nil
		})
	}
	_ = first.Process.Kill()
	_ = first.Wait()
	must(t, cli(t, dir, "", args...), "rows")
	if o := must(t, cli(t, dir, "", "query", "row", "--count")); o.out != fmt.Sprintln(n) {
		t.Fatalf("%q rows, want %d", o.out, n)
	}
	if o := must(t, cli(t, dir, "", "query", "row", "--count", "number = 2999")); o.out != "1\n" {
		t.Fatalf("the last row: %q", o.out)
	}
}

// serve starts a server and returns its URL. It ends in good order with the
// test.
func serve(t *testing.T, dir string, args ...string) (url string, end func()) {
	t.Helper()
	cmd := command(t, dir, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
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
	return url, end
}

// The same commands work on a server; its rules hold; its store cannot be
// opened by a second process.
func TestServer(t *testing.T) {
	dir := t.TempDir()
	rules := write(t, dir, "rules.json", `{
		"credentials": {"sesame": {"Subject": "alice", "Roles": ["editor"]}, "guest": {"Subject": "bob"}},
		"collections": {
			"album": [{"Role": "editor", "Read": "TRUE", "Write": "TRUE"}, {"Role": "*", "Read": "year < 2010"}],
			"ankurah_import": [{"Role": "editor", "Read": "TRUE", "Write": "TRUE"}]
		}}`)
	file := write(t, dir, "albums.ndjson", albums)
	url, end := serve(t, dir, "--rules", rules)
	alice := []string{"--server", url, "--credential", "sesame"}
	with := func(flags []string, args ...string) []string { return append(append([]string{}, flags...), args...) }
	must(t, cli(t, dir, "", with(alice, "import", file, "--collection", "album", "--type", "year=int32")...), "imported 3 rows")
	must(t, cli(t, dir, "", with(alice, "import", file, "--collection", "album", "--type", "year=int32")...), "nothing to do")
	must(t, cli(t, dir, "", with(alice, "query", "album", "year > ?", "--arg", "2000")...), "Absolution", "Drones")
	o := must(t, cli(t, dir, "", with(alice, "--json", "query", "album", "year = 1999")...))
	_, rest, _ := strings.Cut(o.out, `"id":"`)
	must(t, cli(t, dir, "", with(alice, "history", rest[:26])...), "created", "alice", "Showbiz")

	bob := []string{"--server", url, "--credential", "guest"}
	if o := must(t, cli(t, dir, "", with(bob, "query", "album", "--count")...)); o.out != "2\n" {
		t.Errorf("bob counts %q", o.out)
	}
	o = cli(t, dir, `{"set":{"name":"Bob's","year":2000}}`+"\n", with(bob, "watch", "album", "--feed", "-")...)
	if o.code == 0 || !strings.Contains(o.err, "denied") {
		t.Errorf("bob writes: exit %d, %q %q", o.code, o.out, o.err)
	}
	if o := cli(t, dir, "", "--server", url, "query", "album"); o.code != exitServer || !strings.Contains(o.err, "--credential") {
		t.Errorf("nobody: exit %d, %q", o.code, o.err)
	}
	if o := cli(t, dir, "", "query", "album"); o.code != exitStore || !strings.Contains(o.err, "process") || strings.Count(o.err, "\n") != 1 {
		t.Errorf("a second process: exit %d, %q", o.code, o.err)
	}
	end()
	if o := must(t, cli(t, dir, "", "query", "album", "--count")); o.out != "3\n" {
		t.Errorf("after the server: %q", o.out)
	}
}
