// Package model holds the model of the blog example.
package model

import "github.com/ankurah/ankurah-go"

//go:generate go tool ankurah-gen

// BlogPost is one post, in the collection blog_post.
//
//ankurah:model
type BlogPost struct {
	Title     string
	Content   string
	Author    string `ankurah:",index"`
	Published bool
	Tags      []string
	Meta      ankurah.JSON // whatever else the editors want to keep
}
