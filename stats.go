package ankurah

import (
	"time"

	"github.com/ankurah/ankurah-go/internal/core"
)

// Stats says what a node has open and what keeping it up to date has taken.
// Counters begin when the node was opened.
type Stats struct {
	LiveQueries int    `json:"liveQueries"` // open, those of connected nodes too
	Results     int    `json:"results"`     // that they show: equal ones share theirs
	Residual    int    `json:"residual"`    // of the results, evaluated for every commit in their collection, or of entities that have some property
	Commits     uint64 `json:"commits"`     // published
	Changes     uint64 `json:"changes"`     // of entities in them
	Offered     uint64 `json:"offered"`     // changes that a result evaluated
	Touched     uint64 `json:"touched"`     // commits that changed a result, once for each
	Connections int    `json:"connections"` // that this node accepted
	Pending     int    `json:"pending"`     // transactions that wait for a durable node
	Failed      uint64 `json:"failed"`      // results that could not be evaluated: see FailedQueries
}

// Stats returns what the node has open and has done.
func (n *Node) Stats() Stats {
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.core.Routing()
	failed, _ := n.core.Failures()
	return Stats{
		LiveQueries: n.core.Queries(), Results: r.Queries, Residual: r.Residual,
		Commits: r.Commits, Changes: r.Changes, Offered: r.Offered, Touched: r.Touched,
		Connections: n.core.Peers(), Pending: n.core.Waiting(), Failed: failed,
	}
}

// LiveQueryInfo describes an open live query or live aggregate.
type LiveQueryInfo struct {
	Collection string    `json:"collection"`
	Query      string    `json:"query"`            // as it is evaluated: in canonical form, narrowed by policy
	Shape      string    `json:"shape"`            // the same with placeholders for its constants
	Subject    string    `json:"subject"`          // of the principal that asked for it, "" for the anonymous one
	Remote     bool      `json:"remote"`           // a connected node asked for it
	Rows       int       `json:"rows"`             // that it shows, or groups
	Shared     int       `json:"shared"`           // live queries that show this result, this one among them
	Route      string    `json:"route"`            // what it is found by when something changes: paths, and whether by value, range, element or presence; "" for everything in the collection
	Offered    uint64    `json:"offered"`          // changes that the result evaluated
	Touched    uint64    `json:"touched"`          // commits that changed the result
	Changed    time.Time `json:"changed,omitzero"` // when the result changed last; zero when it never did
}

// LiveQueries describes the open live queries, in the order in which they were
// opened, and then the live aggregates.
func (n *Node) LiveQueries() []LiveQueryInfo {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []LiveQueryInfo
	for info := range n.core.Inspect {
		x := LiveQueryInfo{
			Collection: info.Collection, Query: info.Query, Shape: info.Shape, Subject: info.Subject, Remote: info.Remote,
			Rows: info.Rows, Shared: info.Shared, Route: info.Route, Offered: info.Offered, Touched: info.Touched,
		}
		if info.Changed > 0 {
			x.Changed = time.UnixMilli(int64(info.Changed)).UTC()
		}
		out = append(out, x)
	}
	return out
}

// FailedQueryInfo describes a result that could not be evaluated. Its live
// queries have ended with the reason; others are not concerned.
type FailedQueryInfo struct {
	Collection string    `json:"collection"`
	Query      string    `json:"query"`
	Subject    string    `json:"subject"` // of the principal that asked for it first
	Shared     int       `json:"shared"`  // live queries that ended
	Reason     string    `json:"reason"`
	At         time.Time `json:"at"`
}

// FailedQueries describes the last hundred results that could not be evaluated,
// the latest last.
func (n *Node) FailedQueries() []FailedQueryInfo {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []FailedQueryInfo
	_, latest := n.core.Failures()
	for _, f := range latest {
		out = append(out, FailedQueryInfo{f.Collection, f.Query, f.Subject, f.Shared, f.Reason.Error(), time.UnixMilli(int64(f.At)).UTC()})
	}
	return out
}

var _, _ core.Owned = (*sink)(nil), (*aggregateSink)(nil)

// Owner returns the subject of who asked.
func (s *sink) Owner() string { return s.s.p.Subject }
