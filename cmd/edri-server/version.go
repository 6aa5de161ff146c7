package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/server"
)

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Show what was built",
		Example: `  edri-server version`,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			p.began = true
			_, err := fmt.Fprintln(p.stdout, "edri-server", server.ReadBuild())
			return err
		},
	}
}
