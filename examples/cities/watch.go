package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/examples/cities/model"
	"github.com/ankurah/ankurah-go/storage/memory"
)

const (
	editsBefore  = 40 // the server is killed
	editsOffline = 10
	editsAfter   = 20
)

// threeProcesses shows a live query of a server in the terminal while another
// process edits, the server is killed and comes back, and an edit is refused.
func threeProcesses(ctx context.Context, sum *summary) (err error) {
	fmt.Printf("\n3. Three processes: a server, an editor, and this one, which watches\n   %s\n", liveQuery)
	srv, address, err := startServer(ctx, *listen)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop(srv, *keep && err == nil)) }()
	url := "ws://" + address + "/ankurah"
	fmt.Printf("   server: process %d at %s\n", srv.cmd.Process.Pid, url)

	eng := memory.New()
	n, err := ankurah.OpenNode(ctx, eng, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close(), eng.Close()) }()
	conn, s, err := connect(ctx, n, url, "guest")
	if err != nil {
		return err
	}
	defer conn.Close()
	q, err := model.Cities.Query(ctx, s, liveQuery)
	if err == nil {
		err = q.WaitSynced(ctx)
	}
	if err != nil {
		return err
	}
	defer q.Close()
	if len(q.Rows()) == 0 {
		return fmt.Errorf("ankurah: no city for %s: import more rows", liveQuery)
	}
	w := &watcher{}
	q.OnChange(func(cs ankurah.ChangeSet[model.CityView]) { w.show(q.Rows(), cs) })

	editor, err := start(ctx, "-edit", "-server", url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, editor.in.Close(), editor.cmd.Wait()) }()
	if _, err := editor.line(); err != nil {
		return err
	}
	fmt.Printf("   editor: process %d\n", editor.cmd.Process.Pid)
	acked, k := []string{}, 1000
	orders := func(verb string, n int) error {
		for range n {
			answer, err := editor.say(fmt.Sprint(verb, " ", k))
			if err != nil {
				return err
			}
			acked = append(acked, answer)
			k++
		}
		return nil
	}
	if err := orders("confirmed", editsBefore); err != nil {
		return err
	}

	fmt.Printf("   kill -9 %d: the server is gone; the editor goes on\n", srv.cmd.Process.Pid)
	if err := srv.cmd.Process.Kill(); err != nil {
		return err
	}
	_ = srv.cmd.Wait() // it was killed
	if err := orders("here", editsOffline); err != nil {
		return err
	}
	begun := time.Now()
	if srv, _, err = startServer(ctx, address); err != nil {
		return err
	}
	fmt.Printf("   server: process %d, on the same folder and address\n", srv.cmd.Process.Pid)
	if _, err := editor.say("settle"); err != nil {
		return err
	}
	back := time.Since(begun)
	fmt.Printf("   both clients are connected again; the %d edits made meanwhile have arrived\n", editsOffline)
	if err := orders("confirmed", editsAfter); err != nil {
		return err
	}
	answer, err := editor.say("refused -1")
	if err != nil {
		return err
	}
	fmt.Println("   a refused edit of " + answer)
	if err := errors.Join(n.Settle(ctx), q.WaitSynced(ctx)); err != nil {
		return err
	}
	if err := check(q.Rows(), acked); err != nil {
		return err
	}
	latency := w.latencies()
	sum.add("commit→screen %s median, %s p95: commit in one process, row drawn in another, fsync between", latency[len(latency)/2], latency[len(latency)*95/100])
	sum.add("kill -9       of the server: %d edits acknowledged, %d made while it was away, 0 missing", editsBefore+editsAfter, editsOffline)
	sum.add("back          %s from the server's new start until everything had arrived", back.Round(time.Millisecond))
	sum.add("refused       1 edit, rolled back where it was made, seen nowhere else")
	if *keep {
		sum.add("the server runs on as process %d; attach with", srv.cmd.Process.Pid)
		sum.add("  go run ./cmd/ankurah --server %s --credential editor watch city \"%s\"", url, liveQuery)
	}
	return nil
}

// stop ends a server in good order, unless it is kept.
func stop(p *process, kept bool) error {
	if kept {
		return p.cmd.Process.Release()
	}
	if err := p.cmd.Process.Signal(interrupt); err != nil {
		return err
	}
	return p.cmd.Wait()
}

// check looks for the last edit of each city: all that came before are in the
// order that led to it.
func check(rows []model.CityView, acked []string) error {
	last := map[string]string{}
	for _, a := range acked {
		f := strings.Fields(a)
		last[f[0]] = f[1]
	}
	for _, r := range rows {
		got := "none"
		if n, ok := r.Visitors(); ok {
			got = fmt.Sprint(n)
		}
		if want, edited := last[r.ID().String()]; edited && got != want {
			return fmt.Errorf("ankurah: %s has %s visitors, the editor was told %s", r.Name(), got, want)
		}
	}
	return nil
}

// watcher draws rows and times how long after its commit a row was drawn.
type watcher struct {
	drawn int

	mu   sync.Mutex // guards took
	took []time.Duration
}

func (w *watcher) show(rows []model.CityView, cs ankurah.ChangeSet[model.CityView]) {
	if interactive() || w.drawn%25 == 0 {
		draw(rows, w.drawn == 0)
	}
	w.drawn++
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range cs.Updated() {
		if at, ok := c.After.EditedAt(); ok && len(cs.Changes) == 1 {
			w.took = append(w.took, now.Sub(time.UnixMicro(at)).Round(time.Microsecond))
		}
	}
}

// latencies returns the times, sorted; there is at least one.
func (w *watcher) latencies() []time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.took) == 0 {
		return []time.Duration{0}
	}
	return slices.Sorted(slices.Values(w.took))
}

// draw prints the rows, over the last ones in a terminal.
func draw(rows []model.CityView, first bool) {
	var b strings.Builder
	if interactive() && !first {
		fmt.Fprintf(&b, "\x1b[%dA", len(rows))
	}
	for _, r := range rows {
		visitors := "-"
		if n, ok := r.Visitors(); ok {
			visitors = fmt.Sprint(n)
		}
		fmt.Fprintf(&b, "   %-22s %10.5f %10.5f   visitors %s", r.Name(), r.Lat(), r.Lng(), visitors)
		if interactive() {
			b.WriteString("\x1b[K")
		}
		b.WriteByte('\n')
	}
	if !interactive() {
		b.WriteByte('\n')
	}
	fmt.Print(b.String())
}
