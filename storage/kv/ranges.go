package kv

import (
	"bytes"
	"slices"

	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/keyset"
	"github.com/ankurah/ankurah-go/value"
)

// keyRange is the keys from lo (included) to hi (excluded).
type keyRange struct{ lo, hi []byte }

// stream is a sequence of ranges that give entries in one order: ascending by
// key, or the reverse of it.
type stream struct {
	prefix []byte // what all keys begin with
	ranges []keyRange
}

// streams returns what an access through an index reads. The first columns,
// prefix of them, hold one value in each stream.
func (a *access) streams(prefix int) []stream {
	out := []stream{{prefix: a.index.prefix}}
	for k := range prefix {
		next := make([]stream, 0, len(out)*len(a.sets[k].Intervals))
		for _, s := range out {
			for _, i := range a.intervals(k) {
				next = append(next, stream{prefix: slices.Concat(s.prefix, i.Point)})
			}
		}
		out = next
	}
	for k := range out {
		out[k].ranges = a.ranges(nil, out[k].prefix, prefix)
	}
	return out
}

// ranges appends the ranges of the entries below prefix that the sets of the
// columns from k on allow, in ascending order.
func (a *access) ranges(out []keyRange, prefix []byte, k int) []keyRange {
	if k >= len(a.sets) {
		return append(out, keyRange{prefix, keyset.Successor(bytes.Clone(prefix))})
	}
	for _, i := range a.intervals(k) {
		if k < a.equal {
			out = a.ranges(out, slices.Concat(prefix, i.Point), k+1)
			continue
		}
		r := keyRange{lo: slices.Concat(prefix, i.Lo)}
		if i.Hi == nil {
			r.hi = keyset.Successor(bytes.Clone(prefix))
		} else {
			r.hi = slices.Concat(prefix, i.Hi)
		}
		out = append(out, r)
	}
	return out
}

// intervals returns the intervals of column k as they stand in the index.
func (a *access) intervals(k int) []keyset.Interval {
	in := a.sets[k].Intervals
	if a.index == nil || !a.index.columns[k].desc {
		return in
	}
	out := make([]keyset.Interval, 0, len(in))
	for _, i := range slices.Backward(in) {
		out = append(out, i.Descending())
	}
	return out
}

// seek moves the bounds of a stream to where the selection's cursor stands, as
// far as keys tell; what it leaves out is before the cursor in the selection's
// order. Read backwards, entries of one sort key come by ID all the same: then
// it returns the sort key of those that are level with the cursor, if their
// IDs alone tell which of them are behind it, else nil.
func (p *planner) seek(a *access, s *stream, prefix int) (level []byte) {
	for k := range p.sel.Order {
		if !slices.Contains(p.terms, k) && (p.byID < 0 || k < p.byID) && !p.sameConstant(k) {
			return nil
		}
	}
	c, o := p.sel.After, a.order
	at := bytes.Clone(s.prefix)
	whole := p.byID < 0
	next := 0 // of o.columns
	for k := prefix; k < len(a.index.columns); k++ {
		col := &a.index.columns[k]
		if next == len(o.columns) || k != o.columns[next] {
			key := p.set(col.path).Constant()
			if key == nil {
				whole = false
				break
			}
			if col.desc {
				key = keyset.Complement(key)
			}
			at = append(at, key...)
			continue
		}
		t, v := &p.sel.Order[o.terms[next]], c.Key[o.terms[next]]
		next++
		if v.IsNull() && t.NullsFirst != t.Desc {
			whole = false
			break
		}
		at = value.AppendKey(at, v, col.desc)
		if !value.KeyExact(v) {
			whole = false
			break
		}
	}
	s.clip(at, o.reverse)
	if whole && !o.reverse {
		s.clip(append(slices.Concat(at, c.ID[:]), 0), false)
	}
	if whole && o.reverse {
		return at
	}
	return nil
}

// sameConstant reports whether the cursor holds, for ORDER BY term k, the
// value that all entities have that match.
func (p *planner) sameConstant(k int) bool {
	v := p.sel.After.Key[k]
	return value.KeyExact(v) && bytes.Equal(value.AppendKey(nil, v, false), p.set(p.sel.Order[k].Path).Constant())
}

// clip drops what is before the keys that begin with at, in the direction of
// reading.
func (s *stream) clip(at []byte, reverse bool) {
	end := keyset.Successor(bytes.Clone(at))
	s.ranges = slices.DeleteFunc(s.ranges, func(r keyRange) bool {
		if reverse {
			return bytes.Compare(r.lo, end) >= 0
		}
		return bytes.Compare(r.hi, at) <= 0
	})
	for k := range s.ranges {
		r := &s.ranges[k]
		if reverse && bytes.Compare(r.hi, end) > 0 {
			r.hi = end
		}
		if !reverse && bytes.Compare(r.lo, at) < 0 {
			r.lo = at
		}
	}
}

// idRanges returns the ranges of the states of a collection that an access by
// ID reads, in ascending order.
func (a *access) idRanges(prefix []byte) []keyRange {
	if len(a.sets) == 0 {
		return []keyRange{{prefix, keyset.Successor(bytes.Clone(prefix))}}
	}
	var out []keyRange
	for _, i := range a.sets[0].Intervals {
		lo := idBound(i.Lo)
		if lo == nil {
			continue
		}
		r := keyRange{slices.Concat(prefix, lo), keyset.Successor(bytes.Clone(prefix))}
		if i.Hi == nil {
			out = append(out, r)
			continue
		}
		if hi := idBound(i.Hi); hi != nil {
			r.hi = slices.Concat(prefix, hi)
		}
		out = append(out, r)
	}
	return out
}

// idClass is the first byte of the key of an ID.
var idClass = value.AppendKey(nil, value.ID(id.ID{}), false)[0]

// idBound turns a position among the keys of values into one among IDs; nil is
// the end.
func idBound(pos []byte) []byte {
	switch {
	case len(pos) == 0 || pos[0] < idClass:
		return []byte{}
	case pos[0] > idClass:
		return nil
	}
	return pos[1:]
}
