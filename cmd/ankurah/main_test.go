package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ankurah/ankurah-go/ankurahtest/pgtest"
)

const asProgram = "ANKURAH_TEST_PROGRAM"

// The test binary stands in for the program, so that processes, signals and
// exit codes are real.
func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(pgtest.Run(m))
}

// shell runs the program in a folder of its own.
type shell struct {
	t   *testing.T
	dir string
}

func newShell(t *testing.T) *shell { return &shell{t, t.TempDir()} }

func (s *shell) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(s.t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1", "ANKURAH_DATA=data")
	cmd.Dir = s.dir
	return cmd
}

// outcome is what a process said, and how it ended.
type outcome struct {
	out, err string
	code     int
}

func (s *shell) pipe(input string, args ...string) outcome {
	s.t.Helper()
	cmd := s.command(args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &errs
	if err := cmd.Run(); err != nil {
		if _, exited := errors.AsType[*exec.ExitError](err); !exited {
			s.t.Fatal(err)
		}
	}
	return outcome{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

func (s *shell) run(args ...string) outcome { s.t.Helper(); return s.pipe("", args...) }

// must runs what has to succeed and returns what it prints.
func (s *shell) must(args ...string) string {
	s.t.Helper()
	o := s.run(args...)
	if o.code != 0 {
		s.t.Fatalf("%q: %+v", args, o)
	}
	return o.out
}

// lines decodes what a command prints with --json.
func (s *shell) lines(args ...string) []map[string]any {
	s.t.Helper()
	return decode(s.t, s.must(append([]string{"--json"}, args...)...))
}

func decode(t *testing.T, text string) []map[string]any {
	t.Helper()
	var out []map[string]any
	for line := range strings.Lines(text) {
		var x map[string]any
		if err := json.Unmarshal([]byte(line), &x); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		out = append(out, x)
	}
	return out
}

func (s *shell) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

const albums = `{"name":"Showbiz","year":"1999","tags":["rock"]}
{"name":"Absolution","year":"2003","tags":["rock","prog"]}
{"name":"Drones","year":"2015","tags":[]}
`

// withAlbums is a shell whose store has the albums.
func withAlbums(t *testing.T) *shell {
	t.Helper()
	s := newShell(t)
	s.write("albums.ndjson", albums)
	s.must("import", "albums.ndjson", "--collection", "album", "--type", "year=int32", "--index", "year", "-q")
	return s
}

func TestImport(t *testing.T) {
	s := newShell(t)
	s.write("albums.ndjson", albums)
	args := []string{"import", "albums.ndjson", "--collection", "album", "--type", "year=int32", "--rename", "name=title", "--skip", "tags", "--batch", "2"}
	o := s.run(args...)
	if o.code != 0 || !strings.HasPrefix(o.out, "imported 3 rows into album in ") || o.err != "importing:  60%, 2 of 3 rows\nimporting: 100%, 3 of 3 rows\n" {
		t.Fatalf("%+v", o)
	}
	if out := s.must(args...); !strings.Contains(out, "nothing to do") {
		t.Error(out)
	}
	got := s.lines(append(args, "--again")...)[0]
	if got["rows"] != 3.0 || got["before"] != 0.0 || got["imported"] != 3.0 || got["collection"] != "album" || got["source"] != "albums.ndjson" {
		t.Error(got)
	}
	if rows := s.lines("query", "album", "year = 2003"); len(rows) != 2 || rows[0]["title"] != "Absolution" || rows[0]["tags"] != nil {
		t.Error(rows)
	}
	if o := s.pipe("n,m\n1,2\n", "import", "-", "--collection", "piped", "-q"); o.code != 0 || o.err != "" {
		t.Errorf("%+v", o)
	}
	if rows := s.lines("query", "piped"); len(rows) != 1 || rows[0]["m"] != "2" {
		t.Error(rows)
	}
}

func TestQuery(t *testing.T) {
	s := withAlbums(t)
	if out := s.must("query", "album", "--count"); out != "3\n" {
		t.Error(out)
	}
	if got := s.lines("query", "album", "--count", "--limit", "2"); got[0]["count"] != 2.0 {
		t.Error(got)
	}
	rows := s.lines("query", "album", "year > ? ORDER BY year DESC", "--arg", "2000", "--limit", "1")
	if len(rows) != 1 || rows[0]["name"] != "Drones" || rows[0]["year"] != 2015.0 {
		t.Error(rows)
	}
	out := s.must("query", "album", "tags CONTAINS 'prog' ORDER BY name")
	if lines := strings.Split(out, "\n"); len(lines) != 3 || strings.Join(strings.Fields(lines[0]), " ") != "id name tags year" || !strings.Contains(lines[1], "Absolution") {
		t.Error(out)
	}
	if out := s.must("query", "album", "year < 2000", "--csv"); !strings.HasPrefix(out, "id,name,tags,year\n") || !strings.HasSuffix(out, ",Showbiz,\"[\"\"rock\"\"]\",1999\n") {
		t.Error(out)
	}
	if out := s.must("query", "album", "year < 1900", "--csv"); out != "id,name,tags,year\n" {
		t.Error(out)
	}
}

// A query that begins with SELECT gives groups, asked for once or watched.
func TestAggregates(t *testing.T) {
	s := withAlbums(t)
	out := s.must("query", "album", "SELECT COUNT(*), MAX(name) WHERE year > ? GROUP BY year ORDER BY year", "--arg", "2000")
	if want := "year  COUNT(*)  MAX(name)\n2003         1  Absolution\n2015         1  Drones\n"; out != want {
		t.Errorf("got\n%swant\n%s", out, want)
	}
	if out := s.must("query", "album", "SELECT COUNT(*) GROUP BY year", "--csv", "--limit", "1"); out != "year,COUNT(*)\n1999,1\n" {
		t.Error(out)
	}
	if got := s.lines("query", "album", "SELECT COUNT(*), MIN(year)"); len(got) != 1 || got[0]["COUNT(*)"] != 3.0 || got[0]["MIN(year)"] != 1999.0 {
		t.Error(got)
	}
	if o := s.run("query", "album", "SELECT COUNT(*)", "--count"); o.code != exitUsage || !strings.Contains(o.err, "counts by itself") {
		t.Errorf("%+v", o)
	}
	edits := `{"set":{"name":"Will of the People","year":2022}}` + "\n" + `{"set":{"name":"Pompeii","year":2022}}`
	o := s.pipe(edits, "watch", "album", "SELECT COUNT(*) WHERE year > 2010 GROUP BY year", "--feed", "-")
	if want := "initial year=2015 COUNT(*)=1\nadded   year=2022 COUNT(*)=1\nupdated year=2022 COUNT(*)=1→2\n"; o.code != 0 || o.out != want {
		t.Errorf("got\n%+v\nwant\n%s", o, want)
	}
	o = s.pipe(`{"set":{"name":"Live","year":2024}}`, "--json", "watch", "album", "SELECT SUM(year) WHERE year > 2022", "--feed", "-")
	var seen []string
	for _, c := range decode(t, o.out) {
		after, _ := c["after"].(map[string]any)
		seen = append(seen, fmt.Sprint(c["kind"], " ", after["SUM(year)"]))
	}
	if got := strings.Join(seen, "; "); o.code != 0 || got != "initial <nil>; updated 2024" {
		t.Errorf("%s: %+v", got, o)
	}
}

func TestExplain(t *testing.T) {
	s := withAlbums(t)
	if out := s.must("explain", "album", "year = ?", "--arg", "2003"); !strings.Contains(out, "by index year") {
		t.Error(out)
	}
	if out := s.must("explain", "album", "SELECT COUNT(*) WHERE year = 2003 GROUP BY name"); !strings.Contains(out, "by index year") {
		t.Error(out)
	}
	got := s.lines("explain", "album", "year = 2003")
	if plan, _ := got[0]["plan"].([]any); len(plan) == 0 || !strings.Contains(fmt.Sprint(plan[0]), "by index year") {
		t.Error(got)
	}
}

// Each change of what a query selects is shown, and kept for the audit.
func TestWatchAndHistory(t *testing.T) {
	s := withAlbums(t)
	id := s.lines("query", "album", "name = 'Drones'")[0]["id"].(string)
	edits := fmt.Sprintf(`{"id":%q,"set":{"year":2016}}`+"\n"+`{"set":{"name":"Will of the People","year":2022}}`+"\n"+`{"id":%q,"delete":true}`, id, id)
	o := s.pipe(edits, "--json", "--user", "alice", "watch", "album", "year > ?", "--arg", "2014", "--feed", "-")
	if o.code != 0 {
		t.Fatalf("%+v", o)
	}
	var kinds []string
	for _, c := range decode(t, o.out) {
		kinds = append(kinds, c["kind"].(string))
	}
	if got := strings.Join(kinds, " "); got != "initial updated added removed" {
		t.Errorf("changes %s: %s", got, o.out)
	}
	o = s.pipe(`{"set":{"name":"Simulation Theory","year":2018}}`, "watch", "album", "year > 2014", "--feed", "-")
	if lines := strings.Split(o.out, "\n"); o.code != 0 || len(lines) != 3 || !strings.HasPrefix(lines[0], "initial ") || !strings.Contains(lines[1], `name="Simulation Theory"`) {
		t.Errorf("%+v", o)
	}

	out := s.must("history", id)
	for _, want := range []string{"album " + id + "\n", "created", "by nobody", "edited", "by alice", "2015 → 2016", "deleted"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in %s", want, out)
		}
	}
	events := s.lines("history", id, "--collection", "album")
	if len(events) != 3 || events[0]["kind"] != "created" || events[1]["kind"] != "edited" || events[1]["actor"] != "alice" || events[2]["kind"] != "deleted" {
		t.Errorf("%v", events)
	}
}

func TestVersion(t *testing.T) {
	s := newShell(t)
	if out := s.must("version"); !strings.HasPrefix(out, "ankurah ") || strings.Count(out, "\n") != 1 {
		t.Error(out)
	}
	if got := s.lines("version")[0]; got["version"] == "" || !strings.HasPrefix(got["go"].(string), "go1.") {
		t.Error(got)
	}
	if _, err := os.Stat(filepath.Join(s.dir, "data")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a store was made: %v", err)
	}
}

// gen is ankurah-gen, with its own flags and exit codes.
func TestGen(t *testing.T) {
	s := newShell(t)
	s.write("album.go", "package model\n\n//ankurah:model\ntype Album struct{ Name string }\n")
	s.must("gen", "-ts")
	s.must("gen", "-check", "-ts", "models.gen.ts", ".")
	ts, err := os.ReadFile(filepath.Join(s.dir, "models.gen.ts"))
	if err != nil || !strings.Contains(string(ts), "interface Models {\n    Album: Album;\n    album: Album;\n") {
		t.Errorf("%v\n%s", err, ts)
	}
	s.write("models.gen.ts", string(ts[:len(ts)-2]))
	if o := s.run("gen", "-check", "-ts"); o.code != 1 || !strings.HasPrefix(o.err, "models.gen.ts is not as it should be: run go generate\n") {
		t.Errorf("%+v", o)
	}
	if o := s.run("gen", "-x"); o.code != 2 || !strings.Contains(o.err, "usage: ankurah gen [flags] [dir]") {
		t.Errorf("%+v", o)
	}
}

// What a newcomer gets wrong is answered by one line that says what to do.
func TestMistakes(t *testing.T) {
	s := withAlbums(t)
	s.write("soon.ndjson", `{"year":"1999"}`+"\n"+`{"year":"soon"}`)
	s.write("object.json", `{"year":1}`)
	s.write("ragged.csv", "a,b\n1,2\n3\n")
	for _, c := range []struct {
		args  string // separated by |
		input string
		code  int
		want  string // the whole line, without ankurah: before it
	}{
		{"", "", exitUsage, `expected one of "import", "query", "watch", "history", "explain", ...: run ankurah --help`},
		{"frob", "", exitUsage, "unexpected argument frob: run ankurah --help"},
		{"query|album|--frob", "", exitUsage, "unknown flag --frob: run ankurah --help"},
		{"query|album|--csv|--json", "", exitUsage, "--csv and --json together: choose one"},
		{"query|album|--limit=-1", "", exitUsage, "--limit -1: give a positive number, or 0 for all"},
		{"query|album|--store|foo:", "", exitUsage, "--store foo:… names no storage engine: write pebble:FOLDER, memory: or postgres://USER@HOST/DATABASE"},
		{"query|album|--data=", "", exitUsage, "--data is empty: name the folder of the store"},
		{"query|album|--data|object.json", "", exitUsage, "open object.json: not a directory: --data names the folder of a store"},

		{"query|album|yaer = 1", "", exitUsage, `line 1, column 1: unknown field "yaer" of album: did you mean "year"?`},
		{"watch|album|yaer = 1", "", exitUsage, `line 1, column 1: unknown field "yaer" of album: did you mean "year"?`},
		{"explain|album|yaer = 1", "", exitUsage, `line 1, column 1: unknown field "yaer" of album: did you mean "year"?`},
		{"query|album|year >", "", exitUsage, "line 1, column 7: expected a value, found the end: year >▸: queries look like: country = 'IS' ORDER BY name LIMIT 10"},
		{"query|album|year = 'soon'", "", exitUsage, "line 1, column 8: year is int32: 'soon' is not a number"},
		{"query|album|year = ?|--arg|soon", "", exitUsage, "line 1, column 8: parameter 1: year is int32: 'soon' is not a number"},
		{"query|album|year = ?", "", exitUsage, "the query has 1 ?, and 0 --args given: give each ? an --arg"},
		{"watch|album|year = 1|--arg|1", "", exitUsage, "the query has 0 ?, and 1 --arg given: give each ? an --arg"},
		{"explain|album|year = :y|--arg|1", "", exitUsage, "the query has a parameter :y: write ? instead, and give each an --arg in their order"},

		{"query|album|--data|nowhere", "", exitNotFound, "there is no store in nowhere: import something first, or name another folder with --data"},
		{"query|albun", "", exitNotFound, "there is no collection albun: the store has album"},
		{"watch|albun", "", exitNotFound, "there is no collection albun: the store has album"},
		{"explain|albun", "", exitNotFound, "there is no collection albun: the store has album"},
		{"history|x", "", exitUsage, "x is no ID: IDs are 26 characters, as ankurah query prints them"},
		{"history|01ARZ3NDEK0000000000000000", "", exitNotFound, "there is no 01ARZ3NDEK0000000000000000 in any collection: look for it with ankurah query COLLECTION"},
		{"history|01ARZ3NDEK0000000000000000|--collection|albun", "", exitNotFound, "there is no collection albun: the store has album"},

		{"import|nope.json|--collection|x", "", exitUsage, "there is no file nope.json: name a file, or - for what comes in"},
		{"import|.|--collection|x", "", exitUsage, ". is a folder: name a file in it"},
		{"import|albums.ndjson", "", exitUsage, "missing flags: --collection=NAME: run ankurah --help"},
		{"import|albums.ndjson|--collection|_x", "", exitUsage, `the collection name "_x" is reserved: choose another --collection`},
		{"import|albums.ndjson|--collection|x|--batch|0", "", exitUsage, "--batch 0: a transaction takes 1 to 9999 rows"},
		{"import|albums.ndjson|--collection|x|--type|year", "", exitUsage, "--type year: write --type field=…"},
		{"import|albums.ndjson|--collection|x|--type|year=int", "", exitUsage,
			`--type year=int: there is no type "int": types are json, bool, bytes, float64, id, int32, int64, string, time, and lists of these such as []string`},
		{"import|albums.ndjson|--collection|x|--type|yaer=int32", "", exitUsage,
			"field yaer: no row has it: correct the --type, --rename or --skip that names it, or leave that out"},
		{"import|albums.ndjson|--collection|x|--rename|name=id", "", exitUsage, "--rename to id: the name is reserved: choose another name"},
		{"import|albums.ndjson|--collection|x|--index|a b c", "", exitUsage, "--index a b c: write columns such as country,name or year desc"},
		{"import|albums.ndjson|--collection|album|--type|year=int32|--index|yaer", "", exitUsage,
			"the rows are stored, but not the index yaer: album has no property yaer: it has name, tags, year"},
		{"import|soon.ndjson|--collection|x|--type|year=int32", "", exitInput, "row 2, field year: 'soon' is not a number: choose another --type year=…, or --skip year"},
		{"import|soon.ndjson|--collection|album", "", exitInput,
			"row 2, field year: 'soon' is not a number: the collection stores int32 there: --rename year=… or --skip year"},
		{"import|soon.ndjson|--collection|album|--type|year=string", "", exitUsage,
			"field year: it should be string, and the collection stores int32 there: leave --type year=… out, or --rename year=…"},
		{"import|object.json|--collection|x|--format|json", "", exitInput,
			"the text does not begin with [: rows are JSON objects, in an array (--format json) or one after the other (--format ndjson)"},
		{"import|ragged.csv|--collection|x", "", exitInput,
			"row 2: record on line 3: wrong number of fields: a CSV names its columns in its first line, and every row has them all; say --format if this is no CSV"},

		{"watch|album|year < 0|--feed|nope", "", exitUsage, "open nope: no such file or directory: --feed names a file of edits, or - for what comes in"},
		{"watch|album|year < 0|--feed|-", `{"sett":1}`, exitInput, `edit 1: json: unknown field "sett": edits look like {"id": "…", "set": {"name": "x"}}, one a line`},
		{"watch|album|year < 0|--feed|-", `{}`, exitInput, `edit 1: it says nothing: write {"set": {…}} to create, with "id" to edit`},
		{"watch|album|year < 0|--feed|-", `{"set":{"year":"soon"}}`, exitInput, "edit 1: album.year: 'soon' is not a number: the collection stores another type there"},
		{"watch|album|year < 0|--feed|-", `{"set":{"_x":1}}`, exitInput, "edit 1: field _x: the name is reserved: choose another name"},
		{"watch|album|year < 0|--feed|-", `{"id":"01ARZ3NDEK0000000000000000","set":{"year":1}}`, exitNotFound, "edit 1: no album 01ARZ3NDEK0000000000000000: look for it with ankurah query"},
	} {
		var args []string
		if c.args != "" {
			args = strings.Split(c.args, "|")
		}
		o := s.pipe(c.input, args...)
		if want := "ankurah: " + c.want + "\n"; o.code != c.code || o.err != want || o.out != "" {
			t.Errorf("%s: exit %d, want %d\n got %s\nwant %s\nprinted %q", c.args, o.code, c.code, o.err, want, o.out)
		}
	}
	if rows := s.lines("query", "album"); len(rows) != 3 {
		t.Errorf("the mistakes left %v", rows)
	}
}

// A file without rows is called so, and what went wrong for lack of a rule is.
func TestImportHints(t *testing.T) {
	s := newShell(t)
	for _, name := range []string{"e.csv", "e.ndjson", "header.csv"} {
		s.write(name, map[string]string{"header.csv": "a,b\n"}[name])
		if out := s.must("import", name, "--collection", "x"); out != name+" has no rows: nothing to import\n" {
			t.Error(out)
		}
	}
	s.write("albums.ndjson", albums)
	s.write("rules.json", `{"credentials": {"sesame": {"Subject": "alice"}}, "collections": {"album": [{"Read": "TRUE", "Write": "TRUE"}]}}`)
	url, end := s.serve("--rules", "rules.json")
	defer end()
	o := s.run("--server", url, "--credential", "sesame", "import", "albums.ndjson", "--collection", "album")
	if o.code != exitFailed || !strings.Contains(o.err, "ankurah_import, where they note how far they are") {
		t.Errorf("no rule for the notes: %+v", o)
	}
}

// watching starts a process that watches, and returns when it has the store.
func (s *shell) watching() (cmd *exec.Cmd, in io.WriteCloser, out *bufio.Reader) {
	s.t.Helper()
	cmd = s.command("watch", "album", "--feed", "-")
	in, err := cmd.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	out = bufio.NewReader(pipe)
	for range 3 { // the albums
		if line, err := out.ReadString('\n'); err != nil || !strings.HasPrefix(line, "initial ") {
			s.t.Fatalf("%q, %v", line, err)
		}
	}
	return cmd, in, out
}

// A commit is shown while the process goes on, a second process on the folder
// is refused, and both a signal and the end of the edits end the first.
func TestStoreInUse(t *testing.T) {
	s := withAlbums(t)
	for _, end := range []string{"signal", "end of edits"} {
		cmd, in, out := s.watching()
		if _, err := io.WriteString(in, `{"set":{"name":"x","year":1}}`+"\n"); err != nil {
			t.Fatal(err)
		}
		if line, err := out.ReadString('\n'); err != nil || !strings.HasPrefix(line, "added ") {
			t.Fatalf("%q, %v", line, err)
		}
		for _, args := range [][]string{{"query", "album"}, {"import", "albums.ndjson", "--collection", "album"}} {
			o := s.run(args...)
			if o.code != exitStore || !strings.Contains(o.err, "in use by another process") || strings.Count(o.err, "\n") != 1 || o.out != "" {
				t.Errorf("second process: %+v", o)
			}
		}
		id := cmd.Process
		if end == "signal" {
			if err := id.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
		} else if err := in.Close(); err != nil {
			t.Fatal(err)
		}
		if rest, err := io.ReadAll(out); err != nil || len(rest) > 0 {
			t.Errorf("%q, %v", rest, err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("ended by %s: %v", end, err)
		}
		// The next round expects the three albums.
		o := s.pipe(fmt.Sprintf(`{"id":%q,"delete":true}`, s.lines("query", "album", "year = 1")[0]["id"]), "watch", "album", "--feed", "-")
		if o.code != 0 {
			t.Fatalf("%+v", o)
		}
	}
}

// grown waits until the files in the store have so many bytes.
func (s *shell) grown(size int64) {
	s.t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		has := int64(0)
		// Files come and go while the store is at work.
		_ = filepath.WalkDir(filepath.Join(s.dir, "data"), func(_ string, d fs.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(d.Name(), ".log") {
				if i, err := d.Info(); err == nil {
					has += i.Size()
				}
			}
			return nil
		})
		if has >= size {
			return
		}
	}
	s.t.Fatal("nothing is written")
}

// An import that is killed or interrupted goes on where it was: no row is
// missing, none is there twice.
func TestStoppedImportGoesOn(t *testing.T) {
	var b strings.Builder
	b.WriteString("name,number\n")
	const n = 20_000
	for k := range n {
		fmt.Fprintf(&b, "row %d,%d\n", k, k)
	}
	for _, how := range []os.Signal{os.Kill, os.Interrupt} {
		t.Run(how.String(), func(t *testing.T) {
			s := newShell(t)
			s.write("rows.csv", b.String())
			args := []string{"--json", "import", "rows.csv", "--collection", "row", "--type", "number=int64", "--batch", "10", "-q"}
			first := s.command(args...)
			var errs bytes.Buffer
			first.Stderr = &errs
			if err := first.Start(); err != nil {
				t.Fatal(err)
			}
			s.grown(50_000)
			if err := first.Process.Signal(how); err != nil {
				t.Fatal(err)
			}
			err := first.Wait()
			if err == nil {
				t.Fatal("the import was through before it was stopped")
			}
			if how == os.Interrupt && (first.ProcessState.ExitCode() != exitInterrupted || !strings.HasPrefix(errs.String(), "ankurah: interrupted after ") || !strings.HasSuffix(errs.String(), " of 20000 rows: run the same command again to go on from there\n")) {
				t.Errorf("%v, %s", err, errs.String())
			}
			if o := s.run("import", "rows.csv", "--collection", "row", "-q"); o.code != exitUsage || !strings.Contains(o.err, "with other flags (format csv, type number=int64): use the same, or --again") {
				t.Errorf("other flags: %+v", o)
			}
			got := s.lines(args...)[0]
			before, _ := got["before"].(float64)
			if before < 10 || before >= n || got["rows"] != float64(n) || got["imported"] != n-before {
				t.Errorf("%v", got)
			}
			rows := s.lines("query", "row", "ORDER BY number")
			if len(rows) != n {
				t.Fatalf("%d rows", len(rows))
			}
			for k, r := range rows {
				if r["number"] != float64(k) {
					t.Fatalf("row %d is %v", k, r)
				}
			}
		})
	}
}

// Damage is called so, in one line that says what to do.
func TestDamagedStore(t *testing.T) {
	s := withAlbums(t)
	s.must("query", "album", "--count") // the log becomes a table when the store is opened
	tables, err := filepath.Glob(filepath.Join(s.dir, "data", "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("no tables: %v", err)
	}
	for _, damage := range []struct {
		name string
		do   func(b []byte) []byte
	}{
		{"cut off", func(b []byte) []byte { return b[:len(b)/2] }},
		{"flipped", func(b []byte) []byte {
			b = bytes.Clone(b)
			for k := range b[:len(b)*3/4] {
				b[k] ^= 0xff
			}
			return b
		}},
	} {
		for _, table := range tables {
			sound, err := os.ReadFile(table)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(table, damage.do(sound), 0o600); err != nil {
				t.Fatal(err)
			}
			o := s.run("query", "album")
			if o.code != exitStore || !strings.HasPrefix(o.err, "ankurah: the store is damaged: ") || !strings.HasSuffix(o.err, ": restore it from a backup\n") || strings.Count(o.err, "\n") != 1 {
				t.Errorf("%s: %+v", damage.name, o)
			}
			if err := os.WriteFile(table, sound, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if out := s.must("query", "album", "--count"); out != "3\n" {
		t.Errorf("mended: %s", out)
	}
}

// A reader that has had enough ends the program without a word.
func TestClosedPipe(t *testing.T) {
	s := newShell(t)
	s.write("rows.csv", "n\n"+strings.Repeat("a row of some length\n", 20_000))
	s.must("import", "rows.csv", "--collection", "row", "-q")
	cmd := s.command("query", "row")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	err = cmd.Wait()
	status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if err == nil || errs.Len() > 0 || cmd.ProcessState.ExitCode() != exitFailed && status.Signal() != syscall.SIGPIPE {
		t.Errorf("%v, %q", err, errs.String())
	}
}

// The commands in the README do what it says.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(readme), "## The command line\n")
	_, script, _ := strings.Cut(section, "```sh\n")
	script, _, found := strings.Cut(script, "```")
	if !found {
		t.Fatal("there are no commands")
	}
	s := newShell(t)
	self, err := filepath.Abs(os.Args[0])
	if err == nil {
		err = os.Symlink(self, filepath.Join(s.dir, "ankurah"))
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-e", "-c", script)
	cmd.Env = append(s.command().Env, "PATH="+s.dir+":"+os.Getenv("PATH"))
	cmd.Dir = s.dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, errs.String())
	}
	for _, want := range []string{"imported 2 rows into city", "  Akureyri  IS", `"name":"Reykjavík"`, "by index country,name", `name="Höfn"`, "by alice"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in %s", want, out.String())
		}
	}
}
