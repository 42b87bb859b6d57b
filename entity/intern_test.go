package entity

import (
	"fmt"
	"sync"
	"testing"
	"unsafe"
)

// Equal names share their bytes, up to a bound; many names cost little.
func TestIntern(t *testing.T) {
	var table nameTable
	for round := range 2 {
		for k := range 2 * maxInterned {
			name := fmt.Sprintf("name %d", k)
			first, again := table.intern([]byte(name)), table.intern([]byte(name))
			if first != name || again != name {
				t.Fatalf("%q is %q and %q", name, first, again)
			}
			if same := unsafe.StringData(first) == unsafe.StringData(again); same != (k < maxInterned) {
				t.Fatalf("round %d: name %d is shared: %v", round, k, same)
			}
		}
	}
	if n := len(*table.shared.Load()); n != maxInterned || len(table.fresh) > 0 {
		t.Errorf("%d names are kept, %d wait", n, len(table.fresh))
	}
	if allocs := testing.AllocsPerRun(10, func() { table.intern([]byte("name 7")) }); allocs > 0 {
		t.Errorf("a known name allocates %v times", allocs)
	}
}

// A name that is asked for often leaves the locked part.
func TestInternPublishes(t *testing.T) {
	var table nameTable
	for k := range 100 {
		table.intern(fmt.Appendf(nil, "%d", k))
	}
	table.intern([]byte("last"))
	for range 200 {
		table.intern([]byte("last"))
	}
	if _, ok := (*table.shared.Load())["last"]; !ok {
		t.Error("a name stays behind the lock")
	}
}

func TestInternConcurrently(t *testing.T) {
	var table nameTable
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for k := range 1000 {
				if name := fmt.Sprint(k); table.intern([]byte(name)) != name {
					t.Errorf("%s is another", name)
				}
			}
		})
	}
	wg.Wait()
}
