// Package inbox holds what a browser delivers to a connection until it is
// received: browsers call back with frames and cannot be made to wait.
package inbox

import (
	"context"
	"sync"
)

// Inbox holds frames in order. One goroutine receives; its other methods may be
// used by any and never wait.
type Inbox struct {
	news chan struct{} // holds one if Receive has to look again

	mu     sync.Mutex // guards what follows
	frames [][]byte
	size   int   // of them, in bytes
	err    error // what follows them
}

// New returns an empty inbox.
func New() *Inbox { return &Inbox{news: make(chan struct{}, 1)} }

// Put adds a frame if all of them have at most limit bytes then, or it is the
// only one. False says that it has not. After the end it does nothing.
func (b *Inbox) Put(frame []byte, limit int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.err != nil:
		return true
	case len(b.frames) > 0 && b.size+len(frame) > limit:
		return false
	}
	b.frames = append(b.frames, frame)
	b.size += len(frame)
	b.tell()
	return true
}

// End has err follow the frames, unless something does, and returns what does
// and whether that is err.
func (b *Inbox) End(err error) (error, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return b.err, false
	}
	b.err = err
	b.tell()
	return err, true
}

// Close forgets the frames and has err follow.
func (b *Inbox) Close(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.frames, b.size, b.err = nil, 0, err
	b.tell()
}

// Err returns what follows the frames, nil while more may come.
func (b *Inbox) Err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

func (b *Inbox) tell() {
	select {
	case b.news <- struct{}{}:
	default:
	}
}

// Receive returns the next frame, or what follows the last one.
func (b *Inbox) Receive(ctx context.Context) ([]byte, error) {
	for {
		b.mu.Lock()
		if len(b.frames) > 0 {
			frame := b.frames[0]
			b.frames[0] = nil
			b.frames = b.frames[1:]
			b.size -= len(frame)
			b.mu.Unlock()
			return frame, nil
		}
		err := b.err
		b.mu.Unlock()
		if err != nil {
			return nil, err
		}
		select {
		case <-b.news:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
