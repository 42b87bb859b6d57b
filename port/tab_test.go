package port

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	ankurah "github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/event"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/storage/memory"
	"github.com/ankurah/ankurah-go/transport"
	"github.com/ankurah/ankurah-go/transport/local"
	"github.com/ankurah/ankurah-go/value"
)

// tab is a page: it applies what the server sends while somebody waits for
// something. It is for one goroutine.
type tab struct {
	t       testing.TB
	conn    transport.Conn
	state   state
	queries map[uint64]*seen
	acks    map[event.TxID]*outcome
	bye     *bye
	pings   int
	welcome bool
	held    []part
	updates int
	onShow  func() // after each whole update

	patience time.Duration
}

// seen is a query as the tab shows it.
type seen struct {
	order  []id.ID
	rows   map[id.ID]string
	groups []string
	synced bool
	code   string
	text   string
	begun  bool
	moved  int // rows that came with a place
}

type outcome struct {
	created   []id.ID
	acked     bool
	confirmed bool
	code      string
	text      string
}

func (s *seen) list() []string {
	out := []string{}
	for _, i := range s.order {
		out = append(out, s.rows[i])
	}
	return out
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// durable opens a node with a system.
func durable(t testing.TB, agent policy.Agent) *ankurah.Node {
	t.Helper()
	eng := memory.New()
	n, err := ankurah.OpenNode(context.Background(), eng, &ankurah.NodeOptions{Durable: true, Policy: agent})
	check(t, err)
	t.Cleanup(func() {
		check(t, n.Close())
		check(t, eng.Close())
	})
	check(t, n.EnsureSystem(context.Background()))
	return n
}

// connect opens a page on a server, in this process.
func connect(t testing.TB, s *Server) *tab {
	t.Helper()
	a, b := local.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Accept(ctx, b)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return newTab(t, a)
}

func newTab(t testing.TB, c transport.Conn) *tab {
	return &tab{t: t, conn: c, queries: map[uint64]*seen{}, acks: map[event.TxID]*outcome{}, patience: time.Minute}
}

// page is connect and a hello.
func pageOf(t testing.TB, s *Server, credential string) *tab {
	t.Helper()
	p := connect(t, s)
	p.send(&hello{min: 1, max: 1, credential: []byte(credential)})
	p.until("it is welcome", func() bool { return p.welcome })
	return p
}

func (p *tab) send(m message) {
	p.t.Helper()
	check(p.t, p.conn.Send(context.Background(), appendFrame(nil, m)))
}

// step takes one message.
func (p *tab) step(ctx context.Context) error {
	frame, err := p.conn.Receive(ctx)
	if err != nil {
		return err
	}
	m, err := decodeFrame(frame)
	if err != nil {
		return err
	}
	switch m := m.(type) {
	case *welcome:
		p.welcome = true
	case *state:
		p.state = *m
	case *bye:
		p.bye = m
	case *ping:
		p.pings++
	case *pong:
	case *ack:
		o := p.outcome(m.tx)
		o.acked = true
		o.confirmed = m.confirmed
		if len(m.created) > 0 {
			o.created = m.created
		}
	case *refuse:
		o := p.outcome(m.tx)
		o.code, o.text = string(m.code), m.text
	case *update:
		p.take(m)
	default:
		return fmt.Errorf("the server sends %T", m)
	}
	return nil
}

func (p *tab) outcome(tx event.TxID) *outcome {
	if p.acks[tx] == nil {
		p.acks[tx] = &outcome{}
	}
	return p.acks[tx]
}

func (p *tab) take(m *update) {
	p.held = append(p.held, m.parts...)
	if !m.follows {
		parts := p.held
		p.held = nil
		p.updates++
		for len(parts) > 0 {
			n := 1
			for n < len(parts) && parts[n].query == parts[0].query {
				n++
			}
			p.show(parts[:n])
			parts = parts[n:]
		}
		if p.onShow != nil {
			p.onShow()
		}
	}
	_ = p.conn.Send(context.Background(), appendFrame(nil, &took{}))
}

// show applies the parts of one query.
func (p *tab) show(parts []part) {
	q := p.queries[parts[0].query]
	if q == nil {
		return // closed
	}
	if parts[0].reset {
		q.order, q.rows, q.groups = nil, map[id.ID]string{}, nil
	}
	q.begun = true
	leaves := map[id.ID]bool{}
	var placed []row
	for _, x := range parts {
		if x.code != "" {
			q.code, q.text = string(x.code), x.text
		}
		if x.synced != syncedAsBefore {
			q.synced = x.synced == syncedYes
		}
		if len(x.columns) > 0 {
			q.groups = []string{strings.Join(x.columns, " ")}
		}
		for _, g := range x.groups {
			q.groups = append(q.groups, fmt.Sprint([]value.Value(g)))
		}
		for _, i := range x.gone {
			if _, there := q.rows[i]; !there {
				p.t.Errorf("%v is gone and was not there", i)
			}
			leaves[i] = true
			delete(q.rows, i)
		}
		for _, r := range x.rows {
			_, there := q.rows[r.id]
			if r.place != 0 {
				leaves[r.id] = true
				placed = append(placed, r)
				q.moved++
			} else if !there {
				p.t.Errorf("%v changed and was not there", r.id)
			}
			if r.kept {
				if !there {
					p.t.Errorf("%v is kept and was not there", r.id)
				}
				continue
			}
			var b strings.Builder
			for _, f := range r.fields {
				fmt.Fprintf(&b, "%s=%s ", x.keys[f.key], f.value)
			}
			q.rows[r.id] = b.String()
		}
	}
	q.order = slices.DeleteFunc(q.order, func(i id.ID) bool { return leaves[i] })
	for _, r := range placed {
		q.order = slices.Insert(q.order, int(r.place)-1, r.id)
	}
}

// until takes messages until something holds.
func (p *tab) until(what string, holds func() bool) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), p.patience)
	defer cancel()
	for !holds() {
		if err := p.step(ctx); err != nil {
			p.t.Fatalf("waiting until %s: %v; bye %v", what, err, p.bye)
		}
	}
}

// ended takes messages until the connection ends.
func (p *tab) ended() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), p.patience)
	defer cancel()
	for p.step(ctx) == nil {
	}
	check(p.t, ctx.Err())
}

// open opens a query and waits for its rows.
func (p *tab) open(n uint64, collection, text string, args ...any) *seen {
	p.t.Helper()
	m := &open{query: n, collection: collection, text: text}
	for _, a := range args {
		v, err := value.FromGo(a)
		check(p.t, err)
		m.args = append(m.args, arg{value: raw(v)})
	}
	q := &seen{rows: map[id.ID]string{}}
	p.queries[n] = q
	p.send(m)
	p.until("a query has begun", func() bool { return q.begun })
	return q
}

func newTx() (tx event.TxID) {
	_, _ = rand.Read(tx[:])
	return tx
}

// commit sends a transaction and waits for the answer.
func (p *tab) commit(ops ...op) *outcome {
	p.t.Helper()
	return p.commitAs(newTx(), ops...)
}

func (p *tab) commitAs(tx event.TxID, ops ...op) *outcome {
	p.t.Helper()
	delete(p.acks, tx)
	p.send(&commit{tx: tx, ops: ops})
	o := p.outcome(tx)
	p.until("a transaction is answered", func() bool { return o.acked || o.code != "" })
	return o
}

// made is commit that has to succeed.
func (p *tab) made(ops ...op) []id.ID {
	p.t.Helper()
	o := p.commit(ops...)
	if o.code != "" {
		p.t.Fatalf("refused: %s: %s", o.code, o.text)
	}
	return o.created
}

func fields(pairs ...any) (out []field) {
	for k := 0; k < len(pairs); k += 2 {
		v, err := value.FromGo(pairs[k+1])
		if err != nil {
			panic(err)
		}
		out = append(out, field{key: pairs[k].(string), value: raw(v)})
	}
	return out
}

func creates(collection string, pairs ...any) op {
	return op{kind: opCreate, collection: collection, fields: fields(pairs...)}
}

func edits(collection string, i id.ID, pairs ...any) op {
	return op{kind: opEdit, collection: collection, entity: i, fields: fields(pairs...)}
}
