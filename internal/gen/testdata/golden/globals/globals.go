// Package globals has models that are called like what generated TypeScript uses.
package globals

import (
	"time"

	"github.com/ankurah/ankurah-go"
)

type (
	// Date is called like what times are.
	//
	//ankurah:model
	Date struct {
		At    time.Time
		Raw   []byte
		Doc   ankurah.JSON
		Part  ankurah.Ref[Partial]
		Count int
	}

	// Uint8Array is called like what bytes are.
	//
	//ankurah:model plural=Uint8ArrayList
	Uint8Array struct{ Raw []byte }

	// Json is called like a type of the client.
	//
	//ankurah:model
	Json struct{ Doc ankurah.JSON }

	// Ref is, too.
	//
	//ankurah:model
	Ref struct{ Date ankurah.Ref[Date] }

	// model is what the client describes models with.
	//
	//ankurah:model
	model struct{ Constructor, ToString string }

	// Partial is what patches are made with.
	//
	//ankurah:model
	Partial struct{ HTTPPort, OAuth2Token, A_1, B2B, Größe string }
)

var _ = models
