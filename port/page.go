package port

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	ankurah "github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/internal/wire"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/transport"
)

// Bounds on what one page makes the server keep (S33).
const (
	maxCommits = 256 // transactions that wait for their turn
	maxOut     = 1024
	window     = 4 // frames of updates that the page has not taken
)

// Times of a connection. Browsers hold up the timers of pages that nobody sees,
// but not what comes for them: so it is the server that asks.
const (
	helloTimeout = 10 * time.Second
	pingAfter    = 30 * time.Second
	silentAfter  = 90 * time.Second
	lingering    = 5 * time.Second // how long a last message may take
)

var errTooMany = errors.New("ankurah: too many open queries: close those that nobody looks at")

// page is a connection.
type page struct {
	s      *Server
	conn   transport.Conn
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup // goroutines
	who    policy.Principal

	mu       sync.Mutex
	idle     *sync.Cond // something was sent or committed, or ctx has ended
	queries  map[uint64]*query
	order    []*query  // in the order in which they were opened
	out      []message // to be sent before updates
	commits  []*commit
	running  bool // a goroutine commits
	writing  bool // a goroutine sends
	dirty    bool // queries may have something new
	fresh    bool // state may have changed
	told     state
	untaken  int     // frames of updates that the page has not taken
	acks     []*ack  // to be sent after an update that shows what they acknowledge
	updates  []frame // and what is sent after them
	last     bool    // nothing comes after out
	ended    bool    // serve has returned
	linger   *time.Timer
	heard    time.Time
	greeting bool // until the hello has come
}

// frame is a frame whose turn comes after others.
type frame struct {
	bytes  []byte
	update bool
}

func newPage(ctx context.Context, cancel context.CancelFunc, s *Server, c transport.Conn) *page {
	p := &page{s: s, conn: c, ctx: ctx, cancel: cancel, queries: map[uint64]*query{}, heard: time.Now(), greeting: true}
	p.idle = sync.NewCond(&p.mu)
	return p
}

// serve receives until the connection ends.
func (p *page) serve() error {
	stop := context.AfterFunc(p.ctx, func() {
		p.mu.Lock()
		p.idle.Broadcast()
		p.mu.Unlock()
	})
	defer stop()
	p.work.Go(p.watch)
	if err := p.greet(); err != nil {
		return err
	}
	for {
		m, err := p.receive()
		if err != nil {
			return err
		}
		p.take(m)
		p.mu.Lock()
		for p.ctx.Err() == nil && (len(p.commits) >= maxCommits || len(p.out)+len(p.acks)+len(p.updates) >= maxOut) {
			p.idle.Wait()
		}
		p.mu.Unlock()
	}
}

// receive returns the next message. What is malformed ends the connection.
func (p *page) receive() (message, error) {
	frame, err := p.conn.Receive(p.ctx)
	if err != nil {
		return nil, err
	}
	m, err := decodeFrame(frame)
	if err != nil {
		p.dismiss(err)
		return nil, err
	}
	p.mu.Lock()
	p.heard = time.Now()
	p.mu.Unlock()
	return m, nil
}

// greet takes the hello and says who the page is.
func (p *page) greet() error {
	m, err := p.receive()
	if err != nil {
		return err
	}
	h, ok := m.(*hello)
	switch {
	case !ok:
		err = &malformed{errors.New("a connection begins with a hello")}
	case h.min > maxVersion || h.max < minVersion:
		err = &versionError{h.min, h.max}
	case h.app < p.s.opts.LeastAppVersion:
		p.bye(wire.Update, "this page is of version "+strconv.FormatUint(h.app, 10)+" of the application, the server wants "+strconv.FormatUint(p.s.opts.LeastAppVersion, 10)+": load it again")
		return p.wait()
	}
	if err == nil {
		p.who, err = p.s.node.Authenticate(p.ctx, h.credential)
	}
	if err != nil {
		p.dismiss(err)
		return errors.Join(err, p.wait())
	}
	p.mu.Lock()
	p.greeting = false
	p.fresh = true
	p.say(&welcome{min(h.max, maxVersion)})
	p.mu.Unlock()
	if !p.s.node.Durable() {
		p.work.Go(p.follow)
	}
	return nil
}

// wait takes nothing more until the connection has ended.
func (p *page) wait() error {
	for {
		if _, err := p.conn.Receive(p.ctx); err != nil {
			return err
		}
	}
}

// take does what a message asks for.
func (p *page) take(m message) {
	switch m := m.(type) {
	case *open:
		p.open(m)
	case *closeQuery:
		p.close(m.query)
	case *more:
		p.more(m)
	case *commit:
		p.queue(m)
	case *took:
		p.mu.Lock()
		p.untaken = max(0, p.untaken-1)
		p.write()
		p.mu.Unlock()
	case *ping:
		p.send(&pong{})
	case *pong:
	default:
		p.dismiss(&malformed{errors.New("pages do not send message " + strconv.Itoa(int(m.kind())))})
	}
}

// watch ends a connection that is silent.
func (p *page) watch() {
	t := time.NewTicker(helloTimeout)
	defer t.Stop()
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-t.C:
		}
		p.mu.Lock()
		silent := time.Since(p.heard)
		switch {
		case silent >= silentAfter || p.greeting && silent >= helloTimeout:
			p.leave(wire.Deadline, "nothing was heard of the page for "+silent.Truncate(time.Second).String())
		case silent >= pingAfter:
			p.say(&ping{})
		}
		p.mu.Unlock()
	}
}

// follow tells the page of the node's connection, and of what was refused.
func (p *page) follow() {
	for {
		news := p.s.node.News()
		p.unawaited()
		p.mu.Lock()
		p.fresh = true
		p.write()
		p.mu.Unlock()
		select {
		case <-news:
		case <-p.ctx.Done():
			return
		}
	}
}

// bye ends the connection after a last message.
func (p *page) bye(code wire.Code, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leave(code, text)
}

// leave is bye with p.mu held.
func (p *page) leave(code wire.Code, text string) {
	if p.last || p.ended {
		return
	}
	p.last = true
	p.linger = time.AfterFunc(lingering, p.cancel)
	p.say(&bye{code, text})
}

func (p *page) dismiss(err error) { p.bye(failure(err)) }

func (p *page) send(m message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.say(m)
}

// say is send with p.mu held.
func (p *page) say(m message) {
	p.out = append(p.out, m)
	p.write()
}

// acknowledge sends an ack after what it acknowledges was shown.
func (p *page) acknowledge(a *ack) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.acks = append(p.acks, a)
	p.write()
}

// mark says that queries may have something new.
func (p *page) mark() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dirty = true
	p.write()
}

// end releases what the page has, after serve. A last message goes out first.
func (p *page) end() {
	p.mu.Lock()
	p.ended = true
	if !p.last || !p.writing {
		p.cancel()
	}
	if p.linger != nil {
		defer p.linger.Stop()
	}
	queries := p.order
	p.order, p.queries = nil, nil
	p.mu.Unlock()
	for _, q := range queries {
		q.end()
	}
	p.work.Wait()
	p.cancel()
	_ = p.conn.Close() // again, or because the page ended it
}

// write sees to it that somebody sends what there is to send. p.mu is held.
func (p *page) write() {
	if !p.writing && !p.ended {
		p.writing = true
		p.work.Go(p.drain)
	}
}

// drain sends until there is nothing to send. What a commit changed goes out
// before the state of the node, which the page draws anew for: so who is about
// to tell of a change goes first.
func (p *page) drain() {
	runtime.Gosched()
	for {
		frame, last := p.next()
		if frame == nil {
			return
		}
		err := p.conn.Send(p.ctx, frame)
		if err != nil || last {
			_ = p.conn.Close() // what was sent arrives
			p.cancel()
		}
	}
}

// next returns the next frame, and whether it is the last one of the
// connection; nil when there is none.
func (p *page) next() (bytes []byte, last bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.ctx.Err() == nil {
		switch {
		case len(p.out) > 0:
			m := p.out[0]
			p.out = p.out[1:]
			p.idle.Broadcast()
			_, last = m.(*bye)
			return appendFrame(nil, m), last
		case p.greeting || p.last:
			p.writing = false
			return nil, false
		case len(p.updates) > 0 && (p.untaken < window || !p.updates[0].update):
			f := p.updates[0]
			p.updates = p.updates[1:]
			if f.update {
				p.untaken++
			}
			p.idle.Broadcast()
			return f.bytes, false
		case (p.dirty || len(p.acks) > 0) && len(p.updates) == 0:
			queries, acks := slices.Clone(p.order), p.acks
			p.dirty, p.acks = false, nil
			p.mu.Unlock()
			updates := p.look(queries)
			for _, a := range acks {
				updates = append(updates, frame{bytes: appendFrame(nil, a)})
			}
			p.mu.Lock()
			p.updates = updates
		case p.fresh:
			p.fresh = false
			p.mu.Unlock() // the node's lock is taken before a page's
			now := p.s.state(p.who)
			p.mu.Lock()
			if now != p.told {
				p.told = now
				return appendFrame(nil, &now), false
			}
		default:
			p.writing = false
			return nil, false
		}
	}
	p.writing = false
	return nil, false
}

type versionError struct{ min, max uint64 }

func (e *versionError) Error() string {
	return "ankurah: the page speaks versions " + strconv.FormatUint(e.min, 10) + " to " + strconv.FormatUint(e.max, 10) +
		" of the page protocol, this program " + strconv.Itoa(minVersion) + " to " + strconv.Itoa(maxVersion) + ": load the page again"
}
func (e *versionError) Unwrap() error { return ankurah.ErrVersion }
