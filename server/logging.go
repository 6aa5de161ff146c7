package server

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/hashicorp/go-hclog"
)

// NewLogger returns the node's logger.
func NewLogger(w io.Writer, level slog.Level, format string) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// raftLogger returns a logger for Raft whose lines go to logger.
//
// hclog hands lines to a sink next to writing them itself; with its own level at
// off only the sink is left. (Implementing hclog.Logger whole would need the
// standard library's log, which the module bans.)
func raftLogger(logger *slog.Logger) hclog.Logger {
	bridge := hclog.NewInterceptLogger(&hclog.LoggerOptions{Output: io.Discard, Level: hclog.Off})
	bridge.RegisterSink(&raftSink{logger.With("component", "raft")})
	return bridge
}

type raftSink struct{ logger *slog.Logger }

var _ hclog.SinkAdapter = (*raftSink)(nil)

// Accept writes one line of Raft's. Its errors are about peers that do not answer
// and other things that Raft retries by itself, so they are warnings here: an
// error asks for a person, and what needs one is logged by package consensus.
func (s *raftSink) Accept(name string, level hclog.Level, msg string, args ...any) {
	to := slogLevel(level)
	ctx := context.Background() // the lines belong to no request
	if level == hclog.Off || !s.logger.Enabled(ctx, to) {
		return
	}
	attrs := make([]slog.Attr, 0, len(args)/2+2)
	if name != "" && name != "raft" {
		attrs = append(attrs, slog.String("name", name))
	}
	for len(args) >= 2 {
		key, ok := args[0].(string)
		if !ok {
			key = fmt.Sprint(args[0])
		}
		attrs = append(attrs, slog.Any(strings.ReplaceAll(key, "-", "_"), plain(args[1])))
		args = args[2:]
	}
	if len(args) == 1 { // a key without value, or a stack trace
		attrs = append(attrs, slog.Any("extra", plain(args[0])))
	}
	s.logger.LogAttrs(ctx, to, msg, attrs...)
}

func slogLevel(level hclog.Level) slog.Level {
	switch level {
	case hclog.Trace, hclog.Debug:
		return slog.LevelDebug
	case hclog.Warn, hclog.Error:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// plain turns hclog's own kinds of values into ordinary ones.
func plain(v any) any {
	switch v := v.(type) {
	case hclog.Format:
		if len(v) == 0 {
			return ""
		}
		if format, ok := v[0].(string); ok {
			return fmt.Sprintf(format, v[1:]...)
		}
		return fmt.Sprint(v...)
	case hclog.CapturedStacktrace:
		return string(v)
	case error, slog.LogValuer:
		return v
	case fmt.Stringer:
		return v.String()
	}
	return v
}
