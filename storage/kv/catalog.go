package kv

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"strconv"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/internal/pb"
	"github.com/ankurah/ankurah-go/internal/sorting"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/value"
)

// Limits of an index.
const (
	maxColumns = 16
	maxParts   = 32
	maxPart    = 1 << 10 // bytes
	maxName    = 4 << 10 // bytes
)

// catalog is the set of indexes, the incomplete ones too. It is immutable.
type catalog struct {
	version []byte              // as stored, seal included; nil before the first index
	indexes map[string][]*index // by collection, in order of their IDs
	next    uint64              // the least ID that no index has
}

// index is one secondary index. It is immutable.
type index struct {
	id         uint64
	collection string
	name       string
	def        schema.Index
	columns    []indexColumn
	complete   bool
	prefix     []byte // of the keys of its entries
}

// indexColumn is a column with the path that the evaluator reads it by.
type indexColumn struct {
	path *ankql.Path
	desc bool
}

// value returns what the column holds of an entity.
func (c *indexColumn) value(s *entity.State) value.Value { return ankql.Operand(c.path, s) }

func newIndex(keys keyspace, id uint64, collection string, def schema.Index, complete bool) *index {
	x := &index{id: id, collection: collection, name: def.Name(), def: def, complete: complete, prefix: keys.index(nil, id)}
	for _, c := range def.Columns {
		x.columns = append(x.columns, indexColumn{&ankql.Path{Parts: c.Path, Key: c.Path[0], JSON: c.Path[1:]}, c.Desc})
	}
	return x
}

// appendEntry appends the key of the entry of s.
func (x *index) appendEntry(b []byte, s *entity.State) []byte {
	b = append(b, x.prefix...)
	for k := range x.columns {
		c := &x.columns[k]
		b = value.AppendKey(b, c.value(s), c.desc)
	}
	i := s.ID()
	return append(b, i[:]...)
}

// touched reports whether what one of the index's columns holds may differ
// between two states of an entity. A register's value is that of its last
// event; other kinds may change by an event that is not their last.
func (x *index) touched(before, after *entity.State) bool {
	for k := range x.columns {
		key := x.columns[k].path.Key
		a, b := before.Entry(key), after.Entry(key)
		if (a == nil) != (b == nil) || a != nil && (a.Last != b.Last || a.State != nil || b.State != nil) {
			return true
		}
	}
	return false
}

// checkIndex returns why def cannot be built, nil when it can.
func checkIndex(def schema.Index) error {
	if n := len(def.Columns); n == 0 || n > maxColumns {
		return errors.New("ankurah: an index has 1 to " + strconv.Itoa(maxColumns) + " columns, not " + strconv.Itoa(n))
	}
	for _, c := range def.Columns {
		if n := len(c.Path); n == 0 || n > maxParts {
			return errors.New("ankurah: index " + def.Name() + ": a path has 1 to " + strconv.Itoa(maxParts) + " parts, not " + strconv.Itoa(n))
		}
		for _, p := range c.Path {
			if len(p) > maxPart {
				return errors.New("ankurah: index " + def.Name() + ": a part of a path is longer than " + strconv.Itoa(maxPart) + " bytes")
			}
		}
		if c.Path[0] == "id" {
			return errors.New("ankurah: index " + def.Name() + ": entities are in the order of their IDs as they are")
		}
	}
	if n := len(def.Name()); n > maxName {
		return errors.New("ankurah: the name of an index has " + strconv.Itoa(n) + " bytes, at most " + strconv.Itoa(maxName) + " are allowed")
	}
	return nil
}

// Fields of an index record, and of its columns.
const (
	xID       = 1
	xComplete = 2
	xColumn   = 3 // repeated

	cPart = 1 // repeated
	cDesc = 2
)

func (x *index) record() []byte {
	b := pb.AppendUint64(nil, xID, x.id)
	if x.complete {
		b = pb.AppendUint64(b, xComplete, 1)
	}
	for _, c := range x.def.Columns {
		var col []byte
		for _, p := range c.Path {
			col = pb.AppendBytes(col, cPart, p)
		}
		if c.Desc {
			col = pb.AppendUint64(col, cDesc, 1)
		}
		b = pb.AppendBytes(b, xColumn, col)
	}
	return b
}

func parseIndex(keys keyspace, collection, name string, b []byte) (*index, error) {
	var id uint64
	var complete bool
	var def schema.Index
	r := pb.NewReader("index", b)
	for r.Next() {
		switch r.Num {
		case xID:
			id = r.Uint64()
		case xComplete:
			complete = r.Uint64() != 0
		case xColumn:
			r.Repeated()
			if len(def.Columns) == maxColumns {
				r.Fail("more than " + strconv.Itoa(maxColumns) + " columns")
			}
			def.Columns = append(def.Columns, parseColumn(r))
		default:
			r.Unknown()
		}
	}
	err := r.Err()
	if err == nil {
		err = checkIndex(def)
	}
	if err == nil && (id == 0 || def.Name() != name) {
		err = errors.New("it does not fit its key")
	}
	if err != nil {
		return nil, &storage.CorruptError{What: "index " + strconv.Quote(name) + " of " + collection, Err: err}
	}
	return newIndex(keys, id, collection, def, complete), nil
}

func parseColumn(outer *pb.Reader) schema.Column {
	var c schema.Column
	r := pb.NewReader("column", outer.Bytes())
	for r.Next() {
		switch r.Num {
		case cPart:
			r.Repeated()
			if len(c.Path) == maxParts {
				r.Fail("more than " + strconv.Itoa(maxParts) + " parts")
			}
			c.Path = append(c.Path, r.Text(maxPart))
		case cDesc:
			c.Desc = r.Uint64() != 0
		default:
			r.Unknown()
		}
	}
	if err := r.Err(); err != nil {
		outer.FailWith(err)
	}
	return c
}

// readCatalog reads the catalog that snap holds.
func readCatalog(ctx context.Context, keys keyspace, snap Snapshot) (*catalog, error) {
	c := &catalog{indexes: map[string][]*index{}, next: 1}
	lo := keys.space(nil, spaceCatalog)
	it, err := snap.Scan(ctx, lo, keys.space(nil, spaceCatalog+1), false)
	if err != nil {
		return nil, err
	}
	defer it.Close()
	for it.Next() {
		rest := it.Key()[len(lo):]
		b, err := keys.unseal(it.Key(), it.Value())
		if err != nil {
			return nil, err
		}
		if len(rest) == 0 {
			c.version = bytes.Clone(it.Value())
			continue
		}
		collection, name, ok := bytes.Cut(rest, []byte{0})
		if !ok {
			return nil, &storage.CorruptError{What: "index catalog", Err: errKey}
		}
		x, err := parseIndex(keys, string(collection), string(name), b)
		if err != nil {
			return nil, err
		}
		c.indexes[x.collection] = append(c.indexes[x.collection], x)
		c.next = max(c.next, x.id+1)
	}
	if err := it.Err(); err != nil {
		return nil, err
	}
	for _, xs := range c.indexes {
		sorting.Sort(xs, byID)
	}
	return c, nil
}

// with returns the catalog with x in it, in the place of the index of its name.
func (c *catalog) with(x *index, version []byte) *catalog {
	n := &catalog{version: version, indexes: maps.Clone(c.indexes), next: max(c.next, x.id+1)}
	xs := slices.DeleteFunc(slices.Clone(c.indexes[x.collection]), func(o *index) bool { return o.id == x.id })
	xs = append(xs, x)
	sorting.Sort(xs, byID)
	n.indexes[x.collection] = xs
	return n
}

func byID(a, b *index) int { return cmp.Compare(a.id, b.id) }

func (c *catalog) find(collection, name string) *index {
	for _, x := range c.indexes[collection] {
		if x.name == name {
			return x
		}
	}
	return nil
}

// loadCatalog publishes the catalog that is stored.
func (e *Engine) loadCatalog(ctx context.Context) error {
	snap, err := e.store.Snapshot()
	if err != nil {
		return err
	}
	c, err := readCatalog(ctx, e.keys, snap)
	if err = errors.Join(err, snap.Close()); err != nil {
		return err
	}
	e.published.Store(c)
	return nil
}

// catalogOf returns the catalog for a snapshot of a shared store, which other
// processes may have changed.
func (e *Engine) catalogOf(ctx context.Context, snap Snapshot) (*catalog, error) {
	known := e.published.Load()
	version, _, err := snap.Get(ctx, e.keys.space(nil, spaceCatalog))
	if err != nil || bytes.Equal(version, known.version) {
		return known, err
	}
	return readCatalog(ctx, e.keys, snap)
}

// putIndex stores x and publishes the catalog with it; e.mu is held. On a
// shared store it fails with a [PreconditionError] when another process has
// changed the catalog.
func (e *Engine) putIndex(ctx context.Context, x *index) error {
	c := e.published.Load()
	key := e.keys.space(nil, spaceCatalog)
	n, _ := binary.Uvarint(c.version)
	version := e.keys.sealed(key, binary.AppendUvarint(nil, n+1))
	name := e.keys.catalog(nil, x.collection, x.name)
	b := &Batch{Writes: []Write{
		{Key: key, Value: version},
		{Key: name, Value: e.keys.sealed(name, x.record())},
	}}
	if e.opts.Shared {
		b.Preconditions = []Precondition{{Key: key, Value: c.version}}
	}
	if err := e.store.Apply(ctx, b); err != nil {
		return err
	}
	e.published.Store(c.with(x, version))
	return nil
}

// Indexes returns the complete indexes of a collection.
func (e *Engine) Indexes(collection string) []schema.Index {
	var out []schema.Index
	for _, x := range e.published.Load().indexes[collection] {
		if x.complete {
			out = append(out, x.def)
		}
	}
	return out
}

// Generation returns a token of the set of complete indexes; see
// [storage.Indexer].
func (e *Engine) Generation() any { return e.published.Load() }
