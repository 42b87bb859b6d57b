package features

import (
	"time"

	"github.com/ankurah/ankurah-go"
)

// Option has every option of tags.
//
//ankurah:model name=choice plural=Choices
//ankurah:index count, title desc
//ankurah:index extra.genre asc , extra."a.b"."say ""hi""" DESC
type Option struct {
	Name    string        `ankurah:"title,index" json:"name"`
	Kept    string        `ankurah:"key=old_name"`
	Index   string        `ankurah:"key=index,index"`
	Dish    string        `ankurah:",default=soup,enum=soup|'fish, fried'|'a|b'"`
	Genre   Genre         `ankurah:", enum=rock|pop , default=pop"`
	Label   *string       `ankurah:",default='it''s, so'"`
	Empty   string        `ankurah:",default="`
	Flag    bool          `ankurah:",default=true"`
	Count   int32         `ankurah:",default=-7"`
	Byte    uint8         `ankurah:",default=255"`
	Big     int           `ankurah:",default=5000000000"`
	Half    float64       `ankurah:",default=0.5"`
	Whole   float32       `ankurah:",default=3"`
	Tiny    float64       `ankurah:",default=1e-9"`
	Took    time.Duration `ankurah:",default=1000"`
	Day     time.Time     `ankurah:",default=2006-01-02"`
	Moment  time.Time     `ankurah:",default=2006-01-02T15:04:05.000001+02:00"`
	Extra   ankurah.JSON  `ankurah:",index"`
	Größe   int
	UserIDs []ankurah.ID
}

// hidden is a model of this package alone.
//
//ankurah:model
type hidden struct {
	Name string
}

// Marker says something by being there.
//
//ankurah:model
type Marker struct{}

type (
	// Grouped is declared among others.
	//
	//ankurah:model
	Grouped struct {
		OAuth2Token string
		HTTPPort    uint16
	}
)

// Count uses names that are generated.
func Count(v OptionView, m *OptionMutable) int {
	return len(v.Name()) + len(m.Dish.Get()) + len(Choices.Name()) + len(OptionFieldName) + len(hiddens.Name())
}
