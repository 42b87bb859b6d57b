package ankurah

import (
	"context"

	"github.com/ankurah/ankurah-go/internal/random"
	"github.com/ankurah/ankurah-go/policy"
)

// Session is a node seen by one principal: what it reads and writes is what
// the policy allows that principal.
type Session struct {
	n *Node
	p policy.Principal
}

// Reader is what can be read through: a [Session], its Local, or a [Tx], which
// also sees its own edits.
type Reader interface{ reader() reader }

type reader struct {
	n     *Node
	p     policy.Principal
	tx    *Tx  // nil outside transactions
	local bool // the server is not asked
}

func (s *Session) reader() reader { return reader{n: s.n, p: s.p} }

// Node returns the session's node.
func (s *Session) Node() *Node { return s.n }

// Principal returns who the session acts for.
func (s *Session) Principal() policy.Principal { return s.p }

// Local returns a reader of what this node holds, which does not ask a server.
// A durable node holds everything.
func (s *Session) Local() Reader { return localReader{s} }

type localReader struct{ s *Session }

func (l localReader) reader() reader { return reader{n: l.s.n, p: l.s.p, local: true} }

// Begin begins a transaction.
func (s *Session) Begin() *Tx {
	var id TxID
	// random.Read never fails: it ends the program if the system has no
	// randomness.
	random.Read(id[:])
	return s.BeginAs(id)
}

// BeginAs is Begin of a transaction whose ID somebody else has chosen at random,
// so that who asks for it again can be told that it was done: ask
// [Node.Committed] first.
func (s *Session) BeginAs(id TxID) *Tx { return &Tx{s: s, id: id} }

// Update runs f in a transaction and commits it. An error or a panic of f
// rolls back. f is run once, also when the commit has to merge with others.
func (s *Session) Update(ctx context.Context, f func(tx *Tx) error) error {
	tx := s.Begin()
	defer tx.Rollback()
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

// UpdateConfirmed is Update that returns when a durable node has accepted the
// transaction, or a [RejectedError] when it has refused it. On a durable node
// it is Update.
func (s *Session) UpdateConfirmed(ctx context.Context, f func(tx *Tx) error) error {
	var id *Tx
	err := s.Update(ctx, func(tx *Tx) error {
		id = tx
		return f(tx)
	})
	if err != nil {
		return err
	}
	return id.Confirmed(ctx)
}
