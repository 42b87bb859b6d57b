package ankurah_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/internal/wire"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/property"
	"github.com/ankurah/ankurah-go/signal"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/transport/local"
)

// notebook is a logger that keeps what it is told.
type notebook struct {
	mu    sync.Mutex
	lines []string
}

func (b *notebook) add(msg string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, msg+" "+fmt.Sprint(args...))
}
func (b *notebook) Debug(msg string, args ...any) { b.add(msg, args...) }
func (b *notebook) Info(msg string, args ...any)  { b.add(msg, args...) }
func (b *notebook) Warn(msg string, args ...any)  { b.add(msg, args...) }
func (b *notebook) Error(msg string, args ...any) { b.add(msg, args...) }

// has reports whether one entry has all of the words.
func (b *notebook) has(words ...string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.lines {
		all := true
		for _, w := range words {
			all = all && strings.Contains(l, w)
		}
		if all {
			return true
		}
	}
	return false
}

// wildAgent panics where it is told to.
type wildAgent struct {
	policy.Permissive
	in *string
}

func (a wildAgent) maybe(place string) {
	if *a.in == place {
		panic("a bug in " + place)
	}
}

func (a wildAgent) Authenticate(ctx context.Context, credential []byte) (policy.Principal, error) {
	a.maybe("Authenticate")
	return a.Permissive.Authenticate(ctx, credential)
}

func (a wildAgent) ReadFilter(p policy.Principal, collection string) (ankql.Expr, error) {
	a.maybe("ReadFilter")
	return a.Permissive.ReadFilter(p, collection)
}

func (a wildAgent) CheckRead(policy.Principal, *entity.State) error {
	a.maybe("CheckRead")
	return nil
}

func (a wildAgent) CheckWrite(p policy.Principal, w policy.Write) error {
	a.maybe("CheckWrite")
	return a.Permissive.CheckWrite(p, w)
}

// What users give a node may panic: nobody else is harmed, the answer is no, and
// the log has the panic with its stack.
func TestPanicsAreContained(t *testing.T) {
	ctx := t.Context()
	var log notebook
	place := ""
	agent := wildAgent{in: &place}
	n := openNode(t, memory.New(), &ankurah.NodeOptions{Policy: agent, Logger: &log, Constraints: []policy.Constraint{
		policy.ConstraintFunc(func(context.Context, *entity.State, *entity.State) error { agent.maybe("Check"); return nil }),
	}})
	s := n.Session(policy.Principal{Subject: "alice"})
	id := create(t, s, ankurah.Fields{"name": "a", "year": 1})
	write := func() error {
		return s.Update(ctx, func(tx *ankurah.Tx) error {
			e, err := albums.Edit(tx, id)
			if err != nil {
				return err
			}
			return e.Set("year", 2)
		})
	}
	read := func() error {
		_, err := albums.Get(ctx, s, id)
		return err
	}
	connect := func() error {
		c := openClient(t)
		link := local.Dial(c, n, []byte("alice"))
		defer link.Close()
		return link.WaitConnected(ctx)
	}
	for _, c := range []struct {
		place string
		do    func() error
		want  error
		in    string
	}{
		{"CheckWrite", write, ankurah.ErrDenied, "the policy agent panicked"},
		{"Check", write, ankurah.ErrDenied, "a constraint panicked"},
		{"ReadFilter", read, ankurah.ErrDenied, "the policy agent panicked"},
		{"CheckRead", read, ankurah.ErrNotFound, "the policy agent panicked"},
		{"Authenticate", connect, ankurah.ErrUnauthenticated, "the policy agent panicked"},
	} {
		place = c.place
		err := c.do()
		place = ""
		if !errors.Is(err, c.want) {
			t.Errorf("a panic in %s: %v", c.place, err)
		}
		if !log.has(c.in, "a bug in "+c.place, "wildAgent") {
			t.Errorf("a panic in %s is not in the log with its stack: %q", c.place, log.lines)
		}
		if err := errors.Join(read(), write(), connect()); err != nil {
			t.Errorf("after the panic in %s: %v", c.place, err)
		}
	}

	// Callbacks.
	q, err := albums.Query(ctx, s, "")
	if err != nil {
		t.Fatal(err)
	}
	q.OnChange(func(ankurah.ChangeSet[ankurah.Record]) { panic("a bug in OnChange") })
	within(t, "the log has a callback's panic", func() bool { return log.has("a live query's callback panicked", "a bug in OnChange", "panic_test.go") })
	first := true
	effect := signal.Effect(func(tr *signal.Tracker) {
		q.Get(tr)
		if !first {
			panic("a bug in an effect")
		}
		first = false
	})
	defer effect.Close()
	create(t, s, ankurah.Fields{"name": "b", "year": 1})
	within(t, "the log has an effect's panic", func() bool {
		return log.has("an effect on a live query panicked", "a bug in an effect", "panic_test.go")
	})
	q.Close()
	<-q.Done()
}

// wild panics while it is told to.
type wild struct {
	on    atomic.Bool
	calls atomic.Int32
}

func (w *wild) maybe(place string) {
	if w.on.Load() {
		w.calls.Add(1)
		panic("a bug in " + place)
	}
}

type wildMeter struct{ *wild }

func (m wildMeter) Count(string, int)          { m.maybe("Count") }
func (m wildMeter) Gauge(string, int)          { m.maybe("Gauge") }
func (m wildMeter) Time(string, time.Duration) { m.maybe("Time") }

type wildLogger struct {
	*wild
	*notebook
}

func (l wildLogger) Warn(msg string, args ...any)  { l.maybe("Warn"); l.notebook.Warn(msg, args...) }
func (l wildLogger) Error(msg string, args ...any) { l.maybe("Error"); l.notebook.Error(msg, args...) }

// What a node calls in the middle of its own work, under its lock, may panic:
// the work is done, the log has it.
func TestPanicsInTheMiddleOfWork(t *testing.T) {
	var log notebook
	meter, clock := &wild{}, &wild{}
	n := openNode(t, memory.New(), &ankurah.NodeOptions{
		Policy: policy.Permissive{}, Logger: &log, Metrics: wildMeter{meter},
		Clock: func() time.Time { clock.maybe("Clock"); return time.Now() },
	})
	s := n.Session(policy.Principal{})
	work := func() ankurah.ID {
		t.Helper()
		id := create(t, s, ankurah.Fields{"name": "a"})
		q, err := albums.Query(t.Context(), s, "")
		if err != nil {
			t.Fatal(err)
		}
		q.Close()
		<-q.Done()
		return id
	}
	meter.on.Store(true)
	work()
	meter.on.Store(false)
	for _, place := range []string{"Count", "Gauge", "Time"} {
		if !log.has("the metrics panicked", "a bug in "+place, "panic_test.go") {
			t.Errorf("a panic in %s is not in the log", place)
		}
	}
	before := work()
	clock.on.Store(true)
	during := work()
	clock.on.Store(false)
	if after := work(); !before.Less(during) || !during.Less(after) || time.Since(during.Stamp().Time()).Abs() > time.Hour {
		t.Errorf("IDs %s, %s, %s", before, during, after)
	}
	if !log.has("the clock panicked", "a bug in Clock", "panic_test.go") {
		t.Error("a panic of the clock is not in the log")
	}
}

// A logger that panics loses what it was told, and nothing else. What it was
// told goes to standard error: that of another process, where it can be read.
func TestPanickingLogger(t *testing.T) {
	if os.Getenv("PANICKING_LOGGER") == "" {
		var stderr strings.Builder
		cmd := exec.Command(os.Args[0], "-test.run=^TestPanickingLogger$")
		cmd.Env = append(os.Environ(), "PANICKING_LOGGER=1")
		cmd.Stderr = &stderr
		if out, err := cmd.Output(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		if !strings.Contains(stderr.String(), "the logger panicked: a bug in Error; it was told: the metrics panicked") {
			t.Errorf("standard error: %s", &stderr)
		}
		return
	}
	log, meter := &wild{}, &wild{}
	eng := memory.New()
	defer eng.Close()
	n, err := ankurah.OpenNode(t.Context(), eng, &ankurah.NodeOptions{
		Durable: true, Policy: policy.Permissive{}, Logger: wildLogger{log, &notebook{}}, Metrics: wildMeter{meter},
	})
	if err == nil {
		err = n.EnsureSystem(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	s := n.Session(policy.Principal{})
	log.on.Store(true)
	meter.on.Store(true)
	create(t, s, ankurah.Fields{"name": "a"})
	log.on.Store(false)
	meter.on.Store(false)
	create(t, s, ankurah.Fields{"name": "b"})
	if err := n.Close(); err != nil {
		t.Error(err)
	}
	if log.calls.Load() == 0 {
		t.Error("the logger was not called")
	}
}

// wildKind is a kind of property that cannot apply anything.
type wildKind struct{}

func (wildKind) Name() string { return "wild" }
func (wildKind) Apply(property.Property, event.Operation, id.ID) (property.Property, error) {
	panic("a bug in Apply")
}
func (wildKind) Join(property.Property, property.Property) (property.Property, error) {
	panic("a bug in Join")
}

// S15, S28: what a kind panics at is like what is of no known kind: not taken,
// and not refused for good.
func TestPanickingKind(t *testing.T) {
	var log notebook
	a := &arena{T: t, server: openNode(t, memory.New(), &ankurah.NodeOptions{
		Policy: policy.Permissive{}, Logger: &log, PropertyKinds: []property.Kind{wildKind{}},
	})}
	a.ctx, a.cancel = context.WithCancel(t.Context())
	x := a.greet("alice")
	x.refused("a panic in Apply", x.submit(x.genesis("album", event.Operation{Property: "name", Kind: "wild", Data: []byte{1}})), wire.UnknownKind, `kind "wild" panicked`)
	if wire.UnknownKind.Final() {
		t.Error("that is final")
	}
	if !log.has("a property kind panicked", "a bug in Apply", "wildKind") {
		t.Errorf("the log: %q", log.lines)
	}
	if r := x.submit(x.genesis("album", set("name", "x"))); r != nil {
		t.Errorf("after the panic: %+v", r)
	}
	a.cancel()
	a.served.Wait()
}

// A handler of refusals that panics is called for the next one all the same.
func TestPanickingHandlerOfRefusals(t *testing.T) {
	ctx := t.Context()
	server := openNode(t, memory.New(), &ankurah.NodeOptions{Policy: noThirteen{}})
	var log notebook
	calls := make(chan struct{}, 10)
	eng := memory.New()
	client, err := ankurah.OpenNode(ctx, eng, &ankurah.NodeOptions{Logger: &log, OnRejected: func(r *ankurah.RejectedError) {
		calls <- struct{}{}
		panic("a bug in OnRejected")
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	link := local.Dial(client, server, []byte("alice"))
	defer link.Close()
	if err := errors.Join(link.WaitConnected(ctx), client.WaitReady(ctx)); err != nil {
		t.Fatal(err)
	}
	s := client.Session(policy.Principal{Subject: "alice"})
	for range 2 {
		create(t, s, ankurah.Fields{"name": "no", "year": 13})
		<-calls
	}
	within(t, "the log has the panics", func() bool {
		return log.has("the handler of refusals panicked", "a bug in OnRejected", "panic_test.go")
	})
	if err := client.Settle(ctx); err != nil {
		t.Error(err)
	}
}
