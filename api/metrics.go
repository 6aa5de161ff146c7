package api

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the handler's own series.
type metrics struct {
	requests   *prometheus.CounterVec
	seconds    *prometheus.HistogramVec
	open       *prometheus.GaugeVec
	commits    prometheus.Counter
	eventsRead prometheus.Counter
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "edri_api_requests_total",
			Help: "Requests that have ended, by procedure and error code; a stream counts once.",
		}, []string{"procedure", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "edri_api_request_seconds",
			Help:    "Duration of requests with one answer, by procedure.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}, []string{"procedure"}),
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "edri_api_streams_open",
			Help: "Streams that are open, by procedure.",
		}, []string{"procedure"}),
		commits: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "edri_api_commits_total",
			Help: "Commits that callers sent to this node.",
		}),
		eventsRead: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "edri_api_events_read_total",
			Help: "Recorded events sent to readers.",
		}),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.requests, m.seconds, m.open, m.commits, m.eventsRead} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

// interceptor counts requests and turns handlers' errors into connect's.
type interceptor struct{ service *service }

var _ connect.Interceptor = (*interceptor)(nil)

// WrapUnary implements connect.Interceptor.
func (i *interceptor) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, r connect.AnyRequest) (connect.AnyResponse, error) {
		began := time.Now()
		response, err := next(ctx, r)
		err = i.service.failures.rpc(ctx, err)
		procedure := r.Spec().Procedure
		i.service.metrics.requests.WithLabelValues(procedure, codeLabel(err)).Inc()
		i.service.metrics.seconds.WithLabelValues(procedure).Observe(time.Since(began).Seconds())
		return response, err
	}
}

// WrapStreamingHandler implements connect.Interceptor.
func (i *interceptor) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		procedure := conn.Spec().Procedure
		open := i.service.metrics.open.WithLabelValues(procedure)
		open.Inc()
		defer open.Dec()
		err := i.service.failures.rpc(ctx, next(ctx, conn))
		i.service.metrics.requests.WithLabelValues(procedure, codeLabel(err)).Inc()
		return err
	}
}

// WrapStreamingClient implements connect.Interceptor.
func (i *interceptor) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

func codeLabel(err error) string {
	if err == nil {
		return "ok"
	}
	var e *connect.Error
	if errors.As(err, &e) {
		return e.Code().String()
	}
	return connect.CodeUnknown.String()
}
