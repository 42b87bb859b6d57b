package gen

import (
	"go/ast"
	"go/token"
	"regexp"
	"strings"
)

const directivePrefix = "//ankurah:"

// directive is a comment such as //ankurah:index artist, year desc.
type directive struct {
	pos  token.Pos
	verb string
	args string
	at   token.Pos // of args
}

// spaced matches what was meant as a directive and is an ordinary comment.
var spaced = regexp.MustCompile(`^//[ \t]+ankurah:(model|index)([ \t]|$)`)

// directives returns the directives of a comment.
func directives(doc *ast.CommentGroup) (out []directive) {
	if doc == nil {
		return nil
	}
	for _, c := range doc.List {
		rest, ok := strings.CutPrefix(c.Text, directivePrefix)
		if !ok {
			continue
		}
		d := directive{pos: c.Pos(), verb: rest}
		if k := strings.IndexAny(rest, " \t"); k >= 0 {
			d.verb = rest[:k]
			d.args = strings.TrimLeft(rest[k:], " \t")
			d.at = c.Pos() + token.Pos(len(c.Text)-len(d.args))
			d.args = strings.TrimRight(d.args, " \t\r")
		}
		out = append(out, d)
	}
	return out
}

// option is one name=value of a directive.
type option struct {
	pos         token.Pos
	name, value string
}

// options splits the arguments of a model directive.
func (d directive) options() (out []option) {
	rest, pos := d.args, d.at
	for rest != "" {
		word := rest
		if k := strings.IndexAny(rest, " \t"); k >= 0 {
			word = rest[:k]
		}
		name, value, _ := strings.Cut(word, "=")
		out = append(out, option{pos, name, value})
		tail := strings.TrimLeft(rest[len(word):], " \t")
		pos += token.Pos(len(rest) - len(tail))
		rest = tail
	}
	return out
}

// modelDirective returns the model directive among ds.
func modelDirective(ds []directive) (directive, bool) {
	for _, d := range ds {
		if d.verb == "model" {
			return d, true
		}
	}
	return directive{}, false
}

// collectionOf returns the name of the collection of a type, and whether it
// is declared a model.
func collectionOf(t *typeDecl) (string, bool) {
	d, ok := modelDirective(directives(t.doc))
	if !ok {
		return "", false
	}
	for _, o := range d.options() {
		if o.name == "name" {
			return o.value, true
		}
	}
	return Snake(t.spec.Name.Name), true
}

// strayDirectives reports the directives that belong to no struct.
func (g *generator) strayDirectives(used map[token.Pos]bool) {
	for _, f := range g.pkg.files {
		for _, group := range f.ast.Comments {
			for _, d := range directives(group) {
				if used[d.pos] {
					continue
				}
				switch {
				case d.verb != "model" && d.verb != "index":
					g.errorf(d.pos, "unknown directive ankurah:%s: there are ankurah:model and ankurah:index", d.verb)
				case f.constrained:
					g.errorf(d.pos, "a model must be part of every build: move it to a file without build constraints")
				case insideFunc(f, d.pos):
					g.errorf(d.pos, "a model must be declared at package level, not in a function")
				default:
					g.errorf(d.pos, "ankurah:%s must stand in the comment right above a struct type", d.verb)
				}
			}
		}
	}
}

func insideFunc(f *file, pos token.Pos) bool {
	for _, d := range f.ast.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil && fn.Body.Pos() < pos && pos < fn.Body.End() {
			return true
		}
	}
	return false
}
