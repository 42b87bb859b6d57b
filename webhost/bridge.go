//go:build js

package webhost

import (
	"unsafe"

	"github.com/ankurah/ankurah-go/internal/inbox"
	"github.com/ankurah/ankurah-go/transport"
)

// What web/worker provides. Bytes are copied before these return; strings are
// UTF-8.

//go:wasmimport ankurah send
func hostSend(page int32, data unsafe.Pointer, size int32)

//go:wasmimport ankurah over
func hostOver(page int32, reason unsafe.Pointer, size int32)

//go:wasmimport ankurah ready
func hostReady()

//go:wasmimport ankurah failed
func hostFailed(reason unsafe.Pointer, size int32)

func send(page int32, frame []byte) {
	hostSend(page, unsafe.Pointer(unsafe.SliceData(frame)), int32(len(frame)))
}

func over(page int32, reason string) {
	hostOver(page, unsafe.Pointer(unsafe.StringData(reason)), int32(len(reason)))
}

func ready() { hostReady() }

func failed(reason string) {
	hostFailed(unsafe.Pointer(unsafe.StringData(reason)), int32(len(reason)))
}

// What web/worker calls, from the event loop. None of it waits; what it woke
// runs when JavaScript resumes the program.

// arriving is the frame that JavaScript is about to fill.
var arriving []byte

// buffer returns where a frame of that size is to be written.
//
//go:wasmexport ankurah_buffer
func buffer(size int32) unsafe.Pointer {
	arriving = make([]byte, size, size+1) // so that an empty one has an address
	return unsafe.Pointer(unsafe.SliceData(arriving))
}

// receive takes the frame that was written.
//
//go:wasmexport ankurah_receive
func receive(page int32) {
	frame := arriving
	arriving = nil
	c := pages.get(page)
	switch {
	case c == nil: // it has ended meanwhile
	case len(frame) > transport.MaxFrame:
		c.end(sizeError(len(frame)))
	case !c.inbox.Put(frame, waiting):
		c.end(errFast)
	}
}

// connect begins the connection of a page.
//
//go:wasmexport ankurah_connect
func connect(page int32) {
	c := &conn{page: page, inbox: inbox.New()}
	pages.add(c)
	go serve(c)
}

// disconnect ends the connection of a page that is gone.
//
//go:wasmexport ankurah_disconnect
func disconnect(page int32) {
	if c := pages.get(page); c != nil {
		c.end(errGone)
	}
}
