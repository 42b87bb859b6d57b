package schema_test

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/value"
)

func scalar(k value.Kind) value.Type { return value.Type{Kind: k} }
func listOf(k value.Kind) value.Type { return value.Type{Kind: value.KindList, Elem: k} }

func prop(key string, t value.Type) schema.Property { return schema.Property{Key: key, Type: t} }

func index(columns ...string) schema.Index {
	var x schema.Index
	for _, c := range columns {
		path, desc := strings.CutSuffix(c, " desc")
		x.Columns = append(x.Columns, schema.Column{Path: strings.Split(path, "/"), Desc: desc})
	}
	return x
}

// A model's properties are sorted and found by key; their kind is the register
// unless they say another; what it was made of stays as it was.
func TestModel(t *testing.T) {
	props := []schema.Property{prop("year", scalar(value.KindInt32)), prop("name", scalar(value.KindString)), {Key: "body", Type: scalar(value.KindString), Kind: "text"}}
	m := schema.NewModel("Album", "album", props, index("year desc", "name"), index("extra/a.b"))
	var keys []string
	for _, p := range m.Properties {
		keys = append(keys, p.Key+":"+p.Kind)
	}
	if want := []string{"body:text", "name:lww", "year:lww"}; !slices.Equal(keys, want) {
		t.Errorf("properties %v, want %v", keys, want)
	}
	if props[0].Key != "year" || props[0].Kind != "" {
		t.Error("a model changes the properties that it was made of")
	}
	for _, key := range []string{"body", "name", "year"} {
		if p := m.Property(key); p == nil || p.Key != key {
			t.Errorf("property %s: %v", key, p)
		}
	}
	var none *schema.Model
	for _, p := range []*schema.Property{m.Property(""), m.Property("nam"), m.Property("zzz"), none.Property("name"), schema.NewModel("", "x", nil).Property("name")} {
		if p != nil {
			t.Errorf("an unknown property: %v", p)
		}
	}
	if m.Name != "Album" || m.Collection != "album" || len(m.Indexes) != 2 {
		t.Errorf("%+v", m)
	}
}

// The name of an index is its identity: equal exactly for equal columns.
func TestIndexNames(t *testing.T) {
	for want, x := range map[string]schema.Index{
		"":                index(),
		"year":            index("year"),
		"year desc,name":  index("year desc", "name"),
		"name,year desc":  index("name", "year desc"),
		"extra.n":         index("extra/n"),
		`extra."a.b"`:     index("extra/a.b"),
		`extra."0"`:       index("extra/0"),
		`extra."n desc"`:  {Columns: []schema.Column{{Path: []string{"extra", "n desc"}}}},
		`extra."a\",\"b"`: index(`extra/a","b`),
		`extra."",_x9`:    index("extra/", "_x9"),
		`extra."é" desc`:  index("extra/é desc"),
	} {
		if got := x.Name(); got != want {
			t.Errorf("%v is called %s, want %s", x, got, want)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	byName := map[string]schema.Index{}
	parts := []string{"a", "b", "a.b", `"a"`, "a,b", "a desc", "", "0", `\`, `"`, ","}
	for range 20_000 {
		var x schema.Index
		for range 1 + r.IntN(2) {
			c := schema.Column{Desc: r.IntN(2) == 0}
			for range 1 + r.IntN(3) {
				c.Path = append(c.Path, parts[r.IntN(len(parts))])
			}
			x.Columns = append(x.Columns, c)
		}
		if y, ok := byName[x.Name()]; ok && !reflect.DeepEqual(x, y) {
			t.Fatalf("%v and %v are both called %s", x, y, x.Name())
		}
		byName[x.Name()] = x
	}
}

// What was stored as one type is read as another where every value of the one
// is a value of the other.
func TestCompatible(t *testing.T) {
	var types []value.Type
	for k := value.KindString; k <= value.KindJSON; k++ {
		types = append(types, scalar(k))
		if k.Scalar() {
			types = append(types, listOf(k))
		}
	}
	wider := map[[2]value.Type]bool{
		{scalar(value.KindInt32), scalar(value.KindInt64)}:   true,
		{scalar(value.KindInt32), scalar(value.KindFloat64)}: true,
		{listOf(value.KindInt32), listOf(value.KindInt64)}:   true,
		{listOf(value.KindInt32), listOf(value.KindFloat64)}: true,
	}
	for _, old := range types {
		for _, now := range types {
			want := old == now || wider[[2]value.Type{old, now}]
			if got := schema.Compatible(old, now); got != want {
				t.Errorf("%v read as %v: %v, want %v", old, now, got, want)
			}
		}
		// An empty list may not say what it would hold.
		if got, want := schema.Compatible(listOf(value.KindNull), old), old.Kind == value.KindList; got != want {
			t.Errorf("an empty list read as %v: %v, want %v", old, got, want)
		}
	}
	if !schema.Compatible(listOf(value.KindNull), listOf(value.KindNull)) || schema.Compatible(listOf(value.KindString), listOf(value.KindNull)) {
		t.Error("lists whose elements are not known")
	}
	// Compatible types lose nothing: the extremes of the old one convert.
	for pair := range wider {
		if pair[0].Kind == value.KindList {
			continue
		}
		for _, n := range []int32{-1 << 31, 1<<31 - 1} {
			if v, err := value.Convert(value.Int32(n), pair[1]); err != nil || !value.Equal(v, value.Int32(n)) {
				t.Errorf("%d as %v: %v, %v", n, pair[1], v, err)
			}
		}
	}
}

func TestMerge(t *testing.T) {
	known := schema.NewModel("", "album", []schema.Property{
		prop("learned", scalar(value.KindBool)), prop("name", scalar(value.KindString)), prop("year", scalar(value.KindInt32)), prop("tags", listOf(value.KindNull)),
	}, index("learned"), index("year"))
	declared := schema.NewModel("Album", "album", []schema.Property{
		{Key: "name", Name: "Name", Type: scalar(value.KindString), Enum: []string{"a"}}, {Key: "year", Name: "Year", Type: scalar(value.KindInt64), Optional: true},
		{Key: "tags", Name: "Tags", Type: listOf(value.KindString)}, prop("added", scalar(value.KindTime)),
	}, index("year"), index("year desc"))
	before := []schema.Model{*known, *declared}
	for k := range before {
		before[k].Properties, before[k].Indexes = slices.Clone(before[k].Properties), slices.Clone(before[k].Indexes)
	}
	m, err := schema.Merge(known, declared)
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, p := range m.Properties {
		keys = append(keys, p.Key+" "+p.Type.String()+" "+p.Name)
	}
	if want := []string{"added time ", "learned bool ", "name string Name", "tags list of string Tags", "year int64 Year"}; !slices.Equal(keys, want) {
		t.Errorf("properties %q, want %q", keys, want)
	}
	if p := m.Property("year"); !p.Optional || m.Property("name").Enum == nil {
		t.Errorf("what was declared is lost: %+v", p)
	}
	var indexes []string
	for _, x := range m.Indexes {
		indexes = append(indexes, x.Name())
	}
	if want := []string{"year", "year desc", "learned"}; !slices.Equal(indexes, want) {
		t.Errorf("indexes %q, want %q", indexes, want)
	}
	if m.Name != "Album" || m.Collection != "album" {
		t.Errorf("merged as %s %s", m.Name, m.Collection)
	}
	if !reflect.DeepEqual(before, []schema.Model{*known, *declared}) {
		t.Error("a merge changes what it merges")
	}
	// Once more changes nothing; so does what only was learned.
	for _, again := range []*schema.Model{declared, m, schema.NewModel("", "album", nil)} {
		if same, err := schema.Merge(m, again); err != nil || !reflect.DeepEqual(sorted(same), sorted(m)) {
			t.Errorf("merged again: %+v, %v; want %+v", same, err, m)
		}
	}
	if first, err := schema.Merge(nil, declared); err != nil || !reflect.DeepEqual(first, declared) {
		t.Errorf("nothing known: %+v, %v", first, err)
	}
}

// sorted returns m with its indexes in the order of their names, which means
// nothing.
func sorted(m *schema.Model) schema.Model {
	out := *m
	out.Indexes = slices.SortedFunc(slices.Values(m.Indexes), func(a, b schema.Index) int { return strings.Compare(a.Name(), b.Name()) })
	return out
}

// An incompatible change is refused with the collection, the property, both
// types, and what can be done.
func TestMergeRefuses(t *testing.T) {
	text := prop("body", scalar(value.KindString))
	crdt := text
	crdt.Kind = "text"
	for _, c := range []struct {
		old, now schema.Property
		want     string
	}{
		{prop("year", scalar(value.KindString)), prop("year", scalar(value.KindInt32)), "collection album stores year as string, the model declares it as int32"},
		{prop("year", scalar(value.KindInt64)), prop("year", scalar(value.KindInt32)), "stores year as int64, the model declares it as int32"},
		{prop("year", scalar(value.KindInt64)), prop("year", scalar(value.KindFloat64)), "stores year as int64, the model declares it as float64"},
		{prop("tags", listOf(value.KindString)), prop("tags", listOf(value.KindInt32)), "stores tags as list of string, the model declares it as list of int32"},
		{prop("tags", listOf(value.KindString)), prop("tags", scalar(value.KindString)), "stores tags as list of string, the model declares it as string"},
		{text, crdt, "stores body as string, the model declares it as string (text)"},
		{crdt, text, "stores body as string (text), the model declares it as string"},
	} {
		fine := prop("also", scalar(value.KindBool))
		known := schema.NewModel("Album", "album", []schema.Property{c.old, fine})
		m, err := schema.Merge(known, schema.NewModel("Album", "album", []schema.Property{c.now, fine}))
		if m != nil || !errors.Is(err, schema.ErrIncompatible) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), `ankurah:"`+c.old.Key+`_2"`) {
			t.Errorf("%v: %v; want %q", m, err, c.want)
		}
	}
}
