package kv

import (
	"slices"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/sorting"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/value"
)

// points returns the IDs that an access by ID is bound to.
func (a *access) points() []id.ID {
	var ids []id.ID
	for _, i := range a.sets[0].Intervals {
		if b := idBound(i.Point); len(b) == id.Size {
			ids = append(ids, id.ID(b))
		}
	}
	return ids
}

// pointSource reads entities by their IDs, which ascend.
type pointSource struct {
	r       *run
	ids     []id.ID
	reverse bool
}

func (p *pointSource) next() (*entity.State, error) {
	for len(p.ids) > 0 {
		var i id.ID
		if last := len(p.ids) - 1; p.reverse {
			i, p.ids = p.ids[last], p.ids[:last]
		} else {
			i, p.ids = p.ids[0], p.ids[1:]
		}
		p.r.examined++
		st, err := p.r.s.State(p.r.ctx, p.r.sel.Collection, i)
		if err != nil {
			return nil, err
		}
		if st != nil && p.r.match(st) {
			return st, nil
		}
	}
	return nil, nil
}

func (p *pointSource) close() {}

// rangeSource reads ranges of a collection's states by ID.
type rangeSource struct {
	r       *run
	ranges  []keyRange // in the direction of reading
	reverse bool
	c       *cursor
}

func newRangeSource(r *run, a *access) *rangeSource {
	s := &rangeSource{r: r, ranges: a.idRanges(r.prefix)}
	if a.order == nil {
		return s
	}
	s.reverse = a.order.reverse
	if at, ok := r.plan.seekID(); ok {
		st := stream{ranges: s.ranges}
		st.clip(slices.Concat(r.prefix, at[:]), s.reverse)
		s.ranges = st.ranges
	}
	if s.reverse {
		slices.Reverse(s.ranges)
	}
	return s
}

// seekID returns the ID at which the selection's cursor stands in an order by
// ID; false when there is none.
func (p *planner) seekID() (id.ID, bool) {
	c := p.sel.After
	if c == nil {
		return id.ID{}, false
	}
	for k := range p.sel.Order {
		if k == p.byID {
			b := idBound(value.AppendKey(nil, c.Key[k], false))
			if len(b) != id.Size {
				return id.ID{}, false
			}
			return id.ID(b), true
		}
		if !p.sameConstant(k) {
			return id.ID{}, false
		}
	}
	return c.ID, true
}

func (s *rangeSource) next() (*entity.State, error) {
	for {
		for s.c != nil && s.c.next() {
			s.r.examined++
			st, err := stateAt(s.r.sel.Collection, s.c.key(), len(s.r.prefix), s.c.value())
			if err != nil {
				return nil, err
			}
			if s.r.match(st) {
				return st, nil
			}
		}
		if s.c != nil && s.c.err != nil {
			return nil, s.c.err
		}
		if len(s.ranges) == 0 {
			return nil, nil
		}
		s.c = s.r.s.open(s.r.ctx, s.ranges[0].lo, s.ranges[0].hi, s.reverse)
		s.ranges = s.ranges[1:]
	}
}

func (s *rangeSource) close() {
	if s.c != nil {
		s.c.close()
	}
}

// gatherSource collects the IDs that the accesses of a plan reach, sorts them
// and reads each entity once, in the order of their IDs.
type gatherSource struct {
	r    *run
	ids  []id.ID
	done bool // gathering
}

func (g *gatherSource) next() (*entity.State, error) {
	if !g.done {
		if err := g.gather(); err != nil {
			return nil, err
		}
		g.done = true
	}
	for len(g.ids) > 0 {
		i := g.ids[0]
		g.ids = g.ids[1:]
		if st, err := g.r.fetch(i); st != nil || err != nil {
			return st, err
		}
	}
	return nil, nil
}

func (g *gatherSource) close() {}

func (g *gatherSource) gather() error {
	for _, a := range g.r.plan.access {
		if err := g.collect(a); err != nil {
			return err
		}
	}
	sorting.Sort(g.ids, id.ID.Compare)
	g.ids = slices.Compact(g.ids)
	if at, ok := g.r.plan.seekID(); ok {
		k, found := slices.BinarySearchFunc(g.ids, at, id.ID.Compare)
		switch {
		case !g.r.plan.idDesc:
			g.ids = g.ids[k:]
		case found:
			g.ids = g.ids[:k+1]
		default:
			g.ids = g.ids[:k]
		}
	}
	if g.r.plan.idDesc {
		slices.Reverse(g.ids)
	}
	return nil
}

// collect appends the IDs that one access reaches.
func (g *gatherSource) collect(a *access) error {
	if a.index != nil {
		for _, s := range a.streams(0) {
			for _, kr := range s.ranges {
				if err := g.collectRange(kr, len(a.index.prefix)); err != nil {
					return err
				}
			}
		}
		return nil
	}
	for _, kr := range a.idRanges(g.r.prefix) {
		if err := g.collectRange(kr, len(g.r.prefix)); err != nil {
			return err
		}
	}
	return nil
}

func (g *gatherSource) collectRange(kr keyRange, prefix int) error {
	c := g.r.s.open(g.r.ctx, kr.lo, kr.hi, false)
	defer c.close()
	for c.next() {
		g.r.examined++
		i, err := entityOf(c.key(), prefix)
		if err != nil {
			return &storage.CorruptError{What: "index of " + g.r.sel.Collection, Err: err}
		}
		g.ids = append(g.ids, i)
	}
	return c.err
}

// sorter collects entities and gives them in a selection's order: all, or the
// first ones when there is a limit.
type sorter struct {
	sel   *ankql.Selection
	limit int             // -1 for none
	heap  []*entity.State // with a limit, once it is reached, the last in order is on top
	full  bool
}

func (s *sorter) add(st *entity.State) {
	if s.limit < 0 || len(s.heap) < s.limit {
		s.heap = append(s.heap, st)
		return
	}
	if !s.full {
		s.full = true
		for k := len(s.heap)/2 - 1; k >= 0; k-- {
			s.sink(k)
		}
	}
	if s.sel.Compare(st, s.heap[0]) < 0 {
		s.heap[0] = st
		s.sink(0)
	}
}

// sink moves the entity at k down the heap to its place.
func (s *sorter) sink(k int) {
	for {
		child := 2*k + 1
		if child >= len(s.heap) {
			return
		}
		if child+1 < len(s.heap) && s.sel.Compare(s.heap[child+1], s.heap[child]) > 0 {
			child++
		}
		if s.sel.Compare(s.heap[child], s.heap[k]) <= 0 {
			return
		}
		s.heap[k], s.heap[child] = s.heap[child], s.heap[k]
		k = child
	}
}

func (s *sorter) sorted() []*entity.State {
	sorting.Sort(s.heap, func(a, b *entity.State) int { return s.sel.Compare(a, b) })
	return s.heap
}

// sort reads a source to its end.
func (r *run) sort(src source) (source, error) {
	s := sorter{sel: r.sel, limit: r.sel.Limit}
	for {
		st, err := src.next()
		if err != nil {
			return nil, err
		}
		if st == nil {
			return &stateSource{s.sorted()}, nil
		}
		s.add(st)
	}
}

// stateSource yields entities that are there already.
type stateSource struct{ states []*entity.State }

func (s *stateSource) next() (*entity.State, error) {
	if len(s.states) == 0 {
		return nil, nil
	}
	st := s.states[0]
	s.states = s.states[1:]
	return st, nil
}

func (s *stateSource) close() {}
