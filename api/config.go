package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/edri-io/edri/cron"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/router"
	"github.com/edri-io/edri/workflows/engine"
)

// Config configures the handler.
type Config struct {
	// Node serves the requests. Required.
	Node Node
	// Router is the node's router; nil: subscriptions and requests are not served.
	Router *router.Router
	// Keys says that the node has the state machine of keys; false: they are not served.
	Keys bool
	// Schedules is the node's scheduler; nil: schedules are not served.
	Schedules *cron.Scheduler
	// Workflows is the node's engine; nil: workflows are not served.
	Workflows *engine.Engine
	// Limits are the node's; they bound what is read of a request. Default:
	// event.DefaultLimits.
	Limits event.Limits
	// Version is what Status says that the node runs.
	Version string
	// Metrics serves /metrics; nil: there is none.
	Metrics http.Handler
	// Registerer gets the handler's own series; nil: they are not collected.
	Registerer prometheus.Registerer
	// Lifetime ends when streams must end because the node stops; they end as
	// unavailable, and clients go on elsewhere. Default: never.
	Lifetime context.Context
	// Corrupt is told of damaged data that a read met, which the caller saw as
	// internal and the log by its name: the node should stop. Default: nothing.
	Corrupt func(error)
	// Logger gets what callers must not see. Default: nothing.
	Logger *slog.Logger
}

func (cfg Config) normalised() (Config, error) {
	if cfg.Node == nil {
		return cfg, errors.New("api: Config.Node is required")
	}
	if cfg.Limits == (event.Limits{}) {
		cfg.Limits = event.DefaultLimits()
	}
	if cfg.Lifetime == nil {
		cfg.Lifetime = context.Background()
	}
	if cfg.Corrupt == nil {
		cfg.Corrupt = func(error) {}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return cfg, nil
}
