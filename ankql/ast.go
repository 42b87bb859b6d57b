package ankql

import (
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/value"
)

// Expr is a node of a predicate or of an operand: one of the types below.
// Nodes are immutable after parsing and after binding.
type Expr interface{ expr() }

// Op is a binary operator.
type Op uint8

const (
	OpAnd Op = iota + 1
	OpOr
	OpEq
	OpNe
	OpLt
	OpLe
	OpGt
	OpGe
	OpContains
	OpAdd
	OpSub
	OpMul
	OpDiv
)

type (
	// Literal is a constant. After binding it has the type that the property
	// it is compared with declares.
	Literal struct {
		Value value.Value
		Pos   int // byte offset in the query text

		param string // the parameter that binding replaced by it, "" when none
	}
	// Param is a placeholder: `?`, numbered from 1, or `:name`. Binding
	// replaces it by a Literal, and in an IN list a slice by its elements.
	Param struct {
		Index int    // of `?`, 0 for a named one
		Name  string // of `:name`
		Pos   int
	}
	// Path names a property, a value inside a JSON property, or the entity's
	// ID. Parts is what the text says; the other fields are set by binding.
	Path struct {
		Parts []string
		Pos   int

		Via     int         // 1 + index in Selection.Links of the reference that it goes through, 0 for none
		IsID    bool        // the entity's ID
		Key     string      // the property
		JSON    []string    // keys into the property's JSON value
		Type    value.Type  // declared type; zero when no model is known or inside JSON
		Default value.Value // what a missing property reads as
	}
	// Not negates a predicate.
	Not struct {
		X   Expr
		Pos int
	}
	// Neg is arithmetic negation.
	Neg struct {
		X   Expr
		Pos int
	}
	// Binary applies Op to two operands. AND and OR hold two predicates.
	Binary struct {
		Op   Op
		L, R Expr
		Pos  int // of the operator

		chain []Expr // the operands of the whole chain of AND or of OR that ends here; nil when not known
	}
	// In is X [NOT] IN (List…). After binding, List holds Literals only where
	// the text has literals or parameters.
	In struct {
		X    Expr
		List []Expr
		Not  bool
		Pos  int

		sorted  []value.Value // what List holds, nulls apart, when that is many literals
		hasNull bool          // with sorted: List holds a null
	}
	// Between is X [NOT] BETWEEN Lo AND Hi.
	Between struct {
		X, Lo, Hi Expr
		Not       bool
		Pos       int
	}
	// Like is X [NOT] LIKE Pattern, or ILIKE when Fold is set.
	Like struct {
		X, Pattern Expr
		Not, Fold  bool
		Pos        int

		matcher *matcher // of a Pattern that is a literal; nil before binding
	}
	// IsNull is X IS [NOT] NULL.
	IsNull struct {
		X   Expr
		Not bool
		Pos int
	}
)

func (*Literal) expr() {}
func (*Param) expr()   {}
func (*Path) expr()    {}
func (*Not) expr()     {}
func (*Neg) expr()     {}
func (*Binary) expr()  {}
func (*In) expr()      {}
func (*Between) expr() {}
func (*Like) expr()    {}
func (*IsNull) expr()  {}

// Func is an aggregate function.
type Func uint8

const (
	Count Func = iota + 1
	Sum
	Min
	Max
	Avg
)

// Aggregate is one item of SELECT: a function of a path's values over many
// rows. A nil Path is the * of COUNT(*).
type Aggregate struct {
	Func Func
	Path *Path
	Pos  int // byte offset in the query text
}

// OrderTerm is one term of ORDER BY.
type OrderTerm struct {
	Path       *Path
	Of         *Aggregate // in an aggregate selection, in place of Path
	Desc       bool
	NullsFirst bool // resolved: by default NULLs are last ascending, first descending (S47)
}

// Query is the parsed text, before binding.
type Query struct {
	Select []Aggregate // of an aggregate selection; nil: the rows themselves
	Where  Expr        // nil is TRUE
	Group  []*Path     // of an aggregate selection
	Order  []OrderTerm // NullsFirst resolved by the parser
	Limit  Expr        // a Literal with a non-negative integer, a Param, or nil
	After  Expr        // a Literal with a cursor's text, a Param, or nil

	text string // what was parsed, for the positions in errors of binding
}

// Selection is a bound query: what engines, the reactor and the evaluator
// take. It holds no Param and every Path is resolved. It is immutable.
type Selection struct {
	Collection string
	Where      Expr // nil is TRUE
	Order      []OrderTerm
	Limit      int     // -1 when there is none
	After      *Cursor // nil when there is none
	Links      []Link  // that its paths go through, each behind the one it comes from
}

// Windowed reports whether whether a row belongs to the result depends on more
// than the row: on other rows, or on what it refers to.
func (s *Selection) Windowed() bool { return s.Limit >= 0 || len(s.Links) > 0 }

// Link is a reference that paths go through: `artist` of `artist.name`.
type Link struct {
	From       int    // index of the link to the entity that has the reference, -1 for the row itself
	Key        string // of the reference
	Collection string // that it refers to

	// An entity for which Where is not TRUE, or that Allow denies, is not seen:
	// what lies behind it is NULL. Both may be nil.
	Where Expr
	Allow func(Row) bool
}

// Cursor is a position in an ordered result: the sort key of a row, one value
// for each ORDER BY term, and its ID. Rows after it come strictly later in the
// selection's order.
type Cursor struct {
	Key []value.Value
	ID  id.ID
}

// Row is what the evaluator reads: one entity.
type Row interface {
	// ID returns the entity's ID.
	ID() id.ID
	// Value returns the query value of the property stored under key, null
	// when it is missing.
	Value(key string) value.Value
}

// Linked is a row of a selection with links.
type Linked interface {
	Row
	// Link returns the existing entity that link k leads to, nil when the
	// reference is null or dangling or what it refers to is not seen.
	Link(k int) Row
}
