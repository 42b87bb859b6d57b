package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/value"
)

// scalars are the types that --type names.
var scalars = map[string]value.Kind{
	"string": value.KindString, "bool": value.KindBool, "int32": value.KindInt32, "int64": value.KindInt64,
	"float64": value.KindFloat64, "bytes": value.KindBytes, "time": value.KindTime, "id": value.KindID,
}

// parseType reads a type: a scalar, json, or []scalar.
func parseType(name string) (value.Type, error) {
	if name == "json" {
		return value.Type{Kind: value.KindJSON}, nil
	}
	elem, list := strings.CutPrefix(name, "[]")
	kind, ok := scalars[elem]
	if !ok {
		names := slices.Sorted(maps.Keys(scalars))
		return value.Type{}, usage(fmt.Errorf("there is no type %q", name), "types are json, "+strings.Join(names, ", ")+", and lists of these such as []string")
	}
	if list {
		return value.Type{Kind: value.KindList, Elem: kind}, nil
	}
	return value.Type{Kind: kind}, nil
}

// mapping makes properties of the fields of rows.
type mapping struct {
	text   bool // all fields are text: CSV
	types  map[string]value.Type
	rename map[string]string
	skip   []string
}

// pairs reads flags such as lat=float64. A name is given once.
func pairs(flag string, texts []string) (map[string]string, error) {
	out := map[string]string{}
	for _, t := range texts {
		k, v, ok := strings.Cut(t, "=")
		if !ok || k == "" || v == "" {
			return nil, usage(fmt.Errorf("--%s %s", flag, t), "write --"+flag+" field=…")
		}
		if _, twice := out[k]; twice {
			return nil, usage(fmt.Errorf("--%s names %s twice", flag, k), "give it once")
		}
		out[k] = v
	}
	return out, nil
}

func newMapping(text bool, types, rename, skip []string) (*mapping, error) {
	m := &mapping{text: text, types: map[string]value.Type{}, skip: skip}
	named, err := pairs("type", types)
	if err != nil {
		return nil, err
	}
	for field, name := range named {
		if m.types[field], err = parseType(name); err != nil {
			return nil, err
		}
	}
	m.rename, err = pairs("rename", rename)
	return m, err
}

// fields returns the properties of a row. Errors name the row and the field.
func (m *mapping) fields(r row) (ankurah.Fields, error) {
	out := make(ankurah.Fields, len(r.keys))
	for k, field := range r.keys {
		if slices.Contains(m.skip, field) {
			continue
		}
		v, err := m.convert(field, r.values[k])
		if err != nil {
			return nil, badInput(fmt.Errorf("row %d, field %s: %w", r.number, plain(field), err), m.hint(field, err))
		}
		if v.IsNull() {
			continue
		}
		key := field
		if to, ok := m.rename[field]; ok {
			key = to
		}
		if _, twice := out[key]; twice {
			return nil, badInput(fmt.Errorf("row %d: two fields become %s", r.number, plain(key)), "choose another name with --rename, or leave one out with --skip")
		}
		out[key] = v
	}
	return out, nil
}

func (m *mapping) hint(field string, err error) string {
	if errors.Is(err, value.ErrType) {
		return "choose another --type " + field + "=…, or --skip " + field
	}
	return "correct it, or --skip " + field
}

// convert returns a field's value, null where there is none.
func (m *mapping) convert(field string, x any) (value.Value, error) {
	t, typed := m.types[field]
	if s, ok := x.(string); ok && m.text {
		switch {
		case !typed || t.Kind == value.KindString:
			return value.String(s), value.Validate(value.String(s))
		case s == "":
			return value.Null, nil
		case t.Kind == value.KindJSON || t.Kind == value.KindList:
			doc, err := value.ParseJSON(s)
			if err != nil {
				return value.Null, err
			}
			x = doc.GoValue()
		}
	}
	v, err := fromJSON(x)
	if err == nil && typed {
		if t.Kind == value.KindString && v.Kind() != value.KindString && !v.IsNull() {
			v = value.String(text(v.GoValue()))
		}
		v, err = value.Convert(v, t)
	}
	if err == nil {
		err = value.Validate(v)
	}
	return v, err
}

// fromJSON returns what encoding/json read as a value: integers that fit as
// such, lists of scalars of one kind as lists, the rest as JSON.
func fromJSON(x any) (value.Value, error) {
	x, err := numbers(x)
	if err != nil {
		return value.Null, err
	}
	return value.FromGo(x)
}

// numbers replaces the numbers in a JSON document by int64 and float64. A
// list that holds both holds float64.
func numbers(x any) (any, error) {
	var err error
	switch x := x.(type) {
	case json.Number:
		if n, err := strconv.ParseInt(string(x), 10, 64); err == nil {
			return n, nil
		}
		f, err := strconv.ParseFloat(string(x), 64)
		if err != nil {
			return nil, fmt.Errorf("the number %s is out of range", x)
		}
		return f, nil
	case []any:
		floats, only := false, true
		for k := range x {
			if x[k], err = numbers(x[k]); err != nil {
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
			if n, ok := x[k].(int64); ok && floats && only {
				x[k] = float64(n)
			}
		}
	case map[string]any:
		for k := range x {
			if x[k], err = numbers(x[k]); err != nil {
				return nil, err
			}
		}
	}
	return x, nil
}
