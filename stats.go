package ankurah

import (
	"time"

	"github.com/ankurah/ankurah-go/internal/core"
)

// Stats says what a node has open and what keeping it up to date has taken.
// Counters begin when the node was opened.
type Stats struct {
	LiveQueries int    // open, those of connected nodes too
	Results     int    // that they show: equal ones share theirs
	Residual    int    // of the results, evaluated for every commit in their collection, or of entities that have some property
	Commits     uint64 // published
	Changes     uint64 // of entities in them
	Offered     uint64 // changes that a result evaluated
	Touched     uint64 // commits that changed a result, once for each
	Connections int    // that this node accepted
	Pending     int    // transactions that wait for a durable node
}

// Stats returns what the node has open and has done.
func (n *Node) Stats() Stats {
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.core.Routing()
	return Stats{
		LiveQueries: n.core.Queries(), Results: r.Queries, Residual: r.Residual,
		Commits: r.Commits, Changes: r.Changes, Offered: r.Offered, Touched: r.Touched,
		Connections: n.core.Peers(), Pending: n.core.Waiting(),
	}
}

// LiveQueryInfo describes an open live query.
type LiveQueryInfo struct {
	Collection string
	Query      string    // as it is evaluated: in canonical form, narrowed by policy
	Shape      string    // the same with placeholders for its constants
	Subject    string    // of the principal that asked for it, "" for the anonymous one
	Remote     bool      // a connected node asked for it
	Rows       int       // that it shows
	Shared     int       // live queries that show this result, this one among them
	Route      string    // what it is found by when something changes: paths, and whether by value, range, element or presence; "" for everything in the collection
	Offered    uint64    // changes that the result evaluated
	Touched    uint64    // commits that changed the result
	Changed    time.Time // when the result changed last; zero when it never did
}

// LiveQueries describes the open live queries, in the order in which they were
// opened.
func (n *Node) LiveQueries() []LiveQueryInfo {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []LiveQueryInfo
	for info := range n.core.Inspect {
		x := LiveQueryInfo{
			Collection: info.Selection.Collection, Query: info.Selection.String(), Subject: info.Subject, Remote: info.Remote,
			Rows: info.Rows, Shared: info.Shared, Route: info.Route, Offered: info.Offered, Touched: info.Touched,
		}
		x.Shape, _ = info.Selection.Template()
		if info.Changed > 0 {
			x.Changed = time.UnixMilli(int64(info.Changed)).UTC()
		}
		out = append(out, x)
	}
	return out
}

var _ core.Owned = (*sink)(nil)

// Owner returns the subject of who asked.
func (s *sink) Owner() string { return s.subject }
