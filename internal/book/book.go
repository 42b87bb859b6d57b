// Package book holds what a node's bookkeeping looks like in its store, for
// those who read it beside the node: which keys there are, and what the record
// of a transaction says. docs/FORMAT.md has the table.
package book

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/pb"
)

// Meta keys of a node's bookkeeping.
const (
	Node  = "node"  // node ID, made once per store
	Root  = "root"  // system root
	Epoch = "epoch" // store epoch
	Clock = "clock" // high-water mark of the clock, 8 bytes

	Catalog = "catalog/" // + collection, of a shared store 0x00 + 16 bytes: what is known of its schema
	Feed    = "feed/"    // + incarnation + sequence: see Entry

	// Position is how far a process has come that writes to a shared store.
	Position = "position/" // + incarnation: sequence of its last feed entry and clock, 8 bytes each
	// Trimmed is what the feeds have lost. It comes before the positions, and is
	// read with them.
	Trimmed = Position

	Subject = "subject" // an ephemeral node's: the principal that the store belongs to

	// Copied is there in a copy of a store until a node has opened it: the copy
	// is a store of its own, with an ID and an epoch of its own.
	Copied = "copied"
	// Restoring is there while a store is being restored.
	Restoring = "restoring"
)

// Progress is how far a process has come that writes to a shared store.
type Progress struct {
	Incarnation id.ID
	Seq         uint64   // of its last feed entry
	Clock       id.Stamp // no ID of its is greater
}

// Place returns the end of the process's feed.
func (p Progress) Place() Place { return Place{p.Incarnation, p.Seq} }

// PositionRange returns the bounds of the Trimmed record and of all Position
// records.
func PositionRange() (lo, hi []byte) {
	hi = []byte(Position)
	hi[len(hi)-1]++
	return []byte(Position), hi
}

// AppendProgress appends the value of a Position record.
func AppendProgress(b []byte, seq uint64, clock id.Stamp) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, seq), uint64(clock))
}

// DecodeProgress reads a Position record.
func DecodeProgress(key, val []byte) (p Progress, err error) {
	if !bytes.HasPrefix(key, []byte(Position)) || len(val) != 16 {
		return p, errors.New("it does not have 16 bytes")
	}
	p.Seq, p.Clock = binary.BigEndian.Uint64(val), id.Stamp(binary.BigEndian.Uint64(val[8:]))
	p.Incarnation, err = id.FromBytes(key[len(Position):])
	return p, err
}

// Touched is what a transaction did to one entity: the events at revs First to
// Last.
type Touched struct {
	Collection  string
	Entity      id.ID
	First, Last uint64
}

// AppendTouched appends one entity to the record of a transaction, which is a
// message of such entities (1, repeated): collection (1), entity (2), first rev
// (3) and last rev (4).
func AppendTouched(b []byte, t Touched) []byte {
	b = pb.AppendLength(b, 1, pb.SizeBytes(1, len(t.Collection))+pb.SizeBytes(2, id.Size)+pb.SizeUint64(3, t.First)+pb.SizeUint64(4, t.Last))
	b = pb.AppendBytes(b, 1, t.Collection)
	b = pb.AppendBytes(b, 2, t.Entity[:])
	b = pb.AppendUint64(b, 3, t.First)
	return pb.AppendUint64(b, 4, t.Last)
}

// DecodeRecord reads what is kept of a transaction.
func DecodeRecord(b []byte) ([]Touched, error) {
	var out []Touched
	r := pb.NewReader("transaction record", b)
	for r.Next() {
		if r.Num != 1 {
			r.Unknown()
			continue
		}
		r.Repeated()
		var t Touched
		x := pb.NewReader("entity of a transaction", r.Bytes())
		for x.Next() {
			switch x.Num {
			case 1:
				t.Collection = x.Text(event.MaxName)
			case 2:
				x.Fixed(t.Entity[:])
			case 3:
				t.First = x.Uint64()
			case 4:
				t.Last = x.Uint64()
			default:
				x.Unknown()
			}
		}
		if err := x.Err(); err != nil {
			r.FailWith(err)
		}
		out = append(out, t)
	}
	return out, r.Err()
}

// MaxFenceText is the greatest length of a fence's text, in bytes.
const MaxFenceText = 1024

// Fence is kept in place of the record of a transaction that was refused while
// another process may have had it in hand: none can store it any more.
type Fence struct {
	Code string // why, in a word
	Text string // and in a sentence
}

// AppendFence appends a fence, which is a record of a transaction with code (2)
// and text (3) in place of entities.
func AppendFence(b []byte, f Fence) []byte {
	b = pb.AppendBytes(b, 2, f.Code)
	return pb.AppendBytes(b, 3, f.Text)
}

// DecodeFence reads a fence; nil when the record is that of a transaction that
// was stored.
func DecodeFence(b []byte) (*Fence, error) {
	if len(b) == 0 || b[0] != fenceTag {
		return nil, nil
	}
	f := &Fence{}
	r := pb.NewReader("fence", b)
	for r.Next() {
		switch r.Num {
		case 2:
			f.Code = r.Text(event.MaxName)
		case 3:
			f.Text = r.Text(MaxFenceText)
		default:
			r.Unknown()
		}
	}
	r.Require(2, 3)
	return f, r.Err()
}

// fenceTag is the first byte of a fence: that of its code.
const fenceTag = 2<<3 | 2
