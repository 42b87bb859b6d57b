package postgres_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/ankurahtest/pgtest"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage/postgres"
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

// BenchmarkTakeUp measures how long it takes until a server without room in its
// cache has taken up another one's commit to an entity with a history.
func BenchmarkTakeUp(b *testing.B) {
	for _, events := range []int{1, 1000} {
		b.Run(fmt.Sprint(events, " events"), func(b *testing.B) {
			url := pgtest.New(b)
			one := serve(b, url)
			two := &follower{engine: open(b, url, &postgres.Options{Shared: true})}
			var err error
			two.node, err = ankurah.OpenNode(b.Context(), two.engine, &ankurah.NodeOptions{Durable: true, Policy: policy.Permissive{}, CacheSize: 1})
			if err != nil {
				b.Fatal(err)
			}
			defer one.node.Close()
			defer two.node.Close()
			if err := one.node.EnsureSystem(b.Context()); err != nil {
				b.Fatal(err)
			}
			var album ankurah.ID
			set := func(n int) {
				err := one.session.Update(b.Context(), func(tx *ankurah.Tx) error {
					if n == 0 {
						e, err := albums.Create(tx, &ankurah.Fields{"name": "x"})
						if err == nil {
							album = e.ID()
						}
						return err
					}
					e, err := albums.Edit(tx, album)
					if err == nil {
						err = e.Set("n", n)
					}
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			for n := range events {
				set(n)
			}
			heard := make(chan struct{}, 1)
			q, err := albums.Query(b.Context(), two.node.Session(policy.Principal{Subject: "tester"}), "n > 1000000")
			if err != nil {
				b.Fatal(err)
			}
			defer q.OnChange(func(ankurah.ChangeSet[ankurah.Record]) { heard <- struct{}{} })()
			<-heard // that there is nothing
			n := 1_000_000
			set(n)
			for b.Loop() {
				set(n + 1)
				<-heard
				n++
			}
		})
	}
}
