package core

import (
	"github.com/ankurah/ankurah-go/internal/wire"
)

// maxPushed bounds the bytes of pushes that wait for a slow peer (S33).
const maxPushed = 16 << 20

// Conn is what a core has to say on one connection, in order.
type Conn struct {
	// Handle is the executor's, to find the connection by.
	Handle any

	slots  []*slot
	pushed int  // bytes of pushes that wait
	ending bool // nothing follows what waits
}

// slot is a place in the order: an answer that is being made, or frames.
type slot struct {
	frames [][]byte
	open   bool // frames will come
	pushed int  // bytes of frames that are pushes
}

// Take returns the frames that are ready to be sent, and whether the
// connection is to be closed behind them. It is called under the rule for
// calls of the core.
func (k *Conn) Take() (frames [][]byte, end bool) {
	for len(k.slots) > 0 && !k.slots[0].open {
		s := k.slots[0]
		k.slots = k.slots[1:]
		k.pushed -= s.pushed
		frames = append(frames, s.frames...)
	}
	return frames, k.ending && len(k.slots) == 0
}

// Ready reports whether Take has something to return.
func (k *Conn) Ready() bool {
	return len(k.slots) > 0 && !k.slots[0].open || k.ending && len(k.slots) == 0
}

func (c *Core) send(k *Conn, m wire.Message) {
	if !k.ending {
		k.slots = append(k.slots, &slot{frames: [][]byte{wire.Append(nil, m)}})
		c.ex.Wake(k)
	}
}

// reserve keeps a place for an answer.
func (k *Conn) reserve() *slot {
	s := &slot{open: true}
	k.slots = append(k.slots, s)
	return s
}

// fill puts an answer into its place, unless it has something already.
func (c *Core) fill(k *Conn, s *slot, frames [][]byte) {
	if s.open {
		s.frames, s.open = frames, false
		c.ex.Wake(k)
	}
}

// finishConn lets nothing follow what waits; answers that are still being made
// are left out.
func (c *Core) finishConn(k *Conn) {
	if k.ending {
		return
	}
	k.ending = true
	for _, s := range k.slots {
		s.open = false
	}
	c.ex.Wake(k)
}
