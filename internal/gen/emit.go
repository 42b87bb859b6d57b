package gen

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// emitter writes the generated file. Imports are named when they are first
// used, and written before everything else at the end.
type emitter struct {
	g       *generator
	b       bytes.Buffer
	imports map[string]string // path to name
	taken   map[string]bool   // names that an import cannot have
	root    string            // name of the root package
}

func (g *generator) emit() ([]byte, error) {
	e := &emitter{g: g, imports: map[string]string{}, taken: maps.Clone(locals)}
	for name := range g.pkg.names {
		e.taken[name] = true
	}
	for _, m := range g.models {
		for _, name := range m.generated() {
			e.taken[name] = true
		}
	}
	e.root = e.use(rootPath, "ankurah")
	for _, m := range g.models {
		e.model(m)
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s\n\npackage %s\n\n", Header, g.pkg.name)
	e.writeImports(&out)
	out.Write(e.b.Bytes())
	src, err := format.Source(out.Bytes())
	if err != nil {
		return nil, fmt.Errorf("the generated code is not Go, which is a bug of ankurah-gen: %w", err)
	}
	return src, nil
}

func (e *emitter) printf(format string, args ...any) { fmt.Fprintf(&e.b, format, args...) }

// use returns the name under which the generated file imports a package: want
// unless that is taken.
func (e *emitter) use(path, want string) string {
	if name, ok := e.imports[path]; ok {
		return name
	}
	name := want
	for k := 2; e.taken[name]; k++ {
		name = want + strconv.Itoa(k)
	}
	e.imports[path] = name
	e.taken[name] = true
	return name
}

// writeImports writes the standard library's packages, then the others.
func (e *emitter) writeImports(out *bytes.Buffer) {
	paths := slices.Sorted(maps.Keys(e.imports))
	write := func(std bool) {
		for _, path := range paths {
			first, _, _ := strings.Cut(path, "/")
			if strings.Contains(first, ".") == std {
				continue
			}
			if name := e.imports[path]; name != guessName(path) {
				fmt.Fprintf(out, "%s ", name)
			}
			fmt.Fprintf(out, "%q\n", path)
		}
	}
	out.WriteString("import (\n")
	write(true)
	out.WriteString("\n")
	write(false)
	out.WriteString(")\n")
}

// text returns a type of file f as the generated file spells it.
func (e *emitter) text(f *file, expr ast.Expr) string {
	start := e.g.position(expr.Pos()).Offset
	end := e.g.position(expr.End()).Offset
	var b strings.Builder
	ast.Inspect(expr, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := s.X.(*ast.Ident); ok {
			if path, ok := e.g.importOf(f, x.Name); ok {
				at := e.g.position(x.Pos()).Offset
				b.Write(f.src[start:at])
				b.WriteString(e.use(path, x.Name))
				start = at + len(x.Name)
			}
		}
		return true
	})
	b.Write(f.src[start:end])
	return b.String()
}

// comment writes text as a comment.
func (e *emitter) comment(text string) {
	for line := range strings.Lines(strings.TrimSpace(text)) {
		e.printf("%s\n", strings.TrimRight("// "+line, " \t\r\n"))
	}
}

func (e *emitter) model(m *model) {
	e.view(m)
	e.mutable(m)
	e.keys(m)
	e.binding(m)
	e.descriptors(m)
	e.compileGuard(m)
}

func (e *emitter) keys(m *model) {
	if len(m.fields) == 0 {
		return
	}
	e.printf("\n// Keys of the properties of [%s], as queries name them.\nconst (\n", m.name)
	for _, f := range m.fields {
		e.printf("%s = %q\n", m.keyConst(f), f.key)
	}
	e.printf(")\n")
}

func (e *emitter) descriptors(m *model) {
	if len(m.fields) == 0 {
		return
	}
	e.printf("\nvar (\n")
	for _, f := range m.fields {
		def := fmt.Sprintf("%s.Def{Name: %q, Key: %s", e.root, f.name, m.keyConst(f))
		if f.optional {
			def += ", Optional: true"
		}
		if f.def != "" {
			def += ", Default: " + f.def
		}
		if len(f.enum) > 0 {
			def += fmt.Sprintf(", Enum: %#v", f.enum)
		}
		e.printf("%s = %s\n", m.descriptor(f), e.property(m.file, f.shape, def+"}"))
	}
	e.printf(")\n")
}

// property returns the call that describes a property.
func (e *emitter) property(f *file, s *shape, def string) string {
	call := e.root + "." + makers[s.kind]
	switch {
	case s.kind == kindRef:
		return fmt.Sprintf("%s[%s](%q, %s)", call, e.text(f, s.model), s.collection, def)
	case s.kind == kindList:
		return fmt.Sprintf("%s(%s, %s)", call, e.property(f, s.elem, e.root+".Def{}"), def)
	case s.kind.generic():
		return fmt.Sprintf("%s[%s](%s)", call, e.text(f, s.expr), def)
	}
	return call + "(" + def + ")"
}

func (e *emitter) binding(m *model) {
	e.printf("\n// %s holds the entities of [%s].\n", m.plural, m.name)
	e.printf("var %s = %[2]s.Bind(%[2]s.Binding[%[3]s, %[3]sView, *%[3]sMutable]{\n", m.plural, e.root, m.name)
	e.printf("Name: %q,\nCollection: %q,\n", m.name, m.collection)
	if len(m.fields) > 0 {
		e.printf("Properties: []%s.AnyProperty{\n", e.root)
		e.wrapped(m)
		e.printf("},\n")
	}
	if len(m.indexes) > 0 {
		schema := e.use(schemaPath, "schema")
		e.printf("Indexes: []%s.Index{\n", schema)
		for _, x := range m.indexes {
			e.printf("{Columns: []%s.Column{", schema)
			for k, c := range x.columns {
				if k > 0 {
					e.printf(", ")
				}
				e.printf("{Path: %#v", c.path)
				if c.desc {
					e.printf(", Desc: true")
				}
				e.printf("}")
			}
			e.printf("}},\n")
		}
		e.printf("},\n")
	}
	e.printf("View: func(v %s.View) %[2]sView { return %[2]sView{v} },\n", e.root, m.name)
	e.printf("Edit: func(m %s.Mutable) *%[2]sMutable {\nreturn &%[2]sMutable{\nMutable: m,\n", e.root, m.name)
	for _, f := range m.fields {
		e.printf("%s: %s.%s(m),\n", f.name, m.descriptor(f), pick(f.optional, "OptionalField", "Field"))
	}
	e.printf("}\n},\nFill: func(m %s.Mutable, x *%s) {\n", e.root, m.name)
	for _, f := range m.fields {
		e.printf("%s.%s(m, x.%s)\n", m.descriptor(f), pick(f.optional, "WriteOptional", "Write"), f.name)
	}
	e.printf("},\n})\n")
}

// wrapped writes the descriptors, several on a line.
func (e *emitter) wrapped(m *model) {
	width := 0
	for k, f := range m.fields {
		name := m.descriptor(f)
		switch {
		case k > 0 && width+len(name) > 90:
			e.printf(",\n")
			width = 0
		case k > 0:
			e.printf(", ")
		}
		e.printf("%s", name)
		width += len(name) + 2
	}
	e.printf(",\n")
}

func (e *emitter) view(m *model) {
	view := m.name + "View"
	e.printf("\n")
	e.comment(paragraphs(fmt.Sprintf("%s is one [%s] at one moment: immutable, one pointer wide, comparable.", view, m.name), m.doc))
	e.printf("type %s struct{ %s.View }\n", view, e.root)
	commented := true
	for _, f := range m.fields {
		// Getters without a comment stand close together.
		doc := f.getterDoc()
		if commented || doc != "" {
			e.printf("\n")
		}
		commented = doc != ""
		e.comment(doc)
		e.printf("func (v %s) %s() ", view, f.name)
		if typ := e.text(m.file, f.shape.expr); f.optional {
			e.printf("(%s, bool) { return %s.Lookup(v.View) }\n", typ, m.descriptor(f))
		} else {
			e.printf("%s { return %s.Of(v.View) }\n", typ, m.descriptor(f))
		}
	}
	e.printf("\n// Ref returns a reference to the entity.\nfunc (v %s) Ref() %[2]s.Ref[%[3]s] { return %[2]s.RefTo[%[3]s](v) }\n", view, e.root, m.name)
	e.printf("\n// Equal reports whether both show the same version of the same entity.\nfunc (v %s) Equal(o %[1]s) bool { return v.View.SameVersion(o.View) }\n", view)
	e.printf("\n// Snapshot returns a copy as a plain struct.\nfunc (v %s) Snapshot() %[2]s {\nreturn %[2]s{\n", view, m.name)
	for _, f := range m.fields {
		e.printf("%s: %s.%s(v.View),\n", f.name, m.descriptor(f), pick(f.optional, "Pointer", "Of"))
	}
	e.printf("}\n}\n")
}

// getterDoc returns the comment of the getter, made of those above and behind
// the field.
func (f *field) getterDoc() string {
	if f.doc == "" && f.comment != "" {
		return f.name + ": " + f.comment
	}
	return paragraphs(f.doc, f.comment)
}

func (e *emitter) mutable(m *model) {
	mutable := m.name + "Mutable"
	e.printf("\n// %s is one [%s] that a transaction edits.\n", mutable, m.name)
	e.printf("type %s struct {\n%s.Mutable\n", mutable, e.root)
	for _, f := range m.fields {
		if f.doc != "" {
			e.comment(f.doc)
		}
		e.printf("%s %s.%s[%s]", f.name, e.root, pick(f.optional, "OptionalField", "Field"), e.text(m.file, f.shape.expr))
		if line := strings.Join(strings.Fields(f.comment), " "); line != "" {
			e.printf(" // %s", line)
		}
		e.printf("\n")
	}
	e.printf("}\n")
	e.printf("\n// Ref returns a reference to the entity.\nfunc (m *%s) Ref() %[2]s.Ref[%[3]s] { return %[2]s.RefTo[%[3]s](m) }\n", mutable, e.root, m.name)
	e.printf("\n// View returns the entity as the transaction sees it.\nfunc (m *%s) View() %[2]sView { return %[2]sView{m.Read()} }\n", mutable, m.name)
}

// compileGuard writes a conversion that compiles only between structs of the
// same fields.
func (e *emitter) compileGuard(m *model) {
	e.printf("\n// When this does not compile, %s has changed: run go generate.\n", m.name)
	e.printf("var _ = %s(struct {\n", m.name)
	for _, f := range m.guard {
		e.printf("%s %s\n", f.name, e.text(m.file, f.expr))
	}
	e.printf("}{})\n")
}

// paragraphs joins the texts that are not empty.
func paragraphs(texts ...string) string {
	var out []string
	for _, t := range texts {
		if t = strings.TrimSpace(t); t != "" {
			out = append(out, t)
		}
	}
	return strings.Join(out, "\n\n")
}

func pick(cond bool, yes, no string) string {
	if cond {
		return yes
	}
	return no
}
