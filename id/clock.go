package id

import (
	"strconv"
	"time"
)

// Stamp is a hybrid logical clock reading: Unix milliseconds in the upper 48
// bits, a logical counter in the lower 16. Adding one carries a full counter
// into the milliseconds (S1). Stamps order as numbers.
type Stamp uint64

// MaxStamp is the greatest reading, in the year 10889.
const MaxStamp = ^Stamp(0)

// NewStamp joins milliseconds since the Unix epoch (48 bits) and a counter.
func NewStamp(millis uint64, counter uint16) Stamp {
	return Stamp(millis<<16 | uint64(counter))
}

// Millis returns the milliseconds since the Unix epoch.
func (s Stamp) Millis() uint64 { return uint64(s) >> 16 }

// Counter returns the logical counter.
func (s Stamp) Counter() uint16 { return uint16(s) }

// Time returns the wall-clock part, in UTC.
func (s Stamp) Time() time.Time { return time.UnixMilli(int64(s.Millis())).UTC() }

// String returns "milliseconds.counter".
func (s Stamp) String() string {
	return strconv.FormatUint(s.Millis(), 10) + "." + strconv.Itoa(int(s.Counter()))
}

// Clock is a hybrid logical clock. Its zero value is ready. It is not safe for
// concurrent use: one node has one clock, owned by its state machine.
type Clock struct{ last Stamp }

// Next returns a reading greater than every earlier reading and every observed
// one, at or after the wall clock's now (Unix milliseconds). A wall clock that
// steps back changes nothing but the counter.
func (c *Clock) Next(now uint64) Stamp {
	s := NewStamp(now, 0)
	if s <= c.last {
		s = c.last + 1
	}
	c.last = s
	return s
}

// Observe makes later readings greater than s.
func (c *Clock) Observe(s Stamp) { c.last = max(c.last, s) }

// Last returns the high-water mark: the greatest reading made or observed.
func (c *Clock) Last() Stamp { return c.last }
