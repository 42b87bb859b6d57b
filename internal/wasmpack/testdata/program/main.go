//go:debug panicnil=1

// Program does what the runtime needs its tables for: it collects garbage
// under deep stacks that grow, panics and recovers, names functions. And it has
// settings that the runtime counts, and records, if anybody would ask.
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

func (l *list) count() int { return l.n } // to be inlined

// unwound names the functions that a nil pointer ended.
func unwound(l *list) (names []string) {
	defer func() {
		pcs := make([]uintptr, 20)
		frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
		for more := recover() != nil; more; {
			var f runtime.Frame
			f, more = frames.Next()
			names = append(names, f.Function)
		}
	}()
	if len(os.Args) > 100 {
		names = append(names, callers())
	}
	return append(names, fmt.Sprint(l.count()))
}

func nothing() (v any) {
	defer func() { v = recover() }()
	panic(nil)
}

// early reads what its caller has before it calls anything, and its frame is
// what stacks have to grow for.
//
//go:noinline
func early(p *int, n int) int {
	var large [200]int
	large[n&127] = n
	*p += large[(n+1)&127] + 1
	return later(n) + large[n&127] - n
}

//go:noinline
func later(n int) int { return n }

// deep has early be called on stacks of many depths.
func deep(n int) (wrong int) {
	x := n
	if early(&x, n) != n || x != n+1 {
		wrong++
	}
	if n > 0 {
		wrong += deep(n - 1)
	}
	return wrong
}

// straight has a frame and calls nothing but what a nil pointer calls; its
// jumps are to what comes later.
//
//go:noinline
func straight(l *list, n int) int {
	var frame [20]int
	frame[n&15] = 1
	if n > 3 {
		frame[n&7] = n
	} else {
		frame[n&3] = 2
	}
	if frame[1] == 2 {
		return 5
	}
	return l.n + frame[n&15]
}

func fallen() (text string) {
	defer func() { text = fmt.Sprint(recover()) }()
	return fmt.Sprint(straight(nil, len(os.Args)+4))
}

func main() {
	runtime.MemProfileRate = 1
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
	fmt.Println(unwound(nil), nothing())
	wrong := make(chan int)
	go func() { wrong <- deep(300) }()
	fmt.Println(<-wrong, fallen())
	var none *list
	none.n = 1
}
