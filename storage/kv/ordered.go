package kv

import (
	"bytes"
	"slices"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/keyset"
	"github.com/ankurah/ankurah-go/internal/sorting"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/value"
)

// manyEqual is the number of entries of one sort key from which those that
// are read backwards are read again forwards, rather than being collected.
const manyEqual = 64

// newOrderedSource reads the entries of an index in the selection's order.
func newOrderedSource(r *run, a *access) source {
	prefix := a.order.prefix(a)
	var sources []source
	for _, s := range a.streams(prefix) {
		o := &orderedSource{r: r, a: a, prefix: prefix, natural: r.plan.natural(a.order)}
		if r.sel.After != nil {
			o.level = r.plan.seek(a, &s, prefix)
		}
		o.ranges = s.ranges
		if a.order.reverse {
			slices.Reverse(o.ranges)
		}
		sources = append(sources, o)
	}
	if len(sources) == 1 {
		return sources[0]
	}
	return &mergeSource{r: r, sources: sources}
}

// orderedSource reads the entities of one stream of entries. Entries come by
// sort key, in the direction of reading; those of one sort key, a group, are
// put in the order of their IDs. Where a key holds only the beginning of a
// long text the order within its group is found by looking at the entities.
type orderedSource struct {
	r       *run
	a       *access
	prefix  int        // columns that hold one value in the stream
	natural bool       // groups are in the right order as they are
	ranges  []keyRange // to be read, in the direction of reading
	level   []byte     // sort key of the selection's cursor, nil when not known

	c       *cursor
	current keyRange
	pending []byte // an entry that was read and not used

	forward *cursor         // within a group, when it is read again
	ids     []id.ID         // of a group, in order
	states  []*entity.State // of a group, in order

	group []byte  // sort key of the last group of several
	buf   []id.ID // the array of ids
}

func (o *orderedSource) next() (*entity.State, error) {
	for {
		if len(o.states) > 0 {
			st := o.states[0]
			o.states = o.states[1:]
			return st, nil
		}
		i, ok, err := o.nextID()
		if err == nil && !ok {
			if ok, err = o.nextGroup(); ok && err == nil {
				continue
			}
		}
		if !ok || err != nil {
			return nil, err
		}
		if st, err := o.r.fetch(i); st != nil || err != nil {
			return st, err
		}
	}
}

// nextID returns the next ID of the group that was begun, false behind the
// last one.
func (o *orderedSource) nextID() (id.ID, bool, error) {
	if len(o.ids) > 0 {
		i := o.ids[0]
		o.ids = o.ids[1:]
		return i, true, nil
	}
	if o.forward == nil {
		return id.ID{}, false, nil
	}
	if o.forward.next() {
		o.r.examined++
		i, err := entityOf(o.forward.key(), len(o.a.index.prefix))
		return i, err == nil, o.damaged(err)
	}
	err := o.forward.err
	o.forward = nil
	return id.ID{}, false, err
}

// nextGroup begins the next group and reports whether there is one. A group in
// natural order is taken apart into groups of one entry.
func (o *orderedSource) nextGroup() (bool, error) {
	key, err := o.entry()
	if key == nil || err != nil {
		return false, err
	}
	n, truncated, err := o.sortKey(key)
	if err != nil {
		return false, o.damaged(err)
	}
	o.ids = append(o.buf[:0], id.ID(key[len(key)-id.Size:]))
	if o.natural && !truncated {
		o.buf = o.ids
		return true, nil
	}
	o.group = append(o.group[:0], key[:n]...)
	for {
		if key, err = o.entry(); err != nil {
			return false, err
		}
		if key == nil || !bytes.HasPrefix(key, o.group) {
			o.pending = key
			break
		}
		if len(key) < n+id.Size {
			return false, o.damaged(errKey)
		}
		o.ids = append(o.ids, id.ID(key[len(key)-id.Size:]))
		if len(o.ids) == manyEqual && !truncated && !o.a.order.trailing && o.a.order.reverse {
			o.ids = nil
			o.again(bytes.Clone(o.group))
			return true, nil
		}
	}
	o.buf = o.ids
	if truncated {
		return true, o.sortGroup()
	}
	sorting.Sort(o.ids, id.ID.Compare)
	if o.r.plan.idDesc {
		slices.Reverse(o.ids)
	}
	return true, nil
}

// again reads a group forwards, and behind it goes on before it.
func (o *orderedSource) again(group []byte) {
	lo := group
	if bytes.Equal(group, o.level) { // what is not behind the cursor need not be read
		lo = append(slices.Concat(group, o.r.sel.After.ID[:]), 0)
	}
	o.c.close()
	o.c, o.pending = nil, nil
	if bytes.Compare(o.current.lo, group) < 0 {
		o.ranges = slices.Insert(o.ranges, 0, keyRange{o.current.lo, group})
	}
	o.forward = o.r.s.open(o.r.ctx, lo, keyset.Successor(bytes.Clone(group)), false)
}

// sortGroup orders the group by what its entities hold.
func (o *orderedSource) sortGroup() error {
	s := sorter{sel: o.r.sel, limit: o.r.sel.Limit}
	for _, i := range o.ids {
		st, err := o.r.fetch(i)
		if err != nil {
			return err
		}
		if st != nil {
			s.add(st)
		}
	}
	o.ids, o.states = nil, s.sorted()
	return nil
}

// entry returns the key of the next entry, nil at the end. It is valid until
// the next call.
func (o *orderedSource) entry() ([]byte, error) {
	if key := o.pending; key != nil {
		o.pending = nil
		return key, nil
	}
	for {
		if o.c != nil && o.c.next() {
			o.r.examined++
			return o.c.key(), nil
		}
		if o.c != nil && o.c.err != nil {
			return nil, o.c.err
		}
		if len(o.ranges) == 0 {
			return nil, nil
		}
		o.current, o.ranges = o.ranges[0], o.ranges[1:]
		o.c = o.r.s.open(o.r.ctx, o.current.lo, o.current.hi, o.a.order.reverse)
	}
}

// sortKey returns how much of an entry's key tells its place in the order: up
// to the last column that the selection orders by, or to the first of these
// that holds a truncated key, which it reports.
func (o *orderedSource) sortKey(key []byte) (n int, truncated bool, err error) {
	columns := o.a.order.columns
	end := o.prefix
	if len(columns) > 0 {
		end = columns[len(columns)-1] + 1
	}
	rest := key[len(o.a.index.prefix):]
	for k := 0; k < end && !truncated; k++ {
		desc := o.a.index.columns[k].desc
		behind, err := value.SkipKey(rest, desc)
		if err != nil {
			return 0, false, err
		}
		truncated = slices.Contains(columns, k) && value.KeyTruncated(rest, desc)
		rest = behind
	}
	if len(rest) < id.Size {
		return 0, false, errKey
	}
	return len(key) - len(rest), truncated, nil
}

func (o *orderedSource) damaged(err error) error {
	if err == nil {
		return nil
	}
	return &storage.CorruptError{What: "index " + o.a.index.name + " of " + o.r.sel.Collection, Err: err}
}

func (o *orderedSource) close() {
	if o.c != nil {
		o.c.close()
	}
	if o.forward != nil {
		o.forward.close()
	}
}

// mergeSource merges sources that are each in the selection's order.
type mergeSource struct {
	r       *run
	sources []source
	heads   []*entity.State // the next of each source
	begun   bool
}

func (m *mergeSource) next() (*entity.State, error) {
	if !m.begun {
		m.begun = true
		m.heads = make([]*entity.State, len(m.sources))
		for k := range m.sources {
			if err := m.advance(k); err != nil {
				return nil, err
			}
		}
	}
	first := -1
	for k, st := range m.heads {
		if st != nil && (first < 0 || m.r.sel.Compare(st, m.heads[first]) < 0) {
			first = k
		}
	}
	if first < 0 {
		return nil, nil
	}
	st := m.heads[first]
	return st, m.advance(first)
}

func (m *mergeSource) advance(k int) (err error) {
	m.heads[k], err = m.sources[k].next()
	return err
}

func (m *mergeSource) close() {
	for _, s := range m.sources {
		s.close()
	}
}
