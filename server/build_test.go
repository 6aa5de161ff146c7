package server

import (
	"runtime/debug"
	"strings"
	"testing"
)

func TestBuildIsCompleteWithAndWithoutInformation(t *testing.T) {
	t.Parallel()
	full := &debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}, Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123456789abcdef0123"}, {Key: "vcs.time", Value: "2026-01-02T03:04:05Z"}, {Key: "vcs.modified", Value: "true"},
	}}
	for want, info := range map[string]*debug.BuildInfo{
		"v1.2.3 (revision 0123456789ab+dirty of 2026-01-02T03:04:05Z, go": full,
		"devel (revision unknown of unknown, go":                          nil,
		"devel (revision abc of unknown, go": {Main: debug.Module{Version: "(devel)"},
			Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "false"}}},
	} {
		if got := buildFrom(info).String(); !strings.HasPrefix(got, want) {
			t.Errorf("got %q, want %q...", got, want)
		}
	}
}
