package core

import (
	"slices"

	"github.com/ankurah/ankurah-go/internal/wire"
)

// Conn is what a core has to say on one connection, in order.
type Conn struct {
	// Handle is the executor's, to find the connection by.
	Handle any

	slots   []*slot
	unsent  int    // bytes that wait
	pushed  int    // those of them that are pushes
	under   int    // bytes that were taken and are not known to be sent
	pushing int    // those of them that are pushes
	total   *int   // of all connections, unsent and under; nil: not counted any more
	drained func() // called when some were taken
	ending  bool   // nothing follows what waits
}

// count changes how many bytes wait.
func (k *Conn) count(n int) {
	k.unsent += n
	if k.total != nil {
		*k.total += n
	}
}

// Held returns how many bytes the node holds for the other side.
func (k *Conn) Held() int { return k.unsent + k.under }

// Sent says that what was taken is sent. Taking more says it too.
func (k *Conn) Sent() {
	if k.total != nil {
		*k.total -= k.under
	}
	k.under, k.pushing = 0, 0
}

// Drop forgets what waits, and is to come: the connection has ended.
func (k *Conn) Drop() {
	k.clear()
	k.total = nil
}

// clear forgets what waits so far.
func (k *Conn) clear() {
	if k.total != nil {
		*k.total -= k.Held()
	}
	k.slots, k.unsent, k.pushed, k.under, k.pushing = nil, 0, 0, 0, 0
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
	k.Sent()
	for len(k.slots) > 0 && !k.slots[0].open {
		s := k.slots[0]
		k.slots = k.slots[1:]
		n := s.size()
		k.pushed -= s.pushed
		k.pushing += s.pushed
		k.unsent -= n
		k.under += n
		frames = append(frames, s.frames...)
	}
	if len(frames) > 0 && k.drained != nil {
		k.drained()
	}
	return frames, k.ending && len(k.slots) == 0
}

// Ending reports whether nothing follows what waits.
func (k *Conn) Ending() bool { return k.ending }

// Ready reports whether Take has something to return.
func (k *Conn) Ready() bool {
	return len(k.slots) > 0 && !k.slots[0].open || k.ending && len(k.slots) == 0
}

func (c *Core) send(k *Conn, m wire.Message) {
	if !k.ending {
		k.put(len(k.slots), &slot{frames: [][]byte{wire.Append(nil, m)}})
		c.ex.Wake(k)
	}
}

// sendEarly sends frames before the answers that are being made.
func (c *Core) sendEarly(k *Conn, frames ...[]byte) {
	if k.ending {
		return
	}
	at := k.firstOpen()
	if at < 0 {
		at = len(k.slots)
	}
	k.put(at, &slot{frames: frames})
	c.ex.Wake(k)
}

// firstOpen returns the first place that frames will come into, -1 for none.
func (k *Conn) firstOpen() int {
	return slices.IndexFunc(k.slots, func(s *slot) bool { return s.open })
}

// put inserts frames before a place.
func (k *Conn) put(at int, s *slot) {
	k.slots = slices.Insert(k.slots, at, s)
	k.count(s.size())
	k.pushed += s.pushed
}

func (s *slot) size() (n int) {
	for _, f := range s.frames {
		n += len(f)
	}
	return n
}

// reserve keeps a place for an answer.
func (k *Conn) reserve() *slot {
	s := &slot{open: true}
	k.slots = append(k.slots, s)
	return s
}

// postpone moves a place that is still open behind all others.
func (k *Conn) postpone(s *slot) {
	if at := slices.Index(k.slots, s); at >= 0 && s.open {
		k.slots = append(slices.Delete(k.slots, at, at+1), s)
	}
}

// fill puts an answer into its place, unless it has something already.
func (c *Core) fill(k *Conn, s *slot, frames [][]byte) {
	if s.open {
		s.frames, s.open = frames, false
		k.count(s.size())
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
