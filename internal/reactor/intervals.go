package reactor

// intervals is a set of intervals of byte strings, each with the queries that
// ask for it: a treap over the lower bounds in which every node knows the
// greatest upper bound below it (an interval tree as in Cormen et al.,
// Introduction to Algorithms, chapter 14.3). Which intervals hold a key is
// found in time that grows with their number and the logarithm of all.
type intervals struct {
	root *node
	rank uint64 // state of the generator of priorities: the same in every run
}

type node struct {
	interval
	queries     []*subscriber
	rank        uint64
	most        string // the greatest hi of the subtree
	left, right *node
}

// interval is the keys from lo (included) to hi (excluded; "" for no bound).
type interval struct{ lo, hi string }

func (i interval) less(o interval) bool {
	return i.lo < o.lo || i.lo == o.lo && i.hi < o.hi
}

// reaches reports whether an upper bound is behind key.
func reaches(hi, key string) bool { return hi == "" || key < hi }

func later(a, b string) string {
	if a == "" || b == "" {
		return ""
	}
	return max(a, b)
}

func (t *intervals) add(i interval, q *subscriber) {
	t.rank += 0x9E3779B97F4A7C15 // splitmix64
	r := t.rank
	r = (r ^ r>>30) * 0xBF58476D1CE4E5B9
	r = (r ^ r>>27) * 0x94D049BB133111EB
	t.root = t.root.add(i, q, r^r>>31)
}

func (n *node) add(i interval, q *subscriber, rank uint64) *node {
	switch {
	case n == nil:
		return &node{interval: i, queries: []*subscriber{q}, rank: rank, most: i.hi}
	case i == n.interval:
		n.queries = append(n.queries, q)
		return n
	case i.less(n.interval):
		if n.left = n.left.add(i, q, rank); n.left.rank > n.rank {
			n = n.rotateRight()
		}
	default:
		if n.right = n.right.add(i, q, rank); n.right.rank > n.rank {
			n = n.rotateLeft()
		}
	}
	n.update()
	return n
}

func (t *intervals) remove(i interval, q *subscriber) { t.root = t.root.remove(i, q) }

func (n *node) remove(i interval, q *subscriber) *node {
	switch {
	case n == nil:
		return nil
	case i == n.interval:
		if n.queries = without(n.queries, q); len(n.queries) == 0 {
			return n.left.merge(n.right)
		}
		return n
	case i.less(n.interval):
		n.left = n.left.remove(i, q)
	default:
		n.right = n.right.remove(i, q)
	}
	n.update()
	return n
}

// merge joins two subtrees of which all of n is before all of o.
func (n *node) merge(o *node) *node {
	switch {
	case n == nil:
		return o
	case o == nil:
		return n
	case n.rank > o.rank:
		n.right = n.right.merge(o)
	default:
		o.left = n.merge(o.left)
		n = o
	}
	n.update()
	return n
}

func (n *node) update() {
	n.most = n.hi
	if n.left != nil {
		n.most = later(n.most, n.left.most)
	}
	if n.right != nil {
		n.most = later(n.most, n.right.most)
	}
}

func (n *node) rotateRight() *node {
	l := n.left
	n.left, l.right = l.right, n
	n.update()
	return l
}

func (n *node) rotateLeft() *node {
	r := n.right
	n.right, r.left = r.left, n
	n.update()
	return r
}

// holding calls f with the queries of all intervals that hold key.
func (t *intervals) holding(key string, f func([]*subscriber)) { t.root.holding(key, f) }

func (n *node) holding(key string, f func([]*subscriber)) {
	for n != nil && reaches(n.most, key) {
		n.left.holding(key, f)
		if key < n.lo {
			return
		}
		if reaches(n.hi, key) {
			f(n.queries)
		}
		n = n.right
	}
}
