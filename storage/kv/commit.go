package kv

import (
	"bytes"
	"context"
	"errors"
	"strconv"

	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/keyset"
	"github.com/ankurah/ankurah-go/storage"
)

// maxAttempts bounds how often a commit to a shared store is tried while other
// processes get in between.
const maxAttempts = 64

// maxKeptBuffer is the greatest buffer that is kept for the next commit.
const maxKeptBuffer = 4 << 20

// collection is what commits know of a collection.
type collection struct {
	name    string
	catalog *catalog // that indexes are of
	indexes []*index
	last    id.ID // no entity with a greater ID is stored, if loaded is set
	loaded  bool
}

// committer holds what one commit needs; its buffers are used again by the
// next one. Slices of buf stay valid when it grows, since they keep the array
// they were made in.
type committer struct {
	buf    []byte
	writes []Write
	pre    []Precondition
	batch  Batch
	claims []claimed // what the batch knows of claims and has done to them so far
	mark   int       // the first of claims that is of the current transaction
	snap   Snapshot  // opened when something has to be read
	again  bool      // another process got in between: nothing is assumed of records
}

type claimed struct {
	key    []byte
	entity id.ID // zero: not bound
	write  bool  // the batch did it
}

// Commit applies b's transactions as [storage.Engine] says, in one Apply of
// the store. An entity write without events replaces the state by one that was
// made elsewhere, whatever its rev.
func (e *Engine) Commit(ctx context.Context, b *storage.Batch) (storage.Result, error) {
	if err := b.Check(); err != nil {
		return storage.Result{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.checkOpen(); err != nil {
		return storage.Result{}, err
	}
	if e.opts.ReadOnly {
		return storage.Result{}, errors.New("ankurah: " + e.opts.Location + " is open for reading only")
	}
	for attempt := 1; ; attempt++ {
		e.committer.again = attempt > 1
		result, err := e.commit(ctx, b)
		if err == nil {
			return result, nil
		}
		e.forget()
		if pre := (*PreconditionError)(nil); !errors.As(err, &pre) || attempt == maxAttempts {
			return storage.Result{}, err
		}
		if err := e.loadCatalog(ctx); err != nil {
			return storage.Result{}, err
		}
	}
}

// forget drops what the engine believes is stored.
func (e *Engine) forget() {
	e.heads.reset()
	e.collections = nil
}

func (e *Engine) commit(ctx context.Context, b *storage.Batch) (storage.Result, error) {
	if e.opts.Shared {
		e.forget()
	}
	c := &e.committer
	c.buf, c.writes, c.pre, c.claims = c.buf[:0], c.writes[:0], c.pre[:0], c.claims[:0]
	result, err := e.prepare(ctx, b)
	if c.snap != nil {
		err = errors.Join(err, c.snap.Close())
		c.snap = nil
	}
	if err == nil && len(c.writes) > 0 {
		if e.opts.Shared {
			c.pre = append(c.pre, Precondition{e.keys.space(nil, spaceCatalog), e.published.Load().version})
		}
		c.batch = Batch{c.pre, c.writes}
		err = e.store.Apply(ctx, &c.batch)
	}
	// What the batch pointed to need not live as long as the engine.
	clear(c.writes)
	clear(c.claims)
	if cap(c.buf) > maxKeptBuffer {
		c.buf = nil
	}
	return result, err
}

// prepare collects the writes of b.
func (e *Engine) prepare(ctx context.Context, b *storage.Batch) (storage.Result, error) {
	var result storage.Result
	var left storage.LeftOut
	for k := range b.Txs {
		tx := &b.Txs[k]
		conflict, err := conflictOf(left.Check(tx))
		if conflict == nil && err == nil {
			conflict, err = e.admit(ctx, tx)
		}
		if err != nil {
			return result, err
		}
		if conflict != nil {
			if result.Conflicts == nil {
				result.Conflicts = make([]error, len(b.Txs))
			}
			result.Conflicts[k] = conflict
			left.Add(tx)
			continue
		}
		e.write(tx)
	}
	e.writeMeta(b.Meta)
	return result, nil
}

// admit checks the conditions of tx after the transactions before it.
func (e *Engine) admit(ctx context.Context, tx *storage.Tx) (*storage.ConflictError, error) {
	if e.opts.Shared && len(tx.Record) > 0 && e.committer.again {
		_, there, err := e.read(ctx, e.keys.tx(nil, tx.ID))
		if err != nil {
			return nil, err
		}
		if there {
			return storage.Recorded(tx.ID), nil
		}
	}
	for k := range tx.Require {
		r := &tx.Require[k]
		if err := e.expect(ctx, r.Collection, r.Entity, r.Head); err != nil {
			return conflictOf(err)
		}
	}
	for k := range tx.Entities {
		w := &tx.Entities[k]
		if err := e.expect(ctx, w.After.Collection(), w.After.ID(), w.Before.Head()); err != nil {
			return conflictOf(err)
		}
	}
	if conflict, err := e.admitClaims(ctx, tx.Claims); conflict != nil || err != nil {
		return conflict, err
	}
	if e.opts.Shared && len(tx.Record) > 0 {
		e.committer.pre = append(e.committer.pre, Precondition{Key: e.keys.tx(nil, tx.ID)})
	}
	return nil, nil
}

// admitClaims makes a transaction's claims one after the other, as far as the
// batch is concerned; on a conflict none.
func (e *Engine) admitClaims(ctx context.Context, claims []storage.Claim) (*storage.ConflictError, error) {
	c := &e.committer
	c.mark = len(c.claims)
	for k := range claims {
		claim := &claims[k]
		holder, err := e.claimant(ctx, claim.Key)
		if err != nil {
			return nil, err
		}
		switch {
		case claim.Release && holder == claim.Entity:
			c.claims = append(c.claims, claimed{key: claim.Key, write: true})
		case claim.Release:
		case holder.IsZero():
			c.claims = append(c.claims, claimed{claim.Key, claim.Entity, true})
		case holder != claim.Entity:
			c.claims = c.claims[:c.mark]
			return &storage.ConflictError{Entity: claim.Entity, Why: "the key " + strconv.QuoteToASCII(string(claim.Key)) + " is claimed by " + holder.String()}, nil
		}
	}
	return nil, nil
}

// conflictOf splits what expect returns.
func conflictOf(err error) (*storage.ConflictError, error) {
	if c, ok := err.(*storage.ConflictError); ok {
		return c, nil
	}
	return nil, err
}

// expect returns a conflict when the entity's head is not want.
func (e *Engine) expect(ctx context.Context, name string, entity id.ID, want event.Head) error {
	have, err := e.head(ctx, e.collection(name), entity)
	if err != nil {
		return err
	}
	return storage.CheckHead(name, entity, have, want)
}

// head returns the head of an entity after what the batch holds so far, nil
// when there is no such entity.
func (e *Engine) head(ctx context.Context, c *collection, entity id.ID) (event.Head, error) {
	k := headKey{c, entity}
	if head, ok := e.heads.get(k); ok {
		return head, nil
	}
	if !c.loaded && !e.opts.Shared {
		if err := e.loadLast(ctx, c); err != nil {
			return nil, err
		}
	}
	if c.loaded && c.last.Less(entity) {
		return nil, nil
	}
	key := e.keys.state(nil, c.name, entity)
	b, ok, err := e.read(ctx, key)
	if err != nil {
		return nil, err
	}
	if e.opts.Shared {
		e.committer.pre = append(e.committer.pre, Precondition{key, b})
	}
	var head event.Head
	if ok {
		if b, err = e.keys.unseal(key, b); err != nil {
			return nil, err
		}
		s, err := storage.DecodeState(c.name, entity, b)
		if err != nil {
			return nil, err
		}
		head = s.Head()
	}
	e.heads.put(k, head)
	return head, nil
}

// loadLast finds the greatest entity ID of a collection. New entities mostly
// have greater ones, as IDs begin with the time: then nothing has to be read
// to know that they are new.
func (e *Engine) loadLast(ctx context.Context, c *collection) error {
	snap, err := e.current()
	if err != nil {
		return err
	}
	lo := e.keys.collection(nil, spaceState, c.name)
	it, err := snap.Scan(ctx, lo, keyset.Successor(bytes.Clone(lo)), true)
	if err != nil {
		return err
	}
	defer it.Close()
	if it.Next() {
		if c.last, err = entityOf(it.Key(), len(lo)); err != nil {
			return &storage.CorruptError{What: "states of " + c.name, Err: err}
		}
	}
	c.loaded = it.Err() == nil
	return it.Err()
}

// claimant returns the entity that a claim key is bound to after what the
// batch holds so far, the zero ID when there is none.
func (e *Engine) claimant(ctx context.Context, key []byte) (id.ID, error) {
	c := &e.committer
	for k := len(c.claims) - 1; k >= 0; k-- {
		if bytes.Equal(c.claims[k].key, key) {
			return c.claims[k].entity, nil
		}
	}
	stored := e.keys.claim(nil, key)
	b, ok, err := e.read(ctx, stored)
	if err != nil {
		return id.ID{}, err
	}
	if e.opts.Shared {
		c.pre = append(c.pre, Precondition{stored, b})
	}
	holder := claimed{key: key}
	if ok {
		if b, err = e.keys.unseal(stored, b); err == nil {
			holder.entity, err = parseClaim(key, b)
		}
	}
	c.claims = append(c.claims, holder)
	return holder.entity, err
}

// read reads a key as the last commit left it, its seal included.
func (e *Engine) read(ctx context.Context, key []byte) ([]byte, bool, error) {
	snap, err := e.current()
	if err != nil {
		return nil, false, err
	}
	return snap.Get(ctx, key)
}

func (e *Engine) current() (Snapshot, error) {
	if e.committer.snap == nil {
		snap, err := e.store.Snapshot()
		if err != nil {
			return nil, err
		}
		e.committer.snap = snap
	}
	return e.committer.snap, nil
}

// collection returns what is known of a collection, its indexes up to date.
func (e *Engine) collection(name string) *collection {
	c := e.collections[name]
	if c == nil {
		c = &collection{name: name}
		if e.collections == nil {
			e.collections = map[string]*collection{}
		}
		e.collections[name] = c
	}
	if catalog := e.published.Load(); c.catalog != catalog {
		c.catalog, c.indexes = catalog, catalog.indexes[name]
	}
	return c
}

func parseClaim(key, b []byte) (id.ID, error) {
	i, err := id.FromBytes(b)
	if err != nil {
		return i, &storage.CorruptError{What: "claim " + strconv.QuoteToASCII(string(key)), Err: err}
	}
	return i, nil
}
