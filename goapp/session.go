package goapp

import (
	"context"
	"sync"

	"github.com/ankurah/ankurah-go"
)

// Session is a session that is opened in the background, when something needs
// it first. Make one with [Open].
type Session struct {
	open   func(ctx context.Context) (*ankurah.Session, error)
	once   sync.Once
	opened chan struct{} // closed when the fields below are set
	s      *ankurah.Session
	err    error
}

// Open returns a session that f opens: f opens the engine and the node, dials
// the server, and waits until the node is ready. It is called once, on a
// goroutine of its own; its error is what components show.
func Open(f func(ctx context.Context) (*ankurah.Session, error)) *Session {
	return &Session{open: f, opened: make(chan struct{})}
}

// Wait returns the session when it is open, or why it cannot be opened.
func (s *Session) Wait(ctx context.Context) (*ankurah.Session, error) {
	s.once.Do(func() {
		go func() {
			s.s, s.err = s.open(context.Background())
			close(s.opened)
		}()
	})
	select {
	case <-s.opened:
		return s.s, s.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
