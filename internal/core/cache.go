package core

import (
	"container/list"
	"sync"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/id"
)

// Cache holds published states up to a size, least recently used leaving
// first. It is safe for concurrent use.
//
// Readers may fill it with what they found in a snapshot, though a newer state
// may have been published and evicted since. floor rules that out: it is the
// greatest publication whose state was evicted, so a state that is absent and
// was read from a snapshot at or after floor is the newest one.
type Cache struct {
	mu      sync.Mutex
	limit   int
	size    int
	entries map[id.ID]*list.Element
	recent  list.List // of *cached, most recent first
	floor   uint64
}

type cached struct {
	state *entity.State
	seq   uint64 // publication that put it
	size  int
}

// NewCache returns a cache of about limit bytes.
func NewCache(limit int) *Cache {
	return &Cache{limit: limit, entries: map[id.ID]*list.Element{}}
}

// Get returns the newest published state of an entity if it is held.
func (c *Cache) Get(entity id.ID) (*entity.State, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	el, ok := c.entries[entity]
	if !ok {
		return nil, false
	}
	c.recent.MoveToFront(el)
	return el.Value.(*cached).state, true
}

// Publish puts the states of publication seq.
func (c *Cache) Publish(seq uint64, states []*entity.State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range states {
		if !s.IsGone() {
			c.put(s, seq)
			continue
		}
		if el, ok := c.entries[s.ID()]; ok {
			c.remove(el)
		}
		c.floor = max(c.floor, seq)
	}
	c.shrink()
}

// Fill puts a state that a reader found in a snapshot of publication seq,
// unless a newer one may exist.
func (c *Cache) Fill(seq uint64, s *entity.State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, held := c.entries[s.ID()]; held || seq < c.floor {
		return
	}
	c.put(s, seq)
	c.shrink()
}

// Drop removes an entity, whose state must then be read from a snapshot of
// publication seq or later.
func (c *Cache) Drop(entity id.ID, seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if el, ok := c.entries[entity]; ok {
		c.remove(el)
	}
	c.floor = max(c.floor, seq)
}

// Clear removes everything: states must then be read from a snapshot of
// publication seq or later.
func (c *Cache) Clear(seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.recent.Init()
	clear(c.entries)
	c.size, c.floor = 0, max(c.floor, seq)
}

// Size returns the bytes held, estimated, and the number of states.
func (c *Cache) Size() (bytes, states int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.size, len(c.entries)
}

func (c *Cache) put(s *entity.State, seq uint64) {
	n := s.Size()
	if el, ok := c.entries[s.ID()]; ok {
		old := el.Value.(*cached)
		c.size += n - old.size
		*old = cached{s, seq, n}
		c.recent.MoveToFront(el)
		return
	}
	c.entries[s.ID()] = c.recent.PushFront(&cached{s, seq, n})
	c.size += n
}

func (c *Cache) shrink() {
	for c.size > c.limit && c.recent.Len() > 0 {
		c.remove(c.recent.Back())
	}
}

func (c *Cache) remove(el *list.Element) {
	e := c.recent.Remove(el).(*cached)
	delete(c.entries, e.state.ID())
	c.size -= e.size
	c.floor = max(c.floor, e.seq)
}
