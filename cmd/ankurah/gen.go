package main

import "github.com/ankurah/ankurah-go/internal/gen"

// genCommand is ankurah-gen under another name: it reads its own flags.
type genCommand struct {
	Args []string `arg:"" optional:""`
}

func (c *genCommand) Run(a *app) error {
	if code := gen.Command("ankurah gen", c.Args, a.out, a.err); code != 0 {
		return exited(code)
	}
	return nil
}
