package ankurah

import "time"

// Metrics takes what a node measures, under the names below. Its methods are
// called often, from several goroutines, and must return at once.
type Metrics interface {
	// Count adds n to a counter.
	Count(name string, n int)
	// Gauge says how many there are now.
	Gauge(name string, n int)
	// Time says how long something took.
	Time(name string, d time.Duration)
}

// What a node measures.
const (
	MetricCommits     = "ankurah_commits"      // counter: transactions that were stored, whoever made them
	MetricRefused     = "ankurah_refused"      // counter: transactions that were refused or failed
	MetricCommitTime  = "ankurah_commit_time"  // time of one Commit, for its caller
	MetricWrites      = "ankurah_writes"       // counter: batches written; commits beside writes is the group's size
	MetricWriteTime   = "ankurah_write_time"   // time of writing a batch, its sync included
	MetricLiveQueries = "ankurah_live_queries" // gauge: live queries that are open
)

// containedMetrics are a user's. They are told of things under the lock, and
// in the middle of a commit.
type containedMetrics struct {
	n  *Node
	to Metrics
}

func (m containedMetrics) Count(name string, n int) {
	defer m.contain()
	m.to.Count(name, n)
}

func (m containedMetrics) Gauge(name string, n int) {
	defer m.contain()
	m.to.Gauge(name, n)
}

func (m containedMetrics) Time(name string, d time.Duration) {
	defer m.contain()
	m.to.Time(name, d)
}

func (m containedMetrics) contain() {
	if r := recover(); r != nil {
		m.n.panicked("the metrics", r)
	}
}

type noMetrics struct{}

func (noMetrics) Count(string, int)          {}
func (noMetrics) Gauge(string, int)          {}
func (noMetrics) Time(string, time.Duration) {}

// countQueries is called under the lock, so that the last word is right.
func (n *Node) countQueries() {
	if open := n.core.Queries(); open != n.queries {
		n.queries = open
		n.metrics.Gauge(MetricLiveQueries, open)
	}
}
