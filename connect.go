package ankurah

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/ankurah/ankurah-go/internal/core"
	"github.com/ankurah/ankurah-go/policy"
	"github.com/ankurah/ankurah-go/transport"
)

var (
	_ transport.Acceptor  = (*Node)(nil)
	_ transport.Connector = (*Node)(nil)
	_ transport.Drainer   = (*Node)(nil)
)

// tick is how often connections are looked after.
const tick = time.Second

// lingering is how long a connection that is to end may take to send what
// waits.
const lingering = 5 * time.Second

// wireConn is a connection as the node sees it: one goroutine receives, one
// sends while there is something to send.
type wireConn struct {
	n      *Node
	conn   transport.Conn
	core   *core.Conn
	ctx    context.Context
	end    context.CancelCauseFunc // nil where others say why
	writer sync.WaitGroup

	try func(frame []byte) bool // sends what can be sent at once; nil: unknown

	// Under the node's lock.
	sending bool
	linger  *time.Timer // cuts the connection when what waits is not taken
	gone    func(error) // tells the core that the connection has ended
}

// Wake starts sending. It is called under the lock.
func (x *executor) Wake(k *core.Conn) {
	n := (*Node)(x)
	w := k.Handle.(*wireConn)
	if n.idle != nil {
		n.idle.Broadcast()
	}
	if k.Ending() && w.linger == nil {
		w.linger = time.AfterFunc(lingering, w.cancel)
	}
	if w.sending || !k.Ready() {
		return
	}
	w.sending = true
	n.ready = append(n.ready, w)
}

// flush sends what a call of the core made ready: at once where a connection
// takes it without waiting, else in a goroutine. It is called under the lock.
func (n *Node) flush() {
	for k := 0; k < len(n.ready); k++ { // taking may make more ready
		w := n.ready[k]
		for w.sending = w.core.Ready(); w.sending; w.sending = w.core.Ready() {
			frames, end := w.core.Take()
			for w.try != nil && len(frames) > 0 && w.try(frames[0]) {
				frames = frames[1:]
			}
			if len(frames) > 0 || end {
				w.writer.Add(1)
				go w.send(frames, end)
				break
			}
			w.core.Sent()
		}
	}
	clear(n.ready)
	n.ready = n.ready[:0]
}

// send sends frames and then what is ready, until nothing is.
func (w *wireConn) send(frames [][]byte, end bool) {
	defer w.writer.Done()
	for {
		for _, f := range frames {
			slow := time.AfterFunc(w.n.limits.SendTimeout, func() { w.end(w.n.core.Untaken()) })
			err := w.conn.Send(w.ctx, f)
			slow.Stop()
			if err != nil {
				w.cancel() // the receiver ends and says why
				return
			}
		}
		if end {
			_ = w.conn.Close() // what was sent arrives
			w.cancel()
			return
		}
		asked := w.n.locked(func() {
			frames, end = w.core.Take()
			w.sending = len(frames) > 0 || end
			w.n.idle.Broadcast()
		})
		w.n.aside(asked)
		if len(frames) == 0 && !end {
			return
		}
	}
}

// serve receives until the connection ends. take hands a frame to the core,
// busy says that no more should come, commits that what is asked for may be
// commits.
func (w *wireConn) serve(take func(frame []byte), busy, commits func() bool) error {
	n := w.n
	stop := context.AfterFunc(w.ctx, func() {
		n.mu.Lock()
		n.idle.Broadcast()
		n.mu.Unlock()
	})
	defer stop()
	for {
		frame, err := w.conn.Receive(w.ctx)
		if err != nil {
			if why := context.Cause(w.ctx); errors.Is(why, ErrLimit) {
				return why
			}
			return err
		}
		committing := false
		asked := n.locked(func() {
			take(frame)
			committing = commits()
		})
		if !committing {
			n.run(asked, nil)
		} else {
			n.aside(asked) // a reader does not wait for the disk: what comes next may share it
		}
		n.mu.Lock()
		for busy() && w.ctx.Err() == nil {
			n.idle.Wait()
		}
		n.mu.Unlock()
	}
}

func never() bool { return false }

// begin makes a connection known to the node; false when it is closing.
func (n *Node) begin(w *wireConn, start func()) error {
	n.mu.Lock()
	if n.closing {
		n.mu.Unlock()
		return errors.Join(errClosed, w.conn.Close())
	}
	n.work.Add(1)
	if n.conns == 0 {
		n.ticking = make(chan struct{})
		n.work.Add(1)
		go n.tick(n.ticking)
	}
	n.conns++
	n.mu.Unlock()
	n.do(start)
	return nil
}

// end waits for the sender, and makes the node forget the connection.
func (n *Node) end(w *wireConn, err error) {
	n.do(func() { w.gone(err) })
	w.writer.Wait()
	w.cancel()
	_ = w.conn.Close() // again, or because the other side ended it
	n.mu.Lock()
	w.core.Drop()
	if w.linger != nil {
		w.linger.Stop()
	}
	if n.conns--; n.conns == 0 {
		close(n.ticking)
	}
	n.idle.Broadcast()
	n.mu.Unlock()
	n.work.Done()
}

// tick looks after connections while there are any.
func (n *Node) tick(stop chan struct{}) {
	defer n.work.Done()
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			n.do(n.core.Tick)
		case <-stop:
			return
		}
	}
}

func (n *Node) newConn(ctx context.Context, c transport.Conn) *wireConn {
	w := &wireConn{n: n, conn: c}
	if t, ok := c.(transport.TrySender); ok {
		w.try = t.TrySend
	}
	w.ctx, w.end = context.WithCancelCause(ctx)
	return w
}

func (w *wireConn) cancel() { w.end(nil) }

// Accept serves a client's connection until it ends. Transports call it.
func (n *Node) Accept(ctx context.Context, c transport.Conn) error {
	if !n.durable {
		return errors.Join(errors.New("ankurah: an ephemeral node does not accept connections: connect to a durable one"), c.Close())
	}
	w := n.newConn(ctx, c)
	var p *core.Peer
	err := n.begin(w, func() {
		p = n.core.NewPeer(w)
		w.core = &p.Conn
		w.gone = func(error) { n.core.PeerGone(p) }
		if n.draining > 0 {
			n.core.Drain()
		}
	})
	if err != nil {
		return err
	}
	err = w.serve(func(frame []byte) { n.core.PeerFrame(p, frame) }, p.Busy, p.Submitting)
	n.end(w, err)
	if errors.Is(err, transport.ErrClosed) {
		return nil
	}
	return err
}

// Connect runs this ephemeral node's connection to a durable one until it
// ends. Transports call it. A connection that was there before ends.
func (n *Node) Connect(ctx context.Context, c transport.Conn, hello transport.Hello) error {
	if n.durable {
		return errors.Join(permanent{errors.New("ankurah: a durable node decides by itself: it does not connect to another one")}, c.Close())
	}
	w := n.newConn(ctx, c)
	var l *core.Link
	err := n.begin(w, func() {
		l = n.core.NewLink(w, hello.Credential, func() {
			if hello.Ready != nil { // it may use the node
				n.aside([]effect{func() []effect {
					n.contained("an effect on a connection", hello.Ready)
					return nil
				}})
			}
		})
		w.core = &l.Conn
		w.gone = func(err error) { n.core.LinkGone(l, err) }
	})
	if err != nil {
		return permanent{err}
	}
	err = w.serve(func(frame []byte) { n.core.LinkFrame(l, frame) }, l.Busy, never)
	n.end(w, err)
	err = outcome(l.Err())
	n.mu.Lock()
	n.unready = err
	n.mu.Unlock()
	return err
}

// outcome says whether connecting again can help.
func outcome(err error) error {
	var rejected *core.RejectError
	switch {
	case errors.Is(err, core.ErrSystem), errors.Is(err, core.ErrPrincipal), errors.Is(err, core.ErrVersion), errors.Is(err, ErrClosed) && !errors.As(err, &rejected):
		return permanent{err}
	case errors.As(err, &rejected) && rejected.Retry > 0:
		return &transport.RetryError{After: time.Duration(rejected.Retry) * time.Millisecond, Err: err}
	}
	return err
}

type permanent struct{ err error }

func (e permanent) Error() string   { return e.err.Error() }
func (e permanent) Unwrap() []error { return []error{transport.ErrPermanent, e.err} }

// Drain tells all clients to move on, those too that come while it waits, and
// returns when all connections have ended or ctx has.
func (n *Node) Drain(ctx context.Context) error {
	n.do(func() {
		n.draining++
		n.core.Drain()
	})
	n.mu.Lock()
	defer n.mu.Unlock()
	defer func() { n.draining-- }()
	stop := context.AfterFunc(ctx, func() {
		n.mu.Lock()
		n.idle.Broadcast()
		n.mu.Unlock()
	})
	defer stop()
	for n.conns > 0 && ctx.Err() == nil {
		n.idle.Wait()
	}
	return ctx.Err()
}

// Connections returns the number of connections.
func (n *Node) Connections() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.conns
}

// Connected reports whether a durable node has accepted this one. A durable
// node is always connected to itself.
func (n *Node) Connected() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.durable || n.core.Connected()
}

// Subject returns the principal that an ephemeral node's store belongs to, ""
// before it has joined a system.
func (n *Node) Subject() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	subject, _ := n.core.Joined()
	return subject
}

// Pending returns the number of transactions that wait for a durable node's
// word.
func (n *Node) Pending() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.core.Pending()
}

// Settle waits until the durable node has decided on every transaction of this
// one, and this one has applied all that the durable node had to tell by then.
// Without a connection it waits for one. A durable node is settled.
func (n *Node) Settle(ctx context.Context) error {
	for !n.durable {
		n.mu.Lock()
		idle, closing := n.core.Connected() && n.core.Pending() == 0, n.closing
		if n.news == nil {
			n.news = make(chan struct{})
		}
		news := n.news
		n.mu.Unlock()
		if closing {
			return errClosed
		}
		if idle {
			err := n.await(ctx, n.core.SyncRemote)
			if err == nil && n.Pending() == 0 {
				return nil
			}
			if err := unlessDisconnected(err); err != nil {
				return err
			}
			continue
		}
		select {
		case <-news:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return n.alive()
}

// Refresh replaces the credential of the present connection by another one of
// the same principal.
func (n *Node) Refresh(credential []byte) { n.do(func() { n.core.Refresh(credential) }) }

// Invalidate has the policy agent asked again what principals may read: all of
// them, or those with one of the subjects. What one may not read any more is
// withdrawn from it (S38), and what it may read now is added, whether it is a
// peer, a page, or a session of this node. A session's live query or live
// aggregate hears of it in one change set. Until its rows are read again it shows
// what it did, and nothing of later commits. It ends with the agent's error where
// that fails.
func (n *Node) Invalidate(subjects ...string) {
	n.do(func() {
		if len(subjects) == 0 {
			n.core.Invalidate(nil)
		}
		for k := range subjects {
			n.core.Invalidate(&subjects[k])
		}
	})
}

// principal checks that an ephemeral node's store is p's (S30).
func (n *Node) principal(p policy.Principal) error {
	if n.durable {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	subject, joined := n.core.Joined()
	switch {
	case !joined:
		return notReady{}
	case subject != p.Subject:
		return &principalError{subject, p.Subject}
	}
	return nil
}

type notReady struct{}

func (notReady) Error() string {
	return "ankurah: this node has not joined a system yet: connect it to a durable node and call WaitReady"
}
func (notReady) Unwrap() error { return ErrNotReady }

type principalError struct{ store, session string }

func (e *principalError) Error() string {
	return "ankurah: this store belongs to the principal " + strconv.Quote(e.store) + ", the session to " + strconv.Quote(e.session) + ": open another store for another principal"
}
func (e *principalError) Unwrap() error { return ErrPrincipal }
