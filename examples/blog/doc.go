// Package blog walks through the query language on the posts of a blog: first
// a post from its draft to its readers, then one example for each kind of
// predicate. The model and what ankurah-gen made of it are in the folder model.
package blog
