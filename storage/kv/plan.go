package kv

import (
	"math/bits"
	"slices"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/internal/keyset"
	"github.com/ankurah/ankurah-go/value"
)

// Limits of a plan.
const (
	maxRanges   = 1024 // ranges made by combining the points of several columns
	maxStreams  = 64   // ordered ranges that are merged into one order
	maxBranches = 32   // branches of an OR that have an access each
)

// Scores: what a column bound to one value is worth, and so on. They rank the
// ways to answer a query by how few entities each is likely to read, without
// knowing the data.
const (
	scoreIDs     = 8000 // a few IDs
	scoreEqual   = 800
	scoreBool    = 160 // a column of two values bound to one
	scoreHalving = 80  // taken off for each doubling of the number of values
	scoreBetween = 480
	scoreSide    = 280 // a range with one bound
	scoreNotNull = 64
	scoreTop     = 240 // the order of a query with a limit
	scoreOrder   = 80
	scoreBranch  = 16 // taken off for each branch of an OR
	scoreWorth   = 32 // by so much an index has to be better to be wanted
)

// plan says how a selection is answered. Whatever is read, each entity is
// judged by the evaluator: a plan has to reach all that match, and may reach
// others.
type plan struct {
	*planner
	none    bool      // the predicate cannot be TRUE
	access  []*access // one, or one for each branch of an OR
	ordered bool      // entities come in the selection's order
}

// access is one way to reach entities: through an index, or by ID.
type access struct {
	index *index       // nil: by ID
	sets  []keyset.Set // of the leading columns, or of the ID; the last one may hold ranges
	equal int          // how many of sets consist of points
	score int
	order *order // nil when entities do not come in the selection's order
}

// planner holds what one planning needs.
type planner struct {
	sel   *ankql.Selection
	where []ankql.Expr // conjuncts
	cache []pathSet

	// terms are the ORDER BY terms that decide anything before the ID does:
	// not those whose value is the same in all entities that match.
	terms []int
	// byID is the ORDER BY term that is the ID, behind which nothing matters;
	// -1 when there is none.
	byID   int
	idDesc bool // entities that are equal otherwise come by ID descending
}

func newPlanner(sel *ankql.Selection, where []ankql.Expr) *planner {
	p := &planner{sel: sel, where: where, byID: -1}
	for k := range sel.Order {
		t := &sel.Order[k]
		if t.Path.IsID {
			p.byID, p.idDesc = k, t.Desc
			break
		}
		if p.set(t.Path).Constant() == nil {
			p.terms = append(p.terms, k)
		}
	}
	return p
}

// pathSet is what the whole predicate says of a path.
type pathSet struct {
	path *ankql.Path
	set  keyset.Set
}

var idPath = &ankql.Path{IsID: true}

// newPlan plans a selection over the complete ones of its collection's indexes.
func newPlan(sel *ankql.Selection, indexes []*index) *plan {
	p := newPlanner(sel, ankql.Conjuncts(sel.Where))
	best := p.best(indexes)
	out := &plan{planner: p, access: []*access{best}, ordered: best.order != nil}
	if best.score < scoreEqual {
		if branches, score := p.branches(indexes); score > best.score {
			out.access = branches
			out.ordered = len(p.terms) == 0 // what they reach is joined by ID
		}
	}
	for k := range p.cache {
		out.none = out.none || p.cache[k].set.None()
	}
	return out
}

// set returns what the predicate says of a path.
func (p *planner) set(path *ankql.Path) keyset.Set {
	for k := range p.cache {
		if keyset.SamePath(p.cache[k].path, path) {
			return p.cache[k].set
		}
	}
	out := keyset.Everything
	for k, e := range p.where {
		if s := keyset.Of(e, path); k == 0 {
			out = s
		} else {
			out = keyset.Intersect(out, s)
		}
	}
	p.cache = append(p.cache, pathSet{path, out})
	return out
}

// best returns the access of the greatest score.
func (p *planner) best(indexes []*index) *access {
	best := p.primary()
	for _, x := range indexes {
		if !x.complete {
			continue
		}
		if a := p.secondary(x); a != nil && a.score > best.score {
			best = a
		}
	}
	return best
}

// primary returns the access by ID, which is always possible.
func (p *planner) primary() *access {
	a := &access{}
	s := p.set(idPath)
	if !s.All {
		a.sets = []keyset.Set{s}
		a.score = rangeScore(s)
		if s.Points() > 0 || s.None() {
			a.equal, a.score = 1, scoreIDs
		}
	}
	if len(p.terms) == 0 {
		a.order = &order{reverse: p.idDesc}
	}
	return a
}

// secondary returns the access through an index, nil when the index neither
// bounds nor orders what is read.
func (p *planner) secondary(x *index) *access {
	a := &access{index: x}
	ranges := 1
	for k := range x.columns {
		s := p.set(x.columns[k].path)
		if s.All || k > 0 && ranges*len(s.Intervals) > maxRanges {
			break
		}
		a.sets = append(a.sets, s)
		ranges *= len(s.Intervals)
		if s.Points() == 0 {
			a.score += rangeScore(s)
			break
		}
		a.equal++
		a.score += equalScore(s)
	}
	a.order = p.order(a)
	switch {
	case a.order != nil && len(p.terms) > 0 && p.sel.Limit >= 0:
		a.score += scoreTop
	case a.order != nil && len(p.terms) > 0:
		a.score += scoreOrder
	case len(a.sets) == 0:
		return nil
	}
	a.score -= len(x.columns) // of two that serve alike the narrower one is read faster
	return a
}

// boolClass is the first byte of the key of a truth value.
var boolClass = value.AppendKey(nil, value.Bool(true), false)[0]

func equalScore(s keyset.Set) int {
	score := scoreEqual
	if n := len(s.Intervals); n > 0 {
		if s.Intervals[0].Point[0] == boolClass {
			score = scoreBool
		}
		score = max(score/4, score-scoreHalving*bits.Len(uint(n-1)))
	}
	return score
}

func rangeScore(s keyset.Set) int {
	if len(s.Intervals) == 0 {
		return scoreEqual
	}
	if len(s.Intervals) == 1 && string(s.Intervals[0].Hi) == string(keyset.NullKey) && len(s.Intervals[0].Lo) == 0 {
		return scoreNotNull
	}
	for _, i := range s.Intervals {
		// A bound that is only that of a class of values has one byte.
		if len(i.Lo) <= 1 || len(i.Hi) <= 1 {
			return scoreSide
		}
	}
	return scoreBetween
}

// branches returns an access for each branch of an OR that has one, and their
// common score; no access when there is no such OR.
func (p *planner) branches(indexes []*index) ([]*access, int) {
	var found []*access
	best := 0
	for k, e := range p.where {
		or, ok := e.(*ankql.Binary)
		if !ok || or.Op != ankql.OpOr {
			continue
		}
		parts := keyset.Chain(or)
		if len(parts) > maxBranches {
			continue
		}
		var accesses []*access
		score := scoreEqual
		for _, part := range parts {
			a := p.branch(k, part).best(indexes)
			if len(a.sets) == 0 {
				score = 0
				break
			}
			a.order = nil
			score = min(score, a.score)
			accesses = append(accesses, a)
		}
		if score -= scoreBranch * len(parts); score > best {
			found, best = accesses, score
		}
	}
	return found, best
}

// branch returns the planner of the predicate with conjunct k replaced by one
// of its branches.
func (p *planner) branch(k int, part ankql.Expr) *planner {
	where := slices.Clone(p.where)
	where[k] = nil
	where = append(where, ankql.Conjuncts(part)...)
	where = slices.DeleteFunc(where, func(e ankql.Expr) bool { return e == nil })
	return newPlanner(&ankql.Selection{Collection: p.sel.Collection, Limit: -1}, where)
}

// exact reports whether the ranges of a hold just the entities that match, so
// that they can be counted without being read.
func (p *planner) exact(a *access) bool {
	if a.index == nil {
		return false // deleted entities are there, too
	}
	for _, e := range p.where {
		if !a.decides(e) {
			return false
		}
	}
	return true
}

// decides reports whether e is TRUE of just the entities that the ranges of a
// let through on e's account.
func (a *access) decides(e ankql.Expr) bool {
	for k := range a.sets {
		if s := keyset.Of(e, a.path(k)); !s.All && s.Exact {
			return true
		}
	}
	return false
}

// path returns the path of column k.
func (a *access) path(k int) *ankql.Path {
	if a.index == nil {
		return idPath
	}
	return a.index.columns[k].path
}
