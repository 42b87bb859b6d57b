package inbox_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/ankurah/ankurah-go/internal/inbox"
)

func receive(t *testing.T, b *inbox.Inbox, want string) {
	t.Helper()
	if got, err := b.Receive(t.Context()); err != nil || string(got) != want {
		t.Errorf("received %q, %v; want %q", got, err, want)
	}
}

func TestOrderAndEnd(t *testing.T) {
	b, over := inbox.New(), errors.New("over")
	b.Put([]byte("a"), 9)
	b.Put(nil, 9)
	b.Put([]byte("b"), 9)
	receive(t, b, "a")
	if err, first := b.End(over); err != over || !first {
		t.Error(err, first)
	}
	if err, first := b.End(errors.New("again")); err != over || first {
		t.Error(err, first)
	}
	b.Put([]byte("late"), 9)
	receive(t, b, "")
	receive(t, b, "b")
	for range 2 {
		if _, err := b.Receive(t.Context()); err != over || b.Err() != over {
			t.Error(err)
		}
	}
}

func TestLimit(t *testing.T) {
	b := inbox.New()
	for k, want := range []bool{true, false, false} { // one is taken whatever its size
		if got := b.Put(make([]byte, 10), 5); got != want {
			t.Errorf("frame %d taken: %v", k, got)
		}
	}
	receive(t, b, string(make([]byte, 10)))
	for k, want := range []bool{true, true, false} {
		if got := b.Put(make([]byte, 3), 6); got != want {
			t.Errorf("frame %d taken: %v", k, got)
		}
	}
}

func TestReceiveWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, over := inbox.New(), errors.New("over")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { _, err := b.Receive(ctx); done <- err }()
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		go func() { _, err := b.Receive(t.Context()); done <- err }()
		synctest.Wait()
		b.Put([]byte("x"), 9)
		if err := <-done; err != nil {
			t.Error(err)
		}
		b.Put([]byte("forgotten"), 9)
		b.Close(over)
		if _, err := b.Receive(t.Context()); err != over {
			t.Error(err)
		}
	})
}
