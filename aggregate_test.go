package ankurah_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/ankql/ankqltest"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage/memory"
)

// said writes a result as text: the groups' columns, one group after the other.
func said(groups []ankurah.Group) string {
	var out []string
	for _, g := range groups {
		out = append(out, strings.TrimSuffix(fmt.Sprintln(g.Values()...), "\n"))
	}
	return strings.Join(out, "; ")
}

func aggregate(t *testing.T, r ankurah.Reader, query string, args ...any) string {
	t.Helper()
	groups, err := albums.Aggregate(t.Context(), r, query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return said(groups)
}

func TestAggregate(t *testing.T) {
	n := openNode(t, memory.New(), nil)
	s, ctx := n.Session(policy.Principal{}), t.Context()
	const all = "SELECT COUNT(*), COUNT(label), SUM(year), MIN(name), MAX(year), AVG(year)"
	if got := aggregate(t, s, "SELECT COUNT(*), SUM(year) GROUP BY year"); got != "" {
		t.Errorf("groups of nothing: %s", got)
	}
	for _, f := range []ankurah.Fields{
		{"name": "a", "year": 2000, "label": "x"}, {"name": "b", "year": 2001}, {"name": "c", "year": 2003, "label": "x"}, {"name": "d", "label": "y"},
	} {
		create(t, s, f)
	}
	for _, c := range []struct {
		query string
		args  []any
		want  string
	}{
		{all, nil, "4 3 6004 a 2003 2001.3333333333333"},
		{all + " WHERE year > ?", []any{2000}, "2 1 4004 b 2003 2002"},
		{all + " WHERE FALSE", nil, "0 0 <nil> <nil> <nil> <nil>"},
		{"SELECT COUNT(*)", nil, "4"},
		{"SELECT COUNT(*) GROUP BY label", nil, "x 2; y 1; <nil> 1"},
		{"SELECT COUNT(*), SUM(year) GROUP BY label ORDER BY COUNT(*), label DESC", nil, "<nil> 1 2001; y 1 <nil>; x 2 4003"},
		{"SELECT COUNT(*) GROUP BY label ORDER BY label DESC NULLS LAST LIMIT ?", []any{2}, "y 1; x 2"},
	} {
		if got := aggregate(t, s, c.query, c.args...); got != c.want {
			t.Errorf("%s: %s, want %s", c.query, got, c.want)
		}
	}
	// S21: a transaction sees its own edits.
	tx := s.Begin()
	if _, err := albums.Create(tx, &ankurah.Fields{"name": "e", "year": 1990}); err != nil {
		t.Fatal(err)
	}
	if got := aggregate(t, tx, "SELECT COUNT(*), MIN(year)"); got != "5 1990" {
		t.Errorf("in the transaction: %s", got)
	}
	if got := aggregate(t, s, "SELECT COUNT(*), MIN(year)"); got != "4 2000" {
		t.Errorf("outside: %s", got)
	}
	tx.Rollback()
	for _, query := range []string{"SELECT COUNT(*)", "SELECT COUNT(*) GROUP BY year"} {
		if _, err := albums.Aggregate(ctx, tx, query); !errors.Is(err, ankurah.ErrTxDone) {
			t.Errorf("after it: %v", err)
		}
	}
	for query, want := range map[string]string{
		"year > 5":                       "begins with SELECT",
		"SELECT name":                    "expected COUNT",
		"SELECT COUNT(nothing)":          "unknown field",
		"SELECT COUNT(*) WHERE year > ":  "expected a value",
		"SELECT COUNT(*) WHERE year = ?": "no value was given",
	} {
		if _, err := albums.Aggregate(ctx, s, query); !errors.Is(err, ankurah.ErrQuery) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", query, err)
		}
	}
	if _, err := albums.Fetch(ctx, s, "SELECT COUNT(*)"); !errors.Is(err, ankurah.ErrQuery) || !strings.Contains(err.Error(), "Aggregate") {
		t.Errorf("fetching an aggregate: %v", err)
	}
}

// S60, S38: an aggregate counts what the principal may read.
func TestAggregateIsNarrowed(t *testing.T) {
	n := rulesNode(t)
	alice, bob := n.Session(policy.Principal{Subject: "alice"}), n.Session(policy.Principal{Subject: "bob"})
	create(t, alice, ankurah.Fields{"name": "secret", "owner": "alice", "public": false})
	create(t, alice, ankurah.Fields{"name": "public", "owner": "alice", "public": true})
	for who, want := range map[*ankurah.Session]string{alice: "2; false 1; true 1", bob: "1; true 1", n.Session(policy.Principal{}): "0; "} {
		got := aggregate(t, who, "SELECT COUNT(*)") + "; " + aggregate(t, who, "SELECT COUNT(*) GROUP BY public")
		if got != want {
			t.Errorf("%q: %s, want %s", who.Principal().Subject, got, want)
		}
	}
}

func TestScanGroup(t *testing.T) {
	n := openNode(t, memory.New(), nil)
	s, ctx := n.Session(policy.Principal{}), t.Context()
	at := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	artist := create(t, s, ankurah.Fields{"name": "artist", "none": "x"})
	create(t, s, ankurah.Fields{"name": "a", "year": 2000, "artist": artist, "live": true, "at": at, "cover": []byte{1}, "gain": 2.5})
	groups, err := albums.Aggregate(ctx, s, "SELECT COUNT(*), SUM(year), AVG(gain), MAX(at), MIN(cover), MAX(none) WHERE artist IS NOT NULL GROUP BY name, artist, live")
	if err != nil || len(groups) != 1 {
		t.Fatal(groups, err)
	}
	g := groups[0]
	var (
		name, other *string
		ref         ankurah.Ref[ankurah.Fields]
		live        bool
		count       int
		sum         int32
		avg         float64
		max         time.Time
		min         []byte
	)
	if err := g.Scan(&name, &ref, &live, &count, &sum, &avg, &max, &min, &other); err != nil {
		t.Fatal(err)
	}
	if *name != "a" || ref.ID() != artist || !live || count != 1 || sum != 2000 || avg != 2.5 || !max.Equal(at) || !slices.Equal(min, []byte{1}) || other != nil {
		t.Error(*name, ref, live, count, sum, avg, max, min, other)
	}
	var id ankurah.ID
	var x any
	if err := g.Scan(nil, &id, &x, nil, nil, nil, nil, nil, nil); err != nil || id != artist || x != true {
		t.Error(id, x, err)
	}
	if v, ok := g.Get("COUNT(*)"); !ok || v != int64(1) {
		t.Error(v, ok)
	}
	if v, ok := g.Get("MAX(none)"); ok || v != nil {
		t.Error(v, ok)
	}
	for _, c := range []struct {
		dst  []any
		want string
	}{
		{[]any{&name}, "9 columns"},
		{[]any{&count, nil, nil, nil, nil, nil, nil, nil, nil}, "name: "},
		{[]any{nil, nil, nil, nil, nil, nil, nil, nil, &sum}, "MAX(none): it is null"},
		{[]any{name, nil, nil, nil, nil, nil, nil, nil, 5}, "a int is nothing"},
	} {
		var se *ankurah.ScanError
		if err := g.Scan(c.dst...); !errors.As(err, &se) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

// S48: an aggregate over any engine's rows is that over the rows fetched.
func TestAggregateOfRandomRows(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	m := ankqltest.Model()
	n := openNode(t, memory.New(), &ankurah.NodeOptions{Policy: policy.Permissive{}, Models: []ankurah.AnyCollection{declared{m}}})
	s, ctx := n.Session(policy.Principal{}), t.Context()
	c := ankurah.Dynamic(m.Collection)
	for range 100 {
		err := s.Update(ctx, func(tx *ankurah.Tx) error {
			e, err := c.Create(tx, &ankurah.Fields{})
			if err != nil {
				return err
			}
			return randomEdit(r, m, c, tx, e.ID())
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 300 {
		predicate, args := ankqltest.RandomPredicate(r, m)
		rows, err := c.Fetch(ctx, s, predicate, args...)
		if err != nil {
			t.Fatal(err)
		}
		groups, err := c.Aggregate(ctx, s, "SELECT COUNT(*), COUNT(label) WHERE "+predicate+" GROUP BY published", args...)
		if err != nil {
			t.Fatal(err)
		}
		count, labels := 0, 0
		for _, g := range groups {
			var x, y int
			if err := g.Scan(nil, &x, &y); err != nil {
				t.Fatal(err)
			}
			count, labels = count+x, labels+y
		}
		want := 0
		for _, row := range rows {
			if _, ok := row.Get("label"); ok {
				want++
			}
		}
		if count != len(rows) || labels != want {
			t.Fatalf("%s %v: %d rows and %d labels, want %d and %d", predicate, args, count, labels, len(rows), want)
		}
	}
}
