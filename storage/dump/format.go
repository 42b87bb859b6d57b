package dump

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"

	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/pb"
	"github.com/ankurah/ankurah-go/internal/protowire"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/storage"
)

// magic begins a dump.
const magic = "ankurah dump\n"

// version is the version of the stream that this package writes.
const version = 1

// maxRecord is the greatest size of a record.
const maxRecord = 16 << 20

// Limits of an index, as those of the engines.
const (
	maxColumns = 16
	maxParts   = 32
	maxPart    = 1 << 10
)

// A record is a message with one field, whose number is its kind. Kinds stand
// in a stream in this order, those of an entity one entity after the other.
const (
	kHead   = 1
	kMeta   = 2
	kIndex  = 3
	kEntity = 4
	kEvent  = 5
	kState  = 6 // ends an entity
	kTx     = 7
	kClaim  = 8
	kEnd    = 9
)

// record is what one record says; kind tells which fields count.
type record struct {
	kind   int
	root   id.ID             // head
	meta   storage.MetaWrite // meta
	index  index             // index
	entity storage.EntityKey // entity
	event  *event.Event      // event
	state  proof             // state
	tx     storage.TxRecord  // tx
	claim  storage.Claim     // claim
	counts Counts            // end
	sum    [sha256.Size]byte // end: of everything before its record
}

type index struct {
	collection string
	def        schema.Index
}

// proof is what an entity's history has to lead to.
type proof struct {
	rev     uint64
	state   [sha256.Size]byte // of the state's encoding
	history [sha256.Size]byte // of the digests of its events, in their order
}

// Counts says how much there is.
type Counts struct {
	Meta, Indexes, Entities, Events, Transactions, Claims uint64
}

func (r *record) append(b []byte) []byte {
	var x []byte
	switch r.kind {
	case kHead:
		x = pb.AppendUint64(x, 1, version)
		x = pb.AppendBytes(x, 2, r.root[:])
	case kMeta:
		x = pb.AppendBytes(x, 1, r.meta.Key)
		x = pb.AppendBytes(x, 2, r.meta.Value)
	case kIndex:
		x = appendIndex(x, &r.index)
	case kEntity:
		x = pb.AppendBytes(x, 1, r.entity.Collection)
		x = pb.AppendBytes(x, 2, r.entity.Entity[:])
	case kEvent:
		x = r.event.Append(x)
	case kState:
		x = pb.AppendUint64(x, 1, r.state.rev)
		x = pb.AppendBytes(x, 2, r.state.state[:])
		x = pb.AppendBytes(x, 3, r.state.history[:])
	case kTx:
		x = pb.AppendBytes(x, 1, r.tx.Tx[:])
		x = pb.AppendBytes(x, 2, r.tx.Record)
	case kClaim:
		x = pb.AppendBytes(x, 1, r.claim.Key)
		x = pb.AppendBytes(x, 2, r.claim.Entity[:])
	case kEnd:
		for k, n := range r.counts.list() {
			x = pb.AppendUint64(x, protowire.Number(k+1), *n)
		}
		x = pb.AppendBytes(x, 7, r.sum[:])
	}
	return pb.AppendBytes(b, protowire.Number(r.kind), x)
}

func (c Counts) String() string {
	return fmt.Sprintf("%d records of bookkeeping, %d indexes, %d entities, %d events, %d transactions and %d claims",
		c.Meta, c.Indexes, c.Entities, c.Events, c.Transactions, c.Claims)
}

func (c *Counts) list() []*uint64 {
	return []*uint64{&c.Meta, &c.Indexes, &c.Entities, &c.Events, &c.Transactions, &c.Claims}
}

// decode reads a record. What it returns aliases b.
func decode(b []byte) (*record, error) {
	out := &record{}
	r := pb.NewReader("record", b)
	for r.Next() {
		if out.kind != 0 {
			r.Fail("a record has one field")
			break
		}
		out.kind = int(r.Num)
		switch out.kind {
		case kHead, kMeta, kIndex, kEntity, kState, kTx, kClaim, kEnd:
			if err := out.decode(r.Bytes()); err != nil {
				r.FailWith(err)
			}
		case kEvent:
			var err error
			if out.event, err = event.Decode(r.Bytes()); err != nil {
				r.FailWith(err)
			}
		default:
			r.FailWith(errNewer)
		}
	}
	if r.Err() == nil && out.kind == 0 {
		return nil, errors.New("record: it is empty")
	}
	return out, r.Err()
}

// errNewer is the cause of an error about what a newer version wrote.
var errNewer = errors.New("a newer version of the program wrote this: use that one")

func (out *record) decode(b []byte) error {
	r := pb.NewReader(kindName(out.kind), b)
	for r.Next() {
		switch {
		case out.kind == kHead && r.Num == 1:
			if v := r.Uint64(); v != version {
				r.FailWith(errNewer)
			}
		case out.kind == kHead && r.Num == 2:
			r.Fixed(out.root[:])
		case out.kind == kMeta && r.Num == 1:
			out.meta.Key = r.Bytes()
		case out.kind == kMeta && r.Num == 2:
			out.meta.Value = r.Bytes()
		case out.kind == kIndex && r.Num == 1:
			out.index.collection = r.Text(event.MaxName)
		case out.kind == kIndex && r.Num == 2:
			r.Repeated()
			if len(out.index.def.Columns) == maxColumns {
				r.Fail("more than " + strconv.Itoa(maxColumns) + " columns")
			}
			out.index.def.Columns = append(out.index.def.Columns, decodeColumn(r))
		case out.kind == kEntity && r.Num == 1:
			out.entity.Collection = r.Text(event.MaxName)
		case out.kind == kEntity && r.Num == 2:
			r.Fixed(out.entity.Entity[:])
		case out.kind == kState && r.Num == 1:
			out.state.rev = r.Uint64()
		case out.kind == kState && r.Num == 2:
			r.Fixed(out.state.state[:])
		case out.kind == kState && r.Num == 3:
			r.Fixed(out.state.history[:])
		case out.kind == kTx && r.Num == 1:
			r.Fixed(out.tx.Tx[:])
		case out.kind == kTx && r.Num == 2:
			out.tx.Record = r.Bytes()
		case out.kind == kClaim && r.Num == 1:
			out.claim.Key = r.Bytes()
		case out.kind == kClaim && r.Num == 2:
			r.Fixed(out.claim.Entity[:])
		case out.kind == kEnd && r.Num <= 6:
			*out.counts.list()[r.Num-1] = r.Uint64()
		case out.kind == kEnd && r.Num == 7:
			r.Fixed(out.sum[:])
		default:
			r.Unknown()
		}
	}
	switch out.kind {
	case kState:
		r.Require(1, 2, 3)
	case kEnd:
		r.Require(7)
	case kIndex:
		r.Require(1)
	default:
		r.Require(1, 2)
	}
	return r.Err()
}

func appendIndex(b []byte, x *index) []byte {
	b = pb.AppendBytes(b, 1, x.collection)
	for _, c := range x.def.Columns {
		var col []byte
		for _, p := range c.Path {
			col = pb.AppendBytes(col, 1, p)
		}
		if c.Desc {
			col = pb.AppendUint64(col, 2, 1)
		}
		b = pb.AppendBytes(b, 2, col)
	}
	return b
}

func decodeColumn(outer *pb.Reader) schema.Column {
	var c schema.Column
	r := pb.NewReader("column", outer.Bytes())
	for r.Next() {
		switch r.Num {
		case 1:
			r.Repeated()
			if len(c.Path) == maxParts {
				r.Fail("more than " + strconv.Itoa(maxParts) + " parts")
			}
			c.Path = append(c.Path, r.Text(maxPart))
		case 2:
			if r.Uint64() != 1 {
				r.Fail("a truth value is 1 or left out")
			}
			c.Desc = true
		default:
			r.Unknown()
		}
	}
	r.Require(1)
	if err := r.Err(); err != nil {
		outer.FailWith(err)
	}
	return c
}

func kindName(kind int) string {
	names := [...]string{"record", "head", "bookkeeping", "index", "entity", "event", "state", "transaction", "claim", "end"}
	if kind < 0 || kind >= len(names) {
		return names[0]
	}
	return names[kind]
}
