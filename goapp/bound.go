package goapp

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/maxence-charriere/go-app/v10/pkg/app"
)

// spec is what a component is to show, and how.
type spec[T any] struct {
	body func(T) app.UI
	same func(*spec[T]) bool // whether the other shows the same
	// open begins to follow what is shown. It may wait. changed is called, from
	// any goroutine and also before open returns, when get returns something
	// else; it does not wait. stop is called once.
	open func(ctx context.Context, changed func()) (get func() T, stop func(), err error)
	// pending and failed return what is shown before there is an answer, and
	// when there is none, after was.
	pending func(was T) T
	failed  func(was T, err error) T

	asked asked // what same compares
}

// bound is the component that shows a spec. But for watch it is used on the
// goroutine of the user interface alone.
type bound[T any] struct {
	app.Compo
	// Spec is exported so that go-app hands it on when the component around
	// this one is rendered. It is always another one.
	Spec *spec[T]

	ctx   app.Context
	value T
	shown *watch[T] // whose values are shown
	next  *watch[T] // what comes in its place when it has a value
}

// watch is something that is followed, for one spec.
type watch[T any] struct {
	spec   *spec[T]
	cancel context.CancelFunc
	told   atomic.Bool // the user interface has been asked to look

	mu    sync.Mutex
	get   func() T // nil until it is open
	stop  func()
	ended bool
}

func (b *bound[T]) OnInit() { b.value = b.Spec.pending(b.value) }

func (b *bound[T]) OnMount(ctx app.Context) {
	b.ctx = ctx
	b.follow()
}

func (b *bound[T]) OnUpdate(app.Context) {
	last := b.next
	if last == nil {
		last = b.shown
	}
	if last != nil && !last.spec.same(b.Spec) {
		b.value = b.Spec.pending(b.value)
		b.follow()
	}
}

func (b *bound[T]) OnDismount() {
	b.next.end()
	b.shown.end()
	b.next, b.shown = nil, nil
}

func (b *bound[T]) Render() app.UI { return b.Spec.body(b.value) }

// follow begins to follow what the spec says.
func (b *bound[T]) follow() {
	b.next.end()
	ctx, cancel := context.WithCancel(context.Background())
	w := &watch[T]{spec: b.Spec, cancel: cancel}
	b.next = w
	ui := b.ctx
	look := func() {
		if !w.told.Swap(true) {
			ui.Dispatch(func(app.Context) {
				w.told.Store(false)
				b.look(w)
			})
		}
	}
	go func() {
		get, stop, err := w.spec.open(ctx, look)
		if err != nil {
			ui.Dispatch(func(app.Context) { b.fail(w, err) })
			return
		}
		w.opened(get, stop)
		look()
	}()
}

// look shows what w has, unless something else is to be shown.
func (b *bound[T]) look(w *watch[T]) {
	w.mu.Lock()
	get := w.get
	w.mu.Unlock()
	switch {
	case get == nil || w != b.shown && w != b.next:
		return
	case w == b.next:
		b.shown.end()
		b.shown, b.next = w, nil
	}
	b.value = get()
	if b.next != nil {
		b.value = b.next.spec.pending(b.value)
	}
}

func (b *bound[T]) fail(w *watch[T], err error) {
	if w != b.next {
		return
	}
	b.shown.end()
	b.shown, b.next = w, nil
	b.value = w.spec.failed(b.value, err)
}

func (w *watch[T]) opened(get func() T, stop func()) {
	w.mu.Lock()
	ended := w.ended
	w.get, w.stop = get, stop
	w.mu.Unlock()
	if ended {
		stop()
	}
}

// end ends it; whatever it shows is not looked at any more.
func (w *watch[T]) end() {
	if w == nil {
		return
	}
	w.cancel()
	w.mu.Lock()
	stop := w.stop
	w.ended = true
	w.mu.Unlock()
	if stop != nil {
		stop()
	}
}
