package core

import (
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/internal/book"
	"github.com/ankurah/ankurah-go/internal/wire"
	"github.com/ankurah/ankurah-go/storage"
)

// A transaction that was sent to one process of a shared store, and then to
// another, since its sender moved on, may be refused by the one and be allowed by
// the other, which stores it later. So who refuses what was sent before writes a
// fence first, and answers when it is stored. A fence stands where the record of
// the transaction would: the store takes one of the two, whichever comes first,
// and who loses that race looks again at what became of it. What is sent for the
// first time is in nobody else's hands, and is refused at once.

// turnDown refuses a transaction, for good once no process can store it.
func (c *Core) turnDown(t *tx, err error) {
	code := codeOf(err)
	if t.req.alone && code == wire.UnknownParent {
		err = &linkError{"what it changes is not there any more: " + textOf(err), ErrDependsOnRefused}
		code = wire.Depends
	}
	switch {
	case !canShare || !c.cfg.Shared || !t.req.again || !code.Final():
		c.finish(t, err)
	case t.taken || t.lookup != nil && t.lookup.known:
		c.finish(t, nil)
	case t.lookup == nil:
		c.read(t, nil)
	case t.lookup.fence != nil:
		c.finish(t, t.lookup.fence)
	default: // what comes after it is looked at when this is settled
		t.fence = err
		t.writes, t.at, t.changes, t.size, t.meta, t.requires = nil, nil, nil, 0, nil, nil
		c.waiting = append(c.waiting, t)
		c.flush()
	}
}

// addFence puts a fence into the batch.
func (c *Core) addFence(t *tx) {
	g := &c.group
	from := len(g.buf)
	text := textOf(t.fence)
	g.buf = book.AppendFence(g.buf, book.Fence{Code: string(codeOf(t.fence)), Text: text[:min(len(text), book.MaxFenceText)]})
	g.batch.Txs = append(g.batch.Txs, storage.Tx{ID: t.req.ID, Record: g.cut(from)})
}

// fenceOf returns why a transaction was refused for good that has this record,
// nil when it was stored.
func fenceOf(tx event.TxID, record []byte) (refused, err error) {
	f, err := book.DecodeFence(record)
	if err != nil {
		return nil, &storage.CorruptError{What: "record of transaction " + tx.String(), Err: err}
	}
	if f == nil {
		return nil, nil
	}
	return &remoteError{wire.Code(f.Code), f.Text}, nil
}
