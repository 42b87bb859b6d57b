// Program does what the runtime needs its tables for: it collects garbage
// under deep stacks that grow, panics and recovers, names functions.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

type list struct {
	next *list
	n    int
}

// grow has pointers in every frame, and the collector move through them.
func grow(n int, before *list) *list {
	l := &list{before, n}
	if n%100 == 0 {
		runtime.GC()
	}
	if n == 0 {
		return l
	}
	end := grow(n-1, l)
	if l.n != n || before != nil && before.n != n+1 {
		panic("a frame lost its pointers")
	}
	return end
}

func small(x []int, k int) int { return x[k] } // to be inlined

func recovered() (text string) {
	defer func() { text = fmt.Sprint(recover()) }()
	return fmt.Sprint(small(nil, len(os.Args)+2))
}

func nested() (text string) {
	defer func() {
		text = fmt.Sprint("outer: ", recover())
	}()
	defer func() {
		func() { recover() }() // not called by the deferred function itself
	}()
	panic("kept")
}

func callers() string {
	pcs := make([]uintptr, 10)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	f, _ := frames.Next()
	return f.Function
}

func main() {
	n := 0
	for l := grow(2000, nil); l != nil; l = l.next {
		n++
	}
	done := make(chan int)
	for k := range 50 {
		go func() {
			time.Sleep(time.Millisecond)
			grow(k, nil)
			done <- k
		}()
	}
	sum := 0
	for range 50 {
		sum += <-done
	}
	stack := make([]byte, 1<<12)
	stack = stack[:runtime.Stack(stack, false)]
	fmt.Println(n, sum, recovered(), nested(), callers(), strings.Contains(string(stack), "main.main"))
	var none *list
	none.n = 1
}
