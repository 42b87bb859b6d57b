package kv

import (
	"bytes"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/storage"
)

// put appends a write whose key is buf[key:value] and whose value is
// buf[value:], which it seals.
func (c *committer) put(keys keyspace, key, value int) {
	c.buf = keys.appendSeal(c.buf, c.buf[key:value], value)
	end := len(c.buf)
	c.writes = append(c.writes, Write{Key: c.buf[key:value:value], Value: c.buf[value:end:end]})
}

// putValue appends a write whose key is buf[key:].
func (c *committer) putValue(keys keyspace, key int, value []byte) {
	end := len(c.buf)
	c.buf = append(c.buf, value...)
	c.put(keys, key, end)
}

func (c *committer) delete(key int) {
	end := len(c.buf)
	c.writes = append(c.writes, Write{Key: c.buf[key:end:end], Delete: true})
}

// write collects the writes of an admitted transaction and remembers what it
// changes.
func (e *Engine) write(tx *storage.Tx) {
	c := &e.committer
	for k := range tx.Entities {
		e.writeEntity(&tx.Entities[k])
	}
	if len(tx.Record) > 0 {
		key := len(c.buf)
		c.buf = e.keys.tx(c.buf, tx.ID)
		c.putValue(e.keys, key, tx.Record)
	}
	for k := range c.claims[c.mark:] {
		if claim := &c.claims[c.mark+k]; claim.write {
			c.writeClaim(e.keys, claim)
		}
	}
	e.writeMeta(tx.Meta)
}

func (e *Engine) writeEntity(w *storage.EntityWrite) {
	c := &e.committer
	s := w.After
	col := e.collection(s.Collection())

	key := len(c.buf)
	c.buf = e.keys.state(c.buf, col.name, s.ID())
	if value := len(c.buf); s.IsGone() {
		c.delete(key)
	} else {
		c.buf = s.Append(c.buf)
		c.put(e.keys, key, value)
	}

	rev := s.Rev() - uint64(len(w.Events))
	for _, ev := range w.Events {
		rev++
		key = len(c.buf)
		c.buf = e.keys.event(c.buf, s.ID(), rev)
		value := len(c.buf)
		c.buf = ev.Append(c.buf)
		c.put(e.keys, key, value)

		key = len(c.buf)
		c.buf = e.keys.position(c.buf, ev.ID)
		value = len(c.buf)
		c.buf = appendPosition(c.buf, s.ID(), rev, col.name)
		c.put(e.keys, key, value)
	}
	if len(col.indexes) > 0 {
		c.maintain(e.keys, col.indexes, w.Before, s)
	}
	e.heads.put(headKey{col, s.ID()}, s.Head())
	if col.last.Less(s.ID()) {
		col.last = s.ID()
	}
}

// maintain collects the changes of index entries when an entity goes from one
// state to another. It is right for indexes under construction as well: what
// it deletes may not be there, and what it sets is what building would set.
func (c *committer) maintain(keys keyspace, indexes []*index, before, after *entity.State) {
	had, has := before.Exists(), after.Exists()
	for _, x := range indexes {
		if had && has && !x.touched(before, after) {
			continue
		}
		old := len(c.buf)
		if had {
			c.buf = x.appendEntry(c.buf, before)
		}
		key := len(c.buf)
		if has {
			c.buf = x.appendEntry(c.buf, after)
		}
		if had && has && bytes.Equal(c.buf[old:key], c.buf[key:]) {
			c.buf = c.buf[:old]
			continue
		}
		if had {
			c.writes = append(c.writes, Write{Key: c.buf[old:key:key], Delete: true})
		}
		if has {
			c.put(keys, key, len(c.buf))
		}
	}
}

func (c *committer) writeClaim(keys keyspace, claim *claimed) {
	key := len(c.buf)
	c.buf = keys.claim(c.buf, claim.key)
	if claim.entity.IsZero() {
		c.delete(key)
		return
	}
	c.putValue(keys, key, claim.entity[:])
}

func (e *Engine) writeMeta(writes []storage.MetaWrite) {
	c := &e.committer
	for k := range writes {
		m := &writes[k]
		key := len(c.buf)
		c.buf = e.keys.meta(c.buf, m.Key)
		if m.Value == nil {
			c.delete(key)
		} else {
			c.putValue(e.keys, key, m.Value)
		}
	}
}
