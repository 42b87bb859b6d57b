// Package schema describes models: the properties and indexes of a collection,
// and when two descriptions of one collection are compatible.
//
// A [Model] comes from generated code, from a node's catalog, or from what a
// node learned of operations it applied. Models are immutable once built.
package schema

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/ankurah/ankurah-go/internal/sorting"
	"github.com/ankurah/ankurah-go/value"
)

// LWW is the name of the register property kind, the default.
const LWW = "lww"

// ErrIncompatible is wrapped by every error of [Merge].
var ErrIncompatible = errors.New("incompatible schema")

// Property is one stored property of a model.
type Property struct {
	Key      string      // name in storage, in AnkQL and in SQL: snake_case
	Name     string      // name in Go; empty when only learned
	Type     value.Type  // type of its values
	Kind     string      // property kind, [LWW] by default
	Ref      string      // for references: the collection referred to, "" when unknown
	Optional bool        // a pointer field: may be null
	Default  value.Value // read where the property is missing; null when none is declared
	Enum     []string    // allowed texts, nil for any
}

// Column is one column of an index.
type Column struct {
	Path []string // a property key, then keys into its JSON
	Desc bool
}

// Index is a secondary index. Its entries are ordered by the columns, then by
// entity ID ascending.
type Index struct {
	Columns []Column
}

// Name returns the index's identity within its collection, such as
// "year desc,name" or "extra.\"a.b\"". Two indexes with one name are the same.
func (x Index) Name() string {
	var b strings.Builder
	for k, c := range x.Columns {
		if k > 0 {
			b.WriteByte(',')
		}
		for j, p := range c.Path {
			if j > 0 {
				b.WriteByte('.')
			}
			if plain(p) {
				b.WriteString(p)
			} else {
				b.WriteString(strconv.Quote(p))
			}
		}
		if c.Desc {
			b.WriteString(" desc")
		}
	}
	return b.String()
}

func plain(s string) bool {
	for k := range len(s) {
		c := s[k]
		if !(c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || k > 0 && '0' <= c && c <= '9') {
			return false
		}
	}
	return s != ""
}

// Model describes a collection.
type Model struct {
	Name       string     // Go name, empty when only learned
	Collection string     // collection name: snake_case
	Properties []Property // sorted by Key, unique
	Indexes    []Index
}

// NewModel returns a model with its properties sorted.
func NewModel(name, collection string, props []Property, indexes ...Index) *Model {
	props = slices.Clone(props)
	for k := range props {
		if props[k].Kind == "" {
			props[k].Kind = LWW
		}
	}
	sorting.Sort(props, func(a, b Property) int { return strings.Compare(a.Key, b.Key) })
	return &Model{Name: name, Collection: collection, Properties: props, Indexes: indexes}
}

// Property returns the property stored under key, nil when there is none. It
// works on a nil model, which knows no property.
func (m *Model) Property(key string) *Property {
	if m == nil {
		return nil
	}
	k, ok := slices.BinarySearchFunc(m.Properties, key, func(p Property, key string) int { return strings.Compare(p.Key, key) })
	if !ok {
		return nil
	}
	return &m.Properties[k]
}

// Compatible reports whether values of the stored type old can be read as the
// type now: equal types, wider numbers, and anything into the same list.
func Compatible(old, now value.Type) bool {
	if old == now {
		return true
	}
	widens := func(a, b value.Kind) bool {
		return a == value.KindInt32 && (b == value.KindInt64 || b == value.KindFloat64) || a == b
	}
	if old.Kind == value.KindList && now.Kind == value.KindList {
		return old.Elem == value.KindNull || widens(old.Elem, now.Elem)
	}
	return widens(old.Kind, now.Kind)
}

// Merge returns the model that holds what known and declared say, declared
// winning where both are compatible. A property whose stored type cannot be
// read as the declared one is an [ErrIncompatible] that names it.
func Merge(known, declared *Model) (*Model, error) {
	if known == nil {
		return declared, nil
	}
	out := &Model{Name: declared.Name, Collection: declared.Collection, Properties: slices.Clone(declared.Properties), Indexes: slices.Clone(declared.Indexes)}
	if out.Name == "" {
		out.Name = known.Name
	}
	for _, old := range known.Properties {
		now := declared.Property(old.Key)
		if now == nil {
			out.Properties = append(out.Properties, old)
			continue
		}
		if !Compatible(old.Type, now.Type) || old.Kind != now.Kind {
			return nil, &incompatibleError{declared.Collection, old, *now}
		}
	}
	sorting.Sort(out.Properties, func(a, b Property) int { return strings.Compare(a.Key, b.Key) })
	for _, x := range known.Indexes {
		if !slices.ContainsFunc(out.Indexes, func(y Index) bool { return y.Name() == x.Name() }) {
			out.Indexes = append(out.Indexes, x)
		}
	}
	return out, nil
}

type incompatibleError struct {
	collection string
	old, now   Property
}

func (e *incompatibleError) Error() string {
	describe := func(p Property) string {
		if p.Kind != LWW {
			return p.Type.String() + " (" + p.Kind + ")"
		}
		return p.Type.String()
	}
	return "ankurah: collection " + e.collection + " stores " + e.old.Key + " as " + describe(e.old) +
		", the model declares it as " + describe(e.now) + ": give the field another key with the tag `ankurah:\"" + e.old.Key + "_2\"`, or keep the stored type"
}
func (e *incompatibleError) Unwrap() error { return ErrIncompatible }
