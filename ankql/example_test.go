package ankql_test

import (
	"errors"
	"fmt"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/ankql/ankqltest"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/value"
)

var albums = schema.NewModel("Album", "album", []schema.Property{
	{Key: "name", Type: value.Type{Kind: value.KindString}},
	{Key: "year", Type: value.Type{Kind: value.KindInt32}},
	{Key: "owner", Type: value.Type{Kind: value.KindString}},
})

func Example() {
	q, err := ankql.Parse("name LIKE ? AND year > 1985 ORDER BY year DESC LIMIT 50")
	if err != nil {
		panic(err)
	}
	s, err := ankql.Bind(q, albums, "album", "Origin%")
	if err != nil {
		panic(err)
	}
	row := &ankqltest.Row{Values: map[string]value.Value{"name": value.String("Origin of Symmetry"), "year": value.Int32(2001)}}
	fmt.Println(s)
	fmt.Println(s.Match(row))
	// Output:
	// name LIKE 'Origin%' AND year > 1985 ORDER BY year DESC LIMIT 50
	// true
}

func ExampleParse_error() {
	_, err := ankql.Parse("year > AND name = 'x'")
	fmt.Println(err)
	var se *ankql.SyntaxError
	fmt.Println(errors.As(err, &se), se.Line, se.Col)
	// Output:
	// ankurah: line 1, column 8: expected a value, found AND: year > ▸AND name = 'x'
	// true 1 8
}

func ExampleBind_error() {
	q, _ := ankql.Parse("yaer > 1985")
	_, err := ankql.Bind(q, albums, "album")
	fmt.Println(err)
	// Output: ankurah: line 1, column 1: unknown field "yaer" of album: did you mean "year"?
}

func ExampleNamed() {
	q, _ := ankql.Parse("year BETWEEN :from AND :to")
	s, err := ankql.Bind(q, albums, "album", ankql.Named{Name: "from", Value: 1985}, ankql.Named{Name: "to", Value: 2001})
	fmt.Println(s, err)
	// Output: year BETWEEN 1985 AND 2001 <nil>
}

// A policy's filter narrows what a query selects.
func ExampleBindExpr() {
	filter, _ := ankql.ParseExpr("owner = :subject")
	q, _ := ankql.Parse("year > 1985 OR name IS NULL")
	s, _ := ankql.Bind(q, albums, "album")
	mine, err := ankql.BindExpr(filter, albums, "album", map[string]any{"subject": "alice", "role": "editor"})
	if err != nil {
		panic(err)
	}
	narrowed := *s
	narrowed.Where = ankql.And(s.Where, mine)
	fmt.Println(&narrowed)
	// Output: (year > 1985 OR name IS NULL) AND owner = 'alice'
}

// The next page begins behind the last row of this one.
func ExampleSelection_CursorOf() {
	q, _ := ankql.Parse("ORDER BY year LIMIT 2 AFTER ?")
	first, _ := ankql.Bind(q, albums, "album", nil)
	last := &ankqltest.Row{Values: map[string]value.Value{"year": value.Int32(2001)}}
	next, err := ankql.Bind(q, albums, "album", first.CursorOf(last).String())
	fmt.Println(err, next.CompareCursor(&ankqltest.Row{Values: map[string]value.Value{"year": value.Int32(2003)}}, next.After))
	// Output: <nil> 1
}
