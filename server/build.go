package server

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
)

// Build says what was built. Every field has a value, also where the binary
// carries none (as in tests).
type Build struct {
	Version  string `json:"version"`  // of the module, such as "v1.2.0", else "devel"
	Revision string `json:"revision"` // of the source, "+dirty" behind it if it was changed; else "unknown"
	Time     string `json:"time"`     // of the revision, RFC 3339; else "unknown"
	Go       string `json:"go"`       // such as "go1.26.0"
	Platform string `json:"platform"` // such as "linux/amd64"
}

// ReadBuild reads what the go command put into the binary.
func ReadBuild() Build {
	info, _ := debug.ReadBuildInfo() // nil where there is none
	return buildFrom(info)
}

func buildFrom(info *debug.BuildInfo) Build {
	b := Build{Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	dirty := ""
	if info != nil {
		b.Version = info.Main.Version
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				b.Revision = s.Value
			case s.Key == "vcs.time":
				b.Time = s.Value
			case s.Key == "vcs.modified" && s.Value == "true":
				dirty = "+dirty"
			}
		}
	}
	if b.Version == "(devel)" {
		b.Version = ""
	}
	b.Version = cmp.Or(b.Version, "devel")
	if b.Revision != "" {
		b.Revision = b.Revision[:min(len(b.Revision), 12)] + dirty
	}
	b.Revision = cmp.Or(b.Revision, "unknown")
	b.Time = cmp.Or(b.Time, "unknown")
	return b
}

// String returns one line for people.
func (b Build) String() string {
	return fmt.Sprintf("%s (revision %s of %s, %s, %s)", b.Version, b.Revision, b.Time, b.Go, b.Platform)
}
