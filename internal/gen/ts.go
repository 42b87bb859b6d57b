package gen

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// DefaultTypeScript is the usual name of the generated TypeScript file.
const DefaultTypeScript = "models.gen.ts"

const clientPackage = "@ankurah/client"

// kindNames are the kinds of properties as the TypeScript client calls them.
var kindNames = [...]string{
	kindString: "string", kindBool: "bool", kindInt32: "int32", kindInt64: "int64", kindFloat64: "float64", kindBytes: "bytes",
	kindTime: "time", kindID: "id", kindRef: "id", kindJSON: "json",
}

// reserved are the words that TypeScript does not take as names of types and
// values, and that Go takes as the name of a model.
var reserved = map[string]bool{}

func init() {
	for _, w := range strings.Fields(`any await bigint boolean catch class declare delete do enum eval export extends false finally
		function implements in instanceof interface let module never new null number object package private protected public
		static string super symbol this throw true try type typeof undefined unknown void while with yield arguments`) {
		reserved[w] = true
	}
}

// GenerateTypeScript returns the TypeScript file of a package's models: types
// of their rows and of what they are made of, and a value that describes each
// to the client. Its error is like that of [Generate].
func GenerateTypeScript(s Source) ([]byte, error) {
	g, err := read(s)
	if err != nil {
		return nil, err
	}
	e := &tsEmitter{g: g, declared: map[string]bool{}, used: map[string]string{}}
	if e.checkNames(); len(g.errs) > 0 {
		return nil, g.errors()
	}
	return e.file(), nil
}

// tsEmitter writes the TypeScript file.
type tsEmitter struct {
	g        *generator
	b        strings.Builder
	declared map[string]bool   // names that the file declares
	used     map[string]string // types of the client: what each is called here
}

func (e *tsEmitter) printf(format string, args ...any) { fmt.Fprintf(&e.b, format, args...) }

// checkNames reports what cannot be named in TypeScript as it is in Go.
func (e *tsEmitter) checkNames() {
	named := map[string]*model{} // by both of their names, as queries call them
	for _, m := range e.g.models {
		for _, name := range []string{m.name, m.collection} {
			if first := named[name]; first != nil && first != m {
				e.g.errorf(m.pos, "%s names two models in TypeScript, %s and %s: give one of them another name", name, first.name, m.name)
			}
			named[name] = m
		}
		if reserved[m.name] {
			e.g.errorf(m.pos, "%s is a word of TypeScript: give the model another name", m.name)
		}
		for _, name := range []string{m.name, m.name + "Input", m.name + "Patch"} {
			if e.declared[name] {
				e.g.errorf(m.pos, "%s is generated for two models in TypeScript: give %s another name", name, m.name)
			}
			e.declared[name] = true
		}
		first := map[string]*field{}
		for _, f := range m.fields {
			name := f.camel()
			switch o := first[name]; {
			case name == "id":
				e.g.errorf(f.pos, "%s is called id in TypeScript, which is the entity's ID: give the field another name", f.name)
			case o != nil:
				e.g.errorf(f.pos, "%s and %s are both called %s in TypeScript: give one of them another name", o.name, f.name, name)
			}
			first[name] = f
		}
	}
}

// camel returns the name of the property in TypeScript.
func (f *field) camel() string {
	ws := words(f.name)
	for k, w := range ws {
		r := []rune(strings.ToLower(w))
		if k > 0 {
			r[0] = unicode.ToUpper(r[0])
		}
		ws[k] = string(r)
	}
	return strings.Join(ws, "")
}

// client returns what a type of the client package is called in the file.
func (e *tsEmitter) client(name string) string {
	as, ok := e.used[name]
	if !ok {
		for as = name; e.declared[as]; {
			as += "_"
		}
		e.declared[as] = true
		e.used[name] = as
	}
	return as
}

// global returns a type of the language, past a model of the same name.
func (e *tsEmitter) global(name string) string {
	if e.declared[name] {
		return "globalThis." + name
	}
	return name
}

func (e *tsEmitter) file() []byte {
	describe := e.client("model")
	for _, m := range e.g.models {
		e.model(m, describe)
	}
	e.printf("\ndeclare module %q {\n", clientPackage)
	e.registry("Models", "")
	e.registry("Inputs", "Input")
	e.printf("}\n")

	var out strings.Builder
	fmt.Fprintf(&out, "%s\n\n", Header)
	fmt.Fprintf(&out, "import { %s } from %q;\n", imported("model", describe), clientPackage)
	var types []string
	for _, name := range []string{"EntityId", "Int64", "Json", "Ref", "RefInput"} {
		if as, ok := e.used[name]; ok {
			types = append(types, imported(name, as))
		}
	}
	if len(types) > 0 {
		fmt.Fprintf(&out, "import type { %s } from %q;\n", strings.Join(types, ", "), clientPackage)
	}
	return []byte(out.String() + e.b.String())
}

func imported(name, as string) string {
	if name == as {
		return name
	}
	return name + " as " + as
}

// registry adds the models to an interface of the client, by both of their
// names.
func (e *tsEmitter) registry(name, suffix string) {
	e.printf("  interface %s {\n", name)
	for _, m := range e.g.models {
		e.printf("    %s: %s;\n", m.name, m.name+suffix)
		if m.collection != m.name {
			e.printf("    %s: %s;\n", m.collection, m.name+suffix)
		}
	}
	e.printf("  }\n")
}

func (e *tsEmitter) model(m *model, describe string) {
	e.printf("\n")
	e.comment("", m.doc)
	e.printf("export interface %s {\n  readonly id: %s<%q>;\n", m.name, e.client("EntityId"), m.name)
	for _, f := range m.fields {
		e.comment("  ", f.tsDoc())
		e.printf("  readonly %s%s: %s;\n", f.camel(), pick(f.optional, "?", ""), e.row(f.shape, f.enum))
	}
	e.printf("}\n\n/** What %s is made of. */\nexport interface %[2]sInput {\n", article(m.name), m.name)
	for _, f := range m.fields {
		e.comment("  ", f.tsDoc())
		e.printf("  %s%s: %s%s;\n", f.camel(), pick(f.optional, "?", ""), e.input(f.shape, f.enum), pick(f.optional, " | null", ""))
	}
	e.printf("}\n\n/** What an edit of %s changes. */\nexport type %[2]sPatch = %[3]s<%[2]sInput>;\n\n", article(m.name), m.name, e.global("Partial"))
	e.comment("", m.doc)
	e.printf("export const %s = %s<%[1]s, %[1]sInput>(%[3]q, %[4]q, {", m.name, describe, m.name, m.collection)
	for _, f := range m.fields {
		e.printf("\n  %s: %s,", f.camel(), f.stored())
	}
	e.printf("%s}", pick(len(m.fields) > 0, "\n", ""))
	first := true
	for _, f := range m.fields {
		if f.optional {
			continue
		}
		e.printf("%s\n  %s: %s,", pick(first, ", {", ""), f.camel(), e.missing(f))
		first = false
	}
	e.printf("%s);\n", pick(first, "", "\n}"))
}

func article(name string) string {
	if strings.ContainsRune("AEIOaeio", rune(name[0])) {
		return "an " + name
	}
	return "a " + name
}

// tsDoc returns the comment of the property.
func (f *field) tsDoc() string {
	doc := paragraphs(f.doc, f.comment)
	if sel, ok := f.shape.expr.(*ast.SelectorExpr); ok && f.shape.kind == kindInt64 && sel.Sel.Name == "Duration" {
		doc = paragraphs(doc, "In nanoseconds.")
	}
	return doc
}

// comment writes text as a doc comment.
func (e *tsEmitter) comment(indent, text string) {
	text = strings.ReplaceAll(strings.TrimSpace(text), "*/", "*\\/")
	lines := strings.Split(text, "\n")
	switch {
	case text == "":
	case len(lines) == 1:
		e.printf("%s/** %s */\n", indent, text)
	default:
		e.printf("%s/**\n", indent)
		for _, line := range lines {
			e.printf("%s\n", strings.TrimRight(indent+" * "+line, " \t\r"))
		}
		e.printf("%s */\n", indent)
	}
}

// row returns the type of a property that is read.
func (e *tsEmitter) row(s *shape, enum []string) string {
	switch s.kind {
	case kindString:
		if len(enum) == 0 {
			return "string"
		}
		var list []string
		for _, text := range enum {
			list = append(list, quoteTS(text))
		}
		return strings.Join(list, " | ")
	case kindBool:
		return "boolean"
	case kindInt64:
		if s.basic != "uint32" {
			return e.client("Int64")
		}
	case kindBytes:
		return e.global("Uint8Array")
	case kindTime:
		return e.global("Date")
	case kindID:
		return e.client("EntityId")
	case kindRef:
		return fmt.Sprintf("%s<%q>", e.client("Ref"), s.name)
	case kindJSON:
		return e.client("Json")
	case kindList:
		return "readonly " + e.row(s.elem, nil) + "[]"
	}
	return "number"
}

// input returns the type of what a property is set to.
func (e *tsEmitter) input(s *shape, enum []string) string {
	switch s.kind {
	case kindID:
		return e.client("RefInput")
	case kindRef:
		return fmt.Sprintf("%s<%q>", e.client("RefInput"), s.name)
	}
	return e.row(s, enum)
}

// stored says how the client stores the property.
func (f *field) stored() string {
	var kind string
	if s := f.shape; s.kind == kindList {
		kind = quoteTS("list<" + kindNames[s.elem.kind] + ">")
	} else {
		kind = quoteTS(kindNames[s.kind])
	}
	if plainKey(f.camel()) == f.key {
		return kind
	}
	return "[" + quoteTS(f.key) + ", " + kind + "]"
}

// plainKey returns the key that the client takes a name without one for.
func plainKey(name string) string {
	var b strings.Builder
	for _, r := range name {
		if 'A' <= r && r <= 'Z' {
			b.WriteByte('_')
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// missing returns what a property reads as that an entity does not have.
func (e *tsEmitter) missing(f *field) string {
	if f.def != "" {
		return e.literal(f)
	}
	switch f.shape.kind {
	case kindString:
		// The zero of an enum is no text of it, in Go too.
		return `""` + pick(len(f.enum) > 0, " as never", "")
	case kindID, kindRef:
		return `"" as never`
	case kindBool:
		return "false"
	case kindBytes:
		return "new " + e.global("Uint8Array") + "()"
	case kindTime:
		return "new " + e.global("Date") + `("0001-01-01T00:00:00Z")`
	case kindJSON:
		return "null"
	case kindList:
		return "[]"
	}
	return "0"
}

// literal returns the default of a field.
func (e *tsEmitter) literal(f *field) string {
	switch f.shape.kind {
	case kindString:
		text, _ := strconv.Unquote(f.def)
		return quoteTS(text)
	case kindTime:
		text, _ := strconv.Unquote(f.def)
		t, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			t, _ = time.Parse(time.DateOnly, text)
		}
		return "new " + e.global("Date") + "(" + strconv.Quote(t.UTC().Truncate(time.Millisecond).Format(time.RFC3339Nano)) + ")"
	case kindInt64:
		digits := strings.TrimSuffix(strings.TrimPrefix(f.def, "int64("), ")")
		if n, _ := new(big.Int).SetString(digits, 10); n.CmpAbs(big.NewInt(1<<53-1)) > 0 {
			return digits + "n"
		}
		return digits
	}
	return f.def
}

// quoteTS returns a text as TypeScript writes it; strings of JSON are strings
// of it.
func quoteTS(text string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(text); err != nil {
		panic(err) // texts can always be encoded
	}
	return strings.TrimSuffix(b.String(), "\n")
}
