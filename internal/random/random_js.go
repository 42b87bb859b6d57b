package random

import "syscall/js"

// most is how much a browser gives at once.
const most = 65536

// Read fills b. It never fails: without randomness the program ends.
func Read(b []byte) {
	crypto, array := js.Global().Get("crypto"), js.Global().Get("Uint8Array")
	for len(b) > 0 {
		n := min(len(b), most)
		part := array.New(n)
		crypto.Call("getRandomValues", part)
		js.CopyBytesToGo(b[:n], part)
		b = b[n:]
	}
}
