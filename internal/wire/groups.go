package wire

import (
	"github.com/ankurah/ankurah-go/internal/pb"
	"github.com/ankurah/ankurah-go/internal/protowire"
)

// Groups is a part of the answer to a [Query] that selects aggregates.
type Groups struct {
	ID     uint64
	Groups []Group
	Done   bool // the last part
}

// Group is one group of an aggregate selection.
type Group struct {
	Key   [][]byte // encoded values, one for each field of GROUP BY
	State []byte   // encoded by package agg; none: the result has no such group any more
}

// Result is what one commit did to the groups of a live aggregate.
type Result struct {
	Query  uint64
	Groups []Group
}

func (*Groups) kind() protowire.Number { return kGroups }
func (m *Groups) append(b []byte) []byte {
	b = appendGroups(pb.AppendUint64(b, 1, m.ID), 2, m.Groups)
	return appendBool(b, 3, m.Done)
}
func (m *Groups) decode(r *pb.Reader) {
	for r.Next() {
		switch r.Num {
		case 1:
			m.ID = number(r)
		case 2:
			r.Repeated()
			m.Groups = append(m.Groups, group(r))
		case 3:
			m.Done = boolean(r)
		default:
			r.Unknown()
		}
	}
	r.Require(1)
}

func appendGroups(b []byte, num protowire.Number, list []Group) []byte {
	for k := range list {
		var body []byte
		for _, v := range list[k].Key {
			body = pb.AppendBytes(body, 1, v)
		}
		b = pb.AppendBytes(b, num, appendRaw(body, 2, list[k].State))
	}
	return b
}

func group(outer *pb.Reader) (g Group) {
	r := pb.NewReader("group", outer.Bytes())
	for r.Next() {
		switch r.Num {
		case 1:
			r.Repeated()
			g.Key = append(g.Key, r.Bytes())
		case 2:
			g.State = raw(r)
		default:
			r.Unknown()
		}
	}
	if err := r.Err(); err != nil {
		outer.FailWith(err)
	}
	return g
}

func appendResults(b []byte, num protowire.Number, list []Result) []byte {
	for k := range list {
		body := appendGroups(pb.AppendUint64(nil, 1, list[k].Query), 2, list[k].Groups)
		b = pb.AppendBytes(b, num, body)
	}
	return b
}

func result(outer *pb.Reader) (x Result) {
	r := pb.NewReader("result", outer.Bytes())
	for r.Next() {
		switch r.Num {
		case 1:
			x.Query = number(r)
		case 2:
			r.Repeated()
			x.Groups = append(x.Groups, group(r))
		default:
			r.Unknown()
		}
	}
	r.Require(1)
	if err := r.Err(); err != nil {
		outer.FailWith(err)
	}
	return x
}
