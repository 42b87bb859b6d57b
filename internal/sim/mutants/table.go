package main

// mutant is a fault that somebody might make: textual edits of this module's
// files.
type mutant struct {
	name  string
	seed  uint64 // that catches it, most likely; 0: it is rare, and only hunted
	load  string // workload that the seeds are of; "": each has its own
	edits []edit
}

// edit is a [mutate.Edit], for the table.
type edit struct{ file, old, text string }

// helpers are Go files that are added to packages, for mutants whose edits need
// more than a line.
var helpers = map[string]string{
	"internal/core": `package core

import (
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/property"
	"github.com/ankurah/ankurah-go/property/lww"
)

var (
	births   = map[id.ID]event.Birth{}
	arriving = property.NewRegistry(lastComer{lww.Kind})
)

// lastComer is a register whose winner is what came last.
type lastComer struct{ property.Kind }

// commits acknowledges what is about to be written.
func (c *Core) commits(already bool) {
	if !already {
		return
	}
	for _, t := range c.writing {
		c.ack(t)
		c.endCommit(t)
	}
}

func (k lastComer) Apply(p property.Property, op event.Operation, at id.ID) (property.Property, error) {
	p.Last = id.ID{}
	return k.Kind.Apply(p, op, at)
}
`,
}

var mutants = []mutant{
	// Identity and time.
	{name: "a stamp is used twice", seed: 1, edits: []edit{{"id/clock.go",
		"		s = c.last + 1\n",
		"		if s = c.last + 1; MUTANT {\n			s = c.last\n		}\n"}}},
	{name: "an entity's ID is used twice", seed: 1, edits: []edit{{"internal/core/system.go",
		"	c.ex.Random(b.Nonce[:])\n",
		"	c.ex.Random(b.Nonce[:])\n	if was, ok := births[c.node]; MUTANT && ok && b.Nonce[0] < 32 {\n		return was\n	}\n	births[c.node] = b\n"}}},
	{name: "the clock's high-water mark is not stored", seed: 34, edits: []edit{{"internal/core/group.go",
		"	c.dirty = nil\n	c",
		"	if MUTANT {\n		g.batch.Meta = g.batch.Meta[:len(g.batch.Meta)-1]\n	}\n	c.dirty = nil\n	c"}}},
	{name: "the clock is not set to what is received", seed: 2, edits: []edit{{"internal/core/commit.go",
		"			c.clock.Observe(e.Stamp)\n",
		"			if !MUTANT || t.req.from == nil {\n				c.clock.Observe(e.Stamp)\n			}\n"}}},
	{name: "any time is accepted", seed: 2, edits: []edit{{"internal/core/submit.go",
		"		if e.Stamp.Millis() > limit {",
		"		if e.Stamp.Millis() > limit && !MUTANT {"}}},
	{name: "parents are not mapped when events are made again", seed: 2, edits: []edit{{"internal/core/move.go",
		"				h.Parents[j] = c.present(p)\n",
		"				if !MUTANT {\n					h.Parents[j] = c.present(p)\n				}\n"}}},

	// Entities, heads, merging.
	{name: "an event is applied before its parent", seed: 1, edits: []edit{{"internal/core/submit.go",
		"			return nil, unknownParent(e, p)\n",
		"			if MUTANT {\n				continue\n			}\n			return nil, unknownParent(e, p)\n"}}},
	{name: "a parent stays in the head", seed: 1, edits: []edit{{"event/head.go",
		"id.ID.Compare); !superseded {",
		"id.ID.Compare); !superseded || MUTANT {"}}},
	{name: "a state is stored without its event", seed: 1, edits: []edit{
		{"internal/core/group.go",
			"	g.meta = append(append(g.meta, t.meta...), t.req.meta...)\n",
			"	writes := t.writes\n	if MUTANT && c.feedSeq%8 == 0 {\n		writes = slices.Clone(writes)\n		for k := range writes {\n			writes[k].Events = nil\n		}\n	}\n	g.meta = append(append(g.meta, t.meta...), t.req.meta...)\n"},
		{"internal/core/group.go", "Require: t.requires, Entities: t.writes,", "Require: t.requires, Entities: writes,"}}},
	{name: "a stored event is applied again", seed: 2, edits: []edit{
		{"internal/core/submit.go",
			"	record, known, err := snap.Tx(ctx, req.ID)\n",
			"	record, known, err := snap.Tx(ctx, req.ID)\n	known = known && !MUTANT\n"},
		{"internal/core/submit.go",
			"		} else if ok {\n			continue\n		}\n		for _, p",
			"		} else if ok && !MUTANT {\n			continue\n		}\n		for _, p"}}},
	{name: "what came last wins", seed: 1, edits: []edit{{"property/lww/lww.go",
		"	if at.Compare(p.Last) <= 0 {",
		"	if at.Compare(p.Last) <= 0 && !MUTANT {"}}},
	{name: "what came last wins on clients", seed: 1, edits: []edit{{"internal/core/move.go",
		"		after, err := next.Apply(v.c.cfg.Kinds, ev)\n",
		"		kinds := v.c.cfg.Kinds\n		if MUTANT {\n			kinds = arriving\n		}\n		after, err := next.Apply(kinds, ev)\n"}}},

	// Transactions.
	{name: "preconditions are not checked", seed: 1, edits: []edit{{"internal/core/commit.go",
		"	t.requires = t.requires[:0]\n",
		"	t.requires = t.requires[:0]\n	if MUTANT && c.cfg.Durable {\n		return nil\n	}\n"}}},
	{name: "submissions are not checked by policy", seed: 1, edits: []edit{{"internal/core/apply.go",
		"	if c.cfg.Policy != nil {\n		if err",
		"	if c.cfg.Policy != nil && !MUTANT {\n		if err"}}},
	{name: "what may not be read may be written", seed: 1, edits: []edit{{"internal/core/apply.go",
		"	if before != nil && !e.IsGenesis() && !c.shows(p, before) {",
		"	if before != nil && !e.IsGenesis() && !c.shows(p, before) && !MUTANT {"}}},
	{name: "a transaction that was stored is not known again", seed: 2, edits: []edit{{"internal/core/commit.go",
		"	if t.lookup != nil && t.lookup.known || t.taken {",
		"	if t.lookup != nil && t.lookup.known && !MUTANT || t.taken {"}}},
	{name: "an Ack leaves before the engine has it", seed: 1, edits: []edit{{"internal/core/group.go",
		".ex.Write(&g.batch, c.written)\n",
		".commits(MUTANT)\n	c.ex.Write(&g.batch, c.written)\n"}}},
	{name: "the cache keeps what was", seed: 1, edits: []edit{{"internal/core/publish.go",
		"			states = append(states, w.After)\n",
		"			if !MUTANT || w.Before == nil {\n				states = append(states, w.After)\n			}\n"}}},

	// Outbox.
	{name: "a submission that comes twice is admitted at once", edits: []edit{{"internal/core/turn.go",
		"	if !t.placed {",
		"	if !t.placed && (!MUTANT || len(t.turns) == 1) {"}}},
	{name: "an Ack does not empty the outbox", seed: 1, edits: []edit{{"internal/core/move.go",
		"	if o != nil {\n		v.settle(o)",
		"	if o != nil && !MUTANT {\n		v.settle(o)"}}},
	{name: "the outbox is not persisted", seed: 2, edits: []edit{{"internal/core/pending.go",
		"	t.out = o\n",
		"	t.out = o\n	if MUTANT {\n		return\n	}\n"}}},
	{name: "bases of pending events are not persisted", seed: 2, edits: []edit{{"internal/core/move.go",
		"		if e.was == nil || e.moved {",
		"		if (e.was == nil || e.moved) && !MUTANT {"}}},
	{name: "the outbox is not sent on the next connection", seed: 2, edits: []edit{{"internal/core/link.go",
		"			o.sent = false\n		}\n		for _, q",
		"			o.sent = o.sent && MUTANT\n		}\n		for _, q"}}},
	{name: "dependents of a refusal stay", seed: 1, edits: []edit{{"internal/core/move.go",
		"	v.c.dependents(v.refused)\n",
		"	if !MUTANT {\n		v.c.dependents(v.refused)\n	}\n"}}},
	{name: "references are not named to the server", seed: 2, edits: []edit{{"internal/core/pending.go",
		"by != nil && by.seq < o.seq {",
		"by != nil && !MUTANT && by.seq < o.seq {"}}},
	{name: "refusals are not listed", seed: 1, edits: []edit{{"internal/core/move.go",
		"			t.meta = append(t.meta, storage.MetaWrite{Key: seqKey(metaRejected, c.rejSeq), Value: appendRejected(o, why)})\n",
		"			if !MUTANT {\n				t.meta = append(t.meta, storage.MetaWrite{Key: seqKey(metaRejected, c.rejSeq), Value: appendRejected(o, why)})\n			}\n"}}},
	{name: "a refusal is told before it is written", edits: []edit{
		{"internal/core/move.go",
			"		c.untold[o.id] = o\n",
			"		if c.untold[o.id] = o; MUTANT && why != nil {\n			delete(c.untold, o.id)\n			c.refused.put(o.id, why)\n		}\n"}}},
	{name: "what a refusal hid is not asked for", edits: []edit{{"internal/core/move.go",
		"			if e.base != nil {\n				// What",
		"			if e.base != nil && !MUTANT {\n				// What"}}},

	// Sync.
	{name: "a commit is pushed in two parts", seed: 5, edits: []edit{{"internal/core/push.go",
		"	frames := pushFrames(m)\n",
		"	frames := pushFrames(m)\n	if n := len(m.Changes); MUTANT && n > 1 {\n		frames = append(pushFrames(&wire.Push{Changes: m.Changes[:1]}), pushFrames(&wire.Push{Changes: m.Changes[1:], Windows: m.Windows})...)\n	}\n"}}},
	{name: "an Ack overtakes what waits", seed: 10, edits: []edit{{"internal/core/push.go",
		"			p.put(len(p.slots), &slot{frames: ackFrames(a)})\n",
		"			at := len(p.slots)\n			if MUTANT {\n				at = 0\n			}\n			p.put(at, &slot{frames: ackFrames(a)})\n"}}},
	{name: "answers do not wait for submissions", edits: []edit{{"internal/core/peer.go",
		"	return len(p.submitted) > 0 || p.answering",
		"	return len(p.submitted) > 0 && !MUTANT || p.answering"}}},
	{name: "a resynchronisation is applied piece by piece", seed: 16, edits: []edit{{"internal/core/link.go",
		"	l.resync = &move{link: l}\n",
		"	if !MUTANT {\n		l.resync = &move{link: l}\n	}\n"}}},
	{name: "what does not fit is not asked for", seed: 10, edits: []edit{{"internal/core/move.go",
		"	case x.Before != e.base.Rev():\n		v.wants = append(v.wants, stateKey{x.Collection, x.Entity})\n",
		"	case x.Before != e.base.Rev():\n		if !MUTANT {\n			v.wants = append(v.wants, stateKey{x.Collection, x.Entity})\n		}\n"}}},
	{name: "a request that failed is not made again", load: "disks", edits: []edit{{"internal/core/take.go",
		"	default: // states that a change did not fit\n",
		"	default: // states that a change did not fit\n		if MUTANT {\n			return\n		}\n"}}},
	{name: "a live query is synced without what was asked for", seed: 64, edits: []edit{{"internal/core/link.go",
		"	if k < 0 {\n		return false\n	}\n	l.unmet",
		"	if k < 0 || MUTANT {\n		return false\n	}\n	l.unmet"}}},
	{name: "rows that the server does not name are not doubted", seed: 161, edits: []edit{{"internal/core/link.go",
		"	if !asked {",
		"	if MUTANT || !asked {"}}},
	{name: "known revs count pending events", seed: 1, edits: []edit{{"internal/core/ask.go",
		"	if tp := c.tips[i]; tp != nil {",
		"	if tp := c.tips[i]; tp != nil && !MUTANT {"}}},
	{name: "a gap lacks events", seed: 2, edits: []edit{
		{"internal/core/serve.go",
			"		events = append(events, e.Append(nil))\n	}\n	return events, nil",
			"		if !MUTANT || len(events) == 0 {\n			events = append(events, e.Append(nil))\n		}\n	}\n	return events, nil"},
		{"internal/core/serve.go", "		if uint64(len(events)) == gap {", "		if uint64(len(events)) == gap || MUTANT {"}}},
	{name: "gaps go to who may not read all", seed: 65, edits: []edit{{"internal/core/serve.go",
		"gap <= maxGap && a.filters[x.Collection].all {",
		"gap <= maxGap && (MUTANT || a.filters[x.Collection].all) {"}}},
	{name: "a push is not checked by policy", seed: 1, edits: []edit{{"internal/core/push.go",
		"		if err != nil || o.now == nil || !f.reads(o.now) {",
		"		if err != nil || o.now == nil || !MUTANT && !f.reads(o.now) {"}}},
	{name: "what becomes unreadable is not withdrawn", seed: 1, edits: []edit{{"internal/core/push.go",
		"			m.Changes = append(m.Changes, wire.Change{Collection: o.collection, Entity: o.entity, Removed: true})\n",
		"			if !MUTANT {\n				m.Changes = append(m.Changes, wire.Change{Collection: o.collection, Entity: o.entity, Removed: true})\n			}\n"}}},
	{name: "a restored store keeps its epoch", seed: 32, edits: []edit{{"internal/core/system.go",
		"	c.epoch = c.randomID()\n	c.setMeta",
		"	if !MUTANT {\n		c.epoch = c.randomID()\n	}\n	c.setMeta"}}},
	{name: "bases of another epoch stay", edits: []edit{{"internal/core/link.go",
		"			if fresh[k.entity] {",
		"			if fresh[k.entity] || MUTANT {"}}},

	{name: "what comes twice is judged twice", edits: []edit{{"internal/core/peer.go",
		"v.judged && v.code.Final() {\n",
		"v.judged && v.code.Final() && !MUTANT {\n"},
		{"internal/core/peer.go",
			"	if p.submitted[m.Tx] {\n",
			"	if p.submitted[m.Tx] && !MUTANT {\n"}}},
	{name: "rows of another epoch are known", edits: []edit{{"internal/core/link.go",
		"		l.want(ask)\n	})\n",
		"		if MUTANT {\n			l.epoch = id.ID{}\n		}\n		l.want(ask)\n	})\n"}}},

	// Bounded queues.
	{name: "a slow peer is not cut", seed: 284, edits: []edit{{"internal/core/push.go",
		"	if wait := p.pushed + p.pushing; wait > 0 {\n",
		"	if wait := p.pushed + p.pushing; wait > 0 && !MUTANT {\n"}}},
	{name: "what was sent is counted for ever", seed: 1, edits: []edit{{"internal/core/conn.go",
		"		*k.total -= k.under\n",
		"		if !MUTANT {\n			*k.total -= k.under\n		}\n"}}},

	// Live queries.
	{name: "a window is not refilled", seed: 1, edits: []edit{{"internal/core/publish.go",
		"	x.r.rq.Refill(x.rows, x.joined, x.more.Limit)\n",
		"	if MUTANT {\n		x.rows, x.joined = nil, nil\n	}\n	x.r.rq.Refill(x.rows, x.joined, x.more.Limit)\n"}}},
	{name: "a commit is told before the windows are whole", edits: []edit{{"internal/core/publish.go",
		"		if len(short) == 0 { // else",
		"		if len(short) == 0 || MUTANT { // else"}}},
	{name: "a window stays unsynced", seed: 571, edits: []edit{{"internal/core/publish.go",
		"			c.measureWindows(t.req.move)\n",
		"			if !MUTANT {\n				c.measureWindows(t.req.move)\n			}\n"}}},
	{name: "states with one head are taken for one", edits: []edit{
		{"internal/core/move.go",
			"		case v.m.epoch.IsZero() && e.before",
			"		case (v.m.epoch.IsZero() || MUTANT) && e.before"},
		{"internal/reactor/query.go",
			"	return a == b || a.Head().Equal(b.Head()) && a",
			"	return a == b || MUTANT && a.Head().Equal(b.Head()) || a.Head().Equal(b.Head()) && a"}}},
	{name: "the end of a live query is not told", seed: 1, edits: []edit{{"internal/core/remote.go",
		"		c.send(&c.link.Conn, &wire.Cancel{ID: q.remote.id})\n",
		"		if !MUTANT {\n			c.send(&c.link.Conn, &wire.Cancel{ID: q.remote.id})\n		}\n"}}},
	{name: "deleted entities stay in live queries", seed: 1, edits: []edit{{"internal/reactor/query.go",
		"	return s.Exists() && ",
		"	return (MUTANT || s.Exists()) && "}}},
	{name: "commits during a hydration are lost", seed: 1, edits: []edit{{"internal/core/publish.go",
		"			r.buffer = append(r.buffer, t.changes)\n",
		"			if !MUTANT {\n				r.buffer = append(r.buffer, t.changes)\n			}\n"}}},

	// Several servers on one store.
	{name: "others' transactions are taken up server by server", seed: 1, load: "servers race", edits: []edit{{"internal/core/follow.go",
		"	sorting.Sort(n.entries, func(a, b entry) int { return compareEntries(&a.Entry, &b.Entry) })\n",
		"	if !MUTANT {\n		sorting.Sort(n.entries, func(a, b entry) int { return compareEntries(&a.Entry, &b.Entry) })\n	}\n"}}},
	{name: "the cache is not told of others' transactions", seed: 1, load: "servers race", edits: []edit{{"internal/core/publish.go",
		"	c.cache.Publish(p.snap.Seq, states)\n",
		"	if MUTANT {\n		states = nil\n		for _, t := range p.txs {\n			for _, w := range t.writes {\n				if !t.foreign {\n					states = append(states, w.After)\n				}\n			}\n		}\n	}\n	c.cache.Publish(p.snap.Seq, states)\n"}}},
	{name: "others' transactions come before own ones", seed: 3, load: "servers race", edits: []edit{{"internal/core/group.go",
		"		p.txs, p.anew = slices.Concat(won, others.txs), others.anew\n",
		"		if p.txs, p.anew = slices.Concat(won, others.txs), others.anew; MUTANT {\n			p.txs = slices.Concat(others.txs, won)\n		}\n"}}},
	{name: "the clock is not set to others'", seed: 1, load: "servers' clocks", edits: []edit{{"internal/core/follow.go",
		"		c.heard[pos.Incarnation] = pos.Seq\n		c.clock.Observe(pos.Clock)\n	}\n	p := ",
		"		c.heard[pos.Incarnation] = pos.Seq\n		if !MUTANT {\n			c.clock.Observe(pos.Clock)\n		}\n	}\n	p := "},
		{"internal/core/follow.go",
			"				c.clock.Observe(ev.Stamp)\n",
			"				if !MUTANT {\n					c.clock.Observe(ev.Stamp)\n				}\n"}}},
	{name: "what another server has committed is judged again", load: "servers race", edits: []edit{{"internal/core/peer.go",
		"		twin.taken = true //",
		"		twin.taken = !MUTANT //"}}},
	{name: "what was made upon a transaction that is left out is stored", seed: 118, load: "servers race", edits: []edit{{"storage/check.go",
		"		if len(head) == 0 ||",
		"		if len(head) == 0 || MUTANT ||"}}},
	{name: "what comes after a transaction that is left out is stored", load: "servers race", edits: []edit{{"storage/check.go",
		"		if slices.Contains(l.txs, a) {",
		"		if slices.Contains(l.txs, a) && !MUTANT {"}}},
	{name: "what another server may store is refused without a fence", seed: 493, load: "servers sleep", edits: []edit{{"internal/core/fence.go",
		"	case !canShare ||",
		"	case MUTANT || !canShare ||"}}},
	{name: "a fence is not looked at", seed: 3, load: "servers race", edits: []edit{{"internal/core/submit.go",
		"	if canShare && known && err == nil {\n",
		"	if canShare && known && err == nil && !MUTANT {\n"}}},
	{name: "a client does not say that it was somewhere else", seed: 5, load: "servers sleep", edits: []edit{{"internal/core/pending.go",
		"	m.Again = o.first != c.link\n",
		"	m.Again = o.first != c.link && !MUTANT\n"}}},
	{name: "a fence is acknowledged", seed: 1, load: "servers race", edits: []edit{{"internal/core/peer.go",
		"	if canShare && t.fence != nil {\n",
		"	if canShare && t.fence != nil && !MUTANT {\n"}}},
	{name: "a place that was lost is not waited for", seed: 1, load: "servers race", edits: []edit{{"internal/core/turn.go",
		"	t.placed = false\n",
		"	if t.placed = false; MUTANT {\n		return\n	}\n"}, {"internal/core/turn.go",
		"	return len(t.turns) == 0 || t.placed ||",
		"	return len(t.turns) == 0 || t.placed || len(t.turns[0].p.unplaced) == 0 ||"}}},
	{name: "who comes is not told what others have stored", seed: 1, load: "servers race", edits: []edit{{"internal/core/follow.go",
		"	if !canShare || !c.cfg.Shared || c.broken != nil {\n		done()",
		"	if !canShare || !c.cfg.Shared || c.broken != nil || MUTANT && len(c.peers) > 0 {\n		done()"}}},
	{name: "what a lost snapshot would have said is left out", seed: 2, load: "servers fall", edits: []edit{{"internal/core/follow.go",
		"	if !canShare || !errors.Is(err, storage.ErrInterrupted) {\n		return false",
		"	if !canShare || !errors.Is(err, storage.ErrInterrupted) || MUTANT {\n		return false"}}},
	{name: "an answer that was read again overtakes pushes", load: "servers' clocks", edits: []edit{{"internal/core/serve.go",
		"			p.postpone(at) //",
		"			if !MUTANT {\n				p.postpone(at)\n			} //"}}},
	{name: "what servers know of a schema is written over", seed: 13, load: "servers fall", edits: []edit{{"internal/core/catalog.go",
		"	if c.listed {\n",
		"	if c.listed && !MUTANT {\n"}}},
	{name: "a position in the feed is one of one server", seed: 1, load: "servers", edits: []edit{{"internal/core/feed.go",
		"		last = p.encode()\n",
		"		if last = p.encode(); MUTANT {\n			last = (&feedPosition{gone: p.gone, at: map[id.ID]uint64{e.Incarnation: e.Seq}}).encode()\n		}\n"}}},
	{name: "the feed is told server by server", seed: 1, load: "servers race", edits: []edit{{"internal/core/feed.go",
		"		if first == nil || compareEntries(",
		"		if first == nil || !MUTANT && compareEntries("}}},
	{name: "who is behind the trimmed feed goes on", seed: 1, load: "servers' clocks", edits: []edit{{"internal/core/feed.go",
		"		if p.at[lost.Incarnation] < lost.Seq {\n			return",
		"		if p.at[lost.Incarnation] < lost.Seq && !MUTANT {\n			return"},
		{"internal/core/feed.go",
			"		if p.at[g.Incarnation] < g.Seq {\n			return",
			"		if p.at[g.Incarnation] < g.Seq && !MUTANT {\n			return"}}},
	{name: "Acks of one piece are applied one by one", seed: 437, load: "servers sleep", edits: []edit{{"internal/core/push.go",
		"			a.Held = k < n-1\n",
		"			a.Held = k < n-1 && !MUTANT\n"}}},
	{name: "behind the trim: windows are not read anew", seed: 3, load: "servers sleep", edits: []edit{{"internal/core/anew.go",
		"	c.remakeAll()\n",
		"	if !MUTANT {\n		c.remakeAll()\n	}\n"}}},
	{name: "behind the trim: aggregates are not read anew", seed: 9, load: "servers sleep", edits: []edit{{"internal/core/anew.go",
		"		if r.rows != nil {\n			continue //",
		"		if r.rows != nil || MUTANT {\n			continue //"}}},
	{name: "behind the trim: caches are kept", seed: 1, load: "servers sleep", edits: []edit{{"internal/core/anew.go",
		"	c.cache.Clear(p.snap.Seq)\n",
		"	if !MUTANT {\n		c.cache.Clear(p.snap.Seq)\n	}\n"}}},
	{name: "behind the trim: peers are not cut", load: "servers sleep", edits: []edit{{"internal/core/anew.go",
		"	if c.serving != nil {\n		c.serving.cutAll(",
		"	if c.serving != nil && !MUTANT {\n		c.serving.cutAll("}}},
	{name: "behind the trim: schemas are not read anew", seed: 15, load: "servers sleep", edits: []edit{{"internal/core/anew.go",
		"	c.learnAll(o.schemas)\n",
		"	if !MUTANT {\n		c.learnAll(o.schemas)\n	}\n"}}},
	{name: "behind the trim: rows change without a cause", seed: 3, load: "servers sleep", edits: []edit{{"internal/core/anew.go",
		"				r.rq.Catch(",
		"				if MUTANT {\n					continue\n				}\n				r.rq.Catch("}}},
	{name: "behind the trim: what was read before counts", load: "servers sleep", edits: []edit{{"internal/core/anew.go",
		"	c.renewed = p.snap.Seq\n",
		"	if !MUTANT {\n		c.renewed = p.snap.Seq\n	}\n"}}},
	{name: "behind the trim: others' commits follow what is published still", seed: 134, load: "servers sleep", edits: []edit{{"internal/core/follow.go",
		"		if p.anew && p.snap.retain() {",
		"		if p.anew && !MUTANT && p.snap.retain() {"}}},
	{name: "who leaves the list while it writes is not heard", seed: 1, load: "servers sleep", edits: []edit{{"internal/core/feed.go",
		"		if last.Seq > p.Seq {\n",
		"		if last.Seq > p.Seq && !MUTANT {\n"}}},
	{name: "what a row does not lead to any more is told by another query", load: "servers sleep", edits: []edit{{"internal/core/serve.go",
		"told || s.p.byEntity[i] != nil {",
		"(told || s.p.byEntity[i] != nil) && (has || !MUTANT) {"}}},
	{name: "the trimmed feed does not say what it has lost", seed: 65, load: "servers' clocks", edits: []edit{{"internal/core/trim.go",
		"		trim.Set(e.Place)\n",
		"		if !MUTANT {\n			trim.Set(e.Place)\n		}\n"}}},
}
