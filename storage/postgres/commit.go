package postgres

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/storage"
)

// maxAttempts bounds how often a batch is tried while other processes get in
// between.
const maxAttempts = 64

// Commit applies b's transactions as [storage.Engine] says, in one transaction
// of the database. It waits for a database that is away, see [Options.Outage].
// An entity write without events replaces the state by one that was made
// elsewhere, whatever its rev.
func (e *Engine) Commit(ctx context.Context, b *storage.Batch) (storage.Result, error) {
	if err := b.Check(); err != nil {
		return storage.Result{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.checkWritable(); err != nil {
		return storage.Result{}, err
	}
	if err := ctx.Err(); err != nil {
		return storage.Result{}, err
	}
	var result storage.Result
	err := e.patiently(ctx, func() (err error) {
		if err = e.prepare(ctx, b); err != nil {
			return err
		}
		defer e.committed()
		result, err = e.commit(ctx, b)
		return err
	})
	if err != nil {
		return storage.Result{}, e.explain(err)
	}
	return result, nil
}

// prepare makes room in the tables for what b writes, and pins the snapshots
// that are open.
func (e *Engine) prepare(ctx context.Context, b *storage.Batch) error {
	w := wishes{}
	c := e.catalog.Load()
	for k := range b.Txs {
		for j := range b.Txs[k].Entities {
			if st := b.Txs[k].Entities[j].After; !st.IsGone() {
				w.add(c, st)
			}
		}
	}
	err := e.grant(ctx, w)
	for stateOf(err) == stateLockTimeout && ctx.Err() == nil {
		// Somebody reads the tables. New columns can wait, as long as what has
		// no column is noted; but other servers would not know of it.
		if !e.opts.Shared {
			w.withoutColumns(c)
		}
		err = e.grant(ctx, w)
	}
	if err != nil {
		return err
	}
	return e.pinOpen(ctx)
}

// entityKey names an entity.
type entityKey struct {
	collection string
	entity     id.ID
}

func (a entityKey) compare(b entityKey) int {
	if c := strings.Compare(a.collection, b.collection); c != 0 {
		return c
	}
	return a.entity.Compare(b.entity)
}

// row is an entity in a batch.
type row struct {
	stored event.Head    // what the database has to hold
	head   event.Head    // after the transactions so far
	after  *entity.State // what to write, nil when nothing is written
}

// claimed is a claim key in a batch.
type claimed struct {
	key     []byte
	entity  id.ID // zero: not bound
	stored  bool  // it was bound, and is locked
	written bool
}

// group is a batch being judged: what it writes, folded over its transactions.
type group struct {
	batch  *storage.Batch
	locked bool // what is stored was read and locked; else it is assumed to be as wanted
	rows   map[entityKey]*row
	claims map[string]*claimed
	txs    map[event.TxID]bool // records that are stored, of a shared store
	taken  []*storage.Tx
	left   storage.LeftOut
	result storage.Result
}

// errAssumption says that a batch has to be judged again with its rows locked.
var errAssumption = errors.New("a row is not what the batch assumed")

func newGroup(b *storage.Batch) *group {
	return &group{batch: b, rows: map[entityKey]*row{}, claims: map[string]*claimed{}, txs: map[event.TxID]bool{}}
}

// judge decides which transactions are taken.
func (g *group) judge() error {
	for k := range g.batch.Txs {
		tx := &g.batch.Txs[k]
		conflict := g.admit(tx)
		if conflict == nil {
			g.take(tx)
			continue
		}
		if !g.locked {
			return errAssumption
		}
		if g.result.Conflicts == nil {
			g.result.Conflicts = make([]error, len(g.batch.Txs))
		}
		g.result.Conflicts[k] = conflict
		g.left.Add(tx)
	}
	return nil
}

// admit checks the conditions of tx after the transactions before it.
func (g *group) admit(tx *storage.Tx) error {
	if len(tx.Record) > 0 && g.txs[tx.ID] {
		return storage.Recorded(tx.ID)
	}
	if err := g.left.Check(tx); err != nil {
		return err
	}
	for k := range tx.Require {
		r := &tx.Require[k]
		if err := g.expect(entityKey{r.Collection, r.Entity}, r.Head); err != nil {
			return err
		}
	}
	for k := range tx.Entities {
		w := &tx.Entities[k]
		if err := g.expect(entityKey{w.After.Collection(), w.After.ID()}, w.Before.Head()); err != nil {
			return err
		}
	}
	return g.admitClaims(tx.Claims)
}

func (g *group) expect(k entityKey, want event.Head) error {
	r := g.rows[k]
	if r == nil {
		r = &row{}
		if !g.locked {
			r.stored, r.head = want, want
		}
		g.rows[k] = r
	}
	return storage.CheckHead(k.collection, k.entity, r.head, want)
}

// admitClaims makes a transaction's claims one after the other; on a conflict
// none.
func (g *group) admitClaims(claims []storage.Claim) error {
	if len(claims) > 0 && !g.locked {
		return errAssumption
	}
	old := map[string]claimed{}
	for k := range claims {
		claim := &claims[k]
		c := g.claims[string(claim.Key)]
		if _, twice := old[string(claim.Key)]; !twice {
			old[string(claim.Key)] = *c
		}
		switch {
		case claim.Release && c.entity == claim.Entity:
			c.entity, c.written = id.ID{}, true
		case claim.Release:
		case c.entity.IsZero():
			c.entity, c.written = claim.Entity, true
		case c.entity != claim.Entity:
			err := &storage.ConflictError{Entity: claim.Entity, Why: "the key " + strconv.QuoteToASCII(string(claim.Key)) + " is claimed by " + c.entity.String()}
			for key, was := range old {
				*g.claims[key] = was
			}
			return err
		}
	}
	return nil
}

// take makes tx part of what is written.
func (g *group) take(tx *storage.Tx) {
	for k := range tx.Entities {
		w := &tx.Entities[k]
		r := g.rows[entityKey{w.After.Collection(), w.After.ID()}]
		r.after, r.head = w.After, w.After.Head()
	}
	if len(tx.Record) > 0 {
		g.txs[tx.ID] = g.locked
	}
	g.taken = append(g.taken, tx)
}

// keys returns the entities of a batch in the order in which everybody locks
// them.
func (g *group) keys() []entityKey {
	var keys []entityKey
	for k := range g.rows {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, entityKey.compare)
	return keys
}

// commit applies b. An error for which [lost] holds means that it was not
// applied and may be tried again.
func (e *Engine) commit(ctx context.Context, b *storage.Batch) (storage.Result, error) {
	if _, err := e.connected(ctx); err != nil {
		return storage.Result{}, err
	}
	// From here on the caller's end is no reason not to know what became of it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.opts.Outage)
	defer cancel()
	for {
		if err := e.writing(ctx, func(conn *pgx.Conn) error { return e.enlist(ctx, conn) }); err != nil {
			return storage.Result{}, err
		}
		var g *group
		err := e.writing(ctx, func(conn *pgx.Conn) (err error) {
			g, err = e.judged(ctx, conn, b)
			return err
		})
		switch {
		case err == nil:
			e.batch++
			return g.result, nil
		case !lost(err):
			return storage.Result{}, err
		}
		// When that returns, the database answers again: no reason to wait.
		if err = e.wasApplied(ctx, err); err == nil {
			return g.result, nil
		}
		if !lost(err) || ctx.Err() != nil {
			return storage.Result{}, err
		}
	}
}

// judged commits b, first on the assumption that everything stored is as it
// wants, then with its rows locked.
func (e *Engine) judged(ctx context.Context, conn *pgx.Conn, b *storage.Batch) (*group, error) {
	g := newGroup(b)
	err := g.judge()
	if err == nil {
		err = e.send(ctx, conn, g)
	}
	for attempt := 0; attempt < maxAttempts && again(err); attempt++ {
		if err := pause(ctx, time.Duration(attempt)*time.Millisecond); err != nil {
			return nil, err
		}
		g = newGroup(b)
		err = e.carefully(ctx, conn, g)
	}
	return g, err
}

// again reports whether a batch that failed so has to be judged again.
func again(err error) bool {
	switch stateOf(err) {
	case stateDivisionByZero, stateUnique, stateSerialization, stateDeadlock:
		return true
	}
	return errors.Is(err, errAssumption)
}

// doubtError says that nobody knows what became of a batch, which must not be
// tried again.
type doubtError struct{ what string }

func (e *doubtError) Error() string { return "ankurah: " + e.what }

// wasApplied finds out what became of a batch whose connection was lost: it
// returns nil if it was applied, else why the connection was lost. Then it
// cannot be applied any more, since the number that it needs is spent.
func (e *Engine) wasApplied(ctx context.Context, why error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.opts.Outage)
	defer cancel()
	before, now := e.batch, int64(0)
	err := e.patiently(ctx, func() error {
		return e.writing(ctx, func(conn *pgx.Conn) error {
			// A transaction that is still under way holds the row, or will find
			// it changed. Doing this twice changes nothing.
			return conn.QueryRow(ctx, "UPDATE "+e.own("servers")+" SET batch = CASE WHEN batch = $2 THEN batch + 2 ELSE batch END, gone = NULL WHERE incarnation = $1 RETURNING batch",
				e.incarnation, before).Scan(&now)
		})
	})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return &doubtError{e.location + ": a commit was cut off (" + why.Error() + "), and the row of this process was removed meanwhile, so that what became of it cannot be seen"}
	case err != nil:
		return &doubtError{e.location + ": a commit was cut off (" + why.Error() + "), and the database does not answer, so that what became of it cannot be seen: " + err.Error()}
	}
	e.batch = now
	if now == before+1 {
		return nil
	}
	return why
}

// carefully commits g after reading and locking what is stored.
func (e *Engine) carefully(ctx context.Context, conn *pgx.Conn, g *group) error {
	g.locked = true
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if err := e.lockRows(ctx, tx, g); err != nil {
			return err
		}
		if err := g.judge(); err != nil {
			return err
		}
		return tx.SendBatch(ctx, e.statements(g)).Close()
	})
}

// lockRows reads the heads, the claims and, of a shared store, the records that
// g speaks of.
func (e *Engine) lockRows(ctx context.Context, tx pgx.Tx, g *group) error {
	wanted := map[entityKey]bool{}
	var claims [][]byte
	var txs [][16]byte
	for k := range g.batch.Txs {
		t := &g.batch.Txs[k]
		for _, r := range t.Require {
			wanted[entityKey{r.Collection, r.Entity}] = true
		}
		for _, w := range t.Entities {
			wanted[entityKey{w.After.Collection(), w.After.ID()}] = true
		}
		for _, c := range t.Claims {
			if g.claims[string(c.Key)] == nil {
				g.claims[string(c.Key)] = &claimed{key: c.Key}
				claims = append(claims, claimHash(c.Key))
			}
		}
		txs = append(txs, t.ID)
	}
	ids := map[string][][16]byte{}
	var names []string
	for k := range wanted {
		g.rows[k] = &row{}
		if ids[k.collection] == nil {
			names = append(names, k.collection)
		}
		ids[k.collection] = append(ids[k.collection], k.entity)
	}
	slices.Sort(names)
	for _, name := range names {
		col := e.catalog.Load().collections[name]
		if col == nil {
			continue
		}
		err := all(ctx, tx, "SELECT id, _state FROM "+col.table+" WHERE id = ANY($1) ORDER BY id FOR UPDATE", []any{ids[name]}, func(r pgx.Rows) error {
			var i [16]byte
			var state []byte
			if err := r.Scan(&i, &state); err != nil {
				return err
			}
			st, err := storage.DecodeState(name, i, state)
			if err == nil {
				k := g.rows[entityKey{name, i}]
				k.stored, k.head = st.Head(), st.Head()
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	if len(claims) > 0 {
		err := all(ctx, tx, "SELECT key, entity FROM "+e.own("claims")+" WHERE hash = ANY($1) ORDER BY hash FOR UPDATE", []any{claims}, func(r pgx.Rows) error {
			var key []byte
			var i [16]byte
			err := r.Scan(&key, &i)
			if c := g.claims[string(key)]; c != nil {
				c.entity, c.stored = i, true
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	if !e.opts.Shared {
		return nil
	}
	return all(ctx, tx, "SELECT tx FROM "+e.own("txs")+" WHERE tx = ANY($1)", []any{txs}, func(r pgx.Rows) error {
		var i [16]byte
		err := r.Scan(&i)
		g.txs[i] = true
		return err
	})
}

func claimHash(key []byte) []byte {
	sum := sha256.Sum256(key)
	return sum[:]
}

// send commits g in one piece: the statements are one transaction, which ends
// with them.
func (e *Engine) send(ctx context.Context, conn *pgx.Conn, g *group) error {
	return conn.SendBatch(ctx, e.statements(g)).Close()
}

// statements returns what writes g, each so that it fails where the database
// does not hold what it has to.
func (e *Engine) statements(g *group) *pgx.Batch {
	b := &pgx.Batch{}
	b.Queue("WITH done AS (UPDATE "+e.own("servers")+" SET batch = $2 + 1 WHERE incarnation = $1 AND batch = $2 RETURNING 1) SELECT 1/count(*) FROM done", e.incarnation, e.batch)
	c := e.catalog.Load()
	for _, k := range g.keys() {
		e.writeRow(b, c.collections[k.collection], k.entity, g.rows[k])
	}
	e.writeEvents(b, c, g)
	e.writeRecords(b, g)
	e.writeClaims(b, g)
	e.writeMeta(b, g)
	if e.opts.Shared { // who watches gets it after the end of the transaction
		b.Queue("SELECT pg_notify($1, $2)", e.channel(), hex.EncodeToString(e.incarnation[:]))
	}
	return b
}

func (e *Engine) writeRow(b *pgx.Batch, c *collection, i id.ID, r *row) {
	entity := [16]byte(i)
	switch {
	case c == nil && len(r.stored) > 0:
		b.Queue("SELECT 1/0") // there is no such collection
	case c == nil: // and none is wanted
	case r.after == nil && len(r.stored) == 0 || r.after != nil && r.after.IsGone() && len(r.stored) == 0:
		b.Queue(c.absent, entity)
	case r.after == nil:
		b.Queue(c.hold, entity, appendHead(r.stored))
	case r.after.IsGone():
		b.Queue(c.remove, entity, appendHead(r.stored))
	case len(r.stored) == 0:
		b.Queue(c.insert, c.values(r.after)...)
	default:
		b.Queue(c.update, append(c.values(r.after), appendHead(r.stored))...)
	}
}

// values returns what the columns hold of a state, in the order of the
// parameters of insert.
func (c *collection) values(st *entity.State) []any {
	i := st.ID()
	out := make([]any, 6, 7+len(c.columns))
	var odd []string
	for _, col := range c.columns {
		v, ok := encode(st.Value(col.key), col.typ)
		if !ok {
			v = nil
			odd = append(odd, col.key)
		}
		out = append(out, v)
	}
	if !c.full() {
		for _, entry := range st.Entries() {
			if c.byKey[entry.Key] == nil && hasColumn(entry.Key) && !slices.Contains(odd, entry.Key) && !st.Value(entry.Key).IsNull() {
				odd = append(odd, entry.Key)
			}
		}
	}
	copy(out, []any{[16]byte(i), appendHead(st.Head()), int64(st.Rev()), !st.Exists(), odd, st.Append(nil)})
	return out
}

// appendHead returns a head as the tables hold it.
func appendHead(h event.Head) []byte {
	b := make([]byte, 0, len(h)*(id.Size+len(event.Digest{})))
	for _, tip := range h {
		b = append(append(b, tip.ID[:]...), tip.Digest[:]...)
	}
	return b
}

// eventRows are columns of events.
type eventRows struct {
	entities, events, txs [][16]byte
	revs                  []int64
	made                  []time.Time
	bodies                [][]byte
}

func (e *Engine) writeEvents(b *pgx.Batch, c *catalog, g *group) {
	rows := map[string]*eventRows{}
	var names []string
	for _, tx := range g.taken {
		for k := range tx.Entities {
			w := &tx.Entities[k]
			name := w.After.Collection()
			if rows[name] == nil && len(w.Events) > 0 {
				rows[name] = &eventRows{}
				names = append(names, name)
			}
			for j, ev := range w.Events {
				r := rows[name]
				r.entities, r.events, r.txs = append(r.entities, w.After.ID()), append(r.events, ev.ID), append(r.txs, ev.Tx)
				r.revs, r.made = append(r.revs, int64(w.Before.Rev())+int64(j)+1), append(r.made, ev.Stamp.Time())
				r.bodies = append(r.bodies, ev.Append(nil))
			}
		}
	}
	slices.Sort(names)
	for _, name := range names {
		r := rows[name]
		b.Queue(c.collections[name].addEvents, r.entities, r.revs, r.events, r.txs, r.made, r.bodies)
	}
}

func (e *Engine) writeRecords(b *pgx.Batch, g *group) {
	var txs [][16]byte
	var records [][]byte
	at := map[event.TxID]int{}
	for _, tx := range g.taken {
		if len(tx.Record) == 0 {
			continue
		}
		if k, twice := at[tx.ID]; twice {
			records[k] = tx.Record
			continue
		}
		at[tx.ID] = len(txs)
		txs, records = append(txs, tx.ID), append(records, tx.Record)
	}
	if len(txs) == 0 {
		return
	}
	sql := "INSERT INTO " + e.own("txs") + " SELECT * FROM unnest($1::uuid[], $2::bytea[])"
	if !e.opts.Shared {
		sql += " ON CONFLICT (tx) DO UPDATE SET record = EXCLUDED.record"
	}
	b.Queue(sql, txs, records)
}

func (e *Engine) writeClaims(b *pgx.Batch, g *group) {
	keys := slices.SortedFunc(func(yield func(*claimed) bool) {
		for _, c := range g.claims {
			if c.written && !yield(c) {
				return
			}
		}
	}, func(a, b *claimed) int { return bytes.Compare(claimHash(a.key), claimHash(b.key)) })
	for _, c := range keys {
		if c.stored { // else another process may have bound it meanwhile: then inserting fails
			b.Queue("DELETE FROM "+e.own("claims")+" WHERE hash = $1", claimHash(c.key))
		}
		if !c.entity.IsZero() {
			b.Queue("INSERT INTO "+e.own("claims")+" VALUES ($1, $2, $3)", claimHash(c.key), nonNil(c.key), [16]byte(c.entity))
		}
	}
}

// nonNil returns b, empty rather than nil, which would be null.
func nonNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// writeMeta writes the last value of each key.
func (e *Engine) writeMeta(b *pgx.Batch, g *group) {
	last := map[string][]byte{}
	for _, tx := range g.taken {
		for _, m := range tx.Meta {
			last[string(m.Key)] = m.Value
		}
	}
	for _, m := range g.batch.Meta {
		last[string(m.Key)] = m.Value
	}
	var set, removed, values [][]byte
	for key := range last {
		if last[key] == nil {
			removed = append(removed, []byte(key))
		} else {
			set = append(set, []byte(key))
		}
	}
	slices.SortFunc(set, bytes.Compare)
	slices.SortFunc(removed, bytes.Compare)
	for _, key := range set {
		values = append(values, last[string(key)])
	}
	if len(set) > 0 {
		b.Queue("INSERT INTO "+e.own("meta")+" SELECT * FROM unnest($1::bytea[], $2::bytea[]) ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value", set, values)
	}
	if len(removed) > 0 {
		b.Queue("DELETE FROM "+e.own("meta")+" WHERE key = ANY($1)", removed)
	}
}
