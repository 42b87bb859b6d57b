// Package prom hands what nodes measure to Prometheus. It is a package of its
// own so that nobody else links Prometheus.
package prom

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ankurah/ankurah-go"
)

// Metrics is an [ankurah.Metrics] that keeps counters as NAME_total, gauges as
// NAME, and times as histograms NAME_seconds. Several nodes of one process that
// use one Metrics are counted together.
type Metrics struct {
	registry prometheus.Registerer
	mu       sync.Mutex // guards what is made
	counters sync.Map   // name -> prometheus.Counter
	gauges   sync.Map   // name -> prometheus.Gauge
	times    sync.Map   // name -> prometheus.Observer
}

var _ ankurah.Metrics = (*Metrics)(nil)

// New returns metrics that are registered with r as they come up. It panics, as
// prometheus.MustRegister does, when something else has their names.
func New(r prometheus.Registerer) *Metrics { return &Metrics{registry: r} }

// get returns what kinds has under a name, or what create makes, registered.
func get[C prometheus.Collector](m *Metrics, kinds *sync.Map, name string, create func() C) C {
	if c, ok := kinds.Load(name); ok {
		return c.(C)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if c, ok := kinds.Load(name); ok {
		return c.(C)
	}
	c := create()
	m.registry.MustRegister(c)
	kinds.Store(name, c)
	return c
}

// Count adds to a counter.
func (m *Metrics) Count(name string, n int) {
	get(m, &m.counters, name, func() prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name + "_total", Help: help[name]})
	}).Add(float64(n))
}

// Gauge sets a gauge.
func (m *Metrics) Gauge(name string, n int) {
	get(m, &m.gauges, name, func() prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help[name]})
	}).Set(float64(n))
}

// Time notes how long something took.
func (m *Metrics) Time(name string, d time.Duration) {
	get(m, &m.times, name, func() prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: name + "_seconds", Help: help[name], Buckets: buckets})
	}).Observe(d.Seconds())
}

// buckets of times reach from a commit in memory to one on a slow disk.
var buckets = prometheus.ExponentialBuckets(10e-6, 4, 10)

var help = map[string]string{
	ankurah.MetricCommits:     "Transactions that were stored, whoever made them.",
	ankurah.MetricRefused:     "Transactions that were refused or failed.",
	ankurah.MetricCommitTime:  "Time of one Commit, for its caller.",
	ankurah.MetricWrites:      "Batches written to the store.",
	ankurah.MetricWriteTime:   "Time of writing a batch, its sync included.",
	ankurah.MetricLiveQueries: "Live queries that are open.",
}

// collector is a node's statistics.
type collector struct{ node *ankurah.Node }

// NewCollector returns what [ankurah.Node.Stats] says of a node, read whenever
// it is asked for. How many live queries are open is among the [Metrics].
func NewCollector(node *ankurah.Node) prometheus.Collector { return collector{node} }

// stat is one number of them.
type stat struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(ankurah.Stats) float64
}

func newStat(name, help string, kind prometheus.ValueType, of func(ankurah.Stats) float64) stat {
	return stat{prometheus.NewDesc("ankurah_"+name, help, nil, nil), kind, of}
}

var stats = []stat{
	newStat("connections", "Connections that the node accepted.", prometheus.GaugeValue, func(s ankurah.Stats) float64 { return float64(s.Connections) }),
	newStat("live_results", "Results that live queries show: equal ones share theirs.", prometheus.GaugeValue, func(s ankurah.Stats) float64 { return float64(s.Results) }),
	newStat("live_residual", "Results that are evaluated for every commit in their collection.", prometheus.GaugeValue, func(s ankurah.Stats) float64 { return float64(s.Residual) }),
	newStat("live_failed_total", "Results that could not be evaluated and were ended.", prometheus.CounterValue, func(s ankurah.Stats) float64 { return float64(s.Failed) }),
	newStat("pending", "Transactions that wait for a durable node.", prometheus.GaugeValue, func(s ankurah.Stats) float64 { return float64(s.Pending) }),
	newStat("published_total", "Transactions that were published.", prometheus.CounterValue, func(s ankurah.Stats) float64 { return float64(s.Commits) }),
	newStat("changes_total", "Changes of entities in published transactions.", prometheus.CounterValue, func(s ankurah.Stats) float64 { return float64(s.Changes) }),
	newStat("live_evaluations_total", "Changes that results of live queries evaluated.", prometheus.CounterValue, func(s ankurah.Stats) float64 { return float64(s.Offered) }),
	newStat("live_matches_total", "Commits that changed a result of live queries, once for each.", prometheus.CounterValue, func(s ankurah.Stats) float64 { return float64(s.Touched) }),
}

// Describe names the statistics.
func (c collector) Describe(out chan<- *prometheus.Desc) {
	for _, s := range stats {
		out <- s.desc
	}
}

// Collect reads them.
func (c collector) Collect(out chan<- prometheus.Metric) {
	now := c.node.Stats()
	for _, s := range stats {
		out <- prometheus.MustNewConstMetric(s.desc, s.kind, s.of(now))
	}
}
