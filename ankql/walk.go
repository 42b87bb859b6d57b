package ankql

import (
	"iter"
	"slices"

	"github.com/ankurah/ankurah-go/value"
)

// And returns the conjunction of two predicates; nil is TRUE. The result is
// one chain of their conjuncts, so it prints without parentheses and is
// evaluated from left to right.
func And(a, b Expr) Expr {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return join(OpAnd, append(Conjuncts(a), Conjuncts(b)...), nil)
}

// Conjuncts returns the predicates that e is the conjunction of, in their
// order: none for nil, e alone when it is no AND.
func Conjuncts(e Expr) []Expr {
	if e == nil {
		return nil
	}
	var out []Expr
	stack := []Expr{e}
	for len(stack) > 0 {
		e := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if b, ok := e.(*Binary); ok && b.Op == OpAnd {
			stack = append(stack, b.R, b.L)
			continue
		}
		out = append(out, e)
	}
	return out
}

// spine returns the operands of the chain of op that leans left from e: L of
// its innermost node, then every R with the position of its operator.
func spine(op Op, e Expr) (terms []Expr, pos []int) {
	for {
		b, ok := e.(*Binary)
		if !ok || b.Op != op {
			break
		}
		terms = append(terms, b.R)
		pos = append(pos, b.Pos)
		e = b.L
	}
	terms = append(terms, e)
	slices.Reverse(terms)
	slices.Reverse(pos)
	return terms, pos
}

// join is the inverse of spine. Its node remembers the terms, so that the
// evaluator need not go down the chain. pos may be nil.
func join(op Op, terms []Expr, pos []int) Expr {
	e := terms[0]
	for k, t := range terms[1:] {
		b := &Binary{Op: op, L: e, R: t}
		if pos != nil {
			b.Pos = pos[k]
		}
		e = b
	}
	if b, ok := e.(*Binary); ok && len(terms) > 1 {
		b.chain = terms
	}
	return e
}

// Walk calls f for e and the nodes below it, each before those below it and
// from left to right. It does not go below a node for which f returns false.
func Walk(e Expr, f func(Expr) bool) {
	if e == nil {
		return
	}
	stack := []Expr{e}
	for len(stack) > 0 {
		e := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if !f(e) {
			continue
		}
		switch e := e.(type) {
		case *Not:
			stack = append(stack, e.X)
		case *Neg:
			stack = append(stack, e.X)
		case *Binary:
			stack = append(stack, e.R, e.L)
		case *In:
			for _, x := range slices.Backward(e.List) {
				stack = append(stack, x)
			}
			stack = append(stack, e.X)
		case *Between:
			stack = append(stack, e.Hi, e.Lo, e.X)
		case *Like:
			stack = append(stack, e.Pattern, e.X)
		case *IsNull:
			stack = append(stack, e.X)
		}
	}
}

// MapPaths returns e with f of each path in its place.
func MapPaths(e Expr, f func(*Path) *Path) Expr {
	mapped := func(e Expr) Expr { return MapPaths(e, f) }
	switch e := e.(type) {
	case *Path:
		return f(e)
	case *Not:
		return &Not{X: mapped(e.X), Pos: e.Pos}
	case *Neg:
		return &Neg{X: mapped(e.X), Pos: e.Pos}
	case *Binary:
		if e.Op == OpAnd || e.Op == OpOr {
			terms, pos := spine(e.Op, e)
			for k, t := range terms {
				terms[k] = mapped(t)
			}
			return join(e.Op, terms, pos)
		}
		return &Binary{Op: e.Op, L: mapped(e.L), R: mapped(e.R), Pos: e.Pos}
	case *In:
		out := *e
		out.X, out.List = mapped(e.X), make([]Expr, len(e.List))
		for k, x := range e.List {
			out.List[k] = mapped(x)
		}
		return &out
	case *Between:
		return &Between{X: mapped(e.X), Lo: mapped(e.Lo), Hi: mapped(e.Hi), Not: e.Not, Pos: e.Pos}
	case *Like:
		out := *e
		out.X, out.Pattern = mapped(e.X), mapped(e.Pattern)
		return &out
	case *IsNull:
		return &IsNull{X: mapped(e.X), Not: e.Not, Pos: e.Pos}
	}
	return e
}

// Paths yields the paths in e from left to right, repeated ones repeatedly.
func Paths(e Expr) iter.Seq[*Path] { return nodes[*Path](e) }

// Params yields the parameters in e from left to right, repeated names
// repeatedly. A bound predicate has none.
func Params(e Expr) iter.Seq[*Param] { return nodes[*Param](e) }

func nodes[T Expr](e Expr) iter.Seq[T] {
	return func(yield func(T) bool) {
		more := true
		Walk(e, func(e Expr) bool {
			if x, ok := e.(T); ok && more {
				more = yield(x)
			}
			return more
		})
	}
}

// Equal reports whether a and b are the same query, positions apart.
func Equal(a, b *Query) bool {
	if !equalExpr(a.Where, b.Where) || !equalExpr(a.Limit, b.Limit) || !equalExpr(a.After, b.After) || len(a.Order) != len(b.Order) ||
		!slices.EqualFunc(a.Select, b.Select, func(x, y Aggregate) bool { return x.equal(&y) }) || !slices.EqualFunc(a.Group, b.Group, equalPath) {
		return false
	}
	for k, t := range a.Order {
		u := b.Order[k]
		if !equalPath(t.Path, u.Path) || !t.Of.equal(u.Of) || t.Desc != u.Desc || t.NullsFirst != u.NullsFirst {
			return false
		}
	}
	return true
}

func equalPath(a, b *Path) bool {
	if a == nil || b == nil {
		return a == b
	}
	return slices.Equal(a.Parts, b.Parts)
}

func equalExpr(a, b Expr) bool {
	for {
		if a == nil || b == nil {
			return a == nil && b == nil
		}
		switch x := a.(type) {
		case *Literal:
			y, ok := b.(*Literal)
			return ok && x.Value.Type() == y.Value.Type() && value.Compare(x.Value, y.Value) == 0
		case *Param:
			y, ok := b.(*Param)
			return ok && x.Index == y.Index && x.Name == y.Name
		case *Path:
			y, ok := b.(*Path)
			return ok && slices.Equal(x.Parts, y.Parts)
		case *Not:
			y, ok := b.(*Not)
			if !ok {
				return false
			}
			a, b = x.X, y.X
		case *Neg:
			y, ok := b.(*Neg)
			if !ok {
				return false
			}
			a, b = x.X, y.X
		case *Binary:
			y, ok := b.(*Binary)
			if !ok || x.Op != y.Op || !equalExpr(x.R, y.R) {
				return false
			}
			a, b = x.L, y.L // chains lean left: the loop goes down, not the stack
		case *In:
			y, ok := b.(*In)
			if !ok || x.Not != y.Not || len(x.List) != len(y.List) {
				return false
			}
			for k := range x.List {
				if !equalExpr(x.List[k], y.List[k]) {
					return false
				}
			}
			a, b = x.X, y.X
		case *Between:
			y, ok := b.(*Between)
			if !ok || x.Not != y.Not || !equalExpr(x.Lo, y.Lo) || !equalExpr(x.Hi, y.Hi) {
				return false
			}
			a, b = x.X, y.X
		case *Like:
			y, ok := b.(*Like)
			if !ok || x.Not != y.Not || x.Fold != y.Fold || !equalExpr(x.Pattern, y.Pattern) {
				return false
			}
			a, b = x.X, y.X
		case *IsNull:
			y, ok := b.(*IsNull)
			if !ok || x.Not != y.Not {
				return false
			}
			a, b = x.X, y.X
		default:
			return false
		}
	}
}
