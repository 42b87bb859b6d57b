package local

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/ankurah/ankurah-go/transport"
)

// What may be under way in one direction before Send blocks. One frame may be,
// however large.
const (
	depth      = 64
	depthBytes = 1 << 20
)

// keptFrames is the longest queue whose memory an idle connection keeps.
const keptFrames = 4

// Pipe returns the two ends of a connection.
func Pipe() (a, b transport.Conn) {
	p := &pipe{closed: make(chan struct{})}
	for k := range p.ways {
		p.ways[k].filled, p.ways[k].freed = make(chan struct{}, 1), make(chan struct{}, 1)
	}
	there, back := &p.ways[0], &p.ways[1]
	return &end{p, there, back}, &end{p, back, there}
}

type pipe struct {
	once   sync.Once
	closed chan struct{}
	ways   [2]way
}

// way is one direction: a queue with one sender and one receiver.
type way struct {
	filled, freed chan struct{} // hold a token when something was put or taken

	mu     sync.Mutex
	frames [][]byte
	taken  int // of frames
	bytes  int // of the others
}

// put appends a frame, or reports that there is no room.
func (w *way) put(frame []byte) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.frames) - w.taken; n == depth || n > 0 && w.bytes+len(frame) > depthBytes {
		return false
	}
	w.frames = append(w.frames, frame)
	w.bytes += len(frame)
	signal(w.filled)
	return true
}

// take returns the oldest frame, or reports that there is none.
func (w *way) take() ([]byte, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.taken == len(w.frames) {
		return nil, false
	}
	f := w.frames[w.taken]
	w.frames[w.taken] = nil
	if w.taken++; w.taken == len(w.frames) {
		w.frames, w.taken = w.frames[:0], 0
		if cap(w.frames) > keptFrames {
			w.frames = nil
		}
	} else if w.taken == depth {
		w.frames, w.taken = slices.Delete(w.frames, 0, depth), 0
	}
	w.bytes -= len(f)
	signal(w.freed)
	return f, true
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

type end struct {
	*pipe
	out, in *way
}

func (e *end) over() bool {
	select {
	case <-e.closed:
		return true
	default:
		return false
	}
}

// Send hands a frame to the other end.
func (e *end) Send(ctx context.Context, frame []byte) error {
	for {
		if e.over() {
			return errClosed
		}
		if e.out.put(frame) {
			return nil
		}
		select {
		case <-e.out.freed:
		case <-e.closed:
		case <-ctx.Done():
			return errors.Join(ctx.Err(), e.Close())
		}
	}
}

// TrySend is Send where it need not wait; else it does nothing and returns
// false.
func (e *end) TrySend(frame []byte) bool { return !e.over() && e.out.put(frame) }

// Receive returns the next frame of the other end.
func (e *end) Receive(ctx context.Context) ([]byte, error) {
	for {
		over := e.over() // what was sent before the connection was closed comes first
		if f, ok := e.in.take(); ok {
			return f, nil
		}
		if over {
			return nil, errClosed
		}
		select {
		case <-e.in.filled:
		case <-e.closed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Close ends the connection for both ends.
func (e *end) Close() error {
	e.once.Do(func() { close(e.closed) })
	return nil
}

var errClosed error = closedError{}

type closedError struct{}

func (closedError) Error() string { return "ankurah: the local connection is closed" }
func (closedError) Unwrap() error { return transport.ErrClosed }
