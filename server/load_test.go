package server

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// sources returns what starts a cluster of one, with what the test adds.
func sources(t *testing.T, yaml string, env, flags map[string]string) Sources {
	t.Helper()
	src := Sources{
		Flags:     map[string]string{},
		LookupEnv: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		Preset:    map[string]string{"node-id": "n1", "data-dir": "data", "peers": "n1=127.0.0.1:7421"},
	}
	for k, v := range flags {
		src.Flags[k] = v
	}
	if yaml != "" {
		src.File = filepath.Join(t.TempDir(), "edri.yaml")
		if err := os.WriteFile(src.File, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return src
}

func TestNearestSourceWins(t *testing.T) {
	t.Parallel()
	for bits := range 8 {
		var yaml string
		env, flags := map[string]string{}, map[string]string{}
		want, origin := 100*time.Millisecond, "default"
		if bits&1 != 0 {
			yaml = "# first line\nflush-interval: 1ms\n"
			want, origin = time.Millisecond, "edri.yaml:2"
		}
		if bits&2 != 0 {
			env["EDRI_FLUSH_INTERVAL"] = "2ms"
			want, origin = 2*time.Millisecond, "env EDRI_FLUSH_INTERVAL"
		}
		if bits&4 != 0 {
			flags["flush-interval"] = "3ms"
			want, origin = 3*time.Millisecond, "flag --flush-interval"
		}
		e, err := Load(sources(t, yaml, env, flags))
		if err != nil {
			t.Fatalf("sources %03b: %v", bits, err)
		}
		if e.FlushInterval != want || !strings.HasSuffix(e.Origin("flush-interval"), origin) {
			t.Errorf("sources %03b: got %v from %q, want %v from %q", bits, e.FlushInterval, e.Origin("flush-interval"), want, origin)
		}
	}
}

func TestEverySettingIsReadFromEveryPlace(t *testing.T) {
	t.Parallel()
	// One value per setting that is not its default and valid with the defaults
	// of the others.
	values := map[string]string{
		"node-id": "n2", "data-dir": "/somewhere", "listen": "127.0.0.1:1", "raft-listen": "127.0.0.1:2",
		"advertise": "https://edri.example.org", "raft-advertise": "127.0.0.1:7421",
		"peers": "n1=127.0.0.1:7421,n2=127.0.0.1:3,n3=127.0.0.1:4", "insecure": "true",
		"join": "http://127.0.0.1:9,https://edri.example.org", "replace": "n9",
		"log-level": "debug", "log-format": "json",
		"max-event-bytes": "10KiB", "max-commit-bytes": "2MiB", "max-commit-ops": "7", "dedup-window": "5",
		"segment-bytes": "1MiB", "flush-interval": "1s", "session-ttl": "2h",
		"catchup-rate": "2MiB", "scrub-rate": "1MiB", "scrub-interval": "1h",
		"snapshot-log-bytes": "1GiB", "trailing-log-bytes": "2GiB", "disk-reserve": "1GiB",
		"heartbeat-timeout": "300ms", "election-timeout": "1s", "lease-timeout": "100ms",
	}
	// What must change with a setting so that both are valid.
	with := map[string]map[string]string{
		"node-id":     {"peers": "n2=127.0.0.1:7421"},
		"raft-listen": {"peers": "n1=127.0.0.1:2"},
		"replace":     {"join": "http://127.0.0.1:9"},
	}
	for _, s := range Settings() {
		value, ok := values[s.Name]
		if !ok {
			t.Fatalf("no value for %s", s.Name)
		}
		for place, src := range map[string]Sources{
			"flag": sources(t, "", nil, map[string]string{s.Name: value}),
			"env":  sources(t, "", map[string]string{s.Env(): value}, nil),
			"yaml": sources(t, s.Name+": "+value+"\n", nil, nil),
		} {
			for k, v := range with[s.Name] {
				src.Preset[k] = v
			}
			e, err := Load(src)
			if err != nil {
				t.Errorf("%s from %s: %v", s.Name, place, err)
				continue
			}
			if got := s.get(&e.Config); got != value {
				t.Errorf("%s from %s: got %q, want %q", s.Name, place, got, value)
			}
		}
	}
}

func TestDefaultsAreWithinTheirBounds(t *testing.T) {
	t.Parallel()
	for _, s := range Settings() {
		if s.Default == "" {
			continue
		}
		var c Config
		if err := s.set(&c, s.Default); err != nil {
			t.Errorf("%s: %v", s.Name, err)
		}
		if got := s.get(&c); got != s.Default {
			t.Errorf("%s: default %q is written as %q", s.Name, s.Default, got)
		}
	}
}

func TestWrongConfigurationIsRefusedWithItsPlace(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		yaml       string
		env, flags map[string]string
		want       []string
	}{
		"unknown key":       {yaml: "\nlog-levle: info\n", want: []string{"edri.yaml:2", `"log-levle"`, "is it log-level?"}},
		"unknown odd key":   {yaml: "colour: red\n", want: []string{"edri.yaml:1", `unknown setting "colour"`}},
		"underscore key":    {yaml: "node_id: n1\n", want: []string{"is it node-id?"}},
		"repeated key":      {yaml: "insecure: true\nlisten: 127.0.0.1:1\ninsecure: false\n", want: []string{"edri.yaml", "3"}},
		"nested value":      {yaml: "listen:\n  host: a\n", want: []string{"edri.yaml:2", "listen", "neither"}},
		"null value":        {yaml: "listen:\n", want: []string{"edri.yaml:1", "has no value"}},
		"list of maps":      {yaml: "peers:\n- n1: a\n", want: []string{"edri.yaml:2", "peers"}},
		"alias":             {yaml: "data-dir: &a x\nnode-id: *a\n", want: []string{"edri.yaml:2", "alias"}},
		"not a mapping":     {yaml: "- a\n", want: []string{"edri.yaml:1"}},
		"two documents":     {yaml: "insecure: true\n---\ninsecure: false\n", want: []string{"edri.yaml:2: a second"}},
		"not YAML":          {yaml: "a: [\n", want: []string{"edri.yaml"}},
		"bad value in yaml": {yaml: "\n\nflush-interval: soon\n", want: []string{"flush-interval", "edri.yaml:3", `"soon"`}},
		"bad value in env":  {env: map[string]string{"EDRI_MAX_COMMIT_OPS": "1001"}, want: []string{"max-commit-ops (env EDRI_MAX_COMMIT_OPS)", "1001 is not from 1 to 1000"}},
		"bad value in flag": {flags: map[string]string{"segment-bytes": "1TB"}, want: []string{"segment-bytes (flag --segment-bytes)", "1TB"}},
		"size too small":    {flags: map[string]string{"segment-bytes": "1"}, want: []string{"1 is not from 64KiB to 4GiB"}},
		"size overflows":    {flags: map[string]string{"segment-bytes": "9223372036854775807GiB"}, want: []string{"is not a size"}},
		"window too large":  {flags: map[string]string{"dedup-window": "10000001"}, want: []string{"10000001 is not from 1 to 10000000"}},
		"negative size":     {flags: map[string]string{"segment-bytes": "-1"}, want: []string{"is not a size"}},
		"bad switch":        {env: map[string]string{"EDRI_INSECURE": "yes"}, want: []string{"env EDRI_INSECURE", "neither true nor false"}},
		"bad level":         {flags: map[string]string{"log-level": "loud"}, want: []string{"debug, info, warn, error"}},
		"bad format":        {flags: map[string]string{"log-format": "xml"}, want: []string{"text, json"}},
		"empty address":     {flags: map[string]string{"listen": ""}, want: []string{"listen (flag --listen)", "HOST:PORT"}},
		"no port":           {flags: map[string]string{"listen": "127.0.0.1"}, want: []string{"listen", "HOST:PORT"}},
		"port too high":     {flags: map[string]string{"listen": "127.0.0.1:65536"}, want: []string{"65535"}},
		"bad node id":       {flags: map[string]string{"node-id": "n=1"}, want: []string{"node-id", `"n=1"`}},
		"long node id":      {flags: map[string]string{"node-id": strings.Repeat("n", 64)}, want: []string{"64 bytes"}},
		"same ports":        {flags: map[string]string{"listen": "127.0.0.1:7421"}, want: []string{"raft-listen", "same as listen"}},
		"bad advertise":     {flags: map[string]string{"advertise": "ftp://x"}, want: []string{"advertise", "URL"}},
		"advertise 0.0.0.0": {flags: map[string]string{"advertise": "0.0.0.0:7420"}, want: []string{"advertise", "every interface"}},
		"heartbeat":         {flags: map[string]string{"heartbeat-timeout": "600ms"}, want: []string{"election-timeout", "below heartbeat-timeout, 600ms"}},
		"lease":             {flags: map[string]string{"lease-timeout": "501ms"}, want: []string{"lease-timeout", "above heartbeat-timeout, 350ms"}},
		"event too large":   {flags: map[string]string{"max-commit-bytes": "1MiB"}, want: []string{"max-event-bytes", "not below max-commit-bytes"}},

		"unspecified listen": {flags: map[string]string{"listen": ":7420", "insecure": "true"}, want: []string{"advertise", "is needed"}},
		"unspecified raft":   {flags: map[string]string{"raft-listen": "[::]:7421", "insecure": "true"}, want: []string{"raft-advertise", "is needed"}},
		"exposed API":        {flags: map[string]string{"listen": "10.0.0.1:7420"}, want: []string{"listen (flag --listen)", "10.0.0.1:7420", "insecure", "loopback"}},
		"exposed by name":    {flags: map[string]string{"listen": "edri.example.org:7420"}, want: []string{"not on the loopback"}},
		"exposed raft": {flags: map[string]string{"raft-listen": "10.0.0.1:7421", "peers": "n1=10.0.0.1:7421"},
			want: []string{"raft-listen", "10.0.0.1:7421"}},
		"exposed everything": {flags: map[string]string{"listen": "0.0.0.0:7420", "advertise": "10.0.0.1:7420"}, want: []string{"0.0.0.0:7420"}},
		"exposed peer": {flags: map[string]string{"peers": "n1=127.0.0.1:7421,n2=10.0.0.2:7421,n3=10.0.0.3:7421"},
			want: []string{"peers", "10.0.0.2:7421"}},

		"peers without self":   {flags: map[string]string{"peers": "n2=127.0.0.1:7421"}, want: []string{"peers", "no node n1"}},
		"peers elsewhere":      {flags: map[string]string{"peers": "n1=127.0.0.1:7"}, want: []string{"127.0.0.1:7,", "127.0.0.1:7421"}},
		"two peers":            {flags: map[string]string{"peers": "n1=127.0.0.1:7421,n2=127.0.0.1:2"}, want: []string{"2 nodes", "1, 3 or 5"}},
		"peer twice":           {flags: map[string]string{"peers": "n1=127.0.0.1:7421,n1=127.0.0.1:2"}, want: []string{"n1 is there twice"}},
		"peer address twice":   {flags: map[string]string{"peers": "n1=127.0.0.1:7421,n2=127.0.0.1:7421"}, want: []string{"n1 and n2", "same address"}},
		"peer without address": {flags: map[string]string{"peers": "n1"}, want: []string{`"n1" is not ID=HOST:PORT`}},
		"peer at port 0":       {flags: map[string]string{"peers": "n1=127.0.0.1:0"}, want: []string{"from 1 to 65535"}},
		"trailing comma":       {flags: map[string]string{"peers": "n1=127.0.0.1:7421,"}, want: []string{`""`}},
		"unknown flag":         {flags: map[string]string{"nonsense": "1"}, want: []string{"nonsense"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Load(sources(t, test.yaml, test.env, test.flags))
			if !errors.Is(err, ErrConfig) {
				t.Fatalf("got %v, want a configuration error", err)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error does not say %q: %v", want, err)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error has several lines: %q", err)
			}
		})
	}
}

func TestRequiredSettingsAreAskedFor(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"node-id", "data-dir", "peers"} {
		src := sources(t, "", nil, nil)
		delete(src.Preset, name)
		if _, err := Load(src); err == nil || !strings.Contains(err.Error(), name+" (--"+name+", EDRI_") || !strings.Contains(err.Error(), ": is needed") {
			t.Errorf("without %s: got %v", name, err)
		}
	}
}

func TestAddressesOfThisMachineNeedNoTLS(t *testing.T) {
	t.Parallel()
	for _, flags := range []map[string]string{
		{"listen": "localhost:7420"},
		{"listen": "[::1]:7420"},
		{"listen": "127.9.9.9:7420"},
		{"listen": "0.0.0.0:7420", "advertise": "10.0.0.1:7420", "insecure": "true"},
		{"raft-listen": "0.0.0.0:7421", "raft-advertise": "10.0.0.1:7421", "peers": "n1=10.0.0.1:7421", "insecure": "true"},
	} {
		if _, err := Load(sources(t, "", nil, flags)); err != nil {
			t.Errorf("%v: %v", flags, err)
		}
	}
}

func TestPeersInAnyOrderAreTheSameSet(t *testing.T) {
	t.Parallel()
	want := "n1=127.0.0.1:7421,n2=127.0.0.1:2,n3=127.0.0.1:3"
	for _, yaml := range []string{
		"peers: n3=127.0.0.1:3, n1=127.0.0.1:7421, n2=127.0.0.1:2\n",
		"peers:\n- n2=127.0.0.1:2\n- n3=127.0.0.1:3\n- n1=127.0.0.1:7421\n",
	} {
		e, err := Load(sources(t, yaml, nil, nil))
		if err != nil {
			t.Fatal(err)
		}
		if got := formatPeers(e.Peers); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestFileWithoutSettingsIsAllowed(t *testing.T) {
	t.Parallel()
	for _, yaml := range []string{"\n", "# nothing yet\n"} {
		if _, err := Load(sources(t, yaml, nil, nil)); err != nil {
			t.Errorf("%q: %v", yaml, err)
		}
	}
}

func TestFileIsNamedByTheEnvironmentToo(t *testing.T) {
	t.Parallel()
	src := sources(t, "log-level: warn\n", nil, nil)
	path := src.File
	src.File = ""
	src.LookupEnv = func(name string) (string, bool) {
		if name == FileEnv {
			return path, true
		}
		return "", false
	}
	e, err := Load(src)
	if err != nil {
		t.Fatal(err)
	}
	if want := path + ":1"; e.Origin("log-level") != want {
		t.Errorf("got origin %q", e.Origin("log-level"))
	}
	path += ".missing"
	if _, err := Load(src); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: got %v", err)
	}
}

func TestPrintedConfigurationLoadsToTheSame(t *testing.T) {
	t.Parallel()
	first, err := Load(sources(t, "", map[string]string{"EDRI_LOG_FORMAT": "json"}, map[string]string{
		"node-id": "123", "peers": "123=127.0.0.1:7421", "data-dir": "#: a", "dedup-window": "12", "segment-bytes": "65537",
	}))
	if err != nil {
		t.Fatal(err)
	}
	var printed bytes.Buffer
	if err := first.WriteYAML(&printed); err != nil {
		t.Fatal(err)
	}
	second, err := Load(sources(t, printed.String(), nil, nil))
	if err != nil {
		t.Fatalf("%v in:\n%s", err, printed.String())
	}
	for _, s := range Settings() {
		if got, want := s.get(&second.Config), s.get(&first.Config); got != want {
			t.Errorf("%s: got %q, want %q", s.Name, got, want)
		}
	}
	for _, line := range []string{"log-format: json                   # env EDRI_LOG_FORMAT\n", "# flag --node-id\n", "# default\n"} {
		if !strings.Contains(printed.String(), line) {
			t.Errorf("no line %q in:\n%s", line, printed.String())
		}
	}
}
