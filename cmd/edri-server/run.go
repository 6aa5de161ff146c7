package main

import (
	"cmp"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/edri-io/edri/server"
)

func (p *program) runCommand() *cobra.Command {
	var file string
	var printConfig bool
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run a node of a cluster of one, three or five",
		Long: `Run a node. The nodes with which a cluster begins are started with the same --peers,
the raft address of each. A node that comes later is started with --join and the
API's URL of any member: it catches up and then votes, by itself. With --replace it
takes the place of another. Restarted, a member just starts. A setting is taken from its flag, else from its variable in the
environment (--node-id is EDRI_NODE_ID), else from the YAML file of --config (where
it is node-id), else it has its default.

Exit codes: 0 stopped, 1 error, 2 wrong configuration, 10 storage failed, 11 data
is corrupt, 12 a committed command is not understood, 13 a write to the log hung, 14 the node was
removed from the cluster.`,
		Example: `  edri-server run --node-id n1 --data-dir ./n1 \
      --listen 127.0.0.1:7420 --raft-listen 127.0.0.1:7421 \
      --peers n1=127.0.0.1:7421,n2=127.0.0.1:7431,n3=127.0.0.1:7441
  edri-server run --node-id n4 --data-dir ./n4 \
      --listen 127.0.0.1:7450 --raft-listen 127.0.0.1:7451 --join http://127.0.0.1:7420
  edri-server run --config edri.yaml --print-config`,
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	values := addSettings(flags, server.Settings())
	flags.StringVar(&file, "config", "", "YAML file with settings; also "+server.FileEnv)
	flags.BoolVar(&printConfig, "print-config", false, "print the settings and where each came from, and do nothing else")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		p.began = true
		e, err := server.Load(server.Sources{Flags: values.given(flags), LookupEnv: p.lookupEnv, File: file})
		if err != nil {
			return err
		}
		if printConfig {
			return e.WriteYAML(p.stdout)
		}
		return p.serve(cmd.Context(), e.Config, func(*server.Server) error { return nil })
	}
	return cmd
}

// settingFlags are the values of flags by setting.
type settingFlags map[string]*string

// addSettings makes a flag of each setting. Its value stays text: package server
// reads it, as it reads the environment and the file.
func addSettings(flags *pflag.FlagSet, settings []server.Setting) settingFlags {
	flags.SortFlags = false
	values := make(settingFlags, len(settings))
	for _, s := range settings {
		value := new(string)
		values[s.Name] = value
		doc := s.Doc
		if s.Default != "" && s.Value != "" {
			doc += fmt.Sprintf(" (default %s)", s.Default)
		}
		flags.Var(settingValue{value, cmp.Or(s.Value, "true|false")}, s.Name, doc)
		if s.Value == "" {
			flags.Lookup(s.Name).NoOptDefVal = "true"
		}
	}
	return values
}

// settingValue is the text of a flag, with what help calls it.
type settingValue struct {
	text *string
	name string
}

var _ pflag.Value = settingValue{}

func (v settingValue) String() string {
	if v.text == nil {
		return ""
	}
	return *v.text
}
func (v settingValue) Set(s string) error { *v.text = s; return nil }
func (v settingValue) Type() string       { return v.name }

// given returns the values of the flags that stand on the command line.
func (v settingFlags) given(flags *pflag.FlagSet) map[string]string {
	found := map[string]string{}
	for name, value := range v {
		if flags.Changed(name) {
			found[name] = *value
		}
	}
	return found
}
