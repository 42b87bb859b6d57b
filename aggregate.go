package ankurah

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/internal/agg"
	"github.com/ankurah/ankurah-go/internal/core"
	"github.com/ankurah/ankurah-go/value"
)

// Group is one row of an aggregate selection's result: the values that the
// entities of a group have in common, then one for each aggregate. It is
// immutable. The zero Group has no columns.
type Group struct {
	columns []string
	g       ankql.Group
}

// Columns returns the names of the columns: the fields of GROUP BY, then the
// aggregates, as they are written in a query (artist, COUNT(*)). It must not be
// changed.
func (g Group) Columns() []string { return g.columns }

// Value returns a column by its place among the columns.
func (g Group) Value(k int) value.Value { return g.value(k) }

func (g Group) value(k int) value.Value {
	if k < len(g.g.Key) {
		return g.g.Key[k]
	}
	return g.g.Values[k-len(g.g.Key)]
}

// Get returns the column of a name as a Go value, and whether it has one: not
// where it is null or there is no such column. Counts are int64, averages
// float64, sums one of both; what is under GROUP BY, MIN and MAX is as
// [Record.Get] returns it.
func (g Group) Get(column string) (any, bool) {
	k := slices.Index(g.columns, column)
	if k < 0 {
		return nil, false
	}
	v := g.value(k)
	return v.GoValue(), !v.IsNull()
}

// Values returns all columns as Go values, nil where they are null.
func (g Group) Values() []any {
	out := make([]any, len(g.columns))
	for k := range out {
		out[k] = g.value(k).GoValue()
	}
	return out
}

// IsZero reports whether g is the zero Group.
func (g Group) IsZero() bool { return g.columns == nil }

// Equal reports whether both hold the same under the same columns.
func (g Group) Equal(o Group) bool {
	same := func(a, b value.Value) bool { return a.Type() == b.Type() && value.Equal(a, b) }
	return slices.Equal(g.columns, o.columns) && slices.EqualFunc(g.g.Key, o.g.Key, same) && slices.EqualFunc(g.g.Values, o.g.Values, same)
}

// ScanError says which column does not fit what it was to be copied to.
type ScanError struct {
	Column string
	Err    error
}

func (e *ScanError) Error() string { return "ankurah: " + e.Column + ": " + e.Err.Error() }
func (e *ScanError) Unwrap() error { return e.Err }

// Scan copies the columns, in their order, to what the pointers point to:
// string, bool, int, int32, int64, float64, []byte, time.Time, [ID], a [Ref],
// any, or a pointer to one of these, which becomes nil where a column is null. A
// nil in dst passes over a column. Numbers are converted where that loses
// nothing. The error is a [ScanError].
func (g Group) Scan(dst ...any) error {
	if len(dst) != len(g.columns) {
		return &ScanError{"a group of " + strconv.Itoa(len(g.columns)) + " columns", errors.New("there are " + strconv.Itoa(len(dst)) + " places to copy them to")}
	}
	for k, d := range dst {
		if d == nil {
			continue
		}
		if err := scan(g.value(k), d); err != nil {
			return &ScanError{g.columns[k], err}
		}
	}
	return nil
}

// kindOf returns the kind of value that a pointer points to.
func kindOf(dst any) (k value.Kind, ok bool) {
	switch dst.(type) {
	case *string:
		k = value.KindString
	case *bool:
		k = value.KindBool
	case *int32:
		k = value.KindInt32
	case *int, *int64:
		k = value.KindInt64
	case *float64:
		k = value.KindFloat64
	case *[]byte:
		k = value.KindBytes
	case *time.Time:
		k = value.KindTime
	case *ID, interface{ refer(ID) }:
		k = value.KindID
	}
	return k, k != value.KindNull
}

func scan(v value.Value, dst any) error {
	if d, ok := dst.(*any); ok {
		*d = v.GoValue()
		return nil
	}
	kind, ok := kindOf(dst)
	if !ok {
		return scanPointer(v, dst)
	}
	if v.IsNull() {
		return errors.New("it is null: scan it into a pointer to a pointer")
	}
	v, err := value.Convert(v, value.Type{Kind: kind})
	if err != nil {
		return err
	}
	switch d := dst.(type) {
	case *string:
		*d = v.Text()
	case *bool:
		*d = v.Bool()
	case *int32:
		*d = int32(v.Int())
	case *int:
		*d = int(v.Int())
	case *int64:
		*d = v.Int()
	case *float64:
		*d = v.Float()
	case *[]byte:
		*d = v.Bytes()
	case *time.Time:
		*d = v.Time()
	case *ID:
		*d = v.ID()
	case interface{ refer(ID) }:
		d.refer(v.ID())
	}
	return nil
}

// scanPointer fills a pointer to a pointer, with nil where v is null.
func scanPointer(v value.Value, dst any) error {
	p := reflect.ValueOf(dst)
	if p.Kind() != reflect.Pointer || p.IsNil() || p.Elem().Kind() != reflect.Pointer {
		return errors.New("a " + p.Type().String() + " is nothing that a column can be copied to")
	}
	if v.IsNull() {
		p.Elem().SetZero()
		return nil
	}
	to := reflect.New(p.Elem().Type().Elem())
	if err := scan(v, to.Interface()); err != nil {
		return err
	}
	p.Elem().Set(to)
	return nil
}

// Aggregate returns the result of an aggregate selection, such as
//
//	SELECT COUNT(*), SUM(plays), MAX(year) WHERE published GROUP BY artist ORDER BY COUNT(*) DESC LIMIT 10
//
// in its order: a [Group] for each group of the entities that the principal may
// read, or one altogether without GROUP BY. args stand for ? and :name in it.
// Package ankql has the language.
//
// It is one answer at one moment, as [Collection.Fetch] is. A connected
// ephemeral node asks the server, which sends groups and no entities; with edits
// that the server does not have it gets the entities and computes the groups
// itself.
func (c Collection[M, V, E]) Aggregate(ctx context.Context, r Reader, query string, args ...any) ([]Group, error) {
	rd := r.reader()
	a, err := c.bindAggregate(ctx, rd, query, args)
	if err != nil {
		return nil, err
	}
	groups, err := rd.aggregate(ctx, a)
	if err != nil {
		return nil, err
	}
	return groupsOf(a.Columns(), groups), nil
}

func groupsOf(columns []string, groups []ankql.Group) []Group {
	out := make([]Group, len(groups))
	for k := range groups {
		out[k] = Group{columns, groups[k]}
	}
	return out
}

func (c Collection[M, V, E]) bindAggregate(ctx context.Context, rd reader, query string, args []any) (*ankql.Aggregation, error) {
	if err := c.known(ctx, rd); err != nil {
		return nil, err
	}
	q, args, err := rd.n.parse(query, args)
	if err != nil {
		return nil, err
	}
	return ankql.BindAggregateAcross(q, rd.n.core.Model, c.Name(), args...)
}

func (rd reader) aggregate(ctx context.Context, a *ankql.Aggregation) ([]ankql.Group, error) {
	narrowed, allow, err := rd.n.core.NarrowAggregate(a, rd.p)
	if err != nil {
		return nil, err
	}
	if err := rd.n.principal(rd.p); err != nil {
		return nil, err
	}
	if err := rd.live(); err != nil {
		return nil, err
	}
	if groups, ok, err := rd.remoteGroups(ctx, narrowed); ok || err != nil {
		return groups, err
	}
	if !rd.remote() && rd.edits() == 0 {
		var groups []ankql.Group
		err := rd.n.reading(ctx, func(snap *core.Snap) error {
			t, err := core.Groups(ctx, snap, narrowed, allow)
			if err == nil {
				groups = t.Groups()
			}
			return err
		})
		return groups, err
	}
	var t *agg.Table
	rows := readRows(ctx, rd, a.Reading(), core.LinkedRows)
	if err := whole(rows, func() { t = agg.New(a) }, func(r ankql.Row) { t.Add(r) }); err != nil {
		return nil, err
	}
	return t.Groups(), nil
}

// live returns an error when the reader's transaction is over.
func (rd reader) live() error {
	if rd.tx == nil {
		return nil
	}
	return rd.tx.live()
}
