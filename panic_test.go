package ankurah_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/policy"
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
