package core

import (
	"errors"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ankurah/ankurah-go/internal/limit"
	"github.com/ankurah/ankurah-go/internal/wire"
	"github.com/ankurah/ankurah-go/property/lww"
	"github.com/ankurah/ankurah-go/value"
)

// limited sets limits of a core that has no peers yet.
func limited(t *testing.T, set func(l *Limits)) (*Core, *scripted) {
	t.Helper()
	c, x := newCore(t, 1)
	set(&c.cfg.Limits)
	return c, x
}

// said checks that a connection ended with the name of a limit.
func said(t *testing.T, p *Peer, code wire.Code, name string) {
	t.Helper()
	m, end := taken(t, p)
	if len(m) == 0 || !end {
		t.Fatalf("%s: %d messages, end %t", name, len(m), end)
	}
	var text string
	var got wire.Code
	switch m := m[len(m)-1].(type) {
	case *wire.Bye:
		got, text = m.Code, m.Text
	case *wire.Reject:
		got, text = m.Code, m.Text
	}
	if got != code || !strings.Contains(text, "(Limits."+name+")") {
		t.Errorf("%s: %s: %s", name, got, text)
	}
}

// S33: requests that wait, by number and by size: at the limit more is
// received, beyond it not; who sends more all the same is cut.
func TestLimitsOfRequests(t *testing.T) {
	want := func(bytes int) []byte {
		return wire.Append(nil, &wire.Query{ID: 99, Collection: "album", Text: "name = ?", Params: [][]byte{make([]byte, bytes)}})
	}
	size := len(want(1000))
	for name, set := range map[string]func(l *Limits){
		"Requests":     func(l *Limits) { l.Requests = 5 },
		"RequestBytes": func(l *Limits) { l.RequestBytes = 5 * size },
	} {
		c, x := limited(t, set)
		p := greeted(t, c, x)
		c.PeerFrame(p, wire.Append(nil, &wire.Query{ID: 1, Collection: "album"})) // which is not read yet
		for k := range 6 {
			if k == 5 && p.Busy() {
				t.Errorf("at %s nothing is received", name)
			}
			c.PeerFrame(p, want(1000))
		}
		if !p.Busy() {
			t.Errorf("beyond %s more is received", name)
		}
		for k := 0; !p.Ending() && k < 1000; k++ {
			c.PeerFrame(p, want(1000))
		}
		said(t, p, wire.Overloaded, name)
	}
}

// S33: so little may wait of a peer that is being authenticated.
func TestLimitsBeforeAuthentication(t *testing.T) {
	for name, frame := range map[string][]byte{
		"Requests":     wire.Append(nil, &wire.Sync{ID: 1}),
		"RequestBytes": wire.Append(nil, &wire.Query{ID: 1, Collection: "album", Params: [][]byte{make([]byte, 20<<10)}}),
	} {
		c, _ := newCore(t, 1)
		p := c.NewPeer(nil)
		c.PeerFrame(p, wire.Append(nil, helloMessage))
		n := 0
		for ; !p.Ending() && n < 100; n++ {
			c.PeerFrame(p, frame)
		}
		if most := map[string]int{"Requests": maxUnknown, "RequestBytes": maxUnknownSize / len(frame)}[name]; n != most+1 {
			t.Errorf("%s: cut at the %d. frame, want the %d.", name, n, most+1)
		}
		said(t, p, wire.Overloaded, name)
	}
}

// S33: pushes that wait, for one connection and for all: at the limit they
// wait, a byte more cuts the one for which most waits.
func TestLimitsOfQueues(t *testing.T) {
	commit := func(c *Core, x *scripted) { makeOne(t, c, x, lww.Set("text", value.String(strings.Repeat("x", 500)))) }
	watch := func(c *Core, x *scripted) *Peer {
		p := greeted(t, c, x)
		c.PeerFrame(p, wire.Append(nil, &wire.Query{ID: 1, Collection: "album", Live: true}))
		x.settle()
		taken(t, p)
		p.Sent()
		return p
	}
	measure := func() (push int) {
		c, x := newCore(t, 1)
		p := watch(c, x)
		commit(c, x)
		return p.Held()
	}()
	for name, set := range map[string]func(l *Limits, n int){
		"QueueBytes":     func(l *Limits, n int) { l.QueueBytes = n },
		"NodeQueueBytes": func(l *Limits, n int) { l.NodeQueueBytes = n },
	} {
		for _, over := range []int{0, 1} {
			c, x := limited(t, func(l *Limits) { set(l, 4*measure-over) })
			p := watch(c, x)
			for range 4 {
				if c.Peers() != 1 {
					t.Errorf("%s: cut before the limit", name)
				}
				commit(c, x)
			}
			if over == 0 && (c.Peers() != 1 || p.Held() != 4*measure) {
				t.Errorf("at %s: %d peers, %d bytes wait, want %d", name, c.Peers(), p.Held(), 4*measure)
			}
			if over == 1 {
				said(t, p, wire.Overloaded, name)
			}
		}
	}
}

// S33: times: at the limit a connection goes on, a millisecond later it ends,
// on both sides.
func TestLimitsOfTimes(t *testing.T) {
	c, x := newCore(t, 1)
	late := c.NewPeer(nil)
	x.now += millis(c.cfg.Limits.HelloTimeout)
	if c.Tick(); late.Ending() {
		t.Error("at HelloTimeout the connection ends")
	}
	x.now++
	c.Tick()
	said(t, late, wire.Deadline, "HelloTimeout")

	p := greeted(t, c, x)
	x.now += millis(c.cfg.Limits.IdleTimeout)
	if c.Tick(); p.Ending() {
		t.Error("at IdleTimeout the connection ends")
	}
	x.now++
	c.Tick()
	said(t, p, wire.Deadline, "IdleTimeout")

	for name, wait := range map[string]uint64{"HelloTimeout": millis(c.cfg.Limits.HelloTimeout), "IdleTimeout": millis(c.cfg.Limits.IdleTimeout)} {
		w := newPair(t)
		w.connect()
		if name == "IdleTimeout" {
			w.rest()
		}
		w.xc.now += wait
		if w.c.Tick(); w.l.Err() != nil {
			t.Errorf("at %s: %v", name, w.l.Err())
		}
		w.xc.now++
		w.c.Tick()
		if err := w.l.Err(); !errors.Is(err, limit.ErrDeadline) || !strings.Contains(err.Error(), "(Limits."+name+")") {
			t.Errorf("beyond %s: %v", name, err)
		}
	}
}

// The defaults that are documented are those that count: in the comments of
// ankurah.Limits and in docs/LIMITS.md, for every field.
func TestDefaultsAreDocumented(t *testing.T) {
	code, err := os.ReadFile("../../limits.go")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/LIMITS.md")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	var l Limits
	for _, f := range l.sizes() {
		want[f.name] = spoken(f.name, f.def)
	}
	for _, f := range l.times() {
		want[f.name] = strconv.Itoa(int(f.def/time.Second)) + " s"
	}
	fields := reflect.TypeFor[Limits]()
	if fields.NumField() != len(want) {
		t.Errorf("%d fields, %d defaults", fields.NumField(), len(want))
	}
	for k := range fields.NumField() {
		name := fields.Field(k).Name
		row := regexp.MustCompile("(?m)^\\| `" + name + "` \\| ([^|]*) \\|").FindSubmatch(page)
		if row == nil || string(row[1]) != want[name] {
			t.Errorf("%s: docs/LIMITS.md says %q, it is %s", name, row, want[name])
		}
		comment := regexp.MustCompile("((?:\t// .*\n)+)\t" + name + " ").FindSubmatch(code)
		if comment == nil {
			t.Errorf("%s has no comment", name)
			continue
		}
		text := strings.Join(strings.Fields(strings.ReplaceAll(string(comment[1]), "//", "")), " ")
		if !strings.Contains(strings.Replace(text, " seconds", " s", 1), "0 means "+want[name]) {
			t.Errorf("%s: the comment does not say that 0 means %s: %s", name, want[name], text)
		}
	}
}

// spoken writes a default as the documentation does.
func spoken(name string, n int) string {
	if strings.HasSuffix(name, "Bytes") || name == "QueryText" {
		for k, unit := range []string{" GiB", " MiB", " KiB"} {
			if size := 1 << (30 - 10*k); n%size == 0 {
				return strconv.Itoa(n/size) + unit
			}
		}
	}
	text := strconv.Itoa(n)
	for k := len(text) - 3; k > 0; k -= 3 {
		text = text[:k] + "," + text[k:]
	}
	return text
}
