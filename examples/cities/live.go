package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ankurah/ankurah-go"
)

const edits = 60

// live shows a live query while transactions commit beside it, and times them.
func live(ctx context.Context, s *ankurah.Session, sum *summary) error {
	fmt.Printf("\n3. A live query: %s\n", liveQuery)
	q, err := cities.Query(ctx, s, liveQuery)
	if err != nil {
		return err
	}
	shown := q.Rows()
	if len(shown) == 0 {
		return fmt.Errorf("ankurah: no row for %s: import more rows", liveQuery)
	}
	var (
		mu      sync.Mutex
		began   time.Time
		commits []time.Duration
		screens []time.Duration
	)
	changed := make(chan struct{}, edits+1)
	drawn := 0
	q.OnChange(func(cs ankurah.ChangeSet[ankurah.Record]) {
		first := drawn == 0
		if interactive() || first || drawn%20 == 0 {
			draw(q.Rows(), first)
		}
		drawn++
		mu.Lock()
		if !first {
			screens = append(screens, time.Since(began))
		}
		mu.Unlock()
		changed <- struct{}{}
	})
	<-changed
	for k := range edits {
		mu.Lock()
		began = time.Now()
		mu.Unlock()
		err := s.Update(ctx, func(tx *ankurah.Tx) error {
			e, err := cities.Edit(tx, shown[k%len(shown)])
			if err != nil {
				return err
			}
			return e.Set("visitors", 1000+k)
		})
		if err != nil {
			return err
		}
		mu.Lock()
		commits = append(commits, time.Since(began))
		mu.Unlock()
		<-changed
	}
	q.Close()
	<-q.Done()
	slices.Sort(commits)
	slices.Sort(screens)
	sum.add("commit        %s median, %s p95, each synced to disk", commits[edits/2].Round(time.Microsecond), commits[edits*95/100].Round(time.Microsecond))
	sum.add("live query    %s median from begin of commit to the drawn table", screens[edits/2].Round(time.Microsecond))
	return nil
}

// draw prints the rows, over the last ones in a terminal.
func draw(rows []ankurah.Record, first bool) {
	var b strings.Builder
	if interactive() && !first {
		fmt.Fprintf(&b, "\x1b[%dA", len(rows))
	}
	for _, r := range rows {
		get := func(key string) any {
			x, ok := r.Get(key)
			if !ok {
				return "-"
			}
			return x
		}
		fmt.Fprintf(&b, "   %-22v %10v %10v   visitors %v\x1b[K\n", get("name"), get("lat"), get("lng"), get("visitors"))
	}
	if !interactive() {
		fmt.Println(strings.ReplaceAll(b.String(), "\x1b[K", ""))
		return
	}
	fmt.Print(b.String())
}
