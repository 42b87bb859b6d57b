package kv

import (
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
)

// headsPerGeneration bounds a headCache: it holds up to twice as many heads.
const headsPerGeneration = 1 << 14

// headCache remembers the heads of entities that were committed lately, so
// that a commit to them reads nothing. It has two generations: when the young
// one is full it becomes the old one, and what was not used since is gone.
type headCache struct{ young, old map[headKey]event.Head }

type headKey struct {
	collection *collection
	entity     id.ID
}

func (h *headCache) reset() { h.young, h.old = map[headKey]event.Head{}, nil }

func (h *headCache) get(k headKey) (event.Head, bool) {
	head, ok := h.young[k]
	if ok {
		return head, true
	}
	if head, ok = h.old[k]; ok {
		h.put(k, head)
	}
	return head, ok
}

func (h *headCache) put(k headKey, head event.Head) {
	if len(h.young) >= headsPerGeneration {
		h.old, h.young = h.young, make(map[headKey]event.Head, headsPerGeneration)
	}
	h.young[k] = head
}
