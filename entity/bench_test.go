package entity_test

import (
	"testing"

	"github.com/ankurah/ankurah-go/entity"
	"github.com/ankurah/ankurah-go/id"
	"github.com/ankurah/ankurah-go/property/lww"
	"github.com/ankurah/ankurah-go/value"
)

// BenchmarkDecode reads a state with five properties, as a scan does for each
// row.
func BenchmarkDecode(b *testing.B) {
	l := &line{t: b, root: id.New(1, [8]byte{1})}
	st := applyAll(b, nil, l.event(nil, lww.Set("name", value.String("city 50000")), lww.Set("country", value.String("QQ")),
		lww.Set("lat", value.Float64(1.5)), lww.Set("lng", value.Float64(-7.25)), lww.Set("population", value.Int64(50_000))))
	encoded := st.Append(nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := entity.Decode(st.Collection(), st.ID(), encoded); err != nil {
			b.Fatal(err)
		}
	}
}
