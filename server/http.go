package server

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"net/netip"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/edri-io/edri/api"
)

// openHTTP prepares the HTTP server: the API, and what an operator looks at.
func (s *Server) openHTTP() error {
	registry, err := newRegistry(s.node.Status, s.router.Stats, &timesCollector{s.node, s.cron}, &keysCollector{s.node}, &workflowsCollector{s.node, s.workflows})
	if err != nil {
		return err
	}
	streams, endStreams := context.WithCancel(context.Background()) // ended by stop
	handler, err := api.Handler(api.Config{
		Node:       s.node,
		Router:     s.router,
		Keys:       true,
		Schedules:  s.cron,
		Workflows:  s.workflows,
		Limits:     s.cfg.Limits,
		Version:    ReadBuild().Version,
		Registerer: registry,
		Metrics: promhttp.HandlerFor(registry, promhttp.HandlerOpts{
			ErrorHandling: promhttp.ContinueOnError, // a node that is in trouble is the one to look at
			ErrorLog:      metricsLog{s.logger},
		}),
		Lifetime: streams,
		Corrupt:  s.node.Damaged,
		Logger:   s.logger,
	})
	if err != nil {
		endStreams()
		return err
	}
	s.endStreams = endStreams
	s.http = api.NewServer(withAdmin(handler))
	// What it says is about clients that misbehave.
	s.http.ErrorLog = slog.NewLogLogger(s.logger.Handler(), slog.LevelDebug)
	return nil
}

// withAdmin adds the administrator's paths to the API.
func withAdmin(handler http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", handler)
	admin := http.NewServeMux()
	admin.HandleFunc("/debug/pprof/", pprof.Index)
	admin.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	admin.HandleFunc("/debug/pprof/profile", pprof.Profile)
	admin.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	admin.HandleFunc("/debug/pprof/trace", pprof.Trace)
	mux.Handle("/debug/pprof/", fromThisMachine(admin))
	return mux
}

// fromThisMachine refuses requests from elsewhere. Until there are rights, this
// is what an administrator is known by: profiles show memory and cost CPU.
func fromThisMachine(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil || !from.Addr().Unmap().IsLoopback() {
			http.Error(w, "only from the node's own machine", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// metricsLog is the logger of promhttp.
type metricsLog struct{ logger *slog.Logger }

func (l metricsLog) Println(v ...any) { l.logger.Error("metrics could not be collected", "error", v) }
