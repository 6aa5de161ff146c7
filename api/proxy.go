package api

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/edri-io/edri/event"
)

// proxiedHeader marks a request that another node passed on: it goes no further.
const proxiedHeader = "Edri-Proxied"

// leaderPing is how often a leader that says nothing is asked whether it is there, and
// how long it may take to answer.
const leaderPing = 3 * time.Second

// Guide knows who leads; see consensus.Node.
type Guide interface {
	Leader() (serverID, apiURL string)
	ServerID() string
}

// atLeader serves a request here if this node leads, else at the leader, so that a
// member may come to any node.
func (s *service) atLeader(here http.Handler) http.Handler {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	protocols.SetHTTP2(true)
	transport := &http.Transport{Protocols: protocols, HTTP2: &http.HTTP2Config{
		SendPingTimeout: leaderPing, PingTimeout: leaderPing,
	}}
	writer := connect.NewErrorWriter()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, base := s.cfg.Node.Leader()
		if id == "" || id == s.cfg.Node.ServerID() || r.Header.Get(proxiedHeader) != "" {
			here.ServeHTTP(w, r) // which says what it can, or that there is no leader
			return
		}
		fail := func(why string) {
			_ = writer.Write(w, r, rpcError(event.Errorf(event.CodeUnavailable, "%s", why))) // the caller is gone otherwise
		}
		target, err := url.Parse(base)
		if base == "" || err != nil {
			fail("where the leader's API is, is not known")
			return
		}
		in := &incoming{ctx: r.Context()}
		proxy := &httputil.ReverseProxy{
			Rewrite: func(p *httputil.ProxyRequest) {
				p.SetURL(target)
				p.Out.Header.Set(proxiedHeader, s.cfg.Node.ServerID())
			},
			// The leader may end a stream that the member does not: net/http then waits, to
			// close the response, for the rest of the request, which does not come.
			ModifyResponse: func(response *http.Response) error {
				response.Body = endingBody{response.Body, in.end}
				return nil
			},
			// Nor is the response of a broken connection over before the read of the request
			// is, which net/http ends by closing a body that ReverseProxy keeps open.
			Transport: roundTripper(func(out *http.Request) (*http.Response, error) {
				if out.Body != nil {
					out.Body = endingBody{out.Body, in.end}
				}
				return transport.RoundTrip(out)
			}),
			FlushInterval: -1, // each frame is on its way at once
			ErrorHandler: func(_ http.ResponseWriter, _ *http.Request, err error) {
				s.cfg.Logger.Debug("a stream could not be passed on to the leader", "leader", base, "error", err)
				fail("the leader cannot be reached")
			},
			ErrorLog: slog.NewLogLogger(s.cfg.Logger.Handler(), slog.LevelDebug),
		}
		defer in.over()
		ctx, cancel := s.untilStop(r.Context())
		defer cancel()
		proxy.ServeHTTP(w, r.WithContext(ctx))
	})
}

// roundTripper is a function as an http.RoundTripper.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(out *http.Request) (*http.Response, error) { return f(out) }

// incoming is a request whose body can be ended from any goroutine: the transport closes
// what it sends also after the handler has returned, when there is no response any more.
type incoming struct {
	ctx      context.Context
	mu       sync.Mutex
	returned bool
}

func (i *incoming) end() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.returned {
		stopReading(i.ctx)
	}
}

// over is for the handler's return.
func (i *incoming) over() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.returned = true
}

// endingBody is a body of a proxied request or response whose end ends the member's
// request too.
type endingBody struct {
	io.ReadCloser
	endRequest func()
}

func (b endingBody) Close() error {
	b.endRequest()
	return b.ReadCloser.Close()
}
