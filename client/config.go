package client

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// DefaultServer is where a node listens by default.
const DefaultServer = "http://127.0.0.1:7420"

// Config says how to reach a cluster. The zero Config is a node on this machine.
type Config struct {
	// Servers are base URLs of nodes, such as "http://10.0.0.1:7420"; one is
	// enough, more are tried in their order when one does not answer. Without a
	// scheme it is http. Default: DefaultServer alone.
	Servers []string
	// HTTPClient sends all requests. It must speak HTTP/2 (without TLS too where
	// a server's URL is http) and must not have a Timeout, which would end tails.
	// Default: a client of its own with connect timeouts and pings.
	HTTPClient *http.Client
	// Logger gets a debug line for each reconnect. Default: none.
	Logger *slog.Logger
	// GiveUpAfter is how long a call goes on trying while no server serves it;
	// then it ends as if its context had. 0: until its context ends.
	GiveUpAfter time.Duration
}

func (cfg Config) normalised() (Config, error) {
	if len(cfg.Servers) == 0 {
		cfg.Servers = []string{DefaultServer}
	}
	servers := make([]string, 0, len(cfg.Servers))
	for _, s := range cfg.Servers {
		base, err := normaliseServer(s)
		if err != nil {
			return cfg, err
		}
		servers = append(servers, base)
	}
	cfg.Servers = servers
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = defaultHTTPClient()
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.GiveUpAfter < 0 {
		return cfg, fmt.Errorf("check GiveUpAfter: %v is negative", cfg.GiveUpAfter)
	}
	return cfg, nil
}

func normaliseServer(s string) (string, error) {
	raw := strings.TrimSpace(s)
	if !strings.Contains(raw, "://") {
		raw = "http://" + raw
	}
	u, err := url.Parse(raw)
	if err != nil {
		return "", fmt.Errorf("check server %q: %w", s, err)
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return "", fmt.Errorf("check server %q: scheme %q is neither http nor https", s, u.Scheme)
	case u.Host == "":
		return "", fmt.Errorf("check server %q: no host", s)
	case u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return "", fmt.Errorf("check server %q: more than scheme, host and path", s)
	}
	return u.Scheme + "://" + u.Host + strings.TrimRight(u.Path, "/"), nil
}

// Timeouts of the default HTTP client. A server that is gone without a word (its
// machine lost, its process stopped) is noticed after pingAfter+pingTimeout.
const (
	dialTimeout = 1 * time.Second
	pingAfter   = 2 * time.Second
	pingTimeout = 2 * time.Second
)

func defaultHTTPClient() *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}
	return &http.Client{Transport: &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dialer.DialContext,
		TLSHandshakeTimeout: 5 * time.Second,
		IdleConnTimeout:     90 * time.Second,
		Protocols:           protocols,
		HTTP2: &http.HTTP2Config{
			SendPingTimeout: pingAfter,
			PingTimeout:     pingTimeout,
			// Not the connection's, whose default is 1 GiB: a tail that is not read
			// would keep the results of commits from coming.
			MaxReceiveBufferPerStream: 1 << 20,
		},
	}}
}
