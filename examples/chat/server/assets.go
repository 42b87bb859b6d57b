package main

import (
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
)

// assets serves the files that npm run build has made. Those with a hash in
// their name never change. A file that stands there with .br behind its name is
// sent compressed to browsers that take it, which is all of them on localhost
// and on https.
type assets struct {
	files  fs.FS
	server http.Handler
}

func newAssets(files fs.FS) (*assets, error) {
	if _, err := fs.Stat(files, "index.html"); err != nil {
		return nil, err
	}
	return &assets{files, http.FileServerFS(files)}, nil
}

const (
	forEver   = "public, max-age=31536000, immutable"
	askAlways = "no-cache"
)

func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
	if name == "" {
		name = "index.html"
	}
	h := w.Header()
	h.Set("Cache-Control", askAlways)
	if strings.HasPrefix(name, "assets/") {
		h.Set("Cache-Control", forEver)
	}
	h.Add("Vary", "Accept-Encoding")
	packed, err := fs.ReadFile(a.files, name+".br")
	if err != nil || r.Header.Get("Range") != "" || !accepts(r.Header.Get("Accept-Encoding"), "br") {
		if info, err := fs.Stat(a.files, name); err != nil || info.IsDir() {
			h.Del("Cache-Control")
			http.NotFound(w, r)
			return
		}
		a.server.ServeHTTP(w, r)
		return
	}
	kind := mime.TypeByExtension(path.Ext(name))
	if kind == "" {
		kind = "application/octet-stream"
	}
	h.Set("Content-Type", kind)
	h.Set("Content-Encoding", "br")
	h.Set("Content-Length", strconv.Itoa(len(packed)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(packed) // if not, the browser is gone
	}
}

// accepts says whether an Accept-Encoding header takes a coding.
func accepts(header, coding string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, weight, weighted := strings.Cut(part, ";")
		if !strings.EqualFold(strings.TrimSpace(name), coding) {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(weight), "q="), 64)
		return !weighted || err == nil && q > 0
	}
	return false
}
