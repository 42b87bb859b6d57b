package core

// keptRecent is how many of the newest entries a [recent] keeps at least.
const keptRecent = 10_000

// recent is a map that forgets what is old, so that it does not grow with the
// life of a node: entries older than the last age but one that found more than
// keptRecent. What one operation puts behind an age stays together.
type recent[K comparable, V any] struct{ now, before map[K]V }

// age lets the older entries go when there are many newer ones.
func (r *recent[K, V]) age() {
	if len(r.now) >= keptRecent {
		r.now, r.before = nil, r.now
	}
}

func (r *recent[K, V]) put(k K, v V) {
	if r.now == nil {
		r.now = map[K]V{}
	}
	r.now[k] = v
}

func (r *recent[K, V]) get(k K) (v V, ok bool) {
	if v, ok = r.now[k]; !ok {
		v, ok = r.before[k]
	}
	return v, ok
}

func (r *recent[K, V]) has(k K) bool {
	_, ok := r.get(k)
	return ok
}

func (r *recent[K, V]) drop(k K) {
	delete(r.now, k)
	delete(r.before, k)
}

func (r *recent[K, V]) empty() bool { return len(r.now)+len(r.before) == 0 }
