package main

import (
	"os"

	"github.com/ankurah/ankurah-go/internal/gen"
)

func main() { os.Exit(gen.Command("ankurah-gen", os.Args[1:], os.Stdout, os.Stderr)) }
