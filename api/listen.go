package api

import (
	"net/http"
	"time"
)

const (
	maxHeaderBytes = 64 << 10
	// Streams that one connection may have open: the client's lanes and tails.
	maxStreams = 1024
	// What a connection, and one stream of it, may send ahead of the handlers: a
	// stream that is held back must leave room for the others.
	connectionBuffer = 4<<20 - 1 // net/http allows no more
	streamBuffer     = 1 << 20
)

// A peer that is gone without a word (its machine lost, its process stopped) frees its
// streams after pingAfter+pingTimeout: as long a member of a subscription that is none any
// more may be given events, which then come again. A client waits less long for the server.
const (
	pingAfter   = 5 * time.Second
	pingTimeout = 5 * time.Second
)

// NewServer returns a server for the handler that speaks HTTP/1.1 and HTTP/2
// without TLS on one port, with bounds on what a connection may take.
func NewServer(handler http.Handler) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:        handler,
		Protocols:      protocols,
		MaxHeaderBytes: maxHeaderBytes,
		// Requests and answers themselves may stream without end.
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          maxStreams,
			MaxReceiveBufferPerConnection: connectionBuffer,
			MaxReceiveBufferPerStream:     streamBuffer,
			SendPingTimeout:               pingAfter,
			PingTimeout:                   pingTimeout,
		},
	}
}
