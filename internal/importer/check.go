package importer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/value"
)

// checked is what a look at a whole source found.
type checked struct {
	rows  int
	whole bool // there are no more rows than these
	types map[string]value.Type
}

// column is what is known about a property while the rows are checked.
type column struct {
	typ   value.Type
	fixed bool   // by the collection: it has the property
	wide  *Error // the first whole number that no float64 holds
}

// check reads the source up to the limit and finds its rows and the type of
// each property: what the collection has, else what all rows fit. A source
// that cannot be imported fails here, before anything is stored.
func check(ctx context.Context, src *Source, o *Options, model *schema.Model) (*checked, error) {
	out := &checked{whole: true, types: map[string]value.Type{}}
	columns := map[string]*column{}
	named := o.named()
	for p, err := range src.each(ctx, o, 0) {
		if o.Limit > 0 && out.rows == o.Limit {
			out.whole = false
			break
		}
		if err != nil {
			return nil, err
		}
		at := p.number
		if len(named) > 0 {
			for _, field := range p.keys {
				delete(named, field)
			}
		}
		for _, p := range p.properties {
			c := columns[p.key]
			if c == nil {
				if c, err = newColumn(p.key, model); err != nil {
					return nil, &Error{BadName, at, p.field, err}
				}
				if want, ok := o.Types[p.field]; ok && c.fixed && want != c.typ {
					return nil, &Error{OtherType, 0, p.field, fmt.Errorf("it should be %s, and the collection stores %s there", want, c.typ)}
				}
				columns[p.key] = c
			}
			if err := c.add(p.v, at, p.field); err != nil {
				return nil, err
			}
		}
		out.rows = at
		if at%progressRows == 0 {
			o.report(Progress{Read: p.at, Rows: at})
		}
	}
	if len(named) > 0 && out.whole && out.rows > 0 {
		return nil, &Error{Reason: NoField, Field: slices.Min(slices.Collect(maps.Keys(named))), Err: errors.New("no row has it")}
	}
	for _, key := range slices.Sorted(maps.Keys(columns)) {
		c := columns[key]
		if c.wide != nil && (c.typ.Kind == value.KindFloat64 || c.typ.Elem == value.KindFloat64) {
			return nil, c.wide
		}
		if c.typ.Kind == value.KindList && c.typ.Elem == value.KindNull {
			c.typ.Elem = value.KindString // all of them are empty
		}
		out.types[key] = c.typ
	}
	return out, nil
}

// progressRows is how many rows are checked between reports.
const progressRows = 1000

// named returns the fields that the options name.
func (o *Options) named() map[string]bool {
	out := map[string]bool{}
	for field := range o.Types {
		out[field] = true
	}
	for field := range o.Rename {
		out[field] = true
	}
	for _, field := range o.Skip {
		out[field] = true
	}
	return out
}

func newColumn(key string, model *schema.Model) (*column, error) {
	if err := CheckName(key); err != nil {
		return nil, err
	}
	c := &column{}
	if p := model.Property(key); p != nil {
		c.typ, c.fixed = p.Type, true
	}
	return c, nil
}

// add makes the column hold one more value.
func (c *column) add(v value.Value, row int, field string) error {
	if c.fixed {
		if _, err := value.Convert(v, c.typ); err != nil {
			return &Error{Unfit, row, field, fmt.Errorf("%w: the collection stores %s there", err, c.typ)}
		}
		return nil
	}
	t := v.Type()
	if c.typ.Kind == value.KindNull {
		c.typ = t
	}
	if c.typ != t {
		c.typ = unify(c.typ, t)
	}
	if c.wide == nil && (t.Kind == value.KindInt64 || t.Elem == value.KindInt64) {
		float := value.Type{Kind: value.KindFloat64}
		if t.Kind == value.KindList {
			float = value.Type{Kind: value.KindList, Elem: value.KindFloat64}
		}
		if _, err := value.Convert(v, float); err != nil {
			c.wide = &Error{BadValue, row, field, err}
		}
	}
	return nil
}
