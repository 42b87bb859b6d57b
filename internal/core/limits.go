package core

import (
	"errors"
	"maps"
	"math"
	"strconv"
	"time"

	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/internal/limit"
	"github.com/ankurah/ankurah-go/internal/wire"
)

// Limits are what one node puts up with; the fields are those of
// ankurah.Limits, which explains them.
type Limits struct {
	MessageBytes int

	TxEvents   int
	TxBytes    int
	TxRequires int

	EventBytes  int
	Parents     int
	StateBytes  int
	Properties  int
	HeadWidth   int
	Collections int

	QueryText    int
	QueryNesting int
	QueryBytes   int
	AnswerBytes  int

	Connections          int
	PrincipalConnections int
	Subscriptions        int
	NodeSubscriptions    int
	PeerRows             int
	Requests             int
	RequestBytes         int
	QueueBytes           int
	NodeQueueBytes       int

	Pending      int
	PendingBytes int
	Rejected     int

	HelloTimeout   time.Duration
	IdleTimeout    time.Duration
	RequestTimeout time.Duration
	SendTimeout    time.Duration
}

// around is what a message has beside the largest thing in it.
const around = 1 << 20

// sizes lists the limits on counts and bytes with their defaults, and the
// least and the greatest that may be set; the greatest is 0 where nothing but
// memory bounds it. What is stored or sent has to be readable everywhere, so
// formats bound some of them.
func (l *Limits) sizes() []sizeLimit {
	return []sizeLimit{
		{"MessageBytes", &l.MessageBytes, wire.MaxFrame, 2 * around, wire.MaxFrame},
		{"TxEvents", &l.TxEvents, 10_000, 1, wire.MaxFrame / 128},
		{"TxBytes", &l.TxBytes, 4 << 20, 1 << 10, wire.MaxFrame - around},
		{"TxRequires", &l.TxRequires, 10_000, 1, wire.MaxFrame / 128},
		{"EventBytes", &l.EventBytes, event.MaxSize, 1 << 10, event.MaxSize},
		{"Parents", &l.Parents, event.MaxParents, 1, event.MaxParents},
		{"StateBytes", &l.StateBytes, 4 << 20, 1 << 10, wire.MaxFrame - around},
		{"Properties", &l.Properties, entity.MaxEntries, 1, entity.MaxEntries},
		{"HeadWidth", &l.HeadWidth, 1 << 13, 1, entity.MaxTips},
		{"Collections", &l.Collections, 10_000, 1, 0},
		{"QueryText", &l.QueryText, ankql.MaxText, 1, ankql.MaxText},
		{"QueryNesting", &l.QueryNesting, ankql.MaxNesting, 1, ankql.MaxNesting},
		{"QueryBytes", &l.QueryBytes, 2 << 20, 1, wire.MaxFrame - around},
		{"AnswerBytes", &l.AnswerBytes, 512 << 20, 1 << 10, 0},
		{"Connections", &l.Connections, 20_000, 1, 0},
		{"PrincipalConnections", &l.PrincipalConnections, 1000, 1, 0},
		{"Subscriptions", &l.Subscriptions, 10_000, 1, 0},
		{"NodeSubscriptions", &l.NodeSubscriptions, 1_000_000, 1, 0},
		{"PeerRows", &l.PeerRows, 4_000_000, 1, 0},
		{"Requests", &l.Requests, 512, 1, 0},
		{"RequestBytes", &l.RequestBytes, 16 << 20, 1 << 10, 0},
		{"QueueBytes", &l.QueueBytes, 16 << 20, 1 << 10, 0},
		{"NodeQueueBytes", &l.NodeQueueBytes, 1 << 30, 1 << 10, 0},
		{"Pending", &l.Pending, 100_000, 1, 0},
		{"PendingBytes", &l.PendingBytes, 256 << 20, 1 << 10, 0},
		{"Rejected", &l.Rejected, 10_000, 1, 0},
	}
}

type sizeLimit struct {
	name                 string
	value                *int
	def, least, greatest int
}

func (l *Limits) times() []timeLimit {
	return []timeLimit{
		{"HelloTimeout", &l.HelloTimeout, 10 * time.Second},
		{"IdleTimeout", &l.IdleTimeout, 45 * time.Second},
		{"RequestTimeout", &l.RequestTimeout, 30 * time.Second},
		{"SendTimeout", &l.SendTimeout, 30 * time.Second},
	}
}

type timeLimit struct {
	name  string
	value *time.Duration
	def   time.Duration
}

// Times that can be set: connections are looked after once a second.
const (
	leastTime    = time.Second
	greatestTime = 24 * time.Hour
)

// WithDefaults returns l with defaults for what is zero, or an error that
// names a field that cannot be.
func (l Limits) WithDefaults() (Limits, error) {
	for _, f := range l.sizes() {
		most := f.greatest
		if most == 0 {
			most = math.MaxInt32
		}
		switch n := *f.value; {
		case n == 0:
			*f.value = f.def
		case n < f.least:
			return l, badLimit(f.name, strconv.Itoa(n), "has to be at least "+strconv.Itoa(f.least))
		case n > most:
			return l, badLimit(f.name, strconv.Itoa(n), "can be at most "+strconv.Itoa(most))
		}
	}
	for _, f := range l.times() {
		switch d := *f.value; {
		case d == 0:
			*f.value = f.def
		case d < leastTime:
			return l, badLimit(f.name, d.String(), "has to be at least "+leastTime.String())
		case d > greatestTime:
			return l, badLimit(f.name, d.String(), "can be at most "+greatestTime.String())
		}
	}
	if l.AnswerBytes > l.NodeQueueBytes {
		return l, badLimit("AnswerBytes", strconv.Itoa(l.AnswerBytes), "can be at most NodeQueueBytes, "+strconv.Itoa(l.NodeQueueBytes))
	}
	// The largest thing of each kind goes into one message.
	if need := max(l.TxBytes, l.StateBytes, l.QueryBytes) + around; l.MessageBytes < need {
		return l, badLimit("MessageBytes", strconv.Itoa(l.MessageBytes), "has to be at least 1 MiB more than TxBytes, StateBytes and QueryBytes, "+strconv.Itoa(need))
	}
	return l, nil
}

func badLimit(name, have, why string) error {
	return errors.New("ankurah: NodeOptions.Limits." + name + " is " + have + ": it " + why)
}

// Parse reads a query within the node's limits. It may be called at any time.
func (c *Core) Parse(text string) (*ankql.Query, error) { return c.cfg.Limits.query().Parse(text) }

// query returns what the language is bounded by.
func (l *Limits) query() ankql.Limits {
	return ankql.Limits{Text: l.QueryText, Nesting: l.QueryNesting}
}

// limitError is an error about a limit, as a node tells it.
type limitError struct{ err limit.Error }

func (e *limitError) Error() string { return "ankurah: " + e.err.Error() }
func (e *limitError) Unwrap() error { return &e.err }

// atMost returns an error when n is beyond a limit.
func atMost(n, most int, what, unit, name, hint string) error {
	if n <= most {
		return nil
	}
	return &limitError{limit.Error{What: what, N: n, Unit: unit, Max: most, Name: name, Hint: hint}}
}

// roomFor is atMost where there may be room another time.
func roomFor(n, most int, what, unit, name, hint string) error {
	if n <= most {
		return nil
	}
	return &limitError{limit.Error{What: what, N: n, Unit: unit, Max: most, Name: name, Hint: hint, Kind: ErrOverloaded}}
}

// lateError is an error about a deadline.
type lateError struct {
	what string
	name string
	most time.Duration
}

func (e *lateError) Error() string {
	return "ankurah: " + e.what + " within " + e.most.String() + " (Limits." + e.name + ")"
}
func (e *lateError) Unwrap() error { return limit.ErrDeadline }

// Unanswered is the error of a request to a durable node that has taken too
// long.
func (c *Core) Unanswered() error {
	return &lateError{"the durable node did not answer", "RequestTimeout", c.cfg.Limits.RequestTimeout}
}

// Untaken is the error of a connection whose other side takes nothing.
func (c *Core) Untaken() error {
	return &lateError{"the other side took nothing of what it was sent", "SendTimeout", c.cfg.Limits.SendTimeout}
}

// millis returns a time of a connection.
func millis(d time.Duration) uint64 { return uint64(d.Milliseconds()) }

// CheckHeld returns an error when the node holds more for others than its
// limits say, or has lost count of it. held is the sum of [Conn.Held] of the
// peers whose connections were not dropped. It is for tests, which call it
// between two calls of the core.
func (c *Core) CheckHeld(held int) error {
	l, here, subs := &c.cfg.Limits, 0, 0
	known := map[string]int{}
	for p := range c.peers {
		if err := p.checkHeld(); err != nil {
			return err
		}
		here += p.Held()
		subs += len(p.subs) + len(p.aggregates)
		if p.known {
			known[p.principal.Subject]++
		}
		if most := max(excess*l.Requests, maxUnknown); len(p.deferred) > most {
			return overfull("requests of one peer that wait", len(p.deferred), most)
		}
		if most := max(excessBytes*l.RequestBytes, maxUnknownSize); p.deferredSize > most {
			return overfull("bytes of requests of one peer that wait", p.deferredSize, most)
		}
	}
	out := 0
	for _, o := range c.outbox {
		out += o.size
	}
	switch {
	case held != c.queued:
		return miscounted("bytes for all peers", c.queued, held)
	case here > 0 && held > l.NodeQueueBytes:
		return overfull("bytes for all peers", held, l.NodeQueueBytes)
	case subs != c.subs:
		return miscounted("live queries of peers", c.subs, subs)
	case !maps.Equal(known, c.byPrincipal):
		return errors.New("ankurah: connections of principals are counted wrongly")
	case out != c.outBytes:
		return miscounted("bytes in the outbox", c.outBytes, out)
	case out > l.PendingBytes:
		return overfull("bytes in the outbox", out, l.PendingBytes)
	case len(c.outbox) > l.Pending:
		return overfull("transactions in the outbox", len(c.outbox), l.Pending)
	}
	return nil
}

func (p *Peer) checkHeld() error {
	unsent, pushed, largest := 0, 0, p.pushing
	for _, s := range p.slots {
		if !s.open {
			unsent += s.size()
		}
		pushed += s.pushed
		largest = max(largest, s.pushed)
	}
	switch most := max(largest, p.limits.QueueBytes); {
	case unsent != p.unsent:
		return miscounted("bytes that one peer was not sent", p.unsent, unsent)
	case pushed != p.pushed:
		return miscounted("bytes of pushes for one peer", p.pushed, pushed)
	case pushed+p.pushing > most:
		return overfull("bytes of pushes for one peer", pushed+p.pushing, most)
	}
	return nil
}

func overfull(what string, n, most int) error {
	return errors.New("ankurah: there are " + strconv.Itoa(n) + " " + what + ", the limit is " + strconv.Itoa(most))
}

func miscounted(what string, counted, n int) error {
	return errors.New("ankurah: there are " + strconv.Itoa(n) + " " + what + ", counted as " + strconv.Itoa(counted))
}
