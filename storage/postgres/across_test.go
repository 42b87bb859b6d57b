package postgres_test

import (
	"slices"
	"testing"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/ankurahtest/pgtest"
)

// BenchmarkAcross measures a commit on one server, and the time from its
// beginning until a live query's callback runs on another.
func BenchmarkAcross(b *testing.B) {
	url := pgtest.New(b)
	one, two := serve(b, url), serve(b, url)
	defer one.node.Close()
	defer two.node.Close()
	if err := one.node.EnsureSystem(b.Context()); err != nil {
		b.Fatal(err)
	}
	if err := two.node.EnsureSystem(b.Context()); err != nil {
		b.Fatal(err)
	}
	heard := make(chan struct{}, 1)
	q, err := albums.Query(b.Context(), two.session, "")
	if err != nil {
		b.Fatal(err)
	}
	defer q.OnChange(func(ankurah.ChangeSet[ankurah.Record]) { heard <- struct{}{} })()
	<-heard // what was there
	var commits, callbacks []time.Duration
	for b.Loop() {
		begun := time.Now()
		err := one.session.Update(b.Context(), func(tx *ankurah.Tx) error {
			_, err := albums.Create(tx, &ankurah.Fields{"name": "x"})
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
		commits = append(commits, time.Since(begun))
		<-heard
		callbacks = append(callbacks, time.Since(begun))
	}
	slices.Sort(commits)
	slices.Sort(callbacks)
	b.ReportMetric(float64(commits[len(commits)/2].Microseconds())/1000, "commit-p50-ms")
	b.ReportMetric(float64(callbacks[len(callbacks)/2].Microseconds())/1000, "callback-p50-ms")
	b.ReportMetric(float64(callbacks[len(callbacks)*99/100].Microseconds())/1000, "callback-p99-ms")
}
