package agg

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/internal/pb"
	"github.com/ankurah/ankurah-go/internal/protowire"
	"github.com/ankurah/ankurah-go/value"
)

// state is all that a group's results follow from.
type state struct {
	rows  int64
	cells []cell // one for each column
}

// cell is a column of a group.
type cell struct {
	n        int64 // rows in which there is a value
	sum      sum
	min, max value.Value // of those that another node says
}

func (s *state) merge(o *state) {
	s.rows += o.rows
	for k := range o.cells {
		c, x := &s.cells[k], &o.cells[k]
		c.n += x.n
		c.sum.merge(&x.sum)
		c.extend(x.min)
		c.extend(x.max)
	}
}

// extend lets a value be the least and the greatest.
func (c *cell) extend(v value.Value) {
	if v.IsNull() {
		return
	}
	if c.min.IsNull() || compare(v, c.min) < 0 {
		c.min = v
	}
	if c.max.IsNull() || compare(v, c.max) > 0 {
		c.max = v
	}
}

func (s *state) empty() bool {
	for k := range s.cells {
		c := &s.cells[k]
		if c.n != 0 || c.sum.n != 0 || c.sum.floats != 0 || c.sum.nan != 0 || c.sum.up != 0 || c.sum.down != 0 ||
			c.sum.ints != (int128{}) || c.sum.fixed != nil && *c.sum.fixed != (fixed{}) {
			return false
		}
	}
	return s.rows == 0
}

// canonical returns the value of a path in a row, so that equal values are
// identical: a number is of the declared type if that holds it, else an int64
// if it is whole, else a float64.
func canonical(x *ankql.Path, r ankql.Row) value.Value { return as(x.Type.Kind, x.Value(r)) }

func as(declared value.Kind, v value.Value) value.Value {
	if !v.Kind().Numeric() || v.Kind() == declared {
		return v
	}
	if f := v.Float(); v.Kind() == value.KindFloat64 {
		// The bounds are float64: the upper one is the least that no int64 is.
		if f != math.Trunc(f) || f < math.MinInt64 || f >= math.MaxInt64 {
			return v
		}
		v = value.Int64(int64(f))
	} else if declared == value.KindFloat64 && f < math.MaxInt64 && int64(f) == v.Int() {
		return value.Float64(f)
	}
	n := v.Int()
	if declared == value.KindInt32 && n == int64(int32(n)) {
		return value.Int32(int32(n))
	}
	return value.Int64(n)
}

// compare orders canonical values as ORDER BY does, and tells all apart that
// are not identical: lists of numbers of two types are equal otherwise.
func compare(a, b value.Value) int {
	c := value.Compare(a, b)
	if c == 0 && a.Kind() == value.KindList {
		c = int(a.Type().Elem) - int(b.Type().Elem)
	}
	return c
}

func identical(a, b value.Value) bool { return a.Type() == b.Type() && value.Equal(a, b) }

// appendKey appends what a map finds a group by.
func appendKey(b []byte, key []value.Value) []byte {
	for _, v := range key {
		b = binary.AppendUvarint(b, uint64(value.EncodedSize(v)))
		b = value.Append(b, v)
	}
	return b
}

var (
	errKey     = errors.New("the key of a group does not fit the selection")
	errColumns = errors.New("the columns of a group do not fit the selection")
)

// encode writes a state: rows (1), then a message for each column (2). What the
// selection does not ask for is left out.
func (t *Table) encode(s *state) []byte {
	b := pb.AppendUint64(nil, 1, uint64(s.rows))
	var body []byte
	for k := range t.columns {
		body = s.cells[k].append(body[:0], &t.columns[k])
		b = pb.AppendBytes(b, 2, body)
	}
	return b
}

// append writes a column: how many values (1), numbers (2), floats (3), NaN (4),
// +Inf (5), -Inf (6); the sum of integers as 128 bits (7), that of floats (8) in
// 64-bit limbs from limb (9) on, the least (10) and the greatest (11) value.
func (c *cell) append(b []byte, of *column) []byte {
	b = pb.AppendUint64(b, 1, uint64(c.n))
	if of.sum && c.sum.n > 0 {
		b = c.sum.append(b)
	}
	if of.min && c.n > 0 {
		b = pb.AppendBytes(b, 10, value.Append(nil, c.min))
	}
	if of.max && c.n > 0 {
		b = pb.AppendBytes(b, 11, value.Append(nil, c.max))
	}
	return b
}

func (s *sum) append(b []byte) []byte {
	b = pb.AppendUint64(b, 2, uint64(s.n))
	b = pb.AppendUint64(b, 3, uint64(s.floats))
	b = pb.AppendUint64(b, 4, uint64(s.nan))
	b = pb.AppendUint64(b, 5, uint64(s.up))
	b = pb.AppendUint64(b, 6, uint64(s.down))
	if s.ints != (int128{}) {
		var n [16]byte
		binary.LittleEndian.PutUint64(n[:], s.ints.lo)
		binary.LittleEndian.PutUint64(n[8:], uint64(s.ints.hi))
		b = pb.AppendBytes(b, 7, n[:])
	}
	if s.fixed == nil || *s.fixed == (fixed{}) {
		return b
	}
	from, part := s.fixed.trimmed()
	b = pb.AppendLength(b, 8, 8*len(part))
	for _, limb := range part {
		b = protowire.AppendFixed64(b, limb)
	}
	return pb.AppendUint64(b, 9, uint64(from))
}

// decode reads what encode wrote for the same selection.
func (t *Table) decode(b []byte) (*state, error) {
	s := &state{cells: make([]cell, 0, len(t.columns))}
	r := pb.NewReader("group", b)
	for r.Next() {
		switch r.Num {
		case 1:
			s.rows = count(r)
		case 2:
			r.Repeated()
			if body := r.Bytes(); len(s.cells) < len(t.columns) {
				s.cells = append(s.cells, decodeCell(r, body, t.columns[len(s.cells)].path.Type.Kind))
			} else {
				r.FailWith(errColumns)
			}
		default:
			r.Unknown()
		}
	}
	if r.Err() == nil && len(s.cells) != len(t.columns) {
		r.FailWith(errColumns)
	}
	return s, r.Err()
}

func decodeCell(outer *pb.Reader, body []byte, declared value.Kind) (c cell) {
	r := pb.NewReader("column", body)
	var limbs []byte
	from := int64(0)
	for r.Next() {
		switch r.Num {
		case 1:
			c.n = count(r)
		case 2:
			c.sum.n = count(r)
		case 3:
			c.sum.floats = count(r)
		case 4:
			c.sum.nan = count(r)
		case 5:
			c.sum.up = count(r)
		case 6:
			c.sum.down = count(r)
		case 7:
			var n [16]byte
			r.Fixed(n[:])
			c.sum.ints = int128{int64(binary.LittleEndian.Uint64(n[8:])), binary.LittleEndian.Uint64(n[:])}
		case 8:
			limbs = r.Bytes()
		case 9:
			from = count(r)
		case 10:
			c.min = as(declared, decodeValue(r))
		case 11:
			c.max = as(declared, decodeValue(r))
		default:
			r.Unknown()
		}
	}
	if limbs != nil {
		c.sum.fixed = &fixed{}
		if !c.sum.fixed.setBytes(from, limbs) {
			r.Fail("a sum beyond its bounds")
		}
	}
	if err := r.Err(); err != nil {
		outer.FailWith(err)
	}
	return c
}

// setBytes is set of limbs as bytes.
func (x *fixed) setBytes(from int64, b []byte) bool {
	if len(b)%8 != 0 || from > limbs || int(from)+len(b)/8 > limbs {
		return false
	}
	part := make([]uint64, len(b)/8)
	for k := range part {
		part[k] = binary.LittleEndian.Uint64(b[8*k:])
	}
	x.set(int(from), part)
	return true
}

func decodeValue(r *pb.Reader) value.Value {
	v, err := value.Decode(r.Bytes())
	if err != nil {
		r.FailWith(err)
	}
	return v
}

// count reads how many of something there are, far below what counting could
// overflow.
func count(r *pb.Reader) int64 {
	n := r.Uint64()
	if n > math.MaxInt64/4 {
		r.Fail("more than can be counted")
		return 0
	}
	return int64(n)
}
