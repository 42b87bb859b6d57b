package ankurah

import (
	"context"
	"errors"

	"github.com/ankurah/ankurah-go/internal/book"
	"github.com/ankurah/ankurah-go/internal/core"
	"github.com/ankurah/ankurah-go/internal/sorting"
	"github.com/ankurah/ankurah-go/policy"
)

// What follows is for packages that serve a node's data by another protocol
// than that of nodes.

// Authenticate returns who a credential stands for: on a durable node the
// policy agent says it, an ephemeral one is its principal's whatever the
// credential. Errors wrap [ErrUnauthenticated].
func (n *Node) Authenticate(ctx context.Context, credential []byte) (policy.Principal, error) {
	if !n.durable {
		return policy.Principal{Subject: n.Subject()}, nil
	}
	return n.core.Authenticate(ctx, credential)
}

// Durable reports whether the node is one that decides.
func (n *Node) Durable() bool { return n.durable }

// News returns a channel that is closed when something is published or a
// connection begins or ends: when [Node.Connected], [Node.Pending],
// [Node.Subject] and [Node.System] may have changed.
func (n *Node) News() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.news == nil {
		n.news = make(chan struct{})
	}
	return n.news
}

// tell closes what News returned. n.mu is held.
func (n *Node) tell() {
	if n.news != nil {
		close(n.news)
		n.news = nil
	}
}

// Moment is a moment at which nothing is being published. It ends when the
// function returns that got it.
type Moment struct{ _ *Node }

// Look calls f at a moment at which everything that was committed together is
// to be seen together (S22): what f reads of live queries with
// [LiveQuery.RowsAt] and of aggregates with [LiveAggregate.RowsAt] fits
// together. f must be quick and call nothing else of the node.
func (n *Node) Look(f func(Moment)) error {
	return n.wait(func(done func(error)) {
		n.core.WhenWhole(func() {
			f(Moment{n})
			done(nil)
		})
	})
}

// Committed reports whether a transaction has been committed, and which
// entities it created, in the order of their making. An ephemeral node knows it
// of those that wait for a durable node's word.
func (n *Node) Committed(ctx context.Context, tx TxID) (created []ID, ok bool, err error) {
	if !n.durable {
		n.mu.Lock()
		created, ok = n.core.Creations(tx)
		n.mu.Unlock()
		sorting.Sort(created, ID.Compare)
		return created, ok, nil
	}
	var record []byte
	err = n.reading(ctx, func(snap *core.Snap) (err error) {
		record, ok, err = snap.Tx(ctx, tx)
		return err
	})
	if !ok || err != nil {
		return nil, false, err
	}
	if fence, err := book.DecodeFence(record); fence != nil || err != nil {
		return nil, false, err
	}
	touched, err := book.DecodeRecord(record)
	if err != nil {
		return nil, false, err
	}
	for _, t := range touched {
		if t.First == 1 {
			created = append(created, t.Entity)
		}
	}
	sorting.Sort(created, ID.Compare)
	return created, true, nil
}

// Confirmed waits until a durable node has accepted a transaction that this
// node has committed, as [Tx.Confirmed] does.
func (n *Node) Confirmed(ctx context.Context, tx TxID) error {
	if n.durable {
		return nil
	}
	answer := make(chan error, 1)
	var forget func()
	n.do(func() { forget = n.core.Confirm(tx, func(err error) { answer <- err }) })
	select {
	case err := <-answer:
		if err != nil && !errors.Is(err, ErrClosed) {
			return &RejectedError{tx, err}
		}
		return err
	case <-ctx.Done():
		n.do(forget)
		return ctx.Err()
	}
}
