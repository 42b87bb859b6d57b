package gen

import (
	"bytes"
	"errors"
	"go/ast"
	"go/build"
	"go/build/constraint"
	"go/parser"
	"go/scanner"
	"go/token"
	"io"
	"maps"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// pkg is a parsed package.
type pkg struct {
	path  string // import path; "" of the package generated for
	name  string
	files []*file // in the order of their names
	types map[string]*typeDecl
	names map[string]token.Pos // everything declared at package level
}

type file struct {
	pkg         *pkg
	name        string
	src         []byte
	ast         *ast.File
	constrained bool              // not part of every build
	named       map[string]string // imports with a name: name to path
	plain       []string          // paths of imports without one
	dot         token.Pos         // of a dot import
}

// typeDecl is a type declared at package level.
type typeDecl struct {
	file *file
	spec *ast.TypeSpec
	doc  *ast.CommentGroup
}

// load parses the package. Whatever is wrong with its syntax ends the run.
func (g *generator) load() {
	g.pkg = newPkg("")
	var other []*file // parts of only some builds
	for _, name := range slices.Sorted(maps.Keys(g.src.Files)) {
		src := g.src.Files[name]
		full := filepath.Join(g.src.Dir, name)
		switch {
		case name == g.src.Output:
			continue
		case bytes.HasPrefix(src, []byte(Header)):
			pos := g.fset.AddFile(full, -1, len(src)).Pos(0)
			g.errorf(pos, "ankurah-gen made this file under another name: remove it")
			continue
		}
		f, err := g.parse(full, name, src)
		if err != nil {
			g.syntax(full, err)
			continue
		}
		if f.constrained {
			other = append(other, f)
			continue
		}
		if first := g.pkg.files; len(first) > 0 && f.ast.Name.Name != g.pkg.name {
			g.errorf(f.ast.Name.Pos(), "package %s stands in one folder with package %s of %s", f.ast.Name.Name, g.pkg.name, first[0].name)
			continue
		}
		g.pkg.name = f.ast.Name.Name
		g.pkg.add(f)
	}
	for _, f := range other {
		if g.pkg.name == "" || f.ast.Name.Name == g.pkg.name {
			g.pkg.name = f.ast.Name.Name
			g.pkg.add(f)
		}
	}
	if len(g.pkg.files) == 0 && len(g.errs) == 0 {
		g.errs = append(g.errs, Error{token.Position{Filename: filepath.Clean(g.src.Dir)}, "no Go files"})
	}
}

func (g *generator) syntax(name string, err error) {
	var list scanner.ErrorList
	if !errors.As(err, &list) {
		g.errs = append(g.errs, Error{token.Position{Filename: name}, err.Error()})
	}
	for _, e := range list {
		g.errs = append(g.errs, Error{e.Pos, e.Msg})
	}
}

// importPkg returns another package, nil when its source cannot be had.
func (g *generator) importPkg(path string) *pkg {
	if p, ok := g.imported[path]; ok {
		return p
	}
	g.imported[path] = nil
	if g.src.Import == nil || path == "C" || path == "unsafe" {
		g.unread[path] = "package " + strconv.Quote(path) + " has no source to read"
		return nil
	}
	files, err := g.src.Import(path)
	if err != nil {
		g.unread[path], _, _ = strings.Cut(err.Error(), "\n")
		return nil
	}
	p := newPkg(path)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if f, err := g.parse(path+"/"+name, name, files[name]); err == nil {
			p.name = f.ast.Name.Name
			p.add(f)
		}
	}
	if p.name == "" {
		g.unread[path] = "package " + strconv.Quote(path) + " has no Go files"
		return nil
	}
	g.imported[path] = p
	return p
}

func newPkg(path string) *pkg {
	return &pkg{path: path, types: map[string]*typeDecl{}, names: map[string]token.Pos{}}
}

func (g *generator) parse(full, name string, src []byte) (*file, error) {
	tree, err := parser.ParseFile(g.fset, full, src, parser.ParseComments|parser.SkipObjectResolution|parser.AllErrors)
	if err != nil {
		return nil, err
	}
	f := &file{name: name, src: src, ast: tree, constrained: constrained(name, src, tree), named: map[string]string{}}
	for _, imp := range tree.Imports {
		path, err := strconv.Unquote(imp.Path.Value)
		switch {
		case err != nil || path == "":
		case imp.Name == nil:
			f.plain = append(f.plain, path)
		case imp.Name.Name == ".":
			f.dot = imp.Pos()
		case imp.Name.Name != "_":
			f.named[imp.Name.Name] = path
		}
	}
	return f, nil
}

// constrained reports whether a build tag or the file's name keeps the file out
// of some builds.
func constrained(name string, src []byte, tree *ast.File) bool {
	for _, group := range tree.Comments {
		for _, c := range group.List {
			if c.Pos() < tree.Package && constraint.IsGoBuild(c.Text) {
				return true
			}
		}
	}
	nowhere := build.Context{
		GOOS: "none", GOARCH: "none", Compiler: "none",
		JoinPath: path.Join,
		OpenFile: func(string) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(src)), nil },
	}
	match, err := nowhere.MatchFile("", name)
	return err == nil && !match
}

// add takes up what f declares. Of declarations for several builds the first
// one counts.
func (p *pkg) add(f *file) {
	f.pkg = p
	p.files = append(p.files, f)
	declare := func(id *ast.Ident) {
		if _, ok := p.names[id.Name]; !ok && id.Name != "_" {
			p.names[id.Name] = id.Pos()
		}
	}
	for _, d := range f.ast.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil && d.Name.Name != "init" {
				declare(d.Name)
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.ValueSpec:
					for _, id := range s.Names {
						declare(id)
					}
				case *ast.TypeSpec:
					declare(s.Name)
					t := &typeDecl{f, s, s.Doc}
					if !d.Lparen.IsValid() {
						t.doc = d.Doc
					}
					if p.types[s.Name.Name] == nil {
						p.types[s.Name.Name] = t
					}
				}
			}
		}
	}
}

// importOf returns the path of the import that a file knows as name.
func (g *generator) importOf(f *file, name string) (path string, ok bool) {
	if path, ok = f.named[name]; ok {
		return path, true
	}
	for _, path = range f.plain {
		if guessName(path) == name {
			return path, true
		}
	}
	if _, ok = f.pkg.names[name]; ok {
		return "", false
	}
	for _, path = range f.plain {
		if p := g.importPkg(path); p != nil && p.name == name {
			return path, true
		}
	}
	return "", false
}

var majorVersion = regexp.MustCompile(`^v[0-9]+$`)

// guessName returns the name that a package most likely has, going by its path.
func guessName(path string) string {
	if path == rootPath {
		return "ankurah"
	}
	parts := strings.Split(path, "/")
	last := parts[len(parts)-1]
	if len(parts) > 1 && majorVersion.MatchString(last) {
		last = parts[len(parts)-2]
	}
	if k := strings.LastIndex(last, ".v"); k > 0 && majorVersion.MatchString(last[k+1:]) {
		last = last[:k]
	}
	return last
}
