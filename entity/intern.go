package entity

import (
	"maps"
	"sync"
	"sync/atomic"
)

// A node holds many states and few property names: the names are shared. The
// table is bounded, since names come from peers too.
const maxInterned = 4096

var (
	interned  atomic.Pointer[map[string]string]
	interning sync.Mutex // serialises writers of interned
)

// intern returns b as a string that equal names share.
func intern(b []byte) string {
	if m := interned.Load(); m != nil {
		if s, ok := (*m)[string(b)]; ok {
			return s
		}
		if len(*m) >= maxInterned {
			return string(b)
		}
	}
	interning.Lock()
	defer interning.Unlock()
	next := map[string]string{}
	if m := interned.Load(); m != nil {
		maps.Copy(next, *m)
	}
	s := string(b)
	next[s] = s
	interned.Store(&next)
	return s
}
