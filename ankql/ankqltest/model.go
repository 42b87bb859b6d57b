// Package ankqltest generates models, rows and queries, so that engines and
// live queries can be tested against the evaluator on the same data (S48).
//
// Everything is drawn from small domains: values repeat, and predicates match
// some rows and not others.
package ankqltest

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/value"
)

// Model returns a model of collection "album" with a property of every type:
// scalars, a reference, JSON, lists, optional ones, and one with a default.
func Model() *schema.Model {
	scalar := func(key string, k value.Kind) schema.Property {
		return schema.Property{Key: key, Type: value.Type{Kind: k}}
	}
	list := func(key string, k value.Kind) schema.Property {
		return schema.Property{Key: key, Type: value.Type{Kind: value.KindList, Elem: k}}
	}
	optional := func(p schema.Property) schema.Property {
		p.Optional = true
		return p
	}
	artist := scalar("artist", value.KindID)
	artist.Ref = "artist"
	genre := scalar("genre", value.KindString)
	genre.Default = value.String("a")
	return schema.NewModel("Album", "album", []schema.Property{
		scalar("name", value.KindString),
		optional(scalar("label", value.KindString)),
		genre,
		scalar("published", value.KindBool),
		scalar("year", value.KindInt32),
		optional(scalar("discs", value.KindInt32)),
		scalar("plays", value.KindInt64),
		scalar("rating", value.KindFloat64),
		optional(scalar("gain", value.KindFloat64)),
		scalar("cover", value.KindBytes),
		scalar("released", value.KindTime),
		optional(scalar("deleted_at", value.KindTime)),
		artist,
		optional(scalar("producer", value.KindID)),
		scalar("extra", value.KindJSON),
		list("tags", value.KindString),
		optional(list("charts", value.KindInt64)),
		list("levels", value.KindFloat64),
		// A field whose name is a keyword.
		scalar("order", value.KindInt64),
	}, schema.Index{Columns: []schema.Column{{Path: []string{"year"}, Desc: true}, {Path: []string{"name"}}}},
		schema.Index{Columns: []schema.Column{{Path: []string{"extra", "n"}}}},
		schema.Index{Columns: []schema.Column{{Path: []string{"artist"}}, {Path: []string{"rating"}}}})
}

// Row is an entity of given values.
type Row struct {
	EntityID id.ID
	Values   map[string]value.Value // by property key; absent ones are missing
}

// ID returns the entity's ID.
func (r *Row) ID() id.ID { return r.EntityID }

// Value returns the value under key, null when it is missing.
func (r *Row) Value(key string) value.Value { return r.Values[key] }

// RandomRow returns an entity of m: every property is sometimes missing, as it
// is of entities older than the property.
func RandomRow(r *rand.Rand, m *schema.Model) *Row {
	row := &Row{EntityID: RandomID(r, 1<<20), Values: map[string]value.Value{}}
	for _, p := range m.Properties {
		if r.IntN(8) == 0 {
			continue
		}
		if v := RandomValue(r, p); !v.IsNull() {
			row.Values[p.Key] = v
		}
	}
	return row
}

// RandomID returns one of n IDs.
func RandomID(r *rand.Rand, n int) id.ID {
	k := r.Uint64N(uint64(n))
	var hash [8]byte
	binary.BigEndian.PutUint64(hash[:], k*0x9E3779B97F4A7C15)
	return id.New(id.NewStamp(1_700_000_000_000+k%97, uint16(k)), hash)
}

var texts = []string{"", "a", "b", "ab", "aB", "abc", "Ork", "o_k", "50%", `\`, "9", "é", "É", "Ω", "k", "\u212A", "日本", "𝄞", "it's"}

var floats = []float64{-1.5, -1, 0, 0.5, 1, 2, 2.5, 9, 1e300, -1e300, math.MaxInt64, math.Inf(1), math.Inf(-1), math.NaN()}

var ints = []int64{-2, -1, 0, 1, 2, 3, 9, 1985, 2000}

var extremes = []int64{math.MinInt64, math.MaxInt64, math.MaxInt64 - 1, 1<<53 + 1, math.MaxInt32 + 1}

// RandomValue returns a value that p can have: null sometimes when p is
// optional.
func RandomValue(r *rand.Rand, p schema.Property) value.Value {
	if p.Optional && r.IntN(4) == 0 {
		return value.Null
	}
	if p.Enum != nil {
		return value.String(pick(r, p.Enum))
	}
	if p.Type.Kind == value.KindList {
		vs := []value.Value{}
		for range r.IntN(4) {
			vs = append(vs, randomScalar(r, p.Type.Elem))
		}
		return value.List(p.Type.Elem, vs)
	}
	return randomScalar(r, p.Type.Kind)
}

func randomScalar(r *rand.Rand, k value.Kind) value.Value {
	switch k {
	case value.KindString:
		return value.String(pick(r, texts))
	case value.KindBool:
		return value.Bool(r.IntN(2) == 0)
	case value.KindInt32:
		return value.Int32(int32(pick(r, ints)))
	case value.KindInt64:
		if r.IntN(10) == 0 {
			return value.Int64(pick(r, extremes))
		}
		return value.Int64(pick(r, ints))
	case value.KindFloat64:
		return value.Float64(pick(r, floats))
	case value.KindBytes:
		return value.Bytes([]byte(pick(r, []string{"", "\x00", "a", "a\x00", "ab", "\xFF"})))
	case value.KindTime:
		return value.Micros(pick(r, []int64{-1, 0, 1, 1_000_000, 946_684_800_000_000, 1_700_000_000_123_456}))
	case value.KindID:
		return value.ID(RandomID(r, 5))
	case value.KindJSON:
		return randomJSON(r)
	}
	return value.Null
}

// randomJSON returns an object mostly, whose keys hold values of several types
// each, as JSON of many authors does; else any other document.
func randomJSON(r *rand.Rand) value.Value {
	scalar := func() string {
		return pick(r, []string{"null", "true", "false", "9", "9.0", "2.5", "-1", `"9"`, `"a"`, `"ab"`, `""`, "9223372036854775807"})
	}
	list := func() string {
		vs := make([]string, r.IntN(4))
		for k := range vs {
			vs[k] = scalar()
		}
		return "[" + strings.Join(vs, ",") + "]"
	}
	var text string
	switch r.IntN(12) {
	case 0:
		text = pick(r, []string{"true", "9", "2.5", `"a"`, `""`})
	case 1:
		text = list()
	default:
		var members []string
		set := func(key, v string) {
			if r.IntN(3) > 0 {
				members = append(members, `"`+key+`":`+v)
			}
		}
		set("a.b", scalar())
		set("b", pick(r, []string{"true", "false", `"true"`}))
		set("deep", `{"n":`+scalar()+"}")
		set("in", scalar())
		set("list", list())
		set("n", pick(r, []string{"9", "9.0", "2.5", "-1", "0", `"9"`, "null"}))
		set("not", scalar())
		set("s", pick(r, []string{`""`, `"a"`, `"ab"`, `"9"`, `"é"`, "9"}))
		set("z", "null")
		text = "{" + strings.Join(members, ",") + "}"
	}
	v, err := value.ParseJSON(text)
	if err != nil {
		panic(err)
	}
	return v
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }
