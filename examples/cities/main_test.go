package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/examples/cities/model"
)

// The test binary stands in for the program where the demonstration starts
// itself as a server and as an editor.
func TestMain(m *testing.M) {
	flag.Parse()
	if *serving || *editing {
		main()
		return
	}
	os.Exit(m.Run())
}

// The whole demonstration on few cities, twice: the second time nothing is
// imported again.
func TestDemonstration(t *testing.T) {
	dir := t.TempDir()
	var list []row
	for k := range 2500 {
		r := row{Name: fmt.Sprintf("Town %04d", k), Country: "CH", Lat: "46.5", Lng: "-7.25"}
		if k%100 == 50 {
			r.Country = "IS"
		}
		list = append(list, r)
	}
	b, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	*file, *data = filepath.Join(dir, "cities.json"), filepath.Join(dir, "data")
	if err := os.WriteFile(*file, b, 0o644); err != nil {
		t.Fatal(err)
	}
	*rows = 5
	if err := demo(t.Context()); err == nil || !strings.Contains(err.Error(), "row 51 is the first of them") {
		t.Errorf("five rows: %v", err)
	}
	*rows = 0
	for range 2 {
		if err := demo(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	err = with(context.Background(), func(s *ankurah.Session) error {
		n, err := model.Cities.Count(t.Context(), s, "lat = 46.5 AND lng = -7.25")
		if err == nil && n != 2500 {
			err = fmt.Errorf("%d cities", n)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
