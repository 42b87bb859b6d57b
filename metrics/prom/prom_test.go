package prom

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage/memory"
)

// What a node measures arrives, under names that Prometheus takes.
func TestMetrics(t *testing.T) {
	ctx, registry := t.Context(), prometheus.NewPedanticRegistry()
	engine := memory.New()
	node, err := ankurah.OpenNode(ctx, engine, &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}, Metrics: New(registry)})
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	registry.MustRegister(NewCollector(node))
	if err := node.EnsureSystem(ctx); err != nil {
		t.Fatal(err)
	}
	things, s := ankurah.Dynamic("thing"), node.Session(policy.Principal{})
	q, err := things.Query(ctx, s, "n > 1")
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	for n := range 5 {
		err := s.Update(ctx, func(tx *ankurah.Tx) error {
			_, err := things.Create(tx, &ankurah.Fields{"n": n})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	want := `
		# HELP ankurah_commits_total Transactions that were stored, whoever made them.
		# TYPE ankurah_commits_total counter
		ankurah_commits_total 5
		# HELP ankurah_connections Connections that the node accepted.
		# TYPE ankurah_connections gauge
		ankurah_connections 0
		# HELP ankurah_live_matches_total Commits that changed a result of live queries, once for each.
		# TYPE ankurah_live_matches_total counter
		ankurah_live_matches_total 3
		# HELP ankurah_live_queries Live queries that are open.
		# TYPE ankurah_live_queries gauge
		ankurah_live_queries 1
		# HELP ankurah_live_results Results that live queries show: equal ones share theirs.
		# TYPE ankurah_live_results gauge
		ankurah_live_results 1
	`
	names := []string{"ankurah_commits_total", "ankurah_connections", "ankurah_live_matches_total", "ankurah_live_queries", "ankurah_live_results"}
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
	problems, err := testutil.GatherAndLint(registry)
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	if err != nil {
		t.Error(err)
	}
	if n, err := testutil.GatherAndCount(registry, "ankurah_commit_time_seconds", "ankurah_write_time_seconds"); n != 2 || err != nil {
		t.Errorf("%d histograms of times, %v", n, err)
	}
}
