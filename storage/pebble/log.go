package pebble

import (
	"errors"
	"fmt"
	"sync"
)

// log passes Pebble's messages on. Where Pebble expects its logger to end the
// process, it keeps the error instead, and the store fails from then on.
type log struct {
	to     Logger        // nil: nowhere
	failed chan struct{} // closed at the first fatal error

	mu   sync.Mutex // guards what follows
	err  error      // the first fatal error
	stop bool       // closing would wait for ever
}

func newLog() *log { return &log{failed: make(chan struct{})} }

func (l *log) Infof(format string, args ...any) {
	if l.to != nil {
		l.to.Info("pebble: " + fmt.Sprintf(format, args...))
	}
}

func (l *log) Errorf(format string, args ...any) {
	if l.to != nil {
		l.to.Error("pebble: " + fmt.Sprintf(format, args...))
	}
}

func (l *log) Fatalf(format string, args ...any) {
	msg := fmt.Sprintf(format, args...)
	err := errors.New(msg)
	for _, a := range args {
		if cause, ok := a.(error); ok {
			err = &fatalError{msg, cause}
		}
	}
	l.fail(err)
	l.Errorf("%s", msg)
}

// fail keeps err unless there was one before.
func (l *log) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = err
		close(l.failed)
	}
}

func (l *log) fatal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

func (l *log) jam() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stop = true
}

func (l *log) jammed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stop
}

// fatalError is what Pebble said, with the cause.
type fatalError struct {
	msg   string
	cause error
}

func (e *fatalError) Error() string { return e.msg }
func (e *fatalError) Unwrap() error { return e.cause }
