package features

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/internal/gen/testdata/people"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage/memory"
)

func session(t *testing.T) *ankurah.Session {
	eng := memory.New()
	n, err := ankurah.OpenNode(t.Context(), eng, &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(n.Close(), eng.Close()); err != nil {
			t.Error(err)
		}
	})
	if err := n.EnsureSystem(t.Context()); err != nil {
		t.Fatal(err)
	}
	return n.Session(policy.Principal{Subject: "alice"})
}

var moment = time.Date(2001, 6, 17, 12, 30, 0, 1000, time.UTC)

func pointer[T any](x T) *T { return &x }

// roundTrip creates m and returns what a view and a mutable show of it.
func roundTrip[M any, V interface {
	ankurah.AnyView
	Snapshot() M
	Equal(V) bool
	Ref() ankurah.Ref[M]
}, E interface {
	ankurah.Identified
	View() V
	Ref() ankurah.Ref[M]
}](t *testing.T, c ankurah.Collection[M, V, E], m M) V {
	t.Helper()
	s := session(t)
	var inside M
	var ref ankurah.Ref[M]
	err := s.Update(t.Context(), func(tx *ankurah.Tx) error {
		e, err := c.Create(tx, &m)
		if err != nil {
			return err
		}
		inside, ref = e.View().Snapshot(), e.Ref()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	v, err := c.Get(t.Context(), s, ref.ID())
	if err != nil {
		t.Fatal(err)
	}
	if got := v.Snapshot(); !reflect.DeepEqual(got, m) {
		t.Errorf("got  %+v\nwant %+v", got, m)
	}
	if !reflect.DeepEqual(inside, m) {
		t.Errorf("inside the transaction:\ngot  %+v\nwant %+v", inside, m)
	}
	if again, err := c.Get(t.Context(), s, ref.ID()); err != nil || !v.Equal(again) || v.Ref() != ref {
		t.Errorf("the same version is not equal to itself (%v)", err)
	}
	return v
}

func TestEveryScalarComesBack(t *testing.T) {
	owner := ankurah.ID{1, 2, 3}
	m := Scalar{
		Text: "text", Flag: true, I8: -8, I16: -16, I32: -32, R: 'ß', U8: 8, B: 255, U16: 65535, I: -1 << 40, I64: 1 << 62, U32: 1<<32 - 1,
		F32: 0.5, F64: 0.1, Bytes: []byte{1, 2}, Blob: blob{3}, At: moment, Stamp: moment, Born: moment, Took: time.Minute,
		Raw: json.RawMessage("{}"), Owner: owner, Other: owner, Self: ankurah.RefTo[Scalar](owner), Person: ankurah.RefTo[people.Person](owner),
		City: ankurah.RefTo[people.City](owner), Doc: ankurah.MustJSON(map[string]any{"a": 1}), Genre: "rock", Level: -3, Color: "red", Score: 7, One: 1, Two: 2,
	}
	v := roundTrip(t, Scalars, m)
	if v.Took() != time.Minute || v.Genre() != "rock" || v.Person() != m.Person {
		t.Error("getters do not show what Snapshot shows")
	}
	if refs := Scalars.Model().Property("person").Ref + " " + Scalars.Model().Property("city").Ref; refs != "human city" {
		t.Error("references lead to", refs)
	}
}

func TestOptionalFieldsComeAndGo(t *testing.T) {
	roundTrip(t, Optionals, Optional{})
	v := roundTrip(t, Optionals, Optional{
		Text: pointer(""), Flag: pointer(false), Number: pointer[int8](0), Big: pointer(0), Real: pointer[float32](1), Bytes: pointer([]byte{9}),
		At: &moment, Owner: &ankurah.ID{1}, Self: pointer(ankurah.RefTo[Optional](ankurah.ID{2})), Doc: pointer(ankurah.MustJSON("x")),
		List: pointer([]Genre{"a"}), Color: pointer[people.Color]("red"),
	})
	if text, ok := v.Text(); text != "" || !ok {
		t.Error("an empty text is not a missing text")
	}

	s := session(t)
	err := s.Update(t.Context(), func(tx *ankurah.Tx) error {
		e, err := Optionals.Create(tx, &Optional{Text: pointer("a")})
		if err != nil {
			return err
		}
		if err := e.Text.Clear(); err != nil {
			return err
		}
		if _, ok := e.Text.Get(); ok {
			t.Error("a cleared text has a value")
		}
		return e.Text.Set("b")
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestListsComeBack(t *testing.T) {
	roundTrip(t, Lists, List{
		Texts: []string{"a", ""}, Flags: []bool{true, false}, Small: []int8{-1}, Bigs: []int{1 << 40}, Reals: []float32{0.5}, Blobs: [][]byte{{1}, {2, 3}},
		Times: []time.Time{moment}, IDs: []ankurah.ID{{1}}, People: []ankurah.Ref[people.Person]{ankurah.RefTo[people.Person](ankurah.ID{4})},
		Genres: []Genre{"rock"}, Levels: []level{1, 2}, Colors: []people.Color{"red"}, Unusual: []blob{{5}},
	})
}

func TestSkippedFieldsAreNotStored(t *testing.T) {
	s := session(t)
	err := s.Update(t.Context(), func(tx *ankurah.Tx) error {
		e, err := Skipses.Create(tx, &Skips{Name: "a", a: 1})
		if err != nil {
			return err
		}
		if got := e.View().Snapshot(); got.Name != "a" || got.a != 0 {
			t.Errorf("got %q %d", got.Name, got.a)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(Skipses.Model().Properties); n != 1 {
		t.Error(n, "properties")
	}
}

func TestDefaultsAndEnums(t *testing.T) {
	s := session(t)
	var id ankurah.ID
	// An older program knew less of the collection.
	err := s.Update(t.Context(), func(tx *ankurah.Tx) error {
		e, err := ankurah.Dynamic("choice").Create(tx, &ankurah.Fields{"title": "old"})
		if err == nil {
			id = e.ID()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	v, err := Choices.Get(t.Context(), s, id)
	if err != nil {
		t.Fatal(err)
	}
	got := v.Snapshot()
	want := Option{
		Name: "old", Dish: "soup", Genre: "pop", Label: pointer("it's, so"), Flag: true, Count: -7, Byte: 255, Big: 5e9, Half: 0.5, Whole: 3, Tiny: 1e-9,
		Took: 1000, Day: time.Date(2006, 1, 2, 0, 0, 0, 0, time.UTC), Moment: time.Date(2006, 1, 2, 13, 4, 5, 1000, time.UTC),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	err = s.Update(t.Context(), func(tx *ankurah.Tx) error {
		e, err := Choices.Edit(tx, v)
		if err != nil {
			return err
		}
		if err := e.Dish.Set("fish, fried"); err != nil {
			return err
		}
		return e.Genre.Set("jazz")
	})
	if err == nil || !strings.Contains(err.Error(), `"jazz" is not one of rock, pop`) {
		t.Error("got", err)
	}
}

func TestIndexesAreDeclared(t *testing.T) {
	var names []string
	for _, x := range Choices.Model().Indexes {
		names = append(names, x.Name())
	}
	want := []string{"title", "index", "extra", "count,title desc", `extra.genre,extra."a.b"."say \"hi\"" desc`}
	if !reflect.DeepEqual(names, want) {
		t.Errorf("got %q", names)
	}
}
