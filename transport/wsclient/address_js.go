package wsclient

import (
	"errors"
	"strconv"
	"strings"
	"syscall/js"
)

// address is that of a server. Browsers can read them: package net/url comes
// with package fmt.
type address struct{ text, redacted string }

func (a *address) String() string { return a.text }

// Redacted returns the address without its password.
func (a *address) Redacted() string { return a.redacted }

func parseAddress(s string) (*address, error) {
	s, _, _ = strings.Cut(s, "#")
	scheme, rest, found := strings.Cut(s, ":")
	if !found || strings.ContainsAny(scheme, "/?") {
		scheme, rest = "", s
	}
	scheme, err := socketScheme(strings.ToLower(scheme))
	if err != nil {
		return nil, err
	}
	// A browser would take what follows further slashes for the host.
	host, ok := strings.CutPrefix(rest, "//")
	if k := strings.IndexAny(host, "/?"); k >= 0 {
		host = host[:k]
	}
	host = host[strings.LastIndexByte(host, '@')+1:]
	if !ok || host == "" {
		return nil, errNoHost
	}
	if k := strings.LastIndexByte(host, ':'); k > strings.LastIndexByte(host, ']') && strings.Trim(host[k+1:], "0123456789") != "" {
		return nil, errors.New("invalid port " + strconv.Quote(host[k:]) + " after host")
	}
	a := &address{text: scheme + ":" + rest}
	u, err := parseURL(a.text)
	if err != nil {
		return nil, err
	}
	a.redacted = a.text
	if u.Get("password").String() != "" {
		u.Set("password", "xxxxx")
		a.redacted = u.Get("href").String()
	}
	return a, nil
}

// parseURL has the browser read a URL.
func parseURL(s string) (u js.Value, err error) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(js.Error); !ok {
				panic(r)
			}
			err = errors.New("it is not a URL")
		}
	}()
	return js.Global().Get("URL").New(s), nil
}
