//go:build js

package indexeddb

import (
	"context"
	"errors"
	"syscall/js"

	"github.com/ankurah/ankurah-go/storage"
)

// try calls f and returns what JavaScript throws in it as an error.
func try(f func() js.Value) (v js.Value, err error) {
	defer func() {
		if r := recover(); r != nil {
			thrown, ok := r.(js.Error)
			if !ok {
				panic(r)
			}
			err = thrown
		}
	}()
	return f(), nil
}

// outcome is what a request or a promise came to.
type outcome struct {
	value js.Value
	err   error
}

// result waits for a request.
func result(request js.Value) (js.Value, error) {
	done := make(chan outcome, 1)
	success := js.FuncOf(func(js.Value, []js.Value) any {
		done <- outcome{value: request.Get("result")}
		return nil
	})
	defer success.Release()
	failure := js.FuncOf(func(_ js.Value, args []js.Value) any {
		args[0].Call("preventDefault") // it is not the page's error
		done <- outcome{err: exception(request.Get("error"))}
		return nil
	})
	defer failure.Release()
	request.Set("onsuccess", success)
	request.Set("onerror", failure)
	o := <-done
	return o.value, o.err
}

// await waits for a promise.
func await(promise js.Value) (js.Value, error) {
	done := make(chan outcome, 1)
	fulfilled := js.FuncOf(func(_ js.Value, args []js.Value) any {
		done <- outcome{value: args[0]}
		return nil
	})
	defer fulfilled.Release()
	rejected := js.FuncOf(func(_ js.Value, args []js.Value) any {
		done <- outcome{err: exception(args[0])}
		return nil
	})
	defer rejected.Release()
	promise.Call("then", fulfilled, rejected)
	o := <-done
	return o.value, o.err
}

// lock takes the exclusive Web Lock of a database. The function that it returns
// gives it back and waits until that is so.
func lock(ctx context.Context, name string, wait bool) (unlock func(), err error) {
	locks := js.Global().Get("navigator").Get("locks")
	if locks.IsUndefined() {
		return nil, errors.New("ankurah: this page has no Web Locks, which guard its database: serve it over https, or from localhost")
	}
	var release js.Value
	keep := js.FuncOf(func(_ js.Value, args []js.Value) any {
		release = args[0]
		return nil
	})
	held := js.Global().Get("Promise").New(keep)
	keep.Release()

	got := make(chan bool, 1)
	granted := js.FuncOf(func(_ js.Value, args []js.Value) any {
		got <- !args[0].IsNull()
		if args[0].IsNull() {
			return nil
		}
		return held
	})
	defer granted.Release()
	options := map[string]any{"ifAvailable": !wait}
	abort := js.Global().Get("AbortController").New()
	if wait {
		options["signal"] = abort.Get("signal")
	}
	request := locks.Call("request", "ankurah:"+name, options, granted)
	ended := make(chan error, 1)
	go func() {
		_, err := await(request)
		ended <- err
	}()
	select {
	case ok := <-got:
		if !ok {
			return nil, &lockedError{name}
		}
		return func() {
			release.Invoke()
			<-ended
		}, nil
	case err := <-ended:
		return nil, (&database{name: name}).failed("lock", err)
	case <-ctx.Done():
	}
	abort.Call("abort")
	select {
	case <-got: // a moment before
		release.Invoke()
		<-ended
	case <-ended:
	}
	return nil, ctx.Err()
}

type lockedError struct{ name string }

func (e *lockedError) Error() string {
	return "ankurah: indexeddb:" + e.name + " is open in another page or worker: close it there, or connect to the node that has it"
}
func (e *lockedError) Unwrap() error { return storage.ErrLocked }
