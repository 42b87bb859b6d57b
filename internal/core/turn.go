package core

import (
	"cmp"
	"slices"

	"github.com/ankurah/ankurah-go/event"
)

// What a peer submits is judged in the order in which it comes: one transaction
// has its place in the order of all before the next one is looked at, since that
// may build upon it. On a shared store a place can be lost, with a race: then
// those that have none any more go on in their old order, and before what has
// come since.

// turn is a submission's number among those of a connection.
type turn struct {
	p *Peer
	n uint64
}

// unplaced is a submission that has no place yet, or none any more.
type unplaced struct {
	t *tx
	n uint64
}

// takeTurn gives a submission its number.
func (t *tx) takeTurn(p *Peer) {
	p.turns++
	t.turns = append(t.turns, turn{p, p.turns})
	if !t.placed {
		p.unplaced = append(p.unplaced, unplaced{t, p.turns})
	}
}

// isNext reports whether all that its sender has submitted before have a place.
// What came on several connections has its turn where it came first: so nobody
// waits for one that waits for it.
func (t *tx) isNext() bool {
	return len(t.turns) == 0 || t.placed || t.turns[0].p.unplaced[0].t == t
}

// place notes that a transaction has its place, or is finished, and goes on with
// what comes after it.
func (c *Core) place(t *tx) {
	if t.placed {
		return
	}
	t.placed = true
	if f := t.req.admitted; f != nil {
		f()
	}
	for _, x := range t.turns {
		p := x.p
		p.unplaced = slices.DeleteFunc(p.unplaced, func(u unplaced) bool { return u.t == t })
		if len(p.unplaced) == 0 {
			c.serving.resume(p)
		} else if next := p.unplaced[0].t; next.blocked && next.isNext() {
			next.blocked = false
			c.start(next)
		}
	}
}

// displace takes a transaction's place away.
func (t *tx) displace() {
	if canShare && t.fence != nil {
		return // it has none yet
	}
	t.placed = false
	for _, x := range t.turns {
		at, _ := slices.BinarySearchFunc(x.p.unplaced, x.n, func(u unplaced, n uint64) int { return cmp.Compare(u.n, n) })
		x.p.unplaced = slices.Insert(x.p.unplaced, at, unplaced{t, x.n})
	}
}

// mayFollow returns an error for a submission that was found wrong when it came,
// or that refers to what was refused since: what it comes after may have lost its
// place while this one was still being read.
func (t *tx) mayFollow() error {
	if canShare && t.req.refused != nil {
		return t.req.refused
	}
	if len(t.turns) == 0 {
		return nil
	}
	return t.turns[0].p.mayFollow(t.req.After)
}

// mayFollow returns an error when one of the transactions was refused.
func (p *Peer) mayFollow(after []event.TxID) error {
	for _, t := range after {
		if v, refused := p.refused.get(t); refused {
			if v.code.Final() {
				return dependsOnRefused{}
			}
			return &afterError{t}
		}
	}
	return nil
}
