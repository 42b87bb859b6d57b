package port

import (
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/pb"
	"github.com/ankurah/ankurah-go/internal/protowire"
	"github.com/ankurah/ankurah-go/internal/wire"
	"github.com/ankurah/ankurah-go/value"
)

// update says what is new of a page's queries, as they are at one moment. Where
// it takes several frames, all but the last say that more follows, and the page
// shows nothing before it has the last.
type update struct {
	parts   []part
	follows bool
}

// part is what is new of one query.
type part struct {
	query  uint64
	reset  bool     // the page forgets the rows or groups that it has
	keys   []string // of properties, which rows refer to by their place here
	gone   []id.ID  // rows that are no longer there
	rows   []row    // those with a place in the order of the result
	synced synced
	code   wire.Code // not "": the query has ended
	text   string

	columns []string // of groups
	groups  []group  // replace what is there
}

type synced uint64

const (
	syncedAsBefore synced = iota
	syncedYes
	syncedNo
)

// row is a row that is new, changed, or stands somewhere else.
type row struct {
	id     id.ID
	place  uint64 // 1 + where it now stands; 0: at its place among those that stay
	kept   bool   // it holds what it held
	fields []column
}

// column is a property of a row that has a value.
type column struct {
	key   uint64
	value value.Value
}

// group is a group of an aggregate query: a value for each column.
type group []value.Value

func (*update) kind() protowire.Number { return kUpdate }

func (m *update) append(b []byte) []byte {
	for k := range m.parts {
		b = pb.AppendBytes(b, 1, m.parts[k].append(nil))
	}
	return appendBool(b, 2, m.follows)
}

func (p *part) append(b []byte) []byte {
	b = pb.AppendUint64(b, 1, p.query)
	b = appendBool(b, 2, p.reset)
	for _, k := range p.keys {
		b = pb.AppendBytes(b, 3, k)
	}
	b = appendIDs(b, 4, p.gone)
	for k := range p.rows {
		b = pb.AppendBytes(b, 5, p.rows[k].append(nil))
	}
	b = pb.AppendUint64(b, 6, uint64(p.synced))
	if p.code != "" {
		b = appendFailure(b, 7, p.code, p.text)
	}
	for _, c := range p.columns {
		b = pb.AppendBytes(b, 9, c)
	}
	for _, g := range p.groups {
		b = pb.AppendBytes(b, 10, g.append(nil))
	}
	return b
}

func (r *row) append(b []byte) []byte {
	b = pb.AppendBytes(b, 1, r.id[:])
	b = pb.AppendUint64(b, 2, r.place)
	b = appendBool(b, 3, r.kept)
	for _, c := range r.fields {
		size := value.EncodedSize(c.value)
		b = pb.AppendLength(b, 4, pb.SizeUint64(1, c.key)+pb.SizeBytes(2, size))
		b = pb.AppendUint64(b, 1, c.key)
		b = value.Append(pb.AppendLength(b, 2, size), c.value)
	}
	return b
}

func (g group) append(b []byte) []byte {
	for _, v := range g {
		b = value.Append(pb.AppendLength(b, 1, value.EncodedSize(v)), v)
	}
	return b
}

func (m *update) decode(r *pb.Reader) {
	for r.Next() {
		switch r.Num {
		case 1:
			r.Repeated()
			body := pb.NewReader("part of an update", r.Bytes())
			var p part
			p.decode(body)
			adopt(r, body)
			m.parts = append(m.parts, p)
		case 2:
			m.follows = r.Uint64() == 1
		default:
			r.Unknown()
		}
	}
}

func (p *part) decode(r *pb.Reader) {
	for r.Next() {
		switch r.Num {
		case 1:
			p.query = number(r)
		case 2:
			p.reset = r.Uint64() == 1
		case 3:
			r.Repeated()
			p.keys = append(p.keys, r.Text(maxKeyLength))
		case 4:
			p.gone = decodeIDs(r)
		case 5:
			r.Repeated()
			p.rows = append(p.rows, decodeRow(r))
		case 6:
			p.synced = synced(r.Uint64())
		case 7:
			p.code = wire.Code(r.Text(maxKeyLength))
		case 8:
			p.text = r.Text(wire.MaxText)
		case 9:
			r.Repeated()
			p.columns = append(p.columns, r.Text(maxText))
		case 10:
			r.Repeated()
			p.groups = append(p.groups, decodeGroup(r))
		default:
			r.Unknown()
		}
	}
	r.Require(1)
}

func decodeRow(outer *pb.Reader) (out row) {
	r := pb.NewReader("row", outer.Bytes())
	for r.Next() {
		switch r.Num {
		case 1:
			r.Fixed(out.id[:])
		case 2:
			out.place = r.Uint64()
		case 3:
			out.kept = r.Uint64() == 1
		case 4:
			r.Repeated()
			out.fields = append(out.fields, decodeColumn(r))
		default:
			r.Unknown()
		}
	}
	r.Require(1)
	adopt(outer, r)
	return out
}

func decodeColumn(outer *pb.Reader) (c column) {
	r := pb.NewReader("column", outer.Bytes())
	for r.Next() {
		switch r.Num {
		case 1:
			c.key = r.Uint64()
		case 2:
			c.value = decodeValue(r)
		default:
			r.Unknown()
		}
	}
	r.Require(2)
	adopt(outer, r)
	return c
}

func decodeGroup(outer *pb.Reader) (g group) {
	r := pb.NewReader("group", outer.Bytes())
	for r.Next() {
		switch r.Num {
		case 1:
			r.Repeated()
			g = append(g, decodeValue(r))
		default:
			r.Unknown()
		}
	}
	adopt(outer, r)
	return g
}
