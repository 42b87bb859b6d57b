package importer

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/value"
)

// scalars are the types that have a name of their own.
var scalars = map[string]value.Kind{
	"string": value.KindString, "bool": value.KindBool, "int32": value.KindInt32, "int64": value.KindInt64,
	"float64": value.KindFloat64, "bytes": value.KindBytes, "time": value.KindTime, "id": value.KindID,
}

// ParseType reads a type: a scalar, json, or a list such as []string.
func ParseType(name string) (value.Type, error) {
	if name == "json" {
		return value.Type{Kind: value.KindJSON}, nil
	}
	elem, list := strings.CutPrefix(name, "[]")
	kind, ok := scalars[elem]
	if !ok {
		names := strings.Join(slices.Sorted(maps.Keys(scalars)), ", ")
		return value.Type{}, fmt.Errorf("there is no type %q: types are json, %s, and lists of these such as []string", name, names)
	}
	if list {
		return value.Type{Kind: value.KindList, Elem: kind}, nil
	}
	return value.Type{Kind: kind}, nil
}

// CheckName says whether a property of an entity can have a name.
func CheckName(name string) error {
	switch {
	case name == "":
		return errors.New("it has no name")
	case name == "id" || name[0] == '_':
		return errors.New("the name is reserved")
	case len(name) > event.MaxName:
		return fmt.Errorf("the name is longer than %d bytes", event.MaxName)
	}
	return nil
}

// property is a field as it is stored.
type property struct {
	field, key string
	v          value.Value // not null
}

// properties appends those of a row to ps.
func (o *Options) properties(ps []property, r row, texts bool) ([]property, error) {
	for k, field := range r.keys {
		if slices.Contains(o.Skip, field) {
			continue
		}
		v, err := o.convert(field, r.values[k], texts)
		if err != nil {
			return nil, &Error{BadValue, r.number, field, err}
		}
		if v.IsNull() {
			continue
		}
		p := property{field, field, v}
		if to, ok := o.Rename[field]; ok {
			p.key = to
		}
		if len(o.Rename) > 0 && slices.ContainsFunc(ps, func(other property) bool { return other.key == p.key }) {
			return nil, &Error{TwoFields, r.number, field, fmt.Errorf("two fields become %s", p.key)}
		}
		ps = append(ps, p)
	}
	return ps, nil
}

// convert returns a field's value, null where there is none. With texts, a
// text in the source can stand for any type: it is CSV.
func (o *Options) convert(field string, x any, texts bool) (v value.Value, err error) {
	t, typed := o.Types[field]
	if s, ok := x.(string); ok && texts {
		switch {
		case !typed || t.Kind == value.KindString:
			return value.String(s), value.Validate(value.String(s))
		case strings.TrimSpace(s) == "":
			return value.Null, nil
		case t.Kind == value.KindJSON || t.Kind == value.KindList:
			if v, err = value.ParseJSON(s); err != nil {
				return value.Null, err
			}
			return value.Convert(v, t)
		}
	}
	if n, ok := x.(json.Number); ok && typed && (t.Kind == value.KindString || t.Kind.Numeric()) {
		v = value.String(string(n)) // as it is written: the type decides what is kept
	} else if v, err = FromJSON(x); err != nil {
		return value.Null, err
	}
	if typed {
		if t.Kind == value.KindString {
			v = asText(v)
		}
		if v, err = value.Convert(v, t); err != nil {
			return value.Null, err
		}
	}
	return v, value.Validate(v)
}

// asText returns a value that has one spelling as text.
func asText(v value.Value) value.Value {
	switch v.Kind() {
	case value.KindBool:
		return value.String(strconv.FormatBool(v.Bool()))
	case value.KindJSON, value.KindList:
		if doc, err := value.Convert(v, value.Type{Kind: value.KindJSON}); err == nil {
			return value.String(doc.Text())
		}
	}
	return v
}

// FromJSON returns what encoding/json read, with its numbers as json.Number,
// as a value: whole numbers as such, lists of scalars of one kind as lists, the
// rest as JSON. A whole number that int64 does not hold is refused rather than
// rounded, except within a document, where numbers are what JSON says. What x
// holds is overwritten.
func FromJSON(x any) (value.Value, error) {
	x, err := numbers(x, true)
	if err != nil {
		return value.Null, err
	}
	return value.FromGo(x)
}

// numbers replaces the numbers in a JSON document by int64 and float64. A
// list that holds both holds float64.
func numbers(x any, exact bool) (any, error) {
	var err error
	switch x := x.(type) {
	case json.Number:
		return number(string(x), exact)
	case []any:
		floats, only := false, true
		for k := range x {
			if x[k], err = numbers(x[k], exact); err != nil {
				return nil, err
			}
			switch x[k].(type) {
			case float64:
				floats = true
			case int64:
			default:
				only = false
			}
		}
		for k := range x {
			n, whole := x[k].(int64)
			if !whole || !floats || !only {
				continue
			}
			f, err := value.Convert(value.Int64(n), value.Type{Kind: value.KindFloat64})
			if err != nil {
				return nil, err
			}
			x[k] = f.Float()
		}
	case map[string]any:
		for k := range x {
			if x[k], err = numbers(x[k], false); err != nil {
				return nil, err
			}
		}
	}
	return x, nil
}

func number(s string, exact bool) (any, error) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, nil
	}
	if exact && !strings.ContainsAny(s, ".eE") {
		_, err := value.Convert(value.String(s), value.Type{Kind: value.KindInt64})
		return nil, err
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return nil, fmt.Errorf("the number %s is out of range", s)
	}
	return f, nil
}

// unify returns the type that the values of both types have in common: the
// wider number, the list whose elements are known, else JSON.
func unify(a, b value.Type) value.Type {
	lists := a.Kind == value.KindList && b.Kind == value.KindList
	switch {
	case a == b:
		return a
	case a.Kind.Numeric() && b.Kind.Numeric():
		return value.Type{Kind: max(a.Kind, b.Kind)}
	case lists && a.Elem == value.KindNull:
		return b
	case lists && b.Elem == value.KindNull:
		return a
	case lists && a.Elem.Numeric() && b.Elem.Numeric():
		return value.Type{Kind: value.KindList, Elem: max(a.Elem, b.Elem)}
	}
	return value.Type{Kind: value.KindJSON}
}
