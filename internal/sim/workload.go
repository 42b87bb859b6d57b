package sim

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/core"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/property/lww"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/value"
)

// workload is what users and the world like to do.
type workload struct {
	clients int            // at most
	servers int            // at most, on one store; 0: one with a store of its own
	weights map[string]int // of the actions
	edits   edits
	skew    bool // clocks are wrong from the beginning
	twice   int  // percent of the frames that come twice
	asked   int  // percent of the live queries that are a server's own; 0: 10
	sleepy  bool // feeds are kept for less time than servers are stopped for

	texts  []string // of the live queries; nil: those that all have
	totals []string // of the live aggregates
}

// edits are what transactions consist of, in percent.
type edits struct {
	create, remove, refer, require int
	deny                           int // what nobody may write
	hide                           int // by the server, from everybody else
	entities                       int // of a transaction, at most
}

var usual = edits{create: 25, remove: 8, refer: 15, require: 5, deny: 5, hide: 15, entities: 3}

var workloads = map[string]*workload{
	"mixed": {clients: 3, edits: usual, twice: 1, weights: map[string]int{
		"edit": 45, "server edits": 12, "connect": 17, "ask": 10, "cut": 5, "crash": 2, "server crashes": 1, "time": 3, "policy": 1,
	}},
	"calm": {clients: 3, edits: usual, weights: map[string]int{
		"edit": 45, "server edits": 15, "connect": 10, "ask": 8, "time": 2,
	}},
	"registers": {clients: 4, edits: edits{create: 3, refer: 5, entities: 1}, twice: 1, weights: map[string]int{
		"edit": 60, "server edits": 15, "connect": 15, "ask": 5, "cut": 8, "time": 3,
	}},
	"creates": {clients: 3, edits: edits{create: 90, refer: 60, deny: 6, hide: 20, entities: 4}, twice: 1, weights: map[string]int{
		"edit": 45, "server edits": 10, "connect": 17, "ask": 6, "cut": 5, "crash": 3, "server crashes": 1, "time": 3,
	}},
	"deletes": {clients: 3, edits: edits{create: 25, remove: 45, refer: 5, hide: 10, entities: 3}, twice: 1, weights: map[string]int{
		"edit": 45, "server edits": 15, "connect": 17, "ask": 8, "cut": 5, "crash": 2, "server crashes": 1, "time": 3,
	}},
	"transactions": {clients: 4, edits: edits{create: 12, remove: 5, refer: 20, require: 25, deny: 6, hide: 5, entities: 8}, twice: 1, weights: map[string]int{
		"edit": 50, "server edits": 15, "connect": 17, "ask": 6, "cut": 6, "crash": 2, "time": 4,
	}},
	"denials": {clients: 3, edits: edits{create: 30, remove: 8, refer: 40, require: 15, deny: 30, hide: 30, entities: 3}, weights: map[string]int{
		"edit": 55, "server edits": 20, "connect": 15, "ask": 8, "cut": 6, "crash": 3, "time": 4, "policy": 3,
	}},
	"windows": {clients: 2, edits: edits{create: 30, remove: 15, hide: 20, deny: 3, entities: 3}, twice: 1, weights: map[string]int{
		"edit": 40, "server edits": 25, "connect": 14, "ask": 16, "select": 10, "cut": 4, "crash": 1, "time": 3,
	}},
	"subscriptions": {clients: 2, edits: usual, twice: 1, weights: map[string]int{
		"edit": 20, "server edits": 15, "connect": 14, "ask": 40, "select": 25, "cut": 8, "time": 3, "policy": 3,
	}},
	"offline": {clients: 2, edits: usual, skew: true, weights: map[string]int{
		"edit": 60, "server edits": 15, "connect": 15, "ask": 6, "leave": 5, "crash": 3, "time": 6,
	}},
	"reunion": {clients: 4, edits: usual, weights: map[string]int{
		"edit": 55, "server edits": 10, "connect": 12, "ask": 6, "leave together": 5, "time": 5, "crash": 1,
	}},
	"clocks": {clients: 3, edits: usual, skew: true, twice: 1, weights: map[string]int{
		"edit": 50, "server edits": 12, "connect": 17, "ask": 8, "cut": 5, "crash": 2, "server crashes": 1, "clock": 4, "time": 8,
	}},
	"crashes": {clients: 3, edits: usual, twice: 2, weights: map[string]int{
		"edit": 45, "server edits": 12, "connect": 25, "ask": 8, "cut": 3, "crash": 9, "server crashes": 5, "time": 3,
	}},
	"disks": {clients: 3, edits: usual, weights: map[string]int{
		"edit": 45, "server edits": 12, "connect": 25, "ask": 8, "cut": 3, "crash": 1, "disk": 9, "time": 5,
	}},
	"backups": {clients: 3, edits: usual, skew: true, weights: map[string]int{
		"edit": 45, "server edits": 12, "connect": 20, "ask": 8, "cut": 3, "crash": 2, "backup": 4, "restore": 3, "time": 5,
	}},
	"reset": {clients: 3, edits: usual, weights: map[string]int{
		"edit": 45, "server edits": 12, "connect": 20, "ask": 8, "cut": 3, "crash": 2, "reset": 1, "time": 3,
	}},
	"references": {clients: 3, texts: throughReferences, totals: totalsThroughReferences, twice: 1,
		edits: edits{create: 20, remove: 10, refer: 45, require: 3, deny: 4, hide: 15, entities: 3}, weights: map[string]int{
			"edit": 40, "server edits": 20, "connect": 14, "ask": 16, "count": 6, "select": 8, "cut": 4, "crash": 2, "server crashes": 1, "disk": 1, "time": 3, "policy": 1,
		}},
	"totals": {clients: 3, totals: totals, twice: 1,
		edits: edits{create: 20, remove: 12, refer: 10, require: 3, deny: 5, hide: 18, entities: 3}, weights: map[string]int{
			"edit": 40, "server edits": 20, "connect": 14, "ask": 4, "count": 18, "cut": 5, "crash": 2, "server crashes": 1, "disk": 1, "time": 3, "policy": 1, "backup": 1, "restore": 1,
		}},

	// Several servers.
	"servers": {clients: 4, servers: 3, edits: usual, twice: 1, weights: map[string]int{
		"edit": 45, "server edits": 20, "connect": 17, "ask": 10, "select": 3, "cut": 6, "crash": 2, "server crashes": 2, "store breaks": 3, "feed": 6, "time": 3, "policy": 1,
	}},
	"servers race": {clients: 4, servers: 4, edits: edits{create: 4, remove: 3, refer: 10, require: 15, entities: 4}, weights: map[string]int{
		"edit": 50, "server edits": 50, "connect": 15, "ask": 8, "cut": 4, "feed": 6, "time": 3,
	}},
	"servers fall": {clients: 3, servers: 3, edits: usual, twice: 1, weights: map[string]int{
		"edit": 45, "server edits": 20, "connect": 25, "ask": 8, "cut": 6, "crash": 3, "server crashes": 9, "store breaks": 9, "disk": 2, "feed": 6, "time": 4,
	}},
	"servers' totals": {clients: 3, servers: 3, texts: throughReferences, totals: slices.Concat(totals, totalsThroughReferences), twice: 1,
		edits: edits{create: 20, remove: 10, refer: 45, require: 3, deny: 4, hide: 15, entities: 3}, weights: map[string]int{
			"edit": 40, "server edits": 25, "connect": 14, "ask": 12, "count": 12, "select": 5, "cut": 4, "crash": 1, "server crashes": 2, "store breaks": 4, "feed": 3, "time": 3, "policy": 1,
		}},
	"servers sleep": {clients: 4, servers: 3, asked: 40, sleepy: true, texts: slices.Concat(texts, throughReferences), totals: slices.Concat(totals, totalsThroughReferences), twice: 1,
		edits: edits{create: 20, remove: 8, refer: 25, require: 5, deny: 4, hide: 12, entities: 3}, weights: map[string]int{
			"edit": 35, "server edits": 35, "connect": 20, "ask": 14, "count": 6, "select": 4, "cut": 4, "server crashes": 1, "store breaks": 2, "server sleeps": 4, "feed": 5, "time": 12, "policy": 1,
		}},
	"servers' clocks": {clients: 3, servers: 3, edits: usual, skew: true, weights: map[string]int{
		"edit": 45, "server edits": 25, "connect": 20, "ask": 8, "cut": 6, "crash": 1, "server crashes": 2, "store breaks": 2, "clock": 4, "feed": 6, "time": 6,
	}},
}

// Workloads are their names, sorted.
var Workloads = slices.Sorted(maps.Keys(workloads))

// alone and together are the workloads of one server, and of several on one
// store.
var alone, together []string

func init() {
	for _, name := range Workloads {
		if workloads[name].servers == 0 {
			alone = append(alone, name)
		} else {
			together = append(together, name)
		}
	}
}

// workloadOf returns what happens in a seed's world: in every fifth there are
// several servers.
func workloadOf(seed uint64) string {
	if seed%5 == 4 {
		return together[seed/5%uint64(len(together))]
	}
	return alone[seed%uint64(len(alone))]
}

// actions are what may happen; n is the client that it happens to.
var actions map[string]func(w *World, n *node)

func init() {
	actions = map[string]func(w *World, n *node){
		"edit": func(w *World, n *node) { w.edit(n, "user") },
		"server edits": func(w *World, _ *node) {
			w.edit(w.someServer(), "")
		},
		"connect": func(w *World, n *node) { w.together(n) },
		"ask":     (*World).ask,
		"count":   (*World).count,
		"select":  (*World).reselect,
		"cut": func(w *World, n *node) {
			w.cut(n)
		},
		"crash":          func(_ *World, n *node) { n.crashIfUp() },
		"server crashes": func(w *World, _ *node) { w.someServer().crashIfUp() },
		"feed":           func(w *World, _ *node) { w.fail(w.reader.read(w.someServer())) },
		"store breaks":   func(w *World, _ *node) { w.someServer().loseStore() },
		"server sleeps":  func(w *World, _ *node) { w.sleep(w.someServer()) },
		"time": func(w *World, _ *node) {
			w.now += 3000
			w.tick()
		},
		"leave": func(w *World, n *node) { w.leave(n) },
		"leave together": func(w *World, _ *node) {
			party := w.clients[:min(2, len(w.clients))]
			for _, n := range party {
				w.leave(n)
				n.party = party
			}
		},
		"clock": func(w *World, n *node) {
			if w.chance(30) {
				n = w.someServer()
			}
			n.skew = w.skew()
			w.note("the clock of %s is wrong by %d ms", n.name, n.skew)
		},
		"disk": func(w *World, n *node) {
			if w.chance(40) {
				n = w.someServer()
			}
			w.damage(n)
		},
		"policy": func(w *World, _ *node) {
			if n := w.someServer(); n.core != nil && !n.stopped() {
				w.note("permissions are looked at again")
				n.core.Invalidate(nil)
			}
		},
		"backup":  func(w *World, _ *node) { w.backup() },
		"restore": func(w *World, _ *node) { w.restoreBackup() },
		"reset":   func(w *World, _ *node) { w.reset() },
	}
}

// something is one act of the world or of a user.
func (w *World) something() {
	w.wake()
	n := w.clients[w.r.IntN(len(w.clients))]
	w.glance(n)
	if w.r.IntN(250) == 0 {
		w.lull()
		return
	}
	total := 0
	for _, weight := range w.load.weights {
		total += weight
	}
	k := w.r.IntN(total)
	for _, name := range slices.Sorted(maps.Keys(w.load.weights)) {
		if k -= w.load.weights[name]; k < 0 {
			actions[name](w, n)
			return
		}
	}
}

func (n *node) crashIfUp() {
	if n.core != nil {
		n.crash()
	}
}

// restart brings what is down, or what cannot write any more, up again.
func (w *World) restart(n *node) {
	w.raise(w.someServer())
	w.raise(n)
	w.connect(n)
}

// raise brings a node up.
func (w *World) raise(n *node) {
	if n.core != nil && n.core.Broken() != nil {
		n.crash()
	}
	if n.core == nil {
		w.note("%s starts", n.name)
		n.disk.full = false
		w.fail(n.start())
	}
}

// together brings a client up, and with it those who left with it.
func (w *World) together(n *node) {
	w.restart(n)
	if n.up == nil {
		return
	}
	party := n.party
	for _, o := range party {
		o.party = nil
		w.restart(o)
	}
}

func (w *World) tick() {
	for _, n := range w.everybody() {
		if n.core != nil && !n.stopped() {
			n.core.Tick()
		}
	}
}

// leave takes a client's network away for some time.
func (w *World) leave(n *node) {
	n.away = w.now + 5000
	w.note("%s leaves", n.name)
	w.cut(n)
}

// cut ends a client's connection: for both sides at once, or for one first.
func (w *World) cut(n *node) {
	if n.up == nil {
		return
	}
	switch w.r.IntN(3) {
	case 0:
		w.note("cut %s", n.name)
		n.up.cut()
	case 1:
		w.note("%s is cut, and the server will hear of it", n.name)
		n.up.leave(true)
	default:
		w.note("the server is cut from %s, which will hear of it", n.name)
		n.up.leave(false)
	}
}

// damage lets a disk fail.
func (w *World) damage(n *node) {
	switch w.r.IntN(4) {
	case 0:
		n.disk.full = true
	case 1:
		n.disk.badSync = unsaved
	case 2:
		n.disk.badSync = saved
	default:
		n.disk.badRead = true
	}
	w.note("the disk of %s will fail", n.name)
}

// glance asks a client about one of its transactions, and looks at it or at the
// server when nothing is under way there.
func (w *World) glance(n *node) {
	if n.core != nil && len(n.own) > 0 {
		if o := n.own[w.r.IntN(len(n.own))]; !o.done && o.life == n.life {
			o.confirm() // somebody else wants to know
		}
	}
	if w.chance(25) {
		n = w.someServer()
	}
	if n.core == nil || len(n.tasks) > 0 || n.stopped() {
		return
	}
	n.checkWrites()
	n.checkTogether()
	if w.chance(20) {
		for _, q := range n.queries {
			q.checkFresh()
		}
		for _, q := range n.totals {
			q.checkFresh()
		}
	}
}

// ask begins or ends a live query.
func (w *World) ask(n *node) {
	if w.chance(max(10, w.load.asked)) {
		n = w.someServer()
	}
	if n.core == nil || n.stopped() {
		return
	}
	if len(n.queries) > 3 {
		k := w.r.IntN(len(n.queries))
		w.note("%s ends %q", n.name, n.queries[k].text)
		n.core.Unsubscribe(n.queries[k].q)
		n.queries = slices.Delete(n.queries, k, k+1)
		return
	}
	q := &query{n: n, text: w.text()}
	w.note("%s asks %q", n.name, q.text)
	sel, err := w.bind(n, q.text)
	if err != nil {
		w.fail(err)
		return
	}
	q.q = n.core.Subscribe(sel, nil, q)
	if !n.isServer() {
		n.core.Follow(q.q)
	}
	n.core.Start(q.q)
	n.queries = append(n.queries, q)
}

// text returns what a live query may select.
func (w *World) text() string {
	from := texts
	if w.load.texts != nil {
		from = w.load.texts
	}
	return from[w.r.IntN(len(from))]
}

// bind fits a selection to what a node knows of the collection, if there is need
// for that.
func (w *World) bind(n *node, text string) (*ankql.Selection, error) {
	if w.load.texts == nil {
		return ankql.BindTemplate(text, nil, nil, collection)
	}
	return ankql.Limits{}.BindTemplateAcross(text, nil, n.core.Model, collection)
}

// reselect changes what a live query selects.
func (w *World) reselect(n *node) {
	if n.core == nil || n.stopped() || len(n.queries) == 0 {
		return
	}
	q := n.queries[w.r.IntN(len(n.queries))]
	if !q.ready {
		return
	}
	was := q.text
	q.text = w.text()
	w.note("%s asks %q instead of %q", n.name, q.text, was)
	sel, err := w.bind(n, q.text)
	if err != nil {
		w.fail(err)
		return
	}
	n.core.SetSelection(q.q, sel, nil, func() {})
}

// edit commits a transaction.
func (w *World) edit(n *node, subject string) {
	if n.core == nil || n.stopped() || n.core.Root().IsZero() {
		return
	}
	req := &core.Request{Principal: policy.Principal{Subject: subject}}
	w.random(req.ID[:])
	o := &own{tx: req.ID, n: n}
	known := n.published()
	for range 1 + w.r.IntN(w.load.edits.entities) {
		if len(known) == 0 || w.chance(w.load.edits.create) {
			birth, i, err := n.core.NewEntity(collection)
			if err != nil {
				w.fail(err)
				return
			}
			ops, hides := w.ops(n, o)
			if hides {
				w.secret[i] = true
			}
			req.Edits = append(req.Edits, core.Edit{Collection: collection, Entity: i, Birth: &birth, Ops: ops})
			o.creates = append(o.creates, i)
			continue
		}
		k := w.r.IntN(len(known))
		s := known[k]
		known = slices.Delete(known, k, k+1)
		if w.chance(w.load.edits.require) {
			req.Requires = append(req.Requires, storage.Require{Collection: collection, Entity: s.ID(), Head: s.Head()})
			o.requires = true
		}
		ops, _ := w.ops(n, o)
		for _, op := range ops {
			if op.Property == "hidden" {
				delete(w.secret, s.ID()) // it was seen, or will be
			}
		}
		req.Edits = append(req.Edits, core.Edit{Collection: collection, Entity: s.ID(), Base: s, Ops: ops})
		o.changes = append(o.changes, s.ID())
	}
	for _, e := range req.Edits {
		for _, t := range e.Base.Head() {
			o.tips = append(o.tips, t.ID)
		}
	}
	o.required = append(o.required, req.Requires...)
	if w.reader != nil {
		w.reader.expect(n, req.ID)
	}
	life := n.life
	o.life = life
	req.Done = func(after []*entity.State, err error) {
		w.note("%s has committed %s: %v", n.name, req.ID, err)
		if err != nil && !w.mayFail(n, err) {
			w.failf("%s cannot commit: %w", n.name, err)
		}
		if err != nil || n.life != life {
			return
		}
		w.wrote(o, after)
	}
	w.note("%s commits %s: creates %s changes %s refers to %s", n.name, req.ID, short(o.creates), short(o.changes), short(o.refers))
	n.core.Commit(req)
}

// short returns the ends of IDs, by which people tell them apart.
func short(ids []id.ID) (out []string) {
	for _, i := range ids {
		out = append(out, i.String()[20:])
	}
	return out
}

// mayFail reports whether a commit may fail so.
func (w *World) mayFail(n *node, err error) bool {
	for _, expected := range []error{
		core.ErrConflict, core.ErrDependsOnRefused, core.ErrClosed, policy.ErrDenied,
		entity.ErrGenesis, // what it changes was withdrawn meanwhile
		errFull, errIO,
	} {
		if errors.Is(err, expected) {
			return true
		}
	}
	return false
}

// ops returns what is done to one entity, and whether it hides it.
func (w *World) ops(n *node, o *own) (ops []event.Operation, hides bool) {
	e := &w.load.edits
	number := w.r.Int64N(20)
	if number == unlucky {
		number++
	}
	if w.chance(e.deny) && !n.isServer() {
		number = unlucky
		o.denied = true
	}
	if w.chance(66) || number == unlucky {
		ops = append(ops, lww.Set("n", value.Int64(number)))
	}
	tag := ""
	if w.chance(33) || len(ops) == 0 {
		tag = string(rune('a' + w.r.IntN(3)))
	}
	if n.isServer() && !w.open && w.chance(e.hide) {
		if hides = w.chance(50); hides {
			tag = secretTag
		} else if tag == "" {
			tag = "a"
		}
		ops = append(ops, lww.Set("hidden", value.Bool(hides)))
	}
	if len(w.servers) > 1 && w.chance(15) { // no model declares it
		ops = append(ops, lww.Set(fmt.Sprint("x", w.r.IntN(8)), value.Int64(number)))
	}
	if tag != "" {
		ops = append(ops, lww.Set("tag", value.String(tag)))
	}
	if w.chance(e.refer) {
		if known := n.published(); len(known) > 0 {
			at := known[w.r.IntN(len(known))].ID()
			if !w.secret[at] {
				ops = append(ops, lww.Set("other", value.ID(at)))
				o.refers = append(o.refers, at)
			}
		}
	}
	if w.chance(e.remove) {
		ops = append(ops, entity.SetDeleted(w.chance(50)))
	}
	entity.SortOps(ops)
	return ops, hides
}
