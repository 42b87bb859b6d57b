// Package webhost runs a node for web pages: in a SharedWorker for all tabs of
// an origin, in a worker of one page where there are none, or in the page.
//
//	func main() {
//		err := webhost.Run(func(ctx context.Context, engine storage.Engine) (webhost.Accept, error) {
//			node, err := ankurah.OpenNode(ctx, engine, nil)
//			if err != nil {
//				return nil, err
//			}
//			if _, err := wsclient.Dial(node, "/ankurah", nil); err != nil {
//				return nil, err
//			}
//			return port.NewServer(node, nil).Accept, nil
//		})
//		log.Fatal(err)
//	}
//
// It is there for GOOS=js only. The other half is web/worker, in JavaScript,
// which starts the program, routes the pages' MessagePorts to it, and says in
// its README how pages connect.
//
// # One database, one program
//
// web/worker takes a Web Lock for the database before it starts the program,
// and asks who has it otherwise. A program of another build is waited for, while
// the pages of both are told; beside one of the same build the program works in
// memory.
//
// # The bridge
//
// Frames cross as bytes, by functions that WebAssembly imports and exports:
// a call costs nanoseconds, through syscall/js microseconds. What JavaScript
// calls must not wait; it puts things down for goroutines, which run when
// JavaScript lets the program go on.
//
// # Order and ownership
//
// Frames of a page arrive whole and in order. Each page has a goroutine, in which
// its Accept runs. A page that is gone ends its connection. The program ends with
// the worker; what is durable by then is in the database.
//
// A panic ends the program, and so does a fatal error. web/worker tells the
// pages why and ends the worker, and they start another one.
package webhost
