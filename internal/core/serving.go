package core

import "github.com/ankurah/ankurah-go/internal/wire"

// serving is what a node does for those that connect to it, where it and
// commits meet. Only NewPeer makes one: a program that accepts no connections,
// such as a browser's, has none of that linked. These are functions, as an
// interface's methods would be linked for their names.
type serving struct {
	ack         func(t *tx)
	endCommit   func(t *tx)
	resume      func(p *Peer)
	tickPeers   func(now uint64)
	dismissWith func(p *Peer, code wire.Code, text string)
	cutShown    func(r *result)
	cutAll      func(err error)
}

func (c *Core) newServing() *serving {
	return &serving{ack: c.ack, endCommit: c.endCommit, resume: c.resume, tickPeers: c.tickPeers, dismissWith: c.dismissWith, cutShown: c.cutShown, cutAll: c.cutAll}
}

// acked tells the submitter of a transaction that is being published.
func (c *Core) acked(t *tx) {
	if c.serving != nil {
		c.serving.ack(t)
	}
}

// committed tells peers what a commit did, or, when t is nil, several whole ones.
func (c *Core) committed(t *tx) {
	if c.serving != nil {
		c.serving.endCommit(t)
	}
}
