package storagetest

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/book"
	"github.com/ankurah/ankurah-go/schema"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/value"
)

// Script is a workload of everything that a durable node writes: transactions
// over several entities and collections, deletes and restores, heads that
// split and join, claims that are bound and released, meta keys that come and
// go. It knows what the store holds after each transaction, so what is found
// after a crash can be compared with it. It is for one goroutine.
type Script struct {
	w     *Writer
	after []contents         // after transaction k at k
	txs   []storage.TxRecord // of transaction k at k-1
}

// contents is what a store holds.
type contents struct {
	states map[id.ID]*entity.State
	claims map[string]id.ID
	meta   map[string]string
}

func (c contents) clone() contents {
	return contents{maps.Clone(c.states), maps.Clone(c.claims), maps.Clone(c.meta)}
}

const (
	scriptRows   = 9   // entities
	scriptClaims = 5   // keys
	scriptMeta   = "n" // the key that counts transactions
)

var scriptCollections = []string{"album", "artist", "label"}

// NewScript returns a script that follows from seed.
func NewScript(t testing.TB, seed uint64) *Script {
	return &Script{w: NewWriter(t, seed), after: []contents{{map[id.ID]*entity.State{}, map[string]id.ID{}, map[string]string{}}}}
}

// Writer returns what the script makes its events with.
func (s *Script) Writer() *Writer { return s.w }

// ScriptIndexes returns indexes over what the script writes, by collection.
func ScriptIndexes() map[string][]schema.Index {
	index := func(columns ...schema.Column) schema.Index { return schema.Index{Columns: columns} }
	n, text := schema.Column{Path: []string{"n"}}, schema.Column{Path: []string{"text"}, Desc: true}
	return map[string][]schema.Index{"album": {index(n), index(text, n)}, "artist": {index(text)}}
}

// Step commits the next transaction. After an error the script is at its end.
func (s *Script) Step(ctx context.Context, e storage.Engine) error {
	n := len(s.after)
	next := s.after[n-1].clone()
	rows := slices.SortedFunc(maps.Keys(next.states), id.ID.Compare)
	s.w.Rand.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	var writes []storage.EntityWrite
	for k := range 1 + s.w.Rand.IntN(4) {
		if k < len(rows) && (len(rows) >= scriptRows || s.w.Rand.IntN(2) == 0) {
			writes = append(writes, s.edit(next.states[rows[k]], n))
		} else {
			writes = append(writes, s.w.Create(scriptCollections[s.w.Rand.IntN(len(scriptCollections))], s.set(n)...))
		}
	}
	tx := s.w.Tx(writes...)
	for _, ew := range tx.Entities {
		next.states[ew.After.ID()] = ew.After
	}
	tx.Record = record(tx.Entities)
	tx.Claims, tx.Meta = s.claim(next, tx.Entities[0].After.ID()), s.meta(next, n)
	s.txs = append(s.txs, storage.TxRecord{Tx: tx.ID, Record: tx.Record})
	r, err := e.Commit(ctx, &storage.Batch{Txs: []storage.Tx{tx}})
	if err == nil && r.Conflicts != nil {
		err = r.Conflicts[0]
	}
	// A commit that failed may be there after a crash all the same.
	s.after = append(s.after, next)
	return err
}

// record returns what a node keeps of a transaction.
func record(writes []storage.EntityWrite) (b []byte) {
	for _, w := range writes {
		b = book.AppendTouched(b, book.Touched{Collection: w.After.Collection(), Entity: w.After.ID(), First: w.Before.Rev() + 1, Last: w.After.Rev()})
	}
	return b
}

func (s *Script) set(n int) []event.Operation {
	text := make([]byte, s.w.Rand.IntN(300))
	for k := range text {
		text[k] = byte('a' + s.w.Rand.IntN(26))
	}
	return []event.Operation{Set("n", value.Int64(int64(n))), Set("text", value.String(string(text)))}
}

// edit returns the write of one event, of two concurrent ones, or of one that
// deletes or restores the entity.
func (s *Script) edit(st *entity.State, n int) storage.EntityWrite {
	switch s.w.Rand.IntN(5) {
	case 0:
		return s.w.Edit(st, entity.SetDeleted(st.Exists()))
	case 1:
		left, right := s.w.Event(st, st.Head(), s.set(n)...), s.w.Event(st, st.Head(), s.set(n)...)
		return s.w.Write(st, left, right)
	case 2: // upon one tip only: the others stay
		return s.w.Write(st, s.w.Event(st, st.Head()[:1], s.set(n)...))
	}
	return s.w.Edit(st, s.set(n)...)
}

func (s *Script) claim(next contents, owner id.ID) []storage.Claim {
	key := strconv.Itoa(s.w.Rand.IntN(scriptClaims))
	if holder, bound := next.claims[key]; bound {
		delete(next.claims, key)
		return []storage.Claim{{Key: []byte(key), Entity: holder, Release: true}}
	}
	next.claims[key] = owner
	return []storage.Claim{{Key: []byte(key), Entity: owner}}
}

func (s *Script) meta(next contents, n int) []storage.MetaWrite {
	next.meta[scriptMeta] = strconv.Itoa(n)
	next.meta[book.Root] = string(s.w.root[:])
	next.meta[book.Clock] = string(binary.BigEndian.AppendUint64(nil, uint64(s.w.clock.Last())))
	var writes []storage.MetaWrite
	for _, key := range []string{scriptMeta, book.Root, book.Clock} {
		writes = append(writes, storage.MetaWrite{Key: []byte(key), Value: []byte(next.meta[key])})
	}
	key := "k" + strconv.Itoa(s.w.Rand.IntN(4))
	if _, set := next.meta[key]; set {
		delete(next.meta, key)
		return append(writes, storage.MetaWrite{Key: []byte(key)})
	}
	next.meta[key] = strconv.Itoa(n)
	return append(writes, storage.MetaWrite{Key: []byte(key), Value: []byte(next.meta[key])})
}

// Check fails the test unless the store is whole and holds a prefix of the
// script: at least the first acked transactions, none in part. It returns how
// many.
func (s *Script) Check(t testing.TB, e storage.Engine, acked int) int {
	t.Helper()
	CheckWhole(t, e, s.w.Kinds)
	snap, err := e.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	n, err := s.compare(context.Background(), snap)
	if err != nil {
		t.Fatal(err)
	}
	if n < acked {
		t.Fatalf("the store holds %d transactions, %d were acknowledged", n, acked)
	}
	return n
}

// compare returns how many transactions snap holds, and an error unless it
// holds exactly what they wrote.
func (s *Script) compare(ctx context.Context, snap storage.Snapshot) (int, error) {
	text, counted, err := snap.Meta(ctx, []byte(scriptMeta))
	if err != nil {
		return 0, err
	}
	n := 0
	if counted {
		if n, err = strconv.Atoi(string(text)); err != nil || n >= len(s.after) {
			return 0, fmt.Errorf("the store holds %q transactions of %d", text, len(s.after)-1)
		}
	}
	want, have := s.after[n], contents{map[id.ID]*entity.State{}, map[string]id.ID{}, map[string]string{}}
	for _, name := range scriptCollections {
		for st, err := range snap.All(ctx, name) {
			if err != nil {
				return n, err
			}
			have.states[st.ID()] = st
		}
	}
	if !maps.EqualFunc(have.states, want.states, sameState) {
		return n, fmt.Errorf("the states are not those after transaction %d", n)
	}
	for m, err := range snap.MetaRange(ctx, nil, nil) {
		if err != nil {
			return n, err
		}
		have.meta[string(m.Key)] = string(m.Value)
	}
	for k := range scriptClaims {
		key := strconv.Itoa(k)
		owner, ok, err := snap.Claimed(ctx, []byte(key))
		if err != nil {
			return n, err
		}
		if ok {
			have.claims[key] = owner
		}
	}
	if !maps.Equal(have.meta, want.meta) || !maps.Equal(have.claims, want.claims) {
		return n, fmt.Errorf("meta %v and claims %v are not those after transaction %d: %v, %v", have.meta, have.claims, n, want.meta, want.claims)
	}
	for k, tx := range s.txs {
		record, ok, err := snap.Tx(ctx, tx.Tx)
		if err != nil || ok != (k < n) || ok && string(record) != string(tx.Record) {
			return n, fmt.Errorf("record %d after %d transactions: %x, %v: %w", k+1, n, record, ok, err)
		}
	}
	return n, nil
}
