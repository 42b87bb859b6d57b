package names

import t "time"

//ankurah:model
type Night struct {
	Date t.Time
}
