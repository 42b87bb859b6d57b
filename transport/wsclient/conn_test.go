package wsclient

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ankurah/ankurah-go/signal"
	"github.com/ankurah/ankurah-go/transport"
)

// fakeConn is a connection that carries nothing.
type fakeConn struct {
	transport.Conn
	closed int
}

func (c *fakeConn) Close() error { c.closed++; return nil }

// script is a node and a network that do what they are told, one step for each
// attempt, and note when it was made.
type script struct {
	steps []step
	began time.Time
	log   []string
	conns []*fakeConn
}

type step struct {
	dial  error         // after lasts, or
	ready bool          // after no time
	lasts time.Duration // then
	err   error
}

func (s *script) next() step {
	if len(s.steps) == 0 {
		return step{ready: true, lasts: time.Hour * 1e4}
	}
	return s.steps[0]
}

func (s *script) pop() {
	if len(s.steps) > 0 {
		s.steps = s.steps[1:]
	}
}

func (s *script) dial(_ context.Context, to *address) (transport.Conn, error) {
	s.log = append(s.log, fmt.Sprint(time.Since(s.began), " ", strings.TrimPrefix(to.String(), "ws://")))
	if step := s.next(); step.dial != nil {
		s.pop()
		time.Sleep(step.lasts)
		return nil, step.dial
	}
	c := &fakeConn{}
	s.conns = append(s.conns, c)
	return c, nil
}

func (s *script) Connect(ctx context.Context, _ transport.Conn, hello transport.Hello) error {
	step := s.next()
	s.pop()
	if step.ready {
		hello.Ready()
		hello.Ready()
	}
	select {
	case <-time.After(step.lasts):
		return step.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *script) start(t *testing.T, cfg config, addresses ...string) *Conn {
	t.Helper()
	s.began = time.Now()
	if addresses == nil {
		addresses = []string{"ws://a"}
	}
	urls, err := parseAddresses(addresses[0], addresses[1:])
	if err != nil {
		t.Fatal(err)
	}
	cfg.addresses, cfg.dial = urls, s.dial
	c := start(s, cfg)
	t.Cleanup(c.Close)
	return c
}

// gaps returns the times between attempts, and the hosts.
func (s *script) gaps(t *testing.T) (gaps []time.Duration, hosts string) {
	t.Helper()
	synctest.Wait()
	var last time.Duration
	for i, l := range s.log {
		at, host, _ := strings.Cut(l, " ")
		d, err := time.ParseDuration(at)
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			gaps = append(gaps, d-last)
		}
		last = d
		hosts += host
	}
	return gaps, hosts
}

func within(t *testing.T, what string, d, low, high time.Duration) {
	t.Helper()
	if d < low || d > high {
		t.Errorf("%s: waited %v, want %v to %v", what, d, low, high)
	}
}

var errDown = errors.New("down")

func TestBackoffGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{}
		for range 12 {
			s.steps = append(s.steps, step{dial: errDown})
		}
		c := s.start(t, config{})
		if err := c.WaitConnected(t.Context()); err != nil {
			t.Fatal(err)
		}
		gaps, _ := s.gaps(t)
		if len(gaps) != 12 {
			t.Fatal(gaps)
		}
		high := 200 * time.Millisecond
		same := 0
		for i, g := range gaps {
			within(t, fmt.Sprint("attempt ", i), g, high/2, high)
			if g == high {
				same++
			}
			high = min(2*high, 15*time.Second)
		}
		if same > 3 {
			t.Errorf("no jitter: %v", gaps)
		}
		c.Close()
		if len(s.conns) != 1 || s.conns[0].closed != 1 {
			t.Error(s.conns)
		}
	})
}

func TestBackoffBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{}
		for range 5 {
			s.steps = append(s.steps, step{dial: errDown})
		}
		c := s.start(t, config{min: 2 * time.Second, max: time.Second})
		if err := c.WaitConnected(t.Context()); err != nil {
			t.Fatal(err)
		}
		gaps, _ := s.gaps(t)
		for _, g := range gaps {
			within(t, "equal bounds", g, 2*time.Second, 2*time.Second)
		}
	})
}

func TestSteadyConnectionResetsBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{}
		for range 6 {
			s.steps = append(s.steps, step{dial: errDown})
		}
		s.steps = append(s.steps,
			step{ready: true, lasts: time.Second},  // not for long
			step{ready: true, lasts: time.Minute},  // steady
			step{lasts: time.Minute, err: errDown}, // long, but never ready
		)
		s.start(t, config{}, "ws://a", "ws://b")
		time.Sleep(10 * time.Minute)
		gaps, hosts := s.gaps(t)
		if hosts != "abababa"+"b"+"b"+"a" {
			t.Error(hosts)
		}
		if len(gaps) != 9 {
			t.Fatal(gaps)
		}
		for i, g := range gaps[:6] { // a wait for each round of both
			high := 200 * time.Millisecond << (i / 2)
			within(t, fmt.Sprint("attempt ", i), g, high/2, high)
		}
		within(t, "after a short connection", gaps[6]-time.Second, 800*time.Millisecond, 1600*time.Millisecond)
		within(t, "after a steady connection", gaps[7]-time.Minute, 100*time.Millisecond, 200*time.Millisecond)
		within(t, "after a failure", gaps[8]-time.Minute, 100*time.Millisecond, 200*time.Millisecond)
	})
}

func TestServerSaysWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{steps: []step{
			{err: fmt.Errorf("draining: %w", &transport.RetryError{After: 40 * time.Second, Err: errDown})},
			{dial: &transport.RetryError{After: 0, Err: errDown}},
		}}
		c := s.start(t, config{}, "ws://a", "ws://b")
		time.Sleep(time.Second)
		st := c.State().Get(nil)
		if st.Phase != Waiting || st.Address != "ws://a" || !errors.Is(st.Err, errDown) {
			t.Error(st)
		}
		within(t, "the state", time.Until(st.Retry), 39*time.Second, 43*time.Second)
		if err := c.WaitConnected(t.Context()); err != nil {
			t.Fatal(err)
		}
		gaps, hosts := s.gaps(t)
		if hosts != "aba" {
			t.Error(hosts)
		}
		within(t, "told", gaps[0], 40*time.Second, 44*time.Second)
		within(t, "told nothing", gaps[1], 100*time.Millisecond, 110*time.Millisecond)
	})
}

func TestPermanentErrorStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		permanent := fmt.Errorf("ankurah: another system: %w", transport.ErrPermanent)
		for name, steps := range map[string][]step{
			"dial":    {{dial: errDown}, {dial: permanent}},
			"connect": {{dial: errDown}, {err: permanent}},
			"ready":   {{dial: errDown}, {ready: true, lasts: time.Minute, err: permanent}},
		} {
			released := false
			s := &script{steps: steps}
			c := s.start(t, config{release: func() { released = true }})
			if c.Err() != nil {
				t.Error(c.Err())
			}
			<-c.Done()
			if c.Err() != permanent || len(s.log) != 2 || !released {
				t.Errorf("%s: %v, %v, %v", name, c.Err(), s.log, released)
			}
			st := c.State().Get(nil)
			if st.Phase != Stopped || st.Err != permanent {
				t.Errorf("%s: %v", name, st)
			}
			err := c.WaitConnected(t.Context())
			if !errors.Is(err, transport.ErrPermanent) || err.Error() != "ankurah: not connected to ws://a: another system: connecting again does not help" {
				t.Errorf("%s: %v", name, err)
			}
			c.Close()
			if c.Err() != permanent {
				t.Errorf("%s: %v after Close", name, c.Err())
			}
		}
	})
}

func TestCredentialPerAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		var got []string
		var mu sync.Mutex
		s := &script{steps: []step{{lasts: 1, err: errDown}, {lasts: 1, err: errDown}}}
		cfg := config{credential: func(context.Context) ([]byte, error) {
			n++
			if n == 2 {
				return nil, errors.New("ankurah: no token")
			}
			return fmt.Append(nil, "token ", n), nil
		}}
		node := connectFunc(func(ctx context.Context, c transport.Conn, h transport.Hello) error {
			mu.Lock()
			got = append(got, string(h.Credential))
			mu.Unlock()
			return s.Connect(ctx, c, h)
		})
		cfg.addresses, _ = parseAddresses("ws://a", nil)
		cfg.dial = s.dial
		c := start(node, cfg)
		defer c.Close()
		if err := c.WaitConnected(t.Context()); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(got) != "[token 1 token 3 token 4]" {
			t.Error(got)
		}
	})
}

type connectFunc func(context.Context, transport.Conn, transport.Hello) error

func (f connectFunc) Connect(ctx context.Context, c transport.Conn, h transport.Hello) error {
	return f(ctx, c, h)
}

func TestWaitConnectedSaysWhyNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{steps: []step{{dial: errDown, lasts: time.Millisecond}, {err: nil}}}
		for range 100 {
			s.steps = append(s.steps, step{lasts: time.Second, err: fmt.Errorf("ankurah: unauthenticated")})
		}
		c := s.start(t, config{}, "ws://user:secret@a/x")
		for _, want := range []struct {
			after time.Duration
			text  string
		}{
			{0, "ankurah: not connected to ws://user:xxxxx@a/x (context deadline exceeded)"},
			{50 * time.Millisecond, "ankurah: not connected to ws://user:xxxxx@a/x: down (context deadline exceeded)"},
			{170 * time.Millisecond, "ankurah: not connected to ws://user:xxxxx@a/x: the server ended the connection (context deadline exceeded)"},
			{time.Minute, "ankurah: not connected to ws://user:xxxxx@a/x: unauthenticated (context deadline exceeded)"},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), want.after)
			err := c.WaitConnected(ctx)
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) || err.Error() != want.text {
				t.Errorf("after %v: %v", want.after, err)
			}
		}
		c.Close()
		c.Close()
		if err := c.WaitConnected(t.Context()); !errors.Is(err, transport.ErrClosed) || err.Error() != "ankurah: the client has been closed" {
			t.Error(err)
		}
		if st := c.State().Get(nil); st.Phase != Stopped || st.Err != nil || c.Err() != nil {
			t.Error(st, c.Err())
		}
	})
}

func TestStateIsASignal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{steps: []step{{dial: errDown, lasts: time.Millisecond}, {ready: true, lasts: time.Second, err: errDown}}}
		c := s.start(t, config{})
		var mu sync.Mutex
		var seen []string
		e := signal.Effect(func(tr *signal.Tracker) {
			st := c.State().Get(tr)
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, fmt.Sprint(st.Phase, " ", st.Err))
		})
		defer e.Close()
		time.Sleep(time.Minute)
		c.Close()
		want := "[connecting <nil> waiting down connecting down connected <nil> waiting down connecting down connected <nil> stopped <nil>]"
		if got := fmt.Sprint(seen); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

// A Ready that comes when Connect has returned means nothing.
func TestLateReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var late func()
		cfg := config{dial: func(context.Context, *address) (transport.Conn, error) { return &fakeConn{}, nil }}
		cfg.addresses, _ = parseAddresses("ws://a", nil)
		c := start(connectFunc(func(_ context.Context, _ transport.Conn, h transport.Hello) error {
			late = h.Ready
			return errDown
		}), cfg)
		defer c.Close()
		synctest.Wait()
		late()
		if st := c.State().Get(nil); st.Phase != Waiting {
			t.Error(st)
		}
	})
}

func TestCloseWhateverItDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, s := range []*script{
			{steps: []step{{dial: errDown}}},                               // waiting
			{steps: []step{{lasts: time.Hour}}},                            // connecting
			{steps: []step{{ready: true, lasts: time.Hour, err: errDown}}}, // connected
		} {
			c := s.start(t, config{min: time.Hour})
			time.Sleep(time.Second)
			began := time.Now()
			c.Close()
			if time.Since(began) != 0 {
				t.Error(time.Since(began))
			}
		}
	})
}

func TestAddresses(t *testing.T) {
	for in, want := range map[string]string{
		"ws://h:1/p?q=1#f": "ws://h:1/p?q=1",
		"wss://h":          "wss://h",
		"http://h/p":       "ws://h/p",
		"https://h":        "wss://h",
		"ftp://h":          `ankurah: "ftp://h" is not the address of a server: the scheme is ws, wss, http or https, not ftp`,
		"localhost:8080":   `ankurah: "localhost:8080" is not the address of a server: the scheme is ws, wss, http or https, not localhost`,
		"h/p":              `ankurah: "h/p" is not the address of a server: it has to begin with ws://, wss://, http:// or https://`,
		"ws:///p":          `ankurah: "ws:///p" is not the address of a server: it names no host`,
		"":                 `ankurah: "" is not the address of a server: it has to begin with ws://, wss://, http:// or https://`,
		"ws://h:port":      `ankurah: "ws://h:port" is not the address of a server: invalid port ":port" after host`,
	} {
		for _, further := range []bool{false, true} {
			first, rest := in, []string(nil)
			if further {
				first, rest = "ws://x", []string{in}
			}
			us, err := parseAddresses(first, rest)
			got := ""
			if err != nil {
				got = err.Error()
			} else {
				got = us[len(us)-1].String()
			}
			if got != want {
				t.Errorf("%s: %s, want %s", in, got, want)
			}
		}
	}
}

// notebook is a logger that keeps errors.
type notebook struct {
	silent
	mu    sync.Mutex
	lines []string
}

func (b *notebook) Error(msg string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, msg+" "+fmt.Sprint(args...))
}

// What a user gives a connection may panic: the attempt fails, or the effect
// does, and the log has it with its stack.
func TestPanicsAreContained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log notebook
		calls := 0
		s := &script{}
		c := s.start(t, config{log: &log, credential: func(context.Context) ([]byte, error) {
			if calls++; calls == 1 {
				panic("a bug in the credential")
			}
			return nil, nil
		}})
		e := signal.Effect(func(tr *signal.Tracker) {
			if c.State().Get(tr).Phase == Connected {
				panic("a bug in an effect")
			}
		})
		defer e.Close()
		if err := c.WaitConnected(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if calls != 2 {
			t.Errorf("the credential was asked for %d times", calls)
		}
		text := strings.Join(log.lines, "\n")
		for _, want := range []string{"the credential function panicked", "a bug in the credential", "an effect on a connection panicked", "a bug in an effect", "conn_test.go"} {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in the log: %s", want, text)
			}
		}
	})
}
