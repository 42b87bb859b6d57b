package ankurah

import (
	"github.com/ankurah/ankurah-go/ankql"
	"github.com/ankurah/ankurah-go/entity"
)

// selection is what a principal asked for, narrowed to what it may read.
type selection struct {
	sel   *ankql.Selection
	allow func(*entity.State) bool
}

func (s *Session) narrow(sel *ankql.Selection) (*selection, error) {
	narrowed, allow, err := s.n.core.Narrow(sel, s.p)
	if err != nil {
		return nil, err
	}
	return &selection{narrowed, allow}, nil
}
