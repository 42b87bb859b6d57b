package ankql_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/ankql/ankqltest"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/value"
)

var someID = id.New(id.NewStamp(1, 2), [8]byte{3})

// view stands for what has an ID: a view, a reference.
type view struct{}

func (view) ID() id.ID { return someID }

// pageToken stands for a text of a named type.
type pageToken string

// stringer stands for what can say a cursor's text.
type stringer struct{ text string }

func (s stringer) String() string { return s.text }

// TestArguments: Go values take the type of what they are compared with.
func TestArguments(t *testing.T) {
	c := ankql.Cursor{Key: []value.Value{value.String("x")}, ID: someID}
	quoted := "'" + someID.String() + "'"
	for _, x := range []struct {
		text string
		args []any
		want string
	}{
		{"year = ?", []any{uint8(5)}, "year = 5"},
		{"year = ?", []any{5.0}, "year = 5"},
		{"year < ?", []any{5.5}, "year < 5.5"},
		{"year = :y OR plays = :y", []any{ankql.Named{Name: "y", Value: 7}}, "year = 7 OR plays = 7"},
		{"year = ? AND name = :n AND plays = ?", []any{1, ankql.Named{Name: "n", Value: "x"}, 2}, "year = 1 AND name = 'x' AND plays = 2"},
		{"year = :y", []any{map[string]any{"y": 7}}, "year = 7"},
		{"", []any{map[string]any{}}, ""},
		{"id = ? OR artist = ?", []any{someID, view{}}, "id = " + quoted + " OR artist = " + quoted},
		{"artist IN ?", []any{[]id.ID{someID, someID}}, "artist IN (" + quoted + ", " + quoted + ")"},
		{"artist IN ?", []any{[]view{{}}}, "artist IN (" + quoted + ")"},
		{"year IN ?", []any{[2]int8{1, 2}}, "year IN (1, 2)"},
		{"year IN ?", []any{[]int(nil)}, "year IN ()"},
		{"year IN (?, ?)", []any{[]any{"1", nil, 2.5}, value.List(value.KindInt32, []value.Value{value.Int32(3)})}, "year IN (1, NULL, 2.5, 3)"},
		{"cover IN ?", []any{[][]byte{{}}}, "cover IN (" + value.Bytes(nil).String() + ")"},
		{"cover IN ?", []any{[]byte{}}, "cover IN (" + value.Bytes(nil).String() + ")"},
		{"name IN ?", []any{mustJSON(`["a", null]`)}, "name IN ('a', NULL)"},
		{"released < ?", []any{time.UnixMicro(0)}, "released < " + value.Micros(0).String()},
		{"tags CONTAINS ?", []any{"x"}, "tags CONTAINS 'x'"},
		{"extra.owner = ?", []any{someID}, "extra.owner = " + quoted},
		{"name LIKE ?", []any{value.String("a%")}, "name LIKE 'a%'"},
		{"?", []any{true}, "TRUE"},
		{"LIMIT ?", []any{uint16(3)}, "LIMIT 3"},
		{"LIMIT ?", []any{3.0}, "LIMIT 3"},
		{"ORDER BY name AFTER ?", []any{&c}, "ORDER BY name AFTER '" + c.String() + "'"},
		{"ORDER BY name AFTER ?", []any{c}, "ORDER BY name AFTER '" + c.String() + "'"},
		{"ORDER BY name AFTER ?", []any{c.String()}, "ORDER BY name AFTER '" + c.String() + "'"},
		{"ORDER BY name AFTER ?", []any{pageToken(c.String())}, "ORDER BY name AFTER '" + c.String() + "'"},
		{"ORDER BY name AFTER ?", []any{stringer{c.String()}}, "ORDER BY name AFTER '" + c.String() + "'"},
		{"ORDER BY name AFTER ?", []any{value.String(c.String())}, "ORDER BY name AFTER '" + c.String() + "'"},
		{"ORDER BY name AFTER :c", []any{ankql.Named{Name: "c", Value: (*ankql.Cursor)(nil)}}, "ORDER BY name"},
		{"ORDER BY name AFTER ?", []any{nil}, "ORDER BY name"},
	} {
		s := mustBind(t, ankqltest.Model(), x.text, x.args...)
		if got := s.String(); got != x.want {
			t.Errorf("%s\n got %s\nwant %s", x.text, got, x.want)
		}
	}
}

func mustJSON(text string) value.Value {
	v, err := value.ParseJSON(text)
	if err != nil {
		panic(err)
	}
	return v
}

// TestArgumentErrors: errors that only Go values bring about; the others are
// in testdata.
func TestArgumentErrors(t *testing.T) {
	for _, x := range []struct {
		text  string
		args  []any
		param string
		want  string
	}{
		{"year = ?", []any{make(chan int)}, "1", ""},
		{"year = :y", []any{ankql.Named{Name: "y", Value: func() {}}}, ":y", ""},
		{"year IN ?", []any{[]any{1, struct{}{}}}, "1", ""},
		{"year = :y", []any{ankql.Named{Name: "y", Value: 1}, ankql.Named{Name: "y", Value: 1}}, ":y", "two values were given for it"},
		{"year = :y", []any{ankql.Named{Name: "y", Value: 1}, ankql.Named{Name: "z", Value: 1}}, ":z", "no such parameter"},
		{"year = :y", []any{map[string]any{"y": 1}, 5}, ":y", "no value was given"},
		{"name = ?", []any{"\xFF"}, "1", ""},
		{"LIMIT ?", []any{int64(-1)}, "1", "LIMIT is a whole number of rows"},
		{"ORDER BY name AFTER ?", []any{ankql.Cursor{}}, "1", "the cursor's key has no value, but ORDER BY has 1 term"},
		{"AFTER ?", []any{stringer{"x"}}, "1", "is not a cursor"},
		{"AFTER ?", []any{value.Bool(true)}, "1", "AFTER takes a cursor"},
		{"name LIKE ?", []any{strings.Repeat("x", ankql.MaxPattern+1)}, "1", "the pattern has 4097 bytes"},
	} {
		_, err := ankql.Bind(mustParse(t, x.text), ankqltest.Model(), "album", x.args...)
		var be *ankql.BindError
		if !errors.As(err, &be) || !errors.Is(err, ankql.ErrBind) {
			t.Errorf("%s: %v", x.text, err)
			continue
		}
		if be.Param != x.param || !strings.Contains(be.Msg, x.want) || !strings.Contains(err.Error(), "parameter "+x.param+": ") {
			t.Errorf("%s: %v", x.text, err)
		}
		if strings.Count(err.Error(), "ankurah:") != 1 {
			t.Errorf("%s: the prefix stands once: %v", x.text, err)
		}
	}
}

// TestBindResolves: what binding puts into paths and literals.
func TestBindResolves(t *testing.T) {
	s := mustBind(t, ankqltest.Model(), "year = 5 AND genre = 'x' AND extra.n = 1 AND extra = 1 AND id = artist ORDER BY plays DESC")
	type resolved struct {
		Key     string
		ID      bool
		JSON    []string
		Type    string
		Default string
	}
	var got []resolved
	for x := range ankql.Paths(s.Where) {
		got = append(got, resolved{x.Key, x.IsID, x.JSON, x.Type.String(), x.Default.String()})
	}
	null := value.Null.String()
	want := []resolved{
		{"year", false, nil, "int32", null}, {"genre", false, nil, "string", "'a'"},
		{"extra", false, []string{"n"}, "null", null}, {"extra", false, nil, "json", null},
		{"", true, nil, "id", null}, {"artist", false, nil, "id", null},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	year := ankql.Conjuncts(s.Where)[0].(*ankql.Binary).R.(*ankql.Literal)
	if year.Value.Kind() != value.KindInt32 {
		t.Errorf("a literal beside an int32 is %v", year.Value.Kind())
	}
	if s.Collection != "album" || s.Limit != -1 || s.After != nil || !s.Order[0].NullsFirst {
		t.Errorf("%+v", s)
	}
}

// TestBindAgain: binding leaves the query as it was.
func TestBindAgain(t *testing.T) {
	q := mustParse(t, "year = ? AND name IN ? OR NOT published ORDER BY extra.n LIMIT ?")
	before := q.String()
	for k := range 3 {
		s, err := ankql.Bind(q, ankqltest.Model(), "album", k, []string{"a"}, k)
		if err != nil || s.Limit != k {
			t.Fatal(s, err)
		}
	}
	if got := q.String(); got != before || !ankql.Equal(q, mustParse(t, before)) {
		t.Errorf("was %s, is %s", before, got)
	}
}

// TestBindExpr: a policy's filter joins a selection; it may leave names unused.
func TestBindExpr(t *testing.T) {
	filter, err := ankql.ParseExpr("artist = :subject OR published")
	if err != nil {
		t.Fatal(err)
	}
	m := ankqltest.Model()
	names := map[string]any{"subject": someID, "role": "admin"}
	bound, err := ankql.BindExpr(filter, m, "album", names)
	if err != nil {
		t.Fatal(err)
	}
	s := *mustBind(t, m, "year > 1985 AND name LIKE 'O%'")
	s.Where = ankql.And(s.Where, bound)
	want := "year > 1985 AND name LIKE 'O%' AND (artist = '" + someID.String() + "' OR published = TRUE)"
	if got := s.String(); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	row := &ankqltest.Row{EntityID: someID, Values: map[string]value.Value{"year": value.Int32(1990), "name": value.String("O"), "artist": value.ID(someID)}}
	if !s.Match(row) {
		t.Error("no match")
	}
	row.Values["artist"] = value.ID(id.ID{})
	if s.Match(row) {
		t.Error("a match")
	}
	if e, err := ankql.BindExpr(nil, m, "album", names); e != nil || err != nil {
		t.Errorf("nil: %v %v", e, err)
	}
	for _, args := range [][]any{{}, {map[string]any{"role": ""}}, {map[string]any{"subject": "x"}}, {names, 5}} {
		e, err := ankql.BindExpr(filter, m, "album", args...)
		if e != nil || !errors.Is(err, ankql.ErrBind) {
			t.Errorf("%v: %v %v", args, e, err)
		}
	}
}

// TestLearnedModel: a property of no known type is read as it is.
func TestLearnedModel(t *testing.T) {
	m := schema.NewModel("", "album", []schema.Property{{Key: "x"}})
	s := mustBind(t, m, "x = 'a' AND x.y > 1 AND x CONTAINS 5 AND x + 1 = 2 AND x LIKE 'a' AND x ORDER BY x")
	if got := s.String(); got != "x = 'a' AND x.y > 1 AND x CONTAINS 5 AND x + 1 = 2 AND x LIKE 'a' AND x = TRUE ORDER BY x" {
		t.Error(got)
	}
	if _, err := ankql.Bind(mustParse(t, "y = 1"), m, "album"); err == nil {
		t.Error("an unknown field binds")
	}
}
