package main

import (
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/server"
)

// devSettings are what can be set of a development node, and their defaults
// where they differ.
var devSettings = []struct{ name, preset string }{
	{"data-dir", "edri-dev"}, {"listen", ""}, {"raft-listen", ""}, {"log-level", ""}, {"log-format", ""},
}

func (p *program) devCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run a cluster of one on this machine, to try things out",
		Long: `Run a cluster of one that only this machine reaches. What is stored is as durable
as in any cluster and is there again after the next start.`,
		Example: `  edri-server dev
  edri-server dev --data-dir /tmp/trial --listen 127.0.0.1:0`,
		Args: cobra.NoArgs,
	}
	var offered []server.Setting
	preset := map[string]string{"node-id": "dev"}
	for _, s := range server.Settings() {
		for _, d := range devSettings {
			if d.name != s.Name {
				continue
			}
			if d.preset != "" {
				s.Default = d.preset
				preset[s.Name] = d.preset
			}
			offered = append(offered, s)
		}
	}
	values := addSettings(cmd.Flags(), offered)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		p.began = true
		flags := values.given(cmd.Flags())
		for _, name := range []string{"listen", "raft-listen"} {
			address, err := p.devAddress(flags, name)
			if err != nil {
				return err
			}
			if _, _, err := net.SplitHostPort(address); err == nil && !server.IsLoopback(address) {
				return fmt.Errorf("%w: %s: %s is not on the loopback interface: dev serves this machine alone; for others see edri-server run",
					server.ErrConfig, name, address)
			}
			preset[name] = address
		}
		preset["peers"] = "dev=" + preset["raft-listen"]
		maps.DeleteFunc(flags, func(name, _ string) bool { return name == "listen" || name == "raft-listen" })
		e, err := server.Load(server.Sources{Flags: flags, LookupEnv: p.devEnv, Preset: preset})
		if err != nil {
			return err
		}
		return p.serve(cmd.Context(), e.Config, func(s *server.Server) error { return p.printDev(s, e.Config) })
	}
	return cmd
}

// devEnv looks up only what can be set here, so that an environment for a real
// node does not reach into a trial.
func (p *program) devEnv(variable string) (string, bool) {
	for _, s := range server.Settings() {
		if s.Env() == variable && slices.ContainsFunc(devSettings, func(d struct{ name, preset string }) bool { return d.name == s.Name }) {
			return p.lookupEnv(variable)
		}
	}
	return "", false
}

// devAddress is the value of an address setting. A port of 0 becomes one that is
// free, since the cluster's own records need its number.
func (p *program) devAddress(flags map[string]string, name string) (string, error) {
	address, ok := flags[name]
	for _, s := range server.Settings() {
		if ok || s.Name != name {
			continue
		}
		address = s.Default
		if v, _ := p.lookupEnv(s.Env()); v != "" {
			address = v
		}
	}
	if _, port, err := net.SplitHostPort(address); err != nil || port != "0" {
		return address, nil // Load says what is wrong, if anything
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return "", fmt.Errorf("look for a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// printDev says where everything is.
func (p *program) printDev(s *server.Server, cfg server.Config) error {
	dir, err := filepath.Abs(cfg.DataDir)
	if err != nil {
		return fmt.Errorf("find the data directory: %w", err)
	}
	_, err = fmt.Fprintf(p.stdout, `edri development node
  data     %s
  API      %s
  raft     %s
  health   %s/readyz
  metrics  %s/metrics
  profiles %s/debug/pprof/
Try:  edri --server %s events append --type hello --data '"world"'
      edri --server %s events tail
Stop with ctrl-C.
`, dir, s.URL(), cfg.RaftListen, s.URL(), s.URL(), s.URL(), s.URL(), s.URL())
	return err
}
