package port

import (
	"errors"
	"strconv"

	ankurah "github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/value"
)

// queue has a transaction committed when those before it are.
func (p *page) queue(m *commit) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.commits = append(p.commits, m)
	if !p.running {
		p.running = true
		p.work.Go(p.run)
	}
}

// run commits until nothing waits for it.
func (p *page) run() {
	for {
		p.mu.Lock()
		if len(p.commits) == 0 || p.ctx.Err() != nil {
			p.running = false
			p.mu.Unlock()
			return
		}
		m := p.commits[0]
		p.mu.Unlock()
		p.commit(m)
		p.mu.Lock()
		p.commits = p.commits[1:]
		p.idle.Broadcast()
		p.mu.Unlock()
	}
}

// commit commits a transaction, unless it has been, and says what came of it.
func (p *page) commit(m *commit) {
	created, err := p.apply(m)
	if p.ctx.Err() != nil {
		return
	}
	if err != nil {
		code, text := failure(err)
		p.send(&refuse{m.tx, code, text})
		return
	}
	durable := p.s.node.Durable()
	p.acknowledge(&ack{m.tx, created, durable})
	if !durable {
		p.work.Go(func() { p.confirm(m) })
	}
}

// confirm says what a durable node makes of a transaction.
func (p *page) confirm(m *commit) {
	defer p.s.await(m.tx)()
	err := p.s.node.Confirmed(p.ctx, m.tx)
	rejected, refused := errors.AsType[*ankurah.RejectedError](err)
	switch {
	case err == nil:
		p.acknowledge(&ack{tx: m.tx, confirmed: true})
	case refused:
		p.rejected(rejected)
		p.forget(m.tx)
	}
}

// rejected says that a durable node refused a transaction.
func (p *page) rejected(r *ankurah.RejectedError) {
	code, text := failure(r)
	p.send(&refuse{r.Tx, code, text})
}

// unawaited tells of transactions that are refused, or were, and that no page
// waits for, since the one that made them is gone. The node forgets them: what
// was told is not told again.
func (p *page) unawaited() {
	for r, err := range p.s.node.Rejected(p.ctx) {
		if err != nil {
			return // the node, or the page, is about to end
		}
		if p.s.awaited(r.Tx) {
			continue
		}
		p.rejected(&ankurah.RejectedError{Tx: r.Tx, Reason: r.Reason})
		_ = r.Discard(p.ctx) // if not, it is told once more
	}
}

// forget discards a transaction that was refused, of which a page was told.
func (p *page) forget(tx event.TxID) {
	for r, err := range p.s.node.Rejected(p.ctx) {
		if err == nil && r.Tx == tx {
			err = r.Discard(p.ctx)
		}
		if err != nil {
			return // it is told once more
		}
	}
}

func (p *page) apply(m *commit) ([]id.ID, error) {
	s, err := p.session(p.ctx)
	if err != nil {
		return nil, err
	}
	release, err := p.s.alone(p.ctx, m.tx)
	if err != nil {
		return nil, err
	}
	defer release()
	created, done, err := p.s.node.Committed(p.ctx, m.tx)
	if done || err != nil {
		return created, err
	}
	tx := s.BeginAs(m.tx)
	defer tx.Rollback()
	for k := range m.ops {
		if created, err = p.s.apply(tx, &m.ops[k], created); err != nil {
			return nil, err
		}
	}
	return created, tx.Commit(p.ctx)
}

// apply does one operation of a transaction. created are the entities that it
// has created so far.
func (s *Server) apply(tx *ankurah.Tx, o *op, created []id.ID) ([]id.ID, error) {
	name, err := s.collection(o.collection)
	if err != nil {
		return nil, err
	}
	c := ankurah.Dynamic(name)
	var e *ankurah.Edit
	switch o.kind {
	case opCreate:
		e, err = c.Create(tx, &ankurah.Fields{})
	case opEdit:
		e, err = c.Edit(tx, o.entity)
	case opDelete:
		return created, c.Delete(tx, o.entity)
	default:
		return created, c.Restore(tx, o.entity)
	}
	if err != nil {
		return nil, err
	}
	for _, f := range o.fields {
		v, err := pageValue(f.value)
		if err != nil {
			return nil, &ankurah.FieldError{Collection: name, Property: f.key, Err: err}
		}
		if f.made > uint64(len(created)) {
			return nil, &ankurah.FieldError{Collection: name, Property: f.key, Err: errors.New("the transaction has not created entity " + strconv.FormatUint(f.made, 10) + " by then")}
		} else if f.made > 0 {
			v = value.ID(created[f.made-1])
		}
		if err := e.Set(f.key, v); err != nil {
			return nil, err
		}
	}
	if o.kind == opCreate {
		created = append(created, e.ID())
	}
	return created, nil
}
