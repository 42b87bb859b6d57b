package ankurah

import (
	"context"
	"slices"
	"sync"

	"github.com/ankurah/ankurah-go/signal"
)

// maxQueued bounds the change sets that wait for a slow callback; more of them
// are merged, whole commits at a time (S55).
const maxQueued = 64

// feed hands what happens to a live result to callbacks, and says when it is
// synced and when it ends. C is what happens to one part of the result.
type feed[C any] struct {
	tracked
	n      *Node
	synced func() bool               // under the node's lock: it is what a durable node says
	merge  func(first, then []C) []C // makes one change set of two

	mu       sync.Mutex
	ready    once // the first result is there, or it failed
	done     once // it is closed and no callback runs
	handlers []*handler[C]
	watchers []*handler[C] // hear that synced may have changed, or that it failed
	queue    []delivery[C]
	draining bool
	closed   bool
	err      error
	news     chan struct{} // closed when synced may have changed or it ended; nil while nobody waits
}

// tracked is a live result as signals know it.
type tracked struct {
	source  signal.Source
	changed bool // it is in the node's changed; guarded by the node's lock
}

type handler[C any] struct {
	call func([]C)
	gone bool
}

// delivery is one change set for some handlers.
type delivery[C any] struct {
	changes []C
	to      []*handler[C]
	initial bool // what was there when a handler came
}

// once is something that happens once. It has a channel only while somebody
// waits: there are many live results, and few wait for what becomes of one.
type once struct {
	is bool
	c  chan struct{}
}

var happened = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

func (o *once) happen() {
	if o.is = true; o.c != nil {
		close(o.c)
		o.c = nil
	}
}

func (o *once) wait() <-chan struct{} {
	switch {
	case o.is:
		return happened
	case o.c == nil:
		o.c = make(chan struct{})
	}
	return o.c
}

// ended returns a channel that is closed when it is closed and no callback runs.
func (l *feed[C]) ended() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.done.wait()
}

// begin says that the first result is there.
func (l *feed[C]) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ready.happen()
}

// begun waits for the first result.
func (l *feed[C]) begun(ctx context.Context) error {
	l.mu.Lock()
	ready := l.ready.wait()
	l.mu.Unlock()
	select {
	case <-ready:
		return l.failure()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *feed[C]) waitSynced(ctx context.Context) error {
	for {
		l.n.mu.Lock()
		l.mu.Lock()
		synced, closed, err := l.synced(), l.closed, l.err
		if l.news == nil {
			l.news = make(chan struct{})
		}
		news := l.news
		l.mu.Unlock()
		l.n.mu.Unlock()
		switch {
		case err != nil:
			return err
		case closed:
			return errClosed
		case synced:
			return nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// subscribe calls call with what initial returns, under the node's lock, and
// then with every change set, until stop is called.
func (l *feed[C]) subscribe(initial func() []C, call func([]C)) (stop func()) {
	h := &handler[C]{call: call}
	l.n.mu.Lock()
	defer l.n.mu.Unlock()
	first := initial()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return func() {}
	}
	l.handlers = append(slices.Clip(l.handlers), h)
	l.enqueue(delivery[C]{first, []*handler[C]{h}, true})
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		h.gone = true
		l.handlers = slices.DeleteFunc(slices.Clone(l.handlers), func(o *handler[C]) bool { return o == h })
	}
}

// watch calls f when synced may have changed, like a handler of changes, and
// once more when it has failed.
func (l *feed[C]) watch(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watchers = append(slices.Clip(l.watchers), &handler[C]{call: func([]C) { f() }})
}

// over returns why it has ended, nil while it lives.
func (l *feed[C]) over() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed && l.err == nil {
		return errQueryClosed
	}
	return l.err
}

func (l *feed[C]) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// close ends deliveries.
func (l *feed[C]) close(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.closed, l.err, l.queue, l.handlers, l.watchers = true, err, nil, nil, nil
	l.wake()
	if !l.draining {
		l.done.happen()
	}
}

// fail ends it with an error, also for who waits for its beginning. The node's
// lock is held.
func (l *feed[C]) fail(err error) {
	l.unmark()
	l.mu.Lock()
	watchers := l.watchers
	l.mu.Unlock()
	l.close(err)
	if len(watchers) > 0 {
		l.n.aside([]effect{func() []effect {
			for _, w := range watchers {
				l.n.contained("an effect on a live query", func() { w.call(nil) })
			}
			return nil
		}})
	}
	l.begin()
}

// deliver queues a change set. The node's lock is held.
func (l *feed[C]) deliver(changes []C) {
	l.mark()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed && len(l.handlers) > 0 {
		l.enqueue(delivery[C]{changes, l.handlers, false})
	}
}

// mark has signals told that the result is another. The node's lock is held.
func (l *feed[C]) mark() {
	if !l.changed {
		l.changed = true
		l.n.changed = append(l.n.changed, &l.tracked)
	}
}

// unmark ends what signals are told, once the query has ended (S56). The node's
// lock is held.
func (l *feed[C]) unmark() {
	l.n.changed = slices.DeleteFunc(l.n.changed, func(t *tracked) bool { return t == &l.tracked })
	l.source.Forget()
}

// tell lets those look again who wait until it is synced.
func (l *feed[C]) tell() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wake()
	if len(l.watchers) > 0 && !l.closed {
		l.enqueue(delivery[C]{to: l.watchers, initial: true})
	}
}

// wake is tell with l.mu held.
func (l *feed[C]) wake() {
	if l.news != nil {
		close(l.news)
		l.news = nil
	}
}

// enqueue adds a delivery and sees to it that somebody delivers. l.mu is held.
func (l *feed[C]) enqueue(d delivery[C]) {
	if n := len(l.queue); n >= maxQueued && slices.Equal(l.queue[n-1].to, d.to) {
		l.queue[n-1].changes = l.merge(l.queue[n-1].changes, d.changes)
	} else {
		l.queue = append(l.queue, d)
	}
	if !l.draining {
		l.draining = true
		l.n.work.Add(1)
		go l.drain()
	}
}

// drain delivers until nothing is left.
func (l *feed[C]) drain() {
	defer l.n.work.Done()
	for {
		l.mu.Lock()
		if len(l.queue) == 0 {
			l.draining = false
			if l.closed {
				l.done.happen()
			}
			l.mu.Unlock()
			return
		}
		d := l.queue[0]
		l.queue = l.queue[1:]
		l.mu.Unlock()
		for _, h := range d.to {
			l.mu.Lock()
			skip := l.closed || h.gone
			l.mu.Unlock()
			if !skip && (d.initial || len(d.changes) > 0) {
				l.n.contained("a live query's callback", func() { h.call(d.changes) })
			}
		}
	}
}
