package ankql

import (
	"slices"
	"strconv"
	"strings"

	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/value"
)

// Bind fits a query to a model and to its arguments: it resolves paths,
// replaces parameters, and converts every literal to the type of what it is
// compared with (S46). With m nil fields are not checked and literals stay as
// they are. The query is not changed and can be bound again.
//
// Arguments are Go values that [value.FromGo] takes. Those for `?` come in
// order; those for `:name` are [Named], or one map[string]any instead. In an
// IN list a slice stands for its elements, elsewhere for a list. LIMIT takes a
// non-negative integer. AFTER takes a *Cursor, a Cursor, its text, or nil for
// the beginning.
//
// A number that the declared type cannot hold stays as it is: `year < 1.5` has
// a meaning where year is an integer. Every error is a [*BindError].
func Bind(q *Query, m *schema.Model, collection string, args ...any) (*Selection, error) {
	return (&binder{model: m, collection: collection, text: q.text}).bind(q, args)
}

// Models returns what is known of a collection, nil for nothing.
type Models func(collection string) *schema.Model

// BindAcross is [Bind] for queries whose paths may go through references.
func BindAcross(q *Query, models Models, collection string, args ...any) (*Selection, error) {
	return (&binder{model: models(collection), models: models, collection: collection, text: q.text}).bind(q, args)
}

func (b *binder) bind(q *Query, args []any) (*Selection, error) {
	s, err := b.query(q, args)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// BindExpr binds a predicate alone, such as a policy's filter, to be joined
// to a selection's by [And]. Unlike [Bind] it takes names that the predicate
// does not use, since one set of names serves many filters.
func BindExpr(e Expr, m *schema.Model, collection string, args ...any) (Expr, error) {
	b := &binder{model: m, collection: collection, surplus: true}
	err := b.arguments(slices.Collect(Params(e)), args)
	if err != nil {
		return nil, err
	}
	x, err := b.predicate(e)
	if err != nil {
		return nil, err
	}
	return x, nil
}

// binder holds what one binding needs.
type binder struct {
	model      *schema.Model
	models     Models // nil: paths do not go through references
	links      []Link
	collection string
	text       string // of the query, "" when not known
	positional []any
	named      map[string]any
	surplus    bool // names may stay unused
}

func (b *binder) query(q *Query, args []any) (*Selection, *BindError) {
	if len(q.Select) > 0 {
		return nil, b.fail(q.Select[0].Pos, "this is an aggregate selection: it has groups, and no rows to be had here; ask for it with Aggregate", nil)
	}
	params := slices.Collect(Params(q.Where))
	params = slices.AppendSeq(params, Params(q.Limit))
	params = slices.AppendSeq(params, Params(q.After))
	err := b.arguments(params, args)
	if err != nil {
		return nil, err
	}
	s := &Selection{Collection: b.collection, Limit: -1}
	if s.Where, err = b.predicate(q.Where); err != nil {
		return nil, err
	}
	for _, t := range q.Order {
		if t.Path, err = b.path(t.Path); err != nil {
			return nil, err
		}
		if err = b.orderable(t.Path, "sort by"); err != nil {
			return nil, err
		}
		s.Order = append(s.Order, t)
	}
	if q.Limit != nil {
		if s.Limit, err = b.limit(q.Limit); err != nil {
			return nil, err
		}
	}
	if q.After != nil {
		if s.After, err = b.after(q.After, len(s.Order)); err != nil {
			return nil, err
		}
	}
	s.Links = b.links
	return s, nil
}

// fail returns an error about the place pos of the query; -1 is none.
func (b *binder) fail(pos int, msg string, err error) *BindError {
	e := &BindError{Pos: pos, Msg: msg, Err: err}
	if b.text != "" && pos >= 0 {
		e.Line, e.Col = position(b.text, pos)
	}
	return e
}

// failLiteral is fail about a literal, naming the parameter it came from.
func (b *binder) failLiteral(l *Literal, msg string, err error) *BindError {
	e := b.fail(l.Pos, msg, err)
	e.Param = l.param
	return e
}

// path resolves a path (S44).
func (b *binder) path(x *Path) (*Path, *BindError) {
	out := &Path{Parts: x.Parts, Pos: x.Pos}
	return b.resolve(x, out, b.collection, b.model, x.Parts)
}

// resolve resolves the parts of a path that lie in a collection.
func (b *binder) resolve(x, out *Path, collection string, model *schema.Model, parts []string) (*Path, *BindError) {
	field, rest := parts[0], parts[1:]
	if field == "id" {
		if len(rest) > 0 {
			return nil, b.fail(x.Pos, "id is an ID: it has no parts, so "+shorten(PrintExpr(x))+" names nothing", nil)
		}
		out.IsID, out.Type = true, value.Type{Kind: value.KindID}
		return out, nil
	}
	out.Key = field
	if model == nil {
		out.JSON = rest
		return out, nil
	}
	p := model.Property(field)
	if p == nil {
		hint := instead(field, model)
		if strings.HasPrefix(b.text[min(len(b.text), max(0, x.Pos)):], `"`) {
			hint += "; text stands in single quotes: '" + shorten(field) + "'"
		}
		return nil, b.fail(x.Pos, "unknown field "+strconv.Quote(shorten(field))+" of "+collection+": "+hint, nil)
	}
	out.Default = p.Default
	switch {
	case len(rest) == 0:
		out.Type = p.Type
	case p.Type.Kind == value.KindJSON || !p.Type.Valid():
		out.JSON = rest
	case p.Ref != "" && b.models != nil:
		via, err := b.link(x, Link{From: out.Via - 1, Key: field, Collection: p.Ref})
		if err != nil {
			return nil, err
		}
		out.Via, out.Key, out.Default = via, "", value.Null
		return b.resolve(x, out, p.Ref, b.models(p.Ref), rest)
	case p.Ref != "":
		return nil, b.fail(x.Pos, shorten(PrintExpr(x))+" goes through a reference to "+p.Ref+", which is not possible here; compare "+field+" with an ID instead", ErrReferencePath)
	case p.Type.Kind == value.KindID:
		return nil, b.fail(x.Pos, shorten(PrintExpr(x))+" goes through a reference, and it is not known to what; compare "+field+" with an ID instead", ErrReferencePath)
	default:
		return nil, b.fail(x.Pos, field+" is "+p.Type.String()+": only JSON has keys, so "+shorten(PrintExpr(x))+" names nothing", nil)
	}
	return out, nil
}

// Limits of references in one query.
const (
	maxLinks = 16
	maxChain = 8 // through one another
)

// link returns 1 + the index of a link, which is added if need be.
func (b *binder) link(x *Path, l Link) (int, *BindError) {
	for k := range b.links {
		if o := &b.links[k]; o.From == l.From && o.Key == l.Key {
			return k + 1, nil
		}
	}
	depth := 1
	for from := l.From; from >= 0; from = b.links[from].From {
		depth++
	}
	if len(b.links) == maxLinks || depth > maxChain {
		return 0, b.fail(x.Pos, "the query goes through more than "+strconv.Itoa(maxLinks)+" references, or more than "+strconv.Itoa(maxChain)+" one behind the other", nil)
	}
	b.links = append(b.links, l)
	return len(b.links), nil
}

// predicate binds what is true or false; nil stays nil.
func (b *binder) predicate(e Expr) (Expr, *BindError) {
	switch e := e.(type) {
	case nil:
		return nil, nil
	case *Literal:
		return b.truth(e)
	case *Param:
		l, err := b.param(e)
		if err != nil {
			return nil, err
		}
		return b.truth(l)
	case *Path:
		x, err := b.path(e)
		if err != nil {
			return nil, err
		}
		switch x.Type.Kind {
		case value.KindNull, value.KindBool, value.KindJSON:
			// Spelled out, so that whoever takes selections needs no case for it.
			return &Binary{Op: OpEq, L: x, R: &Literal{Value: value.Bool(true), Pos: x.Pos}, Pos: x.Pos}, nil
		}
		return nil, b.fail(x.Pos, described(x)+": only a bool is a predicate by itself", nil)
	case *Not:
		x, err := b.predicate(e.X)
		if err != nil {
			return nil, err
		}
		return &Not{X: x, Pos: e.Pos}, nil
	case *Binary:
		switch {
		case e.Op == OpAnd || e.Op == OpOr:
			terms, pos := spine(e.Op, e)
			for k, t := range terms {
				x, err := b.predicate(t)
				if err != nil {
					return nil, err
				}
				terms[k] = x
			}
			return join(e.Op, terms, pos), nil
		case e.Op == OpContains:
			return b.contains(e)
		case e.Op < OpContains:
			l, r, err := b.pair(e.L, e.R)
			if err != nil {
				return nil, err
			}
			return &Binary{Op: e.Op, L: l, R: r, Pos: e.Pos}, nil
		}
	case *In:
		return b.in(e)
	case *Between:
		return b.between(e)
	case *Like:
		return b.like(e)
	case *IsNull:
		x, err := b.operand(e.X)
		if err != nil {
			return nil, err
		}
		return &IsNull{X: x, Not: e.Not, Pos: e.Pos}, nil
	}
	return nil, b.fail(-1, shorten(PrintExpr(e))+" is a value, not a predicate", nil)
}

func (b *binder) truth(l *Literal) (Expr, *BindError) {
	if k := l.Value.Kind(); k != value.KindBool && k != value.KindNull {
		return nil, b.failLiteral(l, shorten(PrintExpr(l))+" is not a truth value", nil)
	}
	return l, nil
}

// operand binds a value. Arithmetic on literals becomes a literal, so that
// an index can serve `year > 2000 - 10`.
func (b *binder) operand(e Expr) (Expr, *BindError) {
	switch e := e.(type) {
	case *Literal:
		return e, nil
	case *Param:
		l, err := b.param(e)
		if err != nil {
			return nil, err
		}
		return l, nil
	case *Path:
		x, err := b.path(e)
		if err != nil {
			return nil, err
		}
		return x, nil
	case *Neg:
		x, err := b.number(e.X)
		if err != nil {
			return nil, err
		}
		out := &Neg{X: x, Pos: e.Pos}
		if l, ok := x.(*Literal); ok {
			return &Literal{Value: Operand(out, nil), Pos: e.Pos, param: l.param}, nil
		}
		return out, nil
	case *Binary:
		if e.Op < OpAdd {
			break
		}
		l, err := b.number(e.L)
		if err != nil {
			return nil, err
		}
		r, err := b.number(e.R)
		if err != nil {
			return nil, err
		}
		out := &Binary{Op: e.Op, L: l, R: r, Pos: e.Pos}
		if isLiteral(l) && isLiteral(r) {
			return &Literal{Value: Operand(out, nil), Pos: e.Pos}, nil
		}
		return out, nil
	}
	return nil, b.fail(-1, shorten(PrintExpr(e))+" is a predicate, not a value", nil)
}

// number binds an operand of arithmetic.
func (b *binder) number(e Expr) (Expr, *BindError) {
	x, err := b.operand(e)
	if err != nil {
		return nil, err
	}
	switch x := x.(type) {
	case *Literal:
		l, err := b.toNumber(x, nil)
		if err != nil {
			return nil, err
		}
		return l, nil
	case *Path:
		if k := x.Type.Kind; k != value.KindNull && k != value.KindJSON && !k.Numeric() {
			return nil, b.fail(x.Pos, described(x)+": arithmetic takes numbers", nil)
		}
	}
	return x, nil
}

func isLiteral(e Expr) bool {
	_, ok := e.(*Literal)
	return ok
}
