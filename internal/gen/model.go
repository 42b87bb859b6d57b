package gen

import (
	"go/ast"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxName bounds names and keys, in bytes.
const maxName = 128

// model is a struct to generate code for.
type model struct {
	file       *file
	pos        token.Pos
	name       string
	collection string
	plural     string
	doc        string
	body       *ast.StructType
	indexing   []directive
	fields     []*field
	broken     map[string]bool // keys of fields that something is wrong with
	guard      []member
	indexes    []index
}

// field is a stored field of a model.
type field struct {
	pos      token.Pos
	name     string
	key      string
	doc      string // above the field
	comment  string // behind the field
	shape    *shape
	optional bool
	def      string // Go expression of the default, "" without one
	enum     []string
	index    bool
}

// member is any field of a model, as the compile guard repeats it.
type member struct {
	name string // "" of an embedded field
	expr ast.Expr
}

// names that fields cannot have: the methods and fields of views and mutables.
var methods = map[string]bool{
	"Delete": true, "Equal": true, "Head": true, "ID": true, "IsZero": true, "Mutable": true,
	"Read": true, "Ref": true, "SameVersion": true, "Snapshot": true, "String": true, "View": true,
}

// findModels finds the structs with a model directive, and reports directives
// that stand elsewhere.
func (g *generator) findModels() {
	used := map[token.Pos]bool{}
	for _, f := range g.pkg.files {
		if f.constrained {
			continue
		}
		for _, d := range f.ast.Decls {
			decl, ok := d.(*ast.GenDecl)
			if !ok || decl.Tok != token.TYPE {
				continue
			}
			for _, s := range decl.Specs {
				spec := s.(*ast.TypeSpec)
				doc := spec.Doc
				if !decl.Lparen.IsValid() {
					doc = decl.Doc
				}
				g.findModel(f, spec, doc, used)
			}
		}
	}
	g.strayDirectives(used)
	if len(g.models) == 0 && len(g.errs) == 0 {
		g.errorf(g.pkg.files[0].ast.Package, "package %s has no model: put //ankurah:model right above a struct type", g.pkg.name)
	}
}

func (g *generator) findModel(f *file, spec *ast.TypeSpec, doc *ast.CommentGroup, used map[token.Pos]bool) {
	ds := directives(doc)
	_, isStruct := spec.Type.(*ast.StructType)
	if doc != nil && isStruct {
		for _, c := range doc.List {
			if m := spaced.FindStringSubmatch(c.Text); m != nil {
				g.errorf(c.Pos(), "a directive has no space behind the slashes: //ankurah:%s", m[1])
			}
		}
	}
	d, ok := modelDirective(ds)
	if !ok {
		if len(ds) > 0 && ds[0].verb == "index" && isStruct {
			g.errorf(ds[0].pos, "%s has an index but is no model: the directive //ankurah:model is missing", spec.Name.Name)
			for _, d := range ds {
				used[d.pos] = true
			}
		}
		return
	}
	m := &model{file: f, pos: spec.Name.Pos(), name: spec.Name.Name, doc: doc.Text(), broken: map[string]bool{}}
	for _, x := range ds {
		switch {
		case x.verb == "index":
			m.indexing = append(m.indexing, x)
		case x.verb != "model":
			continue // strayDirectives knows better
		case x.pos != d.pos:
			g.errorf(x.pos, "%s is declared a model twice", m.name)
		}
		used[x.pos] = true
	}
	m.collection, m.plural = Snake(m.name), Plural(m.name)
	if m.name == "_" {
		g.errorf(m.pos, "a model needs a name")
		return
	}
	g.modelOptions(m, d)
	switch {
	case spec.Assign.IsValid():
		g.errorf(m.pos, "%s is an alias: a model is a struct type of its own", m.name)
	case spec.TypeParams != nil:
		g.errorf(spec.TypeParams.Pos(), "%s is generic: a model has no type parameters", m.name)
	case !isStruct:
		g.errorf(m.pos, "%s is no struct: a model is a struct type", m.name)
	default:
		m.body = spec.Type.(*ast.StructType)
		g.models = append(g.models, m)
	}
}

func (g *generator) modelOptions(m *model, d directive) {
	seen := map[string]bool{}
	pos := m.pos
	for _, o := range d.options() {
		switch {
		case seen[o.name]:
			g.errorf(o.pos, "%s is given twice", o.name)
		case o.name == "name":
			m.collection, pos = o.value, o.pos
		case o.name == "plural" && !token.IsIdentifier(o.value):
			g.errorf(o.pos, "plural= gives the collection variable its name: %q is no Go identifier", o.value)
		case o.name == "plural":
			m.plural = o.value
		default:
			g.errorf(o.pos, "unknown option %q: the options are name= and plural=", o.name)
		}
		seen[o.name] = true
	}
	if problem := collectionProblem(m.collection); problem != "" {
		g.errorf(pos, "%s", problem)
	}
}

// collectionProblem says why a collection cannot be called name, "" when it can.
func collectionProblem(name string) string {
	ok := name != "" && len(name) <= maxName
	for k := range len(name) {
		c := name[k]
		ok = ok && (c == '_' || 'a' <= c && c <= 'z' || k > 0 && '0' <= c && c <= '9')
	}
	switch {
	case strings.HasPrefix(name, "_"):
		return "collection " + strconv.Quote(name) + ": names that begin with an underscore belong to the system"
	case !ok:
		return "collection " + strconv.Quote(name) + ": a name has 1 to " + strconv.Itoa(maxName) + " lower-case letters, digits and underscores, no digit first; //ankurah:model name=… gives another"
	}
	return ""
}

// checkModels reads the fields of the models.
func (g *generator) checkModels() {
	collections := map[string]*model{}
	for _, m := range g.models {
		if first := collections[m.collection]; first != nil {
			g.errorf(m.pos, "%s and %s are one collection, %s: give one of them another with //ankurah:model name=…", m.name, first.name, m.collection)
		} else {
			collections[m.collection] = m
		}
		if dot := m.file.dot; dot.IsValid() {
			g.errorf(dot, "a dot import hides where the types of models come from: import the package by its name")
			m.file.dot = token.NoPos // once is enough
			continue
		}
		keys := map[string]*field{}
		for _, f := range m.body.Fields.List {
			g.readField(m, f, keys)
		}
		for _, f := range m.fields {
			if f.index {
				g.addIndex(m, f.pos, index{[]column{{path: []string{f.key}}}})
			}
		}
		for _, d := range m.indexing {
			x, problem := parseIndex(d.args)
			if problem != "" {
				g.errorf(d.pos, "%s", problem)
				continue
			}
			g.addIndex(m, d.pos, x)
		}
	}
	g.checkNames()
}

// readField reads one line of a struct.
func (g *generator) readField(m *model, f *ast.Field, keys map[string]*field) {
	var t tag
	ok := true
	if f.Tag != nil {
		var problems []string
		t, problems = parseTag(f.Tag.Value)
		for _, p := range problems {
			g.errorf(f.Tag.Pos(), "%s", p)
		}
		ok = len(problems) == 0
	}
	if len(f.Names) == 0 {
		if !t.skip {
			g.errorf(f.Pos(), "%s", embedRefused)
		} else if !g.unknownImports(m.file, f.Type) {
			m.guard = append(m.guard, member{"", f.Type})
		}
		return
	}
	for _, id := range f.Names {
		m.guard = append(m.guard, member{id.Name, f.Type})
	}
	if t.skip {
		g.unknownImports(m.file, f.Type)
		return
	}
	expr := ast.Unparen(f.Type)
	star, optional := expr.(*ast.StarExpr)
	if optional {
		expr = ast.Unparen(star.X)
	}
	shape, problem := g.classify(m.file, expr, 0)
	if problem != "" {
		g.errorf(f.Type.Pos(), "%s", problem)
		ok = false
	}
	for _, id := range f.Names {
		p := &field{pos: id.Pos(), name: id.Name, key: t.key, doc: f.Doc.Text(), comment: f.Comment.Text(), shape: shape, optional: optional, enum: t.enum, index: t.index}
		if p.key == "" {
			p.key = Snake(p.name)
		}
		if g.checkField(p, keys) && ok && g.checkValues(p, t, f.Tag) {
			m.fields = append(m.fields, p)
		} else {
			m.broken[p.key] = true
		}
	}
}

// checkField checks the name and the key of a field.
func (g *generator) checkField(p *field, keys map[string]*field) bool {
	problem := ""
	switch {
	case !ast.IsExported(p.name):
		problem = p.name + " is unexported: export it, or skip it with the tag `ankurah:\"-\"`"
	case methods[p.name]:
		problem = p.name + " is the name of a method of views or mutables: name the field otherwise; the tag keeps its key"
	case strings.HasPrefix(p.key, "_"):
		problem = "key " + strconv.Quote(p.key) + ": keys that begin with an underscore belong to the system"
	case p.key == "id":
		problem = `the key "id" is the entity's ID: give the field another key with its tag`
	case !validKey(p.key):
		problem = "key " + strconv.Quote(p.key) + ": a key has 1 to " + strconv.Itoa(maxName) + " bytes of UTF-8 without control characters"
	case keys[p.key] != nil:
		problem = p.name + " and " + keys[p.key].name + " have one key, " + p.key + ": give one of them another with its tag"
	}
	if problem != "" {
		g.errorf(p.pos, "%s", problem)
		return false
	}
	keys[p.key] = p
	return true
}

func validKey(key string) bool {
	return key != "" && len(key) <= maxName && utf8.ValidString(key) &&
		strings.IndexFunc(key, func(r rune) bool { return r < ' ' || r == 0x7F }) < 0
}

// checkValues checks the enum and the default of a field.
func (g *generator) checkValues(p *field, t tag, at *ast.BasicLit) bool {
	problem := ""
	if len(t.enum) > 0 && p.shape.kind != kindString {
		problem = "enum is for strings"
	}
	if t.def != nil && problem == "" {
		p.def, problem = p.shape.literal(*t.def)
		if problem == "" && len(t.enum) > 0 && !slices.Contains(t.enum, *t.def) {
			problem = "the default " + strconv.Quote(*t.def) + " is not in the enum"
		}
	}
	if problem != "" {
		g.errorf(at.Pos(), "%s", problem)
	}
	return problem == ""
}
