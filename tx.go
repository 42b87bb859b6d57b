package ankurah

import (
	"context"
	"slices"
	"strings"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/internal/core"
	"github.com/ankurah/ankurah-go/property/lww"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/value"
)

// Tx is a transaction: edits that nobody else sees until Commit makes them
// visible all at once. It takes no lock (S18). A Tx is for one goroutine at a
// time. Dropping it is a rollback.
type Tx struct {
	s        *Session
	id       TxID
	order    []*edit
	edits    map[ID]*edit // of order, once it is long
	requires []storage.Require
	err      error // the first error of a setter
	done     error // why the transaction is over
}

// edit is what a transaction does to one entity.
type edit struct {
	tx         *Tx
	id         ID
	collection string
	origin     *entity.State // nil: created here
	birth      *event.Birth
	ops        []event.Operation // sorted
	seen       *entity.State     // with the edits; nil when it has to be made
	dropped    bool              // created and deleted here
}

// ID returns the transaction's ID, by which its events can be found.
func (tx *Tx) ID() TxID { return tx.id }

func (tx *Tx) reader() reader { return reader{n: tx.s.n, p: tx.s.p, tx: tx} }

func (tx *Tx) note(err error) error {
	if err != nil && tx.err == nil {
		tx.err = err
	}
	return err
}

// live returns an error when the transaction is over.
func (tx *Tx) live() error {
	if tx.done != nil {
		return txDone{tx.done}
	}
	return nil
}

// Confirmed waits until a durable node has accepted the committed transaction.
// It returns a [RejectedError] when it was refused, [ErrTxDone] when it was
// rolled back, [ErrClosed] when the node is closed first. On a durable node
// Commit says all there is to say.
func (tx *Tx) Confirmed(ctx context.Context) error {
	n := tx.s.n
	switch {
	case tx.done == nil:
		return errNotCommitted
	case tx.done != errAfterCommit:
		return txDone{tx.done}
	}
	return n.Confirmed(ctx, tx.id)
}

// Rollback forgets the edits. It does nothing after Commit or Rollback.
func (tx *Tx) Rollback() {
	if tx.done == nil {
		tx.done = errAfterRollback
	}
}

// Require makes Commit fail with [ErrConflict] if the entity that v shows has
// moved on from v by then.
func (tx *Tx) Require(v AnyView) {
	b := v.base()
	if b.s == nil {
		tx.note(&NotFoundError{Collection: "entity"})
		return
	}
	if e := tx.find(b.ID()); e != nil && e.origin == nil {
		return // nobody else can change what only exists here
	}
	tx.requires = append(tx.requires, storage.Require{Collection: b.s.Collection(), Entity: b.ID(), Head: b.Head()})
}

// Commit makes the edits visible, all or none, and returns when they are as
// durable as the engine was opened to make them. Concurrent edits of the same
// entities merge and are no error. Cancelling ctx before the commit has begun
// rolls back; afterwards Commit waits for the outcome.
func (tx *Tx) Commit(ctx context.Context) error {
	if err := tx.live(); err != nil {
		return err
	}
	tx.done = errAfterCommit
	err := tx.err
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		tx.done = errAfterRollback
		return err
	}
	req := &core.Request{ID: tx.id, Principal: tx.s.p, Requires: tx.requires, Edits: make([]core.Edit, 0, len(tx.order))}
	for _, e := range tx.order {
		if e.dropped || e.origin != nil && len(e.ops) == 0 {
			continue
		}
		req.Edits = append(req.Edits, core.Edit{Collection: e.collection, Entity: e.id, Base: e.origin, Birth: e.birth, Ops: e.ops})
	}
	if len(req.Edits) == 0 && len(req.Requires) == 0 {
		return tx.s.n.alive()
	}
	if err := tx.s.n.commit(req); err != nil {
		tx.done = errAfterRollback
		return err
	}
	return nil
}

// maxSearched is the number of edits up to which they are searched one by one.
const maxSearched = 8

func (tx *Tx) add(e *edit) *edit {
	tx.order = append(tx.order, e)
	switch {
	case len(tx.order) <= maxSearched:
	case tx.edits == nil:
		tx.edits = map[ID]*edit{}
		for _, e := range tx.order {
			tx.edits[e.id] = e
		}
	default:
		tx.edits[e.id] = e
	}
	return e
}

// find returns the edit of an entity, nil when the transaction has none.
func (tx *Tx) find(id ID) *edit {
	if tx.edits != nil {
		return tx.edits[id]
	}
	for _, e := range tx.order {
		if e.id == id {
			return e
		}
	}
	return nil
}

// create begins an entity.
func (tx *Tx) create(collection string) (*edit, error) {
	if err := tx.live(); err != nil {
		return nil, err
	}
	if strings.HasPrefix(collection, "_") {
		return nil, tx.note(&FieldError{Collection: collection, Property: "_", Err: ErrReserved})
	}
	if err := tx.s.n.principal(tx.s.p); err != nil {
		return nil, tx.note(err)
	}
	birth, id, err := tx.s.n.newEntity(collection)
	if err != nil {
		return nil, tx.note(err)
	}
	return tx.add(&edit{tx: tx, id: id, collection: collection, birth: &birth}), nil
}

// edit begins or goes on editing an entity that exists. With deleted set it
// may be a deleted one.
func (tx *Tx) edit(ctx context.Context, collection string, id ID, deleted bool) (*edit, error) {
	if err := tx.live(); err != nil {
		return nil, err
	}
	if e := tx.find(id); e != nil {
		s, err := e.state()
		switch {
		case err != nil:
			return nil, tx.note(err)
		case e.collection != collection || e.dropped || !s.Exists() && !deleted:
			return nil, &NotFoundError{collection, id}
		}
		return e, nil
	}
	s, err := tx.s.n.readable(ctx, tx.s.p, collection, id)
	if err == nil && s == nil {
		// An ephemeral node may not have met it.
		if err = tx.reader().bring(ctx, collection, id); err == nil {
			s, err = tx.s.n.readable(ctx, tx.s.p, collection, id)
		}
	}
	if err != nil {
		return nil, err
	}
	if s == nil || !s.Exists() && !deleted {
		return nil, &NotFoundError{collection, id}
	}
	return tx.add(&edit{tx: tx, id: id, collection: collection, origin: s}), nil
}

// state returns the entity as the transaction sees it.
func (e *edit) state() (*entity.State, error) {
	if e.seen != nil {
		return e.seen, nil
	}
	if e.origin != nil && len(e.ops) == 0 {
		return e.origin, nil
	}
	kinds := e.tx.s.n.kinds
	var err error
	if e.origin == nil {
		e.seen, err = entity.New(kinds, e.collection, e.id, e.ops)
	} else {
		e.seen, err = e.origin.Overlay(kinds, e.ops)
	}
	return e.seen, err
}

func (e *edit) set(p *schema.Property, v value.Value) error {
	if err := e.tx.live(); err != nil {
		return err
	}
	if e.dropped {
		return &NotFoundError{e.collection, e.id}
	}
	if err := checkValue(e.collection, p, v); err != nil {
		return err
	}
	e.put(lww.Set(p.Key, v))
	return nil
}

func (e *edit) put(op event.Operation) {
	e.seen = nil
	k, found := slices.BinarySearchFunc(e.ops, op, event.Operation.Compare)
	if found {
		e.ops[k] = op
		return
	}
	e.ops = slices.Insert(e.ops, k, op)
}

func (e *edit) delete() error {
	if err := e.tx.live(); err != nil {
		return err
	}
	if e.origin == nil {
		e.dropped = true
		return nil
	}
	e.put(entity.SetDeleted(true))
	return nil
}

func (e *edit) restore() error {
	if err := e.tx.live(); err != nil {
		return err
	}
	e.put(entity.SetDeleted(false))
	return nil
}
