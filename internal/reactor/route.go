package reactor

import (
	"slices"
	"strings"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/internal/keyset"
	"github.com/ankurah/ankurah-go/value"
)

// Limits of a route: what would take more goes another way.
const (
	maxPoints   = 256 // values of one path
	maxPieces   = 16  // ranges of one path
	maxBranches = 32  // of a disjunction
)

// What a route is likely to let through, for choosing among several: a point
// costs one and as much as there are queries that ask for it already.
const (
	costElement = 100
	costBetween = 1_000
	costSide    = 4_000 // a range with one bound
	costNotNull = 8_000
)

// route is one thing that makes a change concern a query: the value under a
// path is among these.
type route struct {
	at   *pathIndex
	kind routeKind
	key  string   // of a point or an element
	over interval // of a range
}

type routeKind uint8

const (
	atPoint   routeKind = iota
	atElement           // the value is a list or an array that has the element
	inText              // the value is a text, which may have the element as a part
	inRange
)

// pathIndex has the routes that go by what is under one path.
type pathIndex struct {
	path     *ankql.Path
	typed    *ankql.Path // the same as a query has it that was there first
	points   map[string][]*subscriber
	elements map[string][]*subscriber
	texts    []*subscriber
	ranges   intervals
	n        int // of routes
}

// collection has the queries of one collection.
type collection struct {
	name  string
	paths []*pathIndex
	rest  []*subscriber // that no route leads to: offered every change
	n     int           // of queries
}

// under returns the index of what is under a path, which is made if need be.
func (c *collection) under(p *ankql.Path) *pathIndex {
	for _, x := range c.paths {
		if keyset.SamePath(x.path, p) {
			return x
		}
	}
	x := &pathIndex{path: &ankql.Path{Parts: p.Parts, IsID: p.IsID, Key: p.Key, JSON: p.JSON}, typed: p}
	c.paths = append(c.paths, x)
	return x
}

// Shared returns a path of a registered query that says the same as p, p itself
// if there is none: queries of one shape have their paths in common.
func (r *Reactor) Shared(collection string, p *ankql.Path) *ankql.Path {
	if c := r.byCollection[collection]; c != nil {
		for _, x := range c.paths {
			if o := x.typed; keyset.SamePath(o, p) && o.Type == p.Type && o.Default.Type() == p.Default.Type() && value.Equal(o.Default, p.Default) && slices.Equal(o.Parts, p.Parts) {
				return o
			}
		}
	}
	return p
}

// register lets changes that take some routes, or all when there are none for
// it, be offered to a query.
func (c *collection) register(q *subscriber, routes []route, routed bool) {
	c.n++
	if !routed {
		c.rest = append(c.rest, q)
	}
	for _, r := range routes {
		r.at.add(r, q)
	}
	c.prune()
	q.regs = append(q.regs, registration{c, routes, routed})
}

// prune drops the indexes that no route is in.
func (c *collection) prune() {
	c.paths = slices.DeleteFunc(c.paths, func(x *pathIndex) bool { return x.n == 0 })
}

func (x *pathIndex) add(r route, q *subscriber) {
	x.n++
	switch r.kind {
	case atPoint:
		x.points = with(x.points, r.key, q)
	case atElement:
		x.elements = with(x.elements, r.key, q)
	case inText:
		x.texts = append(x.texts, q)
	case inRange:
		x.ranges.add(r.over, q)
	}
}

func (x *pathIndex) remove(r route, q *subscriber) {
	x.n--
	switch r.kind {
	case atPoint:
		drop(x.points, r.key, q)
	case atElement:
		drop(x.elements, r.key, q)
	case inText:
		x.texts = without(x.texts, q)
	case inRange:
		x.ranges.remove(r.over, q)
	}
}

func with(m map[string][]*subscriber, key string, q *subscriber) map[string][]*subscriber {
	if m == nil {
		m = map[string][]*subscriber{}
	}
	m[key] = append(m[key], q)
	return m
}

func drop(m map[string][]*subscriber, key string, q *subscriber) {
	if m[key] = without(m[key], q); len(m[key]) == 0 {
		delete(m, key)
	}
}

// without removes q from a list whose order does not matter.
func without(qs []*subscriber, q *subscriber) []*subscriber {
	k := slices.Index(qs, q)
	if k < 0 {
		return qs
	}
	last := len(qs) - 1
	qs[k], qs[last] = qs[last], nil
	return qs[:last]
}

// routes returns routes one of which every entity takes that e is TRUE of, and
// what they cost; false when there are none.
func (c *collection) routes(e ankql.Expr) (best []route, cost int, ok bool) {
	better := func(rs []route, n int) {
		if !ok || n < cost {
			best, cost, ok = rs, n, true
		}
	}
	var seen []*ankql.Path
	for p := range ankql.Paths(e) {
		if p.Via > 0 || slices.ContainsFunc(seen, func(o *ankql.Path) bool { return keyset.SamePath(o, p) }) {
			continue
		}
		seen = append(seen, p)
		if rs, n, ok := c.routesBy(p, keyset.Of(e, p)); ok {
			better(rs, n)
		}
	}
	if lit, isLit := e.(*ankql.Literal); isLit && !lit.Value.Bool() {
		better(nil, 0)
	}
	for _, part := range ankql.Conjuncts(e) {
		x, binary := part.(*ankql.Binary)
		switch {
		case binary && x.Op == ankql.OpContains:
			if rs, ok := c.routesToElement(x); ok {
				better(rs, costElement)
			}
		case binary && x.Op == ankql.OpOr:
			if rs, n, ok := c.routesOfBranches(x); ok {
				better(rs, n)
			}
		}
	}
	return best, cost, ok
}

// routesOfBranches returns the routes of all branches of a disjunction.
func (c *collection) routesOfBranches(or *ankql.Binary) (out []route, cost int, ok bool) {
	branches := keyset.Chain(or)
	if len(branches) > maxBranches {
		return nil, 0, false
	}
	for _, b := range branches {
		rs, n, ok := c.routes(b)
		if !ok {
			return nil, 0, false
		}
		out, cost = append(out, rs...), cost+n
	}
	return out, cost, true
}

// routesBy returns the routes to a set of values of a path.
func (c *collection) routesBy(p *ankql.Path, s keyset.Set) (out []route, cost int, ok bool) {
	if s.All {
		return nil, 0, false
	}
	if s.None() {
		return nil, 0, true
	}
	at := c.under(p)
	if n := s.Points(); n > 0 && n <= maxPoints {
		for _, i := range s.Intervals {
			key := string(i.Point)
			out = append(out, route{at: at, kind: atPoint, key: key})
			cost += 1 + len(at.points[key])
		}
		return out, cost, true
	}
	pieces := s.Intervals
	if len(pieces) > maxPieces { // what is between them goes this way, too
		pieces = []keyset.Interval{{Lo: pieces[0].Lo, Hi: pieces[len(pieces)-1].Hi}}
	}
	for _, i := range pieces {
		out = append(out, route{at: at, kind: inRange, over: interval{string(i.Lo), string(i.Hi)}})
		cost += costOf(i)
	}
	return out, cost, true
}

// costOf tells ranges apart by their bounds: the key of a class of values alone
// is none.
func costOf(i keyset.Interval) int {
	switch open := len(i.Lo) <= 1; {
	case open && len(i.Hi) <= 1:
		return costNotNull
	case open || len(i.Hi) <= 1:
		return costSide
	}
	return costBetween
}

// present reports whether a route is taken by every entity that has a value
// under its path.
func (r route) present() bool { return r.kind == inRange && len(r.over.lo) <= 1 && len(r.over.hi) <= 1 }

// routesToElement returns the routes of a list or JSON array that has a
// constant. A text may have one as a part: then every text concerns the query.
func (c *collection) routesToElement(e *ankql.Binary) ([]route, bool) {
	p, isPath := e.L.(*ankql.Path)
	lit, isLit := e.R.(*ankql.Literal)
	if !isPath || !isLit || p.Via > 0 || !p.Default.IsNull() || p.Type.Kind == value.KindString {
		return nil, false
	}
	if lit.Value.IsNull() {
		return nil, true
	}
	at := c.under(p)
	out := []route{{at: at, kind: atElement, key: string(value.AppendKey(nil, lit.Value, false))}}
	if p.Type.Kind != value.KindList && lit.Value.Kind() == value.KindString {
		out = append(out, route{at: at, kind: inText})
	}
	return out, true
}

// Route says what changes are found by that may concern the subscriber: paths and
// what is looked up under them; "" when all in its collection are offered.
func (s *subscriber) Route() string {
	if s.regs == nil || !s.regs[0].routed {
		return ""
	}
	how := [...]string{atPoint: "value", atElement: "element", inText: "text", inRange: "range"}
	var out []string
	for _, r := range s.regs[0].routes {
		by := how[r.kind]
		if r.present() {
			by = "presence"
		}
		if x := ankql.PrintExpr(r.at.path) + " by " + by; !slices.Contains(out, x) {
			out = append(out, x)
		}
	}
	if out == nil {
		return "never"
	}
	return strings.Join(out, ", ")
}

// find calls f with the queries that a state takes a route to.
func (c *collection) find(s *entity.State, f func([]*subscriber)) {
	var space [64]byte
	for _, x := range c.paths {
		x.find(s, space[:0], f)
	}
}

func (x *pathIndex) find(s *entity.State, buf []byte, f func([]*subscriber)) {
	v := ankql.Operand(x.path, s)
	buf = value.AppendKey(buf, v, false)
	if qs := x.points[string(buf)]; qs != nil {
		f(qs)
	}
	if x.ranges.root != nil {
		x.ranges.holding(string(buf), f)
	}
	if x.elements == nil {
		return
	}
	switch v.Kind() {
	case value.KindString:
		f(x.texts)
	case value.KindList:
		for k := range v.Len() {
			f(x.elements[string(value.AppendKey(buf[:0], v.At(k), false))])
		}
	case value.KindJSON:
		for e := range v.Elements() {
			f(x.elements[string(value.AppendKey(buf[:0], e, false))])
		}
	}
}
