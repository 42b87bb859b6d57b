package entity

import (
	"maps"
	"sync"
	"sync/atomic"
)

// A node holds many states and few property names: the names are shared. The
// table is bounded, since names come from peers too.
const maxInterned = 4096

var names nameTable

// nameTable is a map that is read without a lock. New names wait in another
// one until the waiting has cost as much as copying all of them.
type nameTable struct {
	shared atomic.Pointer[map[string]string] // never changed once stored

	mu    sync.Mutex
	fresh map[string]string
	slow  int // lookups that came as far as mu since shared was stored
}

// intern returns b as a string that equal names share.
func intern(b []byte) string { return names.intern(b) }

func (t *nameTable) intern(b []byte) string {
	if m := t.shared.Load(); m != nil {
		if s, ok := (*m)[string(b)]; ok {
			return s
		}
		if len(*m) >= maxInterned {
			return string(b)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	var shared map[string]string
	if m := t.shared.Load(); m != nil {
		shared = *m
	}
	s, ok := shared[string(b)]
	if ok {
		return s // stored meanwhile
	}
	if s, ok = t.fresh[string(b)]; !ok {
		s = string(b)
		if t.fresh == nil {
			t.fresh = map[string]string{}
		}
		t.fresh[s] = s
	}
	if t.slow++; t.slow >= len(shared) || len(shared)+len(t.fresh) >= maxInterned {
		next := t.fresh
		maps.Copy(next, shared)
		t.shared.Store(&next)
		t.fresh, t.slow = nil, 0
	}
	return s
}
