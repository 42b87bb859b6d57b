package signal_test

import (
	"fmt"
	"strings"

	"github.com/ankurah/ankurah-go/signal"
)

func Example() {
	first, last := signal.New("Ada"), signal.New("Lovelace")
	full := signal.Computed(func(t *signal.Tracker) string {
		return first.Get(t) + " " + last.Get(t)
	})
	e := signal.Effect(func(t *signal.Tracker) { fmt.Println("Hello", full.Get(t)) })
	defer e.Close()
	last.Set("King")
	// Output:
	// Hello Ada Lovelace
	// Hello Ada King
}

func ExampleComputedComparable() {
	stock := signal.New(10)
	available := signal.ComputedComparable(func(t *signal.Tracker) bool { return stock.Get(t) > 0 })
	e := signal.Effect(func(t *signal.Tracker) { fmt.Println("available:", available.Get(t)) })
	defer e.Close()
	stock.Set(5) // available stays true, the effect does not run
	stock.Set(0)
	// Output:
	// available: true
	// available: false
}

func ExampleBatch() {
	x, y := signal.New(1), signal.New(2)
	e := signal.Effect(func(t *signal.Tracker) { fmt.Println(x.Get(t), y.Get(t)) })
	defer e.Close()
	signal.Batch(func() {
		x.Set(y.Get(nil))
		y.Set(1)
	})
	// Output:
	// 1 2
	// 2 1
}

func ExampleValue_Update() {
	tags := signal.New([]string{"new"})
	tags.Update(func(tags []string) []string {
		return append(tags[:len(tags):len(tags)], "blue") // a new slice: readers have the old one
	})
	fmt.Println(tags.Get(nil))
	// Output: [new blue]
}

func ExampleFilter() {
	albums := signal.New([]string{"Amnesiac", "Kid A", "Showbiz", "Absolution"})
	withA := signal.Filter(albums, func(name string) bool { return strings.HasPrefix(name, "A") })
	count := signal.Map(withA, func(names []string) int { return len(names) })
	e := signal.Effect(func(t *signal.Tracker) { fmt.Println(count.Get(t), withA.Get(t)) })
	defer e.Close()
	albums.Update(func(names []string) []string { return names[1:] })
	// Output:
	// 2 [Amnesiac Absolution]
	// 1 [Absolution]
}

func ExampleCombine() {
	width, height := signal.New(2), signal.New(3)
	area := signal.Combine(width, height, func(w, h int) int { return w * h })
	width.Set(5)
	fmt.Println(area.Get(nil))
	// Output: 15
}

// A Thermometer is a signal of its own kind.
type Thermometer struct {
	source  signal.Source
	degrees float64 // guarded by a lock if it is used from several goroutines
}

func (m *Thermometer) Get(t *signal.Tracker) float64 {
	m.source.Track(t) // before the read
	return m.degrees
}

func (m *Thermometer) Measure(degrees float64) {
	m.degrees = degrees
	m.source.Notify() // after the write, with no lock held
}

func ExampleSource() {
	var m Thermometer
	e := signal.Effect(func(t *signal.Tracker) { fmt.Println(m.Get(t)) })
	defer e.Close()
	m.Measure(21.5)
	// Output:
	// 0
	// 21.5
}
