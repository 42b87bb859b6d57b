package gen

import (
	"go/ast"
	"go/token"
	"strconv"
)

// kind is what the values of a property are.
type kind uint8

const (
	kindString kind = iota
	kindBool
	kindInt32
	kindInt64
	kindFloat64
	kindBytes
	kindTime
	kindID
	kindRef
	kindJSON
	kindList
)

// makers are the functions of the root package that describe a property.
var makers = [...]string{
	kindString: "StringProperty", kindBool: "BoolProperty", kindInt32: "Int32Property", kindInt64: "Int64Property",
	kindFloat64: "Float64Property", kindBytes: "BytesProperty", kindTime: "TimeProperty", kindID: "IDProperty",
	kindRef: "RefProperty", kindJSON: "JSONProperty", kindList: "ListProperty",
}

// generic reports whether the maker of k takes the Go type.
func (k kind) generic() bool { return k <= kindBytes }

// basics are the predeclared types that can be stored.
var basics = map[string]kind{
	"string": kindString, "bool": kindBool,
	"int8": kindInt32, "int16": kindInt32, "int32": kindInt32, "rune": kindInt32, "uint8": kindInt32, "byte": kindInt32, "uint16": kindInt32,
	"int": kindInt64, "int64": kindInt64, "uint32": kindInt64,
	"float32": kindFloat64, "float64": kindFloat64,
}

// refused says why other predeclared types cannot be stored.
var refused = map[string]string{
	"uint": tooWide, "uint64": tooWide, "uintptr": tooWide,
	"complex64": noComplex, "complex128": noComplex,
	"any": noInterface, "error": noInterface, "comparable": noInterface,
}

const (
	tooWide      = "values above int64 do not fit: use int64"
	noComplex    = "complex numbers cannot be stored: use two fields"
	noInterface  = "interfaces cannot be stored: use ankurah.JSON for values of several types"
	noMap        = "maps cannot be stored: use ankurah.JSON"
	noStruct     = "structs cannot be stored in one property: use ankurah.JSON, or a model of its own and ankurah.Ref"
	noChan       = "channels cannot be stored"
	noFunc       = "functions cannot be stored"
	noArray      = "arrays cannot be stored: use a slice"
	noPointer    = "a pointer means an optional property and can only stand in front of the whole type"
	noGeneric    = "generic types cannot be stored"
	listOfList   = "lists of lists cannot be stored: use ankurah.JSON"
	listOfJSON   = "lists of documents cannot be stored: use one ankurah.JSON that holds a list"
	listOfPtr    = "lists of pointers cannot be stored: the elements of a list are never missing"
	onlyScalars  = "a type of its own can be made of a bool, number, string or []byte only"
	embedRefused = "embedded structs are refused: name the field"
)

// shape is the type of a property.
type shape struct {
	kind       kind
	basic      string   // predeclared type of a bool, number or string
	elem       *shape   // of a list
	expr       ast.Expr // as written, without the pointer
	model      ast.Expr // of a reference: the model's type
	collection string   // of a reference
	name       string   // of a reference: the model's name
}

// maxDepth bounds the definitions that lead from a named type to its scalar.
const maxDepth = 64

// classify says what a field of type e holds, or what is wrong with it.
func (g *generator) classify(f *file, e ast.Expr, depth int) (s *shape, problem string) {
	switch t := e.(type) {
	case *ast.ParenExpr:
		return g.classify(f, t.X, depth)
	case *ast.Ident:
		return g.classifyName(f, t, depth)
	case *ast.SelectorExpr:
		return g.classifySelector(f, t, depth)
	case *ast.IndexExpr:
		if x, ok := t.X.(*ast.SelectorExpr); !ok || !g.isRoot(f, x, "Ref") {
			return nil, noGeneric
		}
		name, collection, problem := g.referred(f, t.Index, depth)
		return &shape{kind: kindRef, expr: e, model: t.Index, name: name, collection: collection}, problem
	case *ast.IndexListExpr:
		return nil, noGeneric
	case *ast.ArrayType:
		if t.Len != nil {
			return nil, noArray
		}
		return g.classifyList(f, t, depth)
	case *ast.StarExpr:
		return nil, noPointer
	case *ast.MapType:
		return nil, noMap
	case *ast.StructType:
		return nil, noStruct
	case *ast.ChanType:
		return nil, noChan
	case *ast.FuncType:
		return nil, noFunc
	case *ast.InterfaceType:
		return nil, noInterface
	}
	return nil, "this is not a type"
}

func (g *generator) classifyName(f *file, id *ast.Ident, depth int) (*shape, string) {
	if t := f.pkg.types[id.Name]; t != nil {
		return g.classifyNamed(t, id, depth)
	}
	if _, ok := f.pkg.names[id.Name]; ok {
		return nil, id.Name + " is not a type"
	}
	if k, ok := basics[id.Name]; ok {
		return &shape{kind: k, basic: id.Name, expr: id}, ""
	}
	if problem, ok := refused[id.Name]; ok {
		return nil, problem
	}
	return nil, "the type " + id.Name + " is not declared in this package"
}

func (g *generator) classifySelector(f *file, e *ast.SelectorExpr, depth int) (*shape, string) {
	x, ok := e.X.(*ast.Ident)
	if !ok {
		return nil, "this is not a type"
	}
	path, ok := g.importOf(f, x.Name)
	if !ok {
		return nil, notImported(x.Name)
	}
	name := e.Sel.Name
	switch {
	case path == rootPath && name == "ID", path == idPath && name == "ID":
		return &shape{kind: kindID, expr: e}, ""
	case path == rootPath && name == "JSON":
		return &shape{kind: kindJSON, expr: e}, ""
	case path == rootPath && name == "Ref":
		return nil, "a reference names its model: ankurah.Ref[Model]"
	case path == "time" && name == "Time":
		return &shape{kind: kindTime, expr: e}, ""
	}
	p := g.importPkg(path)
	if p == nil {
		return nil, "what " + x.Name + "." + name + " is cannot be seen: " + g.unread[path]
	}
	t := p.types[name]
	if t == nil {
		return nil, "package " + strconv.Quote(path) + " declares no type " + name
	}
	return g.classifyNamed(t, e, depth)
}

func notImported(name string) string {
	return "no import is known to be called " + name + ": write the name before its path"
}

// classifyNamed classifies the use e of a declared type.
func (g *generator) classifyNamed(t *typeDecl, e ast.Expr, depth int) (*shape, string) {
	name := t.spec.Name.Name
	if depth++; depth > maxDepth {
		return nil, "the type " + name + " is made of itself"
	}
	if t.spec.TypeParams != nil {
		return nil, noGeneric
	}
	if _, ok := collectionOf(t); ok {
		return nil, "an entity is referred to, not contained: use ankurah.Ref[" + name + "]"
	}
	s, problem := g.classify(t.file, t.spec.Type, depth)
	if problem != "" {
		return nil, problem
	}
	alias := t.spec.Assign.IsValid()
	switch s.kind {
	case kindTime, kindID, kindJSON:
		if !alias {
			return nil, onlyScalars
		}
	case kindRef, kindList:
		return nil, onlyScalars
	}
	s.expr = e
	return s, ""
}

func (g *generator) classifyList(f *file, t *ast.ArrayType, depth int) (*shape, string) {
	if _, ok := ast.Unparen(t.Elt).(*ast.StarExpr); ok {
		return nil, listOfPtr
	}
	elem, problem := g.classify(f, t.Elt, depth)
	if problem != "" {
		return nil, problem
	}
	switch elem.kind {
	case kindList:
		return nil, listOfList
	case kindJSON:
		return nil, listOfJSON
	}
	if id, ok := ast.Unparen(t.Elt).(*ast.Ident); ok && (id.Name == "byte" || id.Name == "uint8") && elem.basic == id.Name {
		return &shape{kind: kindBytes, expr: t}, ""
	}
	return &shape{kind: kindList, elem: elem, expr: t}, ""
}

// isRoot reports whether e is name of the root package.
func (g *generator) isRoot(f *file, e *ast.SelectorExpr, name string) bool {
	x, ok := e.X.(*ast.Ident)
	if !ok || e.Sel.Name != name {
		return false
	}
	path, ok := g.importOf(f, x.Name)
	return ok && path == rootPath
}

// referred returns the name and the collection of the model that a reference names.
func (g *generator) referred(f *file, e ast.Expr, depth int) (name, collection, problem string) {
	var t *typeDecl
	switch e := e.(type) {
	case *ast.ParenExpr:
		return g.referred(f, e.X, depth)
	case *ast.Ident:
		if t = f.pkg.types[e.Name]; t == nil {
			return "", "", "the model " + e.Name + " is not declared in this package"
		}
	case *ast.SelectorExpr:
		x, ok := e.X.(*ast.Ident)
		if !ok {
			return "", "", "a reference names a model"
		}
		path, ok := g.importOf(f, x.Name)
		if !ok {
			return "", "", notImported(x.Name)
		}
		p := g.importPkg(path)
		if p == nil {
			collection = Snake(e.Sel.Name)
			return e.Sel.Name, collection, collectionProblem(collection)
		}
		if t = p.types[e.Sel.Name]; t == nil {
			return "", "", "package " + strconv.Quote(path) + " declares no type " + e.Sel.Name
		}
	default:
		return "", "", "a reference names a model"
	}
	name = t.spec.Name.Name
	if collection, ok := collectionOf(t); ok {
		if t.file.pkg == g.pkg {
			return name, collection, "" // what is wrong with it is said there
		}
		return name, collection, collectionProblem(collection)
	}
	if depth++; t.spec.Assign.IsValid() && depth <= maxDepth {
		return g.referred(t.file, t.spec.Type, depth)
	}
	return "", "", name + " is not a model: a model has the directive //ankurah:model"
}

// unknownImports reports the packages in e that no import is known to name.
func (g *generator) unknownImports(f *file, e ast.Expr) bool {
	found := false
	ast.Inspect(e, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && f.pkg.names[x.Name] == token.NoPos {
				if _, ok := g.importOf(f, x.Name); !ok {
					g.errorf(x.Pos(), "%s", notImported(x.Name))
					found = true
				}
			}
		}
		return true
	})
	return found
}
