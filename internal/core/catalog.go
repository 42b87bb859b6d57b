package core

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/internal/pb"
	"github.com/ankurah/ankurah-go/internal/sorting"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/value"
)

// catalog is what the node knows of its collections' schemas. It is immutable.
type catalog struct{ models map[string]*schema.Model }

// Model returns what is known of a collection, nil when nothing is. It may be
// called at any time.
func (c *Core) Model(collection string) *schema.Model {
	return c.catalog.Load().models[collection]
}

// Collections returns the names of the collections with a known schema,
// sorted. It may be called at any time.
func (c *Core) Collections() []string {
	return sorting.Keys(c.catalog.Load().models)
}

// Register takes up a declared model. It wraps [schema.ErrIncompatible] when
// stored values cannot be read as declared.
func (c *Core) Register(m *schema.Model) error {
	known := c.Model(m.Collection)
	merged, err := schema.Merge(known, m)
	if err != nil {
		return err
	}
	if known == nil || known.Name != merged.Name || !slices.EqualFunc(known.Properties, merged.Properties, sameProperty) ||
		len(known.Indexes) != len(merged.Indexes) {
		c.putModel(merged)
	}
	c.ex.EnsureIndexes(m.Collection)
	return nil
}

func sameProperty(a, b schema.Property) bool {
	return a.Key == b.Key && a.Type == b.Type && a.Kind == b.Kind && a.Ref == b.Ref && a.Optional == b.Optional &&
		a.Name == b.Name && value.Equal(a.Default, b.Default) && slices.Equal(a.Enum, b.Enum)
}

// putModel makes something known, and writes it down. On a shared store a record
// is not written over, which another process may be doing, too: each gets a key
// of its own, and takes the place of those whose content it has.
func (c *Core) putModel(m *schema.Model) {
	c.know(m)
	key := append(slices.Clone(metaCatalog), m.Collection...)
	if c.listed {
		i := c.randomID()
		key = append(append(key, 0), i[:]...)
		for _, old := range c.records[m.Collection] {
			c.setMeta(old, nil)
		}
		c.records[m.Collection] = [][]byte{key}
	}
	c.setMeta(key, appendModel(nil, m))
}

func (c *Core) know(m *schema.Model) {
	next := &catalog{models: maps.Clone(c.catalog.Load().models)}
	next.models[m.Collection] = m
	c.catalog.Store(next)
}

// checkOps holds the operations of an event against the schema, and returns
// the properties that are new to it.
func (c *Core) checkOps(collection string, ops []event.Operation) (learned []schema.Property, err error) {
	m := c.Model(collection)
	if m == nil && c.cfg.ClosedSchema {
		return nil, &schemaError{collection, "", "the collection is not declared and the schema is closed: list its model in NodeOptions.Models"}
	}
	for _, op := range ops {
		system := strings.HasPrefix(op.Property, "_")
		if system && (op.Property != entity.Deleted || op.Kind != schema.LWW) {
			return nil, &reservedError{collection + "." + op.Property}
		}
		if op.Kind != schema.LWW {
			continue
		}
		v, err := value.Decode(op.Data)
		if err != nil {
			return nil, err
		}
		if system {
			if v.Kind() != value.KindBool {
				return nil, &schemaError{collection, op.Property, "it is bool, not " + v.Type().String()}
			}
			continue
		}
		p := m.Property(op.Property)
		switch {
		case p == nil && c.cfg.ClosedSchema:
			return nil, &schemaError{collection, op.Property, "the property is not declared and the schema is closed"}
		case v.IsNull(), p == nil && !v.Type().Valid(): // an empty list may not say of what
		case p == nil:
			learned = append(learned, schema.Property{Key: op.Property, Type: v.Type(), Kind: op.Kind, Optional: true})
		case !schema.Compatible(v.Type(), p.Type):
			return nil, &schemaError{collection, op.Property, "it is " + p.Type.String() + ", not " + v.Type().String()}
		case len(p.Enum) > 0 && !slices.Contains(p.Enum, v.Text()):
			return nil, &schemaError{collection, op.Property, strconv.Quote(v.Text()) + " is not one of " + strings.Join(p.Enum, ", ")}
		}
	}
	return learned, nil
}

// mayLearn returns an error when what a transaction teaches is beyond a limit.
func (c *Core) mayLearn(learned []learnedProps) error {
	if len(learned) == 0 {
		return nil
	}
	l := &c.cfg.Limits
	known := c.catalog.Load().models
	fresh := map[string]map[string]bool{} // properties by collection
	collections := len(known)
	for _, x := range learned {
		keys := fresh[x.collection]
		if keys == nil {
			keys = map[string]bool{}
			fresh[x.collection] = keys
			if known[x.collection] == nil {
				collections++
			}
		}
		for _, p := range x.props {
			keys[p.Key] = true
		}
		n := len(keys)
		if m := known[x.collection]; m != nil {
			n += len(m.Properties)
		}
		if err := atMost(n, l.Properties, "what is known of "+x.collection+" gets", "properties", "Properties", "use fewer names"); err != nil {
			return err
		}
		if err := atMost(collections, l.Collections, "with "+x.collection+" the node knows", "collections", "Collections", "use fewer names"); err != nil {
			return err
		}
	}
	return nil
}

func (c *Core) learn(collection string, props []schema.Property) {
	if len(props) > 0 {
		c.putModel(c.extended(collection, props))
	}
}

// extended returns what is known of a collection, and props.
func (c *Core) extended(collection string, props []schema.Property) *schema.Model {
	known := c.Model(collection)
	if len(props) == 0 {
		return known
	}
	if known == nil {
		known = &schema.Model{Collection: collection}
	}
	return extend(known, props)
}

func extend(known *schema.Model, props []schema.Property) *schema.Model {
	copied := *known
	m := &copied
	all := slices.Clone(m.Properties)
	for _, p := range props {
		if m.Property(p.Key) == nil {
			all = append(all, p)
		}
	}
	byKey := func(a, b schema.Property) int { return strings.Compare(a.Key, b.Key) }
	sorting.Stable(all, byKey)
	m.Properties = slices.CompactFunc(all, func(a, b schema.Property) bool { return a.Key == b.Key })
	return m
}

// ErrSchema is wrapped by errors about a write that the schema does not allow.
var ErrSchema = errors.New("schema violated")

type schemaError struct{ collection, property, why string }

func (e *schemaError) Error() string {
	name := e.collection
	if e.property != "" {
		name += "." + e.property
	}
	return "ankurah: " + name + ": " + e.why
}
func (e *schemaError) Unwrap() error { return ErrSchema }

func (c *Core) loadCatalog(ctx context.Context, snap storage.Snapshot) error {
	s, err := readSchemas(ctx, snap)
	if err != nil {
		return err
	}
	c.records = s.records
	c.catalog.Store(&catalog{models: s.models})
	return nil
}

// schemas is what a store says of collections.
type schemas struct {
	models  map[string]*schema.Model
	records map[string][][]byte // keys of what they were made of
}

func readSchemas(ctx context.Context, snap storage.Snapshot) (schemas, error) {
	s := schemas{map[string]*schema.Model{}, map[string][][]byte{}}
	hi := slices.Clone(metaCatalog)
	hi[len(hi)-1]++
	for w, err := range snap.MetaRange(ctx, metaCatalog, hi) {
		if err != nil {
			return s, err
		}
		m, err := decodeModel(w.Value)
		if err != nil {
			return s, &storage.CorruptError{What: "catalog record " + string(w.Key), Err: err}
		}
		s.records[m.Collection] = append(s.records[m.Collection], w.Key)
		s.models[m.Collection] = together(s.models[m.Collection], m)
	}
	return s, nil
}

// learnAll takes up what a store says of collections, beside what is known and
// not written yet.
func (c *Core) learnAll(s schemas) {
	for _, name := range sorting.Keys(s.models) {
		c.know(together(c.Model(name), s.models[name]))
		for _, key := range s.records[name] {
			if !slices.ContainsFunc(c.records[name], func(k []byte) bool { return bytes.Equal(k, key) }) {
				c.records[name] = append(c.records[name], key)
			}
		}
	}
}

// together returns what two processes know of a collection. Where they have
// learned another type of a property, the first one's counts.
func together(a, b *schema.Model) *schema.Model {
	if a == nil {
		return b
	}
	if m, err := schema.Merge(a, b); err == nil {
		return m
	}
	return extend(a, b.Properties)
}

// appendModel encodes a model: name (1), collection (2), properties (3,
// repeated), indexes (4, repeated).
func appendModel(b []byte, m *schema.Model) []byte {
	b = pb.AppendBytes(b, 1, m.Name)
	b = pb.AppendBytes(b, 2, m.Collection)
	for _, p := range m.Properties {
		var x []byte
		x = pb.AppendBytes(x, 1, p.Key)
		x = pb.AppendBytes(x, 2, p.Name)
		x = pb.AppendUint64(x, 3, uint64(p.Type.Kind))
		x = pb.AppendUint64(x, 4, uint64(p.Type.Elem))
		x = pb.AppendBytes(x, 5, p.Kind)
		x = pb.AppendBytes(x, 6, p.Ref)
		if p.Optional {
			x = pb.AppendUint64(x, 7, 1)
		}
		x = pb.AppendBytes(x, 8, value.Append(nil, p.Default))
		for _, e := range p.Enum {
			x = pb.AppendBytes(x, 9, e)
		}
		b = pb.AppendBytes(b, 3, x)
	}
	for _, i := range m.Indexes {
		var x []byte
		for _, col := range i.Columns {
			var y []byte
			for _, s := range col.Path {
				y = pb.AppendBytes(y, 1, s)
			}
			if col.Desc {
				y = pb.AppendUint64(y, 2, 1)
			}
			x = pb.AppendBytes(x, 1, y)
		}
		b = pb.AppendBytes(b, 4, x)
	}
	return b
}

func decodeModel(b []byte) (*schema.Model, error) {
	m := &schema.Model{}
	r := pb.NewReader("model", b)
	for r.Next() {
		switch r.Num {
		case 1:
			m.Name = r.Text(event.MaxName)
		case 2:
			m.Collection = r.Text(event.MaxName)
		case 3:
			r.Repeated()
			m.Properties = append(m.Properties, decodeProperty(r))
		case 4:
			r.Repeated()
			m.Indexes = append(m.Indexes, decodeIndex(r))
		default:
			r.Unknown()
		}
	}
	return m, r.Err()
}

func decodeProperty(outer *pb.Reader) schema.Property {
	var p schema.Property
	r := pb.NewReader("property", outer.Bytes())
	for r.Next() {
		switch r.Num {
		case 1:
			p.Key = r.Text(event.MaxName)
		case 2:
			p.Name = r.Text(event.MaxName)
		case 3:
			p.Type.Kind = value.Kind(r.Uint64())
		case 4:
			p.Type.Elem = value.Kind(r.Uint64())
		case 5:
			p.Kind = r.Text(event.MaxName)
		case 6:
			p.Ref = r.Text(event.MaxName)
		case 7:
			p.Optional = r.Uint64() == 1
		case 8:
			v, err := value.Decode(r.Bytes())
			if err != nil {
				r.FailWith(err)
			}
			p.Default = v
		case 9:
			r.Repeated()
			p.Enum = append(p.Enum, r.Text(value.MaxSize))
		default:
			r.Unknown()
		}
	}
	if err := r.Err(); err != nil {
		outer.FailWith(err)
	}
	return p
}

func decodeIndex(outer *pb.Reader) schema.Index {
	var x schema.Index
	r := pb.NewReader("index", outer.Bytes())
	for r.Next() {
		if r.Num != 1 {
			r.Unknown()
			continue
		}
		r.Repeated()
		var col schema.Column
		y := pb.NewReader("index column", r.Bytes())
		for y.Next() {
			switch y.Num {
			case 1:
				y.Repeated()
				col.Path = append(col.Path, y.Text(event.MaxName))
			case 2:
				col.Desc = y.Uint64() == 1
			default:
				y.Unknown()
			}
		}
		if err := y.Err(); err != nil {
			r.FailWith(err)
		}
		x.Columns = append(x.Columns, col)
	}
	if err := r.Err(); err != nil {
		outer.FailWith(err)
	}
	return x
}
