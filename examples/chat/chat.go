// Package chat holds the sources of the chat, from which `ankurah new` makes new
// projects. README.md says what is where.
package chat

import "embed"

// Path is the import path that Go files of the chat know it by.
const Path = "github.com/ankurah/ankurah-go/examples/chat"

// Files are the chat's files, without those that npm and vite make.
//
//go:embed .gitignore README.md index.html package.json tsconfig.json vite.config.ts
//go:embed model node public server src
var Files embed.FS
