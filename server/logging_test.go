package server

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

func TestRaftLinesKeepLevelAndValues(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		log  func(hclog.Logger)
		want string // empty: no line
	}{
		"info": {
			func(l hclog.Logger) { l.Info("entering follower state", "leader-address", raft.ServerAddress("a:1")) },
			`level=INFO msg="entering follower state" component=raft leader_address=a:1`,
		},
		"warn":  {func(l hclog.Logger) { l.Warn("w", "term", uint64(3)) }, `level=WARN msg=w component=raft term=3`},
		"error": {func(l hclog.Logger) { l.Error("e", "error", errors.New("refused")) }, `level=WARN msg=e component=raft error=refused`},
		"debug": {func(l hclog.Logger) { l.Debug("d") }, ``},
		"trace": {func(l hclog.Logger) { l.Log(hclog.Trace, "t") }, ``},
		"format": {
			func(l hclog.Logger) { l.Info("f", "servers", hclog.Fmt("%+v", []int{1})) },
			`level=INFO msg=f component=raft servers=[1]`,
		},
		"odd":              {func(l hclog.Logger) { l.Info("o", "k", 1, "left") }, `level=INFO msg=o component=raft k=1 extra=left`},
		"nil":              {func(l hclog.Logger) { l.Info("n", "k", nil) }, `level=INFO msg=n component=raft k=<nil>`},
		"not a string key": {func(l hclog.Logger) { l.Info("n", 7, 8) }, `level=INFO msg=n component=raft 7=8`},
		"with and named": {
			func(l hclog.Logger) { l.Named("snapshot").With("id", "x").Info("s") },
			`level=INFO msg=s component=raft name=snapshot id=x`,
		},
		"standard logger": {
			func(l hclog.Logger) {
				l.StandardLogger(&hclog.StandardLoggerOptions{InferLevels: true}).Print("[WARN] old")
			},
			`level=WARN msg=old component=raft`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			test.log(raftLogger(NewLogger(&out, slog.LevelInfo, "text")))
			got := strings.TrimSpace(out.String())
			if _, rest, ok := strings.Cut(got, " "); ok { // without the time
				got = rest
			}
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestLogFormatIsChosen(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	NewLogger(&out, slog.LevelWarn, "json").Warn("hello", "k", "v")
	if !strings.Contains(out.String(), `"msg":"hello","k":"v"`) {
		t.Errorf("got %s", out.String())
	}
}
