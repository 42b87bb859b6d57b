package port

import (
	"context"
	"math"
	"slices"

	ankurah "github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/internal/wire"
)

// query is an open query of a page.
type query struct {
	p      *page
	asked  *open
	ctx    context.Context
	cancel context.CancelFunc

	// Under the page's lock. rows and groups are nil until the query is open,
	// and one of them stays nil.
	rows   *ankurah.LiveQuery[ankurah.Record]
	groups *ankurah.LiveAggregate
	err    error // it could not be opened

	shown shown // what the page has; of the goroutine that sends
}

// shown is what there is to see of a query at one moment.
type shown struct {
	rows    []ankurah.Record
	groups  []ankurah.Group
	columns []string // of groups
	synced  synced
	over    error // why it has ended
	begun   bool
}

// open begins a query.
func (p *page) open(m *open) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.queries[m.query] != nil:
		p.leave(wire.Malformed, "a query's number is used twice")
		return
	case len(p.queries) >= p.s.opts.MaxQueries:
		code, text := failure(errTooMany)
		p.say(&update{parts: []part{{query: m.query, code: code, text: text}}})
		return
	}
	q := &query{p: p, asked: m}
	q.ctx, q.cancel = context.WithCancel(p.ctx)
	p.queries[m.query] = q
	p.order = append(p.order, q)
	p.work.Go(q.begin)
}

// begin opens the query, when the node can answer it.
func (q *query) begin() {
	rows, groups, err := q.ask()
	p := q.p
	p.mu.Lock()
	q.rows, q.groups, q.err = rows, groups, err
	p.mu.Unlock()
	if q.ctx.Err() != nil {
		q.end()
		return
	}
	switch {
	case rows != nil:
		rows.OnStatus(p.mark)
		rows.OnChange(func(ankurah.ChangeSet[ankurah.Record]) { p.mark() })
	case groups != nil:
		groups.OnStatus(p.mark)
		groups.OnChange(func([]ankurah.GroupChange) { p.mark() })
	}
	p.mark()
}

func (q *query) ask() (*ankurah.LiveQuery[ankurah.Record], *ankurah.LiveAggregate, error) {
	s, err := q.p.session(q.ctx)
	if err != nil {
		return nil, nil, err
	}
	name, err := q.p.s.collection(q.asked.collection)
	if err != nil {
		return nil, nil, err
	}
	args, err := q.args()
	if err != nil {
		return nil, nil, err
	}
	c := ankurah.Dynamic(name)
	if ankql.IsAggregate(q.asked.text) {
		groups, err := c.QueryAggregate(q.ctx, s, q.asked.text, args...)
		return nil, groups, err
	}
	rows, err := c.Query(q.ctx, s, q.asked.text, args...)
	return rows, nil, err
}

func (q *query) args() ([]any, error) {
	out := make([]any, len(q.asked.args))
	for k, a := range q.asked.args {
		v, err := pageValue(a.value)
		if err != nil {
			return nil, err
		}
		if out[k] = v; a.name != "" {
			out[k] = ankurah.Named{Name: a.name, Value: v}
		}
	}
	return out, nil
}

// end closes the query.
func (q *query) end() {
	q.cancel()
	q.p.mu.Lock()
	rows, groups := q.rows, q.groups
	q.p.mu.Unlock()
	if rows != nil {
		rows.Close()
	}
	if groups != nil {
		groups.Close()
	}
}

// close ends a query that the page has no more use for.
func (p *page) close(n uint64) {
	p.mu.Lock()
	q := p.queries[n]
	delete(p.queries, n)
	p.order = slices.DeleteFunc(p.order, func(o *query) bool { return o == q })
	p.mu.Unlock()
	if q != nil {
		q.end()
	}
}

// more makes a window longer.
func (p *page) more(m *more) {
	p.mu.Lock()
	var rows *ankurah.LiveQuery[ankurah.Record]
	q := p.queries[m.query]
	if q != nil {
		rows = q.rows
	}
	p.mu.Unlock()
	if rows == nil {
		return // the page sees a query that has not begun, or none
	}
	// It may have ended meanwhile, which the page hears by itself.
	_ = rows.LoadMore(q.ctx, int(min(m.rows, math.MaxInt)))
}

// session returns the page's session, when the node has joined a system.
func (p *page) session(ctx context.Context) (*ankurah.Session, error) {
	n := p.s.node
	if n.Durable() {
		return n.Session(p.who), nil
	}
	if err := n.WaitReady(ctx); err != nil {
		return nil, err
	}
	who, err := n.Authenticate(ctx, nil)
	return n.Session(who), err
}

// at returns what there is to see at a moment.
func (q *query) at(m ankurah.Moment) (s shown) {
	q.p.mu.Lock()
	rows, groups, err := q.rows, q.groups, q.err
	q.p.mu.Unlock()
	isSynced := false
	switch {
	case err != nil:
		return shown{over: err, begun: true}
	case rows != nil:
		s.rows, isSynced = rows.RowsAt(m)
		s.over = rows.Err()
	case groups != nil:
		s.columns = groups.Columns()
		s.groups, isSynced = groups.RowsAt(m)
		s.over = groups.Err()
	default:
		return s // not open yet
	}
	s.begun = true
	if s.synced = syncedNo; isSynced {
		s.synced = syncedYes
	}
	return s
}

// look returns the frames that say what is new of queries, all at one moment.
func (p *page) look(queries []*query) []frame {
	all := make([]shown, len(queries))
	err := p.s.node.Look(func(m ankurah.Moment) {
		for k, q := range queries {
			all[k] = q.at(m)
		}
	})
	if err != nil { // the node is closed, and its queries have ended with it
		for k := range all {
			all[k] = shown{over: err, begun: true}
		}
	}
	var w updateWriter
	for k, q := range queries {
		if all[k].begun && q.shown.over == nil {
			w.differences(q, all[k])
			q.shown = all[k]
		}
	}
	return w.end()
}
