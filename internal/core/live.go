package core

import (
	"context"
	"errors"
	"iter"
	"slices"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/internal/reactor"
)

// referrer is a [Sink] that hears of what rows refer to as well.
type referrer interface {
	Behind(changes []reactor.Change)
	refer(joined []*reactor.Joined)
}

// Sink receives what happens to a live query. Its methods are called under the
// core's lock, in commit order; they must only hand on the news.
type Sink interface {
	// Ready says that the first rows are there.
	Ready()
	// Changed hands over what one or, when the window lacked rows, several
	// whole commits did.
	Changed(changes []rowChange)
	// Failed ends the query.
	Failed(err error)
	// Synced says whether the rows are what a durable node says they are. It is
	// called on ephemeral nodes only.
	Synced(synced bool)
}

// Query is a registered live query.
type Query struct {
	n       uint64 // which one it is
	sink    Sink
	res     *result  // what it shows, nil before the first rows are there
	next    *result  // what it will show, nil when that is not being read
	waiting []func() // to be called when next is there, those for overtaken ones too
	closed  bool
	remote  *remote          // of an ephemeral node: what it is to the server
	asked   *ankql.Selection // of a session: before it was narrowed, nil where that changed nothing
}

// result is a maintained result, which several queries may show.
type result struct {
	key       string // of those that may be shared, "" of others
	rq        *reactor.Query
	allow     func(*entity.State) bool
	shown     []*Query // by whom, in the order in which they came
	joining   []*Query // who will show it when it is whole
	hydrating bool
	ready     bool               // it has been read, and is kept up to date
	buffer    [][]reactor.Change // commits since the snapshot that is being read
	short     bool               // waits for rows
	held      bool               // it is a copy that stays as it is, of one live query
	gone      bool               // nobody shows it
	remade    bool               // those who show it wait for another
	changed   uint64             // when it changed last, in milliseconds since the Unix epoch
	behind    []reactor.Change   // to what rows may refer to, not told yet
	untold    *reactor.Unread    // what was read, or is, and is not told yet; nil for nothing
}

// now returns what the query shows, or will show first.
func (q *Query) now() *reactor.Query {
	if q.res == nil {
		return q.next.rq
	}
	return q.res.rq
}

// Rows returns the query's rows; the slice is the caller's.
func (q *Query) Rows() []*entity.State { return q.now().Rows() }

// CursorOf returns the position of a row in the query's order.
func (q *Query) CursorOf(s *entity.State) *ankql.Cursor { return q.now().CursorOf(s) }

// Selection returns what the query selects, narrowed by policy.
func (q *Query) Selection() *ankql.Selection { return q.now().Selection() }

// Collect reads the allowed rows of a selection, and with what they refer to
// when it has links.
func Collect(ctx context.Context, src Source, sel *ankql.Selection, allow func(*entity.State) bool) (rows []*entity.State, joined []*reactor.Joined, err error) {
	return collect(ctx, src, sel, allow, func(int) error { return nil })
}

// collect is [Collect] while enough has no error for the number of rows.
func collect(ctx context.Context, src Source, sel *ankql.Selection, allow func(*entity.State) bool, enough func(int) error) (rows []*entity.State, joined []*reactor.Joined, err error) {
	if len(sel.Links) > 0 {
		for j, err := range joinedRows(ctx, src, sel, allow) {
			if err == nil {
				err = enough(len(rows) + 1)
			}
			if err != nil {
				return nil, nil, err
			}
			rows, joined = append(rows, j.State), append(joined, j)
		}
		return rows, joined, nil
	}
	for s, err := range Rows(ctx, src, sel, allow) {
		if err == nil {
			err = enough(len(rows) + 1)
		}
		if err != nil {
			return nil, nil, err
		}
		rows = append(rows, s)
	}
	return rows, nil, nil
}

// LinkedRows is [Rows] of rows from which the selection's links lead on.
func LinkedRows(ctx context.Context, src Source, sel *ankql.Selection, allow func(*entity.State) bool) iter.Seq2[ankql.Row, error] {
	if len(sel.Links) > 0 {
		return each(joinedRows(ctx, src, sel, allow), func(j *reactor.Joined) ankql.Row { return j })
	}
	return each(Rows(ctx, src, sel, allow), func(s *entity.State) ankql.Row { return s })
}

// each walks what f makes of rows; behind an error there is nothing.
func each[A, B any](rows iter.Seq2[A, error], f func(A) B) iter.Seq2[B, error] {
	return func(yield func(B, error) bool) {
		for a, err := range rows {
			if err != nil {
				var none B
				yield(none, err)
				return
			}
			if !yield(f(a), nil) {
				return
			}
		}
	}
}

// Rows walks the allowed rows of a selection. The limit counts allowed rows.
func Rows(ctx context.Context, src Source, sel *ankql.Selection, allow func(*entity.State) bool) iter.Seq2[*entity.State, error] {
	if len(sel.Links) > 0 {
		return each(joinedRows(ctx, src, sel, allow), func(j *reactor.Joined) *entity.State { return j.State })
	}
	if allow == nil {
		return src.Scan(ctx, sel)
	}
	return func(yield func(*entity.State, error) bool) {
		open := *sel
		open.Limit = -1
		n := 0
		if sel.Limit == 0 {
			return
		}
		for s, err := range src.Scan(ctx, &open) {
			if err == nil && !allow(s) {
				continue
			}
			if !yield(s, err) || err != nil {
				return
			}
			if n++; n == sel.Limit {
				return
			}
		}
	}
}

// Subscribe registers a live query over a narrowed selection, which [Core.Start]
// gives rows.
func (c *Core) Subscribe(sel *ankql.Selection, allow func(*entity.State) bool, sink Sink) *Query {
	c.serial++
	q := &Query{n: c.serial, sink: sink}
	c.queries[q] = struct{}{}
	q.next = c.result(sel, allow)
	q.next.joining = append(q.next.joining, q)
	return q
}

// Start reads the rows of a live query beside the core, unless another query
// has them already; sink.Ready follows, perhaps before Start returns.
func (c *Core) Start(q *Query) { c.obtain(q.next) }

// result returns the result of a selection: one that is there or is being read,
// if it may be shared, or a new one.
func (c *Core) result(sel *ankql.Selection, allow func(*entity.State) bool) *result {
	key := ""
	if c.shareable(sel, allow) {
		sel = sel.Normalize()
		key = sel.Key()
		if r := c.results[key]; r != nil {
			return r
		}
		c.sharePaths(sel)
	}
	r := &result{key: key, rq: reactor.NewQuery(sel, allow), allow: allow}
	r.rq.Owner = r
	if key != "" {
		c.results[key] = r
	}
	return r
}

// sharePaths makes a selection, which nobody has yet, hold the paths of others
// where they are the same.
func (c *Core) sharePaths(sel *ankql.Selection) {
	shared := func(p *ankql.Path) *ankql.Path { return c.reactor.Shared(sel.Collection, p) }
	if through(sel.Where, func(p *ankql.Path) bool { return shared(p) != p }) {
		sel.Where = ankql.MapPaths(sel.Where, shared)
	}
}

// shareable reports whether who may see what is all in the selection.
func (c *Core) shareable(sel *ankql.Selection, allow func(*entity.State) bool) bool {
	checked := func(l ankql.Link) bool { return l.Allow != nil }
	return c.cfg.Durable && allow == nil && !slices.ContainsFunc(sel.Links, checked)
}

// obtain sees to it that those who will show a result get it.
func (c *Core) obtain(r *result) {
	switch {
	case r.hydrating:
	case r.ready: // though perhaps nobody shows it yet, or any more
		c.whenWhole(func() { c.join(r) })
	default:
		c.hydrate(r)
	}
}

// hydrate reads the rows of a result from the published snapshot, applies what
// was committed meanwhile, and shows it.
func (c *Core) hydrate(r *result) {
	snap, err := c.Latest()
	if err != nil {
		c.failResult(r, err)
		return
	}
	r.hydrating, r.buffer = true, nil
	c.hydrating[r] = struct{}{}
	theirs := r.theirs()
	var rows []*entity.State
	var joined []*reactor.Joined
	c.ex.Read(func(ctx context.Context) (err error) {
		rows, joined, err = c.collectFor(ctx, snap, r.rq.Hydrate(), r.allow, theirs)
		return err
	}, func(err error) {
		snap.Release()
		c.whenWhole(func() {
			switch {
			case len(r.joining) == 0: // nobody wants it any more
				c.drop(r)
			case c.again(err, snap, func() { c.hydrate(r) }):
			case errors.Is(err, ErrLimit) && theirs && !r.theirs():
				c.hydrate(r) // this node's own queries have no such limits
			case err != nil:
				c.failResult(r, err)
			default:
				c.hydrated(r, rows, joined)
			}
		})
	})
}

func (c *Core) hydrated(r *result, rows []*entity.State, joined []*reactor.Joined) {
	r.rq.Reset(rows, joined)
	r.rq.Unread() // of a hydration before
	for _, commit := range r.buffer {
		r.rq.Catch(commit)
	}
	switch {
	case r.rq.Joins() && r.rq.Waits():
		c.relateFirst(r)
		return
	case r.rq.Short() != nil:
		c.hydrate(r)
		return
	}
	c.whole(r)
}

// relateFirst reads what commits did to the rows of a result with links since
// they were read. Nothing is published meanwhile: else there might be no end.
func (c *Core) relateFirst(r *result) {
	r.hydrating = true
	c.refillAll([]*result{r}, func() {
		switch {
		case r.gone || r.remade:
		case len(r.joining) == 0: // nobody wants it any more
			c.drop(r)
		default:
			c.whole(r)
		}
	})
}

// remake has those who show a result, or wait for it, go on with a new one: what
// it lacks can no longer be read as of what is published. It keeps what happens
// meanwhile, to be told with the new one.
func (c *Core) remake(r *result) {
	if c.serving != nil {
		c.serving.cutShown(r)
	}
	if r.gone {
		return
	}
	if c.results[r.key] == r {
		delete(c.results, r.key)
	}
	c.isRead(r)
	r.remade = true
	r.rq.Forget()
	waiting := r.joining
	r.joining = nil
	for _, q := range r.shown {
		if q.next == nil {
			waiting = append(waiting, q)
		}
	}
	for _, q := range waiting {
		q.next = c.result(r.rq.Selection(), r.allow)
		q.next.joining = append(q.next.joining, q)
		c.obtain(q.next)
	}
	if len(r.shown) == 0 {
		c.drop(r)
	}
}

// whole shows a result that is as of what is published.
func (c *Core) whole(r *result) {
	r.rq.Take()
	c.isRead(r)
	r.ready = true
	c.reactor.Add(r.rq)
	c.join(r)
}

// isRead notes that a result is not being read any more.
func (c *Core) isRead(r *result) {
	r.hydrating, r.buffer = false, nil
	delete(c.hydrating, r)
}

// join lets those show a result who have waited for it.
func (c *Core) join(r *result) {
	joining := r.joining
	r.joining = nil
	for _, q := range joining {
		c.show(q, r)
	}
}

// show makes r what q shows.
func (c *Core) show(q *Query, r *result) {
	old := q.res
	q.res, q.next = r, nil
	if old != r {
		r.shown = append(r.shown, q)
	}
	if _, is := q.sink.(*aggregatedRows); is {
		r.rq.Every = true
	}
	if q.remote != nil {
		c.unfollow(q)
		c.setSynced(q, false)
		c.Follow(q)
	}
	switch {
	case old == nil:
		q.sink.Ready()
	case old != r:
		switch s := q.sink.(type) {
		case referrer:
			if old.remade {
				s.Behind(slices.Concat(old.behind, old.rq.Behind()))
			}
			s.refer(r.rq.Joined())
		case *aggregatedRows:
			s.compare()
		}
		changes := r.rq.Replace(old.rq)
		if old.held {
			changes = c.bare(q, changes)
		}
		if len(changes) > 0 {
			q.sink.Changed(changes)
		}
		c.leave(q, old)
	}
	q.done()
}

// leave ends that q shows r, or waits to.
func (c *Core) leave(q *Query, r *result) {
	is := func(o *Query) bool { return o == q }
	r.shown = slices.DeleteFunc(r.shown, is)
	r.joining = slices.DeleteFunc(r.joining, is)
	if len(r.shown)+len(r.joining) == 0 && !r.hydrating {
		c.drop(r)
	}
}

// drop forgets a result that nobody shows.
func (c *Core) drop(r *result) {
	r.gone = true
	c.isRead(r)
	c.reactor.Remove(r.rq)
	if c.results[r.key] == r {
		delete(c.results, r.key)
	}
}

// failResult ends all queries that show a result or wait for it.
func (c *Core) failResult(r *result, err error) {
	for _, q := range slices.Concat(r.shown, r.joining) {
		c.failQuery(q, err)
	}
	c.drop(r)
}

// SetSelection replaces what a live query selects, narrowed already, and reports
// the difference as one change (S54). done is called when the new rows are there.
func (c *Core) SetSelection(q *Query, sel *ankql.Selection, allow func(*entity.State) bool, done func()) {
	if q.closed {
		done()
		return
	}
	q.waiting = append(q.waiting, done)
	c.replace(q, sel, allow)
	c.obtain(q.next)
}

// replace makes the result of another selection what q will show.
func (c *Core) replace(q *Query, sel *ankql.Selection, allow func(*entity.State) bool) {
	switch q.next { // which is overtaken
	case nil:
	case q.res: // it is still shown
		q.res.joining = slices.DeleteFunc(q.res.joining, func(o *Query) bool { return o == q })
	default:
		c.leave(q, q.next)
	}
	q.next = c.result(sel, allow)
	q.next.joining = append(q.next.joining, q)
}

// done tells those who wait for a change of selection.
func (q *Query) done() {
	waiting := q.waiting
	q.waiting = nil
	for _, done := range waiting {
		done()
	}
}

// Unsubscribe ends a live query; its sink hears nothing more.
func (c *Core) Unsubscribe(q *Query) {
	if q.closed {
		return
	}
	q.closed = true
	c.unfollow(q)
	if q.res != nil {
		if _, is := q.sink.(Local); is && len(q.res.shown) > 1 {
			c.hold(q, q.res.rq.Selection()) // what others go on to show is not for this one any more
		}
		c.leave(q, q.res)
	}
	if q.next != nil {
		c.leave(q, q.next)
	}
	delete(c.queries, q)
	if _, is := q.sink.(*aggregatedRows); is {
		c.gathered--
	}
	q.done()
}

func (c *Core) failQuery(q *Query, err error) {
	if q.closed {
		return
	}
	c.Unsubscribe(q)
	q.sink.Failed(err)
}

type rowChange = reactor.RowChange
