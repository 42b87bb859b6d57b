package kv

import (
	"context"
	"iter"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/storage"
)

// run is one execution of a plan.
type run struct {
	s        *snapshot
	ctx      context.Context
	sel      *ankql.Selection
	plan     *plan
	prefix   []byte // of the keys of the collection's states
	examined uint64
	returned uint64
}

func (s *snapshot) run(ctx context.Context, sel *ankql.Selection) *run {
	return &run{
		s: s, ctx: ctx, sel: sel,
		plan:   newPlan(sel, s.catalog.indexes[sel.Collection]),
		prefix: s.e.keys.collection(nil, spaceState, sel.Collection),
	}
}

// source yields the entities that match, one at a time. One that is
// not ordered yields them in any order.
type source interface {
	// next returns the next entity, nil at the end.
	next() (*entity.State, error)
	close()
}

func (s *snapshot) Scan(ctx context.Context, sel *ankql.Selection) iter.Seq2[*entity.State, error] {
	return func(yield func(*entity.State, error) bool) {
		if sel.Limit == 0 {
			return
		}
		r := s.run(ctx, sel)
		defer r.finish()
		src := r.source(r.plan.ordered)
		defer src.close()
		if !r.plan.ordered {
			sorted, err := r.sort(src)
			if err != nil {
				yield(nil, err)
				return
			}
			src = sorted
		}
		for sel.Limit < 0 || r.returned < uint64(sel.Limit) {
			st, err := src.next()
			if err != nil {
				yield(nil, err)
				return
			}
			if st == nil {
				return
			}
			r.returned++
			if !yield(st, nil) {
				return
			}
		}
	}
}

func (s *snapshot) Count(ctx context.Context, sel *ankql.Selection) (int64, error) {
	if sel.Limit == 0 {
		return 0, nil
	}
	r := s.run(ctx, sel)
	defer r.finish()
	if err := r.count(); err != nil {
		return 0, err
	}
	if sel.Limit >= 0 {
		r.returned = min(r.returned, uint64(sel.Limit))
	}
	return int64(r.returned), nil
}

// count counts what matches, at least up to the limit.
func (r *run) count() error {
	if a := r.counter(); a != nil {
		for _, s := range a.streams(0) {
			for _, kr := range s.ranges {
				if err := r.countRange(kr); err != nil {
					return err
				}
			}
		}
		return nil
	}
	src := r.source(false)
	defer src.close()
	for r.sel.Limit < 0 || r.returned < uint64(r.sel.Limit) {
		st, err := src.next()
		if st == nil || err != nil {
			return err
		}
		r.returned++
	}
	return nil
}

// counter returns the access whose entries may be counted in place of the
// entities; nil when there is none.
func (r *run) counter() *access {
	if r.plan.none || r.sel.After != nil || len(r.plan.access) > 1 {
		return nil
	}
	if a := r.plan.access[0]; r.plan.exact(a) {
		return a
	}
	if len(r.plan.where) > 0 {
		return nil
	}
	// Every index has an entry for each entity that exists.
	var narrow *index
	for _, x := range r.s.catalog.indexes[r.sel.Collection] {
		if x.complete && (narrow == nil || len(x.columns) < len(narrow.columns)) {
			narrow = x
		}
	}
	if narrow == nil {
		return nil
	}
	return &access{index: narrow}
}

func (r *run) countRange(kr keyRange) error {
	c := r.s.open(r.ctx, kr.lo, kr.hi, false)
	defer c.close()
	for c.next() {
		r.examined++
		if r.returned++; r.sel.Limit >= 0 && r.returned >= uint64(r.sel.Limit) {
			return nil
		}
	}
	return c.err
}

// match reports whether an entity is one of the selection's, its limit aside.
func (r *run) match(st *entity.State) bool {
	return st.Exists() && r.sel.Match(st) && (r.sel.After == nil || r.sel.CompareCursor(st, r.sel.After) > 0)
}

// fetch returns the entity that an index entry names, nil when it does not
// match.
func (r *run) fetch(i id.ID) (*entity.State, error) {
	st, err := r.s.State(r.ctx, r.sel.Collection, i)
	if err == nil && st == nil {
		err = &storage.CorruptError{What: "index of " + r.sel.Collection, Err: &danglingError{i}}
	}
	if err != nil || !r.match(st) {
		return nil, err
	}
	return st, nil
}

type danglingError struct{ entity id.ID }

func (e *danglingError) Error() string {
	return "it has an entry of " + e.entity.String() + ", which is not stored"
}

// finish counts the run and has an index made if it should have had one.
func (r *run) finish() {
	e := r.s.e
	e.stats.scans.Add(1)
	e.stats.examined.Add(r.examined)
	e.stats.returned.Add(r.returned)
	if e.opts.Index.NoAuto || e.opts.ReadOnly || r.examined < uint64(e.opts.Index.Threshold) || r.examined < 8*r.returned {
		return
	}
	for _, x := range r.plan.wanted(e.keys) {
		e.start(r.sel.Collection, x, e.opts.Index.Max)
	}
}

// source returns what yields the entities of the plan; in order if asked to,
// which the plan must allow.
func (r *run) source(ordered bool) source {
	if r.plan.none {
		return &pointSource{r: r}
	}
	a := r.plan.access[0]
	switch {
	case len(r.plan.access) > 1:
		return &gatherSource{r: r}
	case a.index == nil && a.equal > 0:
		return &pointSource{r: r, ids: a.points(), reverse: a.order != nil && a.order.reverse}
	case a.index == nil:
		return newRangeSource(r, a)
	case !ordered || a.order == nil || a.order.gather:
		return &gatherSource{r: r}
	}
	return newOrderedSource(r, a)
}
