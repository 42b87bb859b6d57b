package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/ankurahtest/pgtest"
	"github.com/ankurah/ankurah-go/storage/postgres"
)

// serversLane measures one, two and three servers on one PostgreSQL whose
// commits wait for the disk: all of their commits together, what processor time
// one costs the servers, each of which takes up the commits of the others, and
// how long it is from a commit on one to the callback on another.
func serversLane(ctx context.Context, runs int) (out []result, err error) {
	db, err := pgtest.Start(&pgtest.Options{Sync: true})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var servers []*ankurah.Session
	for n := 1; n <= 3; n++ {
		eng, err := postgres.Open(ctx, db.URL("postgres"), &postgres.Options{Shared: true})
		if err != nil {
			return nil, err
		}
		s, done, err := openOn(ctx, eng)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, done()) }()
		servers = append(servers, s)
		r, err := serversCommit(ctx, runs, servers)
		if err != nil {
			return nil, err
		}
		out = append(out, r...)
	}
	across, err := serversAcross(ctx, runs, servers[0], servers[1])
	return append(out, across), err
}

// serversCommit has 64 writers, divided among the servers, edit an entity each.
func serversCommit(ctx context.Context, runs int, servers []*ankurah.Session) ([]result, error) {
	const writers, each = 64, 40
	ids := make([]ankurah.ID, writers)
	for w := range ids {
		var err error
		if ids[w], err = createOne(ctx, servers[w%len(servers)]); err != nil {
			return nil, err
		}
	}
	params := "writers:64,each:40,fsync:on,one_process"
	rate := result{name: itoa(len(servers)) + "_servers", unit: "commits/s", rate: true, params: params}
	cpu := result{name: itoa(len(servers)) + "_servers_cpu", unit: "us/commit", params: params + ",without_postgres"}
	for range runs + 1 {
		begun, used, err := time.Now(), time.Duration(0), error(nil)
		if used, err = cpuTime(); err != nil {
			return nil, err
		}
		var wg sync.WaitGroup
		errs := make([]error, writers)
		for w := range writers {
			wg.Go(func() {
				for k := 0; k < each && errs[w] == nil; k++ {
					errs[w] = setOne(ctx, servers[w%len(servers)], ids[w], k)
				}
			})
		}
		wg.Wait()
		took := time.Since(begun)
		now, err := cpuTime()
		if err := errors.Join(append(errs, err)...); err != nil {
			return nil, err
		}
		rate.ours = append(rate.ours, writers*each/took.Seconds())
		cpu.ours = append(cpu.ours, micros(now-used)/(writers*each))
	}
	rate.ours, cpu.ours = rate.ours[1:], cpu.ours[1:]
	return []result{rate, cpu}, nil
}

// serversAcross measures from the beginning of a commit on one server to the
// callback of a live query on another.
func serversAcross(ctx context.Context, runs int, from, to *ankurah.Session) (result, error) {
	const n = 200
	r := result{name: "commit_to_callback_p50", unit: "us", params: "n:200,fsync:on"}
	id, err := createOne(ctx, from)
	if err != nil {
		return r, err
	}
	heard := make(chan struct{}, 1)
	q, err := cities.Query(ctx, to, "id = ?", id)
	if err != nil {
		return r, err
	}
	defer q.Close()
	defer q.OnChange(func(ankurah.ChangeSet[ankurah.Record]) { heard <- struct{}{} })()
	<-heard // what is there
	if len(q.Rows()) == 0 {
		<-heard
	}
	for run := range runs + 1 {
		took := make([]float64, n)
		for k := range took {
			begun := time.Now()
			if err := setOne(ctx, from, id, 1+run*n+k); err != nil {
				return r, err
			}
			<-heard
			took[k] = micros(time.Since(begun))
		}
		slices.Sort(took)
		r.ours = append(r.ours, took[n/2])
	}
	r.ours = r.ours[1:]
	return r, nil
}

// cpuTime returns what this process has used of processors.
func cpuTime() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, err
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}
