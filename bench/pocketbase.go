package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	_ "github.com/pocketbase/pocketbase/migrations" // the tables of its own
	"github.com/pocketbase/pocketbase/tools/subscriptions"
	"github.com/pocketbase/pocketbase/tools/types"

	"github.com/ankurah/ankurah-go"
)

// pocketBase is a PocketBase with one collection of cities, in this process:
// its record hooks and its subscriptions, without HTTP on either side.
type pocketBase struct {
	app core.App
	one *core.Record
}

func newPocketBase(dir string) (*pocketBase, error) {
	app := core.NewBaseApp(core.BaseAppConfig{DataDir: dir})
	if err := app.Bootstrap(); err != nil {
		return nil, err
	}
	app.Settings().Logs.MinLevel = int(slog.LevelError) + 1
	if err := app.RunAllMigrations(); err != nil {
		return nil, err
	}
	if _, err := apis.NewRouter(app); err != nil { // installs the hooks of subscriptions
		return nil, err
	}
	c := core.NewBaseCollection("city")
	c.ListRule, c.ViewRule = types.Pointer(""), types.Pointer("")
	c.Fields.Add(&core.TextField{Name: "name"}, &core.NumberField{Name: "population"})
	c.AddIndex("idx_city_name", false, "name", "")
	if err := app.Save(c); err != nil {
		return nil, err
	}
	p := &pocketBase{app: app}
	for k := range 100 {
		r := core.NewRecord(c)
		r.Set("name", "city "+itoa(k))
		r.Set("population", k)
		if err := app.Save(r); err != nil {
			return nil, err
		}
		if k == 50 {
			p.one = r
		}
	}
	return p, nil
}

// subscribe adds n clients, each with one subscription filtered by the name of
// city(k), and returns the channels of those that the change of p.one matches.
func (p *pocketBase) subscribe(n int, city func(k int) int) ([]<-chan subscriptions.Message, func()) {
	var hit []<-chan subscriptions.Message
	clients := make([]subscriptions.Client, n)
	for k := range clients {
		c := subscriptions.NewDefaultClient()
		filter := fmt.Sprintf(`{"query":{"filter":"name='city %d'"}}`, city(k))
		c.Subscribe("city/*?options=" + url.QueryEscape(filter))
		p.app.SubscriptionsBroker().Register(c)
		if city(k) == 50 {
			hit = append(hit, c.Channel())
		}
		clients[k] = c
	}
	return hit, func() {
		for _, c := range clients {
			p.app.SubscriptionsBroker().Unregister(c.Id())
		}
	}
}

// itself and onlyOne say which city's name the k-th subscription is about.
func itself(k int) int { return k }
func onlyOne(int) int  { return 50 }

// livePeer times one write that one of many filtered subscriptions matches, or
// all of a thousand, until they have heard of it, beside PocketBase on the same
// work: CPU time of the process.
func livePeer(ctx context.Context, runs int) (out []result, err error) {
	dir, remove, err := temp()
	if err != nil {
		return nil, err
	}
	defer remove()
	base, err := newPocketBase(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, base.app.ResetBootstrapState()) }()
	for _, c := range []struct {
		name string
		n    int
		city func(k int) int
	}{
		{"subscriptions_100", 100, itself}, {"subscriptions_1000", 1_000, itself}, {"subscriptions_10000", 10_000, itself},
		{"subscribers_1000", 1_000, onlyOne},
	} {
		n := c.n
		hit, leave := base.subscribe(n, c.city)
		k := 0
		theirs, err := repeat(min(runs, 3), func() (float64, error) {
			return cpuPerOp(max(3, 2_000/n), func(int) error {
				k++
				base.one.Set("population", k)
				if err := base.app.Save(base.one); err != nil {
					return err
				}
				return heard(ctx, hit)
			})
		})
		leave()
		if err != nil {
			return out, err
		}
		ours, err := oursAmong(ctx, runs, n, c.city)
		if err != nil {
			return out, err
		}
		out = append(out, result{name: c.name, ours: ours, unit: "us", peer: "pocketbase-0.39.11", theirs: theirs, params: fmt.Sprintf("subscriptions:%d,hits:%d,cpu_time,ours:pebble-nosync,theirs:sqlite-wal", n, len(hit))})
	}
	return out, nil
}

func heard(ctx context.Context, hit []<-chan subscriptions.Message) error {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("a subscription that matches heard nothing"))
	defer cancel()
	for _, messages := range hit {
		select {
		case <-messages:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// oursAmong does the same with live queries.
func oursAmong(ctx context.Context, runs, n int, city func(k int) int) ([]float64, error) {
	dir, remove, err := temp()
	if err != nil {
		return nil, err
	}
	defer remove()
	s, done, err := open(ctx, dir, true)
	if err != nil {
		return nil, err
	}
	defer done()
	if err := fill(ctx, s, 100); err != nil {
		return nil, err
	}
	hit, hits := make(chan struct{}, n), 0
	for k := range n {
		q, err := cities.Query(ctx, s, "name = ?", "city "+itoa(city(k)))
		if err != nil {
			return nil, err
		}
		defer q.Close()
		if city(k) == 50 {
			q.OnChange(func(ankurah.ChangeSet[ankurah.Record]) { hit <- struct{}{} })
			<-hit // the rows there are
			hits++
		}
	}
	one, err := cities.First(ctx, s, "name = ?", "city 50")
	if err != nil {
		return nil, err
	}
	k := 0
	return repeat(runs, func() (float64, error) {
		return cpuPerOp(2000, func(int) error {
			k++
			if err := setOne(ctx, s, one.ID(), k); err != nil {
				return err
			}
			for range hits {
				<-hit
			}
			return nil
		})
	})
}
