package memory

import (
	"bytes"
	"slices"
	"sort"
)

// fanout is the greatest number of items of a node, sparse the number under
// which it is joined with a neighbour that has room. A write copies a few
// nodes of that size.
const (
	fanout = 64
	sparse = fanout / 4
)

// item is one key with its value. It is immutable.
type item struct{ key, value []byte }

// node is a node of a B+ tree: a leaf when it has no children, else an inner
// node, where the key of item k is a lower bound of the keys below child k.
// The first of these keys is not looked at: what is less belongs there, too.
type node struct {
	items    []*item
	children []*node
	epoch    uint64 // of the tree when the node was made
}

// tree is a B+ tree whose versions share what they have in common. Only nodes
// made in the tree's current epoch are changed in place; handing out a version
// begins a new epoch, so that it never changes.
type tree struct {
	root  *node // nil when the tree is empty
	epoch uint64
}

// version returns the tree's content, which stays as it is.
func (t *tree) version() *node {
	t.epoch++
	return t.root
}

// own returns n itself if it may be changed, else a copy that may.
func (t *tree) own(n *node) *node {
	if n.epoch == t.epoch {
		return n
	}
	return t.copy(n, 0, len(n.items))
}

// copy returns a new node of n's items lo to hi, with room for one more than a
// node may have.
func (t *tree) copy(n *node, lo, hi int) *node {
	c := &node{epoch: t.epoch, items: append(make([]*item, 0, fanout+1), n.items[lo:hi]...)}
	if n.children != nil {
		c.children = append(make([]*node, 0, fanout+1), n.children[lo:hi]...)
	}
	return c
}

// search returns the position of the first item whose key is not less than key.
func (n *node) search(key []byte) int {
	return sort.Search(len(n.items), func(k int) bool { return bytes.Compare(n.items[k].key, key) >= 0 })
}

// child returns the position of the child below which key belongs.
func (n *node) child(key []byte) int {
	return sort.Search(len(n.items)-1, func(k int) bool { return bytes.Compare(n.items[k+1].key, key) > 0 })
}

// get returns the item under key, nil when there is none.
func (n *node) get(key []byte) *item {
	if n == nil {
		return nil
	}
	for n.children != nil {
		n = n.children[n.child(key)]
	}
	if k := n.search(key); k < len(n.items) && bytes.Equal(n.items[k].key, key) {
		return n.items[k]
	}
	return nil
}

// set puts an item in the place of the one with its key.
func (t *tree) set(i *item) {
	if t.root == nil {
		t.root = &node{epoch: t.epoch}
	}
	t.root = t.own(t.root)
	if right := t.insert(t.root, i); right != nil {
		left := t.root
		t.root = &node{epoch: t.epoch, items: []*item{left.items[0], right.items[0]}, children: []*node{left, right}}
	}
}

// insert puts i below n, which is owned, and returns n's new right neighbour
// if n had to be split.
func (t *tree) insert(n *node, i *item) *node {
	if n.children == nil {
		k := n.search(i.key)
		if k < len(n.items) && bytes.Equal(n.items[k].key, i.key) {
			n.items[k] = i
			return nil
		}
		n.items = slices.Insert(n.items, k, i)
		return t.split(n)
	}
	k := n.child(i.key)
	n.children[k] = t.own(n.children[k])
	right := t.insert(n.children[k], i)
	if right == nil {
		return nil
	}
	n.items = slices.Insert(n.items, k+1, right.items[0])
	n.children = slices.Insert(n.children, k+1, right)
	return t.split(n)
}

func (t *tree) split(n *node) *node {
	if len(n.items) <= fanout {
		return nil
	}
	half := len(n.items) / 2
	right := t.copy(n, half, len(n.items))
	n.items = slices.Delete(n.items, half, len(n.items))
	if n.children != nil {
		n.children = slices.Delete(n.children, half, len(n.children))
	}
	return right
}

// remove removes the item under key if there is one.
func (t *tree) remove(key []byte) {
	if t.root.get(key) == nil {
		return
	}
	t.root = t.own(t.root)
	t.drop(t.root, key)
	for len(t.root.children) == 1 {
		t.root = t.root.children[0]
	}
	if len(t.root.items) == 0 {
		t.root = nil
	}
}

// drop removes the item under key, which is there, from below n, which is
// owned.
func (t *tree) drop(n *node, key []byte) {
	if n.children == nil {
		k := n.search(key)
		n.items = slices.Delete(n.items, k, k+1)
		return
	}
	k := n.child(key)
	n.children[k] = t.own(n.children[k])
	t.drop(n.children[k], key)
	size := len(n.children[k].items)
	switch {
	case size >= sparse:
	case k+1 < len(n.children) && size+len(n.children[k+1].items) <= fanout:
		t.join(n, k)
	case k > 0 && size+len(n.children[k-1].items) <= fanout:
		t.join(n, k-1)
	case size == 0: // it has no neighbour
		n.items, n.children = n.items[:0], n.children[:0]
	}
}

// join moves what child k+1 of n holds to child k.
func (t *tree) join(n *node, k int) {
	left, right := t.own(n.children[k]), n.children[k+1]
	n.children[k] = left
	at := len(left.items)
	left.items = append(left.items, right.items...)
	if right.children != nil {
		left.children = append(left.children, right.children...)
		if len(right.items) > 0 {
			left.items[at] = n.items[k+1] // the first key of right was no bound
		}
	}
	n.items = slices.Delete(n.items, k+1, k+2)
	n.children = slices.Delete(n.children, k+1, k+2)
}

// place is a position in a node.
type place struct {
	n *node
	k int
}

// walk walks the items of a version from lo (included, nil for no bound) to hi
// (excluded, likewise), or backwards. The version does not change meanwhile.
type walk struct {
	path    []place // from the root to the leaf of the current item
	lo, hi  []byte
	reverse bool
	item    *item // nil before the first and after the last
}

func newWalk(root *node, lo, hi []byte, reverse bool) *walk {
	w := &walk{lo: lo, hi: hi, reverse: reverse}
	if root == nil {
		return w
	}
	bound := lo
	if reverse {
		bound = hi
	}
	for n := root; ; {
		k := 0
		switch {
		case bound == nil && reverse:
			k = len(n.items) - 1
			if n.children == nil {
				k++
			}
		case bound == nil:
		case n.children != nil:
			k = n.child(bound)
		default:
			k = n.search(bound)
		}
		if n.children == nil {
			if !reverse {
				k--
			}
			w.path = append(w.path, place{n, k})
			return w
		}
		w.path = append(w.path, place{n, k})
		n = n.children[k]
	}
}

// next moves to the next item and reports whether there is one.
func (w *walk) next() bool {
	w.item = nil
	step := 1
	if w.reverse {
		step = -1
	}
	for len(w.path) > 0 {
		p := &w.path[len(w.path)-1]
		p.k += step
		if p.k < 0 || p.k >= len(p.n.items) {
			w.path = w.path[:len(w.path)-1]
			continue
		}
		if p.n.children == nil {
			w.item = p.n.items[p.k]
			break
		}
		child := p.n.children[p.k]
		start := -1
		if w.reverse {
			start = len(child.items)
		}
		w.path = append(w.path, place{child, start})
	}
	if w.item == nil {
		return false
	}
	if w.reverse && bytes.Compare(w.item.key, w.lo) < 0 || !w.reverse && w.hi != nil && bytes.Compare(w.item.key, w.hi) >= 0 {
		w.path, w.item = nil, nil
		return false
	}
	return true
}
