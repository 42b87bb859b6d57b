// Package albums shows the everyday tasks over a typed model, one example for
// each: create, read, edit, query, follow and audit. The model and what
// ankurah-gen made of it are in the folder model.
//
// Everything runs on the engine in memory; a program that keeps its data opens
// another engine, and changes nothing else.
package albums
