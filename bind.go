package ankurah

import (
	"github.com/ankurah/ankurah-go/schema"
)

// AnyView is a view of any model.
type AnyView interface {
	Identified
	base() View
}

// Binding is what generated code says of a model: its schema, and how its
// views and mutables are made. Applications do not write bindings.
type Binding[M any, V AnyView, E Identified] struct {
	Name       string          // Go name of the model
	Collection string          // collection name
	Properties []AnyProperty   // in the order of the struct
	Indexes    []schema.Index  // declared by tags and directives
	View       func(View) V    // wraps a view
	Edit       func(Mutable) E // wraps a mutable
	Fill       func(Mutable, *M)
}

// Collection is the entities of one model: M is the model's struct, V its
// view, E its mutable. Collection variables are immutable and bound to no
// node: every method names the session or transaction it works in.
type Collection[M any, V AnyView, E Identified] struct {
	b *binding[M, V, E]
}

type binding[M any, V AnyView, E Identified] struct {
	model *schema.Model
	view  func(View) V
	edit  func(Mutable) E
	fill  func(Mutable, *M)
}

// Bind makes a collection variable. It panics on a binding that generated
// code cannot contain.
func Bind[M any, V AnyView, E Identified](b Binding[M, V, E]) Collection[M, V, E] {
	props := make([]schema.Property, len(b.Properties))
	for k, p := range b.Properties {
		props[k] = p.definition()
	}
	return Collection[M, V, E]{&binding[M, V, E]{
		model: schema.NewModel(b.Name, b.Collection, props, b.Indexes...),
		view:  b.View,
		edit:  b.Edit,
		fill:  b.Fill,
	}}
}

// AnyCollection is a collection of any model, as NodeOptions.Models lists them.
type AnyCollection interface {
	// Model returns the collection's schema.
	Model() *schema.Model
}

// Model returns the collection's schema.
func (c Collection[M, V, E]) Model() *schema.Model { return c.b.model }

// Name returns the collection's name.
func (c Collection[M, V, E]) Name() string { return c.b.model.Collection }
