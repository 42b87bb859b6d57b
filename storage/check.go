package storage

import (
	"errors"
	"slices"
	"strconv"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
)

// Check returns an error for a batch that no node should make, nil for others.
// Engines call it before they commit one.
func (b *Batch) Check() error {
	for k := range b.Txs {
		var last id.ID
		for j := range b.Txs[k].Entities {
			w := &b.Txs[k].Entities[j]
			why := checkWrite(w)
			if why == "" && !last.Less(w.After.ID()) {
				why = "entities are not sorted and unique"
			}
			if why != "" {
				return errors.New("ankurah: malformed batch: transaction " + b.Txs[k].ID.String() + ", entity " + strconv.Itoa(j) + ": " + why)
			}
			last = w.After.ID()
		}
	}
	return nil
}

// checkWrite returns what is wrong with a write by itself, "" for nothing.
func checkWrite(w *EntityWrite) string {
	switch {
	case w.After == nil:
		return "it has no state"
	case w.After.IsGone() && (w.Before == nil || len(w.Events) > 0):
		return "only what is stored can be removed, and by no event"
	case !w.After.IsGone() && (w.After.Rev() == 0 || len(w.After.Head()) == 0):
		return "it has no event"
	case !event.ValidName(w.After.Collection()):
		return "it is in no collection"
	case w.Before != nil && (w.Before.ID() != w.After.ID() || w.Before.Collection() != w.After.Collection()):
		return "it replaces another entity"
	case len(w.Events) > 0 && w.After.Rev() != w.Before.Rev()+uint64(len(w.Events)):
		return "its revs do not fit its events"
	}
	for k, ev := range w.Events {
		if ev.Entity != w.After.ID() || k > 0 && !w.Events[k-1].ID.Less(ev.ID) {
			return "its events are of another entity, or not sorted and unique"
		}
	}
	return ""
}

// CheckHead returns a [*ConflictError] when the head that an entity has is not
// the one that a transaction wants; a nil head is that of an absent entity.
func CheckHead(collection string, entity id.ID, have, want event.Head) error {
	if have.Equal(want) {
		return nil
	}
	why := "its head moved"
	switch {
	case len(want) == 0:
		why = "it exists already"
	case len(have) == 0:
		why = "it does not exist"
	}
	return &ConflictError{Collection: collection, Entity: entity, Why: why}
}

// Recorded returns the conflict of a transaction that has a record already.
func Recorded(tx event.TxID) *ConflictError {
	return &ConflictError{Why: "there is a record of transaction " + tx.String() + " already"}
}

// LeftOut is the transactions of a batch that were left out, and what they would
// have led to. Made upon that, another one has to be left out as well: also where the
// store holds just that, since another process has committed the same
// transaction, which this one has not heard of (S62).
type LeftOut struct {
	txs   []event.TxID
	heads map[id.ID][]event.Head
}

// Add notes a transaction that is left out.
func (l *LeftOut) Add(tx *Tx) {
	if l.heads == nil {
		l.heads = map[id.ID][]event.Head{}
	}
	l.txs = append(l.txs, tx.ID)
	for k := range tx.Entities {
		st := tx.Entities[k].After
		l.heads[st.ID()] = append(l.heads[st.ID()], st.Head())
	}
}

// Check returns a [*ConflictError] for a transaction that was made upon one that
// was left out.
func (l *LeftOut) Check(tx *Tx) error {
	if len(l.txs) == 0 {
		return nil
	}
	for _, a := range tx.After {
		if slices.Contains(l.txs, a) {
			return &ConflictError{Why: "transaction " + a.String() + ", which it comes after, was left out"}
		}
	}
	upon := func(collection string, entity id.ID, head event.Head) error {
		if len(head) == 0 || !slices.ContainsFunc(l.heads[entity], head.Equal) {
			return nil
		}
		return &ConflictError{Collection: collection, Entity: entity, Why: "what it was made upon was left out"}
	}
	for _, r := range tx.Require {
		if err := upon(r.Collection, r.Entity, r.Head); err != nil {
			return err
		}
	}
	for k := range tx.Entities {
		w := &tx.Entities[k]
		if err := upon(w.After.Collection(), w.After.ID(), w.Before.Head()); err != nil {
			return err
		}
	}
	return nil
}

// DecodeState reads a stored state. Its error is a [*CorruptError].
func DecodeState(collection string, i id.ID, b []byte) (*entity.State, error) {
	s, err := entity.Decode(collection, i, b)
	if err == nil && (s.Rev() == 0 || len(s.Head()) == 0) {
		err = errors.New("it has no event")
	}
	if err != nil {
		return nil, &CorruptError{What: "state of " + collection + " " + i.String(), Err: err}
	}
	return s, nil
}
