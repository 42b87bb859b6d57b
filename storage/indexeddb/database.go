//go:build js

package indexeddb

import (
	"encoding/binary"
	"errors"
	"syscall/js"

	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/storage/kv"
)

const (
	objects = "kv" // the object store

	// pageSize is how many records are read at a time.
	pageSize = 2000

	// chunk is how many writes of a transaction are handed over between two
	// turns of the event loop, which others may want to use.
	chunk = 128

	// header is the size of what stands before the key in a record.
	header = 8
)

var (
	uint8Array = js.Global().Get("Uint8Array")
	blob       = js.Global().Get("Blob")
	keyRange   = js.Global().Get("IDBKeyRange")
	factory    = js.Global().Get("indexedDB")
	relaxed    = js.ValueOf(map[string]any{"durability": "relaxed"})
	errNoUse   = errors.New("ankurah: this browser, or this context, has no IndexedDB: use another engine, such as memory")
)

// database is a connection to a database of the browser.
type database struct {
	name string
	db   js.Value
}

// open opens a database, and makes it if it may.
func open(name string, create bool) (*database, error) {
	if factory.IsUndefined() || factory.IsNull() {
		return nil, errNoUse
	}
	d := &database{name: name}
	var removed bool
	request, err := try(func() js.Value { return factory.Call("open", name, 1) })
	if err != nil {
		return nil, d.failed("open", err)
	}
	upgrade := js.FuncOf(func(js.Value, []js.Value) any {
		if create {
			request.Get("result").Call("createObjectStore", objects)
			return nil
		}
		removed = true
		request.Get("transaction").Call("abort")
		return nil
	})
	defer upgrade.Release()
	request.Set("onupgradeneeded", upgrade)
	d.db, err = result(request)
	switch {
	case removed:
		return nil, &Error{Op: "open", Database: name, Name: removedName, Message: "load the page again"}
	case err != nil:
		return nil, d.failed("open", err)
	}
	return d, nil
}

// remove removes a database.
func remove(name string) error {
	if factory.IsUndefined() || factory.IsNull() {
		return errNoUse
	}
	request, err := try(func() js.Value { return factory.Call("deleteDatabase", name) })
	if err == nil {
		_, err = result(request)
	}
	return (&database{name: name}).failed("remove", err)
}

func (d *database) close() { d.db.Call("close") }

// begin begins a transaction.
func (d *database) begin(mode string) (tx, store js.Value, err error) {
	tx, err = try(func() js.Value { return d.db.Call("transaction", objects, mode, relaxed) })
	if err != nil {
		return tx, store, err
	}
	return tx, tx.Call("objectStore", objects), nil
}

// page reads the records that follow a key, the first ones for none.
func (d *database) page(after []byte) (*kv.Batch, error) {
	_, store, err := d.begin("readonly")
	if err != nil {
		return nil, d.failed("read", err)
	}
	from := js.Undefined()
	if after != nil {
		from = keyRange.Call("lowerBound", toJS(after), true)
	}
	all, err := result(store.Call("getAll", from, pageSize))
	if err != nil {
		return nil, d.failed("read", err)
	}
	if all.Length() == 0 {
		return &kv.Batch{}, nil
	}
	// A Blob puts them together without a call for each.
	joined, err := await(blob.New(all).Call("arrayBuffer"))
	if err != nil {
		return nil, d.failed("read", err)
	}
	data := make([]byte, joined.Get("byteLength").Int())
	js.CopyBytesToGo(data, uint8Array.New(joined))
	b := &kv.Batch{Writes: make([]kv.Write, 0, all.Length())}
	for len(data) > 0 {
		var w kv.Write
		if w.Key, w.Value, data, err = record(data); err != nil {
			return nil, &storage.CorruptError{What: "indexeddb:" + d.name, Err: err}
		}
		b.Writes = append(b.Writes, w)
	}
	return b, nil
}

// record reads a record.
func record(data []byte) (key, value, rest []byte, err error) {
	if len(data) < header {
		return nil, nil, nil, errRecord
	}
	k, v := uint64(binary.BigEndian.Uint32(data)), uint64(binary.BigEndian.Uint32(data[4:]))
	if data = data[header:]; k+v > uint64(len(data)) {
		return nil, nil, nil, errRecord
	}
	return data[:k:k], data[k : k+v : k+v], data[k+v:], nil
}

var errRecord = errors.New("a record is not as long as it says")

// appendRecord appends a record.
func appendRecord(b []byte, w kv.Write) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(w.Key)))
	b = binary.BigEndian.AppendUint32(b, uint32(len(w.Value)))
	return append(append(b, w.Key...), w.Value...)
}

// write makes writes in one transaction, and returns when it is complete.
func (d *database) write(writes []kv.Write) error {
	tx, store, err := d.begin("readwrite")
	if err != nil {
		return d.failed("write", err)
	}
	var failed error // what was thrown, and made us abort
	done := make(chan error, 1)
	complete := js.FuncOf(func(js.Value, []js.Value) any {
		done <- nil
		return nil
	})
	defer complete.Release()
	abort := js.FuncOf(func(js.Value, []js.Value) any {
		if failed == nil {
			failed = exception(tx.Get("error"))
		}
		done <- failed
		return nil
	})
	defer abort.Release()
	tx.Set("oncomplete", complete)
	tx.Set("onabort", abort)
	var next js.Func
	hand := func() js.Value {
		n := min(chunk, len(writes))
		last := put(store, writes[:n])
		if writes = writes[n:]; len(writes) > 0 {
			last.Set("onsuccess", next)
			return last
		}
		return tx.Call("commit")
	}
	step := func() {
		if _, err := try(hand); err != nil {
			failed = err
			_, _ = try(func() js.Value { return tx.Call("abort") }) // unless it has ended
		}
	}
	next = js.FuncOf(func(js.Value, []js.Value) any {
		step()
		return nil
	})
	defer next.Release()
	step()
	return d.failed("write", <-done)
}

// put asks for writes and returns the last request.
func put(store js.Value, writes []kv.Write) (request js.Value) {
	var packed []byte
	for _, w := range writes {
		packed = appendRecord(packed, w)
	}
	data := toJS(packed)
	at := 0
	for _, w := range writes {
		end := at + header + len(w.Key) + len(w.Value)
		key := data.Call("slice", at+header, at+header+len(w.Key))
		if w.Delete {
			request = store.Call("delete", key)
		} else {
			request = store.Call("put", data.Call("slice", at, end), key)
		}
		at = end
	}
	return request
}

// toJS copies bytes into a new Uint8Array.
func toJS(b []byte) js.Value {
	v := uint8Array.New(len(b))
	js.CopyBytesToJS(v, b)
	return v
}
