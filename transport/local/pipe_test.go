package local_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"

	"github.com/ankurah/ankurah-go/transport"
	"github.com/ankurah/ankurah-go/transport/local"
)

// S33: what is under way is bounded by frames and by bytes; a frame larger than
// the bound goes alone.
func TestPipeIsBounded(t *testing.T) {
	for _, c := range []struct{ size, fit int }{{1, 64}, {16 << 10, 64}, {100 << 10, 10}, {1 << 20, 1}, {8 << 20, 1}} {
		a, b := local.Pipe()
		try := a.(transport.TrySender)
		for range 3 {
			n := 0
			for try.TrySend(make([]byte, c.size)) {
				n++
			}
			if n != c.fit {
				t.Errorf("%d frames of %d bytes are under way; want %d", n, c.size, c.fit)
			}
			for range n {
				if f, err := b.Receive(t.Context()); err != nil || len(f) != c.size {
					t.Fatal(len(f), err)
				}
			}
		}
		_ = a.Close()
	}
}

// Frames arrive whole, in order, and those that were sent before the end too;
// whoever waits hears of the end.
func TestPipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := local.Pipe()
		const n = 5000
		go func() {
			for k := range n {
				f := make([]byte, 2+rand.IntN(40_000))
				f[0], f[1] = byte(k), byte(k>>8)
				if err := a.Send(t.Context(), f); err != nil {
					t.Error(err)
					return
				}
			}
			_ = a.Close()
		}()
		for k := range n {
			f, err := b.Receive(t.Context())
			if err != nil || f[0] != byte(k) || f[1] != byte(k>>8) {
				t.Fatalf("frame %d: %v", k, err)
			}
		}
		if _, err := b.Receive(t.Context()); !errors.Is(err, transport.ErrClosed) {
			t.Errorf("at the end: %v", err)
		}
		if err := b.Send(t.Context(), nil); !errors.Is(err, transport.ErrClosed) {
			t.Errorf("behind the end: %v", err)
		}

		a, b = local.Pipe()
		ended := make(chan error, 2)
		go func() {
			_, err := b.Receive(t.Context())
			ended <- err
		}()
		go func() {
			var err error
			for err == nil {
				err = b.Send(t.Context(), make([]byte, 1<<20))
			}
			ended <- err
		}()
		synctest.Wait()
		_ = a.Close()
		for range 2 {
			if err := <-ended; !errors.Is(err, transport.ErrClosed) {
				t.Error(err)
			}
		}
		a, b = local.Pipe()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := b.Receive(ctx); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		_ = a.Close()
	})
}
