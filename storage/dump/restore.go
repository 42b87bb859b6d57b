package dump

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"time"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/book"
	"github.com/ankurah/ankurah-go/property"
	"github.com/ankurah/ankurah-go/storage"
)

// Limits of one write.
const (
	maxBatchBytes = 4 << 20
	maxBatch      = 4096 // records
)

// ErrNotEmpty is wrapped when a dump would be restored over something.
var ErrNotEmpty = errors.New("store is not empty")

type notEmptyError struct{ location string }

func (e *notEmptyError) Error() string {
	return "ankurah: " + e.location + " is not empty: restore into a new store"
}
func (e *notEmptyError) Unwrap() error { return ErrNotEmpty }

// Restore fills an empty store from a dump. It verifies every event, that each
// entity's events lead to the state that was dumped, and that the records of
// transactions name these events. It commits in batches. Until the last one a
// node refuses the store as [storage.ErrUnfinished]: a restore that was
// interrupted, or that met damage, is never taken for a whole one.
//
// The store gets a node ID and an epoch of its own; everything else is as it
// was. Errors about the dump are a [*DamagedError].
func Restore(ctx context.Context, e storage.Engine, r io.Reader, opts *Options) (Counts, error) {
	in, err := newReader(r)
	if err != nil {
		return Counts{}, err
	}
	head, err := in.next()
	if err == nil && head.kind != kHead {
		err = in.failed(errors.New("it does not begin with a head"))
	}
	if err != nil {
		return Counts{}, err
	}
	s := &restorer{ctx: ctx, engine: e, in: in, opts: opts.orDefault(), root: head.root}
	if err := s.begin(); err != nil {
		return Counts{}, err
	}
	err = s.run()
	if s.snap != nil {
		err = errors.Join(err, s.snap.Close())
	}
	return s.counts, err
}

type restorer struct {
	ctx    context.Context
	engine storage.Engine
	in     *reader
	opts   Options
	root   id.ID
	counts Counts

	batch   storage.Batch
	size    int                        // bytes of the batch
	records int                        // of the batch
	pending map[id.ID]storage.Position // events of the batch
	snap    lister                     // of what was committed; nil when that is not known

	clock   id.Stamp // the greatest that was seen
	lastKey []byte   // of bookkeeping or of a claim
	indexes []index
	last    storage.EntityKey // the entity that is being read
	lastTx  event.TxID
	stated  uint64 // events that records of transactions name

	before, now *entity.State // of last: as committed before events, and after them
	events      []*event.Event
	history     hash.Hash
}

// begin makes sure that the store is empty, and marks it.
func (s *restorer) begin() error {
	location := s.engine.Info().Location
	snap, err := listed(s.engine)
	if err != nil {
		return err
	}
	empty, err := isEmpty(s.ctx, snap)
	_, unfinished, metaErr := snap.Meta(s.ctx, []byte(book.Restoring))
	if err := errors.Join(err, metaErr, snap.Close()); err != nil {
		return err
	}
	switch {
	case unfinished:
		return &storage.UnfinishedError{Location: location}
	case !empty:
		return &notEmptyError{location}
	}
	_, err = s.engine.Commit(s.ctx, &storage.Batch{Meta: []storage.MetaWrite{{Key: []byte(book.Restoring), Value: []byte{1}}}})
	return err
}

func isEmpty(ctx context.Context, snap lister) (bool, error) {
	for _, err := range snap.MetaRange(ctx, nil, nil) {
		return false, err
	}
	used, err := holds(ctx, snap)
	return !used, err
}

// holds reports whether there is anything but bookkeeping.
func holds(ctx context.Context, snap lister) (bool, error) {
	for _, err := range snap.Entities(ctx) {
		return true, err
	}
	for _, err := range snap.Histories(ctx) {
		return true, err
	}
	for _, err := range snap.Txs(ctx) {
		return true, err
	}
	for _, err := range snap.Claims(ctx) {
		return true, err
	}
	return false, nil
}

func (s *restorer) run() error {
	for {
		if err := s.ctx.Err(); err != nil {
			return err
		}
		r, err := s.in.next()
		if err != nil {
			return err
		}
		if r.kind == kEnd {
			return s.end(r)
		}
		if err := s.take(r); err != nil {
			return err
		}
		if s.size >= maxBatchBytes || s.records >= maxBatch {
			if err := s.flush(); err != nil {
				return err
			}
		}
	}
}

// take puts a record into the batch.
func (s *restorer) take(r *record) error {
	s.records++
	switch r.kind {
	case kMeta:
		return s.takeMeta(r.meta)
	case kIndex:
		return s.takeIndex(r.index)
	case kEntity:
		return s.takeEntity(r.entity)
	case kEvent:
		return s.takeEvent(r.event)
	case kState:
		return s.takeState(r.state)
	case kTx:
		return s.takeTx(r.tx)
	case kClaim:
		return s.takeClaim(r.claim)
	}
	return s.damaged("a second " + kindName(r.kind))
}

func (s *restorer) damaged(why string) error { return s.in.failed(errors.New(why)) }

// ordered makes sure that keys ascend.
func (s *restorer) ordered(key []byte) error {
	if s.lastKey != nil && bytes.Compare(s.lastKey, key) >= 0 {
		return s.damaged("records are not in their order")
	}
	s.lastKey = append(s.lastKey[:0], key...)
	if s.lastKey == nil {
		s.lastKey = []byte{}
	}
	return nil
}

func (s *restorer) takeMeta(m storage.MetaWrite) error {
	if err := s.ordered(m.Key); err != nil {
		return err
	}
	key := string(m.Key)
	switch {
	case left[key], key == book.Restoring, key == book.Subject:
		return s.damaged("the record " + key + " is of one store only")
	case key == book.Root && !bytes.Equal(m.Value, s.root[:]):
		return s.damaged("it is of two systems")
	case key == book.Clock && len(m.Value) != 8:
		return s.damaged("the clock does not have 8 bytes")
	case key == book.Clock:
		s.clock = max(s.clock, id.Stamp(binary.BigEndian.Uint64(m.Value)))
	}
	s.counts.Meta++
	s.size += len(m.Key) + len(m.Value)
	s.batch.Meta = append(s.batch.Meta, storage.MetaWrite{Key: m.Key, Value: append([]byte{}, m.Value...)})
	return nil
}

// maxIndexes bounds the indexes that a dump may name.
const maxIndexes = 1 << 14

func (s *restorer) takeIndex(x index) error {
	if len(s.indexes) == maxIndexes || !event.ValidName(x.collection) || len(x.def.Columns) == 0 {
		return s.damaged("there cannot be such an index")
	}
	s.counts.Indexes++
	s.indexes = append(s.indexes, x)
	return nil
}

func (s *restorer) takeEntity(k storage.EntityKey) error {
	if c := strings.Compare(s.last.Collection, k.Collection); c > 0 || c == 0 && s.last.Entity.Compare(k.Entity) >= 0 {
		return s.damaged("entities are not in their order")
	}
	s.last, s.before, s.now, s.history = k, nil, nil, sha256.New()
	s.in.in = k.Collection + " " + k.Entity.String()
	return nil
}

func (s *restorer) takeEvent(e *event.Event) error {
	if why := misplaced(e, s.last, s.root); why != "" {
		return s.damaged("event " + e.ID.String() + ": " + why)
	}
	if s.now != nil { // the first one is the only one of its entity
		_, twice, err := s.find(e.ID)
		if err != nil {
			return err
		}
		if twice {
			return s.damaged("event " + e.ID.String() + " comes twice")
		}
	}
	for _, p := range e.Parents {
		if s.now.Head().Contains(p) {
			continue
		}
		pos, ok, err := s.find(p)
		if err != nil {
			return err
		}
		if !ok || pos.Entity != s.last.Entity {
			return s.damaged("event " + e.ID.String() + ": its parent " + p.String() + " is not among those before it")
		}
	}
	next, err := s.now.Apply(s.opts.Kinds, e)
	if errors.Is(err, property.ErrUnknownKind) {
		return err
	}
	if err != nil {
		return s.in.failed(err)
	}
	// Events of one write ascend.
	if n := len(s.events); n > 0 && e.ID.Less(s.events[n-1].ID) {
		s.write()
	}
	s.now = next
	s.events = append(s.events, e)
	if s.pending == nil {
		s.pending = map[id.ID]storage.Position{}
	}
	s.pending[e.ID] = storage.Position{Collection: e.Collection, Entity: e.Entity, Rev: next.Rev()}
	s.clock = max(s.clock, e.Stamp)
	s.history.Write(e.Digest[:])
	s.counts.Events++
	s.size += e.Size()
	return nil
}

// find returns where an event of the dump stands that was read before.
func (s *restorer) find(e id.ID) (storage.Position, bool, error) {
	if pos, ok := s.pending[e]; ok {
		return pos, true, nil
	}
	snap, err := s.committed()
	if err != nil {
		return storage.Position{}, false, err
	}
	return snap.Find(s.ctx, e)
}

// committed returns a snapshot of what was committed.
func (s *restorer) committed() (lister, error) {
	if s.snap == nil {
		snap, err := listed(s.engine)
		if err != nil {
			return nil, err
		}
		s.snap = snap
	}
	return s.snap, nil
}

// write puts the events that were read into the batch.
func (s *restorer) write() {
	if len(s.events) == 0 {
		return
	}
	w := storage.EntityWrite{Before: s.before, After: s.now, Events: s.events}
	n := len(s.batch.Txs)
	if n > 0 {
		if t := &s.batch.Txs[n-1]; len(t.Entities) > 0 && t.Entities[len(t.Entities)-1].After.ID().Less(s.last.Entity) {
			t.Entities = append(t.Entities, w)
			n = -1
		}
	}
	if n >= 0 {
		s.batch.Txs = append(s.batch.Txs, storage.Tx{Entities: []storage.EntityWrite{w}})
	}
	s.size += s.now.Size()
	s.before, s.events = s.now, nil
}

func (s *restorer) takeState(p proof) error {
	var history [sha256.Size]byte
	s.history.Sum(history[:0])
	switch {
	case p.rev != s.now.Rev():
		return s.damaged(fmt.Sprintf("it has %d events, %d are here", p.rev, s.now.Rev()))
	case p.history != history:
		return s.damaged("its events are not those that were dumped")
	case p.state != sha256.Sum256(s.now.Append(nil)):
		return s.damaged("its events do not lead to the state that was dumped")
	}
	s.write()
	s.in.in = ""
	s.counts.Entities++
	if s.opts.Progress != nil && s.counts.Entities%every == 0 {
		s.opts.Progress(Progress{Entities: s.counts.Entities, Bytes: s.in.n})
	}
	return nil
}

func (s *restorer) takeTx(r storage.TxRecord) error {
	if s.counts.Transactions == 0 {
		if err := s.flush(); err != nil { // what they are held against has to be there
			return err
		}
	}
	if s.counts.Transactions > 0 && bytes.Compare(s.lastTx[:], r.Tx[:]) >= 0 {
		return s.damaged("records are not in their order")
	}
	snap, err := s.committed()
	if err != nil {
		return err
	}
	n, why, err := recorded(s.ctx, snap, r)
	if storage.IsCorrupt(err) { // what was restored is sound: it names something else
		why, err = err.Error(), nil
	}
	if err != nil {
		return err
	}
	if why != "" || n == 0 {
		return s.damaged("record of transaction " + r.Tx.String() + ": " + why)
	}
	s.lastTx = r.Tx
	s.stated += n
	s.counts.Transactions++
	s.size += len(r.Record)
	s.batch.Txs = append(s.batch.Txs, storage.Tx{ID: r.Tx, Record: r.Record})
	if s.opts.Progress != nil && s.counts.Transactions%every == 0 {
		s.opts.Progress(Progress{Entities: s.counts.Entities, Bytes: s.in.n})
	}
	return nil
}

func (s *restorer) takeClaim(c storage.Claim) error {
	if s.counts.Claims == 0 {
		s.lastKey = nil
	}
	if err := s.ordered(c.Key); err != nil {
		return err
	}
	s.counts.Claims++
	s.size += len(c.Key)
	s.batch.Txs = append(s.batch.Txs, storage.Tx{Claims: []storage.Claim{c}})
	return nil
}

// flush commits the batch.
func (s *restorer) flush() error {
	s.write()
	if s.records > 0 {
		res, err := s.engine.Commit(s.ctx, &s.batch)
		if err != nil {
			return err
		}
		for _, conflict := range res.Conflicts {
			if conflict != nil {
				return fmt.Errorf("ankurah: somebody else writes to %s while it is being restored: %w", s.engine.Info().Location, conflict)
			}
		}
	}
	clear(s.batch.Txs)
	clear(s.batch.Meta)
	clear(s.pending)
	s.batch.Txs, s.batch.Meta, s.size, s.records = s.batch.Txs[:0], s.batch.Meta[:0], 0, 0
	if s.snap == nil {
		return nil
	}
	snap := s.snap
	s.snap = nil
	return snap.Close()
}

// end makes the store whole.
func (s *restorer) end(r *record) error {
	switch {
	case r.sum != s.in.whole:
		return s.damaged("the checksum of the whole does not fit")
	case r.counts != s.counts:
		return s.damaged("it has " + s.counts.String() + ", and says that it has " + r.counts.String())
	case s.stated != s.counts.Events:
		return s.damaged(fmt.Sprintf("the records of transactions name %d of %d events", s.stated, s.counts.Events))
	}
	if err := s.in.end(); err != nil {
		return err
	}
	if err := s.flush(); err != nil {
		return err
	}
	if s.opts.Progress != nil {
		s.opts.Progress(Progress{Entities: s.counts.Entities, Of: s.counts.Entities, Bytes: s.in.n})
	}
	if ix, ok := s.engine.(storage.Indexer); ok {
		for _, x := range s.indexes {
			if err := ix.EnsureIndex(s.ctx, x.collection, x.def); err != nil {
				return err
			}
		}
	}
	node, epoch := randomID(), randomID()
	_, err := s.engine.Commit(s.ctx, &storage.Batch{Meta: []storage.MetaWrite{
		{Key: []byte(book.Root), Value: s.root[:]},
		{Key: []byte(book.Clock), Value: binary.BigEndian.AppendUint64(nil, uint64(s.clock))},
		{Key: []byte(book.Node), Value: node[:]},
		{Key: []byte(book.Epoch), Value: epoch[:]},
		{Key: []byte(book.Restoring)},
	}})
	return err
}

// randomID returns an ID that no content stands behind.
func randomID() id.ID {
	var h [8]byte
	// crypto/rand never fails: it ends the program if the system has no
	// randomness.
	_, _ = rand.Read(h[:])
	return id.New(id.NewStamp(uint64(max(0, time.Now().UnixMilli())), 0), h)
}
