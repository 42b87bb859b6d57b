//go:build js

// Command node is the chat's node in the browser: it holds copies of what the
// page has looked at, works without the server, and syncs when it is there.
package main

import (
	"context"
	"syscall"
	"time"

	"github.com/ankurah/ankurah-go"
	"github.com/ankurah/ankurah-go/examples/chat/model"
	"github.com/ankurah/ankurah-go/port"
	"github.com/ankurah/ankurah-go/storage"
	"github.com/ankurah/ankurah-go/transport/wsclient"
	"github.com/ankurah/ankurah-go/webhost"
)

func main() {
	// The page is told why it could not start.
	_ = webhost.Run(func(ctx context.Context, engine storage.Engine) (webhost.Accept, error) {
		node, err := ankurah.OpenNode(ctx, engine, &ankurah.NodeOptions{Models: model.All})
		if err != nil {
			return nil, err
		}
		// src/ankurah.ts sets the variable.
		user, _ := syscall.Getenv("CHAT_USER") // package os would bring files along
		opts := &wsclient.Options{Credential: []byte(user), MaxBackoff: 5 * time.Second}
		if _, err := wsclient.Dial(node, "/ankurah", opts); err != nil {
			return nil, err
		}
		return port.NewServer(node, nil).Accept, nil
	})
}
