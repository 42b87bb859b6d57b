// Program traced asks for what is left out of programs that do not: it traces
// itself, and reads metrics.
package main

import (
	"bytes"
	"fmt"
	"runtime"
	"runtime/metrics"
	"runtime/trace"
	"time"
)

func main() {
	var b bytes.Buffer
	err := trace.Start(&b)
	done := make(chan bool)
	go func() {
		runtime.GC()
		time.Sleep(time.Millisecond)
		close(done)
	}()
	<-done
	trace.Stop()
	samples := []metrics.Sample{{Name: "/sched/goroutines:goroutines"}, {Name: "/sched/pauses/total/gc:seconds"}}
	metrics.Read(samples)
	fmt.Println(err, b.Len() > 1000, samples[0].Value.Uint64() > 0, len(samples[1].Value.Float64Histogram().Counts) > 0)
}
