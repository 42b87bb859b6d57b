package core

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/book"
	"github.com/ankurah/ankurah-go/property/lww"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/value"
)

// Meta keys of a node's bookkeeping.
var (
	metaNode    = []byte(book.Node)
	metaRoot    = []byte(book.Root)
	metaEpoch   = []byte(book.Epoch)
	metaClock   = []byte(book.Clock)
	metaCopied  = []byte(book.Copied)
	metaCatalog = []byte(book.Catalog)

	metaPosition = []byte(book.Position)

	// claimRoot is what processes that begin a system at once are told apart by.
	claimRoot = []byte("_system")
	// claimFeeds is what processes that trim the feeds take turns by.
	claimFeeds = []byte("_feeds")
)

// SystemCollection holds the entity that stands for the system itself.
const SystemCollection = "_system"

// load reads the bookkeeping, or makes that of a new store.
func (c *Core) load(ctx context.Context, snap storage.Snapshot) error {
	if _, unfinished, err := snap.Meta(ctx, []byte(book.Restoring)); err != nil || unfinished {
		if err == nil {
			err = &storage.UnfinishedError{}
		}
		return err
	}
	for _, f := range []struct {
		key []byte
		id  *id.ID
	}{{metaNode, &c.node}, {metaRoot, &c.root}, {metaEpoch, &c.epoch}} {
		b, ok, err := snap.Meta(ctx, f.key)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if *f.id, err = id.FromBytes(b); err != nil {
			return &storage.CorruptError{What: "meta record " + string(f.key), Err: err}
		}
	}
	if err := c.checkRoot(ctx, snap); err != nil {
		return err
	}
	b, ok, err := snap.Meta(ctx, metaClock)
	switch {
	case err != nil:
		return err
	case !ok && c.cfg.Durable && !c.root.IsZero(): // its IDs could be those of the past (S3)
		return &storage.CorruptError{What: "meta record clock", Err: errors.New("it is missing")}
	case ok && len(b) != 8:
		return &storage.CorruptError{What: "meta record clock", Err: errors.New("it does not have 8 bytes")}
	case ok:
		c.clock.Observe(id.Stamp(binary.BigEndian.Uint64(b)))
	}
	if err := c.loadPositions(ctx, snap); err != nil {
		return err
	}
	_, copied, err := snap.Meta(ctx, metaCopied)
	if err != nil {
		return err
	}
	if copied {
		c.setMeta(metaCopied, nil)
	}
	if c.cfg.Shared {
		c.node = c.randomID() // each process is a node of its own
	}
	if c.cfg.Shared && c.epoch.IsZero() && c.root.IsZero() {
		c.epoch = c.randomID() // unless another process begins the system
	} else if copied || c.node.IsZero() {
		c.node, c.epoch = c.randomID(), c.randomID()
		c.setMeta(metaNode, c.node[:])
		c.setMeta(metaEpoch, c.epoch[:])
	}
	c.author = event.NodeAuthor(c.node)
	if !c.cfg.Durable {
		if err := c.loadPending(ctx, snap); err != nil {
			return err
		}
	}
	c.incarnation = c.randomID()
	return c.loadCatalog(ctx, snap)
}

// checkRoot makes sure that a store without a root is new: another system must
// not begin over what there is of one.
func (c *Core) checkRoot(ctx context.Context, snap storage.Snapshot) error {
	if !c.root.IsZero() {
		return nil
	}
	names, err := snap.Collections(ctx)
	if err == nil && len(names) > 0 {
		err = &storage.CorruptError{What: "meta record root", Err: errors.New("it is missing, and there are entities")}
	}
	return err
}

// randomID returns an ID that no content stands behind.
func (c *Core) randomID() id.ID {
	var h [8]byte
	c.ex.Random(h[:])
	return id.New(c.now(), h)
}

// setMeta writes a meta key with the next batch.
func (c *Core) setMeta(key, val []byte) {
	c.dirty = append(c.dirty, storage.MetaWrite{Key: key, Value: append([]byte(nil), val...)})
}

// NewEpoch makes a new epoch for a store that was restored (S8).
func (c *Core) NewEpoch(done func(error)) {
	c.epoch = c.randomID()
	c.setMeta(metaEpoch, c.epoch[:])
	c.Commit(&Request{ID: c.newTxID(), system: true, move: &move{}, Done: func(_ []*entity.State, err error) { done(err) }})
}

// Node returns the node's ID.
func (c *Core) Node() id.ID { return c.node }

// Root returns the system's root, the zero ID while there is none.
func (c *Core) Root() id.ID { return c.root }

// CreateSystem makes the system that this node's data belongs to. done gets
// an error that wraps [ErrSystemExists] when there is one.
func (c *Core) CreateSystem(done func(error)) {
	if !c.root.IsZero() || c.creatingSystem() {
		done(systemExists{c.root})
		return
	}
	birth := c.NewBirth()
	root := birth.EntityID(id.ID{}, SystemCollection, c.author)
	meta := []storage.MetaWrite{{Key: metaRoot, Value: root[:]}}
	var claims []storage.Claim
	if c.cfg.Shared {
		clock := binary.BigEndian.AppendUint64(nil, uint64(c.now()))
		meta = append(meta, storage.MetaWrite{Key: metaNode, Value: c.node[:]}, storage.MetaWrite{Key: metaEpoch, Value: c.epoch[:]},
			storage.MetaWrite{Key: metaClock, Value: clock})
		claims = []storage.Claim{{Key: claimRoot, Entity: root}}
	}
	c.Commit(&Request{
		ID:     c.newTxID(),
		system: true,
		begins: true,
		claims: claims,
		Edits: []Edit{{
			Collection: SystemCollection,
			Entity:     root,
			Birth:      &birth,
			Ops:        []event.Operation{lww.Set("format", value.Int32(1))},
		}},
		meta: meta,
		Done: func(_ []*entity.State, err error) {
			if err == nil {
				c.root = root
			}
			done(err)
		},
	})
}

func (c *Core) creatingSystem() bool {
	for _, t := range c.flyingTx {
		if t.req.system {
			return true
		}
	}
	return false
}

type systemExists struct{ root id.ID }

func (e systemExists) Error() string {
	return "ankurah: this store already holds the system " + e.root.String() + ": call EnsureSystem instead of CreateSystem"
}
func (e systemExists) Unwrap() error { return ErrSystemExists }

// NewBirth returns a birth record for an entity that is to be created.
func (c *Core) NewBirth() event.Birth {
	b := event.Birth{Stamp: c.now()}
	c.ex.Random(b.Nonce[:])
	return b
}

// NewEntity returns a birth record and the ID that follows from it.
func (c *Core) NewEntity(collection string) (event.Birth, id.ID, error) {
	if c.root.IsZero() {
		return event.Birth{}, id.ID{}, noSystem{}
	}
	b := c.NewBirth()
	return b, b.EntityID(c.root, collection, c.author), nil
}

type noSystem struct{}

func (noSystem) Error() string {
	return "ankurah: this node has no system yet: call EnsureSystem once after OpenNode"
}
func (noSystem) Unwrap() error { return ErrNoSystem }

func (c *Core) newTxID() event.TxID {
	var t event.TxID
	c.ex.Random(t[:])
	return t
}
