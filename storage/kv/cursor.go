package kv

import "context"

// cursor walks a range of keys of a snapshot.
type cursor struct {
	ctx  context.Context
	keys keyspace
	it   Iterator // nil at the end
	val  []byte
	raw  bool  // seals are left to the caller
	err  error // what ended the walk; nil at the end of the range
}

// open returns a cursor before the first key from lo to hi, or from hi down to
// lo. Errors show in the cursor.
func (s *snapshot) open(ctx context.Context, lo, hi []byte, reverse bool) *cursor {
	c := &cursor{ctx: ctx, keys: s.e.keys}
	if c.err = s.e.checkOpen(); c.err == nil {
		c.err = ctx.Err()
	}
	if c.err == nil {
		c.it, c.err = s.kv.Scan(ctx, lo, hi, reverse)
	}
	return c
}

// openRaw returns a cursor that leaves values as they are stored, with their
// seals.
func (s *snapshot) openRaw(ctx context.Context, lo, hi []byte) *cursor {
	c := s.open(ctx, lo, hi, false)
	c.raw = true
	return c
}

// next moves to the next key; false at the end and on an error, when the
// cursor has closed itself. A record whose seal does not fit is one. The
// context is looked at for every key: what is done with a row may take long.
func (c *cursor) next() bool {
	if c.it == nil {
		return false
	}
	if c.err = c.ctx.Err(); c.err == nil && c.it.Next() {
		if c.val = c.it.Value(); c.raw {
			return true
		}
		if c.val, c.err = c.keys.unseal(c.it.Key(), c.val); c.err == nil {
			return true
		}
	}
	if c.err == nil {
		c.err = c.it.Err()
	}
	c.close()
	return false
}

// key and value are valid until next or close.
func (c *cursor) key() []byte   { return c.it.Key() }
func (c *cursor) value() []byte { return c.val }

// close ends the walk; it may be called again.
func (c *cursor) close() {
	if c.it == nil {
		return
	}
	if err := c.it.Close(); c.err == nil {
		c.err = err
	}
	c.it = nil
}
