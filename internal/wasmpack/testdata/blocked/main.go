// Program blocked asks for what is left out of programs that do not: who waits
// for whom, and where goroutines are. It asks by functions that the compiler
// puts into others.
package main

import (
	"fmt"
	"runtime"
	"sync"
	"time"
)

func main() {
	runtime.SetMutexProfileFraction(1)
	runtime.SetBlockProfileRate(1)
	var mu sync.Mutex
	mu.Lock()
	done := make(chan bool)
	for range 3 {
		go func() {
			mu.Lock()
			time.Sleep(time.Millisecond)
			mu.Unlock()
			done <- true
		}()
	}
	time.Sleep(time.Millisecond)
	mu.Unlock()
	for range 3 {
		<-done
	}
	mutexes, _ := runtime.MutexProfile(nil)
	blocks, _ := runtime.BlockProfile(nil)
	records := make([]runtime.StackRecord, 100)
	goroutines, ok := runtime.GoroutineProfile(records)
	fmt.Println(mutexes > 0, blocks > 0, goroutines > 0, ok)
}
