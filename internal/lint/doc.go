// Package lint holds tests about the shape of the code: who may import whom,
// and what may be linked into the browser.
package lint
