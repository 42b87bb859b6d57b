package ankql_test

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/ankql/ankqltest"
)

var rewrite = flag.Bool("rewrite", false, "write what the tests get into their golden files")

// TestGolden runs the cases of testdata: a query, then lines that begin with
// "args" and hold its arguments in JSON (an object of names, or a list), then
// ---- and what Parse and Bind make of it on ankqltest's model: the selection
// as printed, or the error. Cases end with a blank line; \n, \x and so on in a
// query that is written in double quotes stand for what they do in Go.
func TestGolden(t *testing.T) {
	for _, name := range []string{"testdata/syntax.txt", "testdata/bind.txt"} {
		file, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		for k, c := range strings.Split(strings.TrimSpace(string(file)), "\n\n") {
			if c = strings.Trim(c, "\n"); c == "" {
				continue
			}
			if strings.HasPrefix(c, "#") {
				out.WriteString(c + "\n\n")
				continue
			}
			input, want, _ := strings.Cut(c, "\n----")
			want = strings.TrimPrefix(want, "\n")
			got := golden(t, input)
			out.WriteString(input + "\n----\n" + got + "\n\n")
			if !*rewrite && got != want {
				t.Errorf("%s, case %d: %s\n got %s\nwant %s", name, k+1, input, got, want)
			}
		}
		if *rewrite {
			if err := os.WriteFile(name, []byte(strings.TrimSpace(out.String())+"\n"), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func golden(t *testing.T, input string) string {
	text, given, _ := strings.Cut(input, "\nargs ")
	if unquoted, err := strconv.Unquote(text); err == nil && strings.HasPrefix(text, `"\`) {
		text = unquoted
	}
	var args []any
	if given != "" {
		var v any
		d := json.NewDecoder(strings.NewReader(given))
		if err := d.Decode(&v); err != nil {
			t.Fatalf("%s: %v", input, err)
		}
		if list, ok := v.([]any); ok {
			args = list
		} else {
			args = []any{v}
		}
	}
	q, err := ankql.Parse(text)
	if err != nil {
		var se *ankql.SyntaxError
		if !errors.As(err, &se) || !errors.Is(err, ankql.ErrSyntax) || errors.Is(err, ankql.ErrBind) {
			t.Errorf("%s: an error of another kind: %#v", text, err)
		}
		return err.Error()
	}
	s, err := bindAny(q, args...)
	if err != nil {
		var be *ankql.BindError
		if !errors.As(err, &be) || !errors.Is(err, ankql.ErrBind) || errors.Is(err, ankql.ErrSyntax) {
			t.Errorf("%s: an error of another kind: %#v", text, err)
		}
		if errors.Is(err, ankql.ErrReferencePath) != strings.Contains(err.Error(), "through a reference") {
			t.Errorf("%s: ErrReferencePath or not: %v", text, err)
		}
		return err.Error()
	}
	return "ok " + s.String()
}

// bindAny binds a query for rows or an aggregate selection.
func bindAny(q *ankql.Query, args ...any) (interface{ String() string }, error) {
	if len(q.Select) > 0 {
		return ankql.BindAggregate(q, ankqltest.Model(), "album", args...)
	}
	return ankql.Bind(q, ankqltest.Model(), "album", args...)
}
