package gen

import (
	"go/token"
	"strconv"
)

// locals are the names that generated functions use for themselves.
var locals = map[string]bool{"m": true, "o": true, "v": true, "x": true}

// generated returns the package-level names that m's code declares.
func (m *model) generated() []string {
	names := []string{m.name + "View", m.name + "Mutable", m.plural}
	for _, f := range m.fields {
		names = append(names, m.keyConst(f), m.descriptor(f))
	}
	return names
}

// keyConst is the name of the constant with the field's key.
func (m *model) keyConst(f *field) string { return m.name + "Field" + f.name }

// descriptor is the name of the variable that describes the property.
func (m *model) descriptor(f *field) string { return unexported(m.name) + f.name }

// checkNames reports generated names that something else has already.
func (g *generator) checkNames() {
	owner := map[string]*model{}
	for _, m := range g.models {
		if locals[m.name] {
			g.errorf(m.pos, "%s is a name that the generated functions use for themselves", m.name)
		}
		for _, name := range m.generated() {
			hint := ""
			if name == m.plural {
				hint = ": //ankurah:model plural=… names the collection variable otherwise"
			}
			if pos, ok := g.pkg.names[name]; ok {
				g.errorf(m.pos, "%s is generated for %s, and %s declares it already%s", name, m.name, g.at(pos), hint)
			} else if pos, ok := g.importNamed(name); ok {
				g.errorf(m.pos, "%s is generated for %s, and %s imports a package under that name%s", name, m.name, g.at(pos), hint)
			} else if first := owner[name]; first != nil {
				g.errorf(m.pos, "%s is generated for %s and for %s%s", name, m.name, first.name, hint)
			}
			owner[name] = m
		}
	}
}

// importNamed returns where a file of the package imports something as name.
func (g *generator) importNamed(name string) (token.Pos, bool) {
	for _, f := range g.pkg.files {
		for _, imp := range f.ast.Imports {
			if path, err := strconv.Unquote(imp.Path.Value); err == nil && imp.Name == nil && guessName(path) == name || imp.Name != nil && imp.Name.Name == name {
				return imp.Pos(), true
			}
		}
	}
	return token.NoPos, false
}
